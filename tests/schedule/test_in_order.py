"""Scatters and scans compiled: in order where elements meet, shared among tasks elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rushlight as rl
from rushlight.engine import flush
from rushlight.engine.program import Program

rng = np.random.default_rng(3)


def _steps(run: Any) -> list:
    """The steps of the program that the next flush builds."""
    flush.PROGRAMS.clear()
    run()
    return [
        step for p in flush.PROGRAMS.values() if isinstance(p, Program) for step in p.plan.steps
    ]


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("width", [1, 7, 64, 200])
def test_rows_that_meet_are_added_in_order(width: int, threads: int) -> None:
    before = rl.get_num_threads()
    rl.set_num_threads(threads)
    try:
        index = rng.integers(0, 9, 3000)
        rows = rng.standard_normal((3000, width)).astype(np.float32)
        expected = np.zeros((9, width), np.float32)
        np.add.at(expected, index, rows)
        table = rl.zeros(9, width).index_add(0, rl.from_numpy(index), rl.from_numpy(rows))
        assert np.array_equal(table.numpy(), expected)
    finally:
        rl.set_num_threads(before)


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("reduce", ["sum", "prod", "amax", "amin"])
def test_every_dimension_and_combination(dim: int, reduce: str) -> None:
    shape = (5, 20, 33)
    base = rng.standard_normal(shape)
    index = rng.integers(0, shape[dim], (5, 19, 30))
    source = rng.standard_normal((5, 20, 30))
    expected = base.copy()
    places = list(np.indices(index.shape))
    places[dim] = index
    meaning = {"sum": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}[reduce]
    meaning.at(expected, tuple(places), source[:, :19, :30])
    made = rl.from_numpy(base).scatter_reduce(
        dim, rl.from_numpy(index), rl.from_numpy(source), reduce
    )
    assert np.allclose(made.numpy(), expected, rtol=1e-12)


def test_the_last_of_equal_places_counts() -> None:
    index = rl.tensor([3, 1, 3, 3, 1])
    x = rl.zeros(4, 50)
    x[index] = rl.arange(250.0).reshape(5, 50)
    assert x[3].tolist() == [150.0 + k for k in range(50)]
    assert x[1].tolist() == [200.0 + k for k in range(50)]
    turned = rl.zeros(50, 4).t()  # another order of memory
    turned[index] = rl.arange(250.0).reshape(5, 50)
    assert np.array_equal(turned.numpy(), x.numpy())


def test_no_step_is_left_to_numpy() -> None:
    table = rl.nn.Embedding(40, 64)
    index = rl.randint(0, 40, (8, 16))

    def step() -> None:
        table(index).square().sum().backward()
        table.weight.grad.sum().item()

    steps = _steps(step)
    assert steps and all(step.kind != "numpy" for step in steps)


def test_a_place_outside_is_told() -> None:
    x = rl.zeros(4, 20)
    with pytest.raises((IndexError, RuntimeError), match="out of (bounds|range)"):
        x[rl.tensor([1, 4])] = 1.0
        x.sum().item()
    assert x.sum().item() == 0.0


@pytest.mark.parametrize("shape", [(5,), (1, 6), (6, 1), (20, 33), (3, 20, 33)])
@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "int32"])
def test_running_sums_and_products(shape: tuple[int, ...], kind: str) -> None:
    x = (rng.standard_normal(shape) * 3).astype(kind)
    wide = x.astype("float64" if kind == "float32" else "int64" if kind == "int32" else kind)
    mine = rl.from_numpy(x)
    result = "int64" if kind == "int32" else kind
    for d in range(len(shape)):
        expected = np.cumsum(wide, d).astype(result)
        assert np.array_equal(mine.cumsum(d).numpy(), expected)
        backwards = np.flip(np.cumsum(np.flip(wide, d), d), d).astype(result)
        assert np.array_equal(mine.flip(d).cumsum(d).flip(d).numpy(), backwards)
        turned = np.cumsum(wide.T, d).astype(result)
        assert np.array_equal(mine.permute(*reversed(range(len(shape)))).cumsum(d).numpy(), turned)
        assert np.allclose(mine.cumprod(d).numpy(), np.cumprod(wide, d).astype(result))


def test_scans_are_compiled() -> None:
    x = rl.ones(40, 30)
    assert all(step.kind != "numpy" for step in _steps(lambda: x.cumsum(1).sum().item()))
