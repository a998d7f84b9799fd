"""Places of values among sorted ones, by NumPy's binary search on the host.

In: sorted boundaries and values. Out: int64 places. Invariant: NaN lies behind every number.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..base import dtype as dtypes
from ..graph import build as b
from ..graph.host import host_function
from .registry import Value, op


@host_function
def places_among(boundaries: np.ndarray, values: np.ndarray, right: bool) -> tuple[np.ndarray]:
    """Where each value would be inserted: one row of boundaries for all, or one for each row of
    values.
    """
    side = "right" if right else "left"
    if boundaries.ndim == 1:
        return (np.searchsorted(boundaries, values, side),)
    rows = boundaries.reshape(-1, boundaries.shape[-1])
    sought = values.reshape(len(rows), -1)
    found = [np.searchsorted(row, value, side) for row, value in zip(rows, sought, strict=True)]
    return (np.reshape(found, values.shape),)


@op("", differentiable=False)
def insertion_places(boundaries: Value, values: Value, right: bool = False) -> Value:
    """Places in sorted boundaries that keep them sorted, before (or, with right, behind) equal
    ones.
    """
    if boundaries.ndim != 1 and boundaries.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
            "dimensions of boundaries tensor "
            "and input value tensor must match, but we got boundaries tensor "
            f"{list(boundaries.shape)} and input value "
            f"tensor {list(values.shape)}"
        )
    common = b.promote(boundaries, values)
    return b.host("places_among", common, [(values.shape, dtypes.int64)], (right,))[0]


def _sorted_pair(make: Callable) -> list:
    rows = np.sort(make(3, 5), -1)
    return [((rows[0], make(2, 4)), {}), ((rows, make(3, 2), True), {})]


def _reference(boundaries: np.ndarray, values: np.ndarray, right: bool = False) -> np.ndarray:
    lines = boundaries if boundaries.ndim == 1 else boundaries[..., None, :]
    smaller = lines <= values[..., None] if right else lines < values[..., None]
    return smaller.sum(-1)


insertion_places.test(_sorted_pair, _reference)
