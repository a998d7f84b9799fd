"""Order: sorting, the k largest, medians and modes, by NumPy's sorts.

In: a tensor of ordered numbers and a dimension. Out: values and int64 indices along it. Invariants: NaN counts as larger
than every number; sorts are stable; values are always gathered at the indices, and so are their gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.layout import normalize_axis
from ..graph import build as b
from ..graph.host import host_function
from ..graph.node import Node
from .common import TYPE_NAMES
from .core import full
from .gathering import gather, scatter_add
from .registry import Value, op

# --- what NumPy does ------------------------------------------------------------------------------------------------


def _ranked(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    """The places in stable ascending (or descending) order."""
    if not descending:
        return np.argsort(x, axis, kind="stable")
    # reversed twice, so that equal elements keep their order
    backwards = np.argsort(np.flip(x, axis), axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(backwards, axis)


@host_function
def order_of(x: np.ndarray, axis: int, descending: bool) -> tuple[np.ndarray]:
    return (_ranked(x, axis, descending),)


@host_function
def places_of_extremes(x: np.ndarray, k: int, axis: int, largest: bool) -> tuple[np.ndarray]:
    """The places of the k largest (smallest) elements, the most extreme first."""
    if 0 < 8 * k < x.shape[axis] and not largest and x.dtype.kind != "b":
        few = np.argpartition(x, k - 1, axis).take(range(k), axis)
        order = np.argsort(np.take_along_axis(x, few, axis), axis, kind="stable")
        return (np.take_along_axis(few, order, axis),)
    return (_ranked(x, axis, largest).take(range(k), axis),)


def _not_a_number(x: np.ndarray) -> np.ndarray:
    return np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)


@host_function
def places_of_medians(x: np.ndarray, axis: int, skip_nan: bool) -> tuple[np.ndarray]:
    """The places of the lower medians; without skip_nan, the first NaN's where there is one."""
    order = _ranked(x, axis, False)
    missing = _not_a_number(x)
    if not skip_nan:
        middle = np.take(order, [(x.shape[axis] - 1) // 2], axis)
        has_nan = missing.any(axis, keepdims=True)
        return (np.where(has_nan, np.argmax(missing, axis=axis, keepdims=True), middle),)
    count = (~missing).sum(axis, keepdims=True)
    return (np.take_along_axis(order, np.maximum(count - 1, 0) // 2, axis),)


@host_function
def places_of_modes(x: np.ndarray, axis: int) -> tuple[np.ndarray]:
    """The places (the last ones) of the most frequent elements, of the smallest among equally frequent ones."""
    order = np.moveaxis(_ranked(x, axis, False), axis, -1)
    lines = np.take_along_axis(np.moveaxis(x, axis, -1), order, -1)
    starts = np.ones(lines.shape, bool)
    starts[..., 1:] = lines[..., 1:] != lines[..., :-1]
    line = np.broadcast_to(np.arange(lines.shape[-1]), lines.shape)
    run = line - np.maximum.accumulate(np.where(starts, line, 0), -1)
    end = np.argmax(run, -1, keepdims=True)
    return (np.moveaxis(np.take_along_axis(order, end, -1), -1, axis),)


# --- rows -------------------------------------------------------------------------------------------------------------


def _placed(input: Node, axis: int, places: Node) -> Node:
    """The elements at places along a dimension."""
    return gather(input, axis, places)


def _require_order(name: str, x: Node) -> None:
    if x.dtype.is_complex:
        raise RuntimeError(f"{name} does not support complex dtypes on CPU: {TYPE_NAMES[x.dtype.name]}{list(x.shape)}")


def _along(name: str, input: Node, dim: int, function: str, length: int, arguments: tuple) -> tuple[Node, Node]:
    """(values, places) of `length` elements along a dimension, the places found by a host function."""
    axis = normalize_axis(dim, input.ndim)
    if not input.ndim:
        return input, b.const(0, dtypes.int64)
    shape = [length if d == axis else n for d, n in enumerate(input.shape)]
    if not all(shape):
        return b.expand(b.const(0, input.dtype), shape), b.expand(b.const(0, dtypes.int64), shape)
    places = b.host(function, [input], [(shape, dtypes.int64)], arguments)[0]
    return _placed(input, axis, places), places


def _like_input(shape: tuple[int, ...], operands: Sequence[Any]) -> tuple[int, ...]:
    """The strides of a sorted tensor: its operand's, where that is dense."""
    from ..base.layout import contiguous_strides

    first = operands[0]
    return first.strides if first.shape == shape and first.dense() else contiguous_strides(shape)


@op("", strides=_like_input, grad_name="SortBackward0")
def sort_stable(input: Value, dim: int = -1, descending: bool = False) -> tuple[Value, Value]:
    """The elements along a dimension in order, and where they came from."""
    _require_order("Sort", input)
    axis = normalize_axis(dim, input.ndim)
    length = input.shape[axis] if input.ndim else 1
    return _along("sort", input, axis, "order_of", length, (axis, bool(descending)))


@op("")
def top_places(input: Value, k: int, dim: int = -1, largest: bool = True) -> tuple[Value, Value]:
    """The k largest (or smallest) elements along a dimension, the most extreme first, and their places."""
    _require_order("topk", input)
    axis = normalize_axis(dim, input.ndim)
    if not 0 <= k <= (input.shape[axis] if input.ndim else 1):
        raise RuntimeError(f"selected index k out of range: k is {k}, dimension {axis} of {list(input.shape)}")
    if not input.ndim and k == 0:
        return b.expand(b.const(0, input.dtype), (0,)), b.expand(b.const(0, dtypes.int64), (0,))
    return _along("topk", input, axis, "places_of_extremes", k, (k, axis, bool(largest)))


def _one_place(name: str, input: Node, dim: int, keepdim: bool, function: str, arguments: tuple) -> tuple[Node, Node]:
    """One element along a dimension, which is dropped unless keepdim."""
    _require_order(name, input)
    axis = normalize_axis(dim, input.ndim)
    if input.ndim and not input.shape[axis]:
        raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")
    values, places = _along(name, input, axis, function, 1, arguments)
    shape = list(values.shape)
    if not keepdim and input.ndim:
        del shape[axis]
    return b.reshape(values, shape), b.reshape(places, shape)


@op("")
def kth_place(input: Value, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Value, Value]:
    """The k-th smallest element along a dimension, and its place."""
    axis = normalize_axis(dim, input.ndim)
    if not 1 <= k <= (input.shape[axis] if input.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {axis}: k is {k}")
    return _one_place("kthvalue", input, dim, keepdim, "place_of_kth", (k, axis))


@host_function
def place_of_kth(x: np.ndarray, k: int, axis: int) -> tuple[np.ndarray]:
    return (_ranked(x, axis, False).take([k - 1], axis),)


@op("")
def median_place(input: Value, dim: int = -1, keepdim: bool = False, skip_nan: bool = False) -> tuple[Value, Value]:
    """The median (the lower of two) along a dimension, and its place."""
    axis = normalize_axis(dim, input.ndim)
    return _one_place("median", input, dim, keepdim, "places_of_medians", (axis, skip_nan))


@op("")
def mode_place(input: Value, dim: int = -1, keepdim: bool = False) -> tuple[Value, Value]:
    """The most frequent element along a dimension (the smallest of several), and its last place."""
    axis = normalize_axis(dim, input.ndim)
    return _one_place("mode", input, dim, keepdim, "places_of_modes", (axis,))


def _put_back(g: Any, layout: Any, dim: int, places: Any) -> Any:
    """Gradients of elements at places along a dimension, in zeros of the operand's shape."""
    if not layout.ndim:
        return g.reshape(layout.shape)
    axis = normalize_axis(dim, layout.ndim)
    if g.ndim < layout.ndim:
        g, places = g.unsqueeze(axis), places.unsqueeze(axis)
    return scatter_add(full(tuple(layout.shape), 0, g.dtype), axis, places, g)


for _row in (sort_stable, top_places, kth_place, median_place, mode_place):

    @_row.vjp("input")
    def _(g0, input_layout, dim, out1):  # type: ignore[no-untyped-def]
        return _put_back(g0, input_layout, dim, out1)


# --- what the suite checks ------------------------------------------------------------------------------------------


def _by_places(places: Callable) -> Callable:
    """A reference that takes what stands at the places, which drop their dimension if they have one element."""

    def reference(x: np.ndarray, *arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        axis, found = places(x, *arguments)
        return np.take_along_axis(x, found, axis), found

    return reference


def _dropped(reference: Callable) -> Callable:
    def dropped(x: np.ndarray, *arguments: Any) -> tuple[np.ndarray, ...]:
        axis = arguments[1] if len(arguments) > 1 and not isinstance(arguments[1], bool) else arguments[0]
        return tuple(part.squeeze(axis) for part in reference(x, *arguments))

    return dropped


sort_stable.test(
    lambda make: [((make(3, 7), 1), {}), ((make(3, 7), 0, True), {})],
    _by_places(lambda x, dim, descending=False: (dim, np.argsort(-x if descending else x, dim, kind="stable"))),
)
top_places.test(
    lambda make: [((make(3, 7), 2, 1), {}), ((make(3, 40), 2, -1, False), {})],
    _by_places(lambda x, k, dim, largest=True: (dim, np.argsort(-x if largest else x, dim)[:, :k])),
)
kth_place.test(
    lambda make: [((make(3, 7), 2, 1), {})],
    _dropped(_by_places(lambda x, k, dim: (dim, np.argsort(x, dim)[:, k - 1 : k]))),
)
median_place.test(
    lambda make: [((make(3, 7), 1), {}), ((make(3, 6), 1), {})],
    _dropped(_by_places(lambda x, dim: (dim, np.argsort(x, dim)[:, (x.shape[1] - 1) // 2 : (x.shape[1] + 1) // 2]))),
)
mode_place.test(
    lambda make: [((np.array([[3.0, 1.0, 3.0, 1.0, 2.0], [5.0, 5.0, 4.0, 0.0, 5.0]]), 1), {})],
    lambda x, dim: (np.array([1.0, 5.0]), np.array([3, 4])),
)
