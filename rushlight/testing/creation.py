"""Tensors to test with: `torch.testing.make_tensor`.

In: a shape, a dtype, a range. Out: random values in that range. Invariant: for a seed, what comes
out is the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import rushlight
from rushlight import Tensor

_LOW, _HIGH = -9, 9  # of signed dtypes, unless stated


def _limits(dtype: Any) -> tuple[float, float]:
    """The least value of a dtype, and the end of its range."""
    if dtype == rushlight.bool:
        return 0, 2
    if dtype.is_floating_point or dtype.is_complex:
        info = rushlight.finfo(dtype)
        return info.min, info.max
    whole = rushlight.iinfo(dtype)
    return whole.min, whole.max + (1 if dtype != rushlight.int64 else 0)


def _range(dtype: Any, low: float | None, high: float | None) -> tuple[float, float]:
    least, end = _limits(dtype)
    exact = not (dtype.is_floating_point or dtype.is_complex)
    low = low if low is not None else max(_LOW, least)
    high = high if high is not None else min(_HIGH + exact, end)
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low > high or (exact and low == high):
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    if high < least or low >= end:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), "
            f"but {dtype} only supports [{least}, {end})"
        )
    low, high = max(low, least), min(high, end)
    return (math.ceil(low), math.ceil(high)) if exact else (low, high)


def make_tensor(
    *shape: Any,
    dtype: Any,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Random values of `dtype`, uniform in [low, high), as `torch.testing.make_tensor`.

    Unless stated the range is [-9, 9), of integers up to 9 included, as far as the dtype has it.
    `noncontiguous` gives a view with gaps, `exclude_zero` puts 1 (or the least positive number) for
    zeros.
    Errors: ValueError for an empty range, for gradients of integers, for `noncontiguous` together
    with `memory_format`.
    """
    sizes: tuple[int, ...] = tuple(
        shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    )
    exact = not (dtype.is_floating_point or dtype.is_complex)
    if noncontiguous and memory_format is not None:
        raise ValueError("make_tensor: `noncontiguous` and `memory_format` exclude each other")
    if requires_grad and exact:
        raise ValueError(
            "`requires_grad=True` is not supported for boolean and integral dtypes, but got "
            f"{dtype=}"
        )
    low, high = _range(dtype, low, high)
    gaps = noncontiguous and math.prod(sizes) > 1
    if gaps:
        sizes = (*sizes[:-1], 2 * sizes[-1])
    if exact:
        made = rushlight.randint(int(low), int(high), sizes, device=device, dtype=dtype)
    else:
        made = rushlight.empty(sizes, device=device, dtype=dtype)
        (rushlight.view_as_real(made) if dtype.is_complex else made).uniform_(low, high)
    if gaps:
        made = made[..., 1::2]
    elif memory_format is not None:
        made = made.clone(memory_format=memory_format)
    if exclude_zero:
        made[made == 0] = 1 if exact else rushlight.finfo(dtype).tiny
    return made.requires_grad_() if requires_grad else made
