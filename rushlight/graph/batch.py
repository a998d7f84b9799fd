"""One example's graph made the graph of a batch of examples: the batching rule of every node.

In: the nodes that an op's body made of one example, and which operands vary along which levels (the
axes that `vmap` hides). Out: nodes with those axes as leading dimensions, by rising level.
Invariant: example e of a result is what the original graph makes of example e of the operands; what
depends on no batched operand is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ..base.dtype import int64
from . import build as b
from .host import HOST_FUNCTIONS, host_function
from .node import ContractionMap, Node, ordered

Levels = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lifted:
    """A node whose first dimensions are the levels that it varies along."""

    node: Node
    levels: Levels = ()

    def example(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.node.shape[len(self.levels) :]


class Batch:
    """The batch axes that meet in one node: their levels and extents."""

    __slots__ = ("levels", "shape")

    def __init__(self, levels: Levels, extents: dict[int, int]) -> None:
        self.levels = levels
        self.shape = tuple(extents[level] for level in levels)

    def all_of(self, x: Lifted) -> Node:
        """The node with every level, repeated along those that it lacked."""
        example = x.example()
        shape = [n if level in x.levels else 1 for level, n in zip(self.levels, self.shape)] + list(
            example
        )
        return b.expand(b.reshape(x.node, shape), (*self.shape, *example))

    def example_number(self, shape: Sequence[int]) -> Node:
        """For each element of a batched shape, which example it belongs to."""
        number: Node = b.const(0, int64)
        for axis, extent in enumerate(self.shape):
            number = b.add(b.mul(number, b.const(extent, int64)), b.iota(shape, axis))
        return b.expand(number, shape)


Rule = Callable[[Node, list[Lifted], Batch], Node]


def over_batches(
    outputs: Sequence[Node], inputs: dict[int, Lifted], extents: dict[int, int]
) -> list[Lifted]:
    """The outputs for a batch; `inputs` says, by the id of a placeholder, what stands in for it."""
    made = dict(inputs)
    for node in ordered(outputs):
        if id(node) in made:
            continue
        operands = [made[id(x)] for x in node.inputs]
        levels = tuple(sorted({level for x in operands for level in x.levels}))
        if levels:
            batch = Batch(levels, extents)
            made[id(node)] = Lifted(RULES.get(node.op, _elementwise)(node, operands, batch), levels)
        elif any(x.node is not old for x, old in zip(operands, node.inputs)):
            made[id(node)] = Lifted(_like(node, tuple(x.node for x in operands), node.shape))
        else:
            made[id(node)] = Lifted(node)
    return [made[id(node)] for node in outputs]


def _like(
    node: Node, inputs: tuple[Node, ...], shape: Sequence[int], attributes: Any = None
) -> Node:
    """A node of the same kind."""
    facts = node.attributes if attributes is None else attributes
    return Node(node.op, inputs, shape, node.dtype, facts, weak=node.weak)


def _elementwise(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    return _like(node, tuple(map(batch.all_of, operands)), (*batch.shape, *node.shape))


def _expand(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    x = operands[0]
    ones = (1,) * (len(node.shape) - len(x.example()))
    aligned = b.reshape(x.node, (*batch.shape, *ones, *x.example()))
    return _like(node, (aligned,), (*batch.shape, *node.shape))


def _reshape(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    return _like(node, (operands[0].node,), (*batch.shape, *node.shape))


def _permute(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    lead = len(batch.shape)
    order = (*range(lead), *(axis + lead for axis in node.attributes[0]))
    return _like(node, (operands[0].node,), (*batch.shape, *node.shape), (order,))


def _slice(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    lead = len(batch.shape)
    starts, steps = node.attributes
    facts = ((0,) * lead + starts, (1,) * lead + steps)
    return _like(node, (operands[0].node,), (*batch.shape, *node.shape), facts)


def _pad(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    none = (0,) * len(batch.shape)
    before, after, value = node.attributes
    facts = (none + before, none + after, value)
    return _like(node, (operands[0].node,), (*batch.shape, *node.shape), facts)


def _concat(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    parts = tuple(map(batch.all_of, operands))
    axis = node.attributes[0] + len(batch.shape)
    return _like(node, parts, (*batch.shape, *node.shape), (axis,))


def _reduce(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    kind, axes = node.attributes
    moved = tuple(axis + len(batch.shape) for axis in axes)
    return _like(node, (operands[0].node,), (*batch.shape, *node.shape), (kind, moved))


def _scan(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    kind, axis = node.attributes
    facts = (kind, axis + len(batch.shape))
    return _like(node, (operands[0].node,), (*batch.shape, *node.shape), facts)


def _steps(batch: Batch, numel: int) -> tuple[int, ...]:
    """The strides of the batch axes of row-major examples of `numel` elements."""
    return tuple(numel * prod(batch.shape[k + 1 :]) for k in range(len(batch.shape)))


def _strided(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    own, strides, offset = node.attributes
    steps = _steps(batch, prod(operands[0].example()))
    facts = (steps + tuple(own), steps + tuple(strides), offset)
    return _like(node, (operands[0].node,), (*batch.shape, *node.shape), facts)


def _write(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    strides, offset = node.attributes
    flat, value = map(batch.all_of, operands)
    line = b.reshape(flat, (-1,))
    facts = (_steps(batch, node.shape[0]) + tuple(strides), offset)
    return b.reshape(_like(node, (line, value), line.shape, facts), flat.shape)


def _contract(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    mapping: ContractionMap = node.attributes[0]
    lead = len(batch.shape)

    def dimensions(x: Lifted, old: tuple[Any, ...]) -> tuple[Any, ...]:
        own = tuple((0, ((batch.levels.index(level), 1),)) for level in x.levels)
        moved = tuple((at, tuple((loop + lead, c) for loop, c in terms)) for at, terms in old)
        return own + moved

    def order(count: int, old: tuple[int, ...] | None) -> tuple[int, ...] | None:
        return None if old is None else (*range(count), *(axis + count for axis in old))

    first, second = operands
    counts = (len(first.levels), len(second.levels), lead)
    made = ContractionMap(
        (*batch.shape, *mapping.loops),
        mapping.rank + lead,
        dimensions(first, mapping.a),
        dimensions(second, mapping.b),
        tuple(order(n, old) for n, old in zip(counts, mapping.orders)),  # type: ignore[arg-type]
    )
    return _like(node, (first.node, second.node), (*batch.shape, *node.shape), (made,))


def _addresses(index: Node, numel: int, batch: Batch) -> Node:
    """Flat addresses within an example as flat addresses within the batch.

    One outside the example becomes one outside the batch, so that it fails and does not reach into
    a neighbour; one that counts from the example's end counts from its beginning.
    """
    size, none = b.const(numel, int64), b.const(0, int64)
    beyond = b.const(numel * prod(batch.shape), int64)
    within = b.where(index < none, b.add(index, size), index)
    moved = b.add(b.mul(batch.example_number(index.shape), size), within)
    return b.where((within >= none) & (within < size), moved, beyond)


def _gather(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    x, index = operands
    if not x.levels:
        return _like(node, (x.node, index.node), (*batch.shape, *node.shape))
    places = _addresses(batch.all_of(index), prod(x.example()), batch)
    return _like(node, (batch.all_of(x), places), (*batch.shape, *node.shape))


def _scatter(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    base, index, source = map(batch.all_of, operands)
    places = _addresses(index, prod(node.shape), batch)
    combine, distinct = node.attributes
    lead = len(batch.shape)
    return b.scatter(base, places, source, combine, (*range(lead), *(lead + d for d in distinct)))


def _host(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    """A NumPy function, called once for each example."""
    name, outputs, arguments = node.attributes
    wide = tuple(((*batch.shape, *shape), type_) for shape, type_ in outputs)
    varying = tuple(bool(x.levels) for x in operands)
    arrays = tuple(batch.all_of(x) if x.levels else x.node for x in operands)
    facts = (name, batch.shape, varying, outputs, arguments)
    return Node("host", arrays, (), node.dtype, ("each_example", wide, facts))


def _pick(node: Node, operands: list[Lifted], batch: Batch) -> Node:
    return _like(node, (operands[0].node,), (*batch.shape, *node.shape))


RULES: dict[str, Rule] = {
    "expand": _expand,
    "reshape": _reshape,
    "permute": _permute,
    "slice": _slice,
    "pad": _pad,
    "concat": _concat,
    "reduce": _reduce,
    "scan": _scan,
    "strided": _strided,
    "write": _write,
    "contract": _contract,
    "gather": _gather,
    "scatter": _scatter,
    "host": _host,
    "pick": _pick,
}  # all others are elementwise


@host_function
def each_example(*given: Any) -> tuple[Any, ...]:
    """The results of another host function for every example, stacked."""
    *arrays, name, shape, varying, outputs, arguments = given
    function = HOST_FUNCTIONS[name]
    made = [
        function(*(np.asarray(x[at]) if v else x for x, v in zip(arrays, varying)), *arguments)
        for at in product(*map(range, shape))
    ]
    if not made:
        return tuple(np.zeros((*shape, *one), type_.numpy) for one, type_ in outputs)
    return tuple(np.stack(each).reshape((*shape, *np.shape(each[0]))) for each in zip(*made))
