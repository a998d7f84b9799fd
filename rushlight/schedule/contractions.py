"""Contraction nodes become strided contractions: which loop runs in vectors, and which operand is
laid out for it.

In: a `contract` node over stored operands. Out: one contraction step (two where a long sum is cut
in parts). Invariant: the vector loop has unit stride in the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.layout import ordered_strides
from ..graph.node import ContractionMap, Node
from ..kernel.contraction import ACCUMULATORS, Axis, Contraction, split_sum
from ..kernel.contraction_forms import in_panels, panel_width
from .body import Slot
from .rebase import rebase_contraction

if TYPE_CHECKING:
    from .plan import Planner

PANEL_ELEMENTS = 1 << 14  # operands smaller than this stay in cache however they lie
SHARED = 4  # an operand of so many contractions is laid out once for all of them
Map = tuple[tuple[int, tuple[tuple[int, int], ...]], ...]


def contraction_step(planner: Planner, node: Node) -> None:
    """Append the step (or steps) that compute a contract node."""
    mapping: ContractionMap = node.attributes[0]
    a, b, out, panel = operands(planner, node, mapping)
    axes = []
    for loop, extent in enumerate(mapping.loops):
        c = out.strides[loop] if loop < mapping.rank else 0
        axes.append(Axis(f"l{loop}", extent, step(mapping.a, a, loop), step(mapping.b, b, loop), c))
    spec = Contraction(
        tuple(axes),
        dtype_a=a.dtype,
        dtype_b=b.dtype,
        dtype_c=out.dtype,
        a_offset=start(mapping.a, a),
        b_offset=start(mapping.b, b),
        c_offset=out.offset,
    )
    if panel:
        spec = in_panels(spec, node.inputs[1].numel // panel[0], panel[1])
    parts = planner.target.parts(spec)
    if parts is None:
        add_step(planner, node, spec, [a.place, b.place, out.place])
    else:
        add_parts(planner, node, spec, parts, (a, b, out))
    declared = planner.slots.get(id(node))
    planner.slots[id(node)] = out
    # an output that lies otherwise: elementwise users read it there
    if declared is not None and declared.place != out.place:
        planner.groups.copy(node, declared)
        order = tuple(sorted(range(node.ndim), key=lambda d: -out.strides[d]))
        planner.copies[(id(node), order)] = out
        planner.slots[id(node)] = declared
    planner.step_of[id(node)] = len(planner.steps) - 1


def add_step(planner: Planner, node: Node, spec: Contraction, places: list[int]) -> None:
    from .plan import Step

    spec, offsets = rebase_contraction(spec)
    planner.steps.append(Step("contract", places, [node], contraction=spec, offsets=offsets))


def add_parts(
    planner: Planner,
    node: Node,
    spec: Contraction,
    parts: tuple[int, int],
    slots: tuple[Slot, Slot, Slot],
) -> None:
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
    return sum(
        coefficient * stride
        for (_, terms), stride in zip(dims, slot.strides)
        for name, coefficient in terms
        if name == loop
    )


def start(dims: Map, slot: Slot) -> int:
    return slot.offset + sum(constant * stride for (constant, _), stride in zip(dims, slot.strides))


def operands(
    planner: Planner, node: Node, mapping: ContractionMap
) -> tuple[Slot, Slot, Slot, tuple[int, int] | None]:
    """Slots for both operands and the result, and (columns, panel width) where the second operand
    lies in panels.

    Either the op names the orders in which everything lies best, or operands are taken as they lie:
    the template packs what its vectors need.
    """
    a, b = node.inputs
    orders = mapping.orders
    if orders[0] is None or orders[1] is None or orders[2] is None:
        loop = vector_loop(planner, node, mapping)
        order = (*(d for d in range(mapping.rank) if d != loop), *([loop] if mapping.rank else []))
        shared = shared_order(planner, b, mapping, loop)
        first = planner.window(a) or planner.stored_as(a, tuple(range(a.ndim)))
        if shared is not None:
            out = result_slot(planner, node, order)
            return first, *paneled(planner, b, shared, mapping, out)
        second = planner.window(b) or planner.stored_as(b, tuple(range(b.ndim)))
        return first, second, result_slot(planner, node, order), None
    first = planner.stored_as(a, orders[0])
    out = result_slot(planner, node, orders[2])
    return first, *paneled(planner, b, orders[1], mapping, out)


def paneled(
    planner: Planner, b: Node, order: tuple[int, ...], mapping: ContractionMap, out: Slot
) -> tuple[Slot, Slot, tuple[int, int] | None]:
    """The second operand in an order of its dimensions, in panels where that is worth it; the
    result's slot; (columns, panel width).
    """
    width = panels(planner, b, order, mapping)
    if width is None:
        return planner.stored_as(b, order), out, None
    dim = order[-1]
    columns = b.shape[dim]
    key = (id(b), (*order, width))
    if key not in planner.copies:
        shape = (*b.shape[:dim], columns // width, width, *b.shape[dim + 1 :])
        cut = Node("reshape", (b,), shape, b.dtype)
        moved = [d + (d > dim) for d in order[:-1]]
        place = planner.stored_as(cut, (dim, *moved, dim + 1)).place
        planner.copies[key] = Slot(place, ordered_strides(b.shape, order), b.numel, b.dtype.name)
        planner.kept.append(cut)
    return planner.copies[key], out, (columns, width)


def shared_order(
    planner: Planner, b: Node, mapping: ContractionMap, loop: int
) -> tuple[int, ...] | None:
    """The order to lay out the second operand in, once for all its contractions: where it has many
    and each would pack it (the weight of a recurrent layer).
    """
    dims = [d for d, (_, terms) in enumerate(mapping.b) if terms == ((loop, 1),)]
    if len(dims) != 1 or b.ndim != 2 or planner.contractions_of[id(b)] < SHARED:
        return None
    return (1 - dims[0], dims[0])


def panels(
    planner: Planner, x: Node, order: tuple[int, ...], mapping: ContractionMap
) -> int | None:
    """The width of column panels to lay an operand out in, where it has to be copied anyway and the
    work is worth it.

    [rows, columns]  ->  [columns / width, rows, width]: a tile of the result then reads one
    contiguous stretch.
    """
    have = planner.window(x)
    wanted = ordered_strides(x.shape, order)
    if have is not None and all(n == 1 or a == b for n, a, b in zip(x.shape, have.strides, wanted)):
        return None
    columns = x.shape[order[-1]]
    plain = (
        mapping.b[order[-1]] == (0, ((mapping.b[order[-1]][1][0][0], 1),))
        if mapping.b[order[-1]][1]
        else False
    )
    width = panel_width(columns)
    return width if plain and width < columns and x.numel >= PANEL_ELEMENTS else None


def result_slot(planner: Planner, node: Node, order: tuple[int, ...]) -> Slot:
    """Where the result is computed: its output buffer if that lies right, else a temporary of the
    right order.
    """
    wanted = ordered_strides(node.shape, order)
    slot = planner.slots.get(id(node))
    last = next((d for d in reversed(order) if node.shape[d] > 1), None)
    if slot is not None and (last is None or slot.strides[last] == 1):
        return slot
    return planner.temporary(node, wanted)


def vector_loop(planner: Planner, node: Node, mapping: ContractionMap) -> int:
    """The output loop to run in vectors: one that a single operand depends on, in the order its
    result is wanted in.
    """
    declared = planner.slots.get(id(node))
    best: tuple[float, int] | None = None
    for side in (1, 0):
        x = node.inputs[side]
        window = planner.window(x)
        elsewhere = {name for _, terms in (mapping.a, mapping.b)[1 - side] for name, _ in terms}
        for dim, (_, terms) in enumerate((mapping.a, mapping.b)[side]):
            if (
                len(terms) != 1
                or terms[0][1] != 1
                or terms[0][0] >= mapping.rank
                or terms[0][0] in elsewhere
            ):
                continue
            loop = terms[0][0]
            extent = mapping.loops[loop]
            waste = (-(-extent // 16) * 16) / extent
            pack = 0.0 if window is not None and window.strides[dim] == 1 else float(x.numel)
            if side == 1 and shared_order(planner, x, mapping, loop) is not None:
                pack /= planner.contractions_of[id(x)]
            copy = 0.0 if declared is None or declared.strides[loop] == 1 else 2.0 * node.numel
            rank = float(node.numel) * _sum_length(mapping) / 16 * waste + pack + copy
            if best is None or rank < best[0]:
                best = rank, loop
    return best[1] if best is not None else mapping.rank - 1


def _sum_length(mapping: ContractionMap) -> int:
    length = 1
    for extent in mapping.loops[mapping.rank :]:
        length *= extent
    return length
