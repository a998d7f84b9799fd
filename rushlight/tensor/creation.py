"""Creation: tensors from data, of one value, of ranges.

In: Python numbers, nested sequences, NumPy arrays, sizes. Out: leaf tensors. Invariant: dtype
inference is PyTorch's (Python floats give the default dtype, ints int64, NumPy arrays their own).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.device import CPU, device
from ..base.dtype import dtype, from_numpy_dtype, get_default_dtype
from ..base.errors import OutOfMemoryError
from ..base.layout import Layout, channels_last_strides, contiguous_layout, layout_of
from ..base.promotion import promote_types, scalar_dtype
from ..kernel import convert
from ..ops import core
from ..runtime.buffer import Buffer
from .storage import Storage
from .tensor import Tensor, make_tensor
from .views import sizes


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
        return CPU
    where = value if isinstance(value, device) else device(value)
    if where.type == "cpu":
        return CPU
    if where.type == "meta":
        return where
    raise RuntimeError(
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
        if array.dtype.kind in "fc" and wanted.kind == "int":
            array = convert.cast(array.real, "float64", wanted.name)
        made = from_array(array, wanted, where)
    return made.requires_grad_() if requires_grad else made


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
        name = f"'{type(data).__name__}'"
        raise TypeError(
            f"new(): invalid data type {name}"
            if isinstance(data, str)
            else f"Could not infer dtype of {type(data).__name__}"
        )
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
            raise RuntimeError("Overflow when unpacking long long") from None
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


def _collect(data: Any, shape: tuple[int, ...], depth: int, flat: list) -> None:
    if depth == len(shape):
        if (
            hasattr(data, "__len__")
            and not isinstance(data, (str, np.generic))
            and getattr(data, "ndim", 1)
        ):
            raise ValueError(f"too many dimensions '{type(data).__name__}'")
        if isinstance(data, str) or not (
            isinstance(data, (bool, int, float, complex, Tensor, np.generic))
            or hasattr(data, "item")
        ):
            raise TypeError(f"must be real number, not {type(data).__name__}")
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


asarray = as_tensor


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


# --- of one value ---------------------------------------------------------------------------------


def _layout_for(size: tuple, dtype: dtype | None, device: Any, memory_format: Any = None) -> Layout:
    shape = sizes(size)
    if any(n < 0 for n in shape):
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}"
        )
    if math.prod(shape) >= 2**62:
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(shape)}")
    where = device_of(device)
    made = contiguous_layout(shape, dtype or get_default_dtype(), where)
    if memory_format is not None and getattr(memory_format, "name", "") in (
        "channels_last",
        "channels_last_3d",
    ):
        made = layout_of(shape, channels_last_strides(shape), 0, made.dtype, where)
    return made


def filled(layout: Layout, value: Any, requires_grad: bool = False) -> Tensor:
    """A tensor of one value in a layout."""
    if layout.device.type == "meta":
        made = make_tensor(Storage(-1, 0, layout.numel, layout.dtype), layout)
    else:
        require_memory(layout)
        made = core.full(tuple(layout.shape), value, layout.dtype)
        if made._layout.strides != layout.strides:
            made = core.restride(made, layout.strides)
    return made.requires_grad_() if requires_grad else made


def require_memory(layout: Layout) -> None:
    """RuntimeError at the call for a tensor that this machine can never hold (recording it would
    only delay the news).
    """
    nbytes = layout.numel * layout.dtype.itemsize
    if nbytes > 1 << 30:
        from ..runtime.limits import available_memory

        room = available_memory()
        if room is not None and nbytes > room:
            raise OutOfMemoryError(
                f"can't allocate memory: you tried to allocate {nbytes} bytes for a tensor of "
                f"shape {list(layout.shape)} and dtype {layout.dtype.name}; {room} are available"
            )


def empty(
    *size: Any,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    layout: Any = None,
    pin_memory: bool = False,
    out: Any = None,
) -> Tensor:
    """A tensor of unspecified values, as `torch.empty`."""
    made = _layout_for(size, dtype, device, memory_format)
    if made.device.type == "meta":
        result = make_tensor(Storage(-1, 0, made.numel, made.dtype), made)
    else:
        result = make_tensor(
            Storage.of(Buffer(made.numel * made.dtype.itemsize), made.numel, made.dtype), made
        )
    return result.requires_grad_() if requires_grad else result


def zeros(
    *size: Any,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    **ignored: Any,
) -> Tensor:
    """A tensor of zeros, as `torch.zeros`."""
    return filled(_layout_for(size, dtype, device), 0, requires_grad)


def ones(
    *size: Any,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    **ignored: Any,
) -> Tensor:
    """A tensor of ones, as `torch.ones`."""
    return filled(_layout_for(size, dtype, device), 1, requires_grad)


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    **ignored: Any,
) -> Tensor:
    """A tensor of one value, as `torch.full`: without dtype, of the value's type."""
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    return filled(
        _layout_for((size,), dtype or scalar_dtype(type(fill_value)), device),
        fill_value,
        requires_grad,
    )


def _like(x: Tensor, dtype: dtype | None, device: Any, memory_format: Any) -> Layout:
    """The layout of a `*_like` tensor: the operand's strides where it is dense (preserve_format)."""
    layout = x._layout
    where = layout.device if device is None else device_of(device)
    name = getattr(memory_format, "name", "preserve_format")
    if name == "preserve_format":
        from ..ops.signature import elementwise_strides

        strides: tuple[int, ...] = elementwise_strides(layout.shape, [layout])
    elif name == "contiguous_format":
        strides = contiguous_layout(layout.shape, layout.dtype).strides
    else:
        strides = channels_last_strides(layout.shape)
    return layout_of(layout.shape, strides, 0, dtype or layout.dtype, where)


def zeros_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    **ignored: Any,
) -> Tensor:
    """Zeros in the shape, dtype and order of dimensions of another tensor."""
    return filled(_like(input, dtype, device, memory_format), 0, requires_grad)


def ones_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    **ignored: Any,
) -> Tensor:
    """Ones in the shape, dtype and order of dimensions of another tensor."""
    return filled(_like(input, dtype, device, memory_format), 1, requires_grad)


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    **ignored: Any,
) -> Tensor:
    """One value in the shape, dtype and order of dimensions of another tensor."""
    return filled(_like(input, dtype, device, memory_format), fill_value, requires_grad)


def empty_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    **ignored: Any,
) -> Tensor:
    """Unspecified values in the shape, dtype and order of dimensions of another tensor."""
    layout = _like(input, dtype, device, memory_format)
    if layout.device.type == "meta":
        made = make_tensor(Storage(-1, 0, layout.numel, layout.dtype), layout)
    else:
        made = make_tensor(
            Storage.of(Buffer(layout.numel * layout.dtype.itemsize), layout.numel, layout.dtype),
            layout,
        )
    return made.requires_grad_() if requires_grad else made


def empty_strided(
    size: Sequence[int],
    stride: Sequence[int],
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    **ignored: Any,
) -> Tensor:
    """Unspecified values with given strides, as `torch.empty_strided`."""
    layout = layout_of(
        sizes((size,)), sizes((stride,)), 0, dtype or get_default_dtype(), device_of(device)
    )
    reach = layout.reach()
    made = make_tensor(
        Storage.of(Buffer(reach * layout.dtype.itemsize), reach, layout.dtype), layout
    )
    return made.requires_grad_() if requires_grad else made


# --- ranges ---------------------------------------------------------------------------------------


def arange(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    **ignored: Any,
) -> Tensor:
    """start, start + step, ... up to but not including end, as `torch.arange`."""
    if end is None:
        start, end = 0, start
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not all(math.isfinite(v) for v in (start, end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if dtype is None:
        dtype = (
            get_default_dtype()
            if any(isinstance(v, float) for v in (start, end, step))
            else dtypes.int64
        )
    exact = all(isinstance(v, int) for v in (start, end, step))
    length = -((start - end) // step) if exact else math.ceil((end - start) / step)
    if device_of(device).type == "meta":
        return empty(length, dtype=dtype, device="meta")
    if dtype.kind == "int":
        start, step = int(start), int(step)
    made = core.arange_row(start, step, length, dtype)
    return made.requires_grad_() if requires_grad else made


def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    **ignored: Any,
) -> Tensor:
    """`steps` values from start to end inclusive, evenly spaced, as `torch.linspace`."""
    start, end = (v.item() if isinstance(v, Tensor) else v for v in (start, end))
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    type_ = dtype or (
        get_default_dtype()
        if not isinstance(start, complex) and not isinstance(end, complex)
        else dtypes.complex64
    )
    compute = (
        type_.numpy
        if type_.kind in ("float", "complex") and type_ is not dtypes.bfloat16
        else np.dtype(np.float64)
    )
    wide = np.dtype(np.float32) if type_ in (dtypes.float16, dtypes.bfloat16) else compute
    step = wide.type((end - start) / (steps - 1)) if steps > 1 else wide.type(0)
    index = np.arange(steps)
    half = steps // 2
    values = np.where(
        index < half, wide.type(start) + step * index, wide.type(end) - step * (steps - 1 - index)
    ).astype(wide)
    if steps == 1:
        values = np.asarray([start], wide)
    made = from_array(values, type_, device_of(device))
    return made.requires_grad_() if requires_grad else made


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: dtype | None = None,
    **options: Any,
) -> Tensor:
    """base raised to evenly spaced exponents, as `torch.logspace`."""
    exponents = np.linspace(float(start), float(end), steps)
    made = from_array(np.power(float(base), exponents), dtype or get_default_dtype())
    return made.requires_grad_() if options.get("requires_grad") else made


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    **ignored: Any,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere, as `torch.eye`."""
    columns = n if m is None else m
    if n < 0 or columns < 0:
        raise RuntimeError(f"n must be greater or equal to 0, got {min(n, columns)}")
    made = from_array(np.eye(n, columns), dtype or get_default_dtype(), device_of(device))
    return made.requires_grad_() if requires_grad else made


def scalar_tensor(
    s: Any, *, dtype: dtype | None = None, device: Any = None, **ignored: Any
) -> Tensor:
    """A zero-dimensional tensor of the default dtype."""
    return tensor(s, dtype=dtype or get_default_dtype(), device=device)


def legacy_tensor(
    cls: type, *args: Any, dtype: dtype | None = None, device: Any = None, **ignored: Any
) -> Tensor:
    """`rushlight.Tensor(2, 3)`, `rushlight.Tensor([1, 2])`: PyTorch's old constructor (float32
    unless stated).
    """
    type_ = dtype or get_default_dtype()
    if not args:
        made = empty(0, dtype=type_)
    elif len(args) == 1 and isinstance(args[0], Tensor):
        made = args[0].detach()
    elif len(args) == 1 and not isinstance(args[0], int) and type(args[0]).__name__ != "Size":
        made = tensor(args[0], dtype=type_, device=device)
    else:
        made = empty(*args, dtype=type_, device=device)
    return made if cls is Tensor else Tensor._make_subclass(cls, made)


FUNCTIONS = (
    tensor,
    as_tensor,
    asarray,
    from_numpy,
    empty,
    zeros,
    ones,
    full,
    zeros_like,
    ones_like,
    full_like,
    empty_like,
    empty_strided,
    arange,
    linspace,
    logspace,
    eye,
    scalar_tensor,
)


def new_like(method: str):  # type: ignore[no-untyped-def]
    """`tensor.new_zeros(...)` and its siblings: creation with this tensor's dtype and device."""
    makers = {
        "new_zeros": zeros,
        "new_ones": ones,
        "new_empty": empty,
        "new_full": full,
        "new_tensor": tensor,
    }
    maker = makers[method]

    def new(
        self: Tensor, *args: Any, dtype: dtype | None = None, device: Any = None, **options: Any
    ) -> Tensor:
        return maker(*args, dtype=dtype or self.dtype, device=device or self.device, **options)

    new.__name__ = method
    return new


def new_empty_strided(
    self: Tensor,
    size: Any,
    stride: Any,
    dtype: dtype | None = None,
    device: Any = None,
    **options: Any,
) -> Tensor:
    """empty_strided with this tensor's dtype and device."""
    return empty_strided(
        size, stride, dtype=dtype or self.dtype, device=device or self.device, **options
    )
