"""Copying a panel of B to where a tile reads it in one run: LLVM text.

In: a `Plan` whose panels are packed. Out: the text of

    define internal void @name(ptr %a, ptr %b, i64 %steps)      from %b to %a

which copies `%steps` steps of the cut sum loop, with everything inside it: row after row of a tile's
width, so that the next step of the sum is the next row. B may run along the columns (rows
are copied) or along the sum (squares are transposed on the way).
Invariant: only elements of B are read; lanes past the edge hold numbers that no result uses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

from rushlight.codegen.contraction_plan import ITEM_BYTES, Plan
from rushlight.codegen.contraction_tile import STORED, TileEmitter


class PackEmitter(TileEmitter):
    """Writes one packing function."""

    def emit(self, name: str) -> str:
        """The whole function."""
        self._copy(self.plan.cut, ["%a", "%b"])
        head = f"define internal void @{name}(ptr %a, ptr %b, i64 %steps) noinline nounwind {{"
        return "\n".join([head, "entry:", *self.writer.lines, "  ret void", "}"])

    def _copy(self, level: int, pointers: list[str]) -> list[str]:
        """One loop of the sum: the target moves on by whole rows, the source by its stride."""
        cut = level == self.plan.cut and self.plan.blocked
        limit: str | int = "%steps" if cut else self.plan.sums[level].extent
        inner = prod(loop.extent for loop in self.plan.sums[level + 1 :])
        item = ITEM_BYTES[self.dtypes[1]]
        width = self.plan.tile.vectors * self.shape.lanes * item

        if level == len(self.plan.sums) - 1 and self.plan.turned:
            self._turn(pointers[0], pointers[1], str(limit))
            return []

        def body(_: str, here: list[str]) -> list[str]:
            if level < len(self.plan.sums) - 1:
                self._copy(level + 1, here)
            else:
                self._copy_row(here)
            return [
                self.writer.move(here[0], inner * width),
                self.writer.move(here[1], self._steps(level)[1]),
            ]

        return self.writer.loop(limit, 1, [("ptr", pointer) for pointer in pointers], body)

    def _copy_row(self, pointers: list[str]) -> None:
        dtype, lanes = self.dtypes[1], self.shape.lanes
        for vector in range(self.shape.vectors):
            ahead = self._bytes(1, 0, vector)
            value = self._raw_vector(self.writer.move(pointers[1], ahead), dtype, vector)
            place = self.writer.move(pointers[0], ahead)
            kind = f"<{lanes} x {STORED[dtype]}>"
            self.writer.line(f"store {kind} {value}, ptr {place}, align {ITEM_BYTES[dtype]}")


    def _turn(self, target: str, source: str, steps: str) -> None:
        """The innermost sum loop of a panel whose columns, not rows, are runs of memory.

        Column by column is read, `lanes` steps of the sum at a time, and a square of lanes x lanes
        turned in registers; what is left is gathered step by step.
        """
        writer, lanes = self.writer, self.shape.lanes
        item = ITEM_BYTES[self.dtypes[1]]
        stride = self._steps(len(self.plan.sums) - 1)[1]
        whole = writer.value(f"and i64 {steps}, {-lanes}") if stride == item else "0"
        rest = writer.value(f"sub i64 {steps}, {whole}")

        def vector(index: str, _: list[str]) -> list[str]:
            columns = self._columns(source, index)
            place = writer.move(target, writer.value(f"mul i64 {index}, {lanes * item}"))
            if stride == item:
                self._repeat(whole, lanes, lambda step: self._square(columns, place, step))
            self._repeat(
                rest, 1, lambda step: self._gather(columns, place, self._sum_of(whole, step), stride)
            )
            return []

        writer.loop(self.shape.vectors, 1, [], vector)

    def _sum_of(self, left: str, right: str) -> str:
        return self.writer.value(f"add i64 {left}, {right}")

    def _repeat(self, limit: str, step: int, body: Callable[[str], None]) -> None:
        """`body` for 0, step, 2 step... < limit, perhaps never."""
        writer = self.writer

        def turn(index: str, _: list[str]) -> list[str]:
            body(index)
            return []

        present = writer.value(f"icmp ne i64 {limit}, 0")
        writer.choose(present, [], lambda: writer.loop(limit, step, [], turn), [])

    def _columns(self, source: str, vector: str) -> list[str]:
        """Pointers to the columns of one vector; past the edge, the last column again."""
        writer, lanes = self.writer, self.shape.lanes
        bytes_apart = self.plan.vector_strides[1] * ITEM_BYTES[self.dtypes[1]]
        first = writer.value(f"mul i64 {vector}, {lanes}")
        pointers = []
        for lane in range(lanes):
            column = self._sum_of(first, str(lane))
            if self.shape.columns % lanes:
                last = self.shape.columns - 1
                past = writer.value(f"icmp ugt i64 {column}, {last}")
                column = writer.value(f"select i1 {past}, i64 {last}, i64 {column}")
            pointers.append(writer.move(source, writer.value(f"mul i64 {column}, {bytes_apart}")))
        return pointers

    def _row_place(self, place: str, step: str) -> str:
        """Where the panel holds one step of the sum."""
        width = self.plan.tile.vectors * self.shape.lanes * ITEM_BYTES[self.dtypes[1]]
        return self.writer.move(place, self.writer.value(f"mul i64 {step}, {width}"))

    def _square(self, columns: list[str], place: str, step: str) -> None:
        """lanes x lanes elements: read by columns, written by rows."""
        writer, lanes, dtype = self.writer, self.shape.lanes, self.dtypes[1]
        item, kind = ITEM_BYTES[dtype], f"<{lanes} x {STORED[dtype]}>"
        ahead = writer.value(f"mul i64 {step}, {item}")
        rows = [
            writer.value(f"load {kind}, ptr {writer.move(column, ahead)}, align {item}")
            for column in columns
        ]
        low, high = (
            f"<{2 * half} x i32> <"
            + ", ".join(f"i32 {start + i}, i32 {lanes + start + i}" for i in range(half))
            + ">"
            for half in [lanes // 2]
            for start in (0, half)
        )
        # Shuffling rows i and i + lanes/2 into each other, log2(lanes) times, is a transposition.
        for _ in range(lanes.bit_length() - 1):
            pairs = list(zip(rows[: lanes // 2], rows[lanes // 2 :], strict=True))
            rows = [
                writer.value(f"shufflevector {kind} {upper}, {kind} {lower}, {order}")
                for upper, lower in pairs
                for order in (low, high)
            ]
        first = self._row_place(place, step)
        width = self.plan.tile.vectors * lanes * item
        for number, row in enumerate(rows):
            address = writer.move(first, number * width)
            writer.line(f"store {kind} {row}, ptr {address}, align {item}")

    def _gather(self, columns: list[str], place: str, step: str, stride: int) -> None:
        """One row of the panel, element by element."""
        writer, dtype = self.writer, self.dtypes[1]
        item, kind = ITEM_BYTES[dtype], STORED[dtype]
        ahead = writer.value(f"mul i64 {step}, {stride}")
        first = self._row_place(place, step)
        for lane, column in enumerate(columns):
            value = writer.value(f"load {kind}, ptr {writer.move(column, ahead)}, align {item}")
            writer.line(f"store {kind} {value}, ptr {writer.move(first, lane * item)}, align {item}")


def packed_view(plan: Plan) -> Plan:
    """The plan as its tiles see it: B lies in a packed panel."""
    if not plan.packed:
        return plan
    step = plan.tile.vectors * plan.tile.lanes
    sums = list(plan.sums)
    for level in range(len(sums) - 1, plan.cut - 1, -1):
        strides = sums[level].strides
        sums[level] = replace(sums[level], strides=(strides[0], step, *strides[2:]))
        step *= sums[level].extent
    vector_strides = (plan.vector_strides[0], 1, *plan.vector_strides[2:])
    return replace(plan, sums=tuple(sums), vector_strides=vector_strides)
