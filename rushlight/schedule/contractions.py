"""Contraction nodes become strided contractions: which loop runs in vectors, and which operand is
laid out for it.

In: a `contract` node over stored operands. Out: one contraction step (two where a long sum is cut
in parts). Invariant: the vector loop has unit stride in the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..base.layout import ordered_strides
from ..graph.node import ContractionMap, Node
from ..kernel.contraction import ACCUMULATORS, Axis, Contraction, split_sum
from ..kernel.contraction_forms import in_panels, panel_width, rows_in_panels
from .body import Slot
from .epilogues import with_terms
from .rebase import rebase_contraction

if TYPE_CHECKING:
    from .plan import Planner

PANEL_ELEMENTS = 1 << 14  # operands smaller than this stay in cache however they lie
FAR_ROWS = 256  # elements: steps of a sum that lie so far apart share few sets of a cache
LONG_SUM = 512  # steps of a sum from which on that costs more than a copy ...
MANY_COLUMNS = 192  # ... whose every element is used so many times
SHARED = 4  # an operand of so many contractions is laid out once for all of them
# How the second operand of x.T @ y is read: the sum along its rows.
ALONG_ROWS = ((0, ((2, 1),)), (0, ((1, 1),)))
Map = tuple[tuple[int, tuple[tuple[int, int], ...]], ...]


def contraction_step(
    planner: Planner, node: Node, result: Node, terms: Sequence[Node] = ()
) -> None:
    """Append the step (or steps) that compute a contract node, or `result`, which adds terms to
    it.
    """
    mapping: ContractionMap = node.attributes[0]
    a, b, out, panel = operands(planner, node, mapping, result)
    height = None if panel else far_rows(planner, node, mapping, a)
    if height:
        a = turned_rows(planner, node.inputs[0], height)
        if mapping.b == ALONG_ROWS and out.strides[1] == 1:
            b, out, panel = paneled(planner, node.inputs[1], (0, 1), mapping, out, anyway=True)
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
    spec, added = with_terms(planner, spec, out, terms)
    if panel:
        spec = in_panels(spec, node.inputs[1].numel // panel[0], panel[1])
    if height:
        spec = rows_in_panels(spec, height)
    parts = planner.target.parts(spec)
    if parts is None:
        add_step(planner, result, spec, [a.place, b.place, out.place, *added])
    else:
        add_parts(planner, result, spec, parts, (a, b, out), added)
    node = result
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
    added: list[int],
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
    add_step(planner, node, total, [place, one, out.place, *added])


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
    planner: Planner, node: Node, mapping: ContractionMap, result: Node
) -> tuple[Slot, Slot, Slot, tuple[int, int] | None]:
    """Slots for both operands and the result, and (columns, panel width) where the second operand
    lies in panels.

    Either the op names the orders in which everything lies best, or operands are taken as they lie:
    the template packs what its vectors need.
    """
    a, b = node.inputs
    orders = mapping.orders
    if orders[0] is None or orders[1] is None or orders[2] is None:
        loop = vector_loop(planner, node, mapping, result)
        order = (*(d for d in range(mapping.rank) if d != loop), *([loop] if mapping.rank else []))
        shared = shared_order(planner, b, mapping, loop)
        first = as_it_lies(planner, a)
        if shared is not None:
            out = result_slot(planner, result, order)
            return first, *paneled(planner, b, shared, mapping, out)
        second = as_it_lies(planner, b)
        return first, second, result_slot(planner, result, order), None
    first = planner.stored_as(a, orders[0])
    out = result_slot(planner, result, orders[2])
    return first, *paneled(planner, b, orders[1], mapping, out)


def as_it_lies(planner: Planner, x: Node) -> Slot:
    """An operand where it is, or a copy of a window whose rows are not contiguous."""
    slot = planner.window(x)
    inside = x.op != "input" and id(x) not in planner.slots
    if slot is None or (inside and x.ndim and slot.strides[-1] != 1 < x.shape[-1]):
        return planner.stored_as(x, tuple(range(x.ndim)))
    return slot


def paneled(
    planner: Planner,
    b: Node,
    order: tuple[int, ...],
    mapping: ContractionMap,
    out: Slot,
    anyway: bool = False,
) -> tuple[Slot, Slot, tuple[int, int] | None]:
    """The second operand in an order of its dimensions, in panels where that is worth it; the
    result's slot; (columns, panel width).
    """
    width = panels(planner, b, order, mapping, anyway)
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


def far_rows(planner: Planner, node: Node, mapping: ContractionMap, a: Slot) -> int | None:
    """The height of panels to lay the rows of the first operand out in, [k, m]  ->
    [m / height, k, height], or None.

    That is worth a copy where each step of a long sum lies far from the last one: the transposed
    first operand of a weight gradient.
    """
    if mapping.rank != 2 or len(mapping.loops) != 3 or len(mapping.a) != 2 or a.strides[1] != 1:
        return None
    along = ((0, ((2, 1),)), (0, ((0, 1),)))
    rows, columns, length = mapping.loops
    height = panel_width(rows)
    worth = a.strides[0] >= FAR_ROWS and length >= LONG_SUM and columns >= MANY_COLUMNS
    return height if worth and mapping.a == along and height < rows else None


def turned_rows(planner: Planner, x: Node, height: int) -> Slot:
    """A matrix in panels of columns, as if it lay in rows: see `rows_in_panels`."""
    length, rows = x.shape
    cut = Node("reshape", (x,), (length, rows // height, height), x.dtype)
    key = (id(x), "rows", height)
    if key not in planner.copies:
        planner.copies[key] = planner.stored_as(cut, (1, 0, 2))
        planner.kept.append(cut)
    place = planner.copies[key].place
    return Slot(place, (rows, 1), x.numel, x.dtype.name, planner.copies[key].offset)


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
    planner: Planner, x: Node, order: tuple[int, ...], mapping: ContractionMap, anyway: bool
) -> int | None:
    """The width of column panels to lay an operand out in, where it has to be copied (`anyway`, or
    since it lies otherwise) or is used often, and the work is worth it.

    [rows, columns]  ->  [columns / width, rows, width]: a tile of the result then reads one
    contiguous stretch.
    """
    have = planner.window(x)
    wanted = ordered_strides(x.shape, order)
    lies = have is not None and all(
        n == 1 or a == b for n, a, b in zip(x.shape, have.strides, wanted)
    )
    if lies and not anyway and planner.contractions_of[id(x)] < SHARED:
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
    home = planner.home(node, wanted) if slot is None else None
    return home or planner.temporary(node, wanted)


def vector_loop(planner: Planner, node: Node, mapping: ContractionMap, result: Node) -> int:
    """The output loop to run in vectors: one that a single operand depends on, in the order its
    result is wanted in.
    """
    declared = planner.slots.get(id(result))
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
