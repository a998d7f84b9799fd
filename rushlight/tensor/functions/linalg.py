"""Inverses, solutions and determinants as people call them: arguments, checks and compositions
around the rows of `ops/linalg.py`.

In: (..., n, m) matrices. Out: inverses, solutions, ranks. Invariants: `LINALG` lists what
`rushlight.linalg` offers, a few of them having an older name at the top level too; what says that
it raises LinAlgError for a singular matrix does so at the call, for which the matrix is computed.
"""

from __future__ import annotations

import math
from typing import Any

from ...autograd.names import titled
from ...base import dtype as dtypes
from ...base.errors import LinAlgError
from ...ops import linalg as rows
from ...ops.common import TYPE_NAMES
from ...ops.factors import hermitian_values, singular_values
from ...ops.linalg import require_matrices
from ..creation import empty, full, zeros
from ..return_types import named
from ..tensor import Tensor

# --- errors -------------------------------------------------------------------------------------


def raise_from(info: Tensor, name: str, reason: str, error: type[Exception] = LinAlgError) -> None:
    """The error that the first failed matrix of a batch stands for, if there is one.

    `reason` may speak of {info}, LAPACK's number. Nothing is known of tensors without values
    (device meta), nor of one example inside vmap.
    """
    if info.device.type == "meta" or info._layout.batch:
        return
    values = info.detach().reshape(-1).tolist()
    for k, value in enumerate(values):
        if value:
            place = f"(Batch element {k}): " if info.ndim else ""
            raise error(f"{name}: {place}{reason.format(info=value)}")


SINGULAR = (
    "The diagonal element {info} is zero, the inversion could not be completed because the input "
    "matrix is singular."
)
UNSOLVABLE = "The solver failed because the input matrix is singular."

# --- inverses and solutions ---------------------------------------------------------------------


def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices (..., n, n). LinAlgError where there is none. Follows
    `torch.linalg.inv`.

    >>> import rushlight as rl
    >>> rl.linalg.inv(rl.tensor([[2., 0.], [0., 4.]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    made, info = rows.inv_ex(A)
    raise_from(info, "linalg.inv", SINGULAR)
    return made


def inverse(input: Tensor) -> Tensor:
    """`linalg.inv` under its older name. Follows `torch.inverse`."""
    return inv(input)


def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """(inverse, info); where info is not 0 the matrix is singular and its inverse NaN. Follows
    `torch.linalg.inv_ex`.

    >>> import rushlight as rl
    >>> rl.linalg.inv_ex(rl.zeros(2, 2)).info
    tensor(1, dtype=torch.int32)
    """
    made, info = rows.inv_ex(A)
    if check_errors:
        raise_from(info, "linalg.inv_ex", SINGULAR)
    return named("linalg_inv_ex", "inverse", "info")((made, info))


def is_vector(A: Tensor, B: Tensor) -> bool:
    """Whether the right hand sides B are vectors, one for every matrix of A."""
    return B.ndim == 1 or (A.ndim - 1 == B.ndim and B.shape == A.shape[:-1])


def require_same_dtype(name: str, A: Tensor, B: Tensor) -> None:
    """RuntimeError in PyTorch's words unless A and B have one dtype."""
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type "
            f"{TYPE_NAMES[A.dtype.name]} and B of type "
            f"{TYPE_NAMES[B.dtype.name]} instead"
        )


def require_fit(name: str, A: Tensor, B: Tensor, left: bool) -> None:
    """RuntimeError in PyTorch's words unless B can stand in AX = B, or XA = B if not left."""
    if B.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor B must have at least 2 dimensions, but it has shape "
            f"{list(B.shape)}."
        )
    if A.shape[-2] != B.shape[-2 if left else -1]:
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {equation} "
            f"({A.shape[-2]}x{A.shape[-1]} and "
            f"{B.shape[-2]}x{B.shape[-1]})"
        )


def _solved(name: str, A: Tensor, B: Tensor, left: bool) -> tuple[Tensor, Tensor]:
    """(X, info) of the equation that `solve` solves."""
    require_matrices(name, A, True)
    require_same_dtype(name, A, B)
    if is_vector(A, B):
        if not left:
            raise RuntimeError(
                f"{name}: Vector broadcasting of the left hand side is not supported for "
                f"left=False: give B of shape {list(B.shape)} two dimensions at least"
            )
        if B.shape[-1] != A.shape[-1]:
            raise RuntimeError(
                f"{name}: Incompatible shapes of A and B for the equation AX = B "
                f"({A.shape[-2]}x{A.shape[-1]} and "
                f"{B.shape[-1]}x1)"
            )
        return rows.solve_ex(A, B, True)
    require_fit(name, A, B, left)
    if left:
        return rows.solve_ex(A, B, False)
    made, info = rows.solve_ex(A.transpose(-2, -1), B.transpose(-2, -1), False)
    return made.transpose(-2, -1), info


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B (X A = B if not left); B may be a vector or a batch of them. LinAlgError where
    A is singular. Follows `torch.linalg.solve`.

    >>> import rushlight as rl
    >>> rl.linalg.solve(rl.tensor([[2., 0.], [0., 4.]]), rl.tensor([2., 4.]))
    tensor([1., 1.])
    """
    made, info = _solved("linalg.solve", A, B, left)
    raise_from(info, "torch.linalg.solve", UNSOLVABLE)
    return made


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """(X, info); where info is not 0 the matrix is singular and X NaN. Follows
    `torch.linalg.solve_ex`.
    """
    made, info = _solved("linalg.solve_ex", A, B, left)
    if check_errors:
        raise_from(info, "torch.linalg.solve_ex", UNSOLVABLE)
    return named("linalg_solve_ex", "result", "info")((made, info))


def solve_triangular(
    input: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """X with A X = B (X A = B if not left) for triangular A, whose diagonal counts as ones if
    unitriangular. Follows `torch.linalg.solve_triangular`.

    >>> import rushlight as rl
    >>> A = rl.tensor([[2., 0.], [1., 4.]])
    >>> rl.linalg.solve_triangular(A, rl.tensor([[2.], [5.]]), upper=False)
    tensor([[1.],
            [1.]])
    """
    require_matrices("linalg.solve_triangular", input, True)
    require_same_dtype("linalg.solve_triangular", input, B)
    require_fit("linalg.solve_triangular", input, B, left)
    return rows.solve_triangular_matrix(input, B, upper, unitriangular, left)


@titled("TriangularSolveBackward0", guarded=(0,))
def triangular_solve(
    input: Tensor,
    A: Tensor,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
) -> Any:
    """(solution, a copy of A) of A X = input, or of A^T X = input. Follows
    `torch.triangular_solve`.
    """
    require_matrices("triangular_solve", A, True)
    require_same_dtype("triangular_solve", A, input)
    require_fit("triangular_solve", A, input, True)
    matrix = A.transpose(-2, -1) if transpose else A
    made = rows.solve_triangular_matrix(matrix, input, upper != transpose, unitriangular)
    copy = A.transpose(-2, -1).contiguous().transpose(-2, -1)
    copy = copy.expand((*made.shape[:-2], *A.shape[-2:])) if copy.ndim < made.ndim else copy
    return named("triangular_solve", "solution", "cloned_coefficient")((made, copy))


# --- pseudoinverse, rank, least squares ---------------------------------------------------------


def _tolerances(A: Tensor, atol: Any, rtol: Any) -> tuple[Tensor, Tensor]:
    """The absolute and the relative size up to which a singular value counts as zero, as tensors.

    The relative one is epsilon * max(m, n), but nothing where only an absolute one is given.
    """
    real = A.dtype.real
    if rtol is None:
        rtol = dtypes.finfo(real).eps * max(A.shape[-2:])
        if isinstance(atol, Tensor):
            rtol = full(atol.shape, rtol, dtype=real).where(atol <= 0, 0.0)
        elif atol:
            rtol = 0.0
    sizes = (0.0 if atol is None else atol, rtol)
    absolute, relative = (
        t.to(real) if isinstance(t, Tensor) else full((), t, dtype=real) for t in sizes
    )
    return absolute, relative


def pinv(
    input: Tensor,
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """The pseudoinverse, from singular values above max(atol, rtol * the largest); rcond is an
    older name of rtol. Of Hermitian matrices from eigenvalues. Follows `torch.linalg.pinv`.

    >>> import rushlight as rl
    >>> rl.linalg.pinv(rl.tensor([[2., 0.], [0., 0.]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    require_matrices("linalg.pinv", input, hermitian)
    cuts = _tolerances(input, atol, rcond if rtol is None else rtol)
    return rows.pseudo_inverse(input, *cuts, bool(hermitian))


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`linalg.pinv` under its older name. Follows `torch.pinverse`."""
    return pinv(input, rtol=rcond)


def matrix_rank(
    input: Tensor,
    tol: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """The number of singular values above max(atol, rtol * the largest); tol is an older name of
    atol, without rtol. Follows `torch.linalg.matrix_rank`.

    >>> import rushlight as rl
    >>> rl.linalg.matrix_rank(rl.ones(3, 3))
    tensor(1)
    """
    require_matrices("linalg.matrix_rank", input, hermitian)
    if tol is not None:
        atol, rtol = tol, 0.0
    sizes = hermitian_values(input, True).abs() if hermitian else singular_values(input)
    if sizes.shape[-1] == 0:
        return zeros(input.shape[:-2], dtype=dtypes.int64)
    absolute, relative = _tolerances(input, atol, rtol)
    cut = absolute.unsqueeze(-1).maximum(relative.unsqueeze(-1) * sizes.amax(-1, True))
    return (sizes > cut).sum(-1)


_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


@titled("LinalgLstsqBackward0")
def lstsq(
    input: Tensor, b: Tensor, rcond: float | None = None, *, driver: str | None = None
) -> Any:
    """(solution, residuals, rank, singular values) of min |A X - B|.

    A (..., m, n), B (..., m, k) or (..., m). Drivers: "gels" for matrices of full rank (LinAlgError
    for others), "gelsy" (default), "gelsd" and "gelss" for all: singular values up to rcond * the
    largest count as zeros (default: epsilon * max(m, n)). Residuals |A X - B|^2 are given where m >
    n and the rank is full, the rank by all but "gels", the singular values by the last two; what is
    not given is empty. Follows `torch.linalg.lstsq`.

    >>> import rushlight as rl
    >>> rl.linalg.lstsq(rl.tensor([[1.], [1.]]), rl.tensor([[1.], [3.]])).solution
    tensor([[2.]])
    """
    name = "torch.linalg.lstsq"
    if input.ndim < 2:
        raise RuntimeError(
            f"{name}: input must have at least 2 dimensions, not {list(input.shape)}"
        )
    require_matrices(name, input)
    require_same_dtype(name, input, b)
    driver = "gelsy" if driver is None else driver
    if driver not in _DRIVERS:
        raise RuntimeError(
            f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), not {driver}"
        )
    vector = is_vector(input, b)
    right = b.unsqueeze(-1) if vector else b
    if right.ndim < 2 or right.shape[:-1] != input.shape[:-1]:
        raise RuntimeError(
            f"{name}: input.size(-2) should match other.size(-2), and so should the batch: "
            f"{list(input.shape)} and {list(b.shape)}"
        )
    return _least_squares(input, right, vector, rcond, driver)


def _least_squares(A: Tensor, B: Tensor, vector: bool, rcond: Any, driver: str) -> Any:
    m, n = A.shape[-2:]
    rcond = dtypes.finfo(A.dtype.real).eps * max(m, n) if rcond is None else float(rcond)
    padded, residuals, rank, sizes, info = rows.least_squares(A, B, rcond, driver == "gels")
    solution = padded.narrow(-2, 0, n)
    if driver == "gels":
        raise_from(
            info,
            "torch.linalg.lstsq",
            "The least squares solution could not be computed because the input matrix does not "
            "have full rank (error code: {info}).",
        )
    if m <= n or (driver == "gelsy") or (driver != "gels" and bool((rank < n).any())):
        residuals = residuals.reshape(-1).narrow(0, 0, 0)
    nothing = empty(0, dtype=A.dtype.real)
    return named("linalg_lstsq", "solution", "residuals", "rank", "singular_values")(
        (
            solution.squeeze(-1) if vector else solution,
            residuals,
            empty(0, dtype=dtypes.int64) if driver == "gels" else rank,
            sizes.detach() if driver in ("gelsd", "gelss") else nothing,
        )
    )


def tensorinv(input: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a map from its last to its first `ind` dimensions. LinAlgError where
    there is none. Follows `torch.linalg.tensorinv`.
    """
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    first, last = input.shape[:ind], input.shape[ind:]
    if math.prod(first) != math.prod(last):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            "prod(self.shape[:ind]), but got "
            f"{math.prod(last)} != {math.prod(first)}"
        )
    made, info = rows.inv_ex(input.reshape(math.prod(first), -1))
    raise_from(info, "inv", SINGULAR)
    return made.reshape((*last, *first))


def tensorsolve(input: Tensor, other: Tensor, dims: Any = None) -> Tensor:
    """X with tensordot(A, X, X.ndim) = B. LinAlgError where A is singular. Follows
    `torch.linalg.tensorsolve`.
    """
    if dims is not None:
        input = input.movedim(tuple(dims), tuple(range(input.ndim - len(dims), input.ndim)))
    shape = input.shape[other.ndim :]
    if math.prod(shape) != other.numel() or input.numel() != other.numel() ** 2:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            "prod(self.shape[:other.ndim]), but got "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    return solve(input.reshape(other.numel(), -1), other.reshape(-1)).reshape(shape)


# --- determinants -------------------------------------------------------------------------------


def det(A: Tensor) -> Tensor:
    """The determinant of square matrices. Follows `torch.linalg.det`.

    >>> import rushlight as rl
    >>> rl.det(rl.tensor([[2., 1.], [0., 4.]]))
    tensor(8.)
    """
    return rows.det(A)


def det_top(input: Tensor) -> Tensor:
    """`linalg.det` under its older name. Follows `torch.det`."""
    return rows.det(input)


det_top.__name__ = "det"


def slogdet(A: Tensor) -> Any:
    """(sign, log |det|) of square matrices. Follows `torch.linalg.slogdet`.

    >>> import rushlight as rl
    >>> rl.linalg.slogdet(rl.tensor([[-1., 0.], [0., 1.]])).sign
    tensor(-1.)
    """
    return named("linalg_slogdet", "sign", "logabsdet")(rows.slogdet(A))


def slogdet_top(input: Tensor) -> Any:
    """`linalg.slogdet` under its older name. Follows `torch.slogdet`."""
    return named("slogdet", "sign", "logabsdet")(rows.slogdet(input))


slogdet_top.__name__ = "slogdet"


@titled("WhereBackward0")
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: NaN where it is negative. Follows `torch.logdet`."""
    sign, size = rows.slogdet(input)
    return size + sign.log()


_OLDER = (inverse, triangular_solve, pinverse, det_top, slogdet_top, logdet)
FUNCTIONS = _OLDER
METHODS = _OLDER
LINALG: dict[str, Any] = {
    f.__name__: f
    for f in (
        inv,
        inv_ex,
        solve,
        solve_ex,
        solve_triangular,
        pinv,
        matrix_rank,
        lstsq,
        tensorinv,
        tensorsolve,
        det,
        slogdet,
    )
}
