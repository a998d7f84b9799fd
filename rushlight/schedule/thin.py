"""Products of a matrix and a vector, or very few: hardly an element is used twice, so only reading
them counts.

In: a `contract` node. Out: itself, or the sum of an elementwise product, which becomes one kernel
that reads the matrix once, in the order it lies in (its rows stay near for the next vector); the
contraction template would first turn it into panels that nobody uses again. Invariant: products
and sums are computed in the accumulator's dtype, as a contraction does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from ..base.dtype import DTYPES, dtype
from ..base.layout import contiguous_strides
from ..graph.node import ContractionMap, Node
from ..kernel.contraction import ACCUMULATORS

LARGE = 1 << 13  # elements of a matrix for which its order matters
FEW = 4  # vectors that a row of the matrix may meet
Make = Callable[[Node], Node]
Dims = tuple[tuple[int, tuple[tuple[int, int], ...]], ...]


def thin_product(node: Node, make: Make) -> Node:
    """contract(matrix, vectors), the matrix read along the sum  ->  sum(matrix * vectors)"""
    if node.op != "contract" or node.inputs[0].dtype.name not in ACCUMULATORS:
        return node
    mapping: ContractionMap = node.attributes[0]
    for matrix, dims, vector, others in (
        (node.inputs[0], mapping.a, node.inputs[1], mapping.b),
        (node.inputs[1], mapping.b, node.inputs[0], mapping.a),
    ):
        loops, theirs = _loops(matrix, dims, mapping), _loops(vector, others, mapping)
        if loops is None or theirs is None or not _suits(matrix, loops, mapping):
            continue
        type_ = DTYPES[ACCUMULATORS[matrix.dtype.name]]
        left = _spread(matrix, loops, mapping, type_, make)
        right = _spread(vector, theirs, mapping, type_, make)
        product = make(Node("mul", (left, right), mapping.loops, type_))
        axes = tuple(range(mapping.rank, len(mapping.loops)))
        total = Node("reduce", (product,), node.shape, type_, ("sum", axes))
        if node.dtype is not type_:
            total = Node("cast", (make(total),), node.shape, node.dtype)
        total.origin = node.origin
        return total
    return node


def _loops(x: Node, dims: Dims, mapping: ContractionMap) -> list[int] | None:
    """The loop that each dimension walks along (-1: none, it has length one); None where a
    dimension does anything else, reading a part of it or its padding included.
    """
    found = []
    for n, (constant, terms) in zip(x.shape, dims):
        moving = [(loop, step) for loop, step in terms if mapping.loops[loop] > 1]
        if constant or len(moving) > 1 or any(step != 1 for _, step in moving):
            return None
        if n != (mapping.loops[moving[0][0]] if moving else 1):
            return None
        found.append(moving[0][0] if moving else -1)
    named = [loop for loop in found if loop >= 0]
    return found if len(set(named)) == len(named) else None


def _suits(matrix: Node, loops: Sequence[int], mapping: ContractionMap) -> bool:
    """Whether every element is used once or a few times, and those of a sum lie side by side."""
    others = [n for loop, n in enumerate(mapping.loops) if n > 1 and loop not in loops]
    summed = range(mapping.rank, len(mapping.loops))
    if matrix.numel < LARGE or prod(others) > FEW:
        return False
    if any(mapping.loops[loop] > 1 and loop not in loops for loop in summed):
        return False
    strides = (
        matrix.attributes[1].strides if matrix.op == "input" else contiguous_strides(matrix.shape)
    )
    return any(
        stride == 1 and n > 1 and loop >= mapping.rank
        for n, stride, loop in zip(matrix.shape, strides, loops)
    )


def _spread(
    x: Node, loops: Sequence[int], mapping: ContractionMap, type_: dtype, make: Make
) -> Node:
    """An operand with one dimension for each loop."""
    kept = sorted((d for d, loop in enumerate(loops) if loop >= 0), key=lambda d: loops[d])
    order = (*kept, *(d for d, loop in enumerate(loops) if loop < 0))
    if x.dtype is not type_:
        x = make(Node("cast", (x,), x.shape, type_))
    if order != tuple(range(x.ndim)):
        x = make(Node("permute", (x,), [x.shape[d] for d in order], type_, (order,)))
    extents = [n if loop in loops else 1 for loop, n in enumerate(mapping.loops)]
    if tuple(extents) != x.shape:
        x = make(Node("reshape", (x,), extents, type_))
    if tuple(extents) != tuple(mapping.loops):
        x = make(Node("expand", (x,), mapping.loops, type_))
    return x
