"""NumPy algorithms beside LAPACK: products of the factors are the matrix, also where blocks are
used, and `info` says which matrix of a batch fails and where.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from rushlight.ops import lapack

KINDS = ("float32", "float64", "complex128")
TOLERANCE = {"float32": 2e-3, "float64": 1e-10, "complex128": 1e-10}


def random(*shape: int, kind: str = "float64", seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    made = generator.standard_normal(shape)
    if kind.startswith("complex"):
        made = made + 1j * generator.standard_normal(shape)
    return made.astype(kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 3, 3), (70, 70), (100, 40), (2, 40, 90), (0, 3), (0, 2, 2)])
def test_elimination(shape: tuple, kind: str) -> None:
    x = random(*shape, kind=kind)
    packed, pivots = lapack.eliminate(x)
    assert packed.dtype == x.dtype and pivots.dtype == np.int32
    m, n = shape[-2:]
    k = min(m, n)
    lower = np.tril(packed[..., :, :k], -1) + np.eye(m, k)
    assert (lapack.magnitude(lower) <= (2 if kind.startswith("complex") else 1)).all()
    product = lower @ np.triu(packed[..., :k, :])
    order = lapack.row_order(pivots.reshape(math.prod(shape[:-2]), k) - 1, m).reshape(
        *shape[:-2], m
    )
    exchanged = np.take_along_axis(x, order[..., None], -2)
    np.testing.assert_allclose(product, exchanged, atol=TOLERANCE[kind])


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_substitution(upper: bool, unit: bool) -> None:
    t, y = random(3, 1, 80, 80) / 20 + np.eye(80), random(2, 80, 4, seed=1)
    whole = np.triu(t, int(unit)) if upper else np.tril(t, -int(unit))
    whole = whole + np.eye(80) * unit
    x = lapack.substitute(t, y, upper, unit)
    assert x.shape == (3, 2, 80, 4)
    np.testing.assert_allclose(whole @ x, np.broadcast_to(y, x.shape), atol=1e-9)


def test_info_names_the_matrix_and_the_place() -> None:
    singular = np.array([[4.0, 2, 1], [2, 1, 5], [4, 2, 1]])
    batch = np.stack([np.eye(3), singular, np.zeros((3, 3))])
    made, info = lapack.forgiving(np.linalg.inv, batch)
    assert info.tolist() == [0, 2, 1]
    np.testing.assert_array_equal(made[0], np.eye(3))
    assert np.isnan(made[1:]).all()
    solved, info = lapack.forgiving(np.linalg.solve, batch, np.ones((3, 1)))
    assert info.tolist() == [0, 2, 1] and solved.shape == (3, 3, 1)
    assert np.isnan(solved[1:]).all() and (solved[0] == 1).all()
    assert lapack.zero_pivot(np.diag([1.0, 0.0, 0.0])) == 2
    assert lapack.zero_pivot(np.eye(3)) == 0


def test_cholesky_stops_at_the_first_minor_that_is_not_positive() -> None:
    x = np.array([[4.0, 2, 1], [2, 1, 5], [1, 5, 7]])
    made, info = lapack.cholesky(np.stack([x, np.eye(3), -np.eye(3)]))
    assert info.tolist() == [2, 0, 1]
    assert made[0, 0, 0] == 2 and (made[1] == np.eye(3)).all()


@pytest.mark.parametrize("kind", ["float64", "complex128"])
@pytest.mark.parametrize("hermitian", [False, True])
@pytest.mark.parametrize("order", [1, 2, 5, 12])
def test_indefinite_factors_solve(order: int, hermitian: bool, kind: str) -> None:
    turn = np.conj if hermitian else np.positive
    for seed in range(6):
        x = random(order, order, kind=kind, seed=seed)
        x = x + turn(x.T)
        y = random(order, 2, kind=kind, seed=99)
        packed = np.tril(x)
        pivots, info = lapack.bunch_kaufman(packed, hermitian)
        assert info == 0
        solved = lapack.ldl_substitute(packed, pivots, y, hermitian)
        np.testing.assert_allclose(x @ solved, y, atol=1e-8)


def test_indefinite_factors_of_a_singular_matrix() -> None:
    packed = np.zeros((3, 3))
    pivots, info = lapack.bunch_kaufman(packed, False)
    assert pivots.tolist() == [1, 2, 3] and info == 1


@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (2, 5, 4), (0, 3), (3, 0)])
@pytest.mark.parametrize("full_rank", [False, True])
def test_least_squares(shape: tuple, full_rank: bool) -> None:
    a, y = random(*shape), random(*shape[:-1], 2, seed=1)
    x, rank, sizes, info = lapack.least_squares(a, y, 1e-12, full_rank)
    np.testing.assert_allclose(x, np.linalg.pinv(a) @ y, atol=1e-9)
    assert not info.any() and sizes.shape[-1] == min(shape[-2:])
    assert full_rank or (rank == min(shape[-2:])).all()


def test_exponential_of_large_and_of_no_matrices() -> None:
    turn = np.array([[0.0, -20.0], [20.0, 0.0]])  # a rotation by twenty radians
    expected = [[np.cos(20), -np.sin(20)], [np.sin(20), np.cos(20)]]
    np.testing.assert_allclose(lapack.exponential(turn), expected, atol=1e-12)
    assert lapack.exponential(np.zeros((0, 2, 2))).shape == (0, 2, 2)
    assert np.isnan(lapack.exponential(np.full((2, 2), np.nan))).all()
