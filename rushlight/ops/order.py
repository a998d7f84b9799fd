"""Order statistics: medians, k-th values, modes, and elements in order along a dimension for
quantiles.

In: a tensor and a dimension. Out: values with the places that they were found at. Invariant: only
the places are found by NumPy on the host; the values are read from the tensor at these places, so
their gradients are those of a selection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.layout import normalize_axis
from ..graph import build as b
from ..graph.host import host_function
from ..graph.node import Node
from .common import require_kind
from .core import sum as sum_
from .core import where
from .reduction import place_back, take_one
from .registry import Op, Value, op


@host_function
def place_of_rank(x: np.ndarray, axis: int, rank: int, nans: str) -> tuple[np.ndarray]:
    """Where the element of a rank (from 0) lies; of a median (rank -1) the lower middle one.

    nans: "last" orders NaN behind everything, "first" makes it the answer, "ignored" counts only
    the rest.
    """
    order = np.argsort(x, axis=axis, kind="stable")
    if rank >= 0:
        return (np.take(order, rank, axis=axis),)
    missing = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
    counted = x.shape[axis] - (missing.sum(axis, keepdims=True) if nans == "ignored" else 0)
    middle = np.maximum(np.asarray(counted) - 1, 0) // 2
    middle = np.broadcast_to(middle, [1 if d == axis else n for d, n in enumerate(x.shape)])
    place = np.take_along_axis(order, middle, axis).squeeze(axis)
    if nans == "first":
        place = np.where(missing.any(axis), missing.argmax(axis), place)
    return (place,)


@host_function
def place_of_mode(x: np.ndarray, axis: int) -> tuple[np.ndarray]:
    """Where the most frequent element (of equally frequent ones the smallest) is met last."""
    rows = np.moveaxis(x, axis, -1)
    result = np.zeros(rows.shape[:-1], np.int64)
    for at in np.ndindex(result.shape):
        values, counts = np.unique(rows[at], return_counts=True)
        result[at] = np.flatnonzero(rows[at] == values[counts.argmax()])[-1]
    return (result,)


def _picked(input: Node, axis: int, place: Node, keepdim: bool) -> tuple[Node, Node]:
    """The elements at the places along an axis, and the places."""
    values = take_one(input, place, axis)
    if not keepdim:
        return values, place
    shape = [1 if d == axis else n for d, n in enumerate(input.shape)]
    return b.reshape(values, shape), b.reshape(place, shape)


def _found(
    name: str, input: Node, dim: int, keepdim: bool, function: str, *arguments: Any
) -> tuple[Node, Node]:
    require_kind(f"{name}_cpu", input, ("bool", "int", "float"))
    axis = normalize_axis(dim, input.ndim)
    if input.ndim == 0:
        return input, b.const(0, dtypes.int64)
    if input.shape[axis] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    rest = [n for d, n in enumerate(input.shape) if d != axis]
    place = b.host(function, [input], [(rest, dtypes.int64)], (axis, *arguments))[0]
    return _picked(input, axis, place, keepdim)


@op("", grad_name="MedianBackward1")
def median_dim(input: Value, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
    """The lower median along a dimension (NaN if there is one), and where it is."""
    return _found("median", input, dim, keepdim, "place_of_rank", -1, "first")


@op("", grad_name="NanmedianBackward1")
def nanmedian_dim(input: Value, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
    """The lower median of what is not NaN along a dimension, and where it is."""
    return _found("nanmedian", input, dim, keepdim, "place_of_rank", -1, "ignored")


@op("", grad_name="KthvalueBackward0")
def kthvalue(input: Value, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Value, Value]:
    """The k-th smallest element (from 1) along a dimension, and where it is."""
    axis = normalize_axis(dim, input.ndim)
    if not 1 <= k <= (input.shape[axis] if input.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {axis}")
    return _found("kthvalue", input, dim, keepdim, "place_of_rank", k - 1, "last")


@op("", grad_name="ModeBackward0")
def mode(input: Value, dim: int = -1, keepdim: bool = False) -> tuple[Value, Value]:
    """The most frequent element along a dimension (of several the smallest), and where it is met
    last.
    """
    return _found("mode", input, dim, keepdim, "place_of_mode")


for _row in (median_dim, nanmedian_dim, kthvalue, mode):

    @_row.vjp("input")
    def _(g0, out1, input_layout, dim, keepdim):  # type: ignore[no-untyped-def]
        return place_back(g0, out1, input_layout, dim, keepdim)


def _whole(name: str, nans: str) -> Callable[[Value], Value]:
    """The median of all elements."""

    def body(input: Value) -> Value:
        require_kind(f"{name}_cpu", input, ("int", "float"))
        if input.numel == 0:
            return b.const(float("nan"), input.dtype)
        flat = b.reshape(input, (-1,))
        place = b.host("place_of_rank", [flat], [((), dtypes.int64)], (0, -1, nans))[0]
        return b.gather(flat, place)

    body.__name__ = f"{name}_all"
    body.__annotations__ = {"input": "Value", "return": "Value"}
    body.__doc__ = f"The {name} of all elements; equal ones share the gradient."
    return body


def _median_of_all(name: str, nans: str) -> Op:
    row = op("", grad_name=f"{name.capitalize()}Backward0")(_whole(name, nans))

    @row.vjp("input")
    def _(g, input, out):  # type: ignore[no-untyped-def]
        chosen = (input == out) | ((input != input) & (out != out))
        return where(chosen, g / sum_(chosen, None, False, g.dtype), 0)

    return row


median_all = _median_of_all("median", "first")
nanmedian_all = _median_of_all("nanmedian", "ignored")


# --- samples and references ---------------------------------------------------------------------


def _lower_median(x: np.ndarray, dim: int | None = None, keepdim: bool = False) -> np.ndarray:
    return np.quantile(x, 0.5, axis=dim, keepdims=keepdim, method="lower")


def _lines(make: Callable) -> list:
    return [((make(3, 4), 1), {}), ((make(4, 3, 2), -2, True), {}), ((make(5), 0), {})]


median_dim.test(_lines, lambda x, dim, keepdim=False: (_lower_median(x, dim, keepdim),))
nanmedian_dim.test(_lines, lambda x, dim, keepdim=False: (_lower_median(x, dim, keepdim),))
median_all.test(lambda make: [((make(3, 4),), {}), ((make(5),), {})], _lower_median)
nanmedian_all.test(lambda make: [((make(3, 4),), {}), ((make(5),), {})], _lower_median)
kthvalue.test(
    lambda make: [((make(3, 4), 2, 1), {}), ((make(4, 3), 4, 0, True), {})],
    lambda x, k, dim=-1, keepdim=False: (
        np.take(np.sort(x, dim), [k - 1] if keepdim else k - 1, dim),
        np.take(np.argsort(x, dim), [k - 1] if keepdim else k - 1, dim),
    ),
)
mode.test(lambda make: [((make(3, 4), 1), {})], lambda x, dim=-1: (x.min(dim), x.argmin(dim)))
