"""Checks of every access to memory, written into kernels where `SETTINGS.bounds` asks for them.

In: the pointer of an access, how many bytes it takes, and whose memory it should stay in. Out:
code that touches nothing outside and says so in the status word: `OUTSIDE` plus the number of the
buffer. Invariant: what is compared is the pointer that is used, not the index it was made from.
"""

from __future__ import annotations

from typing import Protocol

from rushlight.base.settings import SETTINGS

# Beyond every number of a gather's site, which is what the status word holds otherwise.
OUTSIDE = 1 << 40

# The functions of a contraction hand each other a table of pointers (see `write_limits`): the
# status word, memory to spare for what must not be touched, then three entries for each operand.
SPARE_BYTES = 256
_HEAD, _ENTRY = 16, 24


class Lines(Protocol):
    """What writes the lines of a function (contraction_tile.Writer)."""

    def line(self, text: str) -> None: ...

    def value(self, text: str) -> str: ...

    def move(self, pointer: str, offset: str | int) -> str: ...


def limits_argument() -> str:
    """What the functions of a contraction are given last: the table, where there is one."""
    return ", ptr %limits" if SETTINGS.bounds else ""


def write_limits(writer: Lines, ranges: list[tuple[str, int, int, int]]) -> None:
    """The table, at the start of a function: (pointer, first byte from there, end, buffer number)
    for each operand.
    """
    writer.line(f"%limits = alloca i8, i64 {_HEAD + _ENTRY * len(ranges)}, align 8")
    writer.line(f"%spare = alloca i8, i64 {SPARE_BYTES}, align 64")
    writer.line("store ptr %status, ptr %limits")
    writer.line(f"store ptr %spare, ptr {writer.move('%limits', 8)}")
    for operand, (pointer, first, end, number) in enumerate(ranges):
        at = _HEAD + _ENTRY * operand
        for place, byte in ((at, first), (at + 8, end)):
            limit = writer.move(pointer, byte)
            writer.line(f"store ptr {limit}, ptr {writer.move('%limits', place)}")
        writer.line(f"store i64 {OUTSIDE + number}, ptr {writer.move('%limits', at + 16)}")


def checked(writer: Lines, pointer: str, operand: int, size: int) -> str:
    """The pointer of an access of `size` bytes; to spare memory if it would leave its operand's."""
    if not SETTINGS.bounds:
        return pointer

    def entry(kind: str, place: int) -> str:
        return writer.value(f"load {kind}, ptr {writer.move('%limits', place)}")

    at = _HEAD + _ENTRY * operand
    status, spare = entry("ptr", 0), entry("ptr", 8)
    first, end, code = entry("ptr", at), entry("ptr", at + 8), entry("i64", at + 16)
    begins = writer.value(f"icmp uge ptr {pointer}, {first}")
    ends = writer.value(f"icmp ule ptr {pointer}, {writer.move(end, -size)}")
    inside = writer.value(f"and i1 {begins}, {ends}")
    word = writer.value(f"select i1 {inside}, ptr {spare}, ptr {status}")
    writer.line(f"store i64 {code}, ptr {word}")
    return writer.value(f"select i1 {inside}, ptr {pointer}, ptr {spare}")
