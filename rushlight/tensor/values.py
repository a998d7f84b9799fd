"""Values: where a tensor's elements become Python's or NumPy's, and so where the engine must have
computed them.

In: tensors. Out: numbers, lists, arrays, text. Every function here is a synchronisation point
(docs/engine.md lists them).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..graph.trace import LOCK
from ..kernel import convert
from .printing import format_tensor
from .storage import Storage
from .tensor import Tensor


def window(x: Tensor) -> np.ndarray:
    """A read-only look at the stored elements (bfloat16 as uint16 bits).

    Not counted as an export.
    """
    layout = x._layout
    if layout.device.type == "meta":
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    if layout.batch:
        raise _hidden("reading its values")
    kind = layout.dtype.numpy
    flat = x._storage.realize().numpy(kind)
    if layout.numel == 0:
        return np.zeros(layout.shape, kind)
    return np.lib.stride_tricks.as_strided(
        flat[layout.offset :],
        layout.shape,
        [s * kind.itemsize for s in layout.strides],
        writeable=False,
    )


def _hidden(what: str) -> RuntimeError:
    """What is said where the one value of many examples is asked for."""
    return RuntimeError(
        f"vmap: It looks like you're {what} on a Tensor that holds one value for each example. "
        "vmap does not support that: use operations on tensors (where() for a choice), or call "
        "the function without vmap."
    )


def item(self: Tensor) -> Any:
    """The one element as a Python number, as `torch.Tensor.item`."""
    if self._layout.numel != 1:
        raise RuntimeError(
            f"a Tensor with {self._layout.numel} elements cannot be converted to Scalar"
        )
    if self._layout.batch:
        raise _hidden("calling .item()")
    found = window(self).reshape(())
    return (
        convert.bfloat16_values(found).reshape(()) if self.dtype is dtypes.bfloat16 else found
    ).item()


def tolist(self: Tensor) -> Any:
    """The elements as nested lists of Python numbers."""
    found = window(self)
    return (
        convert.bfloat16_values(found).reshape(found.shape)
        if self.dtype is dtypes.bfloat16
        else found
    ).tolist()


def numpy(self: Tensor, *, force: bool = False) -> np.ndarray:
    """The tensor's memory as a NumPy array: writes on either side are seen on the other, as
    `torch.Tensor.numpy`.
    """
    if force:
        self = self.detach()
    if self.requires_grad:
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    if self.dtype is dtypes.bfloat16:
        raise TypeError("Got unsupported ScalarType BFloat16")
    layout = self._layout
    if layout.device.type == "meta":
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    if layout.batch:
        raise _hidden("calling .numpy()")
    storage: Storage = self._storage
    size = layout.dtype.itemsize
    strides = tuple(s * size for s in layout.strides)
    offset = layout.offset * size if layout.numel else 0  # an empty window may stand behind the end
    with LOCK:  # a write by another thread comes before, or goes into the bytes handed out
        buffer = storage.settle()
        array = buffer.export(layout.dtype.numpy, tuple(layout.shape), strides, offset)
    owner = buffer.owner if buffer.foreign else None
    if owner is not None and not owner.flags.writeable:
        array.flags.writeable = False
    return array


def array_protocol(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """`numpy.asarray(tensor)`."""
    found = numpy(self)
    if dtype is not None and found.dtype != dtype:
        return found.astype(dtype)
    return found.copy() if copy else found


def text(self: Tensor, *, tensor_contents: Any = None) -> str:
    """The printed form of a tensor, PyTorch's."""
    if self._layout.batch:
        return _batched_text(self)
    meta = self._layout.device.type == "meta"
    found = None if meta else window(self)
    if found is not None and self.dtype is dtypes.bfloat16:
        found = convert.bfloat16_values(found).reshape(found.shape)
    function = self.grad_fn
    return format_tensor(
        found,
        dtype_name=self.dtype.name,
        default_dtype_name=dtypes.get_default_dtype().name,
        shape=self.shape,
        device=str(self.device),
        requires_grad=self.requires_grad,
        grad_fn_name=type(function).__name__ if function is not None else None,
        class_name=_shown_class(self),
    )


def _shown_class(x: Tensor) -> str:
    """What a tensor calls itself in print: its class, where that is a subclass of a user's."""
    kind = type(x)
    is_plain = kind is Tensor or kind.__module__.partition(".")[0] == __name__.partition(".")[0]
    return "tensor" if is_plain else kind.__name__


def _batched_text(x: Tensor) -> str:
    """How a tensor looks inside vmap: its level, and the values of all examples."""
    from .tensor import make_tensor

    level, *_ = x._layout.batch[-1]
    inside = text(make_tensor(x._storage, x._layout.whole)).replace("\n", "\n    ")
    return f"BatchedTensor(lvl={level}, bdim=0, value=\n    {inside}\n)"


def as_bool(self: Tensor) -> bool:
    if self._layout.numel != 1:
        what = "no values" if self._layout.numel == 0 else "more than one value"
        raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous")
    if self._layout.batch:
        raise RuntimeError(
            "vmap: It looks like you're attempting to use a Tensor in some data-dependent control "
            "flow. It holds one value for each example, so there is no one branch to take: use "
            "where()."
        )
    return bool(item(self))


def _one_element(self: Tensor) -> Any:
    """The value that int(), float() and complex() convert; ValueError unless there is one."""
    if self._layout.numel != 1:
        raise ValueError(
            "only one element tensors can be converted to Python scalars, but this one has "
            f"{self._layout.numel} (shape {list(self.shape)})"
        )
    return item(self)


def _real(value: Any) -> Any:
    """The real part of a number that has no other; RuntimeError where it has."""
    if value.__class__ is not complex:
        return value
    if value.imag:
        raise RuntimeError(f"value cannot be converted to type double without overflow: {value}")
    return value.real


def as_int(self: Tensor) -> int:
    return int(_real(_one_element(self)))


def as_float(self: Tensor) -> float:
    return float(_real(_one_element(self)))


def as_complex(self: Tensor) -> complex:
    return complex(_one_element(self))


def as_index(self: Tensor) -> int:
    if self.dtype.kind not in ("int", "bool") or self._layout.numel != 1:
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(item(self))


def length(self: Tensor) -> int:
    if not self._layout.ndim:
        raise TypeError("len() of a 0-d tensor")
    return self._layout.shape[0]


def formatted(self: Tensor, specification: str) -> str:
    return (
        item(self).__format__(specification)
        if not self._layout.ndim and type(self) is Tensor
        else object.__format__(self, specification)
    )


def dlpack(self: Tensor, **wishes: Any) -> Any:
    """A DLPack capsule on the tensor's memory, for other libraries (`tensor/dlpack.py`)."""
    from .dlpack import lend  # ctypes is loaded when it is needed

    return lend(self, **wishes)


def dlpack_device(self: Tensor) -> tuple[int, int]:
    """DLPack's numbers of the device that the memory is on."""
    from .dlpack import lend_device

    return lend_device(self)


METHODS = {
    "item": item,
    "tolist": tolist,
    "numpy": numpy,
    "__array__": array_protocol,
    "__dlpack__": dlpack,
    "__dlpack_device__": dlpack_device,
    "__repr__": text,
    "__bool__": as_bool,
    "__int__": as_int,
    "__float__": as_float,
    "__complex__": as_complex,
    "__index__": as_index,
    "__len__": length,
    "__format__": formatted,
}
