"""The LLVM intrinsics that may be emitted, by target: one that LLVM cannot select ends the process.

Comes in: LLVM text and a target family. Goes out: the intrinsics in it that no row vouches for.
Invariant: every row was compiled alone in a process of its own by the test of this table, for f32
and f64 or i32 and i64, scalar and vector; nothing gets in by resembling a listed name.

A row is the name without `llvm.` and without type suffixes; a row with a type (`exp2.f32`) allows
that type only.
"""

from __future__ import annotations

import re

_USED = re.compile(r'@"?llvm\.([a-z][\w.]*)')
_TYPE = re.compile(r"(nxv\d+|v\d+)?(i\d+|f16|bf16|f32|f64|p\d+)")

FLOAT_UNARY = ["fabs", "sqrt", "floor", "ceil", "trunc", "rint", "nearbyint", "roundeven", "round"]
FLOAT_BINARY = ["copysign", "minnum", "maxnum", "minimum", "maximum"]
FLOAT_TERNARY = ["fma", "fmuladd"]
INTEGER_UNARY = ["ctpop", "bswap", "bitreverse"]
INTEGER_BINARY = ["smin", "smax", "umin", "umax", "sadd.sat", "uadd.sat", "ssub.sat", "usub.sat"]
INTEGER_TERNARY = ["fshl", "fshr"]
FLAGGED_UNARY = ["abs", "ctlz", "cttz"]  # second operand: an immediate i1
OVERFLOWING = [
    f"{sign}{name}.with.overflow" for name in ("add", "sub", "mul") for sign in ("s", "u")
]
REDUCE_FLOAT_ORDERED = ["vector.reduce.fadd", "vector.reduce.fmul"]
REDUCE_FLOAT = ["vector.reduce.fmin", "vector.reduce.fmax"]
REDUCE_INTEGER = [
    f"vector.reduce.{name}"
    for name in ("add", "mul", "and", "or", "xor", "smin", "smax", "umin", "umax")
]
TO_INTEGER = ["fptosi.sat", "fptoui.sat"]
MEMORY = ["masked.load", "masked.store", "memcpy", "memset", "memmove", "prefetch"]
GATHER = ["masked.gather", "masked.scatter"]
HINTS = ["assume", "expect"]
# On a CPU these become calls of libm; on NVPTX they end the process or need `afn`.
LIBM_UNARY = ["exp", "exp2", "log", "log2", "log10", "sin", "cos"]
LIBM_BINARY = ["pow"]

PORTABLE = frozenset(
    FLOAT_UNARY
    + FLOAT_BINARY
    + FLOAT_TERNARY
    + INTEGER_UNARY
    + INTEGER_BINARY
    + INTEGER_TERNARY
    + FLAGGED_UNARY
    + OVERFLOWING
    + REDUCE_FLOAT_ORDERED
    + REDUCE_FLOAT
    + REDUCE_INTEGER
    + TO_INTEGER
    + MEMORY
    + HINTS
)
CPU = PORTABLE.union(GATHER, LIBM_UNARY, LIBM_BINARY)
X86 = frozenset(
    [
        "x86.sse2.pause",
        "x86.avx512bf16.dpbf16ps.128",
        "x86.avx512bf16.dpbf16ps.256",
        "x86.avx512bf16.dpbf16ps.512",
        "x86.avx512bf16.cvtneps2bf16.512",
        "x86.vcvtps2ph.256",
        "x86.avx512.mask.vcvtps2ph.512",
    ]
)
AARCH64 = frozenset(["aarch64.hint"])
NVPTX = frozenset(
    [
        *(
            f"nvvm.read.ptx.sreg.{name}.{axis}"
            for name in ("tid", "ntid", "ctaid")
            for axis in "xyz"
        ),
        "nvvm.barrier0",
    ]
)

TABLE: dict[str, frozenset[str]] = {
    "x86_64": CPU | X86,
    "aarch64": CPU | AARCH64,
    "nvptx64": PORTABLE | NVPTX,
}


def target_family(triple: str) -> str:
    """The row of TABLE for a triple; an unknown processor's triple names no row.

    >>> target_family("arm64-apple-darwin")
    'aarch64'
    """
    processor = triple.split("-", 1)[0]
    return "aarch64" if processor == "arm64" else processor


def base_name(intrinsic: str) -> str:
    """The name without its type suffixes.

    >>> base_name("masked.load.v16f32.p0")
    'masked.load'
    """
    parts = intrinsic.split(".")
    while len(parts) > 1 and _TYPE.fullmatch(parts[-1]):
        parts.pop()
    return ".".join(parts)


def unlisted_intrinsics(text: str, family: str) -> list[str]:
    """Intrinsics used in `text` that no row allows on `family`, sorted."""
    allowed = TABLE.get(family, PORTABLE)
    used = set(_USED.findall(text))
    return sorted(name for name in used if name not in allowed and base_name(name) not in allowed)
