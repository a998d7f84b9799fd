"""Copying a panel of B to where a tile reads it in one run: LLVM text.

In: a `Plan` whose panels are packed. Out: the text of

    define internal void @name(ptr %a, ptr %b, i64 %steps)      from %b to %a

which copies `%steps` steps of the cut sum loop, with everything inside it: row after row of a
tile's width, so that the next step of the sum is the next row. B may run along the columns (rows
are copied) or along the sum (squares are transposed on the way).
Invariant: only elements of B are read; lanes past the edge hold numbers that no result uses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

from rushlight.codegen.bounds import checked, limits_argument
from rushlight.codegen.contraction_plan import ITEM_BYTES, Loop, Plan
from rushlight.codegen.contraction_tile import STORED, TileEmitter, TileShape, Writer
from rushlight.codegen.isa import Isa


class PackEmitter(TileEmitter):
    """Writes one packing function, and the straight pieces of code it calls into `pieces`."""

    def __init__(
        self, plan: Plan, shape: TileShape, isa: Isa, declarations: set[str], pieces: dict[str, str]
    ) -> None:
        super().__init__(plan, shape, isa, declarations)
        self.pieces = pieces
        dtype = self.dtypes[1]
        self.item = ITEM_BYTES[dtype]
        self.row = plan.tile.vectors * shape.lanes * self.item
        self.panel = len(self.dtypes)  # as bounds.py counts operands
        self.element, self.run = STORED[dtype], f"<{shape.lanes} x {STORED[dtype]}>"

        # Steps of the innermost loop that are laid down together, side by side in each lane.
        self.group = 2 if plan.paired else 1

    def emit(self, name: str) -> str:
        """The whole function."""
        self._copy(self.plan.cut, ["%a", "%b"], name)
        # What loops over squares and elements need not be optimised: the pieces are.
        quick = "optnone " if self.plan.turned else ""
        head = (
            f"define internal void @{name}(ptr %a, ptr %b, i64 %steps{limits_argument()}) "
            f"{quick}noinline nounwind {{"
        )
        return "\n".join([head, "entry:", *self.writer.lines, "  ret void", "}"])

    def _checked(self, pointer: str, operand: int, size: int) -> str:
        return checked(self.writer, pointer, operand, size)

    def _copy(self, level: int, pointers: list[str], name: str) -> None:
        """One loop of the sum: the target moves on by whole rows, the source by its stride."""
        cut = level == self.plan.cut and self.plan.counted
        limit: str | int = "%steps" if cut else self.plan.sums[level].extent
        inner = prod(loop.extent for loop in self.plan.sums[level + 1 :])
        innermost = level == len(self.plan.sums) - 1
        if innermost and self.plan.turned:
            self._turn(pointers[0], pointers[1], str(limit), name)
            return

        def body(_: str, here: list[str]) -> list[str]:
            if innermost:
                self._copy_rows(here)
            else:
                self._copy(level + 1, here, name)
            return [
                self.writer.move(here[0], step * inner * self.row),
                self.writer.move(here[1], step * self._steps(level)[1]),
            ]

        step = self.group if innermost else 1
        self.writer.loop(limit, step, [("ptr", pointer) for pointer in pointers], body)

    def _copy_rows(self, pointers: list[str]) -> None:
        """One row of the panel, or two interleaved."""
        stride = self._steps(len(self.plan.sums) - 1)[1]
        for vector in range(self.shape.vectors):
            ahead = self._bytes(1, 0, vector)
            rows = [
                self._raw_vector(self.writer.move(pointers[1], ahead + step * stride), 1, vector)
                for step in range(self.group)
            ]
            self._put(self.writer, rows, self.writer.move(pointers[0], self.group * ahead))

    def _put(self, writer: Writer, rows: list[str], place: str) -> None:
        """Store a vector, or two interleaved element by element."""
        kind, value = self.run, rows[0]
        place = checked(writer, place, self.panel, len(rows) * self.shape.lanes * self.item)
        if len(rows) == 2:
            lanes = self.shape.lanes
            order = ", ".join(f"i32 {i}, i32 {lanes + i}" for i in range(lanes))
            kind = f"<{2 * lanes} x {self.element}>"
            value = writer.value(
                f"shufflevector {self.run} {rows[0]}, {self.run} {rows[1]}, "
                f"<{2 * lanes} x i32> <{order}>"
            )
        writer.line(f"store {kind} {value}, ptr {place}, align {self.item}")

    # Columns that are runs of memory.

    def _turn(self, target: str, source: str, steps: str, name: str) -> None:
        """The innermost sum loop of a panel whose columns, not rows, are runs of memory.

        `lanes` columns are read together, as many steps of the sum at a time, and the square turned
        in registers; what is left is copied element by element.
        """
        writer, lanes = self.writer, self.shape.lanes
        stem = name.rsplit("_", 1)[0]
        stride = self._steps(len(self.plan.sums) - 1)[1]
        whole = writer.value(f"and i64 {steps}, {-lanes}") if stride == self.item else "0"
        apart = self.plan.vector_strides[1] * self.item
        full, left = divmod(self.shape.columns, lanes)

        def columns(first: str, number: int) -> None:
            there = writer.move(source, writer.value(f"mul i64 {first}, {apart}"))
            width = self.group * self.item
            place = writer.move(target, writer.value(f"mul i64 {first}, {width}"))
            start = "0"
            if number == lanes and whole != "0":
                self._each(start, whole, lanes, (place, there), self._square(stem, apart))
                start = whole
            self._each(start, steps, self.group, (place, there), self._gather(stem, apart, number))

        def vector(index: str, _: list[str]) -> list[str]:
            columns(writer.value(f"mul i64 {index}, {lanes}"), lanes)
            return []

        if full:
            writer.loop(full, 1, [], vector)
        if left:
            columns(str(full * lanes), left)

    def _each(
        self, start: str, stop: str, step: int, places: tuple[str, str], function: str
    ) -> None:
        """Call a piece for the steps start, start + step, ... < stop of the sum."""
        writer = self.writer
        stride = self._steps(len(self.plan.sums) - 1)[1]
        count = writer.value(f"sub i64 {stop}, {start}")

        def turn(index: str, _: list[str]) -> list[str]:
            here = writer.value(f"add i64 {start}, {index}")
            target = writer.move(places[0], writer.value(f"mul i64 {here}, {self.row}"))
            source = writer.move(places[1], writer.value(f"mul i64 {here}, {stride}"))
            writer.line(f"call void @{function}(ptr {target}, ptr {source}{limits_argument()})")
            return []

        present = writer.value(f"icmp ne i64 {count}, 0")
        writer.choose(present, [], lambda: writer.loop(count, step, [], turn), [])

    def _piece(self, name: str, body: Callable[[Writer], None]) -> str:
        """A straight piece of code (ptr %a, ptr %b), written once for a kernel."""
        if name not in self.pieces:
            writer = Writer(self.writer.declarations)
            body(writer)
            given = f"ptr %a, ptr %b{limits_argument()}"
            head = f"define internal void @{name}({given}) noinline nounwind {{"
            self.pieces[name] = "\n".join([head, "entry:", *writer.lines, "  ret void", "}"])
        return name

    def _square(self, stem: str, apart: int) -> str:
        """lanes x lanes elements: read by columns, written by rows."""
        lanes = self.shape.lanes
        half = lanes // 2
        low, high = (
            f"<{lanes} x i32> <"
            + ", ".join(f"i32 {start + i}, i32 {lanes + start + i}" for i in range(half))
            + ">"
            for start in (0, half)
        )

        def body(writer: Writer) -> None:
            sources = [
                checked(writer, writer.move("%b", lane * apart), 1, lanes * self.item)
                for lane in range(lanes)
            ]
            rows = [
                writer.value(f"load {self.run}, ptr {source}, align {self.item}")
                for source in sources
            ]
            # Merging rows i and i + lanes/2 element by element, log2(lanes) times, transposes.
            for _ in range(lanes.bit_length() - 1):
                rows = [
                    writer.value(f"shufflevector {self.run} {one}, {self.run} {other}, {order}")
                    for one, other in zip(rows[:half], rows[half:], strict=True)
                    for order in (low, high)
                ]
            for number in range(0, lanes, self.group):
                place = writer.move("%a", number * self.row)
                self._put(writer, rows[number : number + self.group], place)

        return self._piece(f"{stem}_square", body)

    def _gather(self, stem: str, apart: int, number: int) -> str:
        """One step of the sum (or two neighbours) in `number` columns, element by element."""
        element = "i32" if self.group == 2 else self.element

        def body(writer: Writer) -> None:
            for lane in range(number):
                size = self.group * self.item
                source = checked(writer, writer.move("%b", lane * apart), 1, size)
                value = writer.value(f"load {element}, ptr {source}, align {self.item}")
                place = checked(writer, writer.move("%a", lane * size), self.panel, size)
                writer.line(f"store {element} {value}, ptr {place}, align {self.item}")

        return self._piece(f"{stem}_gather{number}", body)


def packed_view(plan: Plan) -> Plan:
    """The plan as its tiles see it: B lies in a packed panel."""
    if not plan.packed:
        return plan
    group = 2 if plan.paired else 1
    inner = plan.sums[-1]
    far = (group * inner.strides[0], *inner.strides[1:])
    sums = [*plan.sums[:-1], Loop(inner.extent // group, far)]
    step = group * plan.tile.vectors * plan.tile.lanes
    for level in range(len(sums) - 1, plan.cut - 1, -1):
        strides = sums[level].strides
        sums[level] = replace(sums[level], strides=(strides[0], step, *strides[2:]))
        step *= sums[level].extent
    vector_strides = (plan.vector_strides[0], group, *plan.vector_strides[2:])
    block = plan.block // group if plan.cut == len(sums) - 1 else plan.block
    return replace(plan, sums=tuple(sums), vector_strides=vector_strides, block=block)
