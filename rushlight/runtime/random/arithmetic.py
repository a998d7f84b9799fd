"""Arithmetic that rounds exactly as PyTorch's compiled kernels do.

In: float64 arrays (in the `single_*` functions they hold float32 values). Out: arrays of the same
kind. Invariant: each function rounds once, to its own format, on every machine. NumPy has no fused
multiply-add, and its vector versions of log, sin, ... differ from the C library's in the last bit;
both decide the last bit of random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...base import dtype as dtypes

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from numpy.typing import NDArray

    Doubles: TypeAlias = NDArray[np.float64]
    # an array of some dtype known only at run time
    Values: TypeAlias = NDArray[Any]

# float64 has 29 bits more than float32; a value whose 29 bits read 100...0 lies halfway between two
# float32 values
_DROPPED_BITS = np.int64((1 << 29) - 1)
_HALFWAY = np.int64(1 << 28)
_SPLITTER = 2.0**27 + 1.0


def single_round(values: Doubles) -> Doubles:
    """Round to float32, kept as float64.

    One addition, product or square root of float32 values done in float64 and rounded so is the
    float32 result: 53 bits are enough for the second rounding to change nothing.
    """
    return values.astype(np.float32).astype(np.float64)


def single_fused_multiply_add(
    a: Doubles | float, b: Doubles | float, c: Doubles | float
) -> Doubles:
    """a * b + c rounded once to float32.

    The product is exact in float64; the sum is corrected where its rounding made it a halfway case.
    """
    product: Doubles = np.asarray(np.multiply(a, b))
    total: Doubles = product + c
    halfway = (total.view(np.int64) & _DROPPED_BITS) == _HALFWAY
    if halfway.any():
        places = np.nonzero(halfway)
        tied = total[places]
        lost = _sum_error(product[places], np.broadcast_to(c, total.shape)[places], tied)
        total[places] = np.where(lost != 0, _neighbour_towards(tied, lost), tied)
    return single_round(total)


def double_fused_multiply_add(a: Doubles, b: float, c: float) -> Doubles:
    """a * b + c rounded once to float64, by error-free sums and a rounding to odd.

    After Boldo and Melquiond, "Emulation of FMA and correctly rounded sums" (IEEE Trans. Computers
    57, 2008).
    """
    if b == 1.0:
        return a + c
    high, low = _exact_product(a, b)
    upper = low + c
    upper_error = _sum_error(low, c, upper)
    total = high + upper
    total_error = _sum_error(high, upper, total)
    return total + _sum_to_odd(upper_error, total_error)


def _exact_product(a: Doubles, b: float) -> tuple[Doubles, Doubles]:
    """(p, e) with p + e = a * b exactly (Dekker's product)."""
    product = a * b
    a_high = _SPLITTER * a - (_SPLITTER * a - a)
    b_high = _SPLITTER * b - (_SPLITTER * b - b)
    a_low, b_low = a - a_high, b - b_high
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, error


def _sum_error(a: Doubles, b: Doubles | float, total: Doubles) -> Doubles:
    """What rounding took away from a + b (Knuth's two-sum)."""
    b_part = total - a
    return (a - (total - b_part)) + (b - b_part)


def _sum_to_odd(a: Doubles, b: Doubles) -> Doubles:
    """a + b rounded to odd: an inexact result takes the neighbour whose last bit is one."""
    total = a + b
    lost = _sum_error(a, b, total)
    is_even = (total.view(np.int64) & 1) == 0
    return np.where((lost != 0) & is_even, _neighbour_towards(total, lost), total)


def _neighbour_towards(values: Doubles, direction: Doubles) -> Doubles:
    """The next float64 up where `direction` is positive, the next one down where it is negative."""
    return np.nextafter(values, np.copysign(np.inf, direction))


def through_c_library(function: Callable[[float], float], values: Doubles) -> Doubles:
    """A function of `math` applied to each element: the C library's result, to its last bit."""
    return np.fromiter(map(function, values.ravel().tolist()), np.float64, values.size).reshape(
        values.shape
    )


def to_storage(values: Values, dtype: dtypes.dtype) -> Values:
    """Real values rounded to nearest-even in `dtype`, as it is stored (bfloat16 as its bits in
    uint16).

    float16 and bfloat16 are rounded by way of float32, as in PyTorch.
    """
    if dtype is dtypes.float16:
        return values.astype(np.float32).astype(np.float16)
    if dtype is not dtypes.bfloat16:
        return values.astype(dtype.numpy)
    bits = values.astype(np.float32).view(np.uint32)
    rounded = bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    return np.where(is_nan, np.uint32(0x7FC0), rounded >> np.uint32(16)).astype(np.uint16)


def from_storage(stored: Values, dtype: dtypes.dtype) -> Values:
    """The values `stored` holds: bfloat16 bits widened to float32, everything else unchanged."""
    if dtype is not dtypes.bfloat16:
        return stored
    return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)


def computing_dtype(dtype: dtypes.dtype) -> np.dtype:
    """The NumPy format that a kernel of `dtype` computes in: float64 for itself, float32 for all
    shorter floats.
    """
    return np.dtype(np.float64 if dtype is dtypes.float64 else np.float32)
