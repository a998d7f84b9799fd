"""Files of PyTorch before 1.6: several pickles in a row, and the storages behind them.

In: the whole file, or a value. Out: the saved value, or the file.
Invariant: a storage gets no more memory than the file has bytes.
"""

from __future__ import annotations

from typing import IO, Any

from .names import dtype_of
from .pickler import Pickler
from .rebuild import StorageKind, StorageView
from .storages import LoadedStorage
from .unpickler import Interpreter

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# How every pickle since Python 2.3 begins; an archive begins otherwise.
PICKLE_HEAD = b"\x80"


_SYSTEM = {
    "protocol_version": _PROTOCOL,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}


def save_legacy(file: IO[bytes], value: Any) -> None:
    """Write a value as PyTorch before 1.6 did. Errors: as the pickler's."""
    main = Pickler(views=True)
    main.dump(value)
    keys = [str(number) for number in range(len(main.storages))]
    for part in (_MAGIC, _PROTOCOL, _SYSTEM, None, keys):
        pickler = main
        if part is not None:
            pickler = Pickler()
            pickler.dump(part)
        file.write(pickler.output)
    for content, count in main.contents():
        file.write(count.to_bytes(8, "little"))
        file.write(content)


def load_legacy(data: bytes, device_for: Any) -> Any:
    """Read magic number, protocol, system, value and list of storages, then the storages' bytes.

    The bytes come last, so the value is read twice: to learn of its storages, and to make it.
    Errors: ValueError and the other errors of the interpreter.
    """
    storages: dict[str, LoadedStorage] = {}
    counts: dict[str, int] = {}

    def find(reference: Any) -> StorageView:
        return _find(reference, storages, counts, len(data), device_for)

    position, values, starts = 0, [], []
    for _ in range(5):
        starts.append(position)
        machine = Interpreter(data, find, position)
        values.append(machine.run())
        position = machine.end
        if len(values) == 1 and values[0] != _MAGIC:
            raise ValueError("a pickle, but not of PyTorch's old format")
    _, protocol, system, _, keys = values
    if protocol != _PROTOCOL:
        raise ValueError("a version of PyTorch's old format that is unknown")
    if type(system) is dict and system.get("little_endian") is False:
        raise ValueError("the file was written on a big-endian machine")
    named = type(keys) is list and all(type(key) is str for key in keys)
    if not named or sorted(keys) != sorted(storages):
        raise ValueError("the list of storages does not match those that are used")
    for key in keys:
        position = _place_storage(data, position, storages[key], counts[key])
    return Interpreter(data, find, starts[3]).run()


def _find(
    reference: Any,
    storages: dict[str, LoadedStorage],
    counts: dict[str, int],
    limit: int,
    device_for: Any,
) -> StorageView:
    if type(reference) is not tuple or len(reference) != 6 or reference[0] != "storage":
        raise ValueError("unknown reference: not one to a storage")
    _, kind, key, location, numel, view = reference
    if (
        not isinstance(kind, StorageKind)
        or type(key) is not str
        or type(numel) is not int
        or view is not None
    ):
        raise ValueError("unknown reference to a storage")
    device = device_for(location)
    nbytes = numel * (dtype_of(kind.dtype).itemsize if kind.dtype else 1)
    if key not in storages:
        used = sum(storage.nbytes for storage in storages.values())
        if numel < 0 or used + nbytes > limit:
            raise ValueError(f"storage {key!r} of {nbytes} bytes does not fit into the file")
        storages[key] = LoadedStorage(nbytes, lambda memory: None)
        storages[key].device = device
        counts[key] = numel
    if storages[key].nbytes != nbytes:
        raise ValueError(f"storage {key!r} is said to have two different sizes")
    return StorageView(storages[key], kind.dtype)


def _place_storage(data: bytes, position: int, storage: LoadedStorage, numel: int) -> int:
    """Tell a storage its place behind the pickles: a count of elements, then the bytes."""
    begin = position + 8
    end = begin + storage.nbytes
    if end > len(data):
        raise ValueError("the file ends inside a storage")
    count = int.from_bytes(data[position:begin], "little", signed=True)
    if count != numel:
        raise ValueError(f"a storage of {numel} elements is followed by {count}")

    def fill(memory: memoryview) -> None:
        memory[:] = data[begin:end]

    storage.refill(fill)
    return end
