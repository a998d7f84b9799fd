"""Finding and counting values: searchsorted, bucketize, bincount, histograms, unique values.

In: tensors. Out: tensors. Invariant: what has a shape that depends on values (`unique`,
`bincount`) reads its operand, and is a synchronisation point; the rest is recorded.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...base import dtype as dtypes
from ...base.layout import normalize_axis
from ...ops import core, gathering
from ...ops import searching as rows
from ...ops.common import TYPE_NAMES
from ..conversion import from_array, tensor
from ..return_types import named
from ..tensor import Tensor
from ..values import window


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Tensor:
    """Where values would be inserted into sorted rows to keep them sorted, as `torch.searchsorted`.

    Before equal elements, or (right=True or side="right") behind them; `sorter` holds the indices
    that sort the rows.

    >>> import rushlight as rl
    >>> rl.searchsorted(rl.tensor([1, 3, 5]), rl.tensor([3, 6]))
    tensor([1, 3])
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(
            f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}"
        )
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left "
            "while right was True"
        )
    if sorter is not None:
        if sorter.shape != sorted_sequence.shape:
            raise RuntimeError(
                "torch.searchsorted(): boundary and sorter must have the same size, but got "
                "boundary tensor "
                f"{list(sorted_sequence.shape)} and got sorter tensor {list(sorter.shape)}"
            )
        sorted_sequence = gathering.gather(sorted_sequence, -1, sorter)
    values = input if isinstance(input, Tensor) else tensor(input)
    found = rows.insertion_places(
        sorted_sequence.detach(), values.detach(), bool(right or side == "right")
    )
    return core.cast(found, dtypes.int32) if out_int32 else found


def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """The number of the bucket between sorted boundaries that each value falls into, as
    `torch.bucketize`.

    >>> import rushlight as rl
    >>> rl.bucketize(rl.tensor([0.5, 2.5]), rl.tensor([1., 2.]))
    tensor([0, 2])
    """
    if boundaries.ndim != 1:
        raise RuntimeError(
            f"bucketize(): boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})"
        )
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often (or with what summed weight) each integer from 0 on occurs in a vector, as
    `torch.bincount` (reads it).

    >>> import rushlight as rl
    >>> rl.bincount(rl.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, but got {minlength}")
    if input.ndim != 1 or input.dtype.kind != "int":
        raise RuntimeError(
            "bincount only supports 1-d non-negative integral inputs, not "
            f"{input.dtype.name}{list(input.shape)}."
        )
    numbers = window(input)
    if numbers.size and numbers.min() < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return from_array(np.bincount(numbers.astype(np.int64), minlength=minlength), dtypes.int64)
    if weights.shape != input.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    kind = weights.dtype if weights.dtype in (dtypes.float32, dtypes.float64) else dtypes.float64
    size = max(minlength, int(numbers.max()) + 1 if numbers.size else 0)
    return gathering.scatter_add(
        core.full((size,), 0, kind),
        0,
        core.cast(input, dtypes.int64),
        core.cast(weights.detach(), kind),
    )


def _range(
    name: str, values: np.ndarray, low: float, high: float, margin: float = 1.0
) -> tuple[float, float]:
    """The range of a histogram: what was asked for, or where low == high that of the values, with a
    margin where these are all equal.
    """
    if low > high:
        raise RuntimeError(f"{name}: max must be larger than min, but got min {low} and max {high}")
    if low == high and values.size:
        low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise RuntimeError(f"{name}: range of [{low}, {high}] is not finite")
    return (low - margin, high + margin) if low == high else (low, high)


def _floating(name: str, input: Tensor) -> np.ndarray:
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise NotImplementedError(
            f"\"{name}_cpu\" not implemented for '{TYPE_NAMES[input.dtype.name]}'"
        )
    return np.asarray(window(input), np.float64).reshape(-1)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """The number of elements in each of `bins` equal parts of [min, max] (the range of the values
    if both are equal).

    Follows `torch.histc` (reads its operand).

    >>> import rushlight as rl
    >>> rl.histc(rl.tensor([1., 2., 1.]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    if bins <= 0:
        raise RuntimeError(f"bins must be > 0, got {bins}")
    values = _floating("histogram", input)
    low, high = _range("histc", values, float(min), float(max))
    return from_array(np.histogram(values, bins, (low, high))[0], input.dtype)


def histogram(
    input: Tensor,
    bins: Any,
    *,
    range: tuple[float, float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """The (weighted) number of elements between bin edges, and the edges, as `torch.histogram`
    (reads its operands).

    >>> import rushlight as rl
    >>> rl.histogram(rl.tensor([1., 2., 1.]), bins=4, range=(0., 3.)).hist
    tensor([0., 2., 1., 0.])
    """
    values = _floating("histogram", input)
    if isinstance(bins, Tensor):
        edges = np.asarray(window(bins), np.float64)
    else:
        low, high = range if range is not None else (0.0, 0.0)
        low, high = _range("histogram", values, low, high, margin=0.5)
        edges = np.linspace(low, high, bins + 1)
    weights = None if weight is None else window(weight).reshape(-1)
    counts = np.histogram(values, edges, weights=weights, density=density)[0]
    return named("histogram", "hist", "bin_edges")(
        (from_array(counts, input.dtype), from_array(edges, input.dtype))
    )


# --- unique values --------------------------------------------------------------------------------


def _results(values: np.ndarray, like: Tensor, axis: int | None, inverse: Any, counts: Any) -> Any:
    """The unique values, and what else was asked for (None: not); slices of a dimension lie one
    after the other in memory.
    """
    if axis is None or not values.size:
        first = from_array(values, like.dtype)
    else:
        slices = np.ascontiguousarray(np.moveaxis(values, axis, 0))
        first = from_array(slices, like.dtype).movedim(0, axis)
    extras = [from_array(np.asarray(x), dtypes.int64) for x in (inverse, counts) if x is not None]
    return (first, *extras) if extras else first


def _widened(stored: np.ndarray, like: Tensor) -> np.ndarray:
    from ...kernel import convert

    return (
        convert.bfloat16_values(stored).reshape(stored.shape)
        if like.dtype is dtypes.bfloat16
        else stored
    )


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements in ascending order (or, with dim, the distinct slices of a dimension),
    as `torch.unique`.

    return_inverse adds where each element of input went, return_counts how often each occurs.
    Reads its operand.

    >>> import rushlight as rl
    >>> rl.unique(rl.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    values = _widened(window(input), input)
    axis = None if dim is None else normalize_axis(dim, input.ndim)
    found, inverse, counts = np.unique(
        values, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    inverse = np.reshape(inverse, input.shape if axis is None else (-1,))
    return _results(
        found, input, axis, inverse if return_inverse else None, counts if return_counts else None
    )


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """One of each run of equal neighbours (or, with dim, of equal slices), as
    `torch.unique_consecutive`.

    >>> import rushlight as rl
    >>> rl.unique_consecutive(rl.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    values = _widened(window(input), input)
    axis = 0 if dim is None else normalize_axis(dim, input.ndim)
    values = values.reshape(-1) if dim is None else values
    first = np.moveaxis(values, axis, 0)
    lines = first.reshape(len(first), math.prod(first.shape[1:]))
    starts = np.ones(len(lines), bool)
    starts[1:] = (lines[1:] != lines[:-1]).any(1)
    places = np.flatnonzero(starts)
    inverse = np.cumsum(starts) - 1
    counts = np.diff(np.append(places, len(lines)))
    inverse = inverse.reshape(input.shape) if dim is None else inverse
    return _results(
        np.take(values, places, axis),
        input,
        None if dim is None else axis,
        inverse if return_inverse else None,
        counts if return_counts else None,
    )


FUNCTIONS = (searchsorted, bucketize, bincount, histc, histogram, unique, unique_consecutive)
METHODS = (bincount, histc, histogram, unique, unique_consecutive)
