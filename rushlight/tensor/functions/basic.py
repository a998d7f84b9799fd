"""Arithmetic with PyTorch's options: `add(alpha=)`, sums with `dtype=`, concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autograd.names import titled
from ...base.dtype import dtype
from ...ops import core
from ..tensor import Tensor

_sub_scaled = titled("SubBackward0")(core.add_scaled)


def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input + alpha * other, as `torch.add`.

    >>> import rushlight as rl
    >>> rl.add(rl.ones(2), rl.ones(2), alpha=3)
    tensor([4., 4.])
    """
    if alpha.__class__ is int and alpha == 1:
        return core.add(input, other)
    return core.add_scaled(input, other, fitting_factor(input, other, alpha))


def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input - alpha * other, as `torch.sub`."""
    if alpha.__class__ is int and alpha == 1:
        return core.sub(input, other)
    return _sub_scaled(input, other, -fitting_factor(input, other, alpha))


def fitting_factor(input: Any, other: Any, alpha: Any) -> Any:
    """The factor of the second operand; RuntimeError where it is of a higher kind than the result
    (or a bool, and the result is none).
    """
    if alpha.__class__ not in (bool, int, float, complex):
        return alpha
    from .reshaping import result_type

    kind = result_type(input, other).kind
    if alpha.__class__ is bool and kind != "bool":
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if alpha.__class__ is float and kind in ("bool", "int"):
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    if alpha.__class__ is complex and kind != "complex":
        raise RuntimeError(
            "For non-complex input tensors, argument alpha must not be a complex number."
        )
    return bool(alpha) if kind == "bool" else alpha


def mul(input: Any, other: Any) -> Tensor:
    """input * other, as `torch.mul`."""
    return core.mul(input, other)


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """input where condition holds, else other.

    With the condition alone, the indices where it holds.
    """
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    return core.where(condition, input, other)


def where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """`torch.where(condition, self, other)`."""
    return core.where(condition, self, other)


where_method.__name__ = "where"


def sum(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The sum over dimensions (all if none is named), as `torch.sum`."""
    return core.sum(input, dim, keepdim, dtype)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors one after the other along a dimension, as `torch.cat`."""
    return core.cat(tensors, dim)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors along a new dimension, as `torch.stack`."""
    return core.stack(tensors, dim)


def real(input: Tensor) -> Tensor:
    """The real part as a view of a complex tensor; a real tensor itself."""
    return input.real


def imag(input: Tensor) -> Tensor:
    """The imaginary part as a view of a complex tensor."""
    return input.imag


def conj(input: Tensor) -> Tensor:
    """The complex conjugate (computed, where PyTorch marks a view); a real tensor itself."""
    return core.conj_physical(input) if input.dtype.is_complex else input


FUNCTIONS = (add, sub, mul, where, sum, cat, stack, real, imag, conj)
METHODS = (add, sub, mul, sum, where_method, conj)
ALIASES = {"subtract": sub, "multiply": mul, "concat": cat, "concatenate": cat}
