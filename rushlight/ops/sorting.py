"""Order: sorting and the k largest, by NumPy's sorts on the host.

In: a tensor of ordered numbers and a dimension. Out: values and int64 places along it. Invariants:
NaN counts as larger than every number; sorts are stable; only the places are found on the host,
values are gathered at them, and so the gradients are those of a selection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.layout import Layout, normalize_axis
from ..graph import build as b
from ..graph.host import host_function
from ..graph.node import Node
from .common import TYPE_NAMES
from .core import full
from .gathering import gather, scatter_add
from .registry import Value, op
from .signature import elementwise_strides


def _ranked(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    """The places in stable ascending (or descending) order."""
    if not descending:
        return np.argsort(x, axis, kind="stable")
    # reversed before and after, so that equal elements keep their order
    backwards = np.argsort(np.flip(x, axis), axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(backwards, axis)


@host_function
def places_in_order(x: np.ndarray, axis: int, descending: bool) -> tuple[np.ndarray]:
    return (_ranked(x, axis, descending),)


@host_function
def places_of_extremes(x: np.ndarray, k: int, axis: int, largest: bool) -> tuple[np.ndarray]:
    """The places of the k largest (smallest) elements, the most extreme first; a selection where k
    is small.
    """
    size = x.shape[axis]
    if 8 * k >= size:
        return (_ranked(x, axis, largest).take(range(k), axis),)
    parted = np.argpartition(x, size - k if largest else k - 1, axis)
    few = np.sort(parted.take(range(size - k, size) if largest else range(k), axis), axis)
    order = _ranked(np.take_along_axis(x, few, axis), axis, largest)
    return (np.take_along_axis(few, order, axis),)


def _require_order(name: str, x: Node) -> None:
    if x.dtype.is_complex:
        raise RuntimeError(
            f"{name} does not support complex dtypes on CPU: "
            f"{TYPE_NAMES[x.dtype.name]}{list(x.shape)}"
        )


def _selected(
    input: Node, axis: int, length: int, function: str, arguments: tuple
) -> tuple[Node, Node]:
    """(values, places) of `length` elements along a dimension, the places found by a host
    function.
    """
    shape = [length if d == axis else n for d, n in enumerate(input.shape)]
    if not all(shape):
        return b.expand(b.const(0, input.dtype), shape), b.expand(b.const(0, dtypes.int64), shape)
    if not input.ndim:
        return input, b.const(0, dtypes.int64)
    places = b.host(function, [input], [(shape, dtypes.int64)], arguments)[0]
    return gather(input, axis, places), places


def _operand_strides(shape: tuple[int, ...], operands: list[Layout]) -> tuple[int, ...]:
    """A sorted tensor has its operand's order of dimensions in memory, without gaps."""
    first = operands[0]
    return first.strides if first.dense() else elementwise_strides(shape, operands)


@op("", strides=_operand_strides, grad_name="SortBackward0")
def sort(input: Value, dim: int = -1, descending: bool = False) -> tuple[Value, Value]:
    """The elements along a dimension in order, and where they came from."""
    _require_order("Sort", input)
    axis = normalize_axis(dim, input.ndim)
    return _selected(
        input, axis, input.shape[axis] if input.ndim else 1, "places_in_order", (axis, descending)
    )


@op("")
def topk(input: Value, k: int, dim: int = -1, largest: bool = True) -> tuple[Value, Value]:
    """The k largest (or smallest) elements along a dimension, the most extreme first, and their
    places.
    """
    _require_order("topk", input)
    axis = normalize_axis(dim, input.ndim)
    if not 0 <= k <= (input.shape[axis] if input.ndim else 1):
        raise RuntimeError(
            f"selected index k out of range: k is {k}, the dimension {axis} of {list(input.shape)}"
        )
    return _selected(input, axis, k, "places_of_extremes", (k, axis, largest))


def _put_back(g: Any, layout: Any, dim: int, places: Any) -> Any:
    """Gradients of elements at places along a dimension, in zeros of the operand's shape."""
    if not layout.ndim:
        return g
    return scatter_add(
        full(tuple(layout.shape), 0, g.dtype), normalize_axis(dim, layout.ndim), places, g
    )


for _row in (sort, topk):

    @_row.vjp("input")
    def _(g0, input_layout, dim, out1):  # type: ignore[no-untyped-def]
        return _put_back(g0, input_layout, dim, out1)


def _by_places(places: Callable) -> Callable:
    """A reference that takes what stands at the places along the dimension."""

    def reference(x: np.ndarray, *arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        axis, found = places(x, *arguments)
        return np.take_along_axis(x, found, axis), found

    return reference


sort.test(
    lambda make: [((make(3, 7), 1), {}), ((make(3, 7), 0, True), {})],
    _by_places(
        lambda x, dim, descending=False: (
            dim,
            np.argsort(-x if descending else x, dim, kind="stable"),
        )
    ),
)
topk.test(
    lambda make: [
        ((make(3, 7), 2, 1), {}),
        ((make(3, 40), 2, -1, False), {}),
        ((make(3, 40), 3, -1), {}),
    ],
    _by_places(lambda x, k, dim, largest=True: (dim, np.argsort(-x if largest else x, dim)[:, :k])),
)
