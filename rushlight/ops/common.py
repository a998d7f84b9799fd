"""What several op families share: working precision, dtype checks, the shapes of gradients, and
sample makers.

In: nodes (in bodies) or tensors (in gradient rules). Out: the same. Invariant: nothing here is a
row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base import dtype as dtypes
from ..base.dtype import TYPE_NAMES, dtype
from ..base.layout import normalize_axes
from ..graph import build as b
from ..graph.node import Node
from .core import conj


def opmath(x: Node) -> Node:
    """x in the precision that formulas are computed in: float32 for float16 and bfloat16."""
    return b.cast(x, dtypes.float32) if x.dtype in b.NARROW else x


def opmath_dtype(type_: dtype) -> dtype:
    """The dtype that values of `type_` are computed in."""
    return dtypes.float32 if type_ in b.NARROW else type_


def weak_cast(number: Any, like: Node) -> Node:
    """A runtime number in the dtype of a node that it is used with."""
    return b.cast(number, like.dtype)


def unary(primitive: str, x: Node) -> Node:
    """An elementwise function of floats; integers become the default float."""
    return b.elementwise(primitive, b.to_float(x))


def absolute(x: Node) -> Node:
    """|x|; of complex numbers a real one."""
    return (
        Node("complex_abs", (x,), x.shape, x.dtype.real)
        if x.dtype.is_complex
        else b.elementwise("abs", x)
    )


def require_kind(name: str, x: Node, kinds: tuple[str, ...] = ("float",)) -> None:
    """NotImplementedError in PyTorch's words unless the dtype of x is of one of the kinds."""
    if x.dtype.kind not in kinds:
        raise NotImplementedError(
            f"\"{name}\" not implemented for '{TYPE_NAMES[x.dtype.name]}': it takes "
            f"{' or '.join(kinds)} "
            f"tensors, and this one is {x.dtype.name}{list(x.shape)}"
        )


def underivable(name: str) -> Callable:
    """The rule of what PyTorch has no derivative of: it is on the tape, and backward refuses."""

    def rule(g: Any) -> Any:
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    return rule


def require_same_dtype(name: str, x: Node, **others: Node) -> None:
    """RuntimeError unless all operands have the dtype of x (numbers have any)."""
    for role, other in others.items():
        if not other.weak and not x.weak and other.dtype is not x.dtype:
            raise RuntimeError(
                f"{name}: expected dtype {x.dtype.name} for `{role}` but got dtype "
                f"{other.dtype.name}"
            )


def refuse_complex(name: str, *operands: Node) -> None:
    """RuntimeError for functions that need an order of their operands."""
    for x in operands:
        if x.dtype.kind == "complex":
            raise RuntimeError(f"{name} not implemented for complex tensors.")


# --- used in gradient rules ---------------------------------------------------------------------


def conjugate(x: Any) -> Any:
    """The complex conjugate of a tensor or of a number; a real one itself."""
    if isinstance(x, (bool, int, float)):
        return x
    if isinstance(x, complex):
        return x.conjugate()
    return conj(x) if x.dtype.is_complex else x


def kept_shape(shape: tuple[int, ...], dim: int | tuple[int, ...] | None) -> list[int]:
    """The shape that a reduction over `dim` leaves with keepdim=True."""
    axes = normalize_axes(dim, len(shape))
    return [1 if d in axes else n for d, n in enumerate(shape)]


def kept(x: Any, shape: tuple[int, ...], dim: int | tuple[int, ...] | None) -> Any:
    """A reduced tensor with the reduced dimensions back as dimensions of length one."""
    return x.reshape(kept_shape(shape, dim))


# --- samples ------------------------------------------------------------------------------------


def one(low: float = -2.0, high: float = 2.0, **kwargs: Any) -> Callable:
    """Samples of a function of one tensor: a matrix and a zero-dimensional one."""
    return lambda make: [
        ((make(3, 4, low=low, high=high),), kwargs),
        ((make(low=low, high=high),), kwargs),
    ]


def two(low: float = -2.0, high: float = 2.0, **kwargs: Any) -> Callable:
    """Samples of a function of two tensors that broadcast."""
    return lambda make: [
        ((make(3, 4, low=low, high=high), make(4, low=low, high=high)), kwargs),
        ((make(2, 1, 3, low=low, high=high), make(5, 1, low=low, high=high)), kwargs),
    ]


def integers(low: int = -8, high: int = 8) -> Callable:
    """Samples of a function of two integer tensors."""
    return lambda make: [
        (
            (
                make(3, 4, dtype="int64", low=low, high=high),
                make(4, dtype="int64", low=low, high=high),
            ),
            {},
        )
    ]
