"""A few singular vectors or eigenvectors of large matrices, by products with blocks of vectors.

In: (..., m, n) matrices. Out: factors of low rank. Invariant: A is only multiplied, never factored,
except where lobpcg has to be differentiated; random blocks are drawn from the default generator.
"""

from __future__ import annotations

from typing import Any

from ...autograd.modes import no_grad
from ...base.dtype import finfo
from ...ops.factors import cholesky_ex, eigh_factors, qr_factors, svd_factors
from ...ops.linalg import adjoint, require_matrices, solve_triangular_matrix
from ...ops.matmul import matmul
from ..tensor import Tensor
from .basic import cat
from .random import randn


def _basis(A: Tensor, q: int, niter: int) -> Tensor:
    """Orthonormal columns (..., m, q) that span nearly what A maps to, by power iterations on a
    random block (Halko, Martinsson and Tropp, SIAM Review 53, 2011, algorithm 4.4).
    """
    block = randn(A.shape[-1], q, dtype=A.dtype, device=A.device)
    basis = qr_factors(matmul(A, block), False)[0]
    for _ in range(niter):
        basis = qr_factors(matmul(adjoint(A), basis), False)[0]
        basis = qr_factors(matmul(A, basis), False)[0]
    return basis


def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V) with A - M nearly U diag(S) V^H, of rank q.

    A (..., m, n), M expandable to it; q a little above the rank that is looked for, niter power
    iterations. The random block is drawn anew at every call. Halko, Martinsson and Tropp (2011),
    algorithm 5.1; follows `torch.svd_lowrank`.

    >>> import rushlight as rl
    >>> rl.svd_lowrank(rl.ones(4, 3), q=1)[1]
    tensor([3.4641])
    """
    require_matrices("svd_lowrank", A)
    q, niter = 6 if q is None else q, 2 if niter is None else niter
    difference = A if M is None else A - M.expand(A.shape)
    wide = A.shape[-2] < A.shape[-1]
    tall = adjoint(difference) if wide else difference
    basis = _basis(tall, q, niter)
    inner, sizes, right = svd_factors(matmul(adjoint(basis), tall), False)
    left, right = matmul(basis, inner), adjoint(right)
    return (right, sizes, left) if wide else (left, sizes, right)


def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V): the q (default min(6, m, n)) principal components of the rows of A are the columns
    of V, S^2 / (m - 1) their variances; the columns are centred first unless told not to. Follows
    `torch.pca_lowrank`.

    Errors: ValueError for a q that is negative or above min(m, n), and for a negative niter.

    >>> import rushlight as rl
    >>> rl.pca_lowrank(rl.tensor([[1., 1.], [3., 3.]]), q=1)[1]
    tensor([2.])
    """
    require_matrices("pca_lowrank", A)
    m, n = A.shape[-2:]
    q = min(6, m, n) if q is None else q
    if not 0 <= q <= min(m, n):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, True) if center else A, q, niter)


# --- lobpcg -------------------------------------------------------------------------------------


def lobpcg(
    A: Tensor,
    k: int | None = None,
    B: Tensor | None = None,
    X: Tensor | None = None,
    n: int | None = None,
    iK: Tensor | None = None,
    niter: int | None = None,
    tol: float | None = None,
    largest: bool | None = None,
    method: str | None = None,
    tracker: Any = None,
    ortho_iparams: Any = None,
    ortho_fparams: Any = None,
    ortho_bparams: Any = None,
) -> tuple[Tensor, Tensor]:
    """(E, X): the k largest (smallest if largest is False) eigenvalues of A x = e B x and their
    eigenvectors, for Hermitian A and positive-definite B (default: the identity).

    A (..., m, m); X (..., m, n) the block to begin with (default: n = k random columns); iK a
    preconditioner, nearly the inverse of A; niter at most so many steps (default 1000, -1 for any
    number); tol the size of residuals that is small enough, relative to |A| + |e B| (default: the
    square root of epsilon). Both methods, "ortho" and "basic", are Knyazev's locally optimal block
    preconditioned conjugate gradients (SIAM Journal on Scientific Computing 23, 2001) with an
    orthonormal basis; the parameters of orthogonalization and the tracker are accepted and without
    effect. Where a gradient is asked for, the matrices are factored instead. Follows
    `torch.lobpcg`.

    Errors: ValueError where m < 3 k, or for an unknown method.

    >>> import rushlight as rl
    >>> rl.lobpcg(rl.diag(rl.arange(1.0, 10.0)))[0]
    tensor([9.])
    """
    require_matrices("lobpcg", A, True)
    if method not in (None, "ortho", "basic"):
        raise ValueError(f"lobpcg: unknown method {method!r}: 'ortho' or 'basic'")
    k = (1 if X is None else X.shape[-1]) if k is None else k
    size = A.shape[-1]
    if size < 3 * k:
        raise ValueError(
            f"LPBPCG algorithm is not applicable when the number of A rows (={size}) is smaller "
            f"than 3 x the number of requested eigenpairs (={k})"
        )
    upper = largest is None or largest
    if A.requires_grad or (B is not None and B.requires_grad):
        return _factored(A, B, k, upper)
    if X is None:
        X = randn(*A.shape[:-2], size, k if n is None else n, dtype=A.dtype, device=A.device)
    steps = 1000 if niter is None else niter
    small = finfo(A.dtype).eps ** 0.5 if tol is None else tol
    with no_grad():
        values, vectors = _conjugate_gradients(A, B, X, iK, steps, small, upper)
    return values.narrow(-1, 0, k), vectors.narrow(-1, 0, k)


def _best(A: Tensor, basis: Tensor, count: int, largest: bool) -> tuple[Tensor, Tensor]:
    """The eigenvalues of A within an orthonormal basis that are wanted, the best first, and their
    coordinates.
    """
    values, vectors = eigh_factors(matmul(adjoint(basis), matmul(A, basis)), True)
    if largest:
        values, vectors = values.flip(-1), vectors.flip(-1)
    return values.narrow(-1, 0, count), vectors.narrow(-1, 0, count)


def _orthonormal(S: Tensor, B: Tensor | None) -> Tensor:
    """A basis of what the columns of S span, orthonormal in the inner product of B."""
    basis = qr_factors(S, False)[0]
    if B is None:
        return basis
    lower, _ = cholesky_ex(matmul(adjoint(basis), matmul(B, basis)), False)
    return solve_triangular_matrix(adjoint(lower), basis, True, False, False)


def _conjugate_gradients(
    A: Tensor, B: Tensor | None, X: Tensor, iK: Any, steps: int, tol: float, largest: bool
) -> tuple[Tensor, Tensor]:
    """Rayleigh and Ritz's best vectors among the last ones, their residuals and their last moves,
    until the residuals are small.
    """
    count = X.shape[-1]
    basis = _orthonormal(X, B)
    values, inner = _best(A, basis, count, largest)
    X = matmul(basis, inner)
    scale = A.norm() / X.norm()
    moves: Tensor | None = None
    step = 0
    while steps < 0 or step < steps:
        step += 1
        image = X if B is None else matmul(B, X)
        residual = matmul(A, X) - image * values.unsqueeze(-2)
        size = residual.norm(dim=-2) / (X.norm(dim=-2) * (scale + values.abs()))
        if bool((size <= tol).all()):
            break
        direction = residual if iK is None else matmul(iK, residual)
        parts = [X, direction] if moves is None else [X, direction, moves]
        basis = _orthonormal(cat(parts, -1), B)
        values, inner = _best(A, basis, count, largest)
        last, X = X, matmul(basis, inner)
        moves = X - matmul(last, matmul(adjoint(last if B is None else matmul(B, last)), X))
    return values, X


def _factored(A: Tensor, B: Tensor | None, k: int, largest: bool) -> tuple[Tensor, Tensor]:
    """All eigenvectors, of which k are taken: what can be differentiated."""
    lower = None
    if B is not None:  # L^-1 A L^-H for B = L L^H
        lower, _ = cholesky_ex(B, False)
        half = solve_triangular_matrix(lower, A, False, False)
        A = solve_triangular_matrix(adjoint(lower), half, True, False, False)
    values, vectors = eigh_factors(A, True)
    if largest:
        values, vectors = values.flip(-1), vectors.flip(-1)
    values, vectors = values.narrow(-1, 0, k), vectors.narrow(-1, 0, k)
    if lower is not None:
        vectors = solve_triangular_matrix(adjoint(lower), vectors, True, False)
    return values, vectors


FUNCTIONS = (svd_lowrank, pca_lowrank, lobpcg)
METHODS: tuple[Any, ...] = ()
