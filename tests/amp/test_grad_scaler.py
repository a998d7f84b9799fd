"""GradScaler against PyTorch's: the same scales, the same steps skipped, the same errors."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import rushlight as rl

torch = pytest.importorskip("torch")


def run(library: Any) -> list[Any]:
    """Twelve steps, two of which overflow: scale and weight after each."""
    weight = library.ones(2, requires_grad=True)
    optimizer = library.optim.SGD([weight], lr=0.125)
    scaler = library.amp.GradScaler("cpu", init_scale=64.0, growth_interval=3)
    seen = []
    for step in range(12):
        optimizer.zero_grad()
        factor = float("inf") if step in (4, 5) else 0.5
        scaler.scale((weight * weight).sum() * factor).backward()
        if step % 2:
            scaler.unscale_(optimizer)
            library.nn.utils.clip_grad_norm_([weight], 1.0)
        scaler.step(optimizer)
        scaler.update()
        seen.append((scaler.get_scale(), weight.tolist(), scaler.state_dict()))
    return seen


def test_scales_and_steps_are_pytorchs() -> None:
    ours, theirs = run(rl), run(torch)
    assert [(s, d) for s, _, d in ours] == [(s, d) for s, _, d in theirs]
    for (_, mine, _), (_, other, _) in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(other, rel=1e-6)


def test_state_goes_through_a_file() -> None:
    scaler = rl.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(rl.ones(1))
    scaler.update(32.0)
    copy = pickle.loads(pickle.dumps(scaler))
    assert copy.state_dict() == scaler.state_dict() and copy.get_scale() == 32.0
    fresh = rl.amp.GradScaler("cpu")
    fresh.load_state_dict(scaler.state_dict())
    assert fresh.get_scale() == 32.0
    with pytest.raises(RuntimeError, match="source state dict is empty"):
        fresh.load_state_dict({})


def test_order_of_calls_is_checked() -> None:
    weight = rl.ones(1, requires_grad=True)
    optimizer, scaler = rl.optim.SGD([weight], lr=1.0), rl.amp.GradScaler("cpu")
    with pytest.raises(AssertionError, match="_scale is None"):
        scaler.update()
    scaler.scale(weight.sum()).backward()
    scaler.unscale_(optimizer)
    assert weight.grad.tolist() == [1.0]
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match=r"step\(\) has already been called"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match=r"after step\(\)"):
        scaler.unscale_(optimizer)
    scaler.update()
    weight.grad = None
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.step(optimizer)


def test_float16_gradients_and_wrong_factors_are_refused() -> None:
    half = rl.ones(1, dtype=rl.float16, requires_grad=True)
    half.grad = rl.ones(1, dtype=rl.float16)
    scaler = rl.amp.GradScaler("cpu")
    scaler.scale(rl.ones(1))
    with pytest.raises(ValueError, match="FP16 gradients"):
        scaler.unscale_(rl.optim.SGD([half], lr=1.0))
    with pytest.raises(AssertionError, match="growth factor"):
        rl.amp.GradScaler("cpu", growth_factor=1.0)


def test_off_means_nothing_happens() -> None:
    scaler = rl.amp.GradScaler("cpu", enabled=False)
    x = rl.ones(1)
    assert scaler.scale(x) is x and scaler.get_scale() == 1.0 and scaler.state_dict() == {}
    assert isinstance(rl.amp.GradScaler("cpu").scale([x, x]), list)


def test_older_names() -> None:
    with pytest.warns(FutureWarning, match="deprecated"):
        scaler = rl.cpu.amp.GradScaler(init_scale=2.0)
    assert scaler.scale(rl.ones(1)).item() == 2.0
    with pytest.warns(FutureWarning, match="deprecated"):
        region = rl.cpu.amp.autocast()
    with region:
        assert (rl.ones(2, 2) @ rl.ones(2, 2)).dtype is rl.bfloat16
