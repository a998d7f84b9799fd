"""Tensors that a `Module` owns: parameters (trained), buffers (kept), and shapeless forms of both.

In: any Tensor. Out: a Tensor subclass that shares the given storage and that
`Module.__setattr__` recognises by its class.
Invariant: a `Parameter` is a leaf; operations on it give plain Tensors.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.overrides import disabled


def _rebuild_parameter(data: Tensor, requires_grad: bool, hooks: Any) -> Parameter:
    """The inverse of `Parameter.__reduce_ex__`, called while unpickling."""
    return Parameter(data, requires_grad)


class Parameter(Tensor):
    """A Tensor that becomes part of `Module.parameters()` when it is assigned as an attribute.

    Args:
        data: the initial values; their storage is shared, not copied. None means an empty tensor.
        requires_grad: whether gradients are accumulated (default True).

    Follows `torch.nn.Parameter`.

    >>> import rushlight as rl
    >>> rl.nn.Parameter(rl.zeros(2)).requires_grad
    True
    """

    __torch_function__ = disabled

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = rushlight.empty(0)
        return Tensor._make_subclass(cls, data, requires_grad)

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        """Everything happens in `__new__`; this only keeps the base constructor from running."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.data.clone(), self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _rebuild_parameter, (self.data, self.requires_grad, OrderedDict())

    def __repr__(self) -> str:
        text = super().__repr__()
        return "Parameter containing:\n" + (
            text if type(self) is Parameter else f"Parameter({text})"
        )


def _rebuild_buffer(data: Tensor, persistent: bool) -> Buffer:
    """The inverse of `Buffer.__reduce_ex__`, called while unpickling."""
    return Buffer(data, persistent=persistent)


class Buffer(Tensor):
    """A Tensor that becomes part of `Module.buffers()` when it is assigned as an attribute.

    Args:
        data: the initial values; their storage is shared.
        persistent: whether the buffer is part of the `state_dict`.

    Follows `torch.nn.Buffer`.

    >>> import rushlight as rl
    >>> module = rl.nn.Module()
    >>> module.mean = rl.nn.Buffer(rl.zeros(1))
    >>> list(module.state_dict())
    ['mean']
    """

    persistent: bool

    __torch_function__ = disabled

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        if data is None:
            data = rushlight.empty(0)
        buffer = Tensor._make_subclass(cls, data, data.requires_grad)
        buffer.persistent = persistent
        return buffer

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        """Everything happens in `__new__`; this only keeps the base constructor from running."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Buffer:
        if id(self) not in memo:
            memo[id(self)] = Buffer(self.data.clone(), persistent=self.persistent)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _rebuild_buffer, (self.data, self.persistent)


class UninitializedTensorMixin:
    """What a tensor without a shape can do: move, change its dtype, and `materialize`."""

    cls_to_become: type

    def materialize(
        self: Any,
        shape: tuple[int, ...],
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Give this tensor memory of `shape`; from then on it is an ordinary one."""
        device = self.data.device if device is None else device
        dtype = self.data.dtype if dtype is None else dtype
        data = rushlight.empty(shape, device=device, dtype=dtype)
        self.__class__ = self.cls_to_become
        self.data = data

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    def share_memory_(self) -> Any:
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. "
            "Call `forward` to initialize the parameters before calling `module.share_memory()`."
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is found at the first forward call of a lazy module.

    Follows `torch.nn.parameter.UninitializedParameter`.

    >>> import rushlight as rl
    >>> weight = rl.nn.UninitializedParameter()
    >>> weight.materialize((2, 3))
    >>> type(weight).__name__, tuple(weight.shape)
    ('Parameter', (2, 3))
    """

    cls_to_become = Parameter

    def __new__(
        cls, requires_grad: bool = True, device: Any = None, dtype: Any = None
    ) -> UninitializedParameter:
        data = rushlight.empty(0, device=device, dtype=dtype)
        return Tensor._make_subclass(cls, data, requires_grad)

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        """Everything happens in `__new__`."""

    def __deepcopy__(self, memo: dict[int, Any]) -> UninitializedParameter:
        if id(self) not in memo:
            data = self.data
            memo[id(self)] = type(self)(self.requires_grad, data.device, data.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        data = self.data
        return UninitializedParameter, (self.requires_grad, data.device, data.dtype)


class UninitializedBuffer(UninitializedTensorMixin, Buffer):
    """A buffer whose shape is found at the first forward call of a lazy module.

    Follows `torch.nn.parameter.UninitializedBuffer`.

    >>> import rushlight as rl
    >>> rl.nn.UninitializedBuffer()
    <UninitializedBuffer>
    """

    cls_to_become = Buffer

    def __new__(
        cls,
        requires_grad: bool = False,
        device: Any = None,
        dtype: Any = None,
        persistent: bool = True,
    ) -> UninitializedBuffer:
        data = rushlight.empty(0, device=device, dtype=dtype)
        buffer = Tensor._make_subclass(cls, data, requires_grad)
        buffer.persistent = persistent
        return buffer

    def __init__(
        self,
        requires_grad: bool = False,
        device: Any = None,
        dtype: Any = None,
        persistent: bool = True,
    ) -> None:
        """Everything happens in `__new__`."""

    def __deepcopy__(self, memo: dict[int, Any]) -> UninitializedBuffer:
        if id(self) not in memo:
            data = self.data
            memo[id(self)] = type(self)(False, data.device, data.dtype, self.persistent)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        data = self.data
        return UninitializedBuffer, (False, data.device, data.dtype, self.persistent)


def factory_kwargs(kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """The arguments of a factory function (`device`, `dtype`, `memory_format`) among `kwargs`.

    They may also stand in `kwargs["factory_kwargs"]`. Errors: TypeError for any other name, and for
    one that is given twice. Follows `torch.nn.factory_kwargs`.

    >>> import rushlight as rl
    >>> rl.nn.factory_kwargs({"device": "cpu", "factory_kwargs": {"dtype": rl.float64}})
    {'dtype': torch.float64, 'device': 'cpu'}
    """
    given = dict(kwargs or {})
    found = dict(given.pop("factory_kwargs", {}))
    unknown = given.keys() - {"device", "dtype", "memory_format"}
    if unknown:
        raise TypeError(f"unexpected kwargs {unknown}")
    for name, value in given.items():
        if name in found:
            raise TypeError(f"{name} specified twice, in **kwargs and in factory_kwargs")
        found[name] = value
    return found


def is_lazy(param: Any) -> bool:
    """Whether `param` is a parameter or buffer that has no shape yet.

    >>> import rushlight as rl
    >>> rl.nn.parameter.is_lazy(rl.nn.UninitializedParameter())
    True
    """
    return isinstance(param, UninitializedTensorMixin)
