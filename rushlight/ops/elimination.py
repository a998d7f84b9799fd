"""LU factors with partial pivoting, and solutions from them.

In: (..., m, n) matrices. Out: L and U packed in one matrix, and the row exchanges. Invariant: A = P
L U with |L| <= 1, exchanges counted from 1 as LAPACK does. The gradient of the factors of matrices
that are not square is that of their square part (de Hoog, Anderssen and Lukas, Journal of Algebraic
Statistics 2, 2011), the rest being a triangular solution.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.layout import broadcast_shapes
from ..graph import build as b
from ..graph.host import host_function
from . import lapack
from .core import cat
from .linalg import adjoint, main_diagonal, require_matrices, solve_triangular_matrix
from .matmul import matmul
from .movement import diag_embed, tril, triu
from .registry import Value, op
from .signature import strides_of_columns


@host_function
def triangular_factors(x: np.ndarray) -> tuple:
    packed, pivots = lapack.eliminate(x)
    return packed, pivots, lapack.zero_pivot(packed)


@op("", grad_name="LinalgLuFactorExBackward0", strides=(strides_of_columns, None, None))
def lu_packed(A: Value) -> tuple:
    """(L below and U on and above the diagonal, row exchanges counted from 1, info) with partial
    pivoting.
    """
    require_matrices("linalg.lu_factor", A)
    *lead, m, n = A.shape
    facts = [(A.shape, A.dtype), ((*lead, min(m, n)), dtypes.int32), (lead, dtypes.int32)]
    return tuple(b.host("triangular_factors", [A], facts))


@lu_packed.vjp("A")
def _(g0, out0, out1):  # type: ignore[no-untyped-def]
    m, n = out0.shape[-2:]
    k, axis = min(m, n), g0.ndim - 2
    square, towards = out0.narrow(-1, 0, k).narrow(-2, 0, k), g0.narrow(-1, 0, k).narrow(-2, 0, k)
    rest: Any = None
    if n > k:  # U = [U1 U2]: U2 solves L U2 = what stands beside the square part
        rest = _over_unit(square, g0.narrow(-1, k, n - k))
        towards = towards - tril(matmul(rest, adjoint(out0.narrow(-1, k, n - k))), -1)
    elif m > k:  # L = [L1; L2]: L2 solves L2 U = what stands below
        rest = _over_upper(square, g0.narrow(-2, k, m - k))
        towards = towards - triu(matmul(adjoint(out0.narrow(-2, k, m - k)), rest))
    whole = _towards_square(towards, square)
    if rest is not None:
        whole = cat([whole, rest], axis + 1 if n > k else axis)
    return matmul(permutation_matrix(out1.detach(), m, out0.dtype), whole)


def _over_unit(packed: Any, g: Any) -> Any:
    """L^-H g."""
    return solve_triangular_matrix(adjoint(packed), g, True, True)


def _over_upper(packed: Any, g: Any) -> Any:
    """g U^-H."""
    return solve_triangular_matrix(adjoint(packed), g, False, False, False)


def unit_lower(packed: Any) -> Any:
    """L of packed square factors."""
    return tril(packed, -1) + diag_embed(main_diagonal(packed).detach() * 0 + 1)


def _towards_square(g: Any, packed: Any) -> Any:
    """The gradient of P^H A, square."""
    lower, upper = adjoint(unit_lower(packed)), adjoint(triu(packed))
    inner = tril(matmul(lower, tril(g, -1)), -1) + triu(matmul(triu(g), upper))
    return _over_upper(packed, _over_unit(packed, inner))


@host_function
def permutation_of(pivots: np.ndarray, rows: int) -> tuple:
    *lead, count = pivots.shape
    order = lapack.row_order(pivots.reshape(prod(lead), count) - 1, rows)
    made = np.zeros((len(order), rows, rows))
    np.put_along_axis(made, order[:, None, :], 1.0, 1)
    return (made.reshape(*lead, rows, rows),)


@op("", differentiable=False)
def permutation_matrix(pivots: Value, rows: int, dtype: dtypes.dtype) -> Value:
    """P with A = P L U, from the row exchanges of `lu_packed`."""
    facts = [((*pivots.shape[:-1], rows, rows), dtype)]
    return b.host("permutation_of", [pivots], facts, (rows,))[0]


@host_function
def solution_from_factors(
    packed: np.ndarray, pivots: np.ndarray, y: np.ndarray, turned: bool
) -> tuple:
    """(P L U)^-1 y, or the same of the conjugate transpose."""
    *some, n = pivots.shape
    order = lapack.row_order(pivots.reshape(prod(some), n) - 1, n).reshape(pivots.shape)
    if not turned:
        lead = np.broadcast_shapes(order.shape[:-1], y.shape[:-2])
        y = np.broadcast_to(y, (*lead, *y.shape[-2:]))
        exchanged = np.take_along_axis(y, np.broadcast_to(order, (*lead, n))[..., None], -2)
        half = lapack.substitute(packed, exchanged, False, True)
        return (lapack.substitute(packed, half, True, False),)
    other = lapack.turned(packed)
    half = lapack.substitute(other, y, False, False)
    whole = lapack.substitute(other, half, True, True)
    back = np.broadcast_to(np.argsort(order, -1), (*whole.shape[:-2], n))
    return (np.take_along_axis(whole, back[..., None], -2),)


@op("", grad_name="LinalgLuSolveBackward0", strides=strides_of_columns)
def lu_solution(LU: Value, pivots: Value, B: Value, turned: bool) -> Value:
    """X with A X = B (A^H X = B if turned), given the packed factors of A."""
    lead = broadcast_shapes(LU.shape[:-2], B.shape[:-2])
    facts = [((*lead, *B.shape[-2:]), B.dtype)]
    return b.host("solution_from_factors", [LU, pivots, B], facts, (turned,))[0]


@lu_solution.vjp("LU", "B")
def _(g, out, LU, pivots, turned):  # type: ignore[no-untyped-def]
    towards = lu_solution(LU, pivots, g, not turned)
    whole = matmul(out, adjoint(towards)) if turned else matmul(towards, adjoint(out))
    order = permutation_matrix(pivots.detach(), LU.shape[-1], LU.dtype)
    inner = matmul(order.transpose(-2, -1), whole)
    to_lower = tril(matmul(inner, adjoint(triu(LU))), -1)
    to_upper = triu(matmul(adjoint(unit_lower(LU)), inner))
    return -(to_lower + to_upper), towards


# --- references ---------------------------------------------------------------------------------


def _numpy_lu(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrix by matrix: the largest element of a column is brought up, and what lies below is
    eliminated.
    """
    steps = min(x.shape[-2:])
    made, pivots = x.copy(), np.empty((*x.shape[:-2], steps), np.int32)
    for matrix, exchanges in zip(made, pivots):
        for k in range(steps):
            best = max(range(k, len(matrix)), key=lambda i: abs(matrix[i, k]))
            exchanges[k] = best + 1
            matrix[[k, best]] = matrix[[best, k]]
            for i in range(k + 1, len(matrix)):
                matrix[i, k] /= matrix[k, k]
                matrix[i, k + 1 :] -= matrix[i, k] * matrix[k, k + 1 :]
    return made, pivots, np.zeros(len(x), np.int32)


def _numpy_permutation(pivots: np.ndarray, rows: int, dtype: dtypes.dtype) -> np.ndarray:
    made = np.stack([np.eye(rows)] * len(pivots))
    for matrix, exchanges in zip(made, pivots):
        for k, other in reversed(list(enumerate(exchanges))):
            matrix[[k, other - 1]] = matrix[[other - 1, k]]
    return made


def _numpy_lu_solution(
    packed: np.ndarray, pivots: np.ndarray, y: np.ndarray, turned: bool
) -> np.ndarray:
    lower = np.tril(packed, -1) + np.eye(packed.shape[-1])
    whole = _numpy_permutation(pivots, packed.shape[-1], dtypes.float64) @ lower @ np.triu(packed)
    return np.linalg.solve(np.swapaxes(whole, -1, -2) if turned else whole, y)


_EXCHANGES = np.array([[2, 3, 3], [1, 3, 3]], np.int32)

lu_packed.test(
    lambda make: [
        ((make(2, 3, 3) + 3 * np.eye(3),), {}),
        ((make(1, 2, 4) + 3 * np.eye(2, 4),), {}),
        ((make(1, 4, 2) + 3 * np.eye(4, 2),), {}),
    ],
    _numpy_lu,
)
permutation_matrix.test(lambda make: [((_EXCHANGES, 3, dtypes.float64), {})], _numpy_permutation)
lu_solution.test(
    lambda make: [
        ((make(2, 3, 3) + 3 * np.eye(3), _EXCHANGES, make(2, 3, 2), turned), {})
        for turned in (False, True)
    ],
    _numpy_lu_solution,
)
