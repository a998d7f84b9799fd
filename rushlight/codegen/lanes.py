"""Pieces of loops: their heads, masks of lanes, the join of lanes, values of two ways.

In: numbers of the function being written. Out: lines and numbers. Invariant: lanes are joined in
one fixed order, which depends on their number alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rushlight.kernel.ir import Carried
from rushlight.kernel.primitives import COMBINES

from . import emit as rows
from .builder import Builder, Number


def first_lanes(
    builder: Builder, count: str, lanes: int, write: Callable[[str], str] | None = None
) -> Number:
    """The mask of the first `count` lanes, written here or by `write`."""
    line, kind = write or builder.line, f"<{lanes} x i32>"
    fits = line(f"icmp ult i64 {count}, {lanes}")
    within = line(f"select i1 {fits}, i64 {count}, i64 {lanes}")
    narrow = line(f"trunc i64 {within} to i32")
    one = line(f"insertelement {kind} poison, i32 {narrow}, i64 0")
    every = line(f"shufflevector {kind} {one}, {kind} poison, {kind} zeroinitializer")
    numbers = ", ".join(f"i32 {i}" for i in range(lanes))
    return builder.number(line(f"icmp ult {kind} <{numbers}>, {every}"), "bool", lanes)


def join_lanes(c: Carried, value: Number, initial: Number) -> Number:
    """Lanes -> one value.

    The upper half onto the lower until one is left, then the initial value.
    """
    builder, primitive = value.builder, COMBINES[c.combine].primitive
    while value.lanes > 2:
        half = value.lanes // 2
        low, high = (builder.shuffle(value, range(k, k + half)) for k in (0, half))
        value = rows.compute(primitive, (low, high), c.dtype)
    both = rows.compute(primitive, (builder.lane(value, "0"), builder.lane(value, "1")), c.dtype)
    return rows.compute(primitive, (initial, both), c.dtype)


def either(
    builder: Builder, skipped: Sequence[Number], before: str, ends: Sequence[Number], after: str
) -> list[Number]:
    """At the label `after`: the numbers of the block written last, or those of `before`."""
    end = builder.block
    builder.effect(f"br label %{after}")
    builder.start_block(after)
    chosen = []
    for here, there in zip(ends, skipped, strict=True):
        sources = f"[ {there.text}, %{before} ], [ {here.text}, %{end} ]"
        text = builder.line(f"phi {here.type} {sources}")
        chosen.append(Number(builder, text, here.dtype, here.lanes))
    return chosen


class LoopHead:
    """The head of a loop that runs at least once.

    Phis whose second sources are filled in when it is closed.
    """

    __slots__ = ("before", "builder", "label", "names", "position", "starts", "types")

    def __init__(self, builder: Builder, types: Sequence[str], starts: Sequence[str]) -> None:
        self.builder = builder
        self.types = types
        self.starts = starts
        self.label = builder.fresh_label("loop")
        self.before = builder.block
        builder.effect(f"br label %{self.label}")
        builder.start_block(self.label)
        self.position = len(builder.lines)
        self.names = [builder.name() for _ in types]
        builder.lines += [""] * len(types)

    def close(self, following: Sequence[str], more: str) -> None:
        """Go round again while `more`; what is written next stands after the loop."""
        builder = self.builder
        for i, (kind, start) in enumerate(zip(self.types, self.starts, strict=True)):
            sources = f"[ {start}, %{self.before} ], [ {following[i]}, %{builder.block} ]"
            builder.lines[self.position + i] = f"{self.names[i]} = phi {kind} {sources}"
        leave = builder.fresh_label("end")
        builder.effect(f"br i1 {more}, label %{self.label}, label %{leave}")
        builder.start_block(leave)
