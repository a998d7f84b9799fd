"""L D L^H factors of symmetric and Hermitian matrices that need not be positive-definite.

In: (..., n, n) matrices, of which the lower triangle is read. Out: L and D in one matrix, exchanges
as LAPACK's sytrf and hetrf give them, and solutions. Invariant: what depends on the factors refuses
to be differentiated, as in PyTorch; a solution has the gradient of its right hand side.
"""

from __future__ import annotations

import numpy as np

from ..base import dtype as dtypes
from ..base.layout import broadcast_shapes
from ..graph import build as b
from ..graph.host import host_function
from . import lapack
from .common import conjugate
from .linalg import require_matrices
from .registry import Value, op
from .signature import strides_of_columns


@host_function
def symmetric_factors(x: np.ndarray, hermitian: bool) -> tuple:
    made = np.tril(x)
    pivots, info = np.zeros(x.shape[:-1], np.int32), np.zeros(x.shape[:-2], np.int32)
    for place in np.ndindex(*info.shape):
        pivots[place], info[place] = lapack.bunch_kaufman(made[place], hermitian)
    return made, pivots, info


@op("", grad_name="LinalgLdlFactorExBackward0", strides=(strides_of_columns, None, None))
def ldl_packed(A: Value, hermitian: bool) -> tuple:
    """(L below D, exchanges, info); D has blocks of order 1 and 2."""
    require_matrices("torch.linalg.ldl_factor_ex", A, True)
    facts = [(A.shape, A.dtype), (A.shape[:-1], dtypes.int32), (A.shape[:-2], dtypes.int32)]
    return tuple(b.host("symmetric_factors", [A], facts, (hermitian and A.dtype.is_complex,)))


@ldl_packed.vjp("A")
def _(g0):  # type: ignore[no-untyped-def]
    raise NotImplementedError("the derivative for 'linalg.ldl_factor' is not implemented")


@host_function
def symmetric_solution(
    packed: np.ndarray, pivots: np.ndarray, y: np.ndarray, hermitian: bool
) -> tuple:
    lead = np.broadcast_shapes(packed.shape[:-2], y.shape[:-2])
    made = np.broadcast_to(y, (*lead, *y.shape[-2:])).copy()
    packed = np.broadcast_to(packed, (*lead, *packed.shape[-2:]))
    pivots = np.broadcast_to(pivots, (*lead, pivots.shape[-1]))
    for place in np.ndindex(*lead):
        made[place] = lapack.ldl_substitute(packed[place], pivots[place], made[place], hermitian)
    return (made,)


@op("", grad_name="LinalgLdlSolveBackward0", strides=strides_of_columns)
def ldl_solution(LD: Value, pivots: Value, B: Value, hermitian: bool) -> Value:
    """X with A X = B, given the factors of A."""
    lead = broadcast_shapes(LD.shape[:-2], B.shape[:-2])
    facts = [((*lead, *B.shape[-2:]), B.dtype)]
    arguments = (hermitian and B.dtype.is_complex,)
    return b.host("symmetric_solution", [LD, pivots, B], facts, arguments)[0]


@ldl_solution.vjp("B")
def _(g, LD, pivots, hermitian):  # type: ignore[no-untyped-def]
    if hermitian:
        return ldl_solution(LD.detach(), pivots, g, True)
    return ldl_solution(conjugate(LD.detach()), pivots, g, False)  # A^H = conj(A)


@ldl_solution.vjp("LD")
def _(g):  # type: ignore[no-untyped-def]
    raise NotImplementedError("the derivative for 'linalg.ldl_solve' by LD is not implemented")


# --- references ---------------------------------------------------------------------------------


def _symmetric() -> np.ndarray:
    """Factors without an exchange and with a block of order two, by hand: the diagonal is small
    beside what stands below it.
    """
    return np.array([[[0.1, 2.0, 0.5], [2.0, 0.2, 1.0], [0.5, 1.0, 3.0]]])


def _numpy_ldl(x: np.ndarray, hermitian: bool) -> tuple:
    made = np.tril(x)
    block = x[0, :2, :2]
    factor = made[0, 2, :2] @ np.linalg.inv(block)
    made[0, 2, 2] -= factor @ made[0, 2, :2]
    made[0, 2, :2] = factor
    return made, np.array([[-2, -2, 3]], np.int32), np.zeros(1, np.int32)


def _numpy_ldl_solution(
    packed: np.ndarray, pivots: np.ndarray, y: np.ndarray, hermitian: bool
) -> np.ndarray:
    lower, middle = np.eye(3), np.zeros((3, 3))
    lower[2, :2] = packed[0, 2, :2]
    middle[:2, :2] = packed[0, :2, :2]
    middle[0, 1], middle[2, 2] = packed[0, 1, 0], packed[0, 2, 2]
    return np.linalg.solve(lower @ middle @ lower.T, y)


ldl_packed.test(lambda make: [((_symmetric(), False), {})], _numpy_ldl)
ldl_solution.test(
    lambda make: [
        (
            (_symmetric(), np.array([[-2, -2, 3]], np.int32), make(1, 3, 2), False),
            {},
        )
    ],
    _numpy_ldl_solution,
)
