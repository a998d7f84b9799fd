"""Kernels that walk some dimensions in order: scatters, and scans.

In: a `scatter` node (elements combined into computed places of memory), or a `scan` node (running
sums). Out: for a scatter a copy of its base, then one kernel; for a scan one kernel. Invariants:
elements that may meet are walked in order by one task, whatever the number of threads; the other
dimensions (`distinct` ones of a scatter, all but the axis of a scan) are shared among tasks and
lanes.

    for column in range(512) parallel vector:        # the gradient of an embedding
        for row in range(4096):
            table[512 * index[row] + column] += gradient[row, column]
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from ..base.layout import contiguous_strides, ordered_strides
from ..graph.node import Node
from ..kernel.ir import Kernel, Let, Loop, Statement, Store
from .body import Slot
from .groups import Group, initial_value
from .index import combine
from .nests import COMBINES, TASK_ELEMENTS, Reduction, join, nested, replaced
from .rebase import rebase_kernel

if TYPE_CHECKING:
    from .plan import Planner

FEWEST_LANES = 8  # of a loop that runs in vectors
LINE = 64  # iterations of a vector loop in a task


def scatter_steps(planner: Planner, node: Node) -> None:
    """scatter(base, index, source)  ->  a copy of base, then the kernel that walks the index."""
    slot = planner.slot_for(node)
    planner.groups.copy(node.inputs[0], slot)
    if node.inputs[1].numel:
        group = Group(planner, node.inputs[1].shape, len(planner.steps))
        planner.groups.fill(group, lambda: _scatter(group, node, slot))
        _append(planner, group, node, _kernel(group, node.attributes[1]))
    planner.step_of[id(node)] = len(planner.steps) - 1


def scan_step(planner: Planner, node: Node) -> None:
    """scan(x)  ->  the kernel that carries the running value along the axis."""
    axis = node.attributes[1]
    (x,) = node.inputs
    slot = planner.slot_for(node, ordered_strides(x.shape, planner.groups.natural_order(x)))
    group = Group(planner, x.shape, len(planner.steps))
    running: list[Reduction] = []
    planner.groups.fill(group, lambda: running.append(_scan(group, node, slot)))
    others = [d for d in range(x.ndim) if d != axis]
    _append(planner, group, node, _kernel(group, others, running[-1:]))
    planner.step_of[id(node)] = len(planner.steps) - 1


def _append(planner: Planner, group: Group, node: Node, whole: Kernel) -> None:
    from .plan import Step

    kernel, offsets = rebase_kernel(whole)
    body = group.body
    planner.steps.append(
        Step("kernel", body.places, [node], kernel=kernel, scalars=body.scalars, offsets=offsets)
    )


def _scatter(group: Group, node: Node, slot: Slot) -> None:
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


def _scan(group: Group, node: Node, slot: Slot) -> Reduction:
    """The statements for one element: the value so far joined with it; float32 is summed up in
    float64, as PyTorch does.
    """
    body, here = group.body, group.index()
    kind = node.attributes[0]
    wide = "float64" if node.dtype.name == "float32" else node.dtype.name
    value = body.value(node.inputs[0], here)
    if wide != node.dtype.name:
        value = body.let("cast", (value,), wide)
    running = Reduction("r0", "s0", value, "n0", kind, wide)
    body.statements.append(Let("n0", COMBINES[kind], ("r0", value), wide))
    result = "n0" if wide == node.dtype.name else body.let("cast", ("n0",), node.dtype.name)
    body.store(slot, here, result)
    return running


def _kernel(group: Group, distinct: Sequence[int], running: Sequence[Reduction] = ()) -> Kernel:
    """Loops over distinct dimensions outside, shared among tasks; the others inside, in order."""
    body = group.body
    statements: list[Statement] = body.statements
    extents = {name: n for name, n in group.extents().items() if n > 1}
    for name in group.extents().keys() - extents.keys():
        statements = replaced(statements, name, ())
    names = [[name for name, n, _ in parts if n > 1] for parts in group.cuts]
    shared = [name for d in sorted(distinct) for name in names[d]]
    ordered = [name for d, each in enumerate(names) if d not in distinct for name in each]
    statements, shared = join(statements, shared, extents)
    statements, ordered = join(statements, ordered, extents)
    lanes = _lanes(statements, shared, extents)
    if lanes:
        shared.remove(lanes)
        shared.append(lanes)
    if running and not ordered:  # one step in order: a loop of its own, for what it carries
        ordered, extents = ["once"], {**extents, "once": 1}
    nest: Sequence[Statement] = statements
    if ordered:
        nest = nested(statements, ordered, extents, running, vector=False)
    initials = [
        Let(r.initial, "const", (), r.dtype, (initial_value(r.combine, r.dtype),)) for r in running
    ]
    nest = (*initials, *nest)
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
    store = next(s for s in statements if isinstance(s, Store))
    steps = {name: abs(store.address.coefficient(name)) for name in shared}
    moving = [name for name in shared if steps[name] and extents[name] >= FEWEST_LANES]
    return min(moving, key=lambda name: steps[name], default=None)


__all__ = ["scan_step", "scatter_steps"]
