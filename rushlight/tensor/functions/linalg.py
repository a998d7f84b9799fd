"""Linear algebra as people call it: arguments, checks and compositions around the rows of
`ops/linalg.py`.

In: (..., n, m) matrices. Out: factors, solutions, norms. Invariant: `LINALG` lists what
`rushlight.linalg` offers; a few of them have an older name at the top level too.
"""

from __future__ import annotations

from typing import Any

from ...base import dtype as dtypes
from ...ops import elimination
from ...ops import linalg as rows
from ...ops import matmul as products
from ...ops.common import TYPE_NAMES
from ...ops.linalg import adjoint, require_matrices
from ..creation import empty, eye, zeros
from ..return_types import named
from ..tensor import Tensor

# --- inverses and solutions ---------------------------------------------------------------------


def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices (..., n, n). LinAlgError where there is none. Follows
    `torch.linalg.inv`.

    >>> import rushlight as rl
    >>> rl.linalg.inv(rl.tensor([[2., 0.], [0., 4.]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return rows.inv(A)


def inverse(input: Tensor) -> Tensor:
    """`linalg.inv` under its older name. Follows `torch.inverse`."""
    return rows.inv(input)


def _info(A: Tensor) -> Tensor:
    return zeros(A.shape[:-2], dtype=dtypes.int32)


def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """(inverse, info); a singular matrix raises when its inverse is used. Follows
    `torch.linalg.inv_ex`.
    """
    return named("linalg_inv_ex", "inverse", "info")((rows.inv(A), _info(A)))


def _is_vector(A: Tensor, B: Tensor) -> bool:
    return B.ndim == 1 or (A.ndim - 1 == B.ndim and B.shape == A.shape[:-1])


def _same_dtype(name: str, A: Tensor, B: Tensor) -> None:
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type "
            f"{TYPE_NAMES[A.dtype.name]} and B of type "
            f"{TYPE_NAMES[B.dtype.name]} instead"
        )


def _require_fit(name: str, A: Tensor, B: Tensor, left: bool) -> None:
    if B.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor B must have at least 2 dimensions.")
    if A.shape[-2] != B.shape[-2 if left else -1]:
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {equation} "
            f"({A.shape[-2]}x{A.shape[-1]} and "
            f"{B.shape[-2]}x{B.shape[-1]})"
        )


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B (X A = B if not left); B may be a vector or a batch of them. Follows
    `torch.linalg.solve`.

    >>> import rushlight as rl
    >>> rl.linalg.solve(rl.tensor([[2., 0.], [0., 4.]]), rl.tensor([2., 4.]))
    tensor([1., 1.])
    """
    require_matrices("linalg.solve", A, True)
    _same_dtype("linalg.solve", A, B)
    if _is_vector(A, B) and left:
        if B.shape[-1] != A.shape[-1]:
            raise RuntimeError(
                "linalg.solve: Incompatible shapes of A and B for the equation AX = B "
                f"({A.shape[-2]}x{A.shape[-1]} and "
                f"{B.shape[-1]}x1)"
            )
        return rows.solve_matrix(A, B.unsqueeze(-1)).squeeze(-1)
    _require_fit("linalg.solve", A, B, left)
    if left:
        return rows.solve_matrix(A, B)
    return rows.solve_matrix(A.transpose(-2, -1), B.transpose(-2, -1)).transpose(-2, -1)


def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """X with A X = B (X A = B if not left) for triangular A. Follows
    `torch.linalg.solve_triangular`.
    """
    require_matrices("linalg.solve_triangular", A, True)
    _same_dtype("linalg.solve_triangular", A, B)
    _require_fit("linalg.solve_triangular", A, B, left)
    if left:
        return rows.solve_triangular_matrix(A, B, upper, unitriangular)
    turned = rows.solve_triangular_matrix(
        A.transpose(-2, -1), B.transpose(-2, -1), not upper, unitriangular
    )
    return turned.transpose(-2, -1)


def triangular_solve(
    input: Tensor,
    A: Tensor,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
) -> Any:
    """(solution, a copy of A) of A X = input. Follows `torch.triangular_solve`."""
    matrix = A.transpose(-2, -1) if transpose else A
    made = rows.solve_triangular_matrix(matrix, input, upper != transpose, unitriangular)
    return named("triangular_solve", "solution", "cloned_coefficient")((made, A.clone()))


def pinv(
    A: Tensor, *, atol: Any = None, rtol: Any = None, hermitian: bool = False, rcond: Any = None
) -> Tensor:
    """The pseudoinverse, from singular values above max(atol, rtol * the largest). Follows
    `torch.linalg.pinv`.
    """
    require_matrices("linalg.pinv", A, hermitian)
    rtol = rcond if rtol is None else rtol
    if 0 in A.shape:
        return A.transpose(-2, -1).clone()
    if hermitian:
        values, vectors = rows.eigh_factors(A, True)
        sizes = values.abs()
        kept = sizes > _cut(A, sizes.amax(-1, True), atol, rtol)
        return products.matmul(vectors * (kept / (values + ~kept)).unsqueeze(-2), adjoint(vectors))
    left, sizes, right = rows.svd_factors(A, False)
    kept = sizes > _cut(A, sizes.narrow(-1, 0, 1), atol, rtol)
    return products.matmul(adjoint(right) * (kept / (sizes + ~kept)).unsqueeze(-2), adjoint(left))


def _cut(A: Tensor, largest: Tensor, atol: Any, rtol: Any) -> Any:
    """The size up to which a singular value counts as zero."""
    absolute = 0.0 if atol is None else atol
    if rtol is None:
        none_given = not isinstance(absolute, Tensor) and absolute > 0
        rtol = 0.0 if none_given else dtypes.finfo(A.dtype).eps * max(A.shape[-2:])
    relative = largest * (rtol.unsqueeze(-1) if isinstance(rtol, Tensor) else rtol)
    absolute = absolute.unsqueeze(-1) if isinstance(absolute, Tensor) else absolute
    return (
        relative.clamp_min(absolute)
        if not isinstance(absolute, Tensor)
        else relative.maximum(absolute)
    )


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`linalg.pinv` under its older name. Follows `torch.pinverse`."""
    return pinv(input, rtol=rcond)


def matrix_rank(
    A: Tensor, *, atol: Any = None, rtol: Any = None, hermitian: bool = False, tol: Any = None
) -> Tensor:
    """The number of singular values above max(atol, rtol * the largest). Follows
    `torch.linalg.matrix_rank`.
    """
    if tol is not None:
        atol, rtol = tol, 0.0
    sizes = rows.eigh_factors(A, True)[0].abs() if hermitian else svdvals(A)
    if sizes.shape[-1] == 0:
        return zeros(A.shape[:-2], dtype=dtypes.int64)
    return (sizes > _cut(A, sizes.amax(-1, True), atol, rtol)).sum(-1)


def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """(solution, residuals, rank, singular values) of min |A X - B|; every driver is the
    pseudoinverse.

    Follows `torch.linalg.lstsq`.
    """
    require_matrices("linalg.lstsq", A)
    _same_dtype("linalg.lstsq", A, B)
    vector = B.ndim == A.ndim - 1
    right = B.unsqueeze(-1) if vector else B
    if right.ndim < 2 or right.shape[-2] != A.shape[-2]:
        raise RuntimeError("linalg.lstsq: input.size(-2) should match other.size(-2)")
    solution = products.matmul(pinv(A, rtol=rcond), right)
    rank = matrix_rank(A, rtol=rcond)
    residuals = empty(0, dtype=A.dtype.real)
    if (
        driver not in (None, "gelsy")
        and A.shape[-2] > A.shape[-1]
        and bool((rank == A.shape[-1]).all())
    ):
        residuals = (products.matmul(A, solution) - right).abs().pow(2).sum(-2)
    sizes = svdvals(A) if driver in ("gelsd", "gelss") else empty(0, dtype=A.dtype.real)
    fields = named("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
    return fields((solution.squeeze(-1) if vector else solution, residuals, rank, sizes))


# --- determinants -------------------------------------------------------------------------------


def det(A: Tensor) -> Tensor:
    """The determinant of square matrices. Follows `torch.linalg.det`.

    >>> import rushlight as rl
    >>> rl.det(rl.tensor([[2., 1.], [0., 4.]]))
    tensor(8.)
    """
    return rows.det(A)


def slogdet(A: Tensor) -> Any:
    """(sign, log |det|) of square matrices. Follows `torch.linalg.slogdet`."""
    return named("linalg_slogdet", "sign", "logabsdet")(rows.slogdet(A))


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: NaN where it is negative. Follows `torch.logdet`."""
    sign, size = rows.slogdet(input)
    return size + sign.log()


# --- factors ------------------------------------------------------------------------------------


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L with A = L L^H (U with A = U^H U if upper). LinAlgError unless positive-definite. Follows
    `torch.linalg.cholesky`.

    >>> import rushlight as rl
    >>> rl.linalg.cholesky(rl.tensor([[4., 2.], [2., 5.]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    require_matrices("linalg.cholesky", A, True)
    return adjoint(rows.cholesky_lower(adjoint(A))) if upper else rows.cholesky_lower(A)


def cholesky_top(input: Tensor, upper: bool = False) -> Tensor:
    """`linalg.cholesky` under its older name. Follows `torch.cholesky`."""
    return cholesky(input, upper=upper)


cholesky_top.__name__ = "cholesky"


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """(L, info); a matrix that is not positive-definite raises when L is used. Follows
    `torch.linalg.cholesky_ex`.
    """
    return named("linalg_cholesky_ex", "L", "info")((cholesky(A, upper=upper), _info(A)))


def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """X with A X = B, given the Cholesky factor of A. Follows `torch.cholesky_solve`."""
    lower = adjoint(L) if upper else L
    return solve_triangular(adjoint(lower), solve_triangular(lower, B, upper=False), upper=True)


def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A, given its Cholesky factor. Follows `torch.cholesky_inverse`."""
    return cholesky_solve(eye(L.shape[-1], dtype=L.dtype), L, upper)


def qr(A: Tensor, mode: str = "reduced") -> Any:
    """(Q, R) with A = Q R; mode "reduced", "complete" (square Q) or "r" (Q empty). Follows
    `torch.linalg.qr`.
    """
    require_matrices("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', "
            "or 'complete'"
        )
    q, r = rows.qr_factors(A, mode == "complete")
    return named("linalg_qr", "Q", "R")((empty(0, dtype=A.dtype) if mode == "r" else q, r))


def qr_top(input: Tensor, some: bool = True) -> Any:
    """`linalg.qr` under its older name. Follows `torch.qr`."""
    return named("qr", "Q", "R")(tuple(qr(input, "reduced" if some else "complete")))


qr_top.__name__ = "qr"


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """(U, S, V^H) with A = U diag(S) V^H. Follows `torch.linalg.svd`."""
    return named("linalg_svd", "U", "S", "Vh")(rows.svd_factors(A, full_matrices))


def svd_top(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V) under the older name. Follows `torch.svd`."""
    left, sizes, right = rows.svd_factors(input, not some)
    return named("svd", "U", "S", "V")((left, sizes, adjoint(right)))


svd_top.__name__ = "svd"


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values in descending order. Follows `torch.linalg.svdvals`."""
    return rows.svd_factors(A, False)[1]


def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """(eigenvalues ascending, eigenvectors) of Hermitian matrices; UPLO says which triangle is
    read. Follows `torch.linalg.eigh`.
    """
    require_matrices("linalg.eigh", A, True)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return named("linalg_eigh", "eigenvalues", "eigenvectors")(
        rows.eigh_factors(A, UPLO.upper() == "L")
    )


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of Hermitian matrices, ascending. Follows `torch.linalg.eigvalsh`."""
    return eigh(A, UPLO)[0]


def eig(A: Tensor) -> Any:
    """(eigenvalues, eigenvectors), complex, of square matrices. Follows `torch.linalg.eig`."""
    return named("linalg_eig", "eigenvalues", "eigenvectors")(rows.eig_factors(A))


def eigvals(A: Tensor) -> Tensor:
    """The eigenvalues of square matrices, complex, in no order. Follows `torch.linalg.eigvals`."""
    return rows.eig_factors(A)[0]


def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """(L and U in one matrix, row exchanges counted from 1). Follows `torch.linalg.lu_factor`."""
    if not pivot:
        raise NotImplementedError(
            "linalg.lu_factor: LU without pivoting is not implemented on the CPU"
        )
    return named("linalg_lu_factor", "LU", "pivots")(elimination.lu_packed(A))


def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """(P, L, U) with A = P L U. Follows `torch.linalg.lu`."""
    packed, pivots = lu_factor(A, pivot=pivot)
    return named("linalg_lu", "P", "L", "U")(lu_unpack(packed, pivots))


def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """(P, L, U) from the packed form. Follows `torch.lu_unpack`."""
    m, n = LU_data.shape[-2:]
    k = min(m, n)
    lower = LU_data.narrow(-1, 0, k).tril(-1) + eye(m, k, dtype=LU_data.dtype)
    upper = LU_data.narrow(-2, 0, k).triu()
    permutation = elimination.permutation_matrix(LU_pivots, m, LU_data.dtype)
    nothing = empty(0, dtype=LU_data.dtype)
    fields = named("lu_unpack", "P", "L", "U")
    return fields(
        (
            permutation if unpack_pivots else nothing,
            lower if unpack_data else nothing,
            upper if unpack_data else nothing,
        )
    )


def lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """X with A X = B (X A = B if not left), given the LU factors of A. Follows
    `torch.linalg.lu_solve`.
    """
    permutation, lower, upper = lu_unpack(LU, pivots)
    matrix = products.matmul(products.matmul(permutation, lower), upper)
    return solve(rows.adjoint(matrix) if adjoint else matrix, B, left=left)


_OLDER = (
    inverse,
    triangular_solve,
    pinverse,
    det,
    slogdet,
    logdet,
    cholesky_top,
    cholesky_solve,
    cholesky_inverse,
    qr_top,
    svd_top,
)
FUNCTIONS = (*_OLDER, lu_unpack)
METHODS = _OLDER
LINALG: dict[str, Any] = {
    f.__name__: f
    for f in (
        inv,
        inv_ex,
        solve,
        solve_triangular,
        pinv,
        matrix_rank,
        lstsq,
        det,
        slogdet,
        cholesky,
        cholesky_ex,
        qr,
        svd,
        svdvals,
        eigh,
        eigvalsh,
        eig,
        eigvals,
        lu_factor,
        lu,
        lu_solve,
    )
}
