"""Linear algebra against PyTorch: factors, solutions, norms, gradients twice over, and errors.

Factors are unique up to signs or phases only, so what is compared is made invariant first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ops.oracle import agree, fails_alike, normal

Expression = Callable[..., Any]


def regular(*shape: int, seed: int = 0) -> np.ndarray:
    return normal(*shape, seed=seed) + 2 * np.eye(shape[-1])


def positive(lib: Any, x: Any) -> Any:
    return x @ x.transpose(-2, -1) + lib.eye(x.shape[-1], dtype=x.dtype)


SQUARE: dict[str, Expression] = {
    "inv": lambda lib, x: lib.linalg.inv(x),
    "inverse": lambda lib, x: lib.inverse(x),
    "det": lambda lib, x: lib.det(x),
    "slogdet": lambda lib, x: lib.slogdet(x)[1],
    "logdet": lambda lib, x: lib.logdet(positive(lib, x)),
    "cholesky": lambda lib, x: lib.linalg.cholesky(positive(lib, x)),
    "cholesky upper": lambda lib, x: lib.linalg.cholesky(positive(lib, x), upper=True),
    "eigvalsh": lambda lib, x: lib.linalg.eigvalsh(positive(lib, x)),
    "eigh": lambda lib, x: lib.linalg.eigh(positive(lib, x))[1] ** 2,
    "eigvals": lambda lib, x: lib.linalg.eigvals(positive(lib, x)).abs().sum(-1),
    "svdvals": lambda lib, x: lib.linalg.svdvals(x),
    "matrix_exp": lambda lib, x: lib.linalg.matrix_exp(x),
    "lu": lambda lib, x: tuple(lib.linalg.lu(x))[1:],
    "matrix_power": lambda lib, x: lib.linalg.matrix_power(x, -2),
    "cond": lambda lib, x: lib.linalg.cond(x),
    "cond 1": lambda lib, x: lib.linalg.cond(x, 1),
    "cholesky_solve": lambda lib, x: lib.cholesky_solve(x, lib.linalg.cholesky(positive(lib, x))),
    "cholesky_inverse": lambda lib, x: lib.cholesky_inverse(lib.linalg.cholesky(positive(lib, x))),
}


# how often PyTorch 2.13 can differentiate: its cond overwrites what its own backward needs
DEPTHS = {"eigvals": 1, "lu": 1, "cond 1": 0}


@pytest.mark.parametrize("name", SQUARE)
def test_square(name: str) -> None:
    agree(
        SQUARE[name],
        regular(2, 3, 3),
        tolerance=1e-7,
        depth=DEPTHS.get(name, 2),
    )


ANY: dict[str, Expression] = {
    "pinv": lambda lib, x: lib.linalg.pinv(x),
    "nuclear": lambda lib, x: lib.linalg.matrix_norm(x, "nuc"),
    "frobenius": lambda lib, x: lib.linalg.matrix_norm(x),
    "spectral": lambda lib, x: lib.linalg.norm(x, 2, dim=(-2, -1), keepdim=True),
    "columns": lambda lib, x: lib.linalg.matrix_norm(x, 1),
    "rows": lambda lib, x: lib.linalg.matrix_norm(x, float("inf"), keepdim=True),
    "qr r": lambda lib, x: lib.linalg.qr(x)[1] ** 2,
    "qr q": lambda lib, x: lib.linalg.qr(x)[0] ** 2,
    "svd u": lambda lib, x: lib.linalg.svd(x, full_matrices=False)[0] ** 2,
    "svd v": lambda lib, x: lib.linalg.svd(x, full_matrices=False)[2] ** 2,
    "svd old": lambda lib, x: lib.svd(x)[2] ** 2,
    "vector": lambda lib, x: lib.linalg.norm(x),
}


@pytest.mark.parametrize("shape", [(2, 4, 3), (3, 5), (3, 3)])
@pytest.mark.parametrize("name", ANY)
def test_any_matrix(name: str, shape: tuple) -> None:
    agree(ANY[name], normal(*shape), tolerance=1e-7)


@pytest.mark.parametrize(
    "shapes",
    [
        [(3, 3), (3,)],
        [(3, 3), (3, 2)],
        [(2, 3, 3), (2, 3)],
        [(2, 3, 3), (2, 3, 4)],
        [(3, 3), (5, 3, 2)],
    ],
)
def test_solve(shapes: list) -> None:
    a, y = regular(*shapes[0]), normal(*shapes[1], seed=1)
    agree(lambda lib, a, y: lib.linalg.solve(a, y), a, y, tolerance=1e-8)
    if len(shapes[1]) > 1 and shapes[1] != (2, 3):
        agree(
            lambda lib, a, y: lib.linalg.solve(a, y.transpose(-2, -1), left=False),
            a,
            y,
            tolerance=1e-8,
        )
        for upper in (False, True):
            for unit in (False, True):
                agree(
                    lambda lib, a, y, u=upper, t=unit: lib.linalg.solve_triangular(
                        a, y, upper=u, unitriangular=t
                    ),
                    a,
                    y,
                    tolerance=1e-7,
                )


def test_singular_matrices_have_a_gradient_of_the_determinant() -> None:
    singular = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])
    agree(lambda lib, x: lib.det(x), singular + 0, depth=0, tolerance=1e-9)
    from rushlight import det, tensor

    x = tensor(singular.tolist(), requires_grad=True)
    det(x).backward()
    cofactors = [
        [
            np.linalg.det(np.delete(np.delete(singular, i, 0), j, 1)) * (-1) ** (i + j)
            for j in range(3)
        ]
        for i in range(3)
    ]
    np.testing.assert_allclose(x.grad.tolist(), cofactors, atol=1e-5)


COMPLEX: dict[str, Expression] = {
    "inv": lambda lib, x: lib.linalg.inv(x),
    "det": lambda lib, x: lib.det(x),
    "slogdet": lambda lib, x: tuple(lib.linalg.slogdet(x)),
    "cholesky": lambda lib, x: lib.linalg.cholesky(
        x @ lib.conj_physical(x.transpose(-2, -1)) + lib.eye(3, dtype=x.dtype)
    ),
    "eigvalsh": lambda lib, x: lib.linalg.eigvalsh(x @ lib.conj_physical(x.transpose(-2, -1))),
    "svdvals": lambda lib, x: lib.linalg.svdvals(x),
    "pinv": lambda lib, x: lib.linalg.pinv(x),
    "solve": lambda lib, x: lib.linalg.solve(x, x.transpose(-2, -1) + 0),
    "matrix_exp": lambda lib, x: lib.linalg.matrix_exp(x),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name: str) -> None:
    agree(COMPLEX[name], regular(3, 3) + 1j * normal(3, 3, seed=1), tolerance=1e-7, depth=1)


def test_factors_multiply_to_the_matrix() -> None:
    import rushlight as rl

    x = rl.tensor(normal(2, 4, 3).tolist(), dtype=rl.float64)
    q, r = rl.linalg.qr(x)
    u, s, vh = rl.linalg.svd(x, full_matrices=False)
    p, lower, upper = rl.linalg.lu(x)
    for made in (q @ r, (u * s.unsqueeze(-2)) @ vh, p @ lower @ upper):
        np.testing.assert_allclose(made.numpy(), x.numpy(), atol=1e-12)
    square = x.narrow(-2, 0, 3)
    values, vectors = rl.linalg.eig(square)
    wide = square.to(rl.complex128)
    np.testing.assert_allclose(
        (wide @ vectors).numpy(), (vectors * values.unsqueeze(-2)).numpy(), atol=1e-10
    )


OTHERS: dict[str, tuple[Expression, list]] = {
    "rank": (lambda lib, x: lib.linalg.matrix_rank(x), [np.outer([1.0, 2, 3], [1.0, 0, 1])]),
    "lstsq": (
        lambda lib, a, y: tuple(lib.linalg.lstsq(a, y))[:3],
        [normal(5, 3), normal(5, 2, seed=1)],
    ),
    "cross": (lambda lib, x, y: lib.linalg.cross(x, y), [normal(2, 3), normal(2, 3, seed=1)]),
    "vander": (lambda lib, x: lib.linalg.vander(x, N=4), [normal(3)]),
    "tensorinv": (lambda lib, x: lib.linalg.tensorinv(x, 1), [regular(4, 4).reshape(4, 2, 2)]),
    "tensorsolve": (
        lambda lib, a, y: lib.linalg.tensorsolve(a, y),
        [regular(4, 4).reshape(2, 2, 4), normal(2, 2)],
    ),
    "householder": (
        lambda lib, a, t: lib.linalg.householder_product(a, t),
        [normal(4, 3), normal(3)],
    ),
    "multi_dot": (
        lambda lib, a, b, c: lib.linalg.multi_dot([a, b, c]),
        [normal(2, 3), normal(3, 5), normal(5)],
    ),
    "vecdot": (lambda lib, a, b: lib.linalg.vecdot(a, b), [normal(2, 3), normal(2, 3, seed=1)]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_others(name: str) -> None:
    expression, arrays = OTHERS[name]
    agree(
        expression, *arrays, tolerance=1e-8, depth=0 if name in ("rank", "lstsq", "vander") else 1
    )


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (
            lambda lib: lib.linalg.inv(lib.zeros(2, 3)),
            "A must be batches of square matrices, but they are 2 by 3 matrices",
        ),
        (lambda lib: lib.linalg.inv(lib.zeros(3)), "must have at least 2 dimensions"),
        (lambda lib: lib.linalg.inv(lib.zeros(3, 3).int()), "Got Int"),
        (
            lambda lib: lib.linalg.inv(lib.zeros(3, 3).half()),
            "Low precision dtypes not supported. Got Half",
        ),
        (lambda lib: lib.linalg.solve(lib.eye(3), lib.zeros(4, 2)), "(3x3 and 4x2)"),
        (lambda lib: lib.linalg.solve(lib.eye(3), lib.zeros(3).double()), "same dtype"),
        (lambda lib: lib.linalg.qr(lib.zeros(3, 2), mode="foo"), "unrecognized mode 'foo'"),
        (lambda lib: lib.linalg.matrix_norm(lib.eye(2), "foo"), "Order foo not supported"),
        (lambda lib: lib.linalg.cross(lib.zeros(2, 3), lib.zeros(2, 4)), "Got 3 and 4"),
    ],
)
def test_errors(expression: Expression, words: str) -> None:
    fails_alike(expression, words)


@pytest.mark.parametrize(
    "expression",
    [
        lambda lib: lib.linalg.inv(lib.zeros(2, 3, 3)),
        lambda lib: lib.linalg.cholesky(-lib.eye(3)),
        lambda lib: lib.linalg.solve(lib.zeros(3, 3), lib.zeros(3)),
    ],
)
def test_singular_matrices(expression: Expression) -> None:
    import rushlight as rl

    with pytest.raises(rl.linalg.LinAlgError):
        expression(rl).tolist()
    assert issubclass(rl.linalg.LinAlgError, RuntimeError)
