"""searchsorted, counts, histograms, unique values, distances, products against PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import agree, gradients_agree

pytest.importorskip("torch")

PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "searchsorted": lambda t: [
        t.searchsorted(t.tensor([1.0, 2, 3]), t.tensor([[2.0, 2.5], [9, 0]]), right=right)
        for right in (False, True)
    ],
    "searchsorted rows": lambda t: t.searchsorted(
        t.tensor([[1, 3, 5], [2, 4, 6]]), t.tensor([[3, 6], [3, 6]]), side="right"
    ),
    "searchsorted number": lambda t: t.searchsorted(t.tensor([1.0, 2, 3]), 2.5),
    "searchsorted sorter": lambda t: t.searchsorted(
        t.tensor([3.0, 1, 2]), t.tensor([2.0, 2.5]), sorter=t.tensor([1, 2, 0])
    ),
    "searchsorted shapes": lambda t: t.searchsorted(t.ones(2, 3), t.ones(3, 2)),
    "searchsorted sides": lambda t: t.searchsorted(t.ones(3), t.ones(3), side="left", right=True),
    "bucketize": lambda t: t.bucketize(
        t.tensor([[2.0, 2.5]]), t.tensor([1.0, 2, 3]), out_int32=True
    ),
    "bincount": lambda t: [
        t.bincount(t.tensor([1, 1, 3])),
        t.bincount(t.tensor([1, 1, 3]), minlength=6),
        t.bincount(t.tensor([1, 1, 3]), t.tensor([0.5, 0.5, 1.0])),
        t.bincount(t.tensor([1, 1]), t.tensor([2, 3])),
        t.bincount(t.tensor([], dtype=t.int64)),
    ],
    "bincount negative": lambda t: t.bincount(t.tensor([-1])),
    "histc": lambda t: [
        t.histc(t.arange(12.0), 4),
        t.histc(t.arange(12.0), 4, 2, 5),
        t.histc(t.ones(3), 3),
    ],
    "histc of ints": lambda t: t.histc(t.tensor([1, 2])),
    "histogram": lambda t: [
        tuple(t.histogram(t.tensor([1.0, 2, 1]), 4, range=(0.0, 3.0))),
        tuple(
            t.histogram(
                t.tensor([1.0, 2, 1]), t.tensor([0.0, 1.5, 3.0]), weight=t.tensor([1.0, 2, 4])
            )
        ),
        tuple(t.histogram(t.tensor([1.0, 2, 1]), 2, density=True)),
    ],
    "unique": lambda t: [
        t.unique(t.tensor([[3, 1], [1, 2]]), return_inverse=True, return_counts=True),
        t.unique(
            t.tensor([[3, 1], [1, 2], [3, 1]]), dim=0, return_inverse=True, return_counts=True
        ),
        t.unique(t.tensor([[3, 1, 3]]), dim=1),
        t.unique(t.tensor([math.nan, 1, math.nan])),
        t.unique(t.tensor([True, True])),
    ],
    "unique_consecutive": lambda t: [
        t.unique_consecutive(t.tensor([1, 1, 3, 1]), return_inverse=True, return_counts=True),
        t.unique_consecutive(t.tensor([[1, 1], [1, 1], [2, 1]]), dim=0, return_counts=True),
        t.unique_consecutive(t.tensor([[1, 1], [2, 1]])),
    ],
    "cross": lambda t: [
        t.cross(t.arange(6.0).reshape(2, 3), t.tensor([[1.0, 2, 3], [0, 1, 0]]), dim=1),
        t.cross(t.arange(6.0).reshape(2, 3), t.ones(1, 3), dim=-1),
        t.cross(t.arange(6).reshape(3, 2), t.ones(3, 2).long()),
    ],
    "cross of fours": lambda t: t.cross(t.ones(2, 4), t.ones(2, 4), dim=1),
    "cdist": lambda t: [
        t.cdist(t.arange(12.0).reshape(2, 3, 2), t.tensor([[1.0, 1.0], [0.0, 3.0]]), p=p)
        for p in (0.0, 1.0, 2.0, 3.0, math.inf)
    ],
    "cdist columns": lambda t: t.cdist(t.ones(2, 3), t.ones(2, 2)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    agree(PROGRAMS[name], tolerance=1e-6, strides=name not in ("unique", "cdist"))


def test_gradients() -> None:
    x = np.array([[0.5, 1.0, -2.0], [3.0, 0.0, 1.0]])
    gradients_agree(lambda t, x, y: t.cross(x, y, dim=1), x, x[::-1].copy() + 1)
    for p in (1.0, 2.0, 3.0):
        gradients_agree(lambda t, x, y: t.cdist(x, y, p), x, x[:1])  # noqa: B023 - called at once
