"""Tensor methods that are neither rows nor views: copies, conversions, fills, operators.

In: tensors. Out: tensors. Invariant: an in-place method records its out-of-place row and lets the
result overwrite its first argument (tensor/inplace.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..autograd.modes import MODE
from ..autograd.names import titled
from ..base import dtype as dtypes
from ..base.device import device
from ..base.dtype import ALIASES, DTYPES, TYPE_NAMES, dtype
from ..base.layout import (
    channels_last_strides,
    contiguous_strides,
    is_channels_last,
    layout_of,
    suggests_channels_last,
)
from ..base.promotion import require_fit
from ..ops import core, namespace
from ..ops.registry import TABLE
from .conversion import device_of, tensor
from .inplace import check_overlap, check_writable, count_write, is_taped, overwrite
from .storage import Storage
from .tensor import Tensor, make_tensor


class memory_format:
    """An order of dimensions in memory, as `torch.memory_format`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


contiguous_format = memory_format("contiguous_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
preserve_format = memory_format("preserve_format")


def strides_in(shape: Sequence[int], wanted: memory_format) -> tuple[int, ...]:
    """The dense strides of a shape in a format.

    RuntimeError for a wrong rank, and for preserve_format, which there is nothing to preserve of.
    """
    if wanted is preserve_format:
        raise RuntimeError("unsupported memory format Preserve: there is no tensor to take it from")
    if wanted is contiguous_format:
        return contiguous_strides(shape)
    if not isinstance(wanted, memory_format):
        raise TypeError(f"argument 'memory_format' must be torch.memory_format, not {wanted!r}")
    rank = 4 if wanted is channels_last else 5
    if len(shape) != rank:
        raise RuntimeError(f"required rank {rank} tensor to use {wanted.name} format")
    return channels_last_strides(shape)


def format_strides(x: Tensor, wanted: memory_format) -> tuple[int, ...] | None:
    """The strides that a format asks of a tensor; None for preserve_format."""
    return None if wanted is preserve_format else strides_in(x.shape, wanted)


def format_of(x: Tensor) -> memory_format:
    """The memory format that a tensor is taken to be in, gaps or not."""
    if not suggests_channels_last(x.shape, x._layout.strides):
        return contiguous_format
    return channels_last if x.ndim == 4 else channels_last_3d


def is_contiguous(self: Tensor, memory_format: memory_format = contiguous_format) -> bool:
    """Whether the elements lie in the order of a memory format without gaps."""
    if memory_format not in (channels_last, channels_last_3d):
        return self._layout.contiguous
    rank = 4 if memory_format is channels_last else 5
    return self.ndim == rank and is_channels_last(self.shape, self._layout.strides)


def contiguous(self: Tensor, memory_format: memory_format = contiguous_format) -> Tensor:
    """The tensor itself where it is contiguous in a format, else a copy that is."""
    if is_contiguous(self, memory_format):
        return self
    if memory_format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    if memory_format is contiguous_format:
        return core.contiguous(self)
    strides = format_strides(self, memory_format)
    assert strides is not None  # only preserve_format leaves them open
    return core.restride(self, strides)


def clone(input: Tensor, *, memory_format: memory_format = preserve_format) -> Tensor:
    """A copy with memory of its own, as `torch.clone`."""
    strides = format_strides(input, memory_format)
    if strides is None:
        return core.clone(input)
    return (
        core.contiguous(input)
        if memory_format is contiguous_format
        else core.restride(input, strides)
    )


_converted = titled("ToCopyBackward0")(core.clone)


def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """A conversion of dtype, device or memory format, the tensor itself where nothing changes, as
    `torch.Tensor.to`.
    """
    type_, where, copy, format_ = _to_arguments(args, kwargs)
    type_ = type_ or self.dtype
    strides = format_strides(self, format_)
    if where is not None and where != self.device and {where.type, self.device.type} != {"cpu"}:
        if where.type == "meta":
            from .creation import empty_strided

            return empty_strided(self.shape, self.stride(), dtype=type_, device="meta")
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    result = self if type_ is self.dtype else core.cast(self, type_)
    if strides is not None and format_of(result) is not format_:
        return core.restride(result, strides)
    return _converted(result) if copy and result is self else result


def _to_arguments(
    args: tuple, kwargs: dict
) -> tuple[dtype | None, device | None, bool, memory_format]:
    """What `to` was asked for, in any of its call forms."""
    type_, where = kwargs.get("dtype"), kwargs.get("device")
    flags = []
    for value in args:
        if isinstance(value, dtype):
            type_ = value
        elif isinstance(value, Tensor):
            type_, where = value.dtype, value.device
        elif isinstance(value, (str, device)) or (
            isinstance(value, int) and not isinstance(value, bool)
        ):
            where = value
        elif isinstance(value, bool):
            flags.append(value)
        elif isinstance(value, memory_format):
            kwargs = {**kwargs, "memory_format": value}
        elif value is not None:
            raise TypeError(f"to() received an invalid argument of type {type(value).__name__}")
    if "other" in kwargs:
        type_, where = kwargs["other"].dtype, kwargs["other"].device
    copy = kwargs.get("copy", flags[1] if len(flags) > 1 else False)
    return (
        type_,
        None if where is None else device_of(where),
        copy,
        kwargs.get("memory_format") or preserve_format,
    )


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """PyTorch's name of the tensor type, or a conversion to one."""
    if dtype is None:
        return f"torch.{TYPE_NAMES[self.dtype.name]}Tensor"
    if isinstance(dtype, str):
        short = dtype.removeprefix("torch.").removesuffix("Tensor")
        found = [name for name, title in TYPE_NAMES.items() if title == short]
        if not found:
            raise ValueError(f"invalid type: {dtype!r}: a name such as 'torch.FloatTensor'")
        dtype = DTYPES[found[0]]
    return to(self, getattr(dtype, "dtype", dtype))  # a type such as torch.LongTensor has one


def _conversion(name: str, target: dtype) -> Callable:
    def convert(self: Tensor, memory_format: memory_format = preserve_format) -> Tensor:
        return to(self, target, memory_format=memory_format)

    convert.__name__ = name
    convert.__doc__ = f"to({target})"
    return convert


def cpu(self: Tensor, memory_format: memory_format = preserve_format) -> Tensor:
    """to("cpu")."""
    return to(self, CPU_DEVICE, memory_format=memory_format)


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """to("cuda"): RuntimeError where there is none."""
    return to(self, "cuda" if device is None else device)


CPU_DEVICE = device("cpu")


def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Overwrite with the values of another tensor (or a number), broadcast and converted."""
    if isinstance(src, (bool, int, float, complex)):
        src = tensor(src)
    if not isinstance(src, Tensor):
        raise TypeError(
            f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}"
        )
    check_writable(self)
    check_overlap(self, (src,))
    return overwrite(self, core.copy(self, src), check=False)


def fill_(self: Tensor, value: Any) -> Tensor:
    """Overwrite every element with one value; RuntimeError if the dtype cannot hold it."""
    return _filled(self, value, filled if isinstance(value, Tensor) else _FILL)


filled = titled("FillBackward3")(core.fill)  # by a tensor, or as if a number were one
_FILL, _ZERO = (titled(name)(core.fill) for name in ("FillBackward2", "ZeroBackward0"))


def _filled(target: Tensor, value: Any, fill: Callable) -> Tensor:
    check_writable(target, repeats=True)
    if value.__class__ in (int, float):
        require_fit(value, value, target.dtype)
    return overwrite(target, fill(target, value), check=False)


def zero_(self: Tensor) -> Tensor:
    """Overwrite every element with zero."""
    return _filled(self, 0, _ZERO)


def set_(
    self: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None
) -> Tensor:
    """Make this tensor look at another tensor's (or storage's) memory."""
    from .bits import UntypedStorage, tensor_on

    if MODE.grad and self.requires_grad and self.is_leaf:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation."
        )
    if isinstance(source, UntypedStorage):
        source = tensor_on(source, self.dtype)
    if source is None:
        from .creation import empty

        source = empty(0, dtype=self.dtype)
    if size is not None:
        from .views import as_strided

        source = as_strided(
            source.detach(),
            size,
            stride if stride is not None else contiguous_strides(size),
            storage_offset,
        )
    self._storage, self._layout = source._storage, source._layout
    return self


def resize_(self: Tensor, *size: Any, memory_format: Any = None) -> Tensor:
    """Another shape on the same memory, grown where it must be, as `torch.Tensor.resize_`."""
    count_write(stretch(self, *size, memory_format=memory_format))
    return self


def stretch(self: Tensor, *size: Any, memory_format: Any = None) -> Tensor:
    """resize_ that is part of a write, and not counted as one."""
    from ..base.layout import contiguous_layout
    from .creation import empty
    from .views import sizes

    if MODE.grad and self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if self._layout.batch:
        raise RuntimeError(
            "vmap: resize_() on a Tensor that holds one value for each example is not possible: "
            "the examples share its memory. Make a tensor of the new shape instead."
        )
    shape = sizes(size)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"resize_(): sizes must not be negative, got {list(shape)}")
    layout = contiguous_layout(shape, self.dtype, self.device)
    if memory_format not in (None, contiguous_format):
        strides = strides_in(shape, memory_format)
        layout = layout_of(shape, strides, 0, self.dtype, self.device)
    if layout.numel > self._storage.numel:
        if self._storage.shared:
            raise RuntimeError(
                "Trying to resize storage that is not resizable: this memory is not the tensor's "
                f"own, and has {self._storage.numel} elements where {layout.numel} are asked for"
            )
        grown = empty(layout.numel, dtype=self.dtype)
        if self._storage.numel:
            flat = make_tensor(self._storage, contiguous_layout((self._storage.numel,), self.dtype))
            grown.narrow(0, 0, self._storage.numel).copy_(flat)
        self._storage.realize()
        storage: Storage = grown._storage
        self._storage.buffer, self._storage.numel = storage.realize(), layout.numel
        self._storage.epoch = -1
    self._layout = layout
    return self


def resize_as_(self: Tensor, the_template: Tensor, *, memory_format: Any = None) -> Tensor:
    """resize_ to the shape of another tensor (preserve_format: and to its memory format), as
    `torch.Tensor.resize_as_`.
    """
    if memory_format is preserve_format:
        memory_format = format_of(the_template)
    return resize_(self, *the_template.shape, memory_format=memory_format)


def inplace_of(name: str) -> Callable:
    """The in-place method of a row: `name_`."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not isinstance(self, Tensor):
            raise TypeError(
                f"{name}_(): argument 'input' (position 1) must be Tensor, not "
                f"{type(self).__name__}"
            )
        check_writable(self)
        function, keeps = sources.get(name) or _source(name)
        if any(isinstance(a, Tensor) and a._storage is self._storage for a in args):
            check_overlap(self, args)
        taken = core.clone(self) if keeps and is_taped(self, args) else self
        return overwrite(self, function(taken, *args, **kwargs), check=False)

    method.__name__ = f"{name}_"
    method.__doc__ = f"{name}, the result overwriting this tensor."
    return method


# what in-place methods go through: a public function (with its overloads) or a row, and whether a
# gradient may want the value that is overwritten
sources: dict[str, tuple[Callable, bool]] = {}


def _source(name: str) -> tuple[Callable, bool]:
    from .lazy import public

    function = public(name) or getattr(namespace, name)  # first: it may define the row
    row = TABLE.get(name)
    keeps = row is None or any(row.names[0] in rule.names for rule in row.rules)
    sources[name] = function, keeps
    return function, keeps


def __deepcopy__(self: Tensor, memo: dict) -> Tensor:
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment.  If you were attempting to deepcopy a module, this may be "
            "because of a torch.nn.utils.weight_norm usage."
        )
    if id(self) in memo:
        return memo[id(self)]
    made = core.clone(self.detach())
    result = make_tensor(made._storage, made._layout, type(self))
    result._requires_grad = self._requires_grad
    if self._grad is not None:
        result._grad = self._grad.__deepcopy__(memo)
    import copy

    result.__dict__.update(
        copy.deepcopy({k: v for k, v in self.__dict__.items() if not k.startswith("_post_")}, memo)
    )
    memo[id(self)] = result
    return result


def _rebuild(cls: type, array: Any, name: str, requires_grad: bool) -> Tensor:
    from ..kernel import convert
    from .conversion import from_array

    type_ = DTYPES[name]
    made = from_array(
        convert.bfloat16_values(array).reshape(array.shape) if type_ is dtypes.bfloat16 else array,
        type_,
    )
    made = make_tensor(made._storage, made._layout, cls)
    made._requires_grad = requires_grad
    return made


def __reduce_ex__(self: Tensor, protocol: int) -> tuple:
    from .values import window

    return _rebuild, (type(self), window(self).copy(), self.dtype.name, self._requires_grad)


def new(self: Tensor, *args: Any, device: Any = None) -> Tensor:
    """PyTorch's older `new_empty` and `new_tensor`: sizes or values, this tensor's dtype."""
    from .creation import legacy_tensor

    return legacy_tensor(Tensor, *args, dtype=self.dtype, device=device or self.device)


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in another one's dtype."""
    return to(self, other.dtype)


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """Refused, as PyTorch does where there is no accelerator to pin memory for."""
    raise RuntimeError(
        "pin_memory(): Cannot access accelerator device when none is available: memory is pinned "
        "for copies to one, and a tensor on the CPU needs none"
    )


def dequantize(self: Tensor) -> Tensor:
    """The values in float32: of a tensor that is not quantised, a conversion."""
    return to(self, dtypes.float32)


METHODS: dict[str, Any] = {
    "is_contiguous": is_contiguous,
    "contiguous": contiguous,
    "clone": clone,
    "to": to,
    "type": type_,
    "cpu": cpu,
    "cuda": cuda,
    "copy_": copy_,
    "fill_": fill_,
    "zero_": zero_,
    "set_": set_,
    "resize_": resize_,
    "resize_as_": resize_as_,
    "__deepcopy__": __deepcopy__,
    "__reduce_ex__": __reduce_ex__,
    "bool": _conversion("bool", dtypes.bool_),
    "bfloat16": _conversion("bfloat16", dtypes.bfloat16),
    **{name: _conversion(name, t) for name, t in ALIASES.items()},
    "char": _conversion("char", dtypes.int8),
    "byte": _conversion("byte", dtypes.uint8),
    "type_as": type_as,
    "is_floating_point": lambda self: self.dtype.is_floating_point,
    "is_complex": lambda self: self.dtype.is_complex,
    "new": new,
    "dequantize": dequantize,
    "is_signed": lambda self: self.dtype.is_signed,
    "is_conj": lambda self: False,
    "is_neg": lambda self: False,
    "resolve_conj": lambda self: self,
    "resolve_neg": lambda self: self,
    "get_device": lambda self: -1,
    "pin_memory": pin_memory,
    "is_pinned": lambda self: False,
    "is_shared": lambda self: False,
    "share_memory_": lambda self: self,
    "data_ptr": lambda self: (
        self._storage.realize().address + self._layout.offset * self.dtype.itemsize
    ),
    "is_set_to": lambda self, other: (
        self._storage is other._storage and self._layout is other._layout
    ),
    "is_same_size": lambda self, other: self.shape == other.shape,
    "dim_order": lambda self: tuple(
        sorted(range(self.ndim), key=lambda d: (-self._layout.strides[d], d))
    ),
}
