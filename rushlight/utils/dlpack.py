"""`torch.utils.dlpack`: tensors lent to and borrowed from other libraries, without a copy.

In: a tensor, or an object (or capsule) of the DLPack protocol on the CPU. Out: the other of the
two, on the same memory. Invariant: NumPy, which speaks the protocol, does the talking, so what it
has no dtype for (bfloat16) is refused by name.
"""

from __future__ import annotations

from typing import Any

import numpy

import rushlight

__all__ = ["from_dlpack", "to_dlpack"]

_CPU = (1, 0)  # DLPack's device type and index


class _Capsule:
    """A capsule as an object of the protocol."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **ignored: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CPU


def to_dlpack(tensor: rushlight.Tensor) -> Any:
    """A capsule on the tensor's memory.

    Errors: BufferError for a tensor that requires grad (detach it), TypeError for a dtype that
    NumPy lacks.

    >>> import rushlight as rl
    >>> x = rl.ones(2)
    >>> y = rl.utils.dlpack.from_dlpack(rl.utils.dlpack.to_dlpack(x))
    >>> y[0] = 5
    >>> x
    tensor([5., 1.])
    """
    if tensor.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    return tensor.numpy().__dlpack__()


def from_dlpack(ext_tensor: Any) -> rushlight.Tensor:
    """A tensor on the memory of an object with `__dlpack__`, or of a capsule."""
    source = ext_tensor if hasattr(ext_tensor, "__dlpack__") else _Capsule(ext_tensor)
    return rushlight.from_numpy(numpy.from_dlpack(source))
