"""Factors of low rank against PyTorch (the same random blocks), and against full factors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ops.oracle import fails_alike, normal

import rushlight as rl


def positive(order: int) -> np.ndarray:
    x = normal(order, order)
    return x @ x.T


@pytest.mark.parametrize("function", ["svd_lowrank", "pca_lowrank"])
@pytest.mark.parametrize("shape", [(12, 7), (7, 12), (2, 9, 6)])
def test_same_seed_same_factors(function: str, shape: tuple) -> None:
    torch = pytest.importorskip("torch")
    made = []
    for lib in (rl, torch):
        lib.manual_seed(3)
        made.append(getattr(lib, function)(lib.from_numpy(normal(*shape)), q=3))
    for ours, theirs in zip(*made, strict=True):
        assert ours.stride() == theirs.stride()
        np.testing.assert_allclose(np.abs(ours.numpy()), np.abs(theirs.numpy()), atol=1e-9)


def test_a_matrix_of_low_rank_is_found_exactly() -> None:
    x = normal(30, 2) @ normal(2, 20, seed=1)
    u, s, v = rl.svd_lowrank(rl.from_numpy(x + 1), q=4, M=rl.ones(20, dtype=rl.float64))
    np.testing.assert_allclose(((u * s) @ v.mT).numpy(), x, atol=1e-9)
    assert s[2:].abs().max().item() < 1e-9


def test_gradient_flows_through_the_factors() -> None:
    x = rl.from_numpy(normal(8, 5)).requires_grad_()
    rl.svd_lowrank(x, q=5)[1].square().sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.detach().numpy(), atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"k": 3}, {"k": 2, "largest": False}, {"method": "basic"}])
@pytest.mark.parametrize("generalized", [False, True])
def test_lobpcg(options: dict, generalized: bool) -> None:
    a = positive(20)
    b = np.eye(20) + positive(20) / 100 if generalized else np.eye(20)
    given = rl.from_numpy(b) if generalized else None
    values, vectors = rl.lobpcg(rl.from_numpy(a), B=given, **options)
    expected = np.sort(np.linalg.eigvals(np.linalg.solve(b, a)).real)
    count = options.get("k", 1)
    wanted = expected[:count] if options.get("largest") is False else expected[::-1][:count]
    np.testing.assert_allclose(values.numpy(), wanted, rtol=1e-6)
    x = vectors.numpy()
    np.testing.assert_allclose(a @ x, b @ x * wanted, atol=1e-4)


def test_lobpcg_gradient() -> None:
    torch = pytest.importorskip("torch")
    grads = []
    for lib in (rl, torch):
        a = lib.from_numpy(positive(9)).requires_grad_()
        values, vectors = lib.lobpcg(a, 2)
        (values.sum() + (vectors**2)[0].sum()).backward()
        grads.append(a.grad.numpy())
    np.testing.assert_allclose(*grads, atol=1e-6)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (lambda lib: lib.pca_lowrank(lib.ones(3, 3), q=5), "not greater than min(m, n)"),
        (lambda lib: lib.pca_lowrank(lib.ones(3, 3), niter=-1), "non-negative integer"),
        (lambda lib: lib.lobpcg(lib.eye(4), k=2), "3 x the number of requested eigenpairs"),
    ],
)
def test_errors(expression: Any, words: str) -> None:
    fails_alike(expression, words)
