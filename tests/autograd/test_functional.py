"""Jacobians, Hessians and products with vectors against PyTorch; hooks on what the tape saves;
Variable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from agreement import agree

import rushlight as rl

pytest.importorskip("torch")


def point(t: Any) -> Any:
    return t.tensor([0.5, -1.0, 2.0])


def matrix(t: Any) -> Any:
    return t.tensor([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]])


def tools(t: Any) -> Any:
    return t.autograd.functional


def several(x: Any, m: Any) -> tuple[Any, Any]:
    return (x @ m).exp() * 0.1, (x * x).sum() * m[0]


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "jacobian": lambda t: tools(t).jacobian(lambda x: x * x.sum(), point(t)),
    "jacobian of several": lambda t: tools(t).jacobian(several, (point(t), matrix(t))),
    "jacobian not reached": lambda t: tools(t).jacobian(lambda x, m: x * 2, (point(t), matrix(t))),
    "jacobian strict": lambda t: tools(t).jacobian(
        lambda x, m: x * 2, (point(t), matrix(t)), strict=True
    ),
    "jacobian of a number": lambda t: tools(t).jacobian(lambda x: x.sum(), point(t)),
    "hessian": lambda t: tools(t).hessian(lambda x: (x**3).sum() * x[0], point(t)),
    "hessian of several": lambda t: tools(t).hessian(
        lambda x, m: several(x, m)[0].sum(), (point(t), matrix(t))
    ),
    "hessian of a vector": lambda t: tools(t).hessian(lambda x: x * x, point(t)),
    "vjp": lambda t: tools(t).vjp(lambda x: x * x.sum(), point(t), t.ones(3)),
    "vjp without a vector": lambda t: tools(t).vjp(lambda x: x * 2, point(t)),
    "vjp of another shape": lambda t: tools(t).vjp(lambda x: x * 2, point(t), t.ones(2)),
    "jvp": lambda t: tools(t).jvp(lambda x: x.exp() * x.sum(), point(t), t.tensor([1.0, 2.0, 3.0])),
    "jvp of several": lambda t: tools(t).jvp(
        several, (point(t), matrix(t)), (t.ones(3), t.ones(3, 2))
    ),
    "vhp": lambda t: tools(t).vhp(
        lambda x: (x**3).sum() * x[0], point(t), t.tensor([1.0, 2.0, 3.0])
    ),
    "hvp": lambda t: tools(t).hvp(
        lambda x: (x**3).sum() * x[0], point(t), t.tensor([1.0, 2.0, 3.0])
    ),
    "no tensor": lambda t: tools(t).jacobian(lambda x: x, 3),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    agree(PROGRAMS[name], strides=False, tolerance=1e-5)


def test_results_can_be_differentiated() -> None:
    def program(t: Any) -> Any:
        x = point(t).requires_grad_()
        found = tools(t).jacobian(lambda x: x * x * x, x, create_graph=True)
        found.sum().backward()
        return x.grad

    agree(program, tolerance=1e-6)


def test_hooks_on_saved_tensors() -> None:
    packed: list[Any] = []
    x = rl.tensor([1.0, 2.0], requires_grad=True)
    with rl.autograd.graph.saved_tensors_hooks(
        lambda t: packed.append(t) or 2 * t.detach(), lambda t: t / 2
    ):
        y = x * x.exp()
    assert packed
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx(
        [(1 + v) * 2.718281828459045**v for v in (1.0, 2.0)], rel=1e-6
    )


def test_variable_is_a_tensor() -> None:
    x = rl.autograd.Variable(rl.ones(2), requires_grad=True)
    assert x.requires_grad and isinstance(x, rl.autograd.Variable) and isinstance(x, rl.Tensor)


def test_gradient_edges() -> None:
    x = rl.ones(2, requires_grad=True)
    y = x * 2
    assert rl.autograd.graph.get_gradient_edge(y) == (y.grad_fn, 0)
    with pytest.raises(RuntimeError):
        rl.autograd.graph.get_gradient_edge(rl.ones(2))


@pytest.mark.parametrize(
    "how", [{"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}]
)
def test_all_rows_or_columns_at_once(how: dict) -> None:
    def function(x: Any, y: Any) -> Any:
        return (x[:, None] * y).sin().sum(0), x.exp()

    point = rl.randn(3, dtype=rl.float64), rl.randn(2, dtype=rl.float64)
    plain = rl.autograd.functional.jacobian(function, point)
    for found, wanted in zip(rl.autograd.functional.jacobian(function, point, **how), plain):
        for a, b in zip(found, wanted):
            assert rl.allclose(a, b)
            assert not a.requires_grad


def test_hessian_strategies() -> None:
    def function(x: Any) -> Any:
        return (x**3).prod()

    x = rl.randn(3, dtype=rl.float64)
    plain = rl.autograd.functional.hessian(function, x)
    for strategy in ("reverse-mode", "forward-mode"):
        found = rl.autograd.functional.hessian(
            function, x, vectorize=True, outer_jacobian_strategy=strategy
        )
        assert rl.allclose(found, plain)


def test_strategies_that_exclude_each_other() -> None:
    jacobian, x = rl.autograd.functional.jacobian, rl.ones(2)
    with pytest.raises(RuntimeError, match="strict=True"):
        jacobian(rl.exp, x, vectorize=True, strict=True)
    with pytest.raises(NotImplementedError, match="vectorize"):
        jacobian(rl.exp, x, strategy="forward-mode")
    with pytest.raises(NotImplementedError, match="create_graph"):
        jacobian(rl.exp, x, vectorize=True, strategy="forward-mode", create_graph=True)
    with pytest.raises(AssertionError, match="Expected strategy"):
        jacobian(rl.exp, x, strategy="sideways")


def test_batched_cotangents_take_one_walk() -> None:
    x, unused = rl.randn(3, requires_grad=True), rl.ones(1, requires_grad=True)
    y = x.sin() * x.sum()
    found = rl.autograd.grad(
        y, (x, unused), rl.eye(3), is_grads_batched=True, allow_unused=True, retain_graph=True
    )
    assert rl.allclose(found[0], rl.autograd.functional.jacobian(lambda x: x.sin() * x.sum(), x))
    assert found[1] is None
