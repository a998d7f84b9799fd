"""Tensors in NumPy's own files, `.npy` and `.npz`.

In: a tensor, or several by name. Out: a file that `numpy.load` reads, and the same from it.
Invariants: object arrays (which are pickles) are refused, so nothing in a file is executed; sizes
are checked against the file before memory is taken; every other failure is `FileFormatError` naming
the file. bfloat16, which NumPy lacks, is refused by name.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy
import numpy.lib.format

import rushlight

from ..serialization import FileFormatError
from ..serialization.files import name_of, opened, replaced

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rushlight import Tensor

__all__ = ["load", "save", "savez"]

_MAX_ENTRIES = 1 << 16


def save(file: Any, tensor: Tensor) -> None:
    """Write one tensor to a path (replaced as a whole) or an open binary file, as `.npy`.

    Errors: TypeError for bfloat16, OSError from the file system.

    >>> import io
    >>> import rushlight as rl
    >>> from rushlight.interop import numpy as npy
    >>> file = io.BytesIO()
    >>> npy.save(file, rl.arange(3))
    >>> npy.load(io.BytesIO(file.getvalue()))
    tensor([0, 1, 2])
    """
    array = tensor.detach().numpy()
    if hasattr(file, "write"):
        numpy.lib.format.write_array(file, array, allow_pickle=False)
        return
    with replaced(file) as stream:
        numpy.lib.format.write_array(stream, array, allow_pickle=False)


def savez(file: Any, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors by name to a path (replaced as a whole) or an open binary file, as `.npz`.

    Errors: as `save`.
    """
    arrays = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
    if hasattr(file, "write"):
        numpy.savez(file, **arrays)
        return
    with replaced(file) as stream:
        numpy.savez(stream, **arrays)


def load(file: Any, mmap: bool = False) -> Any:
    """The tensor of a `.npy` file, or the dictionary of those of a `.npz` file.

    With `mmap=True`, for paths to `.npy` files, the tensor lies in the mapped file; changing it
    does not change the file.
    Errors: FileFormatError for damaged files, objects and dtypes that do not exist here, OSError
    when the file cannot be read.
    """
    with opened(file) as stream:
        try:
            head = stream.read(2)
            stream.seek(0)
            if head == b"PK":
                return _load_archive(stream)
            if mmap and isinstance(file, (str, os.PathLike)):
                return rushlight.from_numpy(numpy.load(file, mmap_mode="c", allow_pickle=False))
            return _tensor(stream, _size_of(stream))
        except Exception as error:
            # A damaged file can make any step fail in its own way; all mean the same to the caller.
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise FileFormatError(f"{name_of(file)}: {text}") from error


def _size_of(stream: IO[bytes]) -> int:
    stream.seek(0, io.SEEK_END)
    size = stream.tell()
    stream.seek(0)
    return size


def _tensor(stream: IO[bytes], size: int) -> Any:
    """One array of a stream of at most `size` bytes."""
    version = numpy.lib.format.read_magic(stream)
    readers = {
        (1, 0): numpy.lib.format.read_array_header_1_0,
        (2, 0): numpy.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"version {version} of the format is unknown")
    shape, fortran, kind = readers[version](stream)
    if kind.hasobject or kind.fields or kind.kind not in "biufc":
        raise ValueError(f"it holds {kind.str} elements, which no tensor has")
    count = math.prod(shape)
    if count * kind.itemsize > size or any(n < 0 for n in shape):
        raise ValueError(f"the file has {size} bytes, fewer than an array of shape {shape}")
    content = stream.read(count * kind.itemsize)
    if len(content) != count * kind.itemsize:
        raise ValueError("the file ends inside the array")
    array = numpy.frombuffer(content, kind).astype(kind.newbyteorder("="))
    array = array.reshape(shape[::-1]).T if fortran else array.reshape(shape)
    return rushlight.tensor(array)


def _load_archive(stream: IO[bytes]) -> dict[str, Any]:
    size = _size_of(stream)
    made: dict[str, Any] = {}
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        # NumPy may have packed them, and deflate packs 1032 bytes in one at most.
        if len(entries) > _MAX_ENTRIES or sum(e.file_size for e in entries) > 1032 * size:
            raise ValueError("the archive unpacks to far more than it can hold")
        if len({entry.filename for entry in entries}) != len(entries):
            raise ValueError("the archive holds a name twice")
        for entry in entries:
            with archive.open(entry) as record:
                made[entry.filename.removesuffix(".npy")] = _tensor(record, entry.file_size)
    return made
