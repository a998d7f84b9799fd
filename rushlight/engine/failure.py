"""When a program fails: what can still be computed, and an error that names the user's line.

In: the step that failed. Out: the buffers of all outputs that do not depend on it, and an exception
that says which operation failed, on which line of the user's, and on what. Invariant: nothing here
costs anything while programs run well.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import CodeType
from typing import Any

import numpy as np

from ..graph.node import Node, ordered
from ..graph.trace import Trace
from ..runtime.buffer import Buffer
from ..schedule.assemble import Assembler
from ..schedule.plan import Step

MOST_NODES = 1000  # an index is looked at only where it is made of few operations,
MOST_ELEMENTS = 1 << 22  # and of few numbers

# What PyTorch says of an index outside, where that is not "index out of bounds": scripts match it.
SAID = {"embedding": "index out of range in self"}


class Incomplete(Exception):
    """Some steps of a program failed.

    `buffers` has None for every output that could not be made, `node` is what failed (if known)
    and `error` the first failure.
    """

    def __init__(
        self, buffers: Sequence[Buffer | None], error: Exception, node: Node | None
    ) -> None:
        super().__init__(str(error))
        self.buffers = buffers
        self.error = error
        self.node = node


def written(step: Step) -> set[int]:
    """The buffers that a step writes."""
    if step.kernel is not None:
        modes = (parameter.mode for parameter in step.kernel.parameters)
        return {place for place, mode in zip(step.places, modes) if mode != "in"}
    return {step.places[2]} if step.contraction is not None else set(step.places)


def touched(step: Step) -> set[int]:
    """The buffers that a step reads or writes."""
    return {*step.places, *(x[0] for x in step.operands if isinstance(x, tuple))}


def explained(failure: Incomplete, trace: Trace) -> Exception:
    """The failure as the user should see it: with the operation, its operands and the line."""
    error, node = failure.error, failure.node
    if node is not None and node.op == "gather" and node.attributes:  # a condition, no index
        error = RuntimeError(*node.attributes)
    if node is None or not 0 <= node.origin < len(trace.entries):
        return error
    signature = trace.entries[node.origin]
    line = line_of(trace, node.origin)
    where = f"{signature.op.__name__}()" + (f" at {line}" if line else "")
    if isinstance(error, IndexError) and error.args:
        operands = ", ".join(str(x.attributes[1]) for x in signature.inputs)
        bounds = index_bounds(trace, node.origin)
        said = SAID.get(signature.op.__name__, error.args[0])
        return IndexError(f"{said}{bounds}: {where}, given {operands}")
    error.add_note(f"in {where}")
    return error


def line_of(trace: Trace, position: int) -> str:
    """file:line of the user's call that recorded the entry at a position; "" where not kept."""
    for at, code, instruction in trace.lines:
        if at == position:
            return f"{code.co_filename}:{line_number(code, instruction)}"
    return ""


def line_number(code: CodeType, instruction: int) -> int:
    """The line of an instruction of a code object."""
    for start, stop, line in code.co_lines():
        if start <= instruction < stop and line is not None:
            return line
    return code.co_firstlineno


def index_bounds(trace: Trace, position: int) -> str:
    """What range the indices of a recorded operation cover, in words, where that is cheap to
    know.
    """
    from .interpreted import values_of

    found = []
    for node in _integer_operands(trace, position):
        order = ordered([node])
        if len(order) > MOST_NODES or max(n.numel for n in order) > MOST_ELEMENTS:
            continue
        try:
            values = values_of(order, trace.leaves, trace.scalars)[id(node)]
        except Exception:  # an index that is itself made by what failed
            continue
        if values.size:
            found.append(f"indices from {int(np.min(values))} to {int(np.max(values))}")
    return f" ({', '.join(found)})" if found else ""


def _integer_operands(trace: Trace, position: int) -> list[Node]:
    assembler = Assembler()
    entries: list[Any] = trace.entries
    at = 0
    while at < position:
        assembler.expand(entries[at], entries[at + 1 : at + 1 + entries[at].arity])
        at += 1 + entries[at].arity
    signature = entries[at]
    places = entries[at + 1 : at + 1 + signature.arity]
    layouts = [x.attributes[1] for x in signature.inputs]
    return [
        assembler.operand(place, layout)
        for place, layout in zip(places, layouts)
        if layout.dtype.kind == "int"
    ]
