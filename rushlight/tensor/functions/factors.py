"""Factors of matrices as people call them: Cholesky, QR, LU, LDL, eigenvectors, singular vectors.

In: (..., n, m) matrices. Out: their factors, as tuples with named fields, and solutions made from
factors. Invariants: `LINALG` lists what `rushlight.linalg` offers, many of them having an older
name at the top level too; what has no factor is a LinAlgError at the call where the function says
so, for which the matrix is computed.
"""

from __future__ import annotations

from typing import Any

from ...autograd.names import titled
from ...base import dtype as dtypes
from ...ops import elimination, indefinite, reflections
from ...ops import factors as rows
from ...ops.linalg import adjoint, require_matrices
from ..creation import empty, eye, zeros
from ..return_types import named
from ..tensor import Tensor
from .linalg import SINGULAR, raise_from, require_fit, require_same_dtype

# --- Cholesky -----------------------------------------------------------------------------------

_NOT_POSITIVE = (
    "The factorization could not be completed because the input is not positive-definite (the "
    "leading minor of order {info} is not positive-definite)."
)


def cholesky(input: Tensor, *, upper: bool = False) -> Tensor:
    """L with A = L L^H (U with A = U^H U if upper). LinAlgError unless positive-definite. Follows
    `torch.linalg.cholesky`.

    >>> import rushlight as rl
    >>> rl.linalg.cholesky(rl.tensor([[4., 2.], [2., 5.]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    made, info = rows.cholesky_ex(input, upper)
    raise_from(info, "linalg.cholesky", _NOT_POSITIVE)
    return made


@titled("CholeskyBackward0")
def cholesky_top(input: Tensor, upper: bool = False) -> Tensor:
    """`linalg.cholesky` under its older name. Follows `torch.cholesky`."""
    made, info = rows.cholesky_ex(input, upper)
    raise_from(info, "cholesky", _NOT_POSITIVE)
    return made


cholesky_top.__name__ = "cholesky"


def cholesky_ex(input: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """(L, info); where info is not 0 the leading minor of that order is not positive-definite, and
    only those before it are factored. Follows `torch.linalg.cholesky_ex`.

    >>> import rushlight as rl
    >>> rl.linalg.cholesky_ex(rl.tensor([[1., 0.], [0., -1.]])).info
    tensor(2, dtype=torch.int32)
    """
    made, info = rows.cholesky_ex(input, upper)
    if check_errors:
        raise_from(info, "linalg.cholesky_ex", _NOT_POSITIVE)
    return named("linalg_cholesky_ex", "L", "info")((made, info))


def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """X with A X = B, given the Cholesky factor of A. Follows `torch.cholesky_solve`.

    >>> import rushlight as rl
    >>> rl.cholesky_solve(rl.tensor([[4.], [8.]]), rl.tensor([[2., 0.], [0., 2.]]))
    tensor([[1.],
            [2.]])
    """
    if B.ndim < 2:
        raise RuntimeError(f"b should have at least 2 dimensions, but has {B.ndim} dimensions")
    if L.ndim < 2:
        raise RuntimeError(f"u should have at least 2 dimensions, but has {L.ndim} dimensions")
    require_matrices("cholesky_solve", L, True)
    require_same_dtype("cholesky_solve", L, B)
    require_fit("cholesky_solve", L, B, True)
    return rows.cholesky_solve(B, L, upper)


def cholesky_inverse(input: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A, given its Cholesky factor. LinAlgError where the factor is singular.
    Follows `torch.cholesky_inverse`.
    """
    require_matrices("cholesky_inverse", input, True)
    made, info = rows.cholesky_inverse(input, upper)
    raise_from(info, "cholesky_inverse", SINGULAR)
    return made


# --- QR and reflections -------------------------------------------------------------------------


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


def geqrf(input: Tensor) -> Any:
    """(a, tau), the raw form of QR factors: R on and above the diagonal of a, the vectors of the
    reflections that make Q below it, their factors in tau. Follows `torch.geqrf`.

    >>> import rushlight as rl
    >>> rl.geqrf(rl.tensor([[3.], [4.]])).a
    tensor([[-5.0000],
            [ 0.5000]])
    """
    return named("geqrf", "a", "tau")(reflections.raw_qr(input))


def _require_reflections(name: str, A: Tensor, tau: Tensor, limit: int) -> None:
    """RuntimeError in PyTorch's words unless tau holds at most `limit` factors for each matrix."""
    if tau.shape[:-1] != A.shape[:-2] or tau.ndim != A.ndim - 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, and the same batch, but "
            f"got tau {list(tau.shape)} and input {list(A.shape)}"
        )
    if tau.shape[-1] > limit:
        raise RuntimeError(
            f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1], but got "
            f"{limit} and {tau.shape[-1]}"
        )
    if tau.dtype is not A.dtype:
        raise RuntimeError(
            f"{name}: tau dtype {tau.dtype} does not match input dtype {A.dtype}: convert one"
        )


@titled("LinalgHouseholderProductBackward0")
def householder_product(input: Tensor, tau: Tensor) -> Tensor:
    """The first n columns of the product of reflections I - tau_i v_i v_i^H, where v_i has a one on
    the diagonal and A's column i below it. A (..., m, n), m >= n. Follows
    `torch.linalg.householder_product`.

    >>> import rushlight as rl
    >>> rl.linalg.householder_product(rl.tensor([[0.], [1.]]), rl.tensor([1.]))
    tensor([[ 0.],
            [-1.]])
    """
    name = "torch.linalg.householder_product"
    if input.ndim < 2:
        raise RuntimeError(
            f"{name}: input must have at least 2 dimensions, not {list(input.shape)}"
        )
    m, n = input.shape[-2:]
    if m < n:
        raise RuntimeError(
            f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1], but got "
            f"{m} and {n}"
        )
    _require_reflections(name, input, tau, n)
    start = eye(m, n, dtype=input.dtype, device=input.device).expand((*input.shape[:-2], m, n))
    return reflections.reflect(input, tau, start, True, False)


def orgqr(input: Tensor, tau: Tensor) -> Tensor:
    """`linalg.householder_product` under its older name. Follows `torch.orgqr`."""
    return householder_product(input, tau)


def ormqr(
    input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False
) -> Tensor:
    """Q other (other Q if not left, with Q^H instead of Q if transpose), Q the product of
    reflections that `geqrf` gives. Follows `torch.ormqr`.

    >>> import rushlight as rl
    >>> a, tau = rl.geqrf(rl.tensor([[3.], [4.]]))
    >>> rl.ormqr(a, tau, rl.tensor([[3.], [4.]]), transpose=True).abs()
    tensor([[5.],
            [0.]])
    """
    for role, x in (("input", input), ("other", other)):
        if x.ndim < 2:
            raise RuntimeError(
                f"torch.ormqr: {role} must have at least 2 dimensions, not {list(x.shape)}"
            )
    order = other.shape[-2 if left else -1]
    if tau.ndim and tau.shape[-1] != min(order, input.shape[-1]):
        side = "-2" if left else "-1"
        raise RuntimeError(
            f"torch.ormqr: tau.shape[-1] must be equal to min(other.shape[{side}], "
            f"input.shape[-1]), but got {tau.shape[-1]} and min({order}, {input.shape[-1]})"
        )
    if input.shape[-2] != order:
        raise RuntimeError(
            f"torch.ormqr: input.shape[-2] must be equal to other.shape[{-2 if left else -1}], but "
            f"got {input.shape[-2]} and {order}"
        )
    _require_reflections("torch.ormqr", input, tau, input.shape[-1])
    require_same_dtype("torch.ormqr", input, other)
    if other.shape[:-2] != input.shape[:-2]:
        raise RuntimeError(
            "torch.ormqr: batch dimensions of other should be equal to input's, but got "
            f"{list(other.shape)} and {list(input.shape)}"
        )
    return reflections.reflect(input, tau, other, left, transpose)


# --- singular vectors and eigenvectors ----------------------------------------------------------


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """(U, S, V^H) with A = U diag(S) V^H. LAPACK's gesdd is the only driver: another one is for
    CUDA. Follows `torch.linalg.svd`.
    """
    _refuse_driver("linalg.svd", driver)
    return named("linalg_svd", "U", "S", "Vh")(rows.svd_factors(A, full_matrices))


def _refuse_driver(name: str, driver: str | None) -> None:
    if driver is not None:
        raise RuntimeError(f"{name}: keyword argument `driver=` is only supported on CUDA inputs")


def svd_top(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V) under the older name; U and V are square, and zeros, if not compute_uv. Follows
    `torch.svd`.
    """
    require_matrices("linalg.svd", input)
    fields = named("svd", "U", "S", "V")
    if compute_uv:
        left, sizes, right = rows.svd_factors(input, not some)
        return fields((left, sizes, adjoint(right)))
    *lead, m, n = input.shape
    blanks = [zeros((*lead, k, k), dtype=input.dtype, device=input.device) for k in (m, n)]
    return fields((blanks[0], rows.singular_values(input), blanks[1].transpose(-2, -1)))


svd_top.__name__ = "svd"


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values in descending order. Follows `torch.linalg.svdvals`.

    >>> import rushlight as rl
    >>> rl.linalg.svdvals(rl.tensor([[0., 2.], [3., 0.]]))
    tensor([3., 2.])
    """
    _refuse_driver("linalg.svdvals", driver)
    return rows.singular_values(A)


def _reads_lower(A: Tensor, UPLO: str) -> bool:
    require_matrices("linalg.eigh", A, True)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return UPLO.upper() == "L"


def eigh(input: Tensor, UPLO: str = "L") -> Any:
    """(eigenvalues ascending, eigenvectors) of Hermitian matrices; UPLO says which triangle is
    read. Follows `torch.linalg.eigh`.
    """
    return named("linalg_eigh", "eigenvalues", "eigenvectors")(
        rows.eigh_factors(input, _reads_lower(input, UPLO))
    )


def eigvalsh(input: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of Hermitian matrices, ascending. Follows `torch.linalg.eigvalsh`.

    >>> import rushlight as rl
    >>> rl.linalg.eigvalsh(rl.tensor([[0., 2.], [2., 0.]]))
    tensor([-2.,  2.])
    """
    return rows.hermitian_values(input, _reads_lower(input, UPLO))


def eig(input: Tensor) -> Any:
    """(eigenvalues, eigenvectors), complex, of square matrices. Follows `torch.linalg.eig`."""
    return named("linalg_eig", "eigenvalues", "eigenvectors")(rows.eig_factors(input))


def eigvals(input: Tensor) -> Tensor:
    """The eigenvalues of square matrices, complex, in no order. Follows `torch.linalg.eigvals`."""
    return rows.eig_factors(input)[0]


# --- LU -----------------------------------------------------------------------------------------

_ZERO_PIVOT = (
    "U[{info},{info}] is zero and using it on lu_solve would result in a division by zero. If you "
    "still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
    "linalg.lu_factor_ex(A, pivot)"
)


def _lu_packed(A: Tensor, pivot: bool) -> tuple[Tensor, Tensor, Tensor]:
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")
    return elimination.lu_packed(A)


def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """(L and U in one matrix, row exchanges counted from 1). RuntimeError where U has a zero on its
    diagonal. Follows `torch.linalg.lu_factor`.
    """
    packed, pivots, info = _lu_packed(A, pivot)
    raise_from(info, "torch.linalg.lu_factor", _ZERO_PIVOT, RuntimeError)
    return named("linalg_lu_factor", "LU", "pivots")((packed, pivots))


def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """(LU, pivots, info); where info is not 0, U has a zero at that place of its diagonal. Follows
    `torch.linalg.lu_factor_ex`.
    """
    packed, pivots, info = _lu_packed(A, pivot)
    if check_errors:
        raise_from(info, "torch.linalg.lu_factor_ex", _ZERO_PIVOT, RuntimeError)
    return named("linalg_lu_factor_ex", "LU", "pivots", "info")((packed, pivots, info))


def lu_top(A: Tensor, pivot: bool = True, get_infos: bool = False) -> tuple[Tensor, ...]:
    """(LU, pivots), or (LU, pivots, info) if get_infos: `linalg.lu_factor` under its older name.
    Follows `torch.lu`.
    """
    made = _lu_packed(A, pivot)
    if get_infos:
        return made
    raise_from(made[2], "lu", _ZERO_PIVOT, RuntimeError)
    return made[:2]


lu_top.__name__ = "lu"


@titled("LinalgLuBackward0")
def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """(P, L, U) with A = P L U. Follows `torch.linalg.lu`.

    >>> import rushlight as rl
    >>> rl.linalg.lu(rl.tensor([[0., 2.], [4., 4.]])).U
    tensor([[4., 4.],
            [0., 2.]])
    """
    packed, pivots, _ = _lu_packed(A, pivot)
    return named("linalg_lu", "P", "L", "U")(tuple(lu_unpack(packed, pivots)))


@titled("LuUnpackBackward0")
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """(P, L, U) from the packed form; what is not asked for is empty. Follows `torch.lu_unpack`."""
    if LU_data.ndim < 2:
        raise RuntimeError(
            f"torch.lu_unpack: The input tensor LU_data must have at least 2 dimensions, not "
            f"{list(LU_data.shape)}"
        )
    if unpack_pivots and LU_pivots.dtype is not dtypes.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 "
            f"dtype, not {LU_pivots.dtype}. Note: this function is intended to be used with the "
            "output produced by torch.linalg.lu_factor"
        )
    m, n = LU_data.shape[-2:]
    k = min(m, n)
    nothing = empty(0, dtype=LU_data.dtype)
    order, lower, upper = nothing, nothing, nothing
    if unpack_data:
        lower = LU_data.narrow(-1, 0, k).tril(-1) + eye(m, k, dtype=LU_data.dtype)
        upper = LU_data.narrow(-2, 0, k).triu()
        lower, upper = lower.contiguous(), upper.contiguous()
    if unpack_pivots:
        order = elimination.permutation_matrix(LU_pivots, m, LU_data.dtype)
    return named("lu_unpack", "P", "L", "U")((order, lower, upper))


def _require_factors(name: str, factors: Tensor, pivots: Tensor) -> None:
    """RuntimeError unless these are square packed factors with their exchanges."""
    require_matrices(name, factors, True)
    if pivots.dtype is not dtypes.int32:
        raise RuntimeError(
            f"{name}: Expected pivots to be of dtype int32, as the factorization gives them, but "
            f"got {pivots.dtype}"
        )
    if pivots.shape != factors.shape[:-1]:
        raise RuntimeError(
            f"{name}: Number of pivots per batch should be same as the dimension of the matrix: "
            f"expected shape {list(factors.shape[:-1])}, but got {list(pivots.shape)}"
        )


@titled("LinalgLuSolveBackward0")
def lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """X with A X = B (X A = B if not left, A^H instead of A if adjoint), given the LU factors of A.
    Follows `torch.linalg.lu_solve`.

    >>> import rushlight as rl
    >>> A, B = rl.tensor([[0., 2.], [4., 4.]]), rl.tensor([[2.], [8.]])
    >>> rl.linalg.lu_solve(*rl.linalg.lu_factor(A), B)
    tensor([[1.],
            [1.]])
    """
    name = "linalg.lu_solve"
    _require_factors(name, LU, pivots)
    require_same_dtype(name, LU, B)
    require_fit(name, LU, B, left)
    if left:
        return elimination.lu_solution(LU, pivots, B, adjoint)
    turned = rows.adjoint(B)
    return rows.adjoint(elimination.lu_solution(LU, pivots, turned, not adjoint))


def lu_solve_top(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """`linalg.lu_solve` under its older name. Follows `torch.lu_solve`."""
    return lu_solve(LU_data, LU_pivots, b)


lu_solve_top.__name__ = "lu_solve"


# --- LDL ----------------------------------------------------------------------------------------

_ZERO_BLOCK = (
    "D[{info},{info}] is zero, and solving with it would result in a division by zero. If you "
    "still want to perform the factorization, consider calling linalg.ldl_factor_ex"
)


def ldl_factor(input: Tensor, *, hermitian: bool = False) -> Any:
    """(L and D in one matrix, exchanges) with A = P L D L^T P^T (L^H if hermitian), D with blocks
    of order 1 and 2, the exchanges of a block of order 2 being negative. The lower triangle of A is
    read. RuntimeError where D is singular. No gradient. Follows `torch.linalg.ldl_factor`.
    """
    packed, pivots, info = indefinite.ldl_packed(input, hermitian)
    raise_from(info, "torch.linalg.ldl_factor", _ZERO_BLOCK, RuntimeError)
    return named("linalg_ldl_factor", "LD", "pivots")((packed, pivots))


def ldl_factor_ex(input: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """(LD, pivots, info); where info is not 0, D has a zero at that place of its diagonal. Follows
    `torch.linalg.ldl_factor_ex`.
    """
    packed, pivots, info = indefinite.ldl_packed(input, hermitian)
    if check_errors:
        raise_from(info, "torch.linalg.ldl_factor_ex", _ZERO_BLOCK, RuntimeError)
    return named("linalg_ldl_factor_ex", "LD", "pivots", "info")((packed, pivots, info))


def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """X with A X = B, given the LDL factors of A. Follows `torch.linalg.ldl_solve`.

    >>> import rushlight as rl
    >>> A, B = rl.tensor([[0., 2.], [2., 0.]]), rl.tensor([[2.], [4.]])
    >>> rl.linalg.ldl_solve(*rl.linalg.ldl_factor(A), B)
    tensor([[2.],
            [1.]])
    """
    name = "torch.linalg.ldl_solve"
    _require_factors(name, LD, pivots)
    require_same_dtype(name, LD, B)
    require_fit(name, LD, B, True)
    return indefinite.ldl_solution(LD, pivots, B, hermitian)


_OLDER = (
    cholesky_top,
    cholesky_solve,
    cholesky_inverse,
    qr_top,
    svd_top,
    geqrf,
    orgqr,
    ormqr,
    lu_solve_top,
)
FUNCTIONS = (*_OLDER, lu_top, lu_unpack)
METHODS = (*_OLDER, lu_top)
LINALG: dict[str, Any] = {
    f.__name__: f
    for f in (
        cholesky,
        cholesky_ex,
        qr,
        householder_product,
        svd,
        svdvals,
        eigh,
        eigvalsh,
        eig,
        eigvals,
        lu_factor,
        lu_factor_ex,
        lu,
        lu_solve,
        ldl_factor,
        ldl_factor_ex,
        ldl_solve,
    )
}
