"""Files of PyTorch before 1.6: several pickles in a row, and the storages behind them.

In: the whole file. Out: the saved value.
Invariant: a storage gets no more memory than the file has bytes.
"""

from __future__ import annotations

from typing import Any

from .names import dtype_of
from .rebuild import StorageKind, StorageView
from .storages import LoadedStorage, raw_bytes
from .unpickler import Interpreter

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# How every pickle since Python 2.3 begins; an archive begins otherwise.
PICKLE_HEAD = b"\x80"


def load_legacy(data: bytes, check_location: Any) -> Any:
    """Read magic number, protocol, system, value and list of storages, then the storages' bytes.

    Errors: ValueError and the other errors of the interpreter.
    """
    storages: dict[str, LoadedStorage] = {}

    def find(reference: Any) -> StorageView:
        return _find(reference, storages, len(data), check_location)

    position, values = 0, []
    for _ in range(5):
        machine = Interpreter(data, find, position)
        values.append(machine.run())
        position = machine.end
        if len(values) == 1 and values[0] != _MAGIC:
            raise ValueError("a pickle, but not of PyTorch's old format")
    _, protocol, system, value, keys = values
    if protocol != _PROTOCOL:
        raise ValueError(f"version {protocol!r} of PyTorch's old format is unknown")
    if type(system) is dict and system.get("little_endian") is False:
        raise ValueError("the file was written on a big-endian machine")
    if type(keys) is not list or sorted(map(str, keys)) != sorted(storages):
        raise ValueError("the list of storages does not match those that are used")
    for key in keys:
        position = _read_storage(data, position, storages[key])
    return value


def _find(
    reference: Any, storages: dict[str, LoadedStorage], limit: int, check_location: Any
) -> StorageView:
    if type(reference) is not tuple or len(reference) != 6 or reference[0] != "storage":
        raise ValueError(f"unknown reference {reference!r}")
    _, kind, key, location, numel, view = reference
    typed = isinstance(kind, StorageKind) and kind.dtype is not None
    if not typed or type(key) is not str or type(numel) is not int or view is not None:
        raise ValueError(f"unknown reference to a storage {reference!r}")
    check_location(location)
    nbytes = numel * dtype_of(kind.dtype).itemsize
    if key not in storages:
        used = sum(storage.nbytes for storage in storages.values())
        if numel < 0 or used + nbytes > limit:
            raise ValueError(f"storage {key!r} of {nbytes} bytes does not fit into the file")
        storages[key] = LoadedStorage(nbytes, lambda memory: None)
    if storages[key].nbytes != nbytes:
        raise ValueError(f"storage {key!r} is said to have two different sizes")
    return StorageView(storages[key], kind.dtype)


def _read_storage(data: bytes, position: int, storage: LoadedStorage) -> int:
    """Fill a storage from its place behind the pickles: a count of elements, then the bytes."""
    end = position + 8 + storage.nbytes
    if end > len(data):
        raise ValueError("the file ends inside a storage")
    flat = storage.flat
    count = int.from_bytes(data[position : position + 8], "little", signed=True)
    if flat is not None:
        if count != flat.numel():
            raise ValueError(f"a storage of {flat.numel()} elements is followed by {count}")
        raw_bytes(flat)[:] = data[position + 8 : end]
    return end
