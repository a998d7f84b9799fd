"""`Variable`, the old name of a tensor that may require gradients.

In: a tensor. Out: a tensor on its memory. Invariant: every tensor is an instance of it.
"""

from __future__ import annotations

from typing import Any


class _EveryTensor(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return hasattr(instance, "_storage") and hasattr(instance, "_layout")


class Variable(metaclass=_EveryTensor):
    """Variable(tensor, requires_grad): the tensor's memory off the tape, as
    `torch.autograd.Variable`.

    >>> import rushlight as rl
    >>> rl.autograd.Variable(rl.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data: Any, requires_grad: bool = False) -> Any:
        return data.detach().requires_grad_(requires_grad)
