"""Continuous distributions other than the normal one.

In: a generator, a count, a floating dtype and the distribution's parameters. Out: an array of the
dtype as stored. Invariant: bit for bit what the method of the same name of `torch.Tensor` writes,
for any layout of the tensor, its elements taken in the order in which memory is visited. All but
`uniform` compute in float64.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...base import dtype as dtypes
from .arithmetic import (
    computing_dtype,
    double_fused_multiply_add,
    single_fused_multiply_add,
    through_c_library,
    to_storage,
)
from .box_muller import normal_doubles, uniform_words
from .generator import Mt19937

if TYPE_CHECKING:
    from .arithmetic import Values


def uniform(
    generator: Mt19937,
    count: int,
    dtype: dtypes.dtype = dtypes.float32,
    low: float = 0.0,
    high: float = 1.0,
) -> Values:
    """`count` values low + (high - low) u with u uniform on [0, 1), as `torch.Tensor.uniform_`
    draws them.

    A value that rounds up to `high` becomes `low`. Raises RuntimeError for low > high or bounds
    outside the dtype.

    >>> uniform(Mt19937(0), 3)
    array([0.4962566 , 0.7682218 , 0.08847743], dtype=float32)
    """
    _check_uniform(dtype, low, high)
    computing = computing_dtype(dtype)
    values = uniform_words(generator, count, computing)
    low_value, high_value = computing.type(low), computing.type(high)
    if low_value != 0 or high_value != 1:
        span = high_value - low_value
        if computing == np.float64:
            values = double_fused_multiply_add(values, float(span), float(low_value))
        else:
            values = single_fused_multiply_add(
                values.astype(np.float64), float(span), float(low_value)
            )
    stored = to_storage(values, dtype)
    bounds = to_storage(np.array([low, high]), dtype)
    stored[stored == bounds[1]] = bounds[0]
    return stored


def exponential(
    generator: Mt19937, count: int, dtype: dtypes.dtype = dtypes.float32, rate: float = 1.0
) -> Values:
    """`count` values -log(1 - u) / rate, as `torch.Tensor.exponential_`; RuntimeError unless rate >
    0.
    """
    if not dtype.is_floating_point:
        raise RuntimeError(
            "Exponential distribution is a continuous probability distribution. dtype must be a "
            f"floating point but you specified {dtype}"
        )
    if not rate > 0.0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={rate:g}")
    logarithms = through_c_library(math.log1p, -generator.doubles(count))
    return to_storage((-1.0 / rate) * logarithms, dtype)


def cauchy(
    generator: Mt19937,
    count: int,
    dtype: dtypes.dtype = dtypes.float32,
    median: float = 0.0,
    sigma: float = 1.0,
) -> Values:
    """`count` values median + sigma tan(pi (u - 1/2)), as `torch.Tensor.cauchy_`; RuntimeError
    unless sigma > 0.
    """
    if not dtype.is_floating_point:
        raise RuntimeError(
            "Cauchy distribution is a continuous probability distribution. dtype must be a "
            f"floating point but you specified {dtype}"
        )
    if not sigma > 0.0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    tangents = through_c_library(math.tan, math.pi * (generator.doubles(count) - 0.5))
    return to_storage(double_fused_multiply_add(tangents, sigma, median), dtype)


def log_normal(
    generator: Mt19937,
    count: int,
    dtype: dtypes.dtype = dtypes.float32,
    mean: float = 1.0,
    std: float = 2.0,
) -> Values:
    """`count` values exp(x) with x from N(mean, std^2), as `torch.Tensor.log_normal_`; RuntimeError
    unless std > 0.
    """
    if not std > 0.0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    if not dtype.is_floating_point:
        raise NotImplementedError(
            f'"log_normal_cpu" not implemented for {dtype}: it fills floating tensors'
        )
    exponents = double_fused_multiply_add(normal_doubles(generator, count), std, mean)
    return to_storage(through_c_library(_exp_or_infinity, exponents), dtype)


def _exp_or_infinity(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _check_uniform(dtype: dtypes.dtype, low: float, high: float) -> None:
    if not dtype.is_floating_point:
        raise NotImplementedError(
            f'"check_uniform_bounds" not implemented for {dtype}: it fills floating tensors'
        )
    limit = dtypes.finfo(dtype).max
    for name, bound in (("from", low), ("to", high)):
        if not -limit <= bound <= limit:
            raise RuntimeError(f"{name} is out of bounds for {dtype}: {bound:g}")
    if not low <= high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}"
        )
    if not high - low <= limit:
        raise RuntimeError(
            f"uniform_ expects to-from <= the largest {dtype}, but found to={high:g} and "
            f"from={low:g} which result in to-from to exceed the limit"
        )
