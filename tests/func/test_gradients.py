"""grad, vjp, jvp, Jacobians and Hessians of functions: against each other, nested and mapped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rushlight as rl
from rushlight import func
from rushlight.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap


@pytest.fixture(autouse=True)
def _seed() -> None:
    rl.manual_seed(0)


def same(found: Any, wanted: Any) -> None:
    assert tuple(found.shape) == tuple(wanted.shape)
    np.testing.assert_allclose(
        np.asarray(found.detach()), np.asarray(wanted.detach()), rtol=1e-5, atol=1e-6
    )


def smooth(x: Any) -> Any:
    return (x.sin() * x[0]).prod() + (x**3).sum()


def test_nested_gradients_keep_their_variables_apart() -> None:
    x, y = rl.tensor(3.0), rl.tensor(2.0)
    assert grad(lambda x: x * grad(lambda y: x * y)(y))(x).item() == 6.0
    inner = lambda x: x * jvp(lambda y: x * y, (y,), (rl.tensor(1.0),))[1]
    assert jvp(inner, (x,), (rl.tensor(1.0),))[1].item() == 6.0
    assert grad(grad(grad(lambda x: x**4)))(x).item() == 72.0


@pytest.mark.parametrize("outer", [jacrev, jacfwd])
@pytest.mark.parametrize("inner", [jacrev, jacfwd])
def test_hessians_of_all_orders(outer: Callable, inner: Callable) -> None:
    many = rl.randn(3, 4)
    wanted = rl.stack([rl.autograd.functional.hessian(smooth, x) for x in many])
    same(rl.stack([outer(inner(smooth))(x) for x in many]), wanted)
    same(vmap(outer(inner(smooth)))(many), wanted)
    through = outer(inner(lambda many: vmap(smooth)(many).sum()))(many)
    same(rl.stack([through[k, :, k] for k in range(3)]), wanted)


def test_results_are_off_the_tape_unless_somebody_asks() -> None:
    x = rl.randn(3)
    weight = rl.randn(3, requires_grad=True)
    assert not grad(smooth)(x).requires_grad
    assert not hessian(smooth)(x).requires_grad
    assert not vjp(smooth, x)[0].requires_grad
    slope = grad(lambda x: (x * weight).sin().sum())(x)
    assert slope.requires_grad
    slope.sum().backward()
    wanted = (x * weight).cos() - weight * x * (x * weight).sin()
    same(weight.grad, wanted)
    with rl.no_grad():
        assert not grad(lambda x: (x * weight).sum())(x).requires_grad


def test_values_and_auxiliary_results() -> None:
    x = rl.randn(3)
    slope, (value, aux) = func.grad_and_value(lambda x: (smooth(x), x.exp()), has_aux=True)(x)
    same(slope, grad(smooth)(x))
    same(value, smooth(x))
    same(aux, x.exp())
    assert not aux.requires_grad
    assert len(jacrev(lambda x: (x, x), has_aux=True)(x)) == 2


def test_argnums_and_trees() -> None:
    given = {"a": rl.randn(3), "b": (rl.randn(3),)}
    found = grad(lambda d, s: (d["a"] * d["b"][0]).sum() * s)(given, 2.0)
    same(found["a"], 2 * given["b"][0])
    same(found["b"][0], 2 * given["a"])
    first, last = grad(lambda a, b, c: (a * c).sum(), argnums=(0, -1))(*rl.randn(3, 4))
    assert first.shape == last.shape == (4,)
    blocks = jacfwd(lambda x, y: {"s": (x * y, x.sum())}, argnums=(0, 1))(rl.randn(3), rl.randn(3))
    assert blocks["s"][1][1].tolist() == [0.0, 0.0, 0.0]
    assert blocks["s"][0][0].shape == (3, 3)


def test_products() -> None:
    x, t = rl.randn(4), rl.randn(4)
    jacobian = jacrev(lambda x: x.sin().cumsum(0))(x)
    output, pull = vjp(lambda x: x.sin().cumsum(0), x)
    same(pull(t)[0], t @ jacobian)
    same(jvp(lambda x: x.sin().cumsum(0), (x,), (t,))[1], jacobian @ t)
    value, push = func.linearize(lambda x: x.sin().cumsum(0), x)
    same(value, output)
    same(push(t), jacobian @ t)
    same(jvp(grad(smooth), (x,), (t,))[1], hessian(smooth)(x) @ t)
    same(grad(lambda x: jvp(smooth, (x,), (t,))[1])(x), hessian(smooth)(x) @ t)


def test_forward_over_the_tape() -> None:
    """jvp of a function that calls autograd.grad without create_graph."""
    x, t = rl.randn(4), rl.randn(4)

    def slope(x: Any) -> Any:
        return rl.autograd.grad(smooth(x), x)[0]

    same(jvp(slope, (x,), (t,))[1], hessian(smooth)(x) @ t)


def test_chunks_and_empty_tensors() -> None:
    x = rl.randn(5)
    same(jacrev(rl.sin, chunk_size=2)(x), jacrev(rl.sin)(x))
    same(jacfwd(rl.sin, chunk_size=2)(x), jacrev(rl.sin)(x))
    assert jacrev(rl.sin)(rl.zeros(0)).shape == (0, 0)
    assert jacfwd(rl.sin)(rl.zeros(0)).shape == (0, 0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: grad(rl.sin)(rl.ones(2)), "scalar tensor, got tensor with 1 dims"),
        (lambda: grad(lambda x: 1.0)(rl.ones(2)), "Tensors"),
        (lambda: grad(rl.sin, argnums=1)(rl.ones(())), "argnum=1"),
        (lambda: grad(rl.sin, argnums=(0, 0))(rl.ones(())), "unique"),
        (lambda: grad(rl.sin)(2.0), "Tensors"),
        (lambda: jvp(rl.sin, rl.ones(2), rl.ones(2)), "tuple"),
        (lambda: jvp(rl.sin, (rl.ones(2),), (rl.ones(3),)), "shape"),
        (lambda: vjp(rl.sin, rl.ones(2))[1](rl.ones(3)), "shape"),
        (lambda: vjp(rl.sin, rl.ones(2))[1]((rl.ones(2),)), "structure"),
        (lambda: jvp(lambda x: rl.ones(2), (rl.ones(2),), (rl.ones(2),), strict=True), "strict"),
    ],
)
def test_bad_calls(call: Callable, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        call()


def test_functionalize() -> None:
    x = rl.arange(3.0)
    same(func.functionalize(lambda x: x.clone().view(3).add_(1))(x), x + 1)
    with pytest.raises(RuntimeError, match="invalid argument for remove"):
        func.functionalize(rl.sin, remove="views")


def test_gradients_of_whole_numbers_are_refused() -> None:
    for transform in (func.grad, func.jacrev):
        with pytest.raises(RuntimeError, match="only Tensors of floating point dtype"):
            transform(lambda x: x.sum())(rl.arange(3))


def test_modules() -> None:
    layer = rl.nn.Linear(4, 3)
    before = layer.weight
    x = rl.randn(5, 4)
    given = {name: p.detach() * 2 for name, p in layer.named_parameters()}
    same(func.functional_call(layer, given, x), 2 * layer(x))
    assert layer.weight is before
    same(func.functional_call(layer, {"weigth": before}, x), layer(x))  # as in PyTorch
    with pytest.raises(RuntimeError, match=r"for Linear:\n\tUnexpected.*weigth.*\n\tMissing.*bias"):
        func.functional_call(layer, {"weight": before, "weigth": before}, x, strict=True)

    def loss(p: dict, x: Any) -> Any:
        return func.functional_call(layer, p, x).square().sum()

    each = vmap(grad(loss), in_dims=(None, 0))(given, x)
    same(each["weight"], rl.stack([grad(loss)(given, one)["weight"] for one in x]))


def test_tied_weights_and_buffers() -> None:
    class Tied(rl.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = rl.nn.Linear(2, 2, bias=False)
            self.b = rl.nn.Linear(2, 2, bias=False)
            self.b.weight = self.a.weight
            self.register_buffer("count", rl.zeros(()))

        def forward(self, x: Any) -> Any:
            self.count = self.count + 1
            return self.b(self.a(x))

    model = Tied()
    buffers = {"count": rl.tensor(5.0)}
    made = func.functional_call(model, [{"a.weight": 2 * rl.eye(2)}, buffers], (rl.ones(2),))
    assert made.tolist() == [4.0, 4.0]
    assert model.count.item() == 0.0


def test_ensembles() -> None:
    models = [rl.nn.Linear(4, 3) for _ in range(3)]
    parameters, buffers = func.stack_module_state(models)
    assert buffers == {}
    x = rl.randn(5, 4)
    call = vmap(lambda p, x: func.functional_call(models[0], p, x), in_dims=(0, None))
    same(call(parameters, x), rl.stack([m(x) for m in models]))
    call(parameters, x).sum().backward()
    assert parameters["weight"].grad.shape == (3, 3, 4)
    with pytest.raises(RuntimeError, match="at least one"):
        func.stack_module_state([])
