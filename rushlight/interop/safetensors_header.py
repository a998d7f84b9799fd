"""The header of `.safetensors` files: which tensor lies where.

In: the bytes of a file, or the shapes of tensors. Out: entries by name, or the header's bytes.
Invariant: the entries of a header that was accepted cover the bytes behind it exactly, without gaps
or overlaps, and every entry has as many bytes as its shape and dtype say.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..serialization import FileFormatError
from ..serialization.names import dtype_of

# Names of the format, in its order (small elements first), and ours.
DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "U16": "uint16",
    "F16": "float16",
    "BF16": "bfloat16",
    "I32": "int32",
    "U32": "uint32",
    "F32": "float32",
    "C64": "complex64",
    "F64": "float64",
    "I64": "int64",
    "U64": "uint64",
}
# The format allows 100 MB; 32 MB are the names and places of some 300,000 tensors, and are parsed
# in a second.
MAX_HEADER = 1 << 25
_ALIGNMENT = 8
_MAX_DIMENSIONS = 64


class Entry(NamedTuple):
    """One tensor: the format's and our name of its dtype, its shape, its bytes behind the
    header.
    """

    code: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def write_header(
    tensors: Sequence[tuple[str, str, tuple[int, ...], int]], metadata: dict[str, str] | None
) -> bytes:
    """The header of tensors (name, dtype, shape, bytes) that follow one another."""
    content: dict[str, Any] = {}
    if metadata is not None:
        if not all(type(text) is str for pair in metadata.items() for text in pair):
            raise TypeError("the metadata of a safetensors file is a dictionary of text to text")
        content["__metadata__"] = metadata
    begin = 0
    for name, code, shape, size in tensors:
        content[name] = {"dtype": code, "shape": shape, "data_offsets": (begin, begin + size)}
        begin += size
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def read_header(
    content: memoryview, name: str
) -> tuple[int, dict[str, Entry], dict[str, str] | None]:
    """Where the tensors' bytes begin, the entries, and the metadata.

    Errors: FileFormatError naming the file.
    """
    try:
        return _read(content)
    except (ValueError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{name}: {str(error) or type(error).__name__}") from error


def _read(content: memoryview) -> tuple[int, dict[str, Entry], dict[str, str] | None]:
    if len(content) < 8:
        raise ValueError("the file ends before its header")
    size = int.from_bytes(content[:8], "little")
    if size > MAX_HEADER:
        raise ValueError(f"a header of {size} bytes is longer than {MAX_HEADER}")
    start = 8 + size
    if start > len(content):
        raise ValueError("the file ends inside its header")
    text = bytes(content[8:start])
    if not text.startswith(b"{"):
        raise ValueError("the header is not a JSON object")
    described = json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    metadata = described.pop("__metadata__", None)
    if metadata is not None and not _all_text(metadata):
        raise ValueError("the metadata is not a dictionary of text to text")
    entries = {key: _entry(key, value) for key, value in described.items()}
    _check_cover(entries, len(content) - start)
    return start, entries, metadata


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("the header holds a name twice")
    return made


def _refuse(word: str) -> None:
    raise ValueError(f"the header holds {word}")


def _all_text(value: Any) -> bool:
    return type(value) is dict and all(type(text) is str for text in value.values())


def _naturals(values: Any, most: int) -> bool:
    """Whether a value is a list of at most `most` numbers that fit 63 bits."""
    return (
        type(values) is list
        and len(values) <= most
        and all(type(n) is int and 0 <= n < 2**63 for n in values)
    )


def _entry(key: str, value: Any) -> Entry:
    place = f"tensor {key[:100]!r}"
    if type(value) is not dict or set(value) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{place} is not described by dtype, shape and data_offsets")
    code, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if type(code) is not str or code not in DTYPES:
        raise ValueError(f"{place} has the dtype {str(code)[:20]}, which is not supported")
    if not _naturals(shape, _MAX_DIMENSIONS):
        raise ValueError(f"{place} has a shape that is not a list of natural numbers")
    if not _naturals(offsets, 2) or len(offsets) != 2:
        raise ValueError(f"{place} has no pair of offsets")
    begin, end = offsets
    needed = math.prod(shape) * dtype_of(DTYPES[code]).itemsize
    if end - begin != needed:
        raise ValueError(f"{place} needs {needed} bytes and has {end - begin}")
    return Entry(code, DTYPES[code], tuple(shape), begin, end)


def _check_cover(entries: dict[str, Entry], size: int) -> None:
    """The tensors lie one behind the other, from the first byte to the last."""
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1][3:]):
        if entry.begin != position:
            what = "overlaps another one" if entry.begin < position else "leaves a gap before it"
            raise ValueError(f"tensor {name[:100]!r} {what}")
        position = entry.end
    if position != size:
        raise ValueError(f"the tensors have {position} bytes, the file has {size}")
