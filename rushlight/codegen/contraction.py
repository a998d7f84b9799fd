"""Contraction -> LLVM text: one kernel that runs any range of its tasks.

In: a `Contraction` (strides, dtypes, epilogue) and an `Isa`. Out: an `EmittedKernel` whose text
defines

    define void @name(ptr %buffers, ptr %scalars, ptr %status, i64 %begin, i64 %end)

where `%buffers` points to the pointers [A, B, C, extra buffers of the epilogue...] and `%scalars`
to 8-byte slots holding float64 or int64. Tasks are independent: any thread may run any of them.
Invariant: which task computes what, and in which order, follows from the plan alone.

`emit_shared` gives the same kernel in pieces: its tile and packing functions, which know strides
and heights but few extents, and its driver, which reads the sizes and the addresses of those
functions from a table. Kernels of other sizes consist of the same pieces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from rushlight.base.settings import SETTINGS
from rushlight.codegen.bounds import limits_argument, write_limits
from rushlight.codegen.contraction_pack import PackEmitter, packed_view
from rushlight.codegen.contraction_plan import (
    ITEM_BYTES,
    Loop,
    Plan,
    count,
    make_plan,
    suggested_parts,
)
from rushlight.codegen.contraction_tile import (
    TileEmitter,
    TileShape,
    Writer,
)
from rushlight.codegen.isa import Isa
from rushlight.kernel.contraction import Contraction, touched

__all__ = [
    "EmittedKernel",
    "Function",
    "SharedKernel",
    "emit",
    "emit_shared",
    "suggested_parts",
    "tasks",
]

# From this many products to a result on, the driver is not optimised.
LONG_SUM = 64
# Panels on the stack of a driver of any size are multiples of this many bytes.
PANEL_STEP = 1 << 16

# One entry for each operand: the name of a byte offset, or None where it does not move.
Offsets = list[str | None]


@dataclass(frozen=True)
class EmittedKernel:
    """LLVM text of one kernel: its symbol, number of tasks, and the stack bytes it uses."""

    text: str
    name: str
    tasks: int
    scratch_bytes: int


@dataclass(frozen=True)
class Function:
    """One function as a module of its own, named after its text."""

    text: str
    name: str


@dataclass(frozen=True)
class SharedKernel:
    """A kernel in pieces: `driver` expects behind the operands' pointers one to a table of 64-bit
    numbers: the addresses of `pieces`, then `numbers`.
    """

    driver: Function
    pieces: tuple[Function, ...]
    numbers: tuple[int, ...]
    tasks: int


def tasks(spec: Contraction, isa: Isa) -> int:
    """Number of independent tasks of `spec`: depends on the problem and the ISA only."""
    return make_plan(spec, isa).tasks


def emit(spec: Contraction, isa: Isa, name: str) -> EmittedKernel:
    """LLVM text for `spec`, ready to be compiled without optimisation passes.

    >>> from rushlight.codegen.isa import AVX2
    >>> from rushlight.kernel.contraction import Axis, Contraction
    >>> axes = Axis("m", 64, 32, 0, 16), Axis("n", 16, 0, 1, 1), Axis("k", 32, 1, 16, 0)
    >>> emit(Contraction(axes), AVX2, "product").text.count("define void @product(")
    1
    """
    plan = make_plan(spec, isa)
    declarations: set[str] = set()
    pieces: dict[str, str] = {}
    texts = []

    def define(stem: str, emitter: TileEmitter) -> str:
        texts.append(emitter.emit(f"{name}_{stem}"))
        return f"{name}_{stem}"

    def new(_: str) -> tuple[set[str], dict[str, str]]:
        return declarations, pieces

    tiles, packs = _functions(plan, isa, new, define)
    driver = _Driver(spec, plan, tiles, packs).emit(name)
    text = "\n".join([*sorted(declarations), *pieces.values(), *texts, driver, ""])
    return EmittedKernel(text, name, plan.tasks, _panel_bytes(plan))


def emit_shared(spec: Contraction, isa: Isa) -> SharedKernel:
    """`spec` in pieces that kernels of other sizes share.

    >>> from rushlight.codegen.isa import AVX2
    >>> from rushlight.kernel.contraction_forms import matrix_product
    >>> one, other = (emit_shared(matrix_product(m, 64, 256), AVX2) for m in (480, 960))
    >>> one.driver == other.driver, one.pieces == other.pieces, one.numbers == other.numbers
    (True, True, False)
    """
    plan = make_plan(spec, isa)
    made: dict[str, Function] = {}
    parts: tuple[set[str], dict[str, str]] = set(), {}

    def new(_: str) -> tuple[set[str], dict[str, str]]:
        nonlocal parts
        parts = set(), {}
        return parts

    def define(stem: str, emitter: TileEmitter) -> str:
        text = emitter.emit(_PIECE)
        made[stem] = _function([*sorted(parts[0]), *parts[1].values(), text])
        return stem

    tiles, packs = _functions(plan, isa, new, define)
    driver = _Driver(spec, plan, tiles, packs, list(made))
    text = driver.emit(_PIECE)
    return SharedKernel(_function([text]), tuple(made.values()), tuple(driver.numbers), plan.tasks)


_PIECE = "piece"


def _function(texts: Sequence[str]) -> Function:
    """A module whose main function is called after what it does."""
    text = "\n".join([*texts, ""])
    name = "part_" + hashlib.sha256(text.encode()).hexdigest()[:24]
    text = text.replace(f"define internal void @{_PIECE}(", f"define void @{_PIECE}(")
    return Function(text.replace(f"@{_PIECE}", f"@{name}"), name)


def _functions(
    plan: Plan,
    isa: Isa,
    new: Callable[[str], tuple[set[str], dict[str, str]]],
    define: Callable[[str, TileEmitter], str],
) -> tuple[dict[tuple[bool, bool], str], dict[bool, str]]:
    """The names of the tile functions and of the packing functions, once they are defined."""
    shapes = _tile_shapes(plan) if plan.tasks else {}
    view = packed_view(plan)
    tiles, packs = {}, {}
    for key, shape in shapes.items():
        stem = f"tile{shape.rows}x{shape.columns}"
        tiles[key] = define(stem, TileEmitter(view, shape, isa, new(stem)[0]))
    for (row_edge, column_edge), shape in shapes.items():
        if plan.packed and not row_edge:
            stem = f"pack{shape.columns}"
            emitter = PackEmitter(plan, shape, isa, *new(stem))
            packs[column_edge] = define(stem, emitter)
    return tiles, packs


def _panel_bytes(plan: Plan) -> int:
    """Stack bytes of the packed panel."""
    width = plan.tile.vectors * plan.tile.lanes
    return plan.panel_steps * width * ITEM_BYTES[plan.spec.dtype_b] if plan.packed else 0


def _tile_shapes(plan: Plan) -> dict[tuple[bool, bool], TileShape]:
    """The tile functions needed, by (last row tile is smaller, last column tile is smaller)."""
    lanes = plan.tile.lanes
    full_rows, full_columns = plan.tile.rows, min(plan.tile.vectors * lanes, plan.width)
    rows = {False: full_rows} | ({True: plan.edge_rows} if plan.edge_rows else {})
    columns = {False: full_columns}
    if plan.edge_columns and plan.columns[-1].extent > 1:
        columns[True] = plan.edge_columns
    return {
        (row_edge, column_edge): TileShape(height, width, lanes)
        for row_edge, height in rows.items()
        for column_edge, width in columns.items()
    }


class _Driver:
    """Writes the function that walks from tasks to tiles."""

    def __init__(
        self,
        given: Contraction,
        plan: Plan,
        tiles: dict[tuple[bool, bool], str],
        packs: dict[bool, str],
        shared: Sequence[str] | None = None,
    ) -> None:
        """`shared`: the functions in the order in which the table has them, if there is one."""
        self.given, self.plan, self.tiles, self.packs = given, plan, tiles, packs
        self.writer = Writer(set())
        self.shared = shared
        # Sizes are read from the table where a tile's work is long beside dividing by them.
        nests = (plan.batch, plan.rows, plan.columns)
        divides = any(sum(loop.extent > 1 for loop in nest) > 1 for nest in nests)
        cheap = not divides or count(plan.sums) >= LONG_SUM
        self.generic = shared is not None and cheap and not SETTINGS.bounds
        self.numbers: list[int] = []
        self.early: list[str] = []
        spec = plan.spec
        extras = [step for step in spec.epilogue if step.buffer is not None]
        dtypes = [spec.dtype_a, spec.dtype_b, spec.dtype_c, *(step.dtype for step in extras)]
        self.item_bytes = [ITEM_BYTES[dtype] for dtype in dtypes]
        self.offsets = [spec.a_offset, spec.b_offset, spec.c_offset]
        self.offsets += [step.offset for step in extras]
        self.slots = [1, 0, 2] if plan.swapped else [0, 1, 2]
        self.slots += [3 + step.buffer for step in extras if step.buffer is not None]

    def emit(self, name: str) -> str:
        """The whole function."""
        writer = self.writer
        arguments = "ptr %buffers, ptr %scalars, ptr %status, i64 %begin, i64 %end"
        if self.plan.tasks:
            if self.packs:
                size = _panel_bytes(self.plan)
                size = ceil(size / PANEL_STEP) * PANEL_STEP if self.generic else size
                writer.line(f"%panel = alloca i8, i64 {size}, align 64")
            bases = self._bases()
            if SETTINGS.bounds:
                self._limits(bases)
            number = writer.value("sub i64 %end, %begin")
            some = writer.value("icmp sgt i64 %end, %begin")
            writer.choose(some, [], lambda: self._tasks(number, bases), [])
        # The walk costs little next to a tile: compiling it plainly halves the time to compile.
        quick = "noinline optnone " if count(self.plan.sums) >= LONG_SUM else ""
        head = f"define void @{name}({arguments}) {quick}nounwind {{"
        lines = [*self._table(), *self.early, *writer.lines]
        return "\n".join([head, "entry:", *lines, "  ret void", "}"])

    def _table(self) -> list[str]:
        """The start of the function: the table, and the addresses in it."""
        if self.shared is None or not self.plan.tasks:
            return []
        lines = [
            f"  %last = getelementptr ptr, ptr %buffers, i64 {len(set(self.slots))}",
            "  %table = load ptr, ptr %last, align 8",
        ]
        for number, name in enumerate(self.shared):
            lines.append(f"  %at_{name} = getelementptr ptr, ptr %table, i64 {number}")
            lines.append(f"  %{name} = load ptr, ptr %at_{name}, align 8")
        return lines

    def _number(self, value: int, any_value: bool = False) -> str:
        """A size: as it is, or read from the table. 0 and 1 say how loops nest: they are written
        out, but for numbers that may have any value.
        """
        if not self.generic or self.shared is None or (value in (0, 1) and not any_value):
            return str(value)
        place = len(self.shared) + len(self.numbers)
        name = f"%n{len(self.numbers)}"
        self.numbers.append(value)
        self.early.append(f"  {name}_at = getelementptr i64, ptr %table, i64 {place}")
        self.early.append(f"  {name} = load i64, ptr {name}_at, align 8")
        return name

    def _callee(self, name: str) -> str:
        return f"@{name}" if self.shared is None else f"%{name}"

    def _bases(self) -> list[str]:
        pointers = []
        for slot, offset, size in zip(self.slots, self.offsets, self.item_bytes, strict=True):
            place = self.writer.move("%buffers", 8 * slot)
            pointer = self.writer.value(f"load ptr, ptr {place}, align 8")
            pointers.append(self.writer.move(pointer, self._number(offset * size) if offset else 0))
        return pointers

    def _limits(self, bases: list[str]) -> None:
        """What each operand, and the panel, may be touched of: as the contraction was given, not
        as it was planned.
        """
        ranges = []
        for slot, base, offset, size in zip(
            self.slots, bases, self.offsets, self.item_bytes, strict=True
        ):
            low, high = touched(self.given, slot)
            ranges.append((base, (low - offset) * size, (high + 1 - offset) * size, slot))
        if self.packs:
            ranges.append(("%panel", 0, _panel_bytes(self.plan), len(self.slots)))
        write_limits(self.writer, ranges)

    def _tasks(self, number: str, bases: list[str]) -> list[str]:
        def body(index: str, _: list[str]) -> list[str]:
            task = self.writer.value(f"add i64 %begin, {index}")
            self._task(task, bases)
            return []

        return self.writer.loop(number, 1, [], body)

    def _task(self, task: str, bases: list[str]) -> None:
        """Task number -> ranges of the flat batch, row and column loops, and the nest over them."""
        writer, plan = self.writer, self.plan
        ranges = []
        for size, steps in reversed(list(zip(plan.counts, plan.grid, strict=True))):
            parts = self._number(ceil(size / steps), size > 1)
            place = writer.value(f"urem i64 {task}, {parts}") if parts != "1" else "0"
            task = writer.value(f"udiv i64 {task}, {parts}") if parts != "1" else task
            ranges.append(self._range(place, steps, size))
        columns, rows, batch = ranges

        def each_batch(index: str) -> None:
            here = self._moved(bases, self._decode(index, plan.batch)[0])
            self._sum_blocks(here, lambda point, flags: each_block(point, flags))

        def each_block(here: list[str], flags: str) -> None:
            self._over(columns, lambda index: each_column(index, here, flags))

        def each_column(index: str, here: list[str], flags: str) -> None:
            offsets, tile = self._decode(index, plan.columns)
            edge = self._is_last(tile, plan.columns[-1]) if len(self._column_edges()) > 1 else None
            there = self._moved(here, offsets)
            if self.packs:
                self._pack(there[1], edge, flags)
                there[1] = "%panel"
            self._over(rows, lambda row: each_row(row, there, edge, flags))

        def each_row(index: str, here: list[str], column_edge: str | None, flags: str) -> None:
            offsets, tile = self._decode(index, plan.rows)
            row_edge = self._is_last(tile, plan.rows[-1]) if plan.edge_rows else None
            self._call(self._moved(here, offsets), row_edge, column_edge, flags)

        self._over(batch, each_batch)

    def _column_edges(self) -> set[bool]:
        return {column_edge for _, column_edge in self.tiles}

    def _range(self, place: str, steps: int, size: int) -> tuple[str, str]:
        """(start, length) of part `place` of `size` steps cut into parts of `steps`."""
        writer = self.writer
        if steps >= size and (size == 1 or not self.generic):
            return "0", self._number(size)
        if steps == 1 and not self.generic:
            return place, "1"
        step = self._number(steps, True)
        start = writer.value(f"mul i64 {place}, {step}")
        if size % steps == 0 and not self.generic:
            return start, step
        left = writer.value(f"sub i64 {self._number(size, True)}, {start}")
        short = writer.value(f"icmp ult i64 {left}, {step}")
        return start, writer.value(f"select i1 {short}, i64 {left}, i64 {step}")

    def _over(self, part: tuple[str, str], body: Callable[[str], None]) -> None:
        """Run `body` for each index of a range."""
        start, length = part

        def turn(index: str, _: list[str]) -> list[str]:
            body(index if start == "0" else self.writer.value(f"add i64 {start}, {index}"))
            return []

        if length == "1":
            body(start)
        else:
            self.writer.loop(length, 1, [], turn)

    def _decode(self, flat: str, loops: tuple[Loop, ...]) -> tuple[Offsets, str]:
        """Index into a flat nest of loops -> byte offsets, and the index of the innermost loop."""
        writer = self.writer
        offsets: Offsets = [None] * len(self.item_bytes)
        innermost = "0"
        for depth in range(len(loops) - 1, -1, -1):
            loop = loops[depth]
            index = flat
            if count(loops[:depth]) > 1:
                extent = self._number(loop.extent)
                index = writer.value(f"urem i64 {flat}, {extent}")
                flat = writer.value(f"udiv i64 {flat}, {extent}")
            if depth == len(loops) - 1:
                innermost = index
            for operand, stride in enumerate(loop.strides):
                if stride and loop.extent > 1:
                    bytes_ = self._number(stride * self.item_bytes[operand])
                    part = writer.value(f"mul i64 {index}, {bytes_}")
                    before = offsets[operand]
                    offsets[operand] = writer.value(f"add i64 {before}, {part}") if before else part
        return offsets, innermost

    def _moved(self, pointers: list[str], offsets: Offsets) -> list[str]:
        return [
            self.writer.move(pointer, offset) if offset else pointer
            for pointer, offset in zip(pointers, offsets, strict=True)
        ]

    def _is_last(self, index: str, loop: Loop) -> str:
        return self.writer.value(f"icmp eq i64 {index}, {self._number(loop.extent - 1)}")

    def _sum_blocks(self, here: list[str], body: Callable[[list[str], str], None]) -> None:
        """The loops of the sum outside the tile, and its blocks."""
        plan, writer = self.plan, self.writer
        if not plan.blocked:
            body(here, f"i64 {self._number(plan.sums[plan.cut].extent)}, i1 true, i1 true")
            return
        cut = plan.sums[plan.cut]
        blocks = cut.every(plan.block)
        loops = (*plan.sums[: plan.cut], blocks)

        def turn(index: str) -> None:
            offsets, block = self._decode(index, loops)
            _, steps = self._range(block, plan.block, cut.extent)
            first = writer.value(f"icmp eq i64 {index}, 0")
            last = writer.value(f"icmp eq i64 {index}, {self._number(count(loops) - 1)}")
            body(self._moved(here, offsets), f"i64 {steps}, i1 {first}, i1 {last}")

        self._over(("0", self._number(count(loops))), turn)

    def _call(
        self, pointers: list[str], row_edge: str | None, column_edge: str | None, flags: str
    ) -> None:
        """Call the tile function that fits the place."""
        arguments = ", ".join(f"ptr {pointer}" for pointer in pointers)

        def call(key: tuple[bool, bool]) -> None:
            rest = f"ptr %scalars, {flags}{limits_argument()}"
            self.writer.line(f"call void {self._callee(self.tiles[key])}({arguments}, {rest})")

        def by_column(row: bool) -> None:
            self._either(column_edge, lambda column: call((row, column)))

        self._either(row_edge, by_column)

    def _pack(self, panel: str, column_edge: str | None, flags: str) -> None:
        """Copy the panel of B that the following row tiles share."""
        steps = flags.split(",")[0]
        self._either(
            column_edge,
            lambda edge: self.writer.line(
                f"call void {self._callee(self.packs[edge])}(ptr %panel, ptr {panel}, {steps}"
                f"{limits_argument()})"
            ),
        )

    def _either(self, condition: str | None, body: Callable[[bool], None]) -> None:
        """`body(True)` where the condition holds, `body(False)` elsewhere."""
        if condition is None:
            body(False)
            return
        writer = self.writer
        yes, no, join = writer.fresh("edge"), writer.fresh("full"), writer.fresh("join")
        writer.line(f"br i1 {condition}, label %{yes}, label %{no}")
        for label, value in ((yes, True), (no, False)):
            writer.label(label)
            body(value)
            writer.line(f"br label %{join}")
        writer.label(join)
