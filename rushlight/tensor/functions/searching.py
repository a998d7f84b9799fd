"""Finding and counting values: searchsorted, bucketize, bincount, unique values.

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
from ..conversion import from_array, tensor
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
    if input.ndim == 1 and input.dtype.kind in ("float", "complex"):
        raise NotImplementedError(
            f"\"bincount_cpu\" not implemented for '{dtypes.TYPE_NAMES[input.dtype.name]}': it "
            f"takes int tensors, and this one is {input.dtype.name}{list(input.shape)}"
        )
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


FUNCTIONS = (searchsorted, bucketize, bincount, unique, unique_consecutive)
METHODS = (bincount, unique, unique_consecutive)
