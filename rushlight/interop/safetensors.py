"""Tensors by name in `.safetensors` files, through the `safetensors` library.

In: a dictionary of tensors. Out: a file, and the same dictionary from it.
Invariant: the format holds plain tensors only, so nothing in a file can be executed; a file that
does not fit its own header is refused with `FileFormatError` naming it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy

import rushlight

from ..serialization import FileFormatError
from ..serialization.files import replaced
from ..serialization.names import dtype_name, dtype_of
from ..serialization.storages import raw_bytes

if TYPE_CHECKING:
    from rushlight import Tensor

_DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}


def load_file(filename: str | os.PathLike[str], device: Any = "cpu") -> dict[str, Tensor]:
    """All tensors of a file, by name (`safetensors.torch.load_file`).

    Errors: FileFormatError for a damaged file or a dtype that does not exist here, OSError when the
    file cannot be read.
    """
    with open(filename, "rb") as file:
        return load(file.read(), device, os.fspath(filename))


def load(data: bytes, device: Any = "cpu", name: str = "<bytes>") -> dict[str, Tensor]:
    """All tensors in the bytes of a file; `name` is what errors call it.

    >>> import rushlight as rl
    >>> from rushlight.interop import safetensors
    >>> safetensors.load(safetensors.save({"x": rl.ones(2)}))
    {'x': tensor([1., 1.])}
    """
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(data)
    except SafetensorError as error:
        raise FileFormatError(f"{name}: {error}") from error
    return {key: _make(entry, f"{name}: tensor {key!r}").to(device) for key, entry in entries}


def _make(entry: dict[str, Any], place: str) -> Any:
    dtype = _DTYPES.get(entry["dtype"])
    if dtype is None:
        raise FileFormatError(f"{place} has the dtype {entry['dtype']}, which is not supported")
    tensor = rushlight.empty(entry["shape"], dtype=dtype_of(dtype))
    raw_bytes(tensor)[:] = entry["data"]
    return tensor


def save_file(
    tensors: Mapping[str, Tensor],
    filename: str | os.PathLike[str],
    metadata: dict[str, str] | None = None,
) -> None:
    """Write tensors and their names to a file, which is replaced as a whole.

    Errors: as `save`, and OSError from the file system.
    """
    content = save(tensors, metadata)
    with replaced(filename) as file:
        file.write(content)


def save(tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes of a file with these tensors.

    Errors: RuntimeError for tensors that share memory, which the format cannot express, and for a
    dtype it does not have; ValueError for something that is not a tensor.
    """
    from safetensors import TensorSpec, serialize

    _check(tensors)
    codes = {dtype: code for code, dtype in _DTYPES.items()}
    arrays, specs = [], {}
    for key, tensor in tensors.items():
        dtype = dtype_name(tensor.dtype)
        if dtype not in codes:
            raise RuntimeError(f"tensor {key!r} has the dtype {dtype}, which safetensors lacks")
        plain = tensor.detach().contiguous()
        array = numpy.frombuffer(raw_bytes(plain), numpy.uint8)
        arrays.append(array)
        specs[key] = TensorSpec(
            dtype=dtype,
            shape=list(tensor.shape),
            data_ptr=array.ctypes.data,
            data_len=array.nbytes,
        )
    content = bytes(serialize(specs, metadata=metadata))
    # The library reads the memory by its address: the arrays had to live until here.
    del arrays
    return content


def _check(tensors: Mapping[str, Tensor]) -> None:
    owners: dict[int, str] = {}
    for key, tensor in tensors.items():
        if not isinstance(tensor, rushlight.Tensor):
            raise ValueError(f"{key!r} is a {type(tensor).__name__}, not a tensor")
        owner = owners.setdefault(tensor.untyped_storage()._cdata, key)
        if owner != key:
            raise RuntimeError(
                f"tensors {owner!r} and {key!r} share memory, which a safetensors file cannot "
                "express: clone one of them"
            )
