"""Norms, products and rearrangements of matrices, as people call them.

In: (..., n, m) matrices or vectors. Out: norms, products, inverses of maps. Invariant: `LINALG`
lists what `rushlight.linalg` offers of them.
"""

from __future__ import annotations

import math
from typing import Any

from ...autograd.names import titled
from ...base.dtype import TYPE_NAMES
from ...base.layout import normalize_axis
from ...base.promotion import promote_types
from ...ops import linalg as rows
from ...ops import matmul as products
from ...ops.linalg import require_matrices
from ...ops.reduction import vector_norm
from ..creation import arange, zeros
from ..tensor import Tensor
from .factors import svdvals
from .matmul import matrix_power, multi_dot, vecdot


def matrix_norm(
    input: Tensor,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Tensor:
    """A norm of the matrices that two dimensions hold.

    ord: "fro" the root of the sum of squares, "nuc" the sum of singular values, 2 and -2 the
    largest and the smallest of them, 1 and -1 the largest and the smallest sum of a column's
    absolute values, inf and -inf of a row's. Computed in `dtype` if given. Follows
    `torch.linalg.matrix_norm`.

    >>> import rushlight as rl
    >>> rl.linalg.matrix_norm(rl.tensor([[3., 0.], [0., 4.]]), "nuc")
    tensor(7.)
    """
    name = "linalg.matrix_norm"
    if input.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor A must have at least 2 dimensions, but it has shape "
            f"{list(input.shape)}"
        )
    axes = [dim] if isinstance(dim, int) else list(dim)
    if len(axes) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {dim}")
    row, column = (normalize_axis(d, input.ndim) for d in axes)
    if row == column:
        raise RuntimeError(f"{name}: dims must be different. Got ({axes[0]}, {axes[1]})")
    if dtype is not None:
        _require_wider(name, input, dtype)
        input = input.to(dtype)
    if ord == "fro":
        return vector_norm(input, 2, (row, column), keepdim)
    if ord in ("nuc", 2, -2):
        sizes = svdvals(input.movedim((row, column), (-2, -1)))
        result = sizes.sum(-1) if ord == "nuc" else _extreme(sizes, -1, ord > 0).squeeze(-1)
        if not keepdim:
            return result
        for d in sorted((row, column)):
            result = result.unsqueeze(d)
        return result
    if not isinstance(ord, (int, float)) or abs(ord) not in (1, math.inf):
        raise RuntimeError(f"{name}: Order {ord} not supported.")
    summed, kept = (row, column) if abs(ord) == 1 else (column, row)
    result = _extreme(input.abs().sum(summed, True), kept, ord > 0)
    return result if keepdim else result.squeeze((row, column))


def _require_wider(name: str, x: Tensor, dtype: Any) -> None:
    """RuntimeError unless x can be converted to a dtype without loss of its kind or range."""
    if dtype.kind not in ("float", "complex"):
        raise RuntimeError(
            f"{name}: dtype should be floating point or complex, but got {TYPE_NAMES[dtype.name]}"
        )
    if x.dtype.is_complex and not dtype.is_complex:
        raise RuntimeError(
            f"{name}: dtype should be complex for complex inputs, but got {TYPE_NAMES[dtype.name]}"
        )
    if promote_types(x.dtype, dtype) is not dtype:
        raise RuntimeError(
            f"{name}: the dtype of the input ({TYPE_NAMES[x.dtype.name]}) should be convertible "
            f"without narrowing to the specified dtype ({TYPE_NAMES[dtype.name]})"
        )


def _extreme(sizes: Tensor, dim: int, largest: bool) -> Tensor:
    """The largest (of none: zero) or smallest element along a dimension, which stays."""
    if not largest:
        return sizes.amin(dim, True)
    return sizes.sum(dim, True) if sizes.shape[dim] == 0 else sizes.amax(dim, True)


def norm(
    input: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """A matrix norm where an order is given and two dimensions are (in words or because the tensor
    has two), else a vector norm. Follows `torch.linalg.norm`.

    >>> import rushlight as rl
    >>> rl.linalg.norm(rl.tensor([[3., 0.], [0., 4.]]))
    tensor(5.)
    """
    axes = None if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if axes is not None and len(axes) not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(axes)}"
        )
    if axes is None and ord is not None and input.ndim not in (1, 2):
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
            f"{input.ndim}D."
        )
    count = input.ndim if axes is None else len(axes)
    if isinstance(ord, str) or (ord is not None and count == 2):
        return matrix_norm(input, ord, (-2, -1) if axes is None else axes, keepdim, dtype=dtype)
    if dtype is not None:
        _require_wider("linalg.vector_norm", input, dtype)
    return vector_norm(input, 2 if ord is None else ord, dim, keepdim, dtype)


def cond(input: Tensor, p: Any = None) -> Tensor:
    """The condition number |A| |A^-1| in a norm (default 2), infinite where A is singular. Follows
    `torch.linalg.cond`.

    >>> import rushlight as rl
    >>> rl.linalg.cond(rl.tensor([[2., 0.], [0., 4.]]))
    tensor(2.)
    """
    if p in (None, 2, -2):
        require_matrices("linalg.cond", input)
        if 0 in input.shape[-2:]:
            return zeros(input.shape[:-2], dtype=input.dtype.real)
        sizes = svdvals(input)
        largest, smallest = sizes.amax(-1), sizes.amin(-1)
        return smallest / largest if p == -2 else largest / smallest
    require_matrices("linalg.cond", input, True)
    if input.shape[-1] == 0:
        return zeros(input.shape[:-2], dtype=input.dtype.real)
    inverse, info = rows.inv_ex(input)
    return (matrix_norm(input, p) * matrix_norm(inverse, p)).where(info == 0, math.inf)


@titled("LinalgCrossBackward0", guarded=(0, 1))
def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The vector product along a dimension of length three, the other dimensions broadcasting.
    Follows `torch.linalg.cross`.

    >>> import rushlight as rl
    >>> rl.linalg.cross(rl.tensor([1., 0., 0.]), rl.tensor([0., 1., 0.]))
    tensor([0., 0., 1.])
    """
    if input.ndim != other.ndim:
        raise RuntimeError(
            "linalg.cross: inputs must have the same number of dimensions: "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    axis = normalize_axis(dim, input.ndim)
    if input.shape[axis] != 3 or other.shape[axis] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {input.shape[axis]} and "
            f"{other.shape[axis]}"
        )
    ahead = input.roll(-1, axis) * other.roll(-2, axis)
    return (ahead - input.roll(-2, axis) * other.roll(-1, axis)).contiguous()


@titled("LinalgCrossBackward0", guarded=(0, 1))
def cross_top(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """`linalg.cross`; without `dim` along the first dimension of length three. Follows
    `torch.cross`.
    """
    if dim is None:
        dim = next((d for d, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError(f"no dimension of size 3 in input: {list(input.shape)}")
    return cross(input, other, dim=dim)


cross_top.__name__ = "cross"


def vander(x: Tensor, N: int | None = None) -> Tensor:
    """Powers x^0, x^1, ... x^(N - 1) in a new last dimension; N at least 2, by default the length
    of x. Follows `torch.linalg.vander`.

    >>> import rushlight as rl
    >>> rl.linalg.vander(rl.tensor([2., 3.]), N=3)
    tensor([[1., 2., 4.],
            [1., 3., 9.]])
    """
    x = x.reshape(1) if x.ndim == 0 else x
    if N is not None and N <= 1:
        raise RuntimeError(f"N must be greater than 1, but got {N}")
    return x.unsqueeze(-1) ** arange(x.shape[-1] if N is None else N)


def matrix_exp(input: Tensor) -> Tensor:
    """The matrix exponential. Follows `torch.linalg.matrix_exp`."""
    return rows.matrix_exp(input)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """`torch.matmul`."""
    return products.matmul(input, other)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """`torch.diagonal` of the last two dimensions. Follows `torch.linalg.diagonal`."""
    return A.diagonal(offset, dim1, dim2)


FUNCTIONS = (cross_top,)
METHODS = (cross_top,)
LINALG: dict[str, Any] = {
    f.__name__: f
    for f in (
        matrix_norm,
        norm,
        cond,
        cross,
        vander,
        matrix_exp,
        matmul,
        diagonal,
        multi_dot,
        vecdot,
        matrix_power,
        vector_norm,
    )
}
