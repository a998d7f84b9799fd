"""How values of each dtype are stored and converted: the NumPy side of "load", "store" and "cast".

In: flat NumPy arrays as buffers hold them, or "register" arrays as the interpreter computes on.
Out: the other. Invariant: a register array has the dtype's own NumPy type, except float16 and
bfloat16, whose registers are float32 arrays of values that the narrow type can hold. Conversions
are total: no NaN or overflow is undefined.
"""

from __future__ import annotations

import numpy as np

from rushlight.base.dtype import named

NARROW = frozenset({"float16", "bfloat16"})


def register_type(dtype: str) -> np.dtype:
    """The NumPy type that values of `dtype` are computed in."""
    return np.dtype(np.float32) if dtype in NARROW else named(dtype).numpy


def bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """float32 values -> bfloat16 bit patterns (uint16), rounded to nearest even; NaN stays NaN."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(values), np.uint32(0x7FC0), rounded).astype(np.uint16)


def bfloat16_values(bits: np.ndarray) -> np.ndarray:
    """bfloat16 bit patterns (uint16) -> the float32 values they stand for."""
    return (np.ascontiguousarray(bits, np.uint16).astype(np.uint32) << np.uint32(16)).view(
        np.float32
    )


def round_to(values: np.ndarray, dtype: str) -> np.ndarray:
    """Values computed in the register type of `dtype`, rounded to what `dtype` can hold."""
    if dtype == "bfloat16":
        return bfloat16_values(bfloat16_bits(np.asarray(values, np.float32))).reshape(
            np.shape(values)
        )
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return np.asarray(values, np.float32).astype(np.float16).astype(np.float32)
    return np.asarray(values, register_type(dtype))


def from_storage(stored: np.ndarray, dtype: str) -> np.ndarray:
    """Elements as a buffer holds them -> register values."""
    if dtype == "bfloat16":
        return bfloat16_values(stored).reshape(np.shape(stored))
    return np.asarray(stored).astype(register_type(dtype))


def to_storage(values: np.ndarray, dtype: str) -> np.ndarray:
    """Register values -> elements as a buffer holds them."""
    if dtype == "bfloat16":
        return bfloat16_bits(np.asarray(values)).reshape(np.shape(values))
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(named(dtype).numpy)


def _truncate(values: np.ndarray, bits: int) -> np.ndarray:
    """Floats -> signed integers of `bits`, toward zero.

    NaN and what does not fit give the smallest integer.
    """
    wide = values.astype(np.float64)
    limit = 2.0 ** (bits - 1)
    fits = (
        (wide > -limit - 1.0) & (wide < limit) if bits < 64 else (wide >= -limit) & (wide < limit)
    )
    whole = np.trunc(np.where(fits, wide, 0.0)).astype(np.int64)
    return np.where(fits, whole, np.int64(-(2 ** (bits - 1))))


def _float_to_integer(values: np.ndarray, target: str) -> np.ndarray:
    """The rules of an x86 machine.

    Up to 16 bits through int32, uint32 through int64, modulo 2**bits.
    """
    if target == "uint64":
        high = values >= 2.0**63
        low = _truncate(np.where(high, values - 2.0**63, values), 64).astype(np.uint64)
        return np.where(high, low ^ np.uint64(2**63), low)
    return _truncate(values, 64 if target in ("int64", "uint32") else 32).astype(
        named(target).numpy
    )


def cast(values: np.ndarray, source: str, target: str) -> np.ndarray:
    """Register values of `source` -> register values of `target`, as `tensor.to(dtype)` converts.

    To bool is `!= 0`; floats to integers drop the fraction (what does not fit gives defined values,
    see `_float_to_integer`); integers wrap; to float16 and bfloat16 goes through float32, rounding
    to nearest even.
    """
    if target == "bool":
        return np.asarray(values != 0)
    if named(source).is_floating_point and named(target).kind == "int":
        return _float_to_integer(values, target)
    if target in NARROW:
        return round_to(values.astype(np.float32), target)
    return values.astype(register_type(target))


def bitcast(values: np.ndarray, source: str, target: str) -> np.ndarray:
    """The same bits read as another dtype of the same size."""
    stored = np.ascontiguousarray(to_storage(values, source))
    return from_storage(stored.view(named(target).numpy), target)
