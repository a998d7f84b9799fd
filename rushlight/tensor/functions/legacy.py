"""Functions of the torch namespace that others stand in for, and functions of plain numbers.

In: tensors or numbers. Out: tensors or numbers. Invariant: nothing is computed here that the
function named in the docstring does not compute.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ...base.dtype import dtype, get_default_dtype
from ...ops import core
from ...ops.reduction import vector_norm
from ..tensor import Tensor
from . import matrices


def range(
    start: float,
    end: float,
    step: float = 1,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """start, start + step, ... up to and including end, floats unless `dtype` says otherwise; use
    `arange`. RuntimeError for a step of zero or of the wrong sign. Follows `torch.range`.

    >>> import rushlight as rl
    >>> rl.range(1, 2, 0.5)
    tensor([1.0000, 1.5000, 2.0000])
    """
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError(
            f"upper bound and lower bound inconsistent with step sign: {start} to {end} by {step}"
        )
    kind = dtype or get_default_dtype()
    if kind.kind == "int":
        start, step = int(start), int(step)
    made = core.arange_row(start, step, int((end - start) / step) + 1, kind)
    return made.to(device=device).requires_grad_(requires_grad)


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers N - 1, ..., 0 of the elements of a vector as the columns of a matrix, or 0, ...,
    N - 1 if `increasing`. RuntimeError for other than vectors and for N < 0. Follows
    `torch.vander`.

    >>> import rushlight as rl
    >>> rl.vander(rl.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]])
    """
    if x.ndim != 1:
        raise RuntimeError(f"x must be a one-dimensional tensor, but its shape is {list(x.shape)}.")
    count = x.shape[0] if N is None else N
    if count < 0:
        raise RuntimeError(f"N must be non-negative, but got {count}.")
    if count < 2:  # the powers below that `linalg.vander` begins with
        made = core.full((x.shape[0], count), 1, x.dtype)
        return core.cast(made, core.sum(x[:0]).dtype)
    made = matrices.vander(x, count)
    if x.dtype.kind in ("bool", "int"):
        made = core.cast(made, core.sum(x[:0]).dtype)
    return made if increasing else made.flip(1)


def frobenius_norm(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """The root of the sum of squared magnitudes over dimensions; use `linalg.vector_norm`. Follows
    `torch.frobenius_norm`.

    >>> import rushlight as rl
    >>> rl.frobenius_norm(rl.tensor([[3., 4.]]), [0, 1])
    tensor(5.)
    """
    axes = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(axes) > 2:
        raise RuntimeError(
            f"Expected at most 2 dimensions, but got {len(axes)} dimensions instead."
        )
    return vector_norm(input, 2, axes or None, keepdim)


def nuclear_norm(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The sum of the singular values of matrices; use `linalg.matrix_norm`. Follows
    `torch.nuclear_norm`.

    >>> import rushlight as rl
    >>> rl.nuclear_norm(rl.tensor([[2., 0.], [0., 1.]]))
    tensor(3.)
    """
    if isinstance(dim, bool):  # torch.nuclear_norm(x, keepdim)
        dim, keepdim = None, dim
    axes = (-2, -1) if dim is None else tuple(dim)
    return matrices.matrix_norm(input, "nuc", axes, keepdim)


def adjoint(input: Tensor) -> Tensor:
    """Matrices transposed and conjugated, as `torch.adjoint`. RuntimeError for vectors.

    >>> import rushlight as rl
    >>> rl.adjoint(rl.tensor([[1 + 2j, 3.]]))
    tensor([[1.-2.j],
            [3.-0.j]])
    """
    return input.mH if input.ndim else input.conj()


# --- of plain numbers -----------------------------------------------------------------------------


def sym_int(a: Any) -> int:
    """A number rounded towards zero, as `torch.sym_int`.

    >>> import rushlight as rl
    >>> rl.sym_int(-2.7)
    -2
    """
    return math.trunc(a)


def sym_float(a: Any) -> float:
    """A number as a float, as `torch.sym_float`."""
    return float(a)


def sym_not(a: Any) -> bool:
    """not a, as `torch.sym_not`."""
    return not a


def _ordered(function: Any, a: Any, b: Any) -> Any:
    """The larger or smaller of two numbers, a float where one of them is."""
    chosen = function(a, b)
    return float(chosen) if isinstance(a, float) or isinstance(b, float) else chosen


def sym_max(a: Any, b: Any) -> Any:
    """The larger of two numbers, a float where one of them is, as `torch.sym_max`."""
    return _ordered(max, a, b)


def sym_min(a: Any, b: Any) -> Any:
    """The smaller of two numbers, a float where one of them is, as `torch.sym_min`."""
    return _ordered(min, a, b)


def sym_sqrt(a: Any) -> float:
    """The square root of a number, as `torch.sym_sqrt`."""
    return math.sqrt(a)


def sym_sum(args: Sequence[Any]) -> Any:
    """The sum of numbers, as `torch.sym_sum`."""
    return sum(args)


def sym_ite(b: bool, t: Any, f: Any) -> Any:
    """t if b else f, both of one type, as `torch.sym_ite`."""
    if not isinstance(b, bool) or type(t) is not type(f):
        raise TypeError(
            "sym_ite: expected a bool and two numbers of one type, but got "
            f"{', '.join(type(x).__name__ for x in (b, t, f))}"
        )
    return t if b else f


# Functions that PyTorch has removed -> what it says to use.
_REMOVED = {
    "solve": "torch.linalg.solve(A, B), whose operands come in the other order",
    "lstsq": "torch.linalg.lstsq(A, B), whose operands come in the other order",
    "eig": "torch.linalg.eig or torch.linalg.eigvals, which return complex numbers",
    "symeig": "torch.linalg.eigh(A, UPLO='U') or torch.linalg.eigvalsh",
}


def _removed(name: str, instead: str) -> Callable[..., NoReturn]:
    """A function that says what to use in its place."""

    def refuse(self: Tensor, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(
            f"{name}(): This function was deprecated since version 1.9 and is now removed; use "
            f"{instead}"
        )

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"Removed from PyTorch: use {instead}."
    return refuse


_GONE = tuple(_removed(name, instead) for name, instead in _REMOVED.items())
FUNCTIONS = (
    *_GONE,
    range,
    vander,
    frobenius_norm,
    nuclear_norm,
    adjoint,
    sym_int,
    sym_float,
    sym_not,
    sym_max,
    sym_min,
    sym_sqrt,
    sym_sum,
    sym_ite,
)
METHODS = (adjoint, *_GONE)
