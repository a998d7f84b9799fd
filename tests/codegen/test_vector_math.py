"""Accuracy of the elementary functions over the whole range of bit patterns, and on machines
without fma.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rushlight.codegen import vector_math
from rushlight.codegen.isa import AVX2, AVX512, GENERIC128, Isa
from rushlight.kernel.primitives import PRIMITIVES

from .running import run
from .test_primitives import kernel_of, unit

SINGLE = sorted(
    name
    for name, dtype in vector_math.FUNCTIONS
    if dtype == "float32" and name not in ("erfinv", "digamma")
)


def patterns(count: int, seed: int) -> np.ndarray:
    """float32 of random bits, of ordinary size, and close to 1."""
    random = np.random.default_rng(seed)
    bits = random.integers(0, 1 << 32, count, np.uint32).view(np.float32)
    near = (1.0 + random.normal(0, 0.05, count)).astype(np.float32)
    return np.concatenate([bits, random.normal(0, 8, count).astype(np.float32), near])


def worst_units(op: str, columns: list[np.ndarray], isa: Isa) -> tuple[float, list[np.ndarray]]:
    """The largest error in units of the last place, and where."""
    kernel = kernel_of(op, "float32", ["float32"] * len(columns), "float32", columns[0].size, True)
    buffers = [*(c.copy() for c in columns), np.zeros(columns[0].size, np.float32)]
    run(kernel, buffers, isa=isa)
    meaning = PRIMITIVES[op].meaning
    assert meaning is not None
    with np.errstate(all="ignore"):
        exact = meaning(*(c.astype(np.float64) for c in columns))
        rounded = exact.astype(np.float32)
        got = buffers[-1].astype(np.float64)
        same = (buffers[-1] == rounded) | (np.isnan(got) & np.isnan(exact))
        error = np.where(same, 0.0, np.abs(got - exact) / unit(exact, "float32"))
    error = np.where(np.isnan(error), np.inf, error)
    place = int(np.argmax(error))
    return float(error[place]), [c[place] for c in columns]


@pytest.mark.parametrize(
    "isa",
    [AVX512, AVX2, GENERIC128, replace(AVX512, fma=False)],
    ids=["512", "256", "128", "no fma"],
)
@pytest.mark.parametrize("op", SINGLE)
def test_single_precision_functions(op: str, isa: Isa) -> None:
    count = 20_000
    columns = [patterns(count, seed) for seed in range(PRIMITIVES[op].arity)]
    error, where = worst_units(op, columns, isa)
    assert error <= 2.5, f"{op} is off by {error} units at {where}"


@pytest.mark.parametrize("op", ["sin", "cos"])
def test_angles_next_to_multiples_of_quarter_turns(op: str) -> None:
    turns = np.arange(1, 40_000, dtype=np.float64) * (np.pi / 2)
    near = np.concatenate(
        [turns, turns * 1000.0, [2.0**30, -(2.0**30), 2.0**31, 3e38, 5e9]]
    ).astype(np.float32)
    error, where = worst_units(op, [near], AVX512)
    assert error <= 2.5, f"{op} is off by {error} units at {where}"
