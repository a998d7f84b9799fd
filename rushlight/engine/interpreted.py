"""Programs run by the NumPy meaning of their nodes, and programs checked against it.

In: the outputs of a graph. Out: objects that run as `Program` does. RUSHLIGHT_INTERPRET=1 chooses
`Interpreted`, RUSHLIGHT_CHECK=interp `Checked`. Invariant: nothing is compiled for `Interpreted`,
so it is a second opinion on everything below the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.dtype import dtype
from ..base.errors import InternalError
from ..base.layout import Layout
from ..graph.node import Node, ordered
from ..graph.printer import to_text
from ..kernel import convert
from ..runtime.buffer import Buffer
from . import interpret
from .failure import Incomplete

if TYPE_CHECKING:
    from .program import Program

# how far a compiled program may be from NumPy's, relative to the largest value it computes
TOLERANCE = {
    "float64": 1e-9,
    "complex128": 1e-9,
    "float32": 1e-4,
    "complex64": 1e-4,
    "float16": 2e-2,
    "bfloat16": 1e-1,
}


def value_of(
    node: Node, leaves: Sequence[Buffer], scalars: Sequence[Any], operands: list[Any]
) -> Any:
    """The array of one node."""
    if node.op == "input":
        place, layout = node.attributes
        return interpret.load(leaves[place].numpy(layout.dtype.numpy), layout)
    if node.op == "scalar":
        number = np.asarray(scalars[node.attributes[0]])
        return number.astype(convert.register_type(node.dtype.name))
    return interpret.evaluate(node, operands)


def values_of(
    order: Sequence[Node], leaves: Sequence[Buffer], scalars: Sequence[Any]
) -> dict[int, Any]:
    """The arrays of nodes given operands first, by the nodes' ids."""
    values: dict[int, Any] = {}
    for node in order:
        operands = [values[id(x)] for x in node.inputs]
        values[id(node)] = value_of(node, leaves, scalars, operands)
    return values


class Interpreted:
    """The nodes of a graph in order, each forgotten after its last use."""

    __slots__ = ("order", "outputs", "uses")
    replacements = ()  # nothing is computed in place (in_place.py)

    def __init__(self, outputs: list[tuple[Node, Layout]]) -> None:
        self.outputs = outputs
        self.order = ordered([node for node, _ in outputs])
        self.uses: dict[int, int] = {}
        for node in (*(x for n in self.order for x in n.inputs), *(n for n, _ in outputs)):
            self.uses[id(node)] = self.uses.get(id(node), 0) + 1

    def run(self, leaves: list[Buffer], scalars: list[Any], replaced: None = None) -> list[Buffer]:
        """A fresh buffer for each output; Incomplete where a node fails."""
        values: dict[int, Any] = {}
        failed: set[int] = set()
        first: tuple[Exception, Node] | None = None
        uses = dict(self.uses)
        for node in self.order:
            if any(id(x) in failed for x in node.inputs):
                failed.add(id(node))
                continue
            try:
                operands = [values[id(x)] for x in node.inputs]
                values[id(node)] = value_of(node, leaves, scalars, operands)
            except Exception as error:
                failed.add(id(node))
                first = first or (error, node)
            for x in node.inputs:
                uses[id(x)] -= 1
                if not uses[id(x)]:
                    del values[id(x)]
        made = [
            None if id(node) in failed else _stored(values[id(node)], layout)
            for node, layout in self.outputs
        ]
        if first is not None:
            raise Incomplete(made, *first)
        return [buffer for buffer in made if buffer is not None]


def _stored(values: np.ndarray, layout: Layout) -> Buffer:
    buffer = Buffer(layout.numel * layout.dtype.itemsize)
    interpret.store(values, layout, buffer.numpy(layout.dtype.numpy))
    return buffer


class Checked:
    """A compiled program and its NumPy meaning, run side by side and compared."""

    __slots__ = ("meaning", "program")
    replacements = ()  # both need the leaves as they are

    def __init__(self, program: Program, outputs: list[tuple[Node, Layout]]) -> None:
        self.program = program
        self.meaning = Interpreted(outputs)

    def run(self, leaves: list[Buffer], scalars: list[Any], replaced: None = None) -> list[Buffer]:
        """The compiled program's buffers; InternalError where one differs from its meaning."""
        made = self.program.run(leaves, scalars)
        expected = self.meaning.run(leaves, scalars)
        for number, (node, layout) in enumerate(self.meaning.outputs):
            problem = difference(made[number], expected[number], layout)
            if problem is not None:
                from .explain import step_lines

                raise InternalError(
                    f"output {number} ({node!r}) is not what its graph means: {problem}\n"
                    f"{to_text([node])}\nas planned:\n{step_lines(self.program.plan)}"
                )
        return made


def difference(own: Buffer, meant: Buffer, layout: Layout) -> str | None:
    """Where two buffers of a layout differ by more than rounding, in words."""
    x, y = (_elements(buffer, layout) for buffer in (own, meant))
    if layout.dtype.kind in ("bool", "int"):
        same = x == y
    else:
        finite = np.abs(y[np.isfinite(y)])
        scale = max(1.0, float(finite.max())) if finite.size else 1.0
        tolerance = TOLERANCE[layout.dtype.name]
        with np.errstate(all="ignore"):
            same = np.isclose(x, y, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
    if np.all(same):
        return None
    at = tuple(int(k) for k in np.argwhere(~np.atleast_1d(same))[0])
    return f"{np.atleast_1d(x)[at]} instead of {np.atleast_1d(y)[at]} at {list(at)}"


def _elements(buffer: Buffer, layout: Layout) -> np.ndarray:
    kind: dtype = layout.dtype
    return interpret.load(buffer.numpy(kind.numpy), layout)
