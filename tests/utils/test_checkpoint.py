"""Checkpointing gives the gradients and random numbers of the plain run, and keeps nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import rushlight as rl
from rushlight.utils.checkpoint import (
    CheckpointError,
    checkpoint,
    checkpoint_sequential,
    set_checkpoint_early_stop,
)


def trained(run: Callable[[Any, Any], Any]) -> list:
    """Gradients of a small network with dropout, and what is drawn after it."""
    rl.manual_seed(0)
    parts = [rl.nn.Linear(4, 8), rl.nn.GELU(), rl.nn.Dropout(0.5), rl.nn.Linear(8, 4)]
    model = rl.nn.Sequential(*parts)
    x = rl.randn(3, 4, requires_grad=True)
    run(model, x).square().sum().backward()
    return [x.grad, *(p.grad for p in model.parameters()), rl.rand(2)]


WAYS: dict[str, Callable] = {
    "inside": lambda model, x: checkpoint(model, x, use_reentrant=False),
    "reentrant": lambda model, x: checkpoint(model, x, use_reentrant=True),
    "nested": lambda model, x: checkpoint(
        lambda x: checkpoint(model, x, use_reentrant=False), x, use_reentrant=False
    ),
    "in parts": lambda model, x: checkpoint_sequential(model, 2, x, use_reentrant=False),
    "in parts, reentrant": lambda model, x: checkpoint_sequential(model, 2, x, use_reentrant=True),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_plain_run(way: str) -> None:
    plain = trained(lambda model, x: model(x))
    for found, wanted in zip(trained(WAYS[way]), plain):
        assert rl.equal(found, wanted)


def test_second_gradients_and_graphs_walked_twice() -> None:
    x = rl.tensor([1.0, 2.0], requires_grad=True)

    def function(x: Any) -> Any:
        return (x.sin() * x).exp()

    found, wanted = [], []
    for made, keep in (
        (checkpoint(function, x, use_reentrant=False), found),
        (function(x), wanted),
    ):
        (first,) = rl.autograd.grad(made.sum(), x, create_graph=True)
        keep += [first, *rl.autograd.grad(first.sum(), x, retain_graph=True)]
        keep += rl.autograd.grad(made.sum(), x)
    for a, b in zip(found, wanted):
        assert rl.allclose(a, b)


def test_nothing_is_computed_twice_without_need() -> None:
    calls = []

    def function(x: Any) -> Any:
        calls.append(1)
        y = x.exp()
        calls.append(2)
        return y * 1

    x = rl.ones(2, requires_grad=True)
    checkpoint(function, x, use_reentrant=False).sum().backward()
    assert calls == [1, 2, 1]  # the second run ended when the result of exp was there
    calls.clear()
    with set_checkpoint_early_stop(False):
        checkpoint(function, x, use_reentrant=False).sum().backward()
    assert calls == [1, 2, 1, 2]


def test_runs_that_differ() -> None:
    x = rl.ones(4, requires_grad=True)
    calls: list[int] = []

    def shorter(x: Any) -> Any:
        calls.append(1)
        return x[: 4 // len(calls)].exp().sum()

    def other(x: Any) -> Any:
        calls.append(1)
        return (x.exp().exp() if len(calls) == 1 else x.exp()).sum()

    with pytest.raises(CheckpointError, match="different metadata"):
        checkpoint(shorter, x, use_reentrant=False).backward()
    calls.clear()
    with pytest.raises(CheckpointError, match="different number of tensors"):
        checkpoint(other, x, use_reentrant=False).backward()


def test_random_numbers_may_be_left_alone() -> None:
    x = rl.ones(1000, requires_grad=True)

    def run(preserve: bool) -> Any:
        drawn = []

        def function(x: Any) -> Any:
            drawn.append(rl.rand(3))
            return x.exp().sin()

        made = checkpoint(function, x, use_reentrant=False, preserve_rng_state=preserve)
        made.sum().backward()
        return rl.equal(*drawn)

    assert run(True)
    assert not run(False)


def test_keyword_arguments_contexts_and_warnings() -> None:
    x = rl.ones(2, requires_grad=True)
    entered = []

    class Mark:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> None:
            entered.append(self.name)

        def __exit__(self, *exception: object) -> None:
            pass

    made = checkpoint(
        lambda x, by: (x * by).exp(),
        x,
        by=2.0,
        use_reentrant=False,
        context_fn=lambda: (Mark("first"), Mark("second")),
    )
    made.sum().backward()
    assert entered == ["first", "second"]
    with pytest.raises(ValueError, match="Unexpected keyword"):
        checkpoint(rl.exp, x, use_reentrant=True, by=2.0)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad"):
        checkpoint(rl.exp, rl.ones(2), use_reentrant=True)
    with pytest.warns(UserWarning, match="use_reentrant"):
        checkpoint(rl.exp, x)
    with pytest.raises(ValueError, match="determinism_check"):
        checkpoint(rl.exp, x, use_reentrant=False, determinism_check="some")
