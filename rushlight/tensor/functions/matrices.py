"""Norms, products and rearrangements of matrices, as people call them.

In: (..., n, m) matrices or vectors. Out: norms, products, inverses of maps. Invariant: `LINALG`
lists what `rushlight.linalg` offers of them.
"""

from __future__ import annotations

import math
from typing import Any

from ...ops import linalg as rows
from ...ops import matmul as products
from ...ops.linalg import adjoint, require_matrices
from ...ops.reduction import vector_norm
from ..creation import arange, eye
from ..tensor import Tensor
from .linalg import svdvals
from .matmul import matrix_power, multi_dot, vecdot


def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """A norm of matrices: "fro", "nuc", 1, -1, 2, -2, inf or -inf. Follows
    `torch.linalg.matrix_norm`.
    """
    A = A if dtype is None else A.to(dtype)
    row, column = (d % A.ndim for d in dim)
    if ord == "fro":
        return vector_norm(A, 2, (row, column), keepdim)
    if ord in ("nuc", 2, -2):
        sizes = svdvals(A.movedim((row, column), (-2, -1)))
        result = sizes.sum(-1) if ord == "nuc" else sizes.amax(-1) if ord == 2 else sizes.amin(-1)
        if not keepdim:
            return result
        for d in sorted((row, column)):
            result = result.unsqueeze(d)
        return result
    if not isinstance(ord, (int, float)) or abs(ord) not in (1, math.inf):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    summed, kept = (row, column) if abs(ord) == 1 else (column, row)
    sums = A.abs().sum(summed, True)
    result = sums.amax(kept, True) if ord > 0 else sums.amin(kept, True)
    return result if keepdim else result.squeeze((row, column))


def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """A vector or matrix norm, as the order and the dimensions say. Follows `torch.linalg.norm`."""
    matrices = (dim is None and ord is not None and A.ndim == 2) or isinstance(ord, str)
    if matrices or (
        dim is not None and not isinstance(dim, int) and len(dim) == 2 and ord is not None
    ):
        return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    if dim is None and ord is not None and A.ndim not in (1, 2):
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
            f"{A.ndim}D."
        )
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype)


def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number |A| |A^-1| in a norm (default 2). Follows `torch.linalg.cond`."""
    if p in (None, 2, -2):
        sizes = svdvals(A)
        largest, smallest = sizes.amax(-1), sizes.amin(-1)
        return smallest / largest if p == -2 else largest / smallest
    require_matrices("linalg.cond", A, True)
    return matrix_norm(A, p) * matrix_norm(rows.inv(A), p)


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The vector product along a dimension of length three. Follows `torch.linalg.cross`.

    >>> import rushlight as rl
    >>> rl.linalg.cross(rl.tensor([1., 0., 0.]), rl.tensor([0., 1., 0.]))
    tensor([0., 0., 1.])
    """
    if input.shape[dim] != 3 or other.shape[dim] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {input.shape[dim]} and "
            f"{other.shape[dim]}"
        )
    return input.roll(-1, dim) * other.roll(-2, dim) - input.roll(-2, dim) * other.roll(-1, dim)


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
    """Powers x^0, x^1, ... x^(N - 1) in a new last dimension. Follows `torch.linalg.vander`."""
    count = x.shape[-1] if N is None else N
    return x.unsqueeze(-1) ** arange(count)


def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a map from its last to its first `ind` dimensions. Follows
    `torch.linalg.tensorinv`.
    """
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    first, last = A.shape[:ind], A.shape[ind:]
    if math.prod(first) != math.prod(last):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            "prod(self.shape[:ind]), but got "
            f"{math.prod(last)} != {math.prod(first)}"
        )
    return rows.inv(A.reshape(math.prod(first), -1)).reshape((*last, *first))


def tensorsolve(A: Tensor, B: Tensor, dims: Any = None) -> Tensor:
    """X with tensordot(A, X, X.ndim) = B. Follows `torch.linalg.tensorsolve`."""
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    shape = A.shape[B.ndim :]
    if math.prod(shape) != B.numel() or A.numel() != B.numel() ** 2:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            "prod(self.shape[:other.ndim]), but got "
            f"{list(A.shape)} and {list(B.shape)}"
        )
    return rows.solve_matrix(A.reshape(B.numel(), -1), B.reshape(-1, 1)).reshape(shape)


def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of reflections I - tau_i v_i v_i^H. Follows
    `torch.linalg.householder_product`.
    """
    m, n = A.shape[-2:]
    result = eye(m, n, dtype=A.dtype).expand((*A.shape[:-2], m, n))
    unit = eye(m, n, dtype=A.dtype)
    for k in range(tau.shape[-1] - 1, -1, -1):
        vector = A.tril(-1).narrow(-1, k, 1) + unit.narrow(-1, k, 1)
        factor = tau.narrow(-1, k, 1).unsqueeze(-1)
        result = result - factor * products.matmul(vector, products.matmul(adjoint(vector), result))
    return result


def matrix_exp(A: Tensor) -> Tensor:
    """The matrix exponential. Follows `torch.linalg.matrix_exp`."""
    return rows.matrix_exp(A)


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
        tensorinv,
        tensorsolve,
        householder_product,
        matrix_exp,
        matmul,
        diagonal,
        multi_dot,
        vecdot,
        matrix_power,
        vector_norm,
    )
}
