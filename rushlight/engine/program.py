"""A program: what a trace of one structure compiles to.

In: a trace's entries and the values wanted. Out: an object whose `run(leaves, scalars)` gives a buffer for each of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.layout import Layout
from ..graph.node import Node, ordered
from ..kernel import convert
from ..runtime.buffer import Buffer
from ..schedule.assemble import assemble
from . import interpret


class Program:
    """The nodes of a graph in order, interpreted."""

    __slots__ = ("order", "outputs", "uses")

    def __init__(self, outputs: list[tuple[Node, Layout]]) -> None:
        self.outputs = outputs
        self.order = ordered([node for node, _ in outputs])
        self.uses: dict[int, int] = {}
        for node in self.order:
            for operand in node.inputs:
                self.uses[id(operand)] = self.uses.get(id(operand), 0) + 1
        for node, _ in outputs:
            self.uses[id(node)] = self.uses.get(id(node), 0) + 1

    def run(self, leaves: list[Buffer], scalars: list[Any]) -> list[Buffer]:
        values: dict[int, Any] = {}
        uses = dict(self.uses)
        for node in self.order:
            values[id(node)] = self._value(node, leaves, scalars, values)
            for operand in node.inputs:
                uses[id(operand)] -= 1
                if not uses[id(operand)]:
                    del values[id(operand)]
        made = []
        for node, layout in self.outputs:
            buffer = Buffer(layout.numel * layout.dtype.itemsize)
            interpret.store(values[id(node)], layout, buffer.numpy(layout.dtype.numpy))
            made.append(buffer)
        return made

    def _value(self, node: Node, leaves: list[Buffer], scalars: list[Any], values: dict[int, Any]) -> Any:
        if node.op == "input":
            place, layout = node.attributes
            return interpret.load(leaves[place].numpy(layout.dtype.numpy), layout)
        if node.op == "scalar":
            return np.asarray(scalars[node.attributes[0]]).astype(convert.register_type(node.dtype.name))
        return interpret.evaluate(node, [values[id(x)] for x in node.inputs])


def build(entries: list, wanted: list[int]) -> Program:
    """The program of a trace."""
    values = assemble(entries)
    return Program([values[k] for k in wanted])
