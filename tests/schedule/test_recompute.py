"""What a late product uses is made again, from what is alive; bits stay."""

from __future__ import annotations

import numpy as np
import pytest

import rushlight as rl
from rushlight import nn
from rushlight.engine import flush
from rushlight.engine.program import Program
from rushlight.schedule import plan


def _trained(monkeypatch: pytest.MonkeyPatch, twins: bool) -> tuple[list[np.ndarray], int]:
    """The weights of a deep gelu network after two steps, and the size of its largest arena."""
    flush.PROGRAMS.clear()
    if not twins:
        monkeypatch.setattr(plan, "recomputed", lambda outputs: (list(outputs), set()))
    rl.manual_seed(0)
    layers = [
        nn.Sequential(nn.LayerNorm(256), nn.Linear(256, 1024), nn.GELU(), nn.Linear(1024, 256))
        for _ in range(12)
    ]
    model = nn.Sequential(*layers)
    optimizer = rl.optim.SGD(model.parameters(), lr=0.01)
    x = rl.randn(512, 256)
    for _ in range(2):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    weights = [p.detach().numpy().copy() for p in model.parameters()]
    sizes = [p.arena.size for p in flush.PROGRAMS.values() if isinstance(p, Program)]
    return weights, max(sizes)


def test_less_is_kept_and_nothing_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    with_twins, small = _trained(monkeypatch, True)
    without, large = _trained(monkeypatch, False)
    assert small < 0.8 * large
    for a, b in zip(with_twins, without, strict=True):
        assert np.array_equal(a, b)
