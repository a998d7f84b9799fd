"""sort, argsort and topk against PyTorch: order, ties, NaN, strides, gradients, errors, named
results.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import agree, gradients_agree

import rushlight as rl

pytest.importorskip("torch")


def grid(t: Any) -> Any:
    return t.tensor([[3.0, 1.0, 2.0, 9.0], [5.0, 8.0, 0.0, 4.0], [6.0, 7.0, 11.0, 10.0]])


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "nan": lambda t: [
        t.sort(t.tensor([3.0, math.nan, 1.0]), descending=down) for down in (False, True)
    ],
    "ties": lambda t: [
        t.sort(t.tensor([1, 0, 1, 1, 0]), descending=down, stable=True) for down in (False, True)
    ],
    "dims": lambda t: [
        grid(t).sort(0, True),
        grid(t).sort(),
        t.sort(grid(t).t(), 1),
        t.msort(grid(t)),
        t.argsort(grid(t), 0),
    ],
    "small": lambda t: [
        t.sort(t.tensor(3.0)),
        t.sort(t.ones(0, 3), 0),
        t.topk(t.tensor(1.0), 1),
        t.topk(t.ones(3), 0),
    ],
    "topk": lambda t: [
        t.topk(t.tensor([3.0, math.nan, 1.0, 5.0]), 2),
        grid(t).topk(2, 0),
        grid(t).topk(1, largest=False),
        t.topk(t.arange(100.0), 3),
        t.topk(t.arange(100.0), 3, largest=False),
    ],
    "topk too many": lambda t: grid(t).topk(9),
    "gaps": lambda t: [
        t.sort(t.arange(48.0).reshape(4, 3, 2, 2).diagonal(-1, 0, 1)),
        t.sort(t.arange(8.0).expand(2, 8)),
    ],
    "complex": lambda t: t.sort(t.ones(2, dtype=t.complex64)),
    "other dtypes": lambda t: [
        t.sort(t.tensor([True, False, True]), stable=True),
        t.sort(t.tensor([3, 250, 7], dtype=t.uint8), descending=True),
        t.sort(t.tensor([2.0, -1.0], dtype=t.bfloat16)),
    ],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    agree(PROGRAMS[name])


def test_gradients() -> None:
    x = np.array([[3.0, 1.0, 2.0], [5.0, 8.0, 0.0]])
    gradients_agree(lambda t, x: t.sort(x, 0, True)[0], x)
    gradients_agree(lambda t, x: t.topk(x, 2)[0], x)


def test_results_have_names() -> None:
    found = rl.sort(rl.tensor([2, 1]))
    assert (found.values.tolist(), found.indices.tolist()) == ([1, 2], [1, 0])
    assert (
        repr(found) == "torch.return_types.sort(\nvalues=tensor([1, 2]),\nindices=tensor([1, 0]))"
    )
