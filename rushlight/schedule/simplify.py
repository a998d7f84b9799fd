"""Rewrites of the graph before it is cut into kernels.

In: the outputs of a graph. Out: the outputs of an equal graph. One pass, one function with a before -> after line.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..graph.node import Node, ordered

PARTIALS = 64  # a long reduction with few results is done in about so many parts
LONG = 4096  # elements that one part should at least have


def rewrite(outputs: Sequence[Node]) -> list[Node]:
    """Every pass, operands first, on a graph that shares equal nodes."""
    known: dict[tuple, Node] = {}
    new: dict[int, Node] = {}

    def make(node: Node) -> Node:
        facts = node.attributes if node.op != "const" else tuple(map(repr, node.attributes))
        key = (node.op, tuple([id(x) for x in node.inputs]), node.shape, node.dtype, facts)
        return known.setdefault(key, node)

    for node in ordered(outputs):
        inputs = tuple([new[id(x)] for x in node.inputs])
        if any(a is not b for a, b in zip(inputs, node.inputs)):
            node_new = Node(node.op, inputs, node.shape, node.dtype, node.attributes)
        else:
            node_new = node
        new[id(node)] = make(split_reduction(trivial_reduction(node_new, make), make))
    return [new[id(x)] for x in outputs]


_EMPTY = {"sum": 0, "prod": 1, "any": False, "all": True}


def trivial_reduction(node: Node, make) -> Node:  # type: ignore[no-untyped-def]
    """A reduction over dimensions of length one  ->  a reshape; over none of length zero  ->  its neutral element."""
    if node.op != "reduce" or node.attributes[0].startswith("arg"):
        return node
    kind, axes = node.attributes
    x = node.inputs[0]
    length = prod(x.shape[a] for a in axes)
    if length == 0 and kind in _EMPTY and node.numel:
        one = make(Node("const", (), (), node.dtype, (_EMPTY[kind],)))
        return Node("expand", (one,), node.shape, node.dtype)
    if length == 1:
        x = x if x.dtype is node.dtype else make(Node("cast", (x,), x.shape, node.dtype))
        return Node("reshape", (x,), node.shape, node.dtype)
    return node


def split_reduction(node: Node, make) -> Node:  # type: ignore[no-untyped-def]
    """sum over (n, h, w)  ->  sum over n of (sum over (h, w)), so that there are parts to give to threads.

    How a sum is parted depends on its shape alone, so its value does not depend on who does the parts.
    """
    if node.op != "reduce":
        return node
    kind, axes = node.attributes
    x = node.inputs[0]
    length = prod(x.shape[a] for a in axes)
    if kind.startswith("arg") or node.numel * LONG > length * 64 or length < 4 * LONG or node.dtype.is_complex:
        return node
    outer: list[int] = []
    parts = 1
    for a in axes:
        if parts * x.shape[a] > 4 * PARTIALS or parts >= PARTIALS // 4 or length // (parts * x.shape[a]) < LONG:
            break
        outer.append(a)
        parts *= x.shape[a]
    if not outer:
        return _cut_axis(node, x, kind, axes, make)
    inner = tuple(a for a in axes if a not in outer)
    if not inner:
        return node
    first_shape = [n for d, n in enumerate(x.shape) if d not in inner]
    first = make(Node("reduce", (x,), first_shape, node.dtype, (kind, inner)))
    rest = [d for d in range(x.ndim) if d not in inner]
    return Node("reduce", (first,), node.shape, node.dtype, (kind, tuple(rest.index(a) for a in outer)))


def _cut_axis(node: Node, x: Node, kind: str, axes: tuple[int, ...], make) -> Node:  # type: ignore[no-untyped-def]
    """sum over n  ->  sum over a of (sum over b) with n = a * b."""
    axis = max(axes, key=lambda a: x.shape[a])
    extent = x.shape[axis]
    length = prod(x.shape[a] for a in axes)
    most = max(2, min(4 * PARTIALS, length // LONG))
    parts = next((p for p in range(min(most, extent), 1, -1) if extent % p == 0), 1)
    if parts < 4:
        return node
    shape = [*x.shape[:axis], parts, extent // parts, *x.shape[axis + 1 :]]
    wide = make(Node("reshape", (x,), shape, x.dtype))
    inner = tuple(a + (a >= axis) for a in axes)  # the cut axis's inner half, and all others behind it moved up
    first_shape = [n for d, n in enumerate(shape) if d not in inner]
    first = make(Node("reduce", (wide,), first_shape, node.dtype, (kind, inner)))
    place = sum(1 for d in range(axis) if d not in inner)
    return Node("reduce", (first,), node.shape, node.dtype, (kind, (place,)))


__all__ = ["rewrite"]
