"""`x[...]` and `x[...] = v` against PyTorch: values, dtypes, strides, aliases, slopes, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import agree, gradients_agree

import rushlight as rl

pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")


def grid(t: Any) -> Any:
    return t.arange(12.0).reshape(3, 4)


READS: dict[str, Callable[[Any], Any]] = {
    "int": lambda t: 1,
    "negative": lambda t: -1,
    "column": lambda t: (slice(None), 1),
    "ellipsis": lambda t: (..., None, 0),
    "whole": lambda t: ...,
    "nothing": lambda t: (),
    "step": lambda t: (..., slice(None, None, 2)),
    "none between": lambda t: (slice(1, 2), None),
    "numpy int": lambda t: np.int64(1),
    "int tensor": lambda t: t.tensor(1),
    "list": lambda t: [0, 2],
    "range": lambda t: range(2),
    "array": lambda t: np.array([0, 1]),
    "repeated": lambda t: t.tensor([0, -1, 0]),
    "matrix": lambda t: t.tensor([[0, 1], [2, 0]]),
    "int32": lambda t: t.tensor([1, 0], dtype=t.int32),
    "second": lambda t: (slice(None), [0, 1]),
    "pairs": lambda t: ([0, 1], [1, 2]),
    "broadcast pairs": lambda t: (t.tensor([[0], [2]]), t.tensor([1, 3])),
    "list then slice": lambda t: (t.tensor([0, -1]), slice(1, 3)),
    "apart": lambda t: (None, slice(None), [0]),
    "mask": lambda t: grid(t) > 5,
    "row mask": lambda t: t.tensor([True, False, True]),
    "mask and list": lambda t: (t.tensor([True, False, True]), [0, 1]),
    "column mask": lambda t: (slice(None), t.tensor([True, False, True, False])),
    "empty mask": lambda t: grid(t) > 99,
    "true": lambda t: True,
    "false": lambda t: False,
    "empty list": lambda t: [],
    "too large": lambda t: 5,
    "too small": lambda t: -4,
    "second too large": lambda t: (0, 9),
    "too many": lambda t: (0, 0, 0),
    "text": lambda t: "a",
    "float": lambda t: 1.5,
    "float tensor": lambda t: t.tensor([0.5]),
    "position too large": lambda t: [9],
    "position too small": lambda t: (slice(None), t.tensor([0, -7])),
    "short mask": lambda t: t.tensor([True, False]),
    "backwards": lambda t: (slice(None), slice(None, None, -1)),
    "no step": lambda t: slice(None, None, 0),
    "no broadcast": lambda t: ([0, 1], [0, 1, 2]),
}


@pytest.mark.parametrize("name", READS)
def test_reading(name: str) -> None:
    agree(lambda t: grid(t)[READS[name](t)])
    agree(lambda t: grid(t).t().contiguous().t()[READS[name](t)])


def test_zero_dimensional_operands() -> None:
    for index in ((), None, ..., True, False, 0, slice(None)):
        agree(lambda t: t.tensor(3.0)[index])  # noqa: B023 - called at once


def test_strides_of_gathered_views() -> None:
    """Where the operand is no row-major tensor, its order of dimensions shows in the result."""
    agree(lambda t: t.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)[:, [0, 1]])
    agree(lambda t: t.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)[[0, 1], :, [0, 1]])
    agree(lambda t: t.arange(24.0).reshape(2, 3, 4)[:, t.tensor([[0, 1], [1, 0], [0, 0]]).t()])
    agree(lambda t: t.ones(1, 5, 5, 1).permute(1, 3, 0, 2)[:, [-1, -1, -1]])
    agree(lambda t: t.ones(4, 1, 2).transpose(2, 0)[::2, [-1, 0, -1]])
    agree(lambda t: t.ones(3, 3, 1, 2).permute(1, 2, 3, 0)[:, :, t.zeros(2, 1, dtype=t.int64).t()])


def ones(*shape: int, dtype: str = "float32") -> Callable[[Any], Any]:
    return lambda t: t.ones(*shape, dtype=getattr(t, dtype))


WRITES: list[tuple[Callable[[Any], Any], Any]] = [
    (lambda t: 0, 5),
    (lambda t: (slice(None), 1), lambda t: t.arange(3)),
    (lambda t: (slice(0, 2), slice(1, 3)), ones(2, 2, dtype="int32")),
    (lambda t: ..., ones(1, 1, 3, 4)),
    (lambda t: (None, 0), 3),
    (lambda t: t.tensor(1), ones(4)),
    (lambda t: True, 3.0),
    (lambda t: [0, 1], ones(4)),
    (lambda t: (slice(None), [0, 2]), ones(3, 1)),
    (lambda t: (0, [0, 2]), 7),
    (lambda t: np.array([0, 2]), 0.0),
    (lambda t: (t.tensor([0, 0]), t.tensor([1, 1])), lambda t: t.tensor([1.0, 2.0])),
    (lambda t: grid(t) > 3, -1),
    (lambda t: grid(t) > 3, lambda t: t.tensor(2)),
    (lambda t: grid(t) > 8, lambda t: t.tensor([1.0, 2.0, 3.0])),
    (lambda t: t.tensor([True, False, True]), ones(4)),
    (lambda t: t.tensor([True, False, True]), ones(2, 4)),
    (lambda t: (slice(None), t.tensor([True, False, True, False])), lambda t: t.tensor(7.0)),
    (lambda t: (slice(None), t.tensor([True, False, True, False])), ones(3, 2)),
    (lambda t: [0, 1], ones(4, dtype="float64")),
    (lambda t: 0, ones(3)),
    (lambda t: 0, [1, 2, 3, 4]),
    (lambda t: 0, "a"),
    (lambda t: 0, 1j),
    (lambda t: grid(t) > 1, ones(3)),
    (lambda t: t.tensor([0, 1]), ones(3)),
    (lambda t: t.tensor([True, False, True]), ones(3)),
    (lambda t: [5], 1.0),
]


@pytest.mark.parametrize("number", range(len(WRITES)))
def test_writing(number: int) -> None:
    index, value = WRITES[number]

    def program(t: Any) -> Any:
        whole = t.zeros(5, 6)
        part = whole[1:4, 1:5]  # a view: what is written must be seen in the whole
        part.copy_(grid(t))
        part[index(t)] = value(t) if callable(value) else value
        return whole

    agree(program)


def test_views_share_memory_and_lists_do_not() -> None:
    def program(t: Any) -> Any:
        x = grid(t)
        view, copied = x[1:, ::2], x[[1, 2]]
        x.zero_()
        view += 1
        return x, view, copied

    agree(program)


def test_a_mask_with_a_number_does_not_compute_anything() -> None:
    x = rl.zeros(4) + 1
    x[x > 0] = 2.0
    assert x._storage.pending()
    assert x.tolist() == [2.0] * 4


def test_positions_not_yet_known_are_checked_when_they_are() -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        grid(rl)[rl.tensor([0, 1]) + 5].tolist()


def test_gradients() -> None:
    x, v = np.arange(12.0).reshape(3, 4), np.arange(1.0, 5.0)
    gradients_agree(lambda t, x: x[1:, ::2], x)
    gradients_agree(lambda t, x: x[[0, 0, 2]], x)
    gradients_agree(lambda t, x: x[t.tensor([0, -1]), t.tensor([1, 1])], x)
    gradients_agree(lambda t, x: x[x > 4], x)

    def assigned(index: Callable[[Any], Any]) -> Callable[..., Any]:
        def function(t: Any, x: Any, v: Any) -> Any:
            y = x * 2
            y[index(t)] = v * 3
            return y * y

        return function

    gradients_agree(assigned(lambda t: 1), x, v)
    gradients_agree(assigned(lambda t: [0, 2]), x, v)
    gradients_agree(assigned(lambda t: t.tensor([True, False, True])), x, v)
    gradients_agree(assigned(lambda t: (slice(None), t.tensor([True] * 4))), x, v)


def test_iteration_membership_deletion() -> None:
    agree(lambda t: list(grid(t)))
    agree(lambda t: [list(reversed(grid(t)))])
    agree(lambda t: [3.0 in grid(t), 99 in grid(t), t.ones(4) in grid(t)])
    agree(lambda t: "a" in grid(t))
    agree(lambda t: iter(t.tensor(1.0)))

    def delete(t: Any) -> None:
        x = grid(t)
        del x[0]

    agree(delete)


def test_writing_into_leaves_is_refused() -> None:
    def program(t: Any) -> Any:
        x = t.ones(3, requires_grad=True)
        x[0] = 1.0
        return x

    agree(program)
