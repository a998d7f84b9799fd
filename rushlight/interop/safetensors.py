"""Tensors by name in `.safetensors` files, with the functions of `safetensors.torch`.

In: a dictionary of tensors, or a model. Out: a file, and the same from it, whole or in parts.
Invariants: the format holds plain tensors only, so nothing in a file can be executed; before any
tensor is made, the header is known to describe every byte of the file exactly once (the format's
own rule), or the file is refused with `FileFormatError` naming it. Written here without the
`safetensors` library, after its description of the format.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy

import rushlight

from ..serialization import FileFormatError
from ..serialization.files import replaced
from ..serialization.names import dtype_name, dtype_of
from ..serialization.storages import raw_bytes
from .safetensors_header import DTYPES, Entry, read_header, write_header

if TYPE_CHECKING:
    from rushlight import Tensor

__all__ = [
    "load",
    "load_file",
    "load_model",
    "safe_open",
    "save",
    "save_file",
    "save_model",
]

_FRAMEWORKS = ("pt", "torch", "pytorch", "np", "numpy")
_BACKENDS = ("mmap", "pread")


class safe_open:
    """A file whose tensors are read when they are asked for.

    The file is mapped: what is not asked for is never read. `framework` is "pt" or "np".
    Errors: FileFormatError for a damaged file, OSError when it cannot be read.

    >>> import tempfile, os
    >>> import rushlight as rl
    >>> from rushlight.interop import safetensors
    >>> path = os.path.join(tempfile.mkdtemp(), "x.safetensors")
    >>> safetensors.save_file({"x": rl.arange(6).reshape(2, 3)}, path)
    >>> with safetensors.safe_open(path, framework="pt") as file:
    ...     file.keys(), file.get_slice("x")[:, 1:]
    (['x'], tensor([[1, 2],
            [4, 5]]))
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        framework: str = "pt",
        device: Any = "cpu",
        *,
        backend: str = "mmap",
    ) -> None:
        if framework not in _FRAMEWORKS:
            raise ValueError(f"framework {framework!r} is not one of {', '.join(_FRAMEWORKS)}")
        if backend not in _BACKENDS:
            raise ValueError(f"backend {backend!r} is not one of {', '.join(_BACKENDS)}")
        self._name = os.fspath(filename)
        self._arrays = framework in ("np", "numpy")
        self._device = device
        # an empty file cannot be mapped
        empty = Path(filename).stat().st_size == 0
        self._bytes: Any = b"" if empty else numpy.memmap(filename, numpy.uint8, "r")
        self._start, self._entries, self._metadata = read_header(
            memoryview(self._bytes),  # type: ignore[arg-type]
            self._name,
        )

    def __enter__(self) -> safe_open:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bytes = None

    def keys(self) -> list[str]:
        """The names of the tensors, sorted."""
        return sorted(self._entries)

    def offset_keys(self) -> list[str]:
        """The names of the tensors, in the order in which they lie in the file."""
        return sorted(self._entries, key=lambda name: self._entries[name].begin)

    def metadata(self) -> dict[str, str] | None:
        """The words that were saved beside the tensors."""
        return self._metadata

    def get_tensor(self, name: str) -> Any:
        """One tensor. Errors: FileFormatError where the file has none of that name."""
        return self.get_slice(name)[...]

    def get_tensors(self) -> dict[str, Any]:
        """All tensors by name."""
        return {name: self.get_tensor(name) for name in self.offset_keys()}

    def get_slice(self, name: str) -> Slice:
        """A tensor that is read when it is indexed, and only as far as needed."""
        if self._bytes is None:
            raise ValueError(f"{self._name}: the file is closed")
        if name not in self._entries:
            raise FileFormatError(f"{self._name}: File does not contain tensor {name}")
        entry = self._entries[name]
        raw = memoryview(self._bytes)[self._start + entry.begin : self._start + entry.end]
        return Slice(entry, raw, self._arrays, self._device)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())


class Slice:
    """A tensor in a file, read by indexing it with integers, slices and `...`."""

    def __init__(self, entry: Entry, raw: memoryview, arrays: bool, device: Any) -> None:
        self._entry, self._arrays, self._device = entry, arrays, device
        self._raw = raw

    def get_shape(self) -> list[int]:
        """The shape of the whole tensor."""
        return list(self._entry.shape)

    def get_dtype(self) -> str:
        """The format's name of the dtype, such as "F32"."""
        return self._entry.code

    def __getitem__(self, index: Any) -> Any:
        entry = self._entry
        parts = index if isinstance(index, tuple) else (index,)
        if not all(isinstance(part, (int, slice, type(...))) for part in parts):
            raise TypeError("a tensor in a file is indexed with integers, slices and ...")
        narrow = entry.dtype == "bfloat16"
        if narrow and self._arrays:
            raise TypeError("NumPy has no bfloat16: open the file with framework='pt'")
        kind = numpy.dtype("int16" if narrow else entry.dtype).newbyteorder("<")
        whole = numpy.frombuffer(self._raw, kind).reshape(entry.shape)
        part = numpy.array(whole[index], order="C")
        if self._arrays:
            return part
        tensor = rushlight.empty(part.shape, dtype=dtype_of(entry.dtype))
        flat: Any = part.reshape(-1).view(numpy.uint8)
        raw_bytes(tensor)[:] = memoryview(flat)
        return tensor.to(self._device)


def load_file(
    filename: str | os.PathLike[str], device: Any = "cpu", *, backend: str = "mmap"
) -> dict[str, Tensor]:
    """All tensors of a file, by name (`safetensors.torch.load_file`).

    Errors: FileFormatError for a damaged file or a dtype that does not exist here, OSError when the
    file cannot be read.
    """
    with safe_open(filename, "pt", device, backend=backend) as file:
        return file.get_tensors()


def load(data: bytes, device: Any = "cpu", name: str = "<bytes>") -> dict[str, Tensor]:
    """All tensors in the bytes of a file; `name` is what errors call it.

    >>> import rushlight as rl
    >>> from rushlight.interop import safetensors
    >>> safetensors.load(safetensors.save({"x": rl.ones(2)}))
    {'x': tensor([1., 1.])}
    """
    raw = memoryview(data)
    start, entries, _ = read_header(raw, name)
    return {
        key: Slice(entry, raw[start + entry.begin : start + entry.end], False, device)[...]
        for key, entry in entries.items()
    }


def save_file(
    tensors: Mapping[str, Tensor],
    filename: str | os.PathLike[str],
    metadata: dict[str, str] | None = None,
) -> None:
    """Write tensors and their names to a file, which is replaced as a whole.

    Errors: as `save`, and OSError from the file system.
    """
    parts = list(_parts(tensors, metadata))
    with replaced(filename) as file:
        _write(file, parts)


def save(tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes of a file with these tensors; views are saved as what they show.

    Errors: RuntimeError for tensors that share memory, which the format cannot express, and for a
    dtype it does not have; ValueError for something that is not a tensor.
    """
    return b"".join(
        part if isinstance(part, bytes) else raw_bytes(part) for part in _parts(tensors, metadata)
    )


def _write(file: IO[bytes], parts: list[bytes | Tensor]) -> None:
    for part in parts:
        file.write(part if isinstance(part, bytes) else raw_bytes(part))


def _parts(
    tensors: Mapping[str, Tensor], metadata: dict[str, str] | None
) -> Iterator[bytes | Tensor]:
    """The header, then the tensors, each dense, in the order of the file."""
    if sys.byteorder != "little":
        raise RuntimeError("safetensors files are little-endian, this machine is not")
    if not isinstance(tensors, Mapping):
        raise ValueError(f"Expected a dict of [str, Tensor] but received {type(tensors).__name__}")
    _check(tensors)
    codes = {dtype: code for code, dtype in DTYPES.items()}
    # The library's order: large elements first, so that all lie at multiples of their size.
    names = sorted(tensors, key=lambda key: (-_rank(tensors[key]), key))
    described = []
    for key in names:
        dtype = dtype_name(tensors[key].dtype)
        if dtype not in codes:
            raise RuntimeError(f"tensor {key!r} has the dtype {dtype}, which safetensors lacks")
        shape = tuple(tensors[key].shape)
        described.append((key, codes[dtype], shape, math.prod(shape) * tensors[key].dtype.itemsize))
    yield write_header(described, metadata)
    for key in names:
        yield tensors[key].detach().contiguous()


_ORDER = {dtype: place for place, dtype in enumerate(DTYPES.values())}


def _rank(tensor: Tensor) -> int:
    return _ORDER.get(dtype_name(tensor.dtype), 0)


def _overlapping(tensors: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """Groups of names whose tensors have bytes in common."""
    stretches = []
    for key, tensor in tensors.items():
        if not tensor.numel():
            continue
        steps = zip(tensor.shape, tensor.stride(), strict=True)
        first = tensor.storage_offset() * tensor.dtype.itemsize
        last = first + (1 + sum((n - 1) * step for n, step in steps)) * tensor.dtype.itemsize
        stretches.append((tensor.untyped_storage()._cdata, first, last, key))
    stretches.sort()
    group: list[str] = []
    owner, end = -1, 0
    for storage, first, last, key in stretches:
        if storage != owner or first >= end:
            if len(group) > 1:
                yield group
            group, owner, end = [], storage, 0
        group.append(key)
        end = max(end, last)
    if len(group) > 1:
        yield group


def _check(tensors: Mapping[str, Tensor]) -> None:
    for key, tensor in tensors.items():
        if not isinstance(key, str):
            raise ValueError(f"the name {key!r} is a {type(key).__name__}, not text")
        if not isinstance(tensor, rushlight.Tensor):
            raise ValueError(f"{key!r} is a {type(tensor).__name__}, not a tensor")
    for names in _overlapping(tensors):
        shown = " and ".join(repr(name) for name in sorted(names))
        raise RuntimeError(
            f"tensors {shown} share memory, which a safetensors file cannot express: clone one of "
            "them, or use save_model"
        )


# ---- models, whose parameters may be tied


def _kept(tensors: Mapping[str, Tensor], preferred: Any = ()) -> dict[str, str]:
    """For every name that another one stands for: that other one, which has all of the memory.

    Errors: RuntimeError where tensors overlap and none has all of their memory.
    """
    stands: dict[str, str] = {}
    for names in _overlapping(tensors):
        whole = [
            name
            for name in names
            if tensors[name].numel() * tensors[name].dtype.itemsize
            == tensors[name].untyped_storage().nbytes()
        ]
        if not whole:
            raise RuntimeError(
                f"tensors {', '.join(sorted(names))} share memory and none has all of it: clone "
                "them before saving"
            )
        keep = min(whole, key=lambda name: (name not in preferred, name))
        stands.update({name: keep for name in names if name != keep})
    return stands


def save_model(
    model: Any,
    filename: str | os.PathLike[str],
    metadata: dict[str, str] | None = None,
    force_contiguous: bool = True,
) -> None:
    """Write a model's state; of parameters that share memory one is written, the others are named
    in the metadata.

    Errors: as `save_file`; with `force_contiguous=False` ValueError for a strided tensor.
    """
    state = model.state_dict()
    stands = _kept(state)
    notes = dict(metadata or {})
    for name, keep in sorted(stands.items()):
        notes.setdefault(name, keep)
        del state[name]
    strided = [name for name, tensor in state.items() if not tensor.is_contiguous()]
    if strided and not force_contiguous:
        raise ValueError(
            f"{strided[0]!r} is not contiguous; use save_model(..., force_contiguous=True)"
        )
    save_file(state, filename, notes or metadata)


def load_model(
    model: Any,
    filename: str | os.PathLike[str],
    strict: bool = True,
    device: Any = "cpu",
    *,
    backend: str = "mmap",
) -> tuple[list[str], list[str]]:
    """Load a file into a model: (names that the file lacks, names that the model lacks).

    Errors: RuntimeError listing both where `strict` and there are any.
    """
    state = load_file(filename, device, backend=backend)
    stands = _kept(model.state_dict(), preferred=state)
    missing, unexpected = model.load_state_dict(state, strict=False)
    left = [name for name in missing if name not in stands]
    extra = [*unexpected, *(name for name in stands if name not in missing)]
    if strict and (left or extra):
        lines = [f"Error(s) in loading state_dict for {type(model).__name__}:"]
        for title, names in (("Missing", left), ("Unexpected", extra)):
            if names:
                shown = ", ".join(f'"{name}"' for name in sorted(names))
                lines.append(f"    {title} key(s) in state_dict: {shown}")
        raise RuntimeError("\n".join(lines))
    return left, extra
