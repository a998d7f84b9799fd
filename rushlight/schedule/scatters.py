"""Scatters: elements combined into computed places of memory.

In: a `scatter` node. Out: a copy of its base, then one kernel. Invariants: elements that may meet
in one place are walked in order by one task, whatever the number of threads; dimensions in which
they never meet (`distinct`) are shared among tasks and lanes.

    for column in range(512) parallel vector:        # the gradient of an embedding
        for row in range(4096):
            table[512 * index[row] + column] += gradient[row, column]
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from ..base.layout import contiguous_strides
from ..graph.node import Node
from ..kernel.ir import Kernel, Loop, Statement, Store
from .body import Slot
from .groups import Group
from .index import combine
from .nests import TASK_ELEMENTS, join, replaced
from .rebase import rebase_kernel

if TYPE_CHECKING:
    from .plan import Planner

FEWEST_LANES = 8  # of a loop that runs in vectors
LINE = 64  # iterations of a vector loop in a task


def scatter_steps(planner: Planner, node: Node) -> None:
    """scatter(base, index, source)  ->  a copy of base, then the kernel that walks the index."""
    from .plan import Step

    slot = planner.slot_for(node)
    planner.groups.copy(node.inputs[0], slot)
    if node.inputs[1].numel:
        group = Group(planner, node.inputs[1].shape, len(planner.steps))
        planner.groups.fill(group, lambda: _lower(group, node, slot))
        kernel, offsets = rebase_kernel(_kernel(group, node.attributes[1]))
        body = group.body
        step = Step(
            "kernel", body.places, [node], kernel=kernel, scalars=body.scalars, offsets=offsets
        )
        planner.steps.append(step)
    planner.step_of[id(node)] = len(planner.steps) - 1


def _lower(group: Group, node: Node, slot: Slot) -> None:
    """The statements for one element; an index outside of the base is an IndexError."""
    _, index, source = node.inputs
    body, here = group.body, group.index()
    value = body.value(source, here)
    affine, checked = body.checked(node, node.numel, *body.parted(index, here))
    dense = contiguous_strides(node.shape)
    if any(n > 1 and a != b for n, a, b in zip(node.shape, slot.strides, dense)):
        flat = body.flat((1, 1), (affine, checked)) if checked else affine
        address, checked = body.address(
            slot.strides, body.position(flat, dense, node.shape), slot.offset
        )
    else:
        address = combine([(affine, 1)], slot.offset)
    kind = node.attributes[0]
    name = body.parameter(slot, "out" if kind == "set" else "inout")
    combined = None if kind == "set" else kind
    body.statements.append(Store(name, address, value, checked, combine=combined))


def _kernel(group: Group, distinct: Sequence[int]) -> Kernel:
    """Loops over distinct dimensions outside, shared among tasks; the others inside, in order."""
    body = group.body
    statements: list[Statement] = body.statements
    extents = {name: n for name, n in group.extents().items() if n > 1}
    for name in group.extents().keys() - extents.keys():
        statements = replaced(statements, name, ())
    names = [[name for name, n, _ in parts if n > 1] for parts in group.cuts]
    shared = [name for d in sorted(distinct) for name in names[d]]
    ordered = [name for d, each in enumerate(names) if d not in distinct for name in each]
    store = statements[-1]
    assert isinstance(store, Store)
    statements, shared = join(statements, shared, extents)
    statements, ordered = join(statements, ordered, extents)
    lanes = _lanes(statements, shared, extents)
    if lanes:
        shared.remove(lanes)
        shared.append(lanes)
    nest: Sequence[Statement] = statements
    for name in reversed(ordered):
        nest = (Loop(name, extents[name], tuple(nest)),)
    for name in reversed(shared):
        nest = (Loop(name, extents[name], tuple(nest), vector=name == lanes),)
    block = max(1, TASK_ELEMENTS // max(prod(extents[name] for name in ordered), 1))
    if lanes:
        block = max(LINE, block // LINE * LINE)
    parameters = tuple(body.parameters[p] for p in body.places)
    return Kernel("", parameters, tuple(body.scalar_types), tuple(nest), len(shared), block)


def _lanes(
    statements: Sequence[Statement], shared: Sequence[str], extents: dict[str, int]
) -> str | None:
    """The loop to run in vectors: the one that steps least through the memory written."""
    store = statements[-1]
    assert isinstance(store, Store)
    steps = {name: abs(store.address.coefficient(name)) for name in shared}
    moving = [name for name in shared if steps[name] and extents[name] >= FEWEST_LANES]
    return min(moving, key=lambda name: steps[name], default=None)


__all__ = ["scatter_steps"]
