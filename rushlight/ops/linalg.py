"""Inverses, solutions, determinants and exponentials of matrices: NumPy's (LAPACK) as a node each,
with gradients of our own.

In: (..., n, m) matrices, float32 or wider. Out: tensors of the same dtype, columns contiguous.
Invariants: the gradients are matrix products, triangular masks and other rows of this table, so
they can be differentiated again; a singular matrix gives NaN and a number in `info` (from 1, as
LAPACK counts), which the public functions raise from. Formulas follow Giles, Collected Matrix
Derivative Results (2008), and Golub and Pereyra, SIAM Journal on Numerical Analysis 10 (1973), for
the pseudoinverse, with A^H for the conjugate transpose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.layout import broadcast_shapes
from ..graph import build as b
from ..graph.host import host_function
from . import lapack
from .common import TYPE_NAMES, conjugate, opmath
from .core import cat, full
from .matmul import matmul
from .movement import tril, triu
from .registry import Value, op
from .signature import strides_of_columns


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


# --- inverse and solution -----------------------------------------------------------------------


@host_function
def matrix_inverse(x: np.ndarray) -> tuple:
    return lapack.forgiving(np.linalg.inv, x)


@op("", grad_name="LinalgInvExBackward0", strides=(strides_of_columns, None))
def inv_ex(A: Value) -> tuple:
    """(A^-1, info)."""
    require_matrices("linalg.inv", A, True)
    facts = [(A.shape, A.dtype), (A.shape[:-2], dtypes.int32)]
    return tuple(b.host("matrix_inverse", [A], facts))


@inv_ex.vjp("A")
def _(g0, out0):  # type: ignore[no-untyped-def]
    turned = adjoint(out0)
    return -matmul(turned, matmul(g0, turned))


def inv(A: Any) -> Any:
    """A^-1; NaN where there is none."""
    return inv_ex(A)[0]


@host_function
def matrix_solution(a: np.ndarray, y: np.ndarray) -> tuple:
    return lapack.forgiving(np.linalg.solve, a, y)


@op("", grad_name="LinalgSolveExBackward0", strides=(strides_of_columns, None))
def solve_ex(A: Value, B: Value, vector: bool) -> tuple:
    """(X with A X = B, info); leading dimensions broadcast. B (..., n) is one column if vector."""
    right = b.reshape(B, (*B.shape, 1)) if vector else B
    lead = broadcast_shapes(A.shape[:-2], right.shape[:-2])
    shape = (*lead, *right.shape[-2:])
    facts = [(shape, B.dtype), (A.shape[:-2], dtypes.int32)]
    made, info = b.host("matrix_solution", [A, right], facts)
    return b.reshape(made, shape[:-1]) if vector else made, info


@solve_ex.vjp("A", "B")
def _(g0, out0, A, vector):  # type: ignore[no-untyped-def]
    towards = solve_ex(adjoint(A), g0, vector)[0]
    if vector:
        return -(towards.unsqueeze(-1) * conjugate(out0).unsqueeze(-2)), towards
    return -matmul(towards, adjoint(out0)), towards


def solve_matrix(A: Any, B: Any) -> Any:
    """X with A X = B; NaN where A is singular."""
    return solve_ex(A, B, False)[0]


@host_function
def triangular_solution(a: np.ndarray, y: np.ndarray, upper: bool, unit: bool, left: bool) -> tuple:
    if left:
        return (lapack.substitute(a, y, upper, unit),)
    a, y = np.swapaxes(a, -1, -2), np.swapaxes(y, -1, -2)
    return (np.swapaxes(lapack.substitute(a, y, not upper, unit), -1, -2),)


@op("", grad_name="LinalgSolveTriangularBackward0", strides=strides_of_columns)
def solve_triangular_matrix(
    A: Value, B: Value, upper: bool, unitriangular: bool, left: bool = True
) -> Value:
    """X with T X = B (X T = B if not left), T the triangle of A (its diagonal counting as ones if
    unitriangular).
    """
    lead = broadcast_shapes(A.shape[:-2], B.shape[:-2])
    return b.host(
        "triangular_solution",
        [A, B],
        [((*lead, *B.shape[-2:]), B.dtype)],
        (upper, unitriangular, left),
    )[0]


@solve_triangular_matrix.vjp("A", "B")
def _(g, out, A, upper, unitriangular, left):  # type: ignore[no-untyped-def]
    towards = solve_triangular_matrix(adjoint(A), g, not upper, unitriangular, left)
    whole = matmul(towards, adjoint(out)) if left else matmul(adjoint(out), towards)
    offset = int(unitriangular)
    return -(triu(whole, offset) if upper else tril(whole, -offset)), towards


@host_function
def inverse_beyond_rank(
    x: np.ndarray, absolute: np.ndarray, relative: np.ndarray, hermitian: bool
) -> tuple:
    return (lapack.pseudo_inverse(x, absolute, relative, hermitian),)


@op("", grad_name="LinalgPinvBackward0")
def pseudo_inverse(A: Value, absolute: Value, relative: Value, hermitian: bool) -> Value:
    """The pseudoinverse from singular values above max(absolute, relative * the largest); of
    Hermitian matrices from eigenvalues.
    """
    require_matrices("linalg.pinv", A, hermitian)
    *lead, m, n = A.shape
    cuts = [b.cast(cut, A.dtype.real) for cut in (absolute, relative)]
    return b.host("inverse_beyond_rank", [A, *cuts], [((*lead, n, m), A.dtype)], (hermitian,))[0]


@pseudo_inverse.vjp("A")
def _(g, out, A):  # type: ignore[no-untyped-def]
    return towards_inverted(g, out, A)


def towards_inverted(g: Any, inverted: Any, A: Any) -> Any:
    """The gradient of A from that of its pseudoinverse, the rank staying what it is."""
    turned, across = adjoint(inverted), adjoint(g)
    beyond_rows = across - matmul(A, matmul(inverted, across))
    beyond_columns = across - matmul(across, matmul(inverted, A))
    return (
        matmul(beyond_rows, matmul(inverted, turned))
        + matmul(matmul(turned, inverted), beyond_columns)
        - matmul(turned, matmul(g, turned))
    )


@host_function
def least_squares_solution(a: np.ndarray, y: np.ndarray, rcond: float, full_rank: bool) -> tuple:
    """The solution with rows of zeros below it where it has fewer rows than there are
    equations.
    """
    x, rank, sizes, info = lapack.least_squares(a, y, rcond, full_rank)
    short = max(a.shape[-2] - a.shape[-1], 0)
    widths = [(0, 0)] * (x.ndim - 2) + [(0, short), (0, 0)]
    difference = a @ x - y
    residuals = (difference * np.conj(difference)).real.sum(-2)
    return np.pad(x, widths), residuals, rank, sizes, info.astype(np.int32)


@op(
    "",
    grad_name="LinalgLstsqBackward0",
    strides=(strides_of_columns, None, None, None, None),
)
def least_squares(A: Value, B: Value, rcond: float, full_rank: bool) -> tuple:
    """(X of min |A X - B| with max(m, n) rows, |A X - B|^2, rank, singular values, info)."""
    *lead, m, n = A.shape
    count = B.shape[-1]
    facts = [
        ((*lead, max(m, n), count), A.dtype),
        ((*lead, count), A.dtype.real),
        (lead, dtypes.int64),
        ((*lead, min(m, n)), A.dtype.real),
        (lead, dtypes.int32),
    ]
    return tuple(b.host("least_squares_solution", [A, B], facts, (rcond, full_rank)))


@least_squares.vjp("A", "B")
def _(g0, g1, out0, A, B, rcond):  # type: ignore[no-untyped-def]
    n = A.shape[-1]
    towards, solution = g0.narrow(-2, 0, n), out0.narrow(-2, 0, n)
    lead = full(tuple(A.shape[:-2]), 0.0, A.dtype.real)
    inverted = pseudo_inverse(A, lead, lead + rcond, False)
    to_b = matmul(adjoint(inverted), towards)
    to_a = towards_inverted(matmul(towards, adjoint(B)), inverted, A)
    bent = (matmul(A, solution) - B) * (2 * g1).unsqueeze(-2)
    return to_a + matmul(bent, adjoint(solution)), to_b - bent


# --- determinants and exponential ---------------------------------------------------------------


@host_function
def matrix_determinant(x: np.ndarray) -> tuple:
    return (np.linalg.det(x),)


@op("", grad_name="LinalgDetBackward0", guarded=("out",))
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


@host_function
def exponential_of(x: np.ndarray) -> tuple:
    return (lapack.exponential(x),)


@op("torch Tensor", grad_name="LinalgMatrixExpBackward0")
def matrix_exp(input: Value) -> Value:
    """The matrix exponential, sum of A^k / k!, of square matrices (..., n, n). Follows
    `torch.matrix_exp`.

    >>> import rushlight as rl
    >>> rl.matrix_exp(rl.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    wide = opmath(input)
    require_matrices("linalg.matrix_exp", wide, True)
    return b.cast(b.host("exponential_of", [wide], [(wide.shape, wide.dtype)])[0], input.dtype)


@matrix_exp.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    n = input.shape[-1]
    turned = adjoint(input)
    above, below = cat([turned, g], -1 % input.ndim), cat([turned * 0, turned], -1 % input.ndim)
    whole = matrix_exp(cat([above, below], -2 % input.ndim))
    return whole.narrow(-2, 0, n).narrow(-1, n, n)


# --- references ---------------------------------------------------------------------------------


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


def _numpy_triangular(
    a: np.ndarray, y: np.ndarray, upper: bool, unit: bool, left: bool = True
) -> np.ndarray:
    whole = (np.triu(a, 1) if upper else np.tril(a, -1)) + np.eye(3) * (1 if unit else a)
    return y @ np.linalg.inv(whole) if not left else np.linalg.inv(whole) @ y


def _numpy_least_squares(a: np.ndarray, y: np.ndarray, rcond: float, full_rank: bool) -> tuple:
    x, residuals, rank, sizes = np.linalg.lstsq(a, y, rcond)
    rank, sizes = (0, 0 * sizes) if full_rank else (rank, sizes)
    padded = np.vstack([x, np.zeros((len(a) - len(x), y.shape[1]))])
    return padded, residuals, np.array(rank, np.int64), sizes, np.array(0, np.int32)


_FINE = np.zeros(2, np.int32)

inv_ex.test(lambda make: [((_regular(make),), {})], lambda x: (np.linalg.inv(x), _FINE))
solve_ex.test(
    lambda make: [
        ((_regular(make), make(2, 3, 2), False), {}),
        ((_regular(make), make(2, 3), True), {}),
    ],
    lambda a, y, vector: (
        (np.linalg.solve(a, y[..., None])[..., 0], _FINE)
        if vector
        else (np.linalg.solve(a, y), _FINE)
    ),
)
solve_triangular_matrix.test(
    lambda make: [
        ((_regular(make), make(2, 3, 2), True, False), {}),
        ((_regular(make), make(2, 3, 2), False, True), {}),
        ((_regular(make), make(2, 4, 3), False, False, False), {}),
    ],
    _numpy_triangular,
)
pseudo_inverse.test(
    lambda make: [
        ((make(2, 4, 3), np.zeros(2), np.full(2, 1e-6), False), {}),
        ((make(1, 2, 3) + np.ones((2, 2, 3)), np.zeros(2), np.full(2, 1e-6), False), {}),
    ],
    lambda x, absolute, relative, hermitian: np.linalg.pinv(x, rcond=1e-6),
)
least_squares.test(
    lambda make: [((make(5, 3), make(5, 2), 1e-6, full), {}) for full in (False, True)],
    _numpy_least_squares,
)
det.test(lambda make: [((_regular(make),), {})], np.linalg.det)
cofactors.test(lambda make: [((_regular(make),), {})], _numpy_cofactors)
slogdet.test(lambda make: [((_regular(make),), {})], lambda x: tuple(np.linalg.slogdet(x)))
matrix_exp.test(
    lambda make: [((make(2, 3, 3),), {}), ((5 * make(1, 2, 2),), {})], _numpy_exponential
)
