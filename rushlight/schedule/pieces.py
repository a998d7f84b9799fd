"""Steps that are no single kernel: concatenation, writes into part of a buffer, and NumPy's steps.

In: `concat`, `write` and uncompiled nodes. Out: steps. Invariant: the pieces of a concatenation
fill its buffer between them, so no other step writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.layout import Layout, layout_of, ordered_strides
from ..graph.node import Node
from .body import Slot

if TYPE_CHECKING:
    from .plan import Planner


def concat_steps(planner: Planner, node: Node) -> None:
    """cat(x, y)  ->  kernels that store x and y into windows of one buffer, where they are not
    computed there already.
    """
    (axis,) = node.attributes
    largest = max(node.inputs, key=lambda x: x.numel)
    slot = planner.slot_for(
        node, ordered_strides(node.shape, planner.groups.natural_order(largest))
    )
    at = slot.offset
    last = -1
    for x in node.inputs:
        window = Slot(slot.place, slot.strides, slot.size, slot.dtype, at)
        at += x.shape[axis] * slot.strides[axis]
        if x.numel and planner.slots.get(id(x)) != window:
            last = max(last, planner.groups.piece(x, window))
        elif x.numel:
            last = max(last, planner.step_of[id(x)])
    planner.step_of[id(node)] = last


def write_steps(planner: Planner, node: Node) -> None:
    """memory with a window overwritten  ->  a copy of the memory, then the window's kernel."""
    strides, offset = node.attributes
    flat, value = node.inputs
    slot = planner.slot_for(node)
    planner.groups.copy(flat, slot)
    if value.numel:
        planner.groups.copy(value, Slot(slot.place, strides, slot.size, slot.dtype, offset))
    planner.step_of[id(node)] = len(planner.steps) - 1


def numpy_step(planner: Planner, node: Node) -> None:
    """A node computed by its NumPy meaning, over windows of stored operands."""
    from .plan import Step

    if node.op == "host":
        return  # its results are stored when they are picked
    if node.op == "pick":
        _pick(planner, node)
        return
    slot = planner.slot_for(node)
    step = Step("numpy", [slot.place], [node], operands=[_operand(planner, x) for x in node.inputs])
    step.result = _layout(node, slot)
    planner.steps.append(step)
    planner.step_of[id(node)] = len(planner.steps) - 1


def numpy_copy(planner: Planner, node: Node, slot: Slot) -> None:
    """A node stored in another place, by NumPy."""
    from .plan import Step

    copy = Node("copy", (node,), node.shape, node.dtype)
    step = Step("numpy", [slot.place], [copy], operands=[_operand(planner, node)])
    step.result = _layout(node, slot)
    planner.steps.append(step)


def _pick(planner: Planner, node: Node) -> None:
    """The results of a host function: all of them are stored by one step, when the first is asked
    for.
    """
    from .plan import Step

    host = node.inputs[0]
    slot = planner.slot_for(node)
    step = planner.hosts.get(id(host))
    if step is None:
        step = Step("numpy", [], [host], operands=[_operand(planner, x) for x in host.inputs])
        planner.hosts[id(host)] = step
        planner.steps.append(step)
    step.places.append(slot.place)
    step.picks.append((node.attributes[0], _layout(node, slot)))
    planner.step_of[id(node)] = planner.steps.index(step)


def _layout(node: Node, slot: Slot) -> Layout:
    return layout_of(node.shape, slot.strides, slot.offset, node.dtype)


def _operand(planner: Planner, x: Node) -> tuple[int, Layout] | int | Node:
    """Where an operand is found: a window of a buffer, the place of a number, or a constant node
    itself.
    """
    if x.op == "scalar":
        return int(x.attributes[0])
    if x.op == "const" or not x.numel:
        return x
    window = planner.window(x)
    if window is None:
        window = planner.stored_as(x, tuple(range(x.ndim)))
    return window.place, layout_of(x.shape, window.strides, window.offset, x.dtype)
