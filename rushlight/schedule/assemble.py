"""From a trace to one graph: every recorded op's expansion, joined at its operands, equal nodes
made once.

In: a trace's entries. Out: for each value of the trace its node and declared layout. Invariants: an
operand that is a view of a value becomes a `strided` node over it; a view of a leaf becomes an
`input` node with the view's own layout; `scalar` nodes carry their place in the trace's list of
numbers.
"""

from __future__ import annotations

from typing import Any

from ..base.layout import Layout
from ..graph.build import bitcast, strided
from ..graph.node import Node, facts
from ..ops.registry import Signature


class Assembler:
    """Rebuilds the expansions of a trace's signatures over shared nodes (equal nodes are the same
    object).
    """

    def __init__(self) -> None:
        self.known: dict[tuple[Any, ...], Node] = {}
        self.values: list[tuple[Node, Layout]] = []
        self.scalars = 0
        self.at = 0  # the entry being expanded

    def make(
        self,
        op: str,
        inputs: tuple[Node, ...],
        shape: tuple[int, ...],
        dtype: Any,
        attributes: tuple[Any, ...],
    ) -> Node:
        """The one node of these facts."""
        key = (op, tuple([id(x) for x in inputs]), shape, dtype, facts(op, attributes))
        node = self.known.get(key)
        if node is None:
            node = self.known[key] = Node(op, inputs, shape, dtype, attributes)
            node.origin = self.at
        return node

    def share(self, node: Node) -> Node:
        return self.make(node.op, node.inputs, node.shape, node.dtype, node.attributes)

    def operand(self, place: int, layout: Layout) -> Node:
        """The value at a place of the trace, seen through a layout."""
        if place < 0:
            return self.make("input", (), layout.shape, layout.dtype, (-1 - place, layout))
        node, own = self.values[place]
        if own is layout:
            return node
        if own.dtype is not layout.dtype:
            node = self.share(bitcast(node, layout.dtype))
        return self.share(strided(node, own.strides, layout.shape, layout.strides, layout.offset))

    def expand(self, signature: Signature, places: list[int]) -> None:
        """Append the values of one recorded op."""
        there: dict[int, Node] = {}
        for placeholder, place in zip(signature.inputs, places):
            there[id(placeholder)] = self.operand(place, placeholder.attributes[1])
        for placeholder in signature.scalars:
            there[id(placeholder)] = self.make("scalar", (), (), placeholder.dtype, (self.scalars,))
            self.scalars += 1
        for node in signature.inside:
            inputs = tuple([there[id(x)] for x in node.inputs])
            there[id(node)] = self.make(node.op, inputs, node.shape, node.dtype, node.attributes)
        for out, layout in zip(signature.outputs, signature.layouts):
            self.values.append((there[id(out)], layout.whole))


def assemble(entries: list[Any]) -> list[tuple[Node, Layout]]:
    """The (node, declared layout) of every value that the entries make."""
    assembler = Assembler()
    at = 0
    while at < len(entries):
        signature: Signature = entries[at]
        assembler.at = at
        assembler.expand(signature, entries[at + 1 : at + 1 + signature.arity])
        at += 1 + signature.arity
    return assembler.values
