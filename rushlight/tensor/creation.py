"""Creation: tensors of one value, of ranges, and of the shape of another tensor.

In: sizes and numbers. Out: leaf tensors. Invariant: without a dtype, what is made of floats has the
default dtype, what is made of ints int64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.dtype import dtype, get_default_dtype
from ..base.errors import OutOfMemoryError
from ..base.layout import (
    Layout,
    contiguous_layout,
    contiguous_strides,
    layout_of,
    ordered_strides,
    with_batch,
)
from ..base.promotion import require_fit, scalar_dtype
from ..kernel import convert
from ..ops import core
from ..ops.signature import strides_of_first
from ..runtime.buffer import Buffer
from .conversion import device_of, from_array, tensor
from .storage import Storage
from .tensor import Tensor, make_tensor
from .views import sizes

# --- of one value ---------------------------------------------------------------------------------


def fresh_layout(
    size: tuple, dtype: dtype | None, device: Any, memory_format: Any = None
) -> Layout:
    shape = sizes(size)
    if any(n < 0 for n in shape):
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}"
        )
    if math.prod(shape) >= 2**62:
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(shape)}")
    where = device_of(device)
    made = contiguous_layout(shape, dtype or get_default_dtype(), where)
    if memory_format is not None:
        from .methods import strides_in

        made = layout_of(shape, strides_in(shape, memory_format), 0, made.dtype, where)
    return made


def filled(layout: Layout, value: Any, requires_grad: bool = False) -> Tensor:
    """A tensor of one value in a layout."""
    if layout.device.type == "meta":
        made = make_tensor(Storage(-1, 0, layout.numel, layout.dtype), layout)
    else:
        require_memory(layout)
        made = core.full(tuple(layout.whole.shape), value, layout.dtype)
        if made._layout.strides != layout.whole.strides:
            made = core.restride(made, layout.whole.strides)
        if layout.batch:
            made = make_tensor(made._storage, layout)
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
    *extents: Any,
    size: Any = None,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of unspecified values, as `torch.empty`."""
    made = fresh_layout(extents if size is None else (size,), dtype, device, memory_format)
    if made.device.type == "meta":
        result = make_tensor(Storage(-1, 0, made.numel, made.dtype), made)
    else:
        result = make_tensor(
            Storage.of(Buffer(made.numel * made.dtype.itemsize), made.numel, made.dtype), made
        )
    return result.requires_grad_() if requires_grad else result


def empty_permuted(
    size: Sequence[int],
    physical_layout: Sequence[int],
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A dense tensor of unspecified values whose dimensions lie in memory in the order
    `physical_layout`, outermost first, as `torch.empty_permuted`.

    RuntimeError unless that order names every dimension once.

    >>> import rushlight as rl
    >>> rl.empty_permuted((2, 3, 5), (1, 0, 2)).stride()
    (5, 10, 1)
    """
    shape, order = sizes((size,)), sizes((physical_layout,))
    if len(shape) != len(order):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. "
            f"len(size) = {len(shape)} is not equal to len(physical_layout) = {len(order)}"
        )
    for k, axis in enumerate(order):
        if not 0 <= axis < len(shape):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got "
                f"{axis} at index {k})"
            )
    if len(set(order)) != len(order):
        raise RuntimeError(f"Duplicate dim not allowed, got physical_layout={list(order)}")
    strides = ordered_strides(shape, order)
    return empty_strided(shape, strides, dtype=dtype, device=device, requires_grad=requires_grad)


def zeros(
    *extents: Any,
    size: Any = None,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of zeros, as `torch.zeros`."""
    return filled(
        fresh_layout(extents if size is None else (size,), dtype, device), 0, requires_grad
    )


def ones(
    *extents: Any,
    size: Any = None,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of ones, as `torch.ones`."""
    return filled(
        fresh_layout(extents if size is None else (size,), dtype, device), 1, requires_grad
    )


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of one value, as `torch.full`: without dtype, of the value's type."""
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    if isinstance(size, int):
        raise TypeError("full(): argument 'size' (position 1) must be tuple of ints, not int")
    type_ = dtype or scalar_dtype(type(fill_value))
    if not isinstance(fill_value, complex):
        require_fit(fill_value, fill_value, type_)
    return filled(fresh_layout((size,), type_, device), fill_value, requires_grad)


def layout_like(x: Tensor, dtype: dtype | None, device: Any, memory_format: Any) -> Layout:
    """The layout of a `*layout_like` tensor: the operand's strides where it is dense
    (preserve_format).
    """
    layout = x._layout
    where = layout.device if device is None else device_of(device)
    strides: tuple[int, ...] | None = None
    if memory_format is not None:
        from .methods import format_strides

        strides = format_strides(x, memory_format)
    if strides is None:
        strides = strides_of_first(layout.shape, [layout])
    made = layout_of(layout.shape, strides, 0, dtype or layout.dtype, where)
    return batched_like(made, layout) if layout.batch else made


def batched_like(layout: Layout, model: Layout) -> Layout:
    """A layout with the batch axes of another one, example after example."""
    extents = [extent for _, extent, _ in model.batch]
    steps = contiguous_strides((*extents, layout.numel))
    return with_batch(layout, [(axis[0], axis[1], st) for axis, st in zip(model.batch, steps)])


def zeros_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """Zeros in the shape, dtype and order of dimensions of another tensor."""
    return filled(layout_like(input, dtype, device, memory_format), 0, requires_grad)


def ones_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """Ones in the shape, dtype and order of dimensions of another tensor."""
    return filled(layout_like(input, dtype, device, memory_format), 1, requires_grad)


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """One value in the shape, dtype and order of dimensions of another tensor."""
    return filled(layout_like(input, dtype, device, memory_format), fill_value, requires_grad)


def empty_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """Unspecified values in the shape, dtype and order of dimensions of another tensor."""
    layout = layout_like(input, dtype, device, memory_format)
    numel = layout.whole.numel
    if layout.device.type == "meta":
        made = make_tensor(Storage(-1, 0, numel, layout.dtype), layout)
    else:
        buffer = Buffer(numel * layout.dtype.itemsize)
        made = make_tensor(Storage.of(buffer, numel, layout.dtype), layout)
    return made.requires_grad_() if requires_grad else made


def empty_strided(
    size: Sequence[int],
    stride: Sequence[int],
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
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
    layout: Any = None,
    pin_memory: bool = False,
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
    if dtype is dtypes.int64:  # the other integer types count in float64
        start, end, step = int(start), int(end), int(step)
        if step == 0:
            raise ValueError("step must be nonzero (as int64)")
    exact = all(isinstance(v, int) for v in (start, end, step))
    length = -((start - end) // step) if exact else math.ceil((end - start) / step)
    if device_of(device).type == "meta":
        return empty(length, dtype=dtype, device="meta")
    if dtype.kind == "int":
        start, step = int(start), int(step)
    if dtype.kind == "bool":
        raise NotImplementedError("\"arange_cpu\" not implemented for 'Bool': ask for numbers")
    made = core.arange_row(start, step, length, dtype)
    return made.requires_grad_() if requires_grad else made


def _ends(name: str, start: Any, end: Any, steps: Any) -> tuple[Any, Any]:
    """The ends of a spaced range as numbers, the count checked."""
    if isinstance(steps, float):
        raise TypeError(f"{name}(): argument 'steps' must be int, not float")
    for end_ in (start, end):
        if isinstance(end_, Tensor) and end_.ndim:
            raise RuntimeError(
                f"{name} only supports 0-dimensional start and end tensors, but got one with "
                f"{end_.ndim} dimension(s)."
            )
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, but {name} got {steps}")
    start, end = (v.item() if isinstance(v, Tensor) else v for v in (start, end))
    return start, end


def _computed_in(type_: dtype) -> Any:
    """The NumPy type in which the values of a range of a dtype are computed."""
    if type_.kind not in ("float", "complex"):
        return np.float64
    return np.float32 if type_ in (dtypes.float16, dtypes.bfloat16) else type_.numpy.type


def _rounding(type_: dtype) -> Any:
    """What rounds a number to a narrow dtype, as PyTorch computes a range; others stay."""
    if type_ not in (dtypes.float16, dtypes.bfloat16):
        return lambda value: value
    return lambda value: convert.round_to(np.asarray(value, np.float32), type_.name)[()]


def _spaced(start: Any, end: Any, steps: int, span: Any, rounded: Any = None) -> np.ndarray:
    """Evenly spaced values in the type of the span, each counted from the nearer end; `rounded`
    is applied to every number that comes up on the way.
    """
    type_ = type(span)
    if steps == 1:
        return np.asarray([start], type_)
    rounded = rounded or (lambda value: value)
    step = type_(rounded(span / (steps - 1))) if steps else span
    index = np.arange(steps)
    up, down = (rounded(step * rounded(i)) for i in (index, steps - 1 - index))
    low, high = rounded(type_(start) + up), rounded(type_(end) - down)
    return np.where(index < steps // 2, low, high).astype(type_)


def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """`steps` values from start to end inclusive, evenly spaced, as `torch.linspace`."""
    start, end = _ends("linspace", start, end, steps)
    type_ = dtype or (
        get_default_dtype()
        if not isinstance(start, complex) and not isinstance(end, complex)
        else dtypes.complex64
    )
    if type_.kind == "int":
        start, end = int(start), int(end)
    rounded = _rounding(type_)
    start, end = rounded(start), rounded(end)
    values = _spaced(start, end, steps, _computed_in(type_)(rounded(end - start)), rounded)
    made = from_array(values, type_, device_of(device))
    return made.requires_grad_() if requires_grad else made


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """base raised to evenly spaced exponents, as `torch.logspace`."""
    start, end = _ends("logspace", start, end, steps)
    type_ = dtype or get_default_dtype()
    if type_.kind == "int":  # PyTorch steps through integer powers in single precision
        start, end = int(start), int(end)
        exponents = _spaced(start, end, steps, np.float32(end - start)).astype(np.float32)
    else:
        rounded = _rounding(type_)
        if steps != 1:  # a single exponent is not rounded
            start, end = rounded(start), rounded(end)
        exponents = _spaced(start, end, steps, _computed_in(type_)(rounded(end - start)))
    wide = np.result_type(exponents.dtype, np.float64) if type_.kind == "int" else exponents.dtype
    powers = np.power(np.asarray(base, wide), exponents.astype(wide))
    made = from_array(powers, type_, device_of(device))
    return made.requires_grad_() if requires_grad else made


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere, as `torch.eye`."""
    columns = n if m is None else m
    if n < 0 or columns < 0:
        raise RuntimeError(f"n must be greater or equal to 0, got {min(n, columns)}")
    made = from_array(np.eye(n, columns), dtype or get_default_dtype(), device_of(device))
    return made.requires_grad_() if requires_grad else made


def scalar_tensor(
    s: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A zero-dimensional tensor of the default dtype."""
    made = tensor(s, dtype=dtype or get_default_dtype(), device=device)
    return made.requires_grad_() if requires_grad else made


def legacy_tensor(cls: type, *args: Any, dtype: dtype | None = None, device: Any = None) -> Tensor:
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
    empty,
    empty_permuted,
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


def new_like(method: str) -> Callable[..., Tensor]:
    """`tensor.new_zeros(...)` and its siblings: creation with this tensor's dtype and device."""
    makers: dict[str, Callable[..., Tensor]] = {
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
        made = maker(*args, dtype=dtype or self.dtype, device=device or self.device, **options)
        if self._layout.batch and method != "new_tensor":
            from .batching import spread

            return spread(made, self._layout)
        return made

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
