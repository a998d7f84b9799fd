"""Differences, trapezoids, covariances, shapes changed in place, facts about shapes: against
PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import agree, gradients_agree

pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")


def rows(t: Any) -> Any:
    return t.tensor([[1.0, 2.0, 4.0], [3.0, 1.0, 0.5]])


def reshaped(name: str, *args: Any) -> Callable[[Any], Any]:
    """A leaf's double, reshaped in place, used, differentiated; the view before and the memory
    behind.
    """

    def program(t: Any) -> Any:
        leaf = rows(t).requires_grad_()
        x = leaf * 2
        getattr(x, name)(*args)
        (x * x).sum().backward()
        plain = rows(t)
        window = plain[0]
        getattr(plain, name)(*args).mul_(3)
        return x, leaf.grad, plain, window

    return program


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "diff": lambda t: [t.diff(rows(t), n=n, dim=dim) for n in (0, 1, 2, 5) for dim in (0, 1)],
    "diff of bools": lambda t: t.diff(t.tensor([True, False, True])),
    "diff joined": lambda t: t.diff(rows(t), dim=0, prepend=t.ones(1, 3), append=t.zeros(2, 3)),
    "diff of a number": lambda t: t.diff(t.tensor(1.0)),
    "trapezoid": lambda t: [
        t.trapezoid(rows(t)),
        t.trapezoid(rows(t), dx=2.5, dim=0),
        t.trapezoid(rows(t), t.tensor([1.0, 3.0, 4.0])),
        t.trapz(rows(t), rows(t) * 2),
        t.cumulative_trapezoid(rows(t)),
    ],
    "trace": lambda t: [t.trace(rows(t)), t.trace(t.ones(2, 2, dtype=t.int32))],
    "trace of a cube": lambda t: t.trace(t.ones(2, 2, 2)),
    "cov": lambda t: [
        t.cov(rows(t)),
        t.cov(rows(t)[0]),
        t.cov(
            rows(t), correction=0, fweights=t.tensor([1, 2, 1]), aweights=t.tensor([0.5, 1.0, 1.0])
        ),
        t.cov(rows(t), aweights=t.tensor([0.5, 1.0, 1.0])),
    ],
    "cov weights": lambda t: t.cov(rows(t), fweights=t.tensor([1, -2, 1])),
    "corrcoef": lambda t: [t.corrcoef(rows(t)), t.corrcoef(rows(t)[0])],
    "unsqueeze_": reshaped("unsqueeze_", 1),
    "transpose_": reshaped("transpose_", 0, 1),
    "t_": reshaped("t_"),
    "squeeze_": lambda t: t.ones(1, 3, 1).squeeze_(0),
    "as_strided_": lambda t: t.arange(6.0).as_strided_((2, 2), (3, 1), 1),
    "unsqueeze_ of a leaf": lambda t: t.ones(3, requires_grad=True).unsqueeze_(0),
    "fill_diagonal_": lambda t: [
        t.ones(3, 3).fill_diagonal_(5),
        t.ones(8, 2).fill_diagonal_(5, wrap=True),
        t.ones(2, 5).fill_diagonal_(5),
        t.ones(2, 2, 2).fill_diagonal_(5),
    ],
    "fill_diagonal_ of a box": lambda t: t.ones(3, 4, 5).fill_diagonal_(1),
    "pieces": lambda t: [t.split_with_sizes(rows(t), [1, 2], 1), t.narrow_copy(rows(t), 1, 1, 2)],
    "sum_to_size": lambda t: [
        rows(t).sum_to_size(1, 3),
        rows(t).sum_to_size(3),
        rows(t).sum_to_size(2, 1),
    ],
    "sum_to_size of another shape": lambda t: rows(t).sum_to_size(2),
    "broadcast_shapes": lambda t: [tuple(t.broadcast_shapes((2, 1), (3,), 1))],
    "no common shape": lambda t: t.broadcast_shapes((2, 1), (3,), 2),
    "result_type": lambda t: [
        str(t.result_type(t.ones(1, dtype=t.int32), 1.0)),
        str(t.result_type(t.ones(1, dtype=t.float16), t.tensor(1.0, dtype=t.float64))),
    ],
    "is_nonzero": lambda t: [t.is_nonzero(t.ones(1)), t.tensor(0).is_nonzero()],
    "is_nonzero of two": lambda t: t.is_nonzero(t.ones(2)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    agree(PROGRAMS[name], tolerance=1e-6, strides=name != "diff")


def test_gradients() -> None:
    x = np.array([[1.0, 2.0, 4.0], [3.0, 1.0, 0.5]])
    gradients_agree(lambda t, x: t.diff(x, 2), x)
    gradients_agree(lambda t, x, y: t.trapezoid(x, y), x, x * x)
    gradients_agree(lambda t, x: t.cov(x), x)
    gradients_agree(lambda t, x: t.corrcoef(x), x, tolerance=1e-9)
    gradients_agree(lambda t, x: t.trace(x), x)
