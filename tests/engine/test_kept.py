"""Layout copies of weights that stay: made once, used again, and never out of date."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import rushlight
from rushlight import nn
from rushlight.engine import flush
from rushlight.engine.program import Program


@pytest.fixture
def net() -> Iterator[nn.Module]:
    """A convolution whose weight is laid out in panels, in a graph that no other test records."""
    flush.PROGRAMS.clear()
    rushlight.manual_seed(0)
    layer = nn.Conv2d(48, 80, 3).requires_grad_(False)
    with rushlight.no_grad():
        yield layer


IMAGE = np.random.default_rng(0).standard_normal((1, 48, 11, 13)).astype(np.float32)


def outputs(net: nn.Module, times: int) -> list[np.ndarray]:
    return [net(rushlight.tensor(IMAGE)).numpy().copy() for _ in range(times)]


def latest() -> Program:
    """The program of the convolution."""
    programs = [p for p in flush.PROGRAMS.values() if isinstance(p, Program) and p.kept]
    return next(p for p in reversed(programs) if p.kept.copies)


def test_a_weight_that_stays_is_laid_out_once(net: nn.Module) -> None:
    first, *others = outputs(net, 4)
    assert all(np.array_equal(first, other) for other in others)
    program = latest()
    assert program.swift is not None
    assert len(program.swift.plan.steps) < len(program.plan.steps)
    copies = program.kept.buffers([net.weight._storage.buffer] * 9)
    assert [copy.nbytes for copy in copies] == [net.weight.numel() * 4]


def test_new_weights_are_seen(net: nn.Module) -> None:
    plain = outputs(net, 3)[-1] - net.bias.numpy()[:, None, None]
    net.weight.mul_(2)
    for output in outputs(net, 3):
        assert np.allclose(output - net.bias.numpy()[:, None, None], 2 * plain, atol=1e-5)


def test_writes_from_outside_are_seen(net: nn.Module) -> None:
    before = outputs(net, 3)[-1]
    seen = net.weight.detach().numpy()
    seen *= 0
    bias = np.broadcast_to(net.bias.numpy()[:, None, None], before.shape[1:])
    for output in outputs(net, 3):
        assert np.array_equal(output[0], bias)
    del seen
    for output in outputs(net, 3):
        assert np.array_equal(output[0], bias)


def test_a_copy_dies_with_its_weight(net: nn.Module) -> None:
    outputs(net, 3)
    held = net.weight._storage.buffer.layouts
    assert held and all(copy is not None for copy in held.values())
    old = net.weight._storage.buffer
    net.weight.add_(1)
    net.weight.numpy()
    assert net.weight._storage.buffer is not old
    assert net.weight._storage.buffer.layouts is None


def test_a_program_stops_looking_where_weights_never_stay(net: nn.Module) -> None:
    for _ in range(12):
        net.weight.mul_(0.5)
        net.weight.numpy()
        outputs(net, 1)
    assert latest().kept.patience == 0
    assert not latest().kept.chosen
