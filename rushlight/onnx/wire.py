"""Protobuf, as much as ONNX needs: messages to bytes and back.

In: fields by number. Out: bytes; or the fields of some bytes. Invariant of reading: every length is
checked against the message around it before anything is taken, and a number has at most ten bytes.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

MASK = (1 << 64) - 1
MAX_FIELDS = 1 << 24


def varint(value: int) -> bytes:
    """A number in groups of seven bits, negative ones as 64-bit two's complement."""
    value &= MASK
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(field: int, value: int) -> bytes:
    """A field that holds a number."""
    return varint(field << 3) + varint(value)


def real(field: int, value: float) -> bytes:
    """A field that holds a 32-bit float."""
    return varint(field << 3 | 5) + struct.pack("<f", value)


def block(field: int, content: bytes | str) -> bytes:
    """A field that holds bytes, text or a message."""
    raw = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def blocks(field: int, contents: Iterable[bytes | str]) -> bytes:
    """A repeated field of bytes, texts or messages."""
    return b"".join(block(field, content) for content in contents)


class Message:
    """The fields of a message, read one level deep: numbers as int, 32 and 64 bit words as bytes,
    everything else as memoryview.

    Errors: ValueError where the bytes are not a message.
    """

    def __init__(self, content: memoryview) -> None:
        self.fields: dict[int, list[Any]] = defaultdict(list)
        position = count = 0
        while position < len(content):
            key, position = _varint(content, position)
            value: Any
            kind = key & 7
            if kind == 0:
                value, position = _varint(content, position)
            else:
                size = {1: 8, 5: 4}.get(kind)
                if size is None:
                    if kind != 2:
                        raise ValueError(f"a field of the unknown kind {kind}")
                    size, position = _varint(content, position)
                if size > len(content) - position:
                    raise ValueError("a field reaches beyond its message")
                value = content[position : position + size]
                position += size
            count += 1
            if count > MAX_FIELDS:
                raise ValueError(f"a message of more than {MAX_FIELDS} fields")
            self.fields[key >> 3].append(value)

    def all(self, field: int) -> list[Any]:
        """Every value of a repeated field."""
        return self.fields.get(field, [])

    def messages(self, field: int) -> list[Message]:
        """The messages of a repeated field."""
        return [Message(self._bytes(value)) for value in self.all(field)]

    def message(self, field: int) -> Message:
        """One message; an empty one where there is none."""
        found = self.all(field)
        return Message(self._bytes(found[-1])) if found else Message(memoryview(b""))

    def text(self, field: int) -> str:
        """One text; an empty one where there is none."""
        found = self.texts(field)
        return found[-1] if found else ""

    def texts(self, field: int) -> list[str]:
        """The texts of a repeated field."""
        return [str(self._bytes(value), "utf-8") for value in self.all(field)]

    def raw(self, field: int) -> memoryview:
        """The bytes of a field."""
        found = self.all(field)
        return self._bytes(found[-1]) if found else memoryview(b"")

    def integer(self, field: int, default: int = 0) -> int:
        """One signed number."""
        found = self.integers(field)
        return found[-1] if found else default

    def integers(self, field: int) -> list[int]:
        """The signed numbers of a repeated field, packed or not."""
        found: list[int] = []
        for value in self.all(field):
            if isinstance(value, int):
                found.append(_signed(value))
                continue
            position = 0
            while position < len(value):
                number, position = _varint(value, position)
                found.append(_signed(number))
        return found

    def reals(self, field: int, code: str = "f") -> list[float]:
        """The floats of a repeated field, packed or not."""
        found: list[float] = []
        size = struct.calcsize(code)
        for value in self.all(field):
            if isinstance(value, int) or len(value) % size:
                raise ValueError("a float is not written as one")
            found += struct.unpack(f"<{len(value) // size}{code}", value)
        return found

    @staticmethod
    def _bytes(value: Any) -> memoryview:
        if isinstance(value, int):
            raise ValueError("a number where a message or text was expected")
        return value


def _varint(content: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(content):
            raise ValueError("the message ends inside a number")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & MASK, position
    raise ValueError("a number of more than ten bytes")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
