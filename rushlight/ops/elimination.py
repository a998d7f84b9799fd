"""LU factors by Gaussian elimination with partial pivoting, which NumPy does not offer.

In: (..., m, n) matrices. Out: L and U packed in one matrix, and the row exchanges. Invariant: A = P
L U with |L| <= 1, exchanges counted from 1 as LAPACK does.
"""

from __future__ import annotations

import numpy as np

from ..base import dtype as dtypes
from ..graph import build as b
from ..graph.host import host_function
from .linalg import adjoint, main_diagonal, require_matrices, solve_triangular_matrix
from .matmul import matmul
from .movement import diag_embed, tril, triu
from .registry import Value, op


@host_function
def triangular_factors(x: np.ndarray) -> tuple:
    """Gaussian elimination with partial pivoting, a column at a time over the whole batch."""
    *lead, m, n = x.shape
    work = x.reshape(-1, m, n).copy()
    batch = np.arange(work.shape[0])
    pivots = np.empty((work.shape[0], min(m, n)), np.int32)
    for k in range(min(m, n)):
        chosen = k + np.argmax(np.abs(work[:, k:, k]), 1)
        pivots[:, k] = chosen + 1
        rows = work[batch, chosen].copy()
        work[batch, chosen], work[:, k] = work[:, k].copy(), rows
        head = work[:, k, k][:, None]
        work[:, k + 1 :, k] /= np.where(head == 0, 1, head)
        work[:, k + 1 :, k + 1 :] -= work[:, k + 1 :, k : k + 1] * work[:, k : k + 1, k + 1 :]
    return work.reshape(x.shape), pivots.reshape(*lead, min(m, n))


@host_function
def permutation_of(pivots: np.ndarray, rows: int) -> tuple:
    """The matrices P with P^T A = L U, from the row exchanges."""
    flat = pivots.reshape(-1, pivots.shape[-1])
    made = np.zeros((flat.shape[0], rows, rows))
    for matrix, exchanges in zip(made, flat):
        order = np.arange(rows)
        for k, other in enumerate(exchanges):
            order[[k, other - 1]] = order[[other - 1, k]]
        matrix[order, np.arange(rows)] = 1
    return (made.reshape(*pivots.shape[:-1], rows, rows),)


@op("", grad_name="LinalgLuFactorExBackward0")
def lu_packed(A: Value) -> tuple:
    """(L below and U on and above the diagonal, row exchanges counted from 1) with partial
    pivoting.
    """
    require_matrices("linalg.lu_factor", A)
    k = min(A.shape[-2:])
    return tuple(
        b.host("triangular_factors", [A], [(A.shape, A.dtype), ((*A.shape[:-2], k), dtypes.int32)])
    )


@op("", differentiable=False)
def permutation_matrix(pivots: Value, rows: int, dtype: dtypes.dtype) -> Value:
    """P with A = P L U, from the row exchanges of `lu_packed`."""
    return b.host("permutation_of", [pivots], [((*pivots.shape[:-1], rows, rows), dtype)], (rows,))[
        0
    ]


@lu_packed.vjp("A")
def _(g, out0, out1):  # type: ignore[no-untyped-def]
    m, n = out0.shape[-2:]
    if m != n:
        raise NotImplementedError(
            f"the derivative of LU factors of {m} by {n} matrices is not implemented: square ones "
            "only"
        )
    lower = tril(out0, -1) + diag_embed(main_diagonal(out0).detach() * 0 + 1)
    upper = triu(out0)
    inner = tril(matmul(adjoint(lower), tril(g, -1)), -1) + triu(matmul(triu(g), adjoint(upper)))
    middle = solve_triangular_matrix(adjoint(lower), inner, True, True)
    whole = adjoint(solve_triangular_matrix(upper, adjoint(middle), True, False))
    return matmul(permutation_matrix(out1.detach(), m, out0.dtype), whole)


def _numpy_lu(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrix by matrix: the largest element of a column is brought up, and what lies below is
    eliminated.
    """
    made, pivots = x.copy(), np.empty(x.shape[:-1], np.int32)
    for matrix, exchanges in zip(made, pivots):
        for k in range(len(matrix)):
            best = max(range(k, len(matrix)), key=lambda i: abs(matrix[i, k]))
            exchanges[k] = best + 1
            matrix[[k, best]] = matrix[[best, k]]
            for i in range(k + 1, len(matrix)):
                matrix[i, k] /= matrix[k, k]
                matrix[i, k + 1 :] -= matrix[i, k] * matrix[k, k + 1 :]
    return made, pivots


def _numpy_permutation(pivots: np.ndarray, rows: int, dtype: dtypes.dtype) -> np.ndarray:
    made = np.stack([np.eye(rows)] * len(pivots))
    for matrix, exchanges in zip(made, pivots):
        for k, other in reversed(list(enumerate(exchanges))):
            matrix[[k, other - 1]] = matrix[[other - 1, k]]
    return made


lu_packed.test(lambda make: [((make(2, 3, 3) + 3 * np.eye(3),), {})], _numpy_lu)
permutation_matrix.test(
    lambda make: [((np.array([[2, 3, 3], [1, 3, 3]], np.int32), 3, dtypes.float64), {})],
    _numpy_permutation,
)
