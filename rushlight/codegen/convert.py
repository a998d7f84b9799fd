"""Conversions between dtypes, and between registers and storage, as LLVM text.

In: `Number`s. Out: `Number`s. Invariant: total, with the results of kernel/convert.py bit for bit
(NaN payloads apart): no conversion is poison for NaN or for what does not fit. float16 and bfloat16
live in float32 registers that hold only values of theirs; in memory bool is a byte and bfloat16 the
upper half of a float32.
"""

from __future__ import annotations

from .builder import BITS, Number, is_float, is_signed

NARROW = frozenset({"float16", "bfloat16"})
_STORAGE = {"bool": "uint8", "bfloat16": "uint16"}


def register_dtype(dtype: str) -> str:
    """The dtype of the register that holds a value of `dtype`."""
    return "float32" if dtype in NARROW else dtype


def storage_dtype(dtype: str) -> str:
    """The dtype of the bytes that hold a value of `dtype` (one that LLVM can load)."""
    return _STORAGE.get(dtype, dtype)


def round_narrow(x: Number, dtype: str) -> Number:
    """A float32 register rounded to nearest even to what float16 or bfloat16 can hold."""
    if dtype == "float16":
        return x.convert("fptrunc", "float16").convert("fpext", "float32")
    bits = x.bits("uint32")
    rounded = (bits + ((bits >> 16) & 1) + 0x7FFF) & 0xFFFF0000
    return x.is_nan().choose(0x7FC00000, rounded).bits("float32")


def from_storage(x: Number, dtype: str) -> Number:
    """What was loaded -> a register."""
    if dtype == "bool":
        return x.differs(0)
    if dtype == "bfloat16":
        return (x.convert("zext", "uint32") << 16).bits("float32")
    return x.convert("fpext", "float32") if dtype == "float16" else x


def to_storage(x: Number, dtype: str) -> Number:
    """A register -> what is to be stored."""
    if dtype == "bool":
        return x.convert("zext", "uint8")
    if dtype == "bfloat16":
        return (x.bits("uint32") >> 16).convert("trunc", "uint16")
    return x.convert("fptrunc", "float16") if dtype == "float16" else x


def cast(x: Number, source: str, target: str) -> Number:
    """A register of `source` as a register of `target`, by the rules of kernel/convert.py."""
    if source == target:
        return x
    if target == "bool":
        return x.differs(0)
    if target in NARROW:
        return round_narrow(_to_float(x, "float32"), target)
    if not is_float(target):
        return _float_to_integer(x, target) if is_float(x.dtype) else resize(x, target)
    return _to_float(x, target)


def _to_float(x: Number, target: str) -> Number:
    if x.dtype == target:
        return x
    if is_float(x.dtype):
        return x.convert("fpext" if target == "float64" else "fptrunc", target)
    return x.convert("sitofp" if is_signed(x.dtype) else "uitofp", target)


def resize(x: Number, target: str) -> Number:
    """An integer or bool as an integer of another width, modulo 2**bits."""
    if BITS[target] == BITS[x.dtype]:
        return Number(x.builder, x.text, target, x.lanes)
    if BITS[target] < BITS[x.dtype]:
        return x.convert("trunc", target)
    return x.convert("sext" if is_signed(x.dtype) else "zext", target)


def _truncate(x: Number, bits: int) -> Number:
    """Toward zero to a signed integer; NaN and what does not fit give the smallest one.

    -2**(bits - 1) itself counts as not fitting: the result is the same.
    """
    fits = x.intrinsic("fabs") < 2.0 ** (bits - 1)
    whole = fits.choose(x, 0.0).convert("fptosi", f"int{bits}")
    return fits.choose(whole, -(2 ** (bits - 1)))


def _float_to_integer(x: Number, target: str) -> Number:
    if target == "uint64":
        high = x >= 2.0**63
        low = _truncate(high.choose(x - 2.0**63, x), 64)
        return resize(high.choose(low ^ -(2**63), low), target)
    return resize(_truncate(x, 64 if target in ("int64", "uint32") else 32), target)
