"""`.grad` has memory of its own, in its leaf's order of dimensions."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import agree

import rushlight as rl

pytest.importorskip("torch")


def test_leaves_never_share_a_gradient() -> None:
    def program(t: Any) -> Any:
        x, y = t.ones(2, 2, requires_grad=True), t.ones(2, 2, requires_grad=True)
        (x + y).sum().backward()
        x.grad.mul_(5)
        return x.grad, y.grad

    agree(program)


def test_the_callers_gradient_is_not_taken() -> None:
    def program(t: Any) -> Any:
        x, g = t.ones(3, requires_grad=True), t.ones(3)
        x.backward(g)
        x.backward(g)
        g.mul_(7)
        return x.grad, g

    agree(program)


def test_a_saved_tensor_is_not_taken() -> None:
    def program(t: Any) -> Any:
        class Give(t.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any, kept: Any) -> Any:
                ctx.save_for_backward(kept)
                return x * 1

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return ctx.saved_tensors[0], None

        x, kept = t.ones(3, requires_grad=True), t.arange(3.0)
        Give.apply(x, kept).sum().backward()
        x.grad.add_(1)
        return x.grad, kept

    agree(program)


def test_strides_are_the_leafs() -> None:
    def program(t: Any) -> Any:
        x = t.ones(3, 4).t().requires_grad_()
        (x * t.arange(12.0).reshape(4, 3)).sum().backward()
        y = t.ones(5, requires_grad=True)
        y.sum().backward()
        return x.grad, y.grad

    agree(program)


def test_a_gradient_that_nobody_else_holds_is_not_copied() -> None:
    x = rl.ones(3, requires_grad=True)
    seen: list[Any] = []
    (x * 2).sum().backward()  # the walk lets go of what it sent
    first = x.grad
    x.register_hook(lambda g: seen.append(g._storage))
    x.grad = None
    (x * 2).sum().backward()
    assert first is not None and x.grad is not None
    assert x.grad._storage is seen[0]
