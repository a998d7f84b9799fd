"""Factors of matrices: Cholesky, QR, eigenvectors and singular vectors, NumPy's (LAPACK) as a node
each, with gradients of our own.

In: (..., n, m) matrices, float32 or wider. Out: their factors, columns contiguous. Invariants: the
gradients are matrix products, triangular masks and other rows of this table, so they can be
differentiated again; what does not converge is a LinAlgError when the program runs. Formulas follow
Giles, Collected Matrix Derivative Results (2008), and Walter and Lehmann, arXiv 1009.6112 (QR),
with A^H for the conjugate transpose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.errors import LinAlgError
from ..base.layout import broadcast_shapes
from ..graph import build as b
from ..graph.host import host_function
from . import lapack
from .common import conjugate
from .core import cat, where
from .linalg import (
    adjoint,
    main_diagonal,
    require_matrices,
    solve_matrix,
    solve_triangular_matrix,
)
from .matmul import matmul
from .movement import diag_embed, tril
from .registry import Value, op
from .signature import strides_of_columns


def converged(name: str, function: Callable, x: np.ndarray, *options: Any) -> Any:
    """function(x, *options); that it does not converge as our error, naming the first matrix of the
    batch that is to blame.
    """
    try:
        return function(x, *options)
    except np.linalg.LinAlgError as error:
        finite = np.isfinite(x).all((-2, -1))
        place = "" if x.ndim == 2 or finite.all() else f"(Batch element {np.argmin(finite)}): "
        why = (
            "is ill-conditioned or has too many repeated values"
            if finite.all()
            else "contained non-finite values"
        )
        raise LinAlgError(
            f"{name}: {place}The algorithm failed to converge because the input matrix {why}."
        ) from error


# --- Cholesky -----------------------------------------------------------------------------------


@host_function
def cholesky_factor(x: np.ndarray, upper: bool) -> tuple:
    if not upper:
        return lapack.cholesky(x)
    lower, info = lapack.cholesky(lapack.turned(x))
    return lapack.turned(lower), info


@op("", grad_name="LinalgCholeskyExBackward0", strides=(strides_of_columns, None))
def cholesky_ex(A: Value, upper: bool) -> tuple:
    """(L with A = L L^H, info), or (U with A = U^H U, info) if upper; the other triangle of A is
    not read.
    """
    require_matrices("linalg.cholesky", A, True)
    facts = [(A.shape, A.dtype), (A.shape[:-2], dtypes.int32)]
    return tuple(b.host("cholesky_factor", [A], facts, (upper,)))


@cholesky_ex.vjp("A")
def _(g0, out0, upper):  # type: ignore[no-untyped-def]
    factor, g = (adjoint(out0), adjoint(g0)) if upper else (out0, g0)
    inner = matmul(adjoint(factor), g)
    lower = tril(inner, -1)
    # an imaginary diagonal adds a skew-Hermitian part, which no Hermitian direction sees
    mirrored = lower + adjoint(lower) + diag_embed(main_diagonal(inner))
    left = solve_triangular_matrix(adjoint(factor), mirrored, True, False)
    return 0.5 * solve_triangular_matrix(factor, left, False, False, False)


@host_function
def cholesky_solution(y: np.ndarray, factor: np.ndarray, upper: bool) -> tuple:
    other = lapack.turned(factor)
    lower, above = (other, factor) if upper else (factor, other)
    return (lapack.substitute(above, lapack.substitute(lower, y, False, False), True, False),)


@op("", grad_name="CholeskySolveBackward0", strides=strides_of_columns)
def cholesky_solve(B: Value, L: Value, upper: bool) -> Value:
    """X with L L^H X = B (L^H L X = B if upper); the triangle of L is read.

    Its gradient is that of a product of whole matrices L L^H, as PyTorch's.
    """
    lead = broadcast_shapes(B.shape[:-2], L.shape[:-2])
    facts = [((*lead, *B.shape[-2:]), B.dtype)]
    return b.host("cholesky_solution", [B, L], facts, (upper,))[0]


@cholesky_solve.vjp("B", "L")
def _(g, out, L, upper):  # type: ignore[no-untyped-def]
    towards = cholesky_solve(g, L, upper)
    half = matmul(towards, adjoint(out))
    return towards, -_towards_product(half + adjoint(half), L, upper)


def _towards_product(g: Any, L: Any, upper: bool) -> Any:
    """The gradient of L from the Hermitian one of L L^H, or L^H L if upper."""
    return matmul(L, g) if upper else matmul(g, L)


@host_function
def cholesky_inverted(factor: np.ndarray, upper: bool) -> tuple:
    eye = np.eye(factor.shape[-1], dtype=factor.dtype)
    side = lapack.substitute(lapack.turned(factor) if upper else factor, eye, False, False)
    info = lapack.zero_pivot(factor)
    return lapack.turned(side) @ side, info


@op("", grad_name="CholeskyInverseBackward0", strides=(strides_of_columns, None))
def cholesky_inverse(L: Value, upper: bool) -> tuple:
    """((L L^H)^-1, info), or ((L^H L)^-1, info) if upper; gradient as of `cholesky_solve`."""
    facts = [(L.shape, L.dtype), (L.shape[:-2], dtypes.int32)]
    return tuple(b.host("cholesky_inverted", [L], facts, (upper,)))


@cholesky_inverse.vjp("L")
def _(g0, out0, L, upper):  # type: ignore[no-untyped-def]
    whole = matmul(out0, matmul(g0 + adjoint(g0), out0))
    return -_towards_product(whole, L, upper)


# --- QR -----------------------------------------------------------------------------------------


@host_function
def orthogonal_factors(x: np.ndarray, complete: bool) -> tuple:
    return tuple(np.linalg.qr(x, "complete" if complete else "reduced"))


@op("", grad_name="LinalgQrBackward0", strides=strides_of_columns)
def qr_factors(A: Value, complete: bool) -> tuple:
    """(Q, R) with A = Q R, Q of orthonormal columns (as many as rows if complete), R upper
    triangular.
    """
    require_matrices("linalg.qr", A)
    *lead, m, n = A.shape
    k = m if complete else min(m, n)
    return tuple(
        b.host(
            "orthogonal_factors",
            [A],
            [((*lead, m, k), A.dtype), ((*lead, k, n), A.dtype)],
            (complete,),
        )
    )


@qr_factors.vjp("A")
def _(g0, g1, out0, out1, complete):  # type: ignore[no-untyped-def]
    m, n = out0.shape[-2], out1.shape[-1]
    if complete and m > n:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols: "
            f"got {m} by {n} matrices"
        )
    if m >= n:
        return _towards_qr(g0, g1, out0, out1)
    square, wide = out1.narrow(-1, 0, m), g1.narrow(-1, m, n - m)
    tail = matmul(out0, out1.narrow(-1, m, n - m))  # the columns of A beyond the square ones
    to_tail = matmul(out0, wide)
    to_square = _towards_qr(g0 + matmul(tail, adjoint(wide)), g1.narrow(-1, 0, m), out0, square)
    return cat([to_square, to_tail], g0.ndim - 1)


def _towards_qr(to_q: Any, to_r: Any, q: Any, r: Any) -> Any:
    """The gradient of a matrix with at least as many rows as columns."""
    inner = matmul(r, adjoint(to_r)) - matmul(adjoint(to_q), q)
    lower = tril(inner, -1)
    diagonal = main_diagonal(inner)
    mirrored = (
        lower
        + adjoint(lower)
        + diag_embed(diagonal.real if diagonal.dtype.is_complex else diagonal)
    )
    return adjoint(solve_triangular_matrix(r, adjoint(to_q + matmul(q, mirrored)), True, False))


# --- eigenvectors and singular vectors -----------------------------------------------------------


@host_function
def hermitian_factors(x: np.ndarray, lower: bool) -> tuple:
    return tuple(converged("linalg.eigh", np.linalg.eigh, x, "L" if lower else "U"))


@op("", grad_name="LinalgEighBackward0", strides=(None, strides_of_columns))
def eigh_factors(A: Value, lower: bool) -> tuple:
    """(eigenvalues in ascending order, eigenvectors as columns) of Hermitian matrices, of which one
    triangle is read.
    """
    require_matrices("linalg.eigh", A, True)
    return tuple(
        b.host(
            "hermitian_factors", [A], [(A.shape[:-1], A.dtype.real), (A.shape, A.dtype)], (lower,)
        )
    )


def _gaps(values: Any, like: Any) -> Any:
    """values_j - values_i, ones on the diagonal (where what is divided is zero)."""
    gaps = values.unsqueeze(-2) - values.unsqueeze(-1)
    return gaps + diag_embed(like.detach() * 0 + 1)


def _shared(x: Any, gaps: Any) -> Any:
    """x / gaps, zero where x is: equal values whose vectors nobody asked for do no harm."""
    return x / where((x == 0) & (gaps == 0), 1, gaps)


@eigh_factors.vjp("A")
def _(g0, g1, out0, out1):  # type: ignore[no-untyped-def]
    inner = matmul(adjoint(out1), g1)
    turning = _shared(0.5 * (inner - adjoint(inner)), _gaps(out0, out0))  # vectors only turn
    middle = turning - diag_embed(main_diagonal(turning)) + diag_embed(g0)
    return matmul(out1, matmul(middle, adjoint(out1)))


@host_function
def singular_factors(x: np.ndarray, full: bool) -> tuple:
    return tuple(converged("linalg.svd", np.linalg.svd, x, full))


@op("", grad_name="LinalgSvdBackward0", strides=(strides_of_columns, None, strides_of_columns))
def svd_factors(A: Value, full_matrices: bool) -> tuple:
    """(U, S, V^H) with A = U diag(S) V^H, singular values in descending order."""
    require_matrices("linalg.svd", A)
    *lead, m, n = A.shape
    k = min(m, n)
    rows, columns = (m, n) if full_matrices else (k, k)
    facts = [
        ((*lead, m, rows), A.dtype),
        ((*lead, k), A.dtype.real),
        ((*lead, columns, n), A.dtype),
    ]
    return tuple(b.host("singular_factors", [A], facts, (full_matrices,)))


@svd_factors.vjp("A")
def _(g0, g1, g2, out0, out1, out2):  # type: ignore[no-untyped-def]
    k, m, n = out1.shape[-1], out0.shape[-2], out2.shape[-1]
    u, s, vh = out0.narrow(-1, 0, k), out1, out2.narrow(-2, 0, k)
    to_u, to_v = g0.narrow(-1, 0, k), adjoint(g2.narrow(-2, 0, k))
    square = s * s
    gaps = _gaps(square, s)
    column, row = s.unsqueeze(-1), s.unsqueeze(-2)
    left, right = matmul(adjoint(u), to_u), matmul(vh, to_v)
    turned, bent = _shared(left - adjoint(left), gaps), _shared(right - adjoint(right), gaps)
    middle = turned * row + column * bent
    middle = middle - diag_embed(main_diagonal(middle)) + diag_embed(g1)
    if out0.dtype.is_complex:
        phase = main_diagonal(left) - conjugate(main_diagonal(left))
        middle = middle + diag_embed(phase / (2 * s))
    if m > k:
        outside = to_u / row
        result = matmul(matmul(u, middle) + outside - matmul(u, matmul(adjoint(u), outside)), vh)
    else:
        result = matmul(matmul(u, middle), vh)
    if n > k:
        outside = adjoint(to_v) / column
        result = result + matmul(u, outside - matmul(matmul(outside, adjoint(vh)), vh))
    return result


@host_function
def general_eigen(x: np.ndarray) -> tuple:
    return tuple(converged("linalg.eig", np.linalg.eig, x))


@op("", grad_name="LinalgEigBackward0", strides=(None, strides_of_columns))
def eig_factors(A: Value) -> tuple:
    """(eigenvalues, eigenvectors as columns), both complex, of square matrices."""
    require_matrices("linalg.eig", A, True)
    kind = A.dtype if A.dtype.is_complex else A.dtype.to_complex()
    return tuple(b.host("general_eigen", [A], [(A.shape[:-1], kind), (A.shape, kind)]))


@eig_factors.vjp("A")
def _(g0, g1, out0, out1):  # type: ignore[no-untyped-def]
    inner = matmul(adjoint(out1), g1)
    lengths = diag_embed(main_diagonal(inner).real)
    inner = inner - matmul(matmul(adjoint(out1), out1), lengths + lengths * 0j)
    middle = _shared(inner, conjugate(_gaps(out0, out0)))
    middle = middle - diag_embed(main_diagonal(middle)) + diag_embed(g0)
    return solve_matrix(adjoint(out1), matmul(middle, adjoint(out1)))


# --- values alone -------------------------------------------------------------------------------


@host_function
def singular_sizes(x: np.ndarray) -> tuple:
    return (converged("linalg.svd", lambda a: np.linalg.svd(a, compute_uv=False), x),)


@op("", grad_name="LinalgSvdBackward0")
def singular_values(A: Value) -> Value:
    """The singular values in descending order."""
    require_matrices("linalg.svdvals", A)
    return b.host("singular_sizes", [A], [((*A.shape[:-2], min(A.shape[-2:])), A.dtype.real)])[0]


@singular_values.vjp("A")
def _(g, A):  # type: ignore[no-untyped-def]
    u, _, vh = svd_factors(A, False)
    return matmul(u * g.unsqueeze(-2), vh)


@host_function
def hermitian_sizes(x: np.ndarray, lower: bool) -> tuple:
    return (converged("linalg.eigh", np.linalg.eigvalsh, x, "L" if lower else "U"),)


@op("", grad_name="LinalgEighBackward0")
def hermitian_values(A: Value, lower: bool) -> Value:
    """The eigenvalues of Hermitian matrices, of which one triangle is read, ascending."""
    require_matrices("linalg.eigh", A, True)
    return b.host("hermitian_sizes", [A], [(A.shape[:-1], A.dtype.real)], (lower,))[0]


@hermitian_values.vjp("A")
def _(g, A, lower):  # type: ignore[no-untyped-def]
    vectors = eigh_factors(A, lower)[1]
    return matmul(vectors * g.unsqueeze(-2), adjoint(vectors))


# --- references ---------------------------------------------------------------------------------


def _positive(make: Callable) -> np.ndarray:
    x = make(2, 3, 3)
    return np.asarray(x @ np.swapaxes(x, -1, -2) + 2 * np.eye(3))


def _regular(make: Callable) -> np.ndarray:
    return np.asarray(make(2, 3, 3) + 3 * np.eye(3))


def _triangle(make: Callable, upper: bool) -> np.ndarray:
    return np.triu(_regular(make)) if upper else np.tril(_regular(make))


def _numpy_cholesky(x: np.ndarray, upper: bool) -> tuple:
    made = np.linalg.cholesky(x)
    return np.swapaxes(made, -1, -2) if upper else made, np.zeros(2, np.int32)


def _numpy_product(factor: np.ndarray, upper: bool) -> np.ndarray:
    """The matrix that the triangle of a factor stands for."""
    part = np.swapaxes(np.triu(factor), -1, -2) if upper else np.tril(factor)
    return np.asarray(part @ np.swapaxes(part, -1, -2))


cholesky_ex.test(
    lambda make: [((_positive(make), upper), {}) for upper in (False, True)], _numpy_cholesky
)
cholesky_solve.test(
    lambda make: [((make(2, 3, 4), _triangle(make, upper), upper), {}) for upper in (False, True)],
    lambda y, factor, upper: np.linalg.solve(_numpy_product(factor, upper), y),
)
cholesky_inverse.test(
    lambda make: [((_triangle(make, upper), upper), {}) for upper in (False, True)],
    lambda factor, upper: (np.linalg.inv(_numpy_product(factor, upper)), np.zeros(2, np.int32)),
)
qr_factors.test(
    lambda make: [((make(2, 4, 3), False), {}), ((make(3, 5), True), {})],
    lambda x, complete: tuple(np.linalg.qr(x, "complete" if complete else "reduced")),
)
eigh_factors.test(
    lambda make: [((_positive(make), True), {})], lambda x, lower: tuple(np.linalg.eigh(x))
)
svd_factors.test(
    lambda make: [((make(2, 4, 3), False), {}), ((make(3, 4), False), {})],
    lambda x, full: tuple(np.linalg.svd(x, full)),
)
singular_values.test(
    lambda make: [((make(2, 4, 3),), {}), ((make(3, 4),), {})],
    lambda x: np.linalg.svd(x, compute_uv=False),
)
hermitian_values.test(
    lambda make: [((_positive(make), lower), {}) for lower in (False, True)],
    lambda x, lower: np.linalg.eigvalsh(x, "L" if lower else "U"),
)
eig_factors.test(
    lambda make: [((_regular(make),), {})],
    lambda x: tuple(v.astype(np.complex128) for v in np.linalg.eig(x)),
)
