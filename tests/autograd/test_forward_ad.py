"""Dual tensors: tangents of what is computed, and the rules of the level they live in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rushlight as rl
import rushlight.autograd.forward_ad as fwAD


def same(found: Any, wanted: Any) -> None:
    assert tuple(found.shape) == tuple(wanted.shape)
    np.testing.assert_allclose(
        np.asarray(found.detach()), np.asarray(wanted.detach()), rtol=1e-6, atol=1e-7
    )


def slope(function: Callable, x: Any, t: Any) -> Any:
    """The central difference along t."""
    return (function(x + 1e-6 * t) - function(x - 1e-6 * t)) / 2e-6


def in_place(x: Any) -> Any:
    made = x.clone()
    made[0] = x[1] * 3
    made[1:].mul_(x[:-1])
    return made.exp_()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x * x).sum(),
        lambda x: x.reshape(3, 1).expand(3, 2).t().softmax(1)[0],
        lambda x: rl.cat([x, x.sin()]).max(0)[0],
        lambda x: rl.linalg.solve(rl.diag(x + 3) + rl.outer(x, x) / 9, x),
        in_place,
    ],
)
def test_tangents(function: Callable) -> None:
    x = rl.tensor([0.5, -1.0, 2.0], dtype=rl.float64)
    t = rl.tensor([1.0, 0.25, -2.0], dtype=rl.float64)
    with fwAD.dual_level():
        primal, tangent = fwAD.unpack_dual(function(fwAD.make_dual(x, t)))
    same(primal, function(x))
    np.testing.assert_allclose(tangent.numpy(), slope(function, x, t).numpy(), rtol=1e-6, atol=1e-8)
    assert not primal.requires_grad
    assert not tangent.requires_grad


def test_complex_numbers() -> None:
    x, t = rl.tensor([1 + 2j, -0.5j]), rl.tensor([0.5 - 1j, 2 + 0j])
    with fwAD.dual_level():
        found = fwAD.unpack_dual((fwAD.make_dual(x, t) ** 2).exp()).tangent
    same(rl.view_as_real(found), rl.view_as_real((x**2).exp() * 2 * x * t))


def test_forward_over_reverse() -> None:
    x, t = rl.randn(3, dtype=rl.float64), rl.randn(3, dtype=rl.float64)

    def function(x: Any) -> Any:
        return (x.sin() * x.prod()).sum()

    with fwAD.dual_level():
        dual = fwAD.make_dual(x, t)
        (gradient,) = rl.autograd.grad(function(dual), dual)
        product = fwAD.unpack_dual(gradient).tangent
    same(product, rl.autograd.functional.hessian(function, x) @ t)


def test_reverse_over_forward() -> None:
    x = rl.randn(3, dtype=rl.float64, requires_grad=True)
    t = rl.randn(3, dtype=rl.float64)
    with fwAD.dual_level():
        tangent = fwAD.unpack_dual((fwAD.make_dual(x, t) ** 3).sum()).tangent
    (found,) = rl.autograd.grad(tangent, x)
    same(found, 6 * x * t)


def test_what_depends_on_no_dual_tensor_has_no_tangent() -> None:
    x = rl.ones(2, requires_grad=True)
    with fwAD.dual_level():
        fwAD.make_dual(rl.ones(2), rl.ones(2))
        assert fwAD.unpack_dual(x * 2).tangent is None
        assert fwAD.unpack_dual(rl.ones(2)).tangent is None
        assert fwAD.unpack_dual(fwAD.make_dual(x, x).detach()).tangent is None


def test_the_level() -> None:
    x = rl.ones(2)
    with pytest.raises(RuntimeError, match="no level exists"):
        fwAD.make_dual(x, x)
    with fwAD.dual_level():
        dual = fwAD.make_dual(x, x)
        with pytest.raises(RuntimeError, match="Nested forward mode AD"), fwAD.dual_level():
            pass
        with pytest.raises(RuntimeError, match="different size"):
            fwAD.make_dual(x, rl.ones(3))
        with pytest.raises(RuntimeError, match="dtype"):
            fwAD.make_dual(x, x.double())
        with pytest.raises(ValueError, match="floating point"):
            fwAD.make_dual(rl.tensor([1]), rl.tensor([1]))
        with pytest.raises(RuntimeError, match="already"):
            fwAD.make_dual(dual, x)
    assert fwAD.unpack_dual(dual).tangent is None
    with pytest.raises(RuntimeError, match="no level is open"):
        fwAD.exit_dual_level()


def test_a_function_pushes_with_its_own_jvp() -> None:
    class Scale(rl.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, by: float) -> Any:
            ctx.by = by
            ctx.save_for_forward(x)
            return x * by, x.sum()

        @staticmethod
        def jvp(ctx: Any, tangent: Any, by: Any) -> Any:
            assert by is None
            (x,) = ctx.saved_tensors
            return tangent * ctx.by, (tangent * x).sum()  # not the slope, so that it is seen

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            raise AssertionError("forward mode must not ask for it")

    with fwAD.dual_level():
        a, b = Scale.apply(fwAD.make_dual(rl.full((2,), 5.0), rl.ones(2)), 3.0)
        assert fwAD.unpack_dual(a).tangent.tolist() == [3.0, 3.0]
        assert fwAD.unpack_dual(b).tangent.item() == 10.0

    class None_(rl.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    with fwAD.dual_level():
        made = None_.apply(fwAD.make_dual(rl.ones(2), rl.ones(2)))
        with pytest.raises(NotImplementedError, match="implement the jvp"):
            fwAD.unpack_dual(made)
