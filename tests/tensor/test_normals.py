"""Compiled normals have the bits of the reference."""

from __future__ import annotations

import numpy as np
import pytest

import rushlight as rl
from rushlight.runtime.random import Mt19937, box_muller
from rushlight.tensor import normals


@pytest.mark.parametrize("mean, std", [(0.0, 1.0), (0.1, 0.3), (-5.0, 2.5), (3.0, 0.0)])
@pytest.mark.parametrize("count", [4096, 20_000 - 20_000 % 16, 300_000])
def test_bits(count: int, mean: float, std: float) -> None:
    uniforms = box_muller.uniform_words(Mt19937(count), count, np.dtype(np.float32))
    uniforms[:4] = [0.0, 1.0 - 2.0**-24, 2.0**-24, 0.5]  # u1 at its ends
    uniforms[8:12] = uniforms[:4]
    expected = box_muller._box_muller(uniforms, mean, std)
    made = normals.box_muller(uniforms, *box_muller._single(mean, std))
    assert made is not None
    assert np.array_equal(made.view(np.int32), expected.view(np.int32))


def test_draws_do_not_flush() -> None:
    x = rl.ones(5000)
    y = x + 1
    rl.randn(5000)
    assert y._storage.pending()
    assert y.sum().item() == 10000.0


def test_pytorchs_numbers() -> None:
    torch = pytest.importorskip("torch")
    for count in (16, 17, 1000, 5000, 70_001):
        for kind in ("float32", "bfloat16", "float16"):
            drawn = []
            for m in (torch, rl):
                m.manual_seed(count)
                drawn.append(m.randn(count, dtype=getattr(m, kind)).float().numpy())
            assert np.array_equal(*drawn)
