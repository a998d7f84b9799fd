"""Conversion: tensors from numbers, nested sequences and NumPy arrays.

In: Python numbers, nested sequences, NumPy arrays, tensors. Out: leaf tensors. Invariant: dtype
inference is PyTorch's (Python floats give the default dtype, ints int64, NumPy arrays their own).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.device import CPU, DEFAULT, device
from ..base.dtype import dtype, from_numpy_dtype, get_default_dtype
from ..base.errors import MissingDeviceError
from ..base.layout import contiguous_layout, layout_of
from ..base.promotion import promote_types, require_fit, scalar_dtype
from ..kernel import convert
from ..ops import core
from ..runtime.buffer import Buffer
from .storage import Storage
from .tensor import Tensor, make_tensor


def from_array(array: np.ndarray, type_: dtype, where: device = CPU) -> Tensor:
    """A tensor with its own copy of a NumPy array's values, converted to a dtype."""
    layout = contiguous_layout(array.shape, type_, where)
    if where.type == "meta":
        return make_tensor(Storage(-1, 0, layout.numel, type_), layout)
    buffer = Buffer(layout.numel * type_.itemsize)
    if layout.numel:
        flat = buffer.numpy(type_.numpy)[: layout.numel].reshape(array.shape)
        if type_ is dtypes.bfloat16:
            flat[...] = convert.bfloat16_bits(np.asarray(array, np.float32)).reshape(array.shape)
        else:
            with np.errstate(all="ignore"):
                flat[...] = array
    return make_tensor(Storage.of(buffer, layout.numel, type_), layout)


def device_of(value: Any) -> device:
    """The device an argument names; RuntimeError for one this machine does not offer."""
    if value is None:
        value = DEFAULT[-1]
    where = value if isinstance(value, device) else device(value)
    if where.type == "cpu":
        return CPU
    if where.type == "meta":
        return where
    raise MissingDeviceError(
        f"device {where} is not available: this build of rushlight runs on cpu (and meta); use "
        "device='cpu'"
    )


def tensor(
    data: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor with a copy of `data` (a number, nested sequences, an array, a tensor), as
    `torch.tensor`.

    >>> import rushlight as rl
    >>> rl.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    where = device_of(device)
    if isinstance(data, Tensor):
        made = core.clone(data.detach())
        made = core.cast(made, dtype) if dtype is not None and dtype is not made.dtype else made
    else:
        array, natural = to_array(data)
        wanted = dtype or natural
        if not isinstance(data, (np.ndarray, np.generic)):
            array = _numbers_in(array, wanted, dtype is not None)
        if array.dtype.kind in "fc" and wanted.kind == "int":
            array = convert.cast(array.real, "float64", wanted.name)
        made = from_array(array, wanted, where)
    return made.requires_grad_() if requires_grad else made


def _numbers_in(array: np.ndarray, wanted: dtype, stated: bool) -> np.ndarray:
    """Python numbers in an array that converts to a dtype; errors for those it cannot hold.

    Integers beyond int64 (an array of objects, or unsigned) need a dtype that was stated.
    """
    kind = array.dtype.kind
    if kind in "Ou" and not stated:
        raise ValueError(
            f"Overflow when unpacking long long: {array.max()} does not fit int64; state a dtype"
        )
    if kind == "c" and wanted.kind in ("int", "float"):
        raise TypeError("must be real number, not complex")
    if wanted.kind == "int" and array.size:
        least, most = array.min(), array.max()
        if wanted is dtypes.uint64 and kind != "f" and (least < 0 or most >= 2**64):
            why = (
                "can't convert negative int to unsigned" if least < 0 else "int too big to convert"
            )
            raise OverflowError(f"{why}: {least if least < 0 else most} as torch.uint64")
        require_fit(least, most, wanted)
    if kind == "O":
        return array.astype(np.uint64 if wanted.kind == "int" else np.float64)
    return array


def to_array(data: Any) -> tuple[np.ndarray, dtype]:
    """A NumPy array of what `data` holds, and the dtype that `torch.tensor` would infer."""
    if isinstance(data, np.ndarray) or (np.isscalar(data) and isinstance(data, np.generic)):
        data = np.asarray(data)
        return data, from_numpy_dtype(data.dtype)
    if isinstance(data, (bool, int, float, complex)):
        return np.asarray(data), scalar_dtype(
            data.__class__ if data.__class__ in (bool, int, float, complex) else type(+data)
        )
    if hasattr(data, "__array__") and not isinstance(data, Tensor):
        return to_array(np.asarray(data))
    if not isinstance(data, Sequence) or isinstance(data, str):
        if (
            hasattr(data, "__len__")
            and hasattr(data, "__getitem__")
            and not isinstance(data, (str, dict))
        ):
            return to_array([data[k] for k in range(len(data))])
        if isinstance(data, str):
            raise TypeError("new(): invalid data type 'str'")
        raise _without_dtype(data)
    return _nested(data)


def _nested(data: Sequence) -> tuple[np.ndarray, dtype]:
    """Nested sequences of numbers, arrays and tensors.

    ValueError where lengths differ, naming the dimension.
    """
    shape = _shape_of(data)
    flat: list = []
    _collect(data, shape, 0, flat)
    kinds = {type(v) for v in flat}
    if not kinds:
        return np.zeros(shape), get_default_dtype()
    if kinds <= {bool, int, float, complex}:
        widest = next(k for k in (complex, float, int, bool) if k in kinds)
        target = {complex: np.complex128, float: np.float64, int: np.int64, bool: np.bool_}[widest]
        try:
            return np.array(flat, target).reshape(shape), scalar_dtype(widest)
        except OverflowError:
            return np.array(flat, object).reshape(shape), scalar_dtype(widest)
    natural: dtype | None = None
    values = []
    for v in flat:
        kind = v.dtype if isinstance(v, Tensor) else to_array(v)[1]
        natural = kind if natural is None else promote_types(natural, kind)
        values.append(v.item() if hasattr(v, "item") else v)
    assert natural is not None
    return np.array(values).reshape(shape), natural


def _shape_of(data: Any) -> tuple[int, ...]:
    shape: list[int] = []
    while not isinstance(data, (bool, int, float, complex, str)):
        if isinstance(data, (Tensor, np.ndarray, np.generic)):
            return (*shape, *data.shape)
        if not hasattr(data, "__len__"):
            break
        shape.append(len(data))
        if not len(data):
            break
        data = data[0]
    return tuple(shape)


def _without_dtype(item: Any) -> Exception:
    """The error for what is no number, among others."""
    name = type(item).__name__
    if isinstance(item, str):
        return ValueError(f"too many dimensions '{name}'")
    return RuntimeError(f"Could not infer dtype of {name}")


def _collect(data: Any, shape: tuple[int, ...], depth: int, flat: list) -> None:
    if depth == len(shape):
        if (
            hasattr(data, "__len__")
            and not isinstance(data, (str, np.generic))
            and getattr(data, "ndim", True)
        ):
            raise ValueError(f"too many dimensions '{type(data).__name__}'")
        if isinstance(data, str) or not (
            isinstance(data, (bool, int, float, complex, Tensor, np.generic))
            or hasattr(data, "item")
        ):
            raise _without_dtype(data)
        flat.append(data)
        return
    if isinstance(data, (Tensor, np.ndarray)):
        if tuple(data.shape) != shape[depth:]:
            raise ValueError(
                f"expected sequence of length {shape[depth]} at dim {depth} (got {len(data)})"
            )
        whole = data.detach().numpy() if isinstance(data, Tensor) else data
        flat.extend(v if data.ndim else whole[()] for v in whole.reshape(-1))
        return
    if not hasattr(data, "__len__"):
        raise TypeError(f"expected sequence at dim {depth}, got {type(data).__name__}")
    if len(data) != shape[depth]:
        raise ValueError(
            f"expected sequence of length {shape[depth]} at dim {depth} (got {len(data)})"
        )
    for v in data:
        _collect(v, shape, depth + 1, flat)


def as_tensor(data: Any, dtype: dtype | None = None, device: Any = None) -> Tensor:
    """A tensor of `data` that shares its memory where it can, as `torch.as_tensor`."""
    if isinstance(data, Tensor):
        return data if dtype is None or dtype is data.dtype else core.cast(data, dtype)
    if (
        isinstance(data, np.ndarray)
        and (dtype is None or from_numpy_dtype(data.dtype) is dtype)
        and not any(s < 0 for s in data.strides)
    ):
        return from_numpy(data)
    return tensor(data, dtype=dtype, device=device)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor on the memory of a NumPy array: writes on either side are seen on the other, as
    `torch.from_numpy`.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    type_ = from_numpy_dtype(ndarray.dtype)
    if any(s < 0 for s in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array with array.copy().)"
        )
    item = ndarray.itemsize
    if (
        any(s % item for s in ndarray.strides)
        or not ndarray.dtype.isnative
        or not ndarray.flags.aligned
    ):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy "
            "array first."
        )
    layout = layout_of(ndarray.shape, [s // item for s in ndarray.strides], 0, type_)
    buffer = Buffer.from_array(ndarray)
    return make_tensor(Storage.of(buffer, buffer.nbytes // item, type_), layout)


FUNCTIONS = (tensor, as_tensor, from_numpy)
