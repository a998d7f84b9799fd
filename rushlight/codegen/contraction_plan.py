"""How a contraction is run: register tile, loop order, cache blocks, tasks.

In: a `Contraction` and an `Isa`. Out: a `Plan`, plain numbers that the emitter writes down.
Invariant: a plan depends on the problem and the instruction set only, never on threads, timing or
what ran before; so the order of every sum is fixed and results are bit-identical for any
number of threads.

The loops fall into four groups. With A read as scalars and B as vectors (the roles are swapped if
need be):

    batch   both operands and C move       one matrix product for each step
    column  B and C move                   innermost: the vector axis, `vectors` registers a tile
    row     A and C move                   innermost: `rows` of a tile
    sum     A and B move, C does not       run inside the tile, accumulators in registers

    for task: for batch: for block of sum: for column tile: for row tile: tile

so that a tile-wide panel of B stays in the first- or second-level cache while rows stream past.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, prod

from rushlight.codegen.isa import Isa
from rushlight.kernel.contraction import Axis, Contraction, extra_buffers, reach, simplify

ITEM_BYTES = {
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
}

# A task should be worth this many multiplications, and there should be about this many tasks:
# enough to share evenly between threads, few enough to keep panels in cache.
TASK_MULTIPLICATIONS = 500_000
MOST_TASKS = 64
# Estimated loss for each kind of smaller tile at an edge: mostly the time to compile it.
EDGE_PENALTY = 0.05
# More rows than this, at distances of a large power of two, push each other out of the cache.
CROWDED_ROWS = 8
CROWDED_PENALTY = 0.15
# A panel of B, tile-wide, that many row tiles read in turn.
PANEL_BYTES = 96 * 1024
# A panel whose rows lie this many bytes apart is copied when as many row tiles read it.
PACK_STRIDE = 1024
# The same where A, too, is read across its rows: each step of the sum then meets new cache lines.
PACK_STRIDE_ACROSS = 768
PACK_ROW_TILES = 4
# Sums that cannot be cut (C is narrower than the accumulator) have panels of at most this length.
LONGEST_WHOLE_SUM = 4096
# What bringing one element of A or B into a task costs, in multiplications: read, or packed.
READ_COST = 6
PACK_COST = 20
# A sum is split until a task has this many tiles, into at most so many parts of at least this
# many products to a result (each part costs one more addition and its memory).
TASK_TILES = 48
MOST_PARTS = 32
# A loop of the sum of so many steps may as well be told its number when it runs.
LONG_LOOP = 16
# Operands that together are smaller stay in a core's cache however many tasks read them.
NEAR_BYTES = 2 << 20
PART_LENGTH = 256
FEWEST_PARTS = 4  # fewer save less than their addition costs


@dataclass(frozen=True)
class Loop:
    """`extent` steps, each moving by `strides` elements in A, B, C and the extra buffers."""

    extent: int
    strides: tuple[int, ...]

    def every(self, steps: int) -> Loop:
        """The loop over blocks of `steps` steps."""
        return Loop(ceil(self.extent / steps), tuple(stride * steps for stride in self.strides))


@dataclass(frozen=True)
class Tile:
    """Registers: `rows` x `vectors`, the element offsets of each row in every operand."""

    offsets: tuple[tuple[int, ...], ...]
    vectors: int
    lanes: int

    @property
    def rows(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True)
class Plan:
    """See the module head. The last loop of `rows` and `columns` counts tiles.

    `edge_rows` and `edge_columns` are the sizes of the last tile where it is smaller, else 0.
    The sum is cut at loop `cut` into blocks of `block` steps: the loops before it and its blocks
    are run by the driver, the rest by the tile. With `packed` the driver copies each panel of B
    before its row tiles run; with `paired` it interleaves rows two by two, for instructions that
    sum two products of bfloat16 at once. `grid` is the number of steps of the flat (batch, row,
    column) loops that make one task.
    """

    spec: Contraction
    swapped: bool
    tile: Tile
    width: int
    vector_strides: tuple[int, ...]
    batch: tuple[Loop, ...]
    rows: tuple[Loop, ...]
    columns: tuple[Loop, ...]
    sums: tuple[Loop, ...]
    edge_rows: int
    edge_columns: int
    cut: int
    block: int
    grid: tuple[int, int, int]
    packed: bool = False
    paired: bool = False

    @property
    def turned(self) -> bool:
        """Whether B does not run along the vector axis: its panels must be packed, transposed."""
        return self.vector_strides[1] not in (0, 1)

    @property
    def panel_steps(self) -> int:
        """Steps of the sum that one tile takes in one visit, at most."""
        return self.block * count(self.sums[self.cut + 1 :])

    @property
    def blocked(self) -> bool:
        """Whether a tile is visited more than once, its sum resting in C meanwhile."""
        return self.cut > 0 or self.block < self.sums[0].extent

    @property
    def counted(self) -> bool:
        """Whether the steps of the cut loop are told when a tile is called: few of them, such as
        the columns of a filter, are written out.
        """
        return self.blocked or self.sums[self.cut].extent >= LONG_LOOP

    @property
    def counts(self) -> tuple[int, int, int]:
        """Steps of the flat batch, row and column loops."""
        return count(self.batch), count(self.rows), count(self.columns)

    @property
    def tasks(self) -> int:
        """How many independent tasks there are."""
        return prod(ceil(size / step) for size, step in zip(self.counts, self.grid, strict=True))


def count(loops: tuple[Loop, ...]) -> int:
    """Steps of a nest of loops."""
    return prod(loop.extent for loop in loops)


@lru_cache(maxsize=1024)
def make_plan(spec: Contraction, isa: Isa) -> Plan:
    """Contraction -> plan: simplify, choose the vector axis, the tile, the blocks, the tasks."""
    spec, vector, swapped = _choose_vector(simplify(spec))
    lanes = isa.lanes(ITEM_BYTES[spec.accumulator]) if vector is not None else 1
    loops = {
        index: Loop(axis.extent, spec.strides(index))
        for index, axis in enumerate(spec.axes)
        if index != vector
    }
    outer = [loop for loop in loops.values() if loop.strides[2] != 0]
    batch = [loop for loop in outer if loop.strides[0] != 0 and loop.strides[1] != 0]
    column = [loop for loop in outer if loop.strides[0] == 0 and loop.strides[1] != 0]
    # Near rows first: of equally good ways to take rows, the first is taken.
    row = [*reversed(_far_to_near([loop for loop in outer if loop.strides[1] == 0]))]
    operands = 3 + len(extra_buffers(spec))
    sums = _far_to_near([loop for loop in loops.values() if loop.strides[2] == 0])
    # A product without a sum is a sum of one.
    sums = sums or (Loop(1, (0,) * operands),)
    width = 1 if vector is None else spec.axes[vector].extent
    vector_strides = (0,) * operands if vector is None else spec.strides(vector)
    tile, row_loops, edge_rows = _choose_tile(
        row, width, lanes, vector_strides, count(sums), ITEM_BYTES[spec.dtype_a], isa
    )
    tile_width = tile.vectors * lanes
    vector_loop = Loop(width, vector_strides)
    plan = Plan(
        spec=spec,
        swapped=swapped,
        tile=tile,
        width=width,
        vector_strides=vector_strides,
        batch=_far_to_near(batch),
        rows=row_loops,
        columns=(*_far_to_near(column), vector_loop.every(tile_width)),
        sums=sums,
        edge_rows=edge_rows,
        edge_columns=width % tile_width,
        cut=0,
        block=sums[0].extent,
        grid=(1, 1, 1),
    )
    plan = _block_sum(replace(plan, paired=isa.bf16_dot and _may_pair(plan)))
    plan = replace(plan, grid=_choose_grid(plan))
    worth = _scattered(plan) and plan.grid[1] >= PACK_ROW_TILES
    needed = plan.turned or plan.paired
    return replace(plan, packed=count(sums) > 0 and (needed or worth))


def _far_to_near(loops: list[Loop]) -> tuple[Loop, ...]:
    return tuple(
        sorted(loops, key=lambda loop: tuple(abs(stride) for stride in loop.strides), reverse=True)
    )


def _choose_vector(spec: Contraction) -> tuple[Contraction, int | None, bool]:
    """The axis that vectors run along, and the roles swapped if it is A that has vectors.

    It must be contiguous in C. Best, the operands are contiguous along it too, or constant; an
    operand that moves otherwise is turned while its panels are packed, if the other one is
    constant. None when there is no such axis: one lane is then used.
    """
    best, best_rank = None, (False, 0, 0)
    for index, axis in enumerate(spec.axes):
        extras = all(stride in (0, 1) for stride in spec.strides(index)[3:])
        natural = axis.a in (0, 1) and axis.b in (0, 1)
        if axis.c == 1 and extras and (natural or _may_turn(spec, axis)):
            rank = natural, min(axis.extent, 64), axis.b
            if best is None or rank > best_rank:
                best, best_rank = index, rank
    if best is not None and spec.axes[best].b == 0 and spec.axes[best].a != 0:
        return _swap(spec), best, True
    return spec, best, False


def _may_turn(spec: Contraction, axis: Axis) -> bool:
    """Whether one operand is constant along the axis and a panel of the other fits on the stack."""
    if axis.a != 0 and axis.b != 0:
        return False
    length = prod(each.extent for each in spec.axes if each.c == 0)
    return spec.dtype_c == spec.accumulator or length <= LONGEST_WHOLE_SUM


def _swap(spec: Contraction) -> Contraction:
    return replace(
        spec,
        axes=tuple(Axis(axis.name, axis.extent, axis.b, axis.a, axis.c) for axis in spec.axes),
        dtype_a=spec.dtype_b,
        dtype_b=spec.dtype_a,
        a_offset=spec.b_offset,
        b_offset=spec.a_offset,
    )


@dataclass(frozen=True)
class _RowChoice:
    """A way to take rows: `extent` of them in a run, `repeats` runs, the heights a tile may have.

    `inner` is a row loop; with `outer` it is taken whole together with some steps of that one.
    """

    inner: int | None
    outer: int | None
    extent: int
    repeats: int
    heights: tuple[int, ...]


def _row_choices(row: list[Loop], most_rows: int) -> list[_RowChoice]:
    """Every row loop by itself, then a short loop with another, as 7 columns of two images."""
    if not row:
        return [_RowChoice(None, None, 1, 1, (1,))]
    choices = []
    for inner, loop in enumerate(row):
        repeats = prod(other.extent for index, other in enumerate(row) if index != inner)
        heights = tuple(range(1, max(1, min(loop.extent, most_rows)) + 1))
        choices.append(_RowChoice(inner, None, loop.extent, repeats, heights))
        for outer, other in enumerate(row):
            if outer == inner or not 0 < 2 * loop.extent <= most_rows:
                continue
            heights = tuple(
                loop.extent * steps
                for steps in range(2, most_rows // loop.extent + 1)
                if other.extent % steps == 0
            )
            extent = loop.extent * other.extent
            choices.append(_RowChoice(inner, outer, extent, repeats // other.extent, heights))
    return choices


def _choose_tile(
    row: list[Loop],
    width: int,
    lanes: int,
    vector_strides: tuple[int, ...],
    sum_length: int,
    item_bytes: int,
    isa: Isa,
) -> tuple[Tile, tuple[Loop, ...], int]:
    """The register tile with the least estimated time, the loops over tiles, the edge rows."""
    vectors_needed = max(1, ceil(width / lanes))
    best: tuple[float, int, int, int] | None = None
    choices: dict[tuple[int, int], _RowChoice] = {}
    for vectors in range(1, min(vectors_needed, 8) + 1):
        # A quarter of the registers is for operands; very wide tiles are for single rows.
        most_rows = isa.registers * 3 // 4 // vectors if vectors <= 4 else 1
        if most_rows < 1:
            break
        for index, choice in enumerate(_row_choices(row, most_rows)):
            choices[vectors, index] = choice
            for height in choice.heights:
                cost = choice.repeats * sum(
                    many * each * _tile_cost(rows, part, vector_strides, sum_length)
                    for many, rows in _pieces(choice.extent, height)
                    for each, part in _pieces(vectors_needed, vectors)
                )
                edges = (choice.extent % height > 0) + (vectors_needed % vectors > 0)
                cost *= 1 + EDGE_PENALTY * edges
                if height > CROWDED_ROWS and _crowded(row, choice, item_bytes):
                    cost *= 1 + CROWDED_PENALTY
                # Of equals, the wider: each row of C is then written in one go.
                key = cost, index, -vectors, height
                best = min(best or key, key)
    assert best is not None
    index, vectors, height = best[1], -best[2], best[3]
    choice = choices[vectors, index]
    offsets, loops = _tile_rows(row, choice, height, len(vector_strides))
    return Tile(offsets, vectors, lanes), loops, choice.extent % height


def _crowded(row: list[Loop], choice: _RowChoice, item_bytes: int) -> bool:
    """Whether the rows of A lie so that they share a few sets of the first-level cache."""
    if choice.inner is None:
        return False
    distance = row[choice.inner].strides[0] * item_bytes
    return distance != 0 and distance % 1024 == 0


def _pieces(extent: int, size: int) -> list[tuple[int, int]]:
    """(how many, how long) for the pieces of `extent` in steps of `size`."""
    whole, rest = divmod(extent, size)
    return [(whole, size)] + ([(1, rest)] if rest else [])


def _tile_cost(rows: int, vectors: int, vector_strides: tuple[int, ...], length: int) -> float:
    """Estimated cycles of one tile: multiplications against loads, and the way in and out."""
    scalars = vector_strides[0] == 0
    loads = vectors * (vector_strides[1] != 0) + (0.5 * rows if scalars else rows * vectors)
    products = max(rows * vectors, 8)
    return length * (max(products, loads) + 0.3 * loads) + 4 * rows * vectors + 40


def _tile_rows(
    row: list[Loop], choice: _RowChoice, height: int, operands: int
) -> tuple[tuple[tuple[int, ...], ...], tuple[Loop, ...]]:
    """Offsets of a tile's rows, and the row loops with the one over tiles last."""
    if choice.inner is None:
        zero = (0,) * operands
        return (zero,), (Loop(1, zero),)
    inner = row[choice.inner]
    others = [loop for index, loop in enumerate(row) if index not in (choice.inner, choice.outer)]
    if choice.outer is None:
        offsets = _multiples(inner.strides, height)
        return offsets, (*_far_to_near(others), inner.every(height))
    outer = row[choice.outer]
    steps = height // inner.extent
    offsets = tuple(
        tuple(map(sum, zip(far, near, strict=True)))
        for far in _multiples(outer.strides, steps)
        for near in _multiples(inner.strides, inner.extent)
    )
    return offsets, (*_far_to_near(others), outer.every(steps))


def _multiples(strides: tuple[int, ...], steps: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(stride * step for stride in strides) for step in range(steps))


def _may_pair(plan: Plan) -> bool:
    """Whether both operands are bfloat16 and the sum can be taken two neighbours at a time."""
    spec, inner = plan.spec, plan.sums[-1]
    if (spec.dtype_a, spec.dtype_b) != ("bfloat16", "bfloat16") or plan.tile.lanes == 1:
        return False
    fits = spec.dtype_c == spec.accumulator or count(plan.sums) <= LONGEST_WHOLE_SUM
    along = plan.vector_strides[:2] == (0, 1) or (plan.turned and inner.strides[1] == 1)
    return fits and along and inner.strides[0] == 1 and inner.extent % 2 == 0 < inner.extent


def _block_sum(plan: Plan) -> Plan:
    """Cut a long sum so that a tile-wide panel of B fits in cache while rows stream past it.

    Not done where C is narrower than the accumulator (the sum would be rounded at each visit) or
    where each panel meets one row tile only.
    """
    spec, tile = plan.spec, plan.tile
    once = count(plan.rows) == 1 and not (plan.turned or plan.paired)
    if spec.dtype_c != spec.accumulator or count(plan.sums) == 0 or once:
        return plan
    budget = PANEL_BYTES // (tile.vectors * tile.lanes * ITEM_BYTES[spec.dtype_b])
    cut, inner = 0, count(plan.sums)
    while cut < len(plan.sums) - 1 and inner // plan.sums[cut].extent >= budget:
        inner //= plan.sums[cut].extent
        cut += 1
    inner //= plan.sums[cut].extent
    extent = plan.sums[cut].extent
    pieces = ceil(extent / max(1, budget // inner))
    block = ceil(extent / pieces)
    if cut == len(plan.sums) - 1 and pieces > 1:
        block = ceil(block / 16) * 16
    return replace(plan, cut=cut, block=block)


def _choose_grid(plan: Plan) -> tuple[int, int, int]:
    """Steps of the flat batch, row and column loops in a task.

    A task reads its rows of A once for all its columns and its columns of B once for all its rows,
    so large tasks read least; many tasks share out best.
    """
    batches, rows, columns = plan.counts
    if 0 in plan.counts:
        return 1, 1, 1
    wanted = max(1, min(MOST_TASKS, plan.spec.multiplications // TASK_MULTIPLICATIONS))
    if wanted <= batches:
        return batches // wanted, rows, columns
    wanted = ceil(wanted / batches)
    tile_columns = plan.tile.vectors * plan.tile.lanes
    read_b = PACK_COST if _scattered(plan) else READ_COST
    choices: list[tuple[float, int, int]] = []
    for column_cuts in range(1, min(columns, wanted) + 1):
        for row_cuts in range(1, min(rows, wanted // column_cuts) + 1):
            row_steps, column_steps = ceil(rows / row_cuts), ceil(columns / column_cuts)
            made = ceil(rows / row_steps) * ceil(columns / column_steps)
            reads = read_b / (row_steps * plan.tile.rows)
            reads += READ_COST / (column_steps * tile_columns)
            # Parts of unequal size, or too few of them, leave threads idle at the end.
            waste = made * row_steps * column_steps / (rows * columns) * (wanted / made) ** 0.25
            choices.append((waste * (1 + reads), row_steps, column_steps))
    _, row_steps, column_steps = min(choices)
    return 1, row_steps, column_steps


def _scattered(plan: Plan) -> bool:
    """Whether the rows of a tile-wide panel of B lie far apart.

    Rows far apart cost a page each and, with strides of large powers of two, share so few sets of
    the cache that the panel does not stay in it.
    """
    if plan.turned or plan.paired or plan.vector_strides[:2] != (0, 1):
        return plan.turned or plan.paired
    item = ITEM_BYTES[plan.spec.dtype_b]
    width = plan.tile.vectors * plan.tile.lanes
    fits = plan.panel_steps * width * item <= 2 * PANEL_BYTES
    least = PACK_STRIDE if abs(plan.sums[-1].strides[0]) == 1 else PACK_STRIDE_ACROSS
    return fits and abs(plan.sums[-1].strides[1]) * item >= max(least, width * item + 1)


def suggested_parts(spec: Contraction, isa: Isa) -> tuple[int, int] | None:
    """(axis, parts) for `split_sum` where a long sum has too few results to share out, else None.

    The weight gradient of an early layer sums a million pixels into a few tiles: every task would
    read all pixels. With its sum in parts a task has many tiles of few pixels.
    """
    plan = make_plan(spec, isa)
    outputs = prod(axis.extent for axis in spec.axes if axis.c != 0)
    if outputs == 0:
        return None
    work = spec.multiplications // TASK_MULTIPLICATIONS
    read = sum(
        (high - low + 1) * ITEM_BYTES[dtype]
        for (low, high), dtype in (
            (reach(spec, 0), spec.dtype_a),
            (reach(spec, 1), spec.dtype_b),
        )
    )
    tiles = TASK_TILES if read > NEAR_BYTES else 1
    wanted = ceil(min(MOST_TASKS, work) * tiles / prod(plan.counts))
    wanted = min(wanted, work, MOST_PARTS, spec.multiplications // outputs // PART_LENGTH)
    if wanted < FEWEST_PARTS:
        return None
    best: tuple[int, int, int] | None = None
    for index, axis in enumerate(spec.axes):
        if axis.c == 0:
            fitting = [size for size in range(1, wanted + 1) if axis.extent % size == 0]
            # Of equals, the loop with the longest steps: each part then reads a place of its own.
            rank = max(fitting, default=1), abs(axis.a) + abs(axis.b), index
            best = max(best or rank, rank)
    return (best[2], best[0]) if best is not None and best[0] > 1 else None
