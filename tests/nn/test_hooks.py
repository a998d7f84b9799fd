"""Functions that run around a module's forward and backward pass."""

from __future__ import annotations

from typing import Any

import pytest

import rushlight as rl
from rushlight import nn


def test_forward_pre_hook_replaces_arguments() -> None:
    layer = nn.Identity()
    handle = layer.register_forward_pre_hook(lambda module, args: args[0] + 1)
    assert float(layer(rl.zeros(1))) == 1.0
    handle.remove()
    assert float(layer(rl.zeros(1))) == 0.0


def test_forward_pre_hook_with_kwargs() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Any, factor: float = 1.0) -> Any:
            return x * factor

    layer = Scaled()
    layer.register_forward_pre_hook(
        lambda module, args, kwargs: (args, {"factor": kwargs["factor"] * 2}), with_kwargs=True
    )
    assert float(layer(rl.ones(1), factor=3.0)) == 6.0
    layer.register_forward_pre_hook(lambda module, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="tuple of .new_args, new_kwargs."):
        layer(rl.ones(1), factor=3.0)


def test_forward_hooks_run_in_order_and_may_replace() -> None:
    layer = nn.Identity()
    order: list[str] = []
    layer.register_forward_hook(lambda module, args, output: order.append("second"))
    layer.register_forward_hook(lambda module, args, output: order.append("first"), prepend=True)
    layer.register_forward_hook(lambda module, args, output: output * 3)
    with layer.register_forward_hook(
        lambda module, args, kwargs, output: output + 1, with_kwargs=True
    ):
        assert float(layer(rl.ones(1))) == 4.0
    assert order == ["first", "second"]
    assert float(layer(rl.ones(1))) == 3.0


def test_always_called_hook_sees_the_failure() -> None:
    class Broken(nn.Module):
        def forward(self, x: Any) -> Any:
            raise ValueError("no")

    layer = Broken()
    calls: list[Any] = []
    layer.register_forward_hook(lambda module, args, output: calls.append("plain"))
    layer.register_forward_hook(lambda module, args, output: calls.append(output), always_call=True)
    with pytest.raises(ValueError, match="no"):
        layer(rl.ones(1))
    assert calls == [None]


def test_hooks_of_all_modules() -> None:
    seen: list[str] = []
    from rushlight.nn._hooks import register_module_forward_hook

    handle = register_module_forward_hook(
        lambda module, args, output: seen.append(type(module).__name__)
    )
    nn.Sequential(nn.Identity(), nn.ReLU())(rl.ones(1))
    handle.remove()
    nn.ReLU()(rl.ones(1))
    assert seen == ["Identity", "ReLU", "Sequential"]


def test_full_backward_hook_sees_and_replaces_gradients() -> None:
    layer = nn.Linear(2, 2, bias=False)
    seen: list[Any] = []

    def hook(module: Any, grad_input: Any, grad_output: Any) -> Any:
        seen.append((grad_input[0].tolist(), grad_output[0].tolist()))
        return (grad_input[0] * 10,)

    layer.register_full_backward_hook(hook)
    with rl.no_grad():
        layer.weight.copy_(rl.eye(2))
    x = rl.ones(1, 2, requires_grad=True)
    layer(x).sum().backward()
    assert seen == [([[1.0, 1.0]], [[1.0, 1.0]])]
    assert x.grad.tolist() == [[10.0, 10.0]]
    assert layer.weight.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_backward_pre_hook_replaces_grad_output() -> None:
    layer = nn.Identity()
    layer.register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 2,))
    x = rl.ones(2, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_backward_hook_without_differentiable_input() -> None:
    layer = nn.Linear(2, 1)
    seen: list[Any] = []
    layer.register_full_backward_hook(
        lambda module, grad_input, grad_output: seen.append((grad_input, grad_output[0].tolist()))
    )
    layer(rl.ones(1, 2)).sum().backward()
    assert seen == [((None,), [[1.0]])]


def test_backward_hook_errors() -> None:
    layer = nn.Identity()
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: (None, None))
    x = rl.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="invalid number of grad_input, got 2, but expected 1"):
        layer(x).sum().backward()


def test_backward_hook_with_several_outputs() -> None:
    class Pair(nn.Module):
        def forward(self, a: Any, b: Any, flag: bool) -> Any:
            return a * 2, b * 3

    layer = Pair()
    seen: list[int] = []
    layer.register_full_backward_hook(
        lambda module, grad_input, grad_output: seen.extend([len(grad_input), len(grad_output)])
    )
    a, b = rl.ones(1, requires_grad=True), rl.ones(1, requires_grad=True)
    first, second = layer(a, b, True)
    (first + second).sum().backward()
    assert seen == [3, 2]
    assert (float(a.grad), float(b.grad)) == (2.0, 3.0)
