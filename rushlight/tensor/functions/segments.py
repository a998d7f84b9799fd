"""Reductions of consecutive segments of a dimension.

In: a tensor and where its segments lie (lengths or offsets, read at the call). Out: one element a
segment. Invariant: all is composed of gathers and scatters, so gradients of every order follow.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...autograd.names import titled
from ...base import dtype as dtypes
from ...base.dtype import TYPE_NAMES
from ...base.layout import normalize_axis
from ...ops import core, gathering
from ..conversion import from_array
from ..tensor import Tensor
from ..values import window

# reduction -> what nothing reduces to
_NEUTRAL = {"sum": 0.0, "mean": math.nan, "prod": 1.0, "max": -math.inf, "min": math.inf}


def _bounds(
    data: Tensor, lengths: Tensor | None, offsets: Tensor | None, unsafe: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The first element and the length of every segment, for each leading index."""
    given = offsets if offsets is not None else lengths
    if given is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if given.dtype not in (dtypes.int32, dtypes.int64):
        raise NotImplementedError(
            f"\"_segment_reduce_cpu\" not implemented for '{TYPE_NAMES[given.dtype.name]}': "
            "lengths and offsets are int32 or int64"
        )
    values = np.asarray(window(given), np.int64)
    if offsets is not None:
        return values[..., :-1], np.diff(values, axis=-1)
    if unsafe:
        return np.cumsum(values, -1) - values, values
    if values.size and values.min() < 0:
        raise RuntimeError(f"lengths contains negative value! The least is {values.min()}")
    size = data.shape[given.ndim - 1]
    if (values.sum(-1) != size).any():
        raise RuntimeError(
            "segment_reduce(): Expected all rows of lengths along axis to sum to "
            f"data.size(lengths.dim()-1) when !unsafe, that is {size}, but got {values.tolist()}"
        )
    return np.cumsum(values, -1) - values, values


def _places(starts: np.ndarray, lengths: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows of the data, flat over leading indices and the axis, belong to which segments."""
    count = lengths.shape[-1]
    outer = np.arange(math.prod(lengths.shape[:-1])).repeat(count)
    flat_lengths = lengths.reshape(-1)
    targets = np.arange(flat_lengths.size).repeat(flat_lengths)
    first = np.cumsum(flat_lengths) - flat_lengths
    within = np.arange(targets.size) - first.repeat(flat_lengths)
    origins = outer * size + starts.reshape(-1)
    return origins.repeat(flat_lengths) + within, targets


@titled("SegmentReduceBackward0", guarded=(0,))
def segment_reduce(
    data: Tensor,
    reduce: str,
    *,
    lengths: Tensor | None = None,
    indices: Tensor | None = None,
    offsets: Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> Tensor:
    """The sum, mean, prod, max or min of consecutive segments of a dimension, as
    `torch.segment_reduce`.

    `lengths` (or `offsets`, one more, from which they follow) has one row of segments for each
    index of the dimensions before `axis`, its last. `initial` joins every segment (in a mean it
    is added, not counted); an empty segment without it is 0, NaN, 1, -inf or inf. Lengths are
    read at the call. RuntimeError for another reduction, lengths that are negative or do not add
    up to the dimension (unless `unsafe`); NotImplementedError for other dtypes than floats.

    >>> import rushlight as rl
    >>> rl.segment_reduce(rl.tensor([1., 2., 3., 4.]), "sum", lengths=rl.tensor([1, 3]))
    tensor([1., 9.])
    """
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if reduce not in _NEUTRAL:
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, max or min, got {reduce}"
        )
    place = normalize_axis(axis, data.ndim)
    if data.dtype.kind != "float":
        raise NotImplementedError(
            f"\"_segment_reduce_cpu\" not implemented for '{TYPE_NAMES[data.dtype.name]}'"
        )
    starts, sizes = _bounds(data, lengths, offsets, unsafe)
    if sizes.ndim - 1 != place:
        raise RuntimeError(
            f"segment_reduce(): Expected axis to be the last dimension of lengths but got {place} "
            f"for lengths or offsets of {sizes.ndim} dimensions."
        )
    size, inner = data.shape[place], math.prod(data.shape[place + 1 :])
    sources, targets = _places(starts, sizes, size)
    rows = data.reshape(math.prod(data.shape[:place]) * size, inner)
    if not np.array_equal(sources, np.arange(len(rows))):
        rows = gathering.index_select(rows, 0, from_array(sources, dtypes.int64))
    made = _reduced(rows, targets, sizes.reshape(-1), reduce, initial)
    return made.reshape(*sizes.shape, *data.shape[place + 1 :])


def _reduced(
    rows: Tensor, targets: np.ndarray, sizes: np.ndarray, reduce: str, initial: float | None
) -> Tensor:
    """The rows joined into the segments that they belong to."""
    shape = (sizes.size, rows.shape[1])
    index = from_array(targets, dtypes.int64).unsqueeze(1).expand(rows.shape)
    if reduce in ("max", "min"):
        least = core.full(shape, _NEUTRAL[reduce], rows.dtype)
        made = gathering.scatter_reduce(least, 0, index, rows, f"a{reduce}", False)
        if initial is None:
            return made
        # not the row `maximum`: an element as large as `initial` takes the whole gradient
        return core.where(made < initial if reduce == "max" else made > initial, initial, made)
    if reduce == "prod":
        start = core.full(shape, 1.0 if initial is None else initial, rows.dtype)
        return gathering.scatter_reduce(start, 0, index, rows, "prod", True)
    start = core.full(shape, 0.0 if initial is None else initial, rows.dtype)
    total = gathering.scatter_add(start, 0, index, rows)
    if reduce == "sum":
        return total
    divisors = sizes if initial is None else np.maximum(sizes, 1)
    return core.div(total, from_array(divisors[:, None].astype(np.float64), rows.dtype))


def _segment_reduce(data: Tensor, reduce: str, **options: Any) -> Tensor:
    """`segment_reduce` under the name of the operator behind it."""
    return segment_reduce(data, reduce, **options)


FUNCTIONS = (segment_reduce, _segment_reduce)
