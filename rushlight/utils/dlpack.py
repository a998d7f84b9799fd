"""`torch.utils.dlpack`: tensors lent to and borrowed from other libraries, without a copy.

In: a tensor, or an object (or capsule) of the DLPack protocol on the CPU. Out: the other of the
two, on the same memory. Invariant: nothing is copied unless that is asked for.
"""

from __future__ import annotations

from typing import Any

from rushlight import Tensor, from_dlpack

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule on the tensor's memory, to be taken once.

    Errors: BufferError for a tensor that requires grad (detach it), TypeError for a dtype that
    NumPy lacks.

    >>> import rushlight as rl
    >>> x = rl.ones(2)
    >>> y = rl.utils.dlpack.from_dlpack(rl.utils.dlpack.to_dlpack(x))
    >>> y[0] = 5
    >>> x
    tensor([5., 1.])
    """
    return tensor.__dlpack__()
