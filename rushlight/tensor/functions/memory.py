"""Tensors on memory that others own: buffers, files, arrays.

In: an object with Python's buffer protocol, or anything with memory. Out: a tensor on its bytes.
Invariant: the tensor keeps the owner alive.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...base.dtype import dtype as dtype_type
from ...base.dtype import get_default_dtype, int64
from .. import bits
from ..conversion import as_tensor, from_numpy
from ..dlpack import from_dlpack
from ..tensor import Tensor


def frombuffer(
    buffer: Any,
    *,
    dtype: dtype_type,
    count: int = -1,
    offset: int = 0,
    requires_grad: bool = False,
) -> Tensor:
    """A vector of `count` elements of `dtype` on a buffer's bytes, from byte `offset` on.

    `count` -1 means as many as there are. Writes on either side are seen on the other.
    Errors: ValueError for an empty buffer, an offset outside it, or bytes that are no whole number
    of elements.

    >>> import rushlight as rl
    >>> rl.frombuffer(bytearray([1, 0, 2, 0]), dtype=rl.int16)
    tensor([1, 2], dtype=torch.int16)
    """
    try:
        size = memoryview(buffer).nbytes
    except TypeError:
        raise ValueError(
            f"object does not implement Python buffer protocol: {type(buffer).__name__}"
        ) from None
    item = dtype.itemsize
    if size == 0 or count == 0:
        raise ValueError(f"both buffer length ({size}) and count ({count}) must not be 0")
    if not 0 <= offset < size:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({size} bytes) minus 1"
        )
    if count < 0 and (size - offset) % item:
        raise ValueError(
            f"buffer length ({size - offset} bytes) after offset ({offset} bytes) must be a "
            f"multiple of element size ({item})"
        )
    elements = (size - offset) // item if count < 0 else count
    if offset + elements * item > size:
        raise ValueError(
            f"requested buffer length ({elements} * {item} bytes) after offset ({offset} bytes) "
            f"must not be greater than actual buffer length ({size} bytes)"
        )
    raw = from_numpy(np.frombuffer(buffer, np.uint8, elements * item, offset))
    made = bits.view_dtype(raw, dtype)
    return made.requires_grad_() if requires_grad else made


def from_file(
    filename: str,
    shared: bool | None = None,
    size: int = 0,
    *,
    dtype: dtype_type | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A vector of `size` elements on the contents of a file, as `torch.from_file`: with `shared`
    writes reach the file (which grows to hold them), else they stay in memory.

    RuntimeError for a file that is too short, or not there, without `shared`.
    """
    type_ = dtype or get_default_dtype()
    try:
        if shared:
            with open(filename, "ab") as file:
                file.truncate(max(file.tell(), size * type_.itemsize))
        raw = np.memmap(filename, np.uint8, "r+" if shared else "c", shape=(size * type_.itemsize,))
    except (OSError, ValueError) as error:
        raise RuntimeError(
            f"unable to map {size} elements of {type_.name} from file {filename}: {error}"
        ) from None
    made = bits.view_dtype(from_numpy(np.asarray(raw)), type_)
    return made.requires_grad_() if requires_grad else made


def asarray(
    obj: Any,
    *,
    dtype: dtype_type | None = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool | None = None,
) -> Tensor:
    """An object as a tensor, on its memory where it has any, as `torch.asarray`.

    `copy` True always copies; False never does, which is a ValueError where dtype, device or the
    kind of object want a copy. `requires_grad` None leaves a tensor on the tape as it is; False
    takes it off. The bytes of an untyped storage are read as `dtype`, int64 where none is given.

    >>> import rushlight as rl
    >>> rl.asarray([1, 2])
    tensor([1, 2])
    """
    shares = isinstance(obj, (Tensor, np.ndarray))
    if bits.is_storage(obj):
        obj, shares = bits.tensor_on(obj, getattr(obj, "dtype", dtype or int64)), True
    elif not shares and hasattr(obj, "__dlpack__"):
        obj, shares = from_dlpack(obj), True
    elif not shares and dtype is not None and _is_buffer(obj):
        obj, shares = frombuffer(obj, dtype=dtype), True
    source = obj if isinstance(obj, Tensor) else as_tensor(obj)
    made = as_tensor(source, dtype=dtype, device=device)
    if copy and (shares and made is source):
        made = made.clone()
    if copy is False and (not shares or made is not source):
        raise ValueError(
            f"can't alias {type(obj).__name__} as a tensor of dtype {made.dtype} on "
            f"{made.device}: pass copy=None, or the dtype and device that it has"
        )
    if requires_grad is None:
        return made
    made = made.detach() if made.requires_grad and not requires_grad else made
    return made.requires_grad_() if requires_grad and not made.requires_grad else made


def _is_buffer(obj: Any) -> bool:
    return isinstance(obj, (bytes, bytearray, memoryview))


FUNCTIONS = (frombuffer, from_file, asarray)
