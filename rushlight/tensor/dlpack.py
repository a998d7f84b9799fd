"""The DLPack protocol: memory lent to and borrowed from other libraries, without a copy.

In: a tensor, or an object (or capsule) of the protocol on the CPU. Out: the other of the two, on
the same memory. Invariant: NumPy does the talking; bfloat16, which it lacks, travels through it as
int16, and the capsule's one word about the dtype is changed on the way.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy

from ..base import dtype as dtypes
from .bits import view_dtype
from .conversion import from_numpy
from .tensor import Tensor

__all__ = ["from_dlpack", "lend", "lend_device"]

CPU = (1, 0)  # DLPack's device type and index
_INT16 = (0, 16, 1)
_BFLOAT16 = (4, 16, 1)


class _Description(ctypes.Structure):
    """DLPack's DLTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("dimensions", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
    )


# The names of capsules that nobody has taken yet, and where the description begins in what they
# hold: behind the version, the manager, the deleter and the flags, or at once.
_CAPSULES = {b"dltensor_versioned": 32, b"dltensor": 0}


def _description(capsule: Any) -> _Description | None:
    """What a capsule says of its memory; None for something else than a fresh capsule."""
    valid, pointer = ctypes.pythonapi.PyCapsule_IsValid, ctypes.pythonapi.PyCapsule_GetPointer
    valid.argtypes = pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)
    pointer.restype = ctypes.c_void_p
    for name, offset in _CAPSULES.items():
        if valid(capsule, name):
            return _Description.from_address(pointer(capsule, name) + offset)
    return None


def _retype(capsule: Any, old: tuple[int, int, int], new: tuple[int, int, int]) -> bool:
    """Change the dtype that a capsule states; whether it was the old one."""
    stated = _description(capsule)
    if stated is None or (stated.code, stated.bits, stated.lanes) != old:
        return False
    stated.code, stated.bits, stated.lanes = new
    return True


def lend(self: Tensor, *, stream: Any = None, max_version: Any = None, dl_device: Any = None,
         copy: bool | None = None) -> Any:  # fmt: skip
    """A capsule on the tensor's memory (`Tensor.__dlpack__`).

    Errors: BufferError for a tensor that requires grad (detach it), for another device than the
    CPU, and for a dtype that NumPy lacks.
    """
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if self._layout.device.type != "cpu" or dl_device not in (None, CPU):
        raise BufferError("a tensor is lent on the CPU only")
    plain = self.clone() if copy else self
    narrow = self.dtype is dtypes.bfloat16
    array = (view_dtype(plain, dtypes.int16) if narrow else plain).numpy()
    capsule = array.__dlpack__(max_version=max_version)
    if narrow:
        _retype(capsule, _INT16, _BFLOAT16)
    return capsule


def lend_device(self: Tensor) -> tuple[int, int]:
    """Where the memory is: (1, 0), the CPU (`Tensor.__dlpack_device__`)."""
    if self._layout.device.type != "cpu":
        raise BufferError("a tensor is lent on the CPU only")
    return CPU


class _Holder:
    """A capsule as an object of the protocol."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **ignored: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU


def _capsule_of(source: Any) -> Any:
    """A capsule of an object of the protocol, of the newer kind where it knows that."""
    if not hasattr(source, "__dlpack__"):
        return source
    kind, _ = source.__dlpack_device__() if hasattr(source, "__dlpack_device__") else CPU
    if kind != CPU[0]:
        raise BufferError(f"from_dlpack: the memory is on device type {int(kind)}, not on the CPU")
    try:
        return source.__dlpack__(max_version=(1, 0))
    except TypeError:
        return source.__dlpack__()


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of an object with `__dlpack__`, or of a capsule.

    `copy=True` copies the memory; `device` is the CPU or None.
    Errors: BufferError for memory elsewhere, TypeError or RuntimeError for no capsule or one that
    was used before, ValueError for negative strides.

    >>> import numpy
    >>> import rushlight as rl
    >>> array = numpy.zeros(2, numpy.float32)
    >>> x = rl.from_dlpack(array)
    >>> x[0] = 5
    >>> array.tolist()
    [5.0, 0.0]
    """
    if device is not None and str(getattr(device, "type", device)).split(":")[0] != "cpu":
        raise BufferError(f"from_dlpack: there is no device {device!s} to put the memory on")
    capsule = _capsule_of(ext_tensor)
    narrow = _retype(capsule, _BFLOAT16, _INT16)
    array = numpy.from_dlpack(_Holder(capsule))
    result = from_numpy(array)
    if narrow:
        result = view_dtype(result, dtypes.bfloat16)
    return result.clone() if copy else result
