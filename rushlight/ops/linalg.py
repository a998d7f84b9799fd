"""Decompositions and inverses of matrices: NumPy's (LAPACK) as one node each, with gradients of our
own.

In: (..., n, m) matrices, float32 or wider. Out: their factors. Invariants: the gradients are matrix
products, triangular masks and other rows of this table, so they can be differentiated again; a
matrix without inverse or factor is a LinAlgError when the program runs. Formulas follow Giles,
Collected Matrix Derivative Results (2008), and Walter and Lehmann, arXiv 1009.6112 (QR), with A^H
for the conjugate transpose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base.errors import LinAlgError
from ..base.layout import broadcast_shapes
from ..graph import build as b
from ..graph.host import host_function
from .common import TYPE_NAMES, conjugate
from .core import cat
from .matmul import matmul
from .movement import diag_embed, tril, triu
from .registry import Value, op


def require_matrices(name: str, x: Any, square: bool = False) -> None:
    """RuntimeError in PyTorch's words unless x holds (square) matrices of a dtype that LAPACK
    knows.
    """
    if x.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor A must have at least 2 dimensions, but it has shape "
            f"{list(x.shape)}."
        )
    if square and x.shape[-1] != x.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {x.shape[-2]} by "
            f"{x.shape[-1]} matrices"
        )
    if x.dtype.kind not in ("float", "complex"):
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got "
            f"{TYPE_NAMES[x.dtype.name]}"
        )
    if x.dtype in b.NARROW:
        raise RuntimeError(
            f"{name}: Low precision dtypes not supported. Got {TYPE_NAMES[x.dtype.name]}"
        )


def adjoint(x: Any) -> Any:
    """The conjugate transpose of tensors of matrices."""
    return conjugate(x.transpose(-2, -1))


def main_diagonal(x: Any) -> Any:
    return x.diagonal(0, -2, -1)


def _guarded(name: str, message: str, function: Callable, x: np.ndarray) -> Any:
    """function(x); a failure as our error, naming the first matrix of the batch that fails."""
    try:
        return function(x)
    except np.linalg.LinAlgError as error:
        place = ""
        for k, matrix in enumerate(x.reshape(-1, *x.shape[-2:]) if x.ndim > 2 else ()):
            try:
                function(matrix)
            except np.linalg.LinAlgError:
                place = f"(Batch element {k}): "
                break
        raise LinAlgError(f"{name}: {place}{message}") from error


# --- inverse, solution, determinant -------------------------------------------------------------


@host_function
def matrix_inverse(x: np.ndarray) -> tuple:
    message = "The inversion could not be completed because the input matrix is singular."
    return (_guarded("linalg.inv", message, np.linalg.inv, x),)


@op("", grad_name="LinalgInvExBackward0")
def inv(A: Value) -> Value:
    """A^-1."""
    require_matrices("linalg.inv", A, True)
    return b.host("matrix_inverse", [A], [(A.shape, A.dtype)])[0]


@inv.vjp("A")
def _(g, out):  # type: ignore[no-untyped-def]
    turned = adjoint(out)
    return -matmul(turned, matmul(g, turned))


@host_function
def matrix_solution(a: np.ndarray, y: np.ndarray) -> tuple:
    try:
        return (np.linalg.solve(a, y),)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(
            "torch.linalg.solve: The solver failed because the input matrix is singular."
        ) from error


@op("", grad_name="LinalgSolveExBackward0")
def solve_matrix(A: Value, B: Value) -> Value:
    """X with A X = B; leading dimensions broadcast."""
    lead = broadcast_shapes(A.shape[:-2], B.shape[:-2])
    return b.host("matrix_solution", [A, B], [((*lead, *B.shape[-2:]), B.dtype)])[0]


@solve_matrix.vjp("A", "B")
def _(g, out, A):  # type: ignore[no-untyped-def]
    towards = solve_matrix(adjoint(A), g)
    return -matmul(towards, adjoint(out)), towards


@host_function
def triangular_solution(a: np.ndarray, y: np.ndarray, upper: bool, unit: bool) -> tuple:
    part = np.triu(a) if upper else np.tril(a)
    if unit:
        n = a.shape[-1]
        part[..., range(n), range(n)] = 1
    return (np.linalg.solve(part, y),)


@op("", grad_name="LinalgSolveTriangularBackward0")
def solve_triangular_matrix(A: Value, B: Value, upper: bool, unitriangular: bool) -> Value:
    """X with T X = B, T the triangle of A (its diagonal counting as ones if unitriangular)."""
    lead = broadcast_shapes(A.shape[:-2], B.shape[:-2])
    return b.host(
        "triangular_solution", [A, B], [((*lead, *B.shape[-2:]), B.dtype)], (upper, unitriangular)
    )[0]


@solve_triangular_matrix.vjp("A", "B")
def _(g, out, A, upper, unitriangular):  # type: ignore[no-untyped-def]
    towards = solve_triangular_matrix(adjoint(A), g, not upper, unitriangular)
    whole = -matmul(towards, adjoint(out))
    offset = int(unitriangular)
    return (triu(whole, offset) if upper else tril(whole, -offset)), towards


@host_function
def matrix_determinant(x: np.ndarray) -> tuple:
    return (np.linalg.det(x),)


@op("", grad_name="LinalgDetBackward0")
def det(A: Value) -> Value:
    """The determinant."""
    require_matrices("linalg.det", A, True)
    return b.host("matrix_determinant", [A], [(A.shape[:-2], A.dtype)])[0]


@host_function
def matrix_cofactors(x: np.ndarray) -> tuple:
    """det(U V^H) U diag(product of the other singular values) V^H: also right where the matrix is
    singular.
    """
    u, s, vh = np.linalg.svd(x)
    n = s.shape[-1]
    others = np.stack([np.prod(np.delete(s, k, -1), -1) for k in range(n)], -1) if n else s
    return (np.linalg.det(u @ vh)[..., None, None] * np.conj((u * others[..., None, :]) @ vh),)


@op("", grad_name="CofactorBackward0")
def cofactors(A: Value) -> Value:
    """The derivative of det(A) by the elements of A: det(A) A^-T, and its limit where A is
    singular.
    """
    return b.host("matrix_cofactors", [A], [(A.shape, A.dtype)])[0]


@det.vjp("A")
def _(g, A):  # type: ignore[no-untyped-def]
    return g.unsqueeze(-1).unsqueeze(-1) * conjugate(cofactors(A))


@cofactors.vjp("A")
def _(g, A):  # type: ignore[no-untyped-def]
    turned = adjoint(inv(A))
    share = (g * turned).sum((-2, -1), True)
    inner = matmul(turned, matmul(g.transpose(-2, -1), turned))
    return conjugate(det(A)).unsqueeze(-1).unsqueeze(-1) * (turned * share - inner)


@host_function
def matrix_logdet(x: np.ndarray) -> tuple:
    return tuple(np.linalg.slogdet(x))


@op("", grad_name="LinalgSlogdetBackward0")
def slogdet(A: Value) -> tuple:
    """(sign, log |det|) of the determinant."""
    require_matrices("linalg.slogdet", A, True)
    lead = A.shape[:-2]
    return tuple(b.host("matrix_logdet", [A], [(lead, A.dtype), (lead, A.dtype.real)]))


@slogdet.vjp("A")
def _(g0, g1, A, out0):  # type: ignore[no-untyped-def]
    towards = g1
    if A.dtype.is_complex:  # the sign turns with the phase of the trace of A^-1 dA
        turning = (conjugate(g0) * out0).imag
        towards = g1 - 1j * turning
    return towards.unsqueeze(-1).unsqueeze(-1) * adjoint(inv(A))


# --- factors ------------------------------------------------------------------------------------


@host_function
def cholesky_factor(x: np.ndarray) -> tuple:
    def one(matrix: np.ndarray) -> np.ndarray:
        return np.linalg.cholesky(
            np.tril(matrix) + np.conj(np.swapaxes(np.tril(matrix, -1), -1, -2))
        )

    try:
        return (one(x),)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"linalg.cholesky: {_not_positive(x)}") from error


def _not_positive(x: np.ndarray) -> str:
    """Which leading minor of which matrix is not positive-definite."""
    for k, matrix in enumerate(x.reshape(-1, *x.shape[-2:])):
        for order in range(1, matrix.shape[-1] + 1):
            try:
                np.linalg.cholesky(matrix[:order, :order])
            except np.linalg.LinAlgError:
                place = f"(Batch element {k}): " if x.ndim > 2 else ""
                return (
                    f"{place}The factorization could not be completed because the input is not "
                    "positive-definite "
                    f"(the leading minor of order {order} is not positive-definite)."
                )
    return "The factorization could not be completed because the input is not positive-definite."


@op("", grad_name="LinalgCholeskyExBackward0")
def cholesky_lower(A: Value) -> Value:
    """The lower triangular L with A = L L^H; the upper triangle of A is not read."""
    require_matrices("linalg.cholesky", A, True)
    return b.host("cholesky_factor", [A], [(A.shape, A.dtype)])[0]


@cholesky_lower.vjp("A")
def _(g, out):  # type: ignore[no-untyped-def]
    inner = tril(matmul(adjoint(out), g))
    halved = inner - 0.5 * diag_embed(main_diagonal(inner))
    right = solve_triangular_matrix(adjoint(out), halved, True, False)  # L^-H phi
    whole = adjoint(solve_triangular_matrix(adjoint(out), adjoint(right), True, False))
    return 0.5 * (whole + adjoint(whole))


@host_function
def orthogonal_factors(x: np.ndarray, complete: bool) -> tuple:
    return tuple(np.linalg.qr(x, "complete" if complete else "reduced"))


@op("", grad_name="LinalgQrBackward0")
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


@host_function
def hermitian_factors(x: np.ndarray, lower: bool) -> tuple:
    return tuple(np.linalg.eigh(x, "L" if lower else "U"))


@op("", grad_name="LinalgEighBackward0")
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


@eigh_factors.vjp("A")
def _(g0, g1, out0, out1):  # type: ignore[no-untyped-def]
    inner = matmul(adjoint(out1), g1) / _gaps(out0, out0)
    middle = inner - diag_embed(main_diagonal(inner)) + diag_embed(g0)
    return matmul(out1, matmul(middle, adjoint(out1)))


@host_function
def singular_factors(x: np.ndarray, full: bool) -> tuple:
    return tuple(np.linalg.svd(x, full))


@op("", grad_name="LinalgSvdBackward0")
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
    middle = (left - adjoint(left)) / gaps * row + column * ((right - adjoint(right)) / gaps)
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
    return tuple(np.linalg.eig(x))


@op("", grad_name="LinalgEigBackward0")
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
    middle = inner / conjugate(_gaps(out0, out0))
    middle = middle - diag_embed(main_diagonal(middle)) + diag_embed(g0)
    return solve_matrix(adjoint(out1), matmul(middle, adjoint(out1)))


@host_function
def exponential_of(x: np.ndarray) -> tuple:
    """Scaling and squaring around a Taylor polynomial of degree 18 (Bader, Blanes and Casas,
    Mathematics 7, 2019).
    """
    wide = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
    size = np.abs(wide).sum(-2).max(-1) if x.size else np.zeros(x.shape[:-2])
    squarings = np.maximum(np.ceil(np.log2(np.maximum(size, 1e-300))), 0).astype(int)
    scaled = wide / (2.0**squarings)[..., None, None]
    term = total = np.broadcast_to(np.eye(x.shape[-1]), x.shape).astype(wide.dtype)
    for k in range(1, 19):
        term = term @ scaled / k
        total = total + term
    for step in range(int(squarings.max(initial=0))):
        total = np.where((squarings > step)[..., None, None], total @ total, total)
    return (total,)


@op("torch Tensor", grad_name="LinalgMatrixExpBackward0")
def matrix_exp(A: Value) -> Value:
    """The matrix exponential, sum of A^k / k!, of square matrices (..., n, n). Follows
    `torch.matrix_exp`.

    >>> import rushlight as rl
    >>> rl.matrix_exp(rl.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    require_matrices("linalg.matrix_exp", A, True)
    return b.host("exponential_of", [A], [(A.shape, A.dtype)])[0]


@matrix_exp.vjp("A")
def _(g, A):  # type: ignore[no-untyped-def]
    n = A.shape[-1]
    turned = adjoint(A)
    above, below = cat([turned, g], -1 % A.ndim), cat([turned * 0, turned], -1 % A.ndim)
    whole = matrix_exp(cat([above, below], -2 % A.ndim))
    return whole.narrow(-2, 0, n).narrow(-1, n, n)


# --- references ---------------------------------------------------------------------------------


def _positive(make: Callable) -> np.ndarray:
    x = make(2, 3, 3)
    return np.asarray(x @ np.swapaxes(x, -1, -2) + 2 * np.eye(3))


def _regular(make: Callable) -> np.ndarray:
    return np.asarray(make(2, 3, 3) + 3 * np.eye(3))


def _numpy_cofactors(x: np.ndarray) -> np.ndarray:
    """By definition: signed determinants of what is left without a row and a column."""
    made = np.empty_like(x)
    for at in np.ndindex(*x.shape):
        minor = np.delete(np.delete(x[at[:-2]], at[-2], 0), at[-1], 1)
        made[at] = (-1) ** (at[-1] + at[-2]) * np.linalg.det(minor)
    return made


def _numpy_exponential(x: np.ndarray) -> np.ndarray:
    """Through the eigenvalues."""
    values, vectors = np.linalg.eig(x)
    return np.asarray(((vectors * np.exp(values)[..., None, :]) @ np.linalg.inv(vectors)).real)


inv.test(lambda make: [((_regular(make),), {})], np.linalg.inv)
solve_matrix.test(
    lambda make: [((_regular(make), make(2, 3, 2)), {}), ((_regular(make)[0], make(4, 3, 1)), {})],
    np.linalg.solve,
)
solve_triangular_matrix.test(
    lambda make: [
        ((_regular(make), make(2, 3, 2), True, False), {}),
        ((_regular(make), make(2, 3, 2), False, True), {}),
    ],
    lambda a, y, upper, unit: np.linalg.solve(
        (np.triu(a, 1) if upper else np.tril(a, -1)) + np.eye(3) * (1 if unit else a), y
    ),
)
det.test(lambda make: [((_regular(make),), {})], np.linalg.det)
cofactors.test(lambda make: [((_regular(make),), {})], _numpy_cofactors)
slogdet.test(lambda make: [((_regular(make),), {})], lambda x: tuple(np.linalg.slogdet(x)))
cholesky_lower.test(lambda make: [((_positive(make),), {})], np.linalg.cholesky)
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
eig_factors.test(
    lambda make: [((_regular(make),), {})],
    lambda x: tuple(v.astype(np.complex128) for v in np.linalg.eig(x)),
)
matrix_exp.test(
    lambda make: [((make(2, 3, 3),), {}), ((5 * make(1, 2, 2),), {})], _numpy_exponential
)
