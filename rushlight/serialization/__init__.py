"""Saving and loading checkpoints in PyTorch's file format, never executing what a file contains.

In: nested dictionaries, lists, tuples and sets of tensors, numbers and text, as `state_dict()`
gives them. Out: a file that real PyTorch reads, and the same data from files that PyTorch wrote.
Invariant: loading builds data and nothing else. It ends in the data, or in `FileFormatError` naming
the file; saving to a path leaves either the old file or the whole new one.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from functools import partial
from typing import IO, Any

import numpy

import rushlight

from .archive import Archive, write_record
from .errors import FileFormatError
from .files import name_of, opened, replaced
from .legacy import PICKLE_HEAD, load_legacy, save_legacy
from .names import dtype_of
from .pickler import Pickler
from .rebuild import StorageKind, StorageView
from .storages import LoadedStorage
from .trusted import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from .unpickler import MAX_BYTES, Interpreter

# Where storages in a mapped file must begin to be used in place.
_MAPPED_ALIGNMENT = 64

__all__ = [
    "FileFormatError",
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "load",
    "safe_globals",
    "save",
]


def save(
    obj: Any,
    f: Any,
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Write `obj` to a path or an open binary file (`torch.save`).

    `obj` is plain data: None, numbers, text, bytes, lists, tuples, sets, dictionaries, `Size`,
    dtypes, devices, tensors and parameters, nested up to 100 levels. Tensors that share memory
    share it again after loading; a view brings the whole memory it looks at. A path is replaced as
    a whole, never left half written. `_use_new_zipfile_serialization=False` writes the format of
    PyTorch before 1.6; the pickle is always of protocol 2, written without `pickle_module`.
    Errors: TypeError naming where in `obj` something else stands (save a module's `state_dict()`,
    not the module), ValueError for data that contains itself, OSError from the file system.

    >>> import io
    >>> import rushlight as rl
    >>> file = io.BytesIO()
    >>> rl.save({"weight": rl.ones(2), "epoch": 3}, file)
    >>> rl.load(io.BytesIO(file.getvalue()))
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    if not isinstance(f, (str, os.PathLike)) and not hasattr(f, "write"):
        raise TypeError(f"expected a path or an object with write(), got a {type(f).__name__}")
    # Everything is known to be writable before the first byte is written.
    content = io.BytesIO()
    write: Callable[[IO[bytes]], None]
    if _use_new_zipfile_serialization:
        pickler = Pickler()
        pickler.dump(obj)
        write = partial(_write_archive, pickler=pickler, byteorder=not _disable_byteorder_record)
    else:
        save_legacy(content, obj)
        write = partial(_write_all, content=content)
    if isinstance(f, (str, os.PathLike)):
        with replaced(f) as file:
            write(file)
    else:
        write(f)


def _write_all(file: IO[bytes], content: io.BytesIO) -> None:
    file.write(content.getbuffer())


def _write_archive(file: IO[bytes], pickler: Pickler, byteorder: bool) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        write_record(archive, "data.pkl", pickler.output)
        write_record(archive, ".format_version", b"1")
        write_record(archive, ".storage_alignment", b"64")
        if byteorder:
            write_record(archive, "byteorder", b"little")
        for number, (content, _) in enumerate(pickler.contents()):
            write_record(archive, f"data/{number}", content)
        write_record(archive, "version", b"3\n")


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = True,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read what `save`, or PyTorch's `torch.save`, wrote (`torch.load`).

    `f` is a path or an open binary file. `map_location` ("cpu", a device, a dictionary from saved
    to wanted locations, or a function) is needed for files saved from another device. With
    `mmap=True`, for paths only, tensors lie in the mapped file and are read when used; changing
    them does not change the file. Whatever `weights_only` says, nothing in the file is executed:
    only tensors and plain data are loaded; `pickle_module` and its options are accepted and unused.
    Errors: FileFormatError (a RuntimeError) for damaged or foreign files and for data that is not
    allowed, OSError when the file cannot be read, RuntimeError for a device this machine lacks.

    >>> import io
    >>> import rushlight as rl
    >>> rl.load(io.BytesIO(b"not a checkpoint"))
    Traceback (most recent call last):
    rushlight.serialization.errors.FileFormatError: <BytesIO>: neither of PyTorch's formats
    """
    if mmap and not isinstance(f, (str, os.PathLike)):
        raise ValueError("f must be a file path in order to use the mmap argument")
    placement = _Placement(map_location)
    with opened(f) as file:
        try:
            return _load(file, placement, os.fspath(f) if mmap else None)
        except (FileFormatError, _UnavailableDevice):
            raise
        except Exception as error:
            # A damaged file can make any step fail in its own way; all mean the same to the caller.
            text = str(error) or type(error).__name__
            raise FileFormatError(f"{name_of(f)}: {text}") from error


def _load(file: IO[bytes], placement: _Placement, mapped: str | None) -> Any:
    head = file.read(2)
    if head.startswith(PICKLE_HEAD):
        return load_legacy(head + file.read(), placement.device_for)
    if head != b"PK":
        raise ValueError("neither of PyTorch's formats")
    archive = Archive(file)
    if "byteorder" in archive.records and archive.read("byteorder", 16) != b"little":
        raise ValueError("the file was written on a big-endian machine")
    finder = _StorageFinder(archive, placement, mapped)
    size = sum(record.size for record in archive.records.values())
    return Interpreter(archive.read("data.pkl", MAX_BYTES), finder.find, size=size).run()


class _StorageFinder:
    """Turns the references in a pickle into memory with the bytes of the archive."""

    def __init__(self, archive: Archive, placement: _Placement, mapped: str | None) -> None:
        self.archive, self.placement = archive, placement
        # Copy on write: changing a tensor changes memory, not the file.
        self.mapped = None if mapped is None else numpy.memmap(mapped, numpy.uint8, "c")
        self.storages: dict[str, LoadedStorage] = {}

    def find(self, reference: Any) -> StorageView:
        if type(reference) is not tuple or len(reference) != 5 or reference[0] != "storage":
            raise ValueError("unknown reference: not one to a storage")
        _, kind, key, location, numel = reference
        if not isinstance(kind, StorageKind) or type(key) is not str or type(numel) is not int:
            raise ValueError("unknown reference to a storage")
        device = self.placement.device_for(location)
        name = f"data/{key}"
        size = self.archive.record(name).size
        nbytes = numel * (dtype_of(kind.dtype).itemsize if kind.dtype else 1)
        if nbytes != size:
            raise ValueError(f"storage {key!r} should have {nbytes} bytes, the file has {size}")
        if key not in self.storages:
            self.storages[key] = self._make(name, size)
            self.storages[key].device = device
        return StorageView(self.storages[key], kind.dtype)

    def _make(self, name: str, size: int) -> LoadedStorage:
        start = self.archive.record(name).start
        if self.mapped is not None and size and start % _MAPPED_ALIGNMENT == 0:
            return LoadedStorage.in_place(self.mapped[start : start + size])
        return LoadedStorage(size, lambda memory: self.archive.read_into(name, memory))


class _UnavailableDevice(RuntimeError):
    """A file asks for a device that is not there; not a fault of the file."""


class _Placement:
    """Where saved tensors go: `map_location`, as a function of where they were."""

    def __init__(self, map_location: Any) -> None:
        self.map_location = map_location
        self.known: dict[str, str] = {}

    def device_for(self, location: Any) -> str:
        """ "cpu", or "meta" (shapes without values), for a storage saved at `location`."""
        if type(location) is not str:
            raise ValueError(f"the location of a storage is a {type(location).__name__}")
        if location not in self.known:
            wanted = self._wanted(location)
            kind = rushlight.device(wanted).type
            if kind not in ("cpu", "meta"):
                raise _UnavailableDevice(
                    f"load: a tensor was saved on {location!r} and should be loaded to "
                    f"{str(wanted)!r}, which is not available; use map_location='cpu'"
                )
            self.known[location] = kind
        return self.known[location]

    def _wanted(self, location: str) -> Any:
        rule = self.map_location
        if isinstance(rule, dict):
            return rule.get(location, location)
        if callable(rule) and not isinstance(rule, rushlight.device):
            storage = rushlight.empty(0).untyped_storage()
            return location if rule(storage, location) is None else "cpu"
        return location if rule is None else rule
