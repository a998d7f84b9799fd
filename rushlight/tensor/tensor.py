"""Tensor: what people hold.

A window (shape, strides, offset) on a storage, and its place on the tape.

In: made by dispatch, views and creation functions. Out: everything. Invariant: a Tensor has no
value of its own; two tensors alias exactly when they share a Storage. Methods that are rows of the
op table or functions of `tensor/functions` are installed by `tensor/install.py`; here stands what a
Tensor is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from ..autograd import walk
from ..autograd.entries import AccumulateGrad, GradFn, RemovableHandle
from ..autograd.modes import MODE
from ..base import dtype as dtypes
from ..base.device import device
from ..base.errors import MissingNameError
from ..base.layout import Layout, Size, normalize_axis
from .storage import Storage

if TYPE_CHECKING:
    from weakref import ref

    _Unary = Callable[["Tensor"], "Tensor"]
    _Binary = Callable[["Tensor", Any], "Tensor"]


class layout:
    """How elements are kept, as `torch.layout`: all of them by strides, or some by coordinates."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


strided = layout("strided")
sparse_coo = layout("sparse_coo")
sparse_csr = layout("sparse_csr")


class Tensor:
    """A multi-dimensional array of one dtype, as `torch.Tensor`."""

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_accumulator",
        "_attached",
        "_base",
        "_cell",
        "_grad",
        "_grad_fn",
        "_hooks",
        "_layout",
        "_output_nr",
        "_requires_grad",
        "_storage",
    )

    _storage: Storage
    _layout: Layout
    _grad_fn: GradFn | None
    _hooks: dict[int, Any] | None
    _base: Tensor | None
    _cell: list[int] | None
    _accumulator: ref[AccumulateGrad] | None

    # Python's operators: tensor/install.py sets them from its table.
    __eq__: ClassVar[_Binary]  # type: ignore[assignment]
    __ne__: ClassVar[_Binary]  # type: ignore[assignment]
    __add__: ClassVar[_Binary]
    __radd__: ClassVar[_Binary]
    __sub__: ClassVar[_Binary]
    __rsub__: ClassVar[_Binary]
    __mul__: ClassVar[_Binary]
    __rmul__: ClassVar[_Binary]
    __truediv__: ClassVar[_Binary]
    __rtruediv__: ClassVar[_Binary]
    __floordiv__: ClassVar[_Binary]
    __rfloordiv__: ClassVar[_Binary]
    __mod__: ClassVar[_Binary]
    __pow__: ClassVar[_Binary]
    __rpow__: ClassVar[_Binary]
    __matmul__: ClassVar[_Binary]
    __rmatmul__: ClassVar[_Binary]
    __and__: ClassVar[_Binary]
    __or__: ClassVar[_Binary]
    __xor__: ClassVar[_Binary]
    __lt__: ClassVar[_Binary]
    __le__: ClassVar[_Binary]
    __gt__: ClassVar[_Binary]
    __ge__: ClassVar[_Binary]
    __neg__: ClassVar[_Unary]
    __abs__: ClassVar[_Unary]
    __invert__: ClassVar[_Unary]

    __array_priority__ = 1000

    def __new__(cls, *args: Any, **kwargs: Any) -> Tensor:
        from .creation import legacy_tensor

        return legacy_tensor(cls, *args, **kwargs)

    # --- what it is -------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        return self._layout.shape

    @property
    def dtype(self) -> dtypes.dtype:
        return self._layout.dtype

    @property
    def device(self) -> device:
        return self._layout.device

    @property
    def ndim(self) -> int:
        return self._layout.ndim

    @property
    def _version(self) -> int:
        cell = self._cell
        return self._storage.version if cell is None else cell[0]

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the extent of one dimension."""
        return (
            self._layout.shape
            if dim is None
            else self._layout.shape[normalize_axis(dim, self._layout.ndim)]
        )

    def stride(self, dim: int | None = None) -> Any:
        """The strides in elements, or the stride of one dimension."""
        return (
            self._layout.strides
            if dim is None
            else self._layout.strides[normalize_axis(dim, self._layout.ndim)]
        )

    def storage_offset(self) -> int:
        return self._layout.offset

    def dim(self) -> int:
        return self._layout.ndim

    ndimension = dim

    def numel(self) -> int:
        return self._layout.numel

    nelement = numel

    def element_size(self) -> int:
        return self._layout.dtype.itemsize

    # --- the tape ---------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        if self._base is not None and self._attached != self._storage.rebased:
            return self.grad_fn is not None or self._requires_grad
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Whether gradients are to be recorded for this leaf.

        RuntimeError for non-leaves and integer tensors.
        """
        if not self.is_leaf:
            if requires_grad:
                return self
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a "
                "computed variable in a subgraph that doesn't require differentiation use "
                "var_no_grad = var.detach()."
            )
        if requires_grad and self.dtype.kind not in ("float", "complex"):
            raise RuntimeError(
                "only Tensors of floating point and complex dtype can require gradients"
            )
        self._requires_grad = bool(requires_grad)
        return self

    @property
    def grad_fn(self) -> GradFn | None:
        """The tape entry that made this tensor.

        Of a view whose base was overwritten since, a fresh one.
        """
        if self._base is not None and self._attached != self._storage.rebased:
            from .views import reattach

            reattach(self)
        return self._grad_fn

    @property
    def is_leaf(self) -> bool:
        return self.grad_fn is None

    @property
    def output_nr(self) -> int:
        return self._output_nr

    @property
    def grad(self) -> Tensor | None:
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(
                    "assigned grad expected to be a Tensor or None but got grad of type "
                    f"{type(value).__name__}"
                )
            if value.shape != self.shape:
                raise RuntimeError(
                    f"assigned grad has data of a different size: grad is {list(value.shape)}, the "
                    f"tensor {list(self.shape)}"
                )
            if value.dtype is not self.dtype:
                raise RuntimeError(
                    f"assigned grad has data of a different type: grad is {value.dtype}, the "
                    f"tensor {self.dtype}"
                )
        self._grad = value

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Accumulate the gradients of this tensor into the leaves, as `torch.Tensor.backward`."""
        walk.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def _accumulate(self, grad: Tensor, unshared: bool = False) -> None:
        """Add a gradient into `.grad`.

        Without create_graph, in place, so that aliases of `.grad` see it.

        `.grad` has memory of its own, laid out as this tensor is: a gradient that somebody else
        holds too is copied.
        """
        if self._hooks:
            for hook in list(self._hooks.values()):
                changed = hook(grad)
                grad = grad if changed is None else changed
        if self._grad is None:
            grad = grad if MODE.grad else grad.detach()
            self._grad = grad if unshared and self._suits(grad) else self._copied(grad)
        elif MODE.grad:
            self._grad = self._grad + grad
        else:
            self._grad.add_(grad)
        for hook in list(self.__dict__.get("_post_accumulate_grad_hooks", {}).values()):
            hook(self)

    def _suits(self, grad: Tensor) -> bool:
        """Whether a gradient lies in memory as `.grad` should: in this tensor's order, covering its
        storage.
        """
        layout = grad._layout
        return (
            layout.strides == self._layout.strides
            and layout.dense()
            and layout.numel == grad._storage.numel
        )

    def _copied(self, grad: Tensor) -> Tensor:
        """A copy of a gradient in this tensor's order of dimensions (row-major where this tensor
        has gaps).
        """
        from ..ops import core

        return (
            core.restride(grad, self._layout.strides)
            if self._layout.dense()
            else core.contiguous(grad)
        )

    def _set_accumulator(self, function: AccumulateGrad) -> None:
        from weakref import ref

        self._accumulator = ref(function)

    def register_hook(self, hook: Any) -> RemovableHandle:
        """hook(grad) is called with the gradient of this tensor and may return another; removed by
        the handle.
        """
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        function = self.grad_fn
        if function is None:
            if self._hooks is None:
                self._hooks = {}
            return RemovableHandle(self._hooks, hook)
        number = self._output_nr

        def prehook(grads: tuple) -> Any:
            if grads[number] is None:
                return None
            changed = hook(grads[number])
            return None if changed is None else (*grads[:number], changed, *grads[number + 1 :])

        prehook.rank = 1 if getattr(hook, "keeps", False) else 0  # type: ignore[attr-defined]
        return function.register_prehook(prehook)

    def register_post_accumulate_grad_hook(self, hook: Any) -> RemovableHandle:
        """hook(tensor) is called after a gradient was accumulated into this leaf's `.grad`."""
        if not self.is_leaf:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors"
            )
        return RemovableHandle(self.__dict__.setdefault("_post_accumulate_grad_hooks", {}), hook)

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf in `.grad`."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self.is_leaf or self.retains_grad:
            return
        from weakref import ref

        me = ref(self)

        def keep(grad: Tensor) -> None:
            tensor = me()
            if tensor is not None:
                tensor._grad = (
                    grad.detach() if tensor._grad is None else tensor._grad + grad.detach()
                )

        keep.keeps = True  # type: ignore[attr-defined]  # it sees what the other hooks made
        self.__dict__["_retains_grad"] = True
        self.register_hook(keep)

    @property
    def retains_grad(self) -> bool:
        return self.__dict__.get("_retains_grad", False)

    # --- aliases ----------------------------------------------------------------------------------

    def detach(self) -> Tensor:
        """The same memory, off the tape."""
        tensor = make_tensor(self._storage, self._layout)
        tensor._cell = self._cell
        return tensor

    def detach_(self) -> Tensor:
        """Take this tensor off the tape."""
        self._grad_fn = None
        self._output_nr = 0
        self._requires_grad = False
        return self

    @property
    def data(self) -> Tensor:
        """The same memory, off the tape, its writes unseen by the version check."""
        tensor = make_tensor(self._storage, self._layout)
        tensor._cell = [self._version]
        return tensor

    @data.setter
    def data(self, value: Tensor) -> None:
        if (
            value.dtype.kind != self.dtype.kind
            and self._requires_grad
            and value.dtype.kind not in ("float", "complex")
        ):
            raise RuntimeError(
                "data set to a tensor that requires gradients must be floating point or complex "
                "dtype"
            )
        if value._storage is not self._storage:
            self._cell = [self._version]
        self._storage, self._layout = value._storage, value._layout

    @property
    def is_meta(self) -> bool:
        return self._layout.device.type == "meta"

    is_cuda = property(lambda self: self._layout.device.type == "cuda")
    is_cpu = property(lambda self: self._layout.device.type == "cpu")
    is_sparse = is_sparse_csr = is_quantized = is_mps = is_xpu = is_mkldnn = is_nested = property(
        lambda self: False
    )
    layout = property(lambda self: strided)
    _backward_hooks = property(lambda self: self._hooks)
    names = property(lambda self: (None,) * self._layout.ndim)
    itemsize = property(element_size)
    nbytes = property(lambda self: self._layout.numel * self._layout.dtype.itemsize)

    def _is_view(self) -> bool:
        return self._base is not None

    def is_inference(self) -> bool:
        return self.__dict__.get("_inference", False)

    def __hash__(self) -> int:
        return id(self)

    def __getattr__(self, name: str) -> Any:
        """Reached for names that the class lacks: a method the catalog does not know yet, or an
        error naming the nearest.
        """
        if not name.startswith("_"):
            from .lazy import method

            function = method(name)
            if function is not None:
                setattr(Tensor, name, function)
                return getattr(self, name)
        kind = type(self)
        raise MissingNameError(f"'{kind.__name__}' object", name, lambda: dir(kind))

    @classmethod
    def _make_subclass(cls, subclass: type, data: Tensor, requires_grad: bool = False) -> Any:
        """A tensor of a subclass over the memory of `data`, off the tape."""
        tensor = make_tensor(data._storage, data._layout, subclass)
        tensor.requires_grad_(requires_grad)
        return tensor

    def as_subclass(self, cls: type) -> Any:
        """The same tensor as an object of a subclass."""
        tensor = make_tensor(self._storage, self._layout, cls)
        tensor._grad_fn, tensor._output_nr, tensor._requires_grad = (
            self.grad_fn,
            self._output_nr,
            self.requires_grad,
        )
        return tensor


def make_tensor(storage: Storage, layout: Layout, cls: type = Tensor) -> Tensor:
    """A leaf tensor on a storage."""
    tensor: Tensor = object.__new__(cls)
    tensor._storage = storage
    tensor._layout = layout
    tensor._requires_grad = False
    tensor._grad_fn = None
    tensor._output_nr = 0
    tensor._base = None
    tensor._cell = None
    tensor._grad = None
    tensor._accumulator = None
    tensor._hooks = None
    tensor._attached = 0
    return tensor
