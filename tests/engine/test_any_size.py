"""Sizes that change from step to step: what is compiled is bounded, and the bits do not change."""

from __future__ import annotations

import numpy as np
import pytest

import rushlight as rl
import rushlight.nn.functional as F
from rushlight import nn, optim
from rushlight.base.settings import SETTINGS
from rushlight.engine import program
from rushlight.engine.flush import PROGRAMS
from rushlight.engine.program import MACHINE
from rushlight.kernel.ir import Kernel


def kernels() -> int:
    """Kernels compiled so far."""
    return sum(isinstance(item, Kernel) for item, _ in MACHINE.target.code)


@pytest.fixture
def forgetful(monkeypatch):  # type: ignore[no-untyped-def]
    """A target that has compiled nothing yet."""
    target = MACHINE.target
    monkeypatch.setattr(target, "code", {})
    monkeypatch.setattr(target, "skeletons", set())
    monkeypatch.setattr(target, "functions", {})
    PROGRAMS.clear()
    yield target
    PROGRAMS.clear()


def step(model, optimizer, size: int) -> float:  # type: ignore[no-untyped-def]
    x = rl.tensor(np.random.default_rng(size).normal(size=(size, 12)).astype(np.float32))
    optimizer.zero_grad()
    loss = F.mse_loss(F.layer_norm(model(x), (6,)), x[:, :6])
    loss.backward()
    optimizer.step()
    return loss.item()


def test_training_with_changing_batch_sizes(forgetful) -> None:  # type: ignore[no-untyped-def]
    model = nn.Sequential(nn.Linear(12, 20), nn.GELU(), nn.Linear(20, 6))
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    compiled = []
    for size in [*range(1, 41), *range(41, 100, 7)]:
        step(model, optimizer, size)
        compiled.append(kernels())
    # Larger sizes compile next to nothing. (Code for one size each would be over 600 kernels.)
    assert compiled[-1] <= compiled[39] + 15
    assert compiled[-1] < 200


def test_products_with_changing_batch_sizes(forgetful) -> None:  # type: ignore[no-untyped-def]
    """Contractions of new sizes consist of functions that are there."""
    w = rl.tensor(np.random.default_rng(0).normal(size=(96, 160)).astype(np.float32))
    functions = []
    for size in [*range(5, 70), *range(70, 200, 9)]:
        x = rl.tensor(np.random.default_rng(size).normal(size=(size, 160)).astype(np.float32))
        want = x.numpy() @ w.numpy().T
        assert np.allclose(F.linear(x, w).numpy(), want, atol=1e-3)
        functions.append(len(forgetful.functions))
    # Code for one size each would be 80 contractions of several functions.
    assert functions[-1] <= functions[64] + 8
    assert functions[-1] < 120


def attention(cache: rl.Tensor, query: rl.Tensor) -> rl.Tensor:
    weights = F.softmax((cache * query).sum(-1) * 0.25, 0)
    return (weights.unsqueeze(-1) * cache).sum(0)


def test_a_growing_cache(forgetful) -> None:  # type: ignore[no-untyped-def]
    random = np.random.default_rng(0)
    cache = rl.tensor(random.normal(size=(1, 24)).astype(np.float32))
    compiled = []
    for _ in range(90):
        new = rl.tensor(random.normal(size=(1, 24)).astype(np.float32))
        cache = rl.cat([cache, new])
        found = attention(cache, new).numpy()
        stored = cache.numpy()
        scores = (stored * stored[-1]).sum(-1) * 0.25
        weights = np.exp(scores - scores.max())
        assert np.allclose(found, (weights / weights.sum()) @ stored, atol=1e-5)
        compiled.append(kernels())
    assert compiled[-1] == compiled[-20]
    assert compiled[-1] < 60


def test_bits_do_not_depend_on_what_ran_before(forgetful) -> None:  # type: ignore[no-untyped-def]
    """Code for one size and code for any size add in the same order."""

    def values(size: int) -> list[bytes]:
        x = rl.tensor(np.random.default_rng(size).normal(size=(size, 3 * size)).astype(np.float32))
        outputs = [x.sum(0), x.mean(1), F.softmax(x, 1), F.layer_norm(x, (3 * size,)), x.t() * 1.5]
        return [o.contiguous().numpy().tobytes() for o in outputs]

    sizes = [5, 17, 40, 70]
    any_size = {size: values(size) for size in sizes}
    for size in sizes:
        forgetful.code.clear()
        forgetful.skeletons.clear()
        PROGRAMS.clear()
        assert values(size) == any_size[size]


def test_a_program_that_runs_often_gets_its_own_code(forgetful, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(program, "OFTEN", 3)
    monkeypatch.setattr(forgetful, "specialised", 0)
    found, compiled = [], []
    for size in (50, *[60] * 5):
        x = rl.arange(size, dtype=rl.float32)
        found.append((x * 0.37).sum().item())
        compiled.append(kernels())
    assert len(set(found[1:])) == 1
    generic, own = compiled[1], compiled[3]
    assert compiled == [compiled[0], generic, generic, own, own, own]
    assert own > generic


def test_the_log_says_what_was_compiled_and_why(forgetful, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(SETTINGS, "log", frozenset({"recompile"}))
    for size in (30, 31, 32):
        (rl.ones(size) * 3 + 0.7).tanh().numpy()
    told = capsys.readouterr().err
    assert "1 kernels of a new form" in told
    assert "for any size, since the form came with other numbers" in told
    assert "1 kernels run code for any size" in told
    assert kernels() == 2
    assert "for any size" in rl.explain().history
