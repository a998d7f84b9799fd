"""Rewrites of the graph before it is cut into kernels.

In: the outputs of a graph. Out: the outputs of an equal graph. One pass, one function with a before
-> after line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from ..graph.node import Node, facts, ordered
from .sums import Sums
from .thin import thin_product

Make = Callable[[Node], Node]  # gives the one node that equals a new one

PART = 32768  # elements of a part of a long reduction (128 KiB of float32)
SHORT = 64  # elements that each sum of a part should at least have
MOST_PARTS = 1024
MANY = 4096  # results that are enough to share out without parts


def rewrite(outputs: Sequence[Node]) -> list[Node]:
    """Every pass, operands first, on a graph that shares equal nodes."""
    known: dict[tuple[Any, ...], Node] = {}
    new: dict[int, Node] = {}

    def make(node: Node) -> Node:
        inputs = tuple([id(x) for x in node.inputs])
        key = (node.op, inputs, node.shape, node.dtype, facts(node.op, node.attributes))
        return known.setdefault(key, node)

    nodes = ordered(outputs)
    sums = Sums(nodes, outputs)
    for node in nodes:
        inputs = tuple([new[id(x)] for x in node.inputs])
        if any(a is not b for a, b in zip(inputs, node.inputs)):
            node_new = Node(node.op, inputs, node.shape, node.dtype, node.attributes)
            node_new.origin = node.origin
        else:
            node_new = node
        joined = sums.joined(node, new, make)
        node_new = node_new if joined is None else joined
        for simplify in (trivial_reduction, thin_product, split_reduction):
            node_new = simplify(node_new, make)
        new[id(node)] = make(node_new)
    return [new[id(x)] for x in outputs]


_EMPTY = {"sum": 0, "prod": 1, "any": False, "all": True}


def trivial_reduction(node: Node, make: Make) -> Node:
    """A reduction over dimensions of length one  ->  a reshape.

    Over none of length zero  ->  its neutral element.
    """
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


def split_reduction(node: Node, make: Make) -> Node:
    """sum over (n, h, w)  ->  sum over (n, a) of the sums over (b, w), with h = a * b.

    A part should fit a core's cache, so that it is read from memory once however its sums are laid
    out. How a sum is parted depends on its shape alone, so its value does not depend on who does
    the parts.
    """
    if node.op != "reduce" or node.attributes[0].startswith("arg") or node.dtype.is_complex:
        return node
    kind, axes = node.attributes
    x = node.inputs[0]
    length = prod(x.shape[a] for a in axes)
    wanted = min(x.numel // PART, length // SHORT, MOST_PARTS)
    if tuple(axes) == tuple(range(x.ndim - len(axes), x.ndim)) and node.numel:
        wanted = min(wanted, MANY // node.numel)  # rows: as many parts as threads can share
    if wanted < 4 or node.numel >= MANY:
        return node
    outer, parts = [], 1
    for a in axes:
        n = x.shape[a]
        if parts * n <= wanted * 1.5:
            outer.append(a)
            parts *= n
            continue
        cut = next((d for d in range(max(wanted // parts, 1), 1, -1) if n % d == 0), 1)
        if cut > 1:
            x, axes = _cut_axis(x, axes, a, cut, make)
            outer = [d + (d > a) for d in outer] + [a]
            parts *= cut
        break
    inner = tuple(a for a in axes if a not in outer)
    if parts < 4 or not inner:
        return node
    rest = [d for d in range(x.ndim) if d not in inner]
    first = make(Node("reduce", (x,), [x.shape[d] for d in rest], node.dtype, (kind, inner)))
    return Node(
        "reduce", (first,), node.shape, node.dtype, (kind, tuple(rest.index(a) for a in outer))
    )


def _cut_axis(
    x: Node, axes: tuple[int, ...], axis: int, parts: int, make: Make
) -> tuple[Node, tuple[int, ...]]:
    """A dimension seen as two, and the reduced axes counted anew (both halves are reduced)."""
    shape = [*x.shape[:axis], parts, x.shape[axis] // parts, *x.shape[axis + 1 :]]
    wide = make(Node("reshape", (x,), shape, x.dtype))
    return wide, tuple(sorted({a + (a > axis) for a in axes} | {axis + 1}))


__all__ = ["rewrite"]
