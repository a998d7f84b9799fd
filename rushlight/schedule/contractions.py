"""Contraction nodes become strided contractions: which loop runs in vectors, and which operand is laid out for it.

In: a `contract` node over stored operands. Out: one contraction step (two where a long sum is cut in parts). Invariant:
the vector loop has unit stride in the result and in one operand, and unit or no stride in the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.layout import ordered_strides
from ..graph.node import ContractionMap, Node
from ..kernel.contraction import ACCUMULATORS, Axis, Contraction, split_sum
from .body import Slot

if TYPE_CHECKING:
    from .plan import Planner

Map = tuple[tuple[int, tuple[tuple[int, int], ...]], ...]


def contraction_step(planner: Planner, node: Node) -> None:
    """Append the step (or steps) that compute a contract node."""
    mapping: ContractionMap = node.attributes[0]
    a, b, out = operands(planner, node, mapping)
    axes = []
    for loop, extent in enumerate(mapping.loops):
        c = out.strides[loop] if loop < mapping.rank else 0
        axes.append(Axis(f"l{loop}", extent, step(mapping.a, a, loop), step(mapping.b, b, loop), c))
    spec = Contraction(
        tuple(axes), dtype_a=a.dtype, dtype_b=b.dtype, dtype_c=out.dtype, a_offset=start(mapping.a, a),
        b_offset=start(mapping.b, b), c_offset=out.offset,
    )  # fmt: skip
    parts = planner.target.parts(spec)
    if parts is None:
        add_step(planner, node, spec, [a.place, b.place, out.place])
    else:
        add_parts(planner, node, spec, parts, (a, b, out))
    declared = planner.slots.get(id(node))
    planner.slots[id(node)] = out
    if declared is not None and declared.place != out.place:  # an output that lies otherwise: elementwise users read it there
        planner.groups.copy(node, declared)
        order = tuple(sorted(range(node.ndim), key=lambda d: -out.strides[d]))
        planner.copies[(id(node), order)] = out
        planner.slots[id(node)] = declared
    planner.step_of[id(node)] = len(planner.steps) - 1


def add_step(planner: Planner, node: Node, spec: Contraction, places: list[int]) -> None:
    from .plan import Step

    planner.steps.append(Step("contract", places, [node], contraction=spec))


def add_parts(planner: Planner, node: Node, spec: Contraction, parts: tuple[int, int], slots: tuple[Slot, Slot, Slot]) -> None:
    """The parts of a long sum into a buffer of partial sums, then their sum in fixed order."""
    from ..base.dtype import DTYPES

    partial, total = split_sum(spec, *parts)
    kind = DTYPES[ACCUMULATORS[spec.dtype_a]]
    size = parts[1] * total.axes[0].a
    place = planner.memory("temporary", 0, size, kind)
    one = planner.one(kind)
    a, b, out = slots
    add_step(planner, node, partial, [a.place, b.place, place])
    add_step(planner, node, total, [place, one, out.place])


def step(dims: Map, slot: Slot, loop: int) -> int:
    """How far one step of a loop moves in an operand."""
    return sum(coefficient * stride for (_, terms), stride in zip(dims, slot.strides) for name, coefficient in terms if name == loop)


def start(dims: Map, slot: Slot) -> int:
    return slot.offset + sum(constant * stride for (constant, _), stride in zip(dims, slot.strides))


def operands(planner: Planner, node: Node, mapping: ContractionMap) -> tuple[Slot, Slot, Slot]:
    """Slots for both operands and the result, laid out so that one loop can run in vectors."""
    a, b = node.inputs
    orders = mapping.orders
    if orders[0] is not None and orders[1] is not None and orders[2] is not None:
        slots = planner.stored_as(a, orders[0]), planner.stored_as(b, orders[1])
        return (*slots, result_slot(planner, node, orders[2]))
    side, loop, dim = vector_loop(planner, node, mapping)
    vectors = (a, b)[side]
    other = (a, b)[1 - side]
    have = planner.window(vectors)
    if have is None or have.strides[dim] != 1:
        order = (*(d for d in range(vectors.ndim) if d != dim), dim)
        have = planner.stored_as(vectors, order)
    loose = planner.window(other) or planner.stored_as(other, tuple(range(other.ndim)))
    order = (*(d for d in range(mapping.rank) if d != loop), loop)
    out = result_slot(planner, node, order)
    return (have, loose, out) if side == 0 else (loose, have, out)


def result_slot(planner: Planner, node: Node, order: tuple[int, ...]) -> Slot:
    """Where the result is computed: its output buffer if that lies right, else a temporary of the right order."""
    wanted = ordered_strides(node.shape, order)
    slot = planner.slots.get(id(node))
    last = next((d for d in reversed(order) if node.shape[d] > 1), None)
    if slot is not None and (last is None or slot.strides[last] == 1):
        return slot
    return planner.temporary(node, wanted)


def vector_loop(planner: Planner, node: Node, mapping: ContractionMap) -> tuple[int, int, int]:
    """(operand 0 or 1, loop, that operand's dimension): the cheapest loop to run in vectors.

    A candidate indexes one dimension of one operand alone with step one, and does not occur in the other operand.
    """
    best: tuple[float, int, int, int] | None = None
    maps = (mapping.a, mapping.b)
    declared = planner.slots.get(id(node))
    for side in (1, 0):
        x = node.inputs[side]
        window = planner.window(x)
        elsewhere = {name for _, terms in maps[1 - side] for name, _ in terms}
        for dim, (_, terms) in enumerate(maps[side]):
            if len(terms) != 1 or terms[0][1] != 1 or terms[0][0] >= mapping.rank or terms[0][0] in elsewhere:
                continue
            loop = terms[0][0]
            used = sum(1 for _, other in maps[side] for name, _ in other if name == loop)
            if used != 1:
                continue
            extent = mapping.loops[loop]
            waste = (-(-extent // 16) * 16) / extent
            pack = 0.0 if window is not None and window.strides[dim] == 1 else float(x.numel)
            copy = 0.0 if declared is None or declared.strides[loop] == 1 else 2.0 * node.numel
            work = float(node.numel) * _sum_length(mapping) / 16
            rank = (work * waste + 2 * pack + copy, side, loop, dim)
            if best is None or rank[0] < best[0]:
                best = rank
    if best is None:
        return unit_vector_loop(planner, node, mapping)
    return best[1], best[2], best[3]


def unit_vector_loop(planner: Planner, node: Node, mapping: ContractionMap) -> tuple[int, int, int]:
    """No loop belongs to one operand alone (a batched dot product): any output loop, else a loop of length one."""
    for loop in range(mapping.rank - 1, -1, -1):
        for side, dims in ((1, mapping.b), (0, mapping.a)):
            for dim, (_, terms) in enumerate(dims):
                if terms == ((loop, 1),):
                    return side, loop, dim
    return 1, max(mapping.rank - 1, 0), 0


def _sum_length(mapping: ContractionMap) -> int:
    length = 1
    for extent in mapping.loops[mapping.rank :]:
        length *= extent
    return length
