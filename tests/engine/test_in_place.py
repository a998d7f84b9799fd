"""New values in the memory of the old ones: when, and that nobody can tell."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np
import pytest

import rushlight as rl
from rushlight.engine import flush
from rushlight.engine.program import MACHINE

SIZE = 40_000


def _address(x: rl.Tensor) -> int:
    return x._storage.realize().address


def _ready(*shape: int) -> rl.Tensor:
    x = rl.arange(float(np.prod(shape))).reshape(shape) + 0.0
    _address(x)
    return x


def test_an_update_lies_where_the_old_value_lay() -> None:
    x, before = _ready(SIZE), np.arange(float(SIZE), dtype=np.float32)
    where = _address(x)
    x.mul_(0.5).add_(1.0)
    assert _address(x) == where
    assert np.array_equal(x.numpy(), before * np.float32(0.5) + np.float32(1.0))


def test_an_optimizer_needs_no_second_copy() -> None:
    layer, twin = rl.nn.Linear(200, 300), rl.nn.Linear(200, 300)
    twin.load_state_dict(layer.state_dict())
    places = []
    for model in (layer, twin):
        optimizer = rl.optim.AdamW(model.parameters())
        for step in range(4):
            optimizer.zero_grad()
            model(rl.full((8, 200), 0.1 * step)).square().sum().backward()
            # whoever looks at the old bytes sees the new ones, made elsewhere and copied
            seen = [p.detach().numpy() for p in model.parameters()] if model is twin else []
            optimizer.step()
            moments = optimizer.state[model.weight]
            places.append((_address(model.weight), _address(moments["exp_avg"])))
            del seen
    assert places[1] == places[2] == places[3]
    for p, q in zip(layer.parameters(), twin.parameters()):
        assert np.array_equal(p.detach().numpy(), q.detach().numpy())


def test_who_still_needs_the_old_value_has_it() -> None:
    x = _ready(SIZE)
    seen = x.numpy()  # outside: the very bytes must show the update
    x.add_(1.0)
    assert seen[0] == 1.0
    del seen
    y = x * 2  # reads the old value, however late it is computed
    copy = x.clone()
    flipped = x.flip(0)
    x.add_(1.0)
    assert (y[0].item(), copy[0].item(), x[0].item()) == (2.0, 1.0, 2.0)
    assert flipped[-1].item() == 1.0
    shifted = _ready(SIZE)
    shifted[1:] += shifted[:-1].clone()  # the same memory at other elements
    assert np.array_equal(
        shifted.numpy()[1:], np.arange(1, SIZE, dtype=np.float32) * 2 - np.float32(1)
    )


def test_turned_around_it_is_not_overwritten() -> None:
    x = _ready(200, 200)
    before = x.numpy().copy()
    x.copy_(x.t() + 1)
    assert np.array_equal(x.numpy(), before.T + 1)
    x.copy_(x.flip(0) * 2)
    assert np.array_equal(x.numpy(), (before.T + 1)[::-1] * 2)


class Interrupt(Exception):
    pass


@pytest.mark.parametrize("raised", [KeyboardInterrupt, Interrupt])
def test_a_signal_in_the_middle_loses_nothing(monkeypatch: Any, raised: Any) -> None:
    """What is overwritten is written whole, then the exception goes on; the update counts once."""
    x = _ready(SIZE)
    before = x.numpy().copy()
    x.add_(1.0)
    x.sum().item()
    x.add_(1.0)

    def interrupted(signum: int, frame: Any) -> None:
        raise raised

    class Natives:
        def __init__(self, native: Any) -> None:
            self._native = native

        def __getattr__(self, name: str) -> Any:
            return getattr(self._native, name)

        def run_steps(self, pool: Any, run: Any) -> Any:
            state = self._native.run_steps(pool, run)
            signal.raise_signal(signal.SIGINT)
            return state

    machine = MACHINE.device
    native = machine.natives()
    before_handler = signal.signal(signal.SIGINT, interrupted)
    monkeypatch.setattr(machine, "_natives", Natives(native))
    try:
        with pytest.raises(raised):
            flush.flush()
    finally:
        signal.signal(signal.SIGINT, before_handler)
        monkeypatch.setattr(machine, "_natives", native)
    assert np.array_equal(x.numpy(), before + np.float32(1) + np.float32(1))
