"""Every row of the intrinsics table is compiled in a process that it may kill."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from rushlight.codegen import compiler, intrinsics

FLOATS = ("float", "double", "<16 x float>", "<8 x double>")
INTEGERS = ("i32", "i64", "<16 x i32>", "<8 x i64>")
SUFFIX = {
    "float": "f32",
    "double": "f64",
    "<16 x float>": "v16f32",
    "<8 x double>": "v8f64",
    "i32": "i32",
    "i64": "i64",
    "<16 x i32>": "v16i32",
    "<8 x i64>": "v8i64",
}


def declared(name: str, result: str, *operands: str) -> str:
    """A module that calls one intrinsic on its own arguments; `=` marks an immediate operand."""
    signature = ", ".join(operand.split("=")[0] for operand in operands)
    parameters = ", ".join(
        f"{operand} %a{index}" for index, operand in enumerate(operands) if "=" not in operand
    )
    values = ", ".join(
        operand.replace("=", " ") if "=" in operand else f"{operand} %a{index}"
        for index, operand in enumerate(operands)
    )
    call = f"call {result} @llvm.{name}({values})"
    body = f"{call}  ret void" if result == "void" else f"%r = {call}  ret {result} %r"
    return (
        f"declare {result} @llvm.{name}({signature})\ndefine {result} @f({parameters}) {{ {body} }}"
    )


def mask_of(kind: str) -> str:
    return kind.split(" x ")[0] + " x i1>" if kind.startswith("<") else "i1"


def elementwise_modules() -> Iterator[str]:
    arities = {1: intrinsics.FLOAT_UNARY, 2: intrinsics.FLOAT_BINARY, 3: intrinsics.FLOAT_TERNARY}
    for arity, names in arities.items():
        for name in names:
            for kind in FLOATS:
                yield declared(f"{name}.{SUFFIX[kind]}", kind, *[kind] * arity)
    arities = {
        1: intrinsics.INTEGER_UNARY,
        2: intrinsics.INTEGER_BINARY,
        3: intrinsics.INTEGER_TERNARY,
    }
    for arity, names in arities.items():
        for name in names:
            for kind in INTEGERS:
                yield declared(f"{name}.{SUFFIX[kind]}", kind, *[kind] * arity)
    for kind in INTEGERS:
        for name in intrinsics.FLAGGED_UNARY:
            yield declared(f"{name}.{SUFFIX[kind]}", kind, kind, "i1=false")
        for name in intrinsics.OVERFLOWING:
            result = f"{{ {kind}, {mask_of(kind)} }}"
            yield declared(f"{name}.{SUFFIX[kind]}", result, kind, kind)
    for name in intrinsics.TO_INTEGER:
        for integer, number in zip(INTEGERS, FLOATS, strict=True):
            yield declared(f"{name}.{SUFFIX[integer]}.{SUFFIX[number]}", integer, number)


def reduction_modules() -> Iterator[str]:
    for kind, element in (("<16 x float>", "float"), ("<8 x double>", "double")):
        for name in intrinsics.REDUCE_FLOAT_ORDERED:
            yield declared(f"{name}.{SUFFIX[kind]}", element, element, kind)
        for name in intrinsics.REDUCE_FLOAT:
            yield declared(f"{name}.{SUFFIX[kind]}", element, kind)
    for kind, element in (("<16 x i32>", "i32"), ("<8 x i64>", "i64")):
        for name in intrinsics.REDUCE_INTEGER:
            yield declared(f"{name}.{SUFFIX[kind]}", element, kind)


def memory_modules() -> Iterator[str]:
    for kind in ("<16 x float>", "<8 x i64>"):
        suffix, mask = SUFFIX[kind], mask_of(kind)
        yield declared(f"masked.load.{suffix}.p0", kind, "ptr", mask, kind)
        yield declared(f"masked.store.{suffix}.p0", "void", kind, "ptr", mask)
    for name in ("memcpy", "memmove"):
        yield declared(f"{name}.p0.p0.i64", "void", "ptr", "ptr", "i64", "i1=false")
    yield declared("memset.p0.i64", "void", "ptr", "i8", "i64", "i1=false")
    yield declared("prefetch.p0", "void", "ptr", "i32=0", "i32=3", "i32=1")
    yield declared("assume", "void", "i1")
    yield declared("expect.i1", "i1", "i1", "i1=true")


def gather_modules() -> Iterator[str]:
    for kind, lanes in (("<16 x float>", 16), ("<8 x i64>", 8)):
        pointers, mask = f"<{lanes} x ptr>", mask_of(kind)
        suffix = f"{SUFFIX[kind]}.v{lanes}p0"
        yield declared(f"masked.gather.{suffix}", kind, pointers, mask, kind)
        yield declared(f"masked.scatter.{suffix}", "void", kind, pointers, mask)


def library_modules() -> Iterator[str]:
    for kind in FLOATS:
        for name in intrinsics.LIBM_UNARY:
            yield declared(f"{name}.{SUFFIX[kind]}", kind, kind)
        for name in intrinsics.LIBM_BINARY:
            yield declared(f"{name}.{SUFFIX[kind]}", kind, kind, kind)


def x86_modules() -> Iterator[str]:
    yield declared("x86.sse2.pause", "void")
    for bits in (128, 256, 512):
        floats, pairs = f"<{bits // 32} x float>", f"<{bits // 16} x bfloat>"
        yield declared(f"x86.avx512bf16.dpbf16ps.{bits}", floats, floats, pairs, pairs)
    yield declared("x86.avx512bf16.cvtneps2bf16.512", "<16 x bfloat>", "<16 x float>")
    yield declared("x86.vcvtps2ph.256", "<8 x i16>", "<8 x float>", "i32=0")
    yield declared(
        "x86.avx512.mask.vcvtps2ph.512", "<16 x i16>", "<16 x float>", "i32=0", "<16 x i16>", "i16"
    )


def nvptx_modules() -> Iterator[str]:
    for name in sorted(intrinsics.NVPTX):
        yield declared(name, "void" if "barrier" in name else "i32")


PORTABLE_MODULES = [*elementwise_modules(), *reduction_modules(), *memory_modules()]
CPU_MODULES = [*PORTABLE_MODULES, *gather_modules(), *library_modules()]
TARGETS = {
    "x86_64": ("x86_64-unknown-linux-gnu", "sapphirerapids", [*CPU_MODULES, *x86_modules()]),
    "x86_64 without AVX-512": ("x86_64-unknown-linux-gnu", "haswell", CPU_MODULES),
    "aarch64": (
        "aarch64-unknown-linux-gnu",
        "neoverse-n1",
        [*CPU_MODULES, declared("aarch64.hint", "void", "i32=1")],
    ),
    "nvptx64": ("nvptx64-nvidia-cuda", "sm_80", [*PORTABLE_MODULES, *nvptx_modules()]),
}

COMPILE_ALL = """
import sys
from rushlight.codegen.compiler import assembly
triple, cpu, *modules = sys.stdin.read().split("\\0")
for module in modules:
    print(module, flush=True)
    assembly(module, triple, cpu, "")
"""


@pytest.mark.parametrize("target", TARGETS)
def test_every_row_compiles(target):
    triple, cpu, modules = TARGETS[target]
    process = subprocess.run(
        [sys.executable, "-c", COMPILE_ALL],
        input="\0".join([triple, cpu, *modules]),
        capture_output=True,
        text=True,
        timeout=120,
    )
    last = process.stdout.strip().splitlines()[-2:]
    assert process.returncode == 0, (last, process.stderr[-500:])


@pytest.mark.parametrize("family", intrinsics.TABLE)
def test_every_row_is_tried(family):
    modules = [module for name, (_, _, own) in TARGETS.items() if name == family for module in own]
    tried = {
        intrinsics.base_name(name)
        for module in modules
        for name in intrinsics._USED.findall(module)
    }
    # A row that carries a type, and one whose own last part looks like one, are tried by full name.
    tried.update(name for module in modules for name in intrinsics._USED.findall(module))
    assert intrinsics.TABLE[family] - tried == set()


def test_what_kills_the_process_is_refused():
    for name in ("exp.f32", "log.f32", "exp2.f64", "tanh.f32"):
        kind = "double" if name.endswith("64") else "float"
        with pytest.raises(compiler.CompileError, match=name):
            compiler.assembly(declared(name, kind, kind), "nvptx64-nvidia-cuda", "sm_80", "")


def test_base_name_keeps_what_is_not_a_type():
    assert intrinsics.base_name("masked.gather.v16f32.v16p0") == "masked.gather"
    assert intrinsics.base_name("x86.avx512bf16.dpbf16ps.512") == "x86.avx512bf16.dpbf16ps.512"
    assert intrinsics.base_name("fptosi.sat.v16i32.v16f32") == "fptosi.sat"
