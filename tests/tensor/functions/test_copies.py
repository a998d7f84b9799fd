"""Views that own their memory, and pieces that are no views for the tape, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import agree, gradients_agree

import rushlight as rl
from rushlight.tensor.functions.copies import COPIES

pytest.importorskip("torch")


def grid(t: Any) -> Any:
    return t.arange(24.0).reshape(2, 3, 4)


# of each copying function, arguments behind the tensor: the last ones are wrong
ARGUMENTS: dict[str, list[tuple]] = {
    "alias_copy": [()],
    "as_strided_copy": [((2, 2), (1, 4), 3), ((2, 2), (1,)), ((40,), (1,))],
    "detach_copy": [()],
    "diagonal_copy": [(), (1, 0, 2), (0, 1, 1)],
    "expand_copy": [((5, 2, 3, 4),), ((2, 3, 5),)],
    "narrow_copy": [(1, 0, 2), (2, -2, 2), (3, 0, 1), (0, 3, 1), (1, 0, 9)],
    "permute_copy": [((2, 0, 1),), ((0, 1),)],
    "select_copy": [(1, 2), (2, -1), (1, 3)],
    "slice_copy": [(1, 1, 3), (2, None, None, 2), (1, 2, 1), (1, 0, 3, 0)],
    "split_copy": [(2, 1), (5, 2), (-1, 1)],
    "split_with_sizes_copy": [([1, 2], 1), ([1, 1], 1)],
    "squeeze_copy": [(), (1,), (3,)],
    "transpose_copy": [(0, 2), (0, 3)],
    "unbind_copy": [(), (2,), (3,)],
    "unfold_copy": [(2, 3, 1), (1, 2, 2), (1, 4, 1)],
    "unsqueeze_copy": [(1,), (-1,), (5,)],
    "view_copy": [((6, 4),), ((-1, 2),), ((5, 5),)],
}
CASES = [(name, arguments) for name, listed in ARGUMENTS.items() for arguments in listed]


def applied(name: str, arguments: tuple) -> Callable[[Any], Any]:
    return lambda t: getattr(t, name)(grid(t), *arguments)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_agrees(name: str, arguments: tuple) -> None:
    agree(applied(name, arguments))
    agree(lambda t: getattr(t, name)(grid(t).transpose(0, 2), *arguments))


@pytest.mark.parametrize("name", [n for n in ARGUMENTS if n != "detach_copy"])
def test_gradient(name: str) -> None:
    def program(t: Any, x: Any) -> Any:
        made = getattr(t, name)(x, *ARGUMENTS[name][0])
        return made[0] if isinstance(made, tuple) else made

    gradients_agree(program, np.arange(24.0).reshape(2, 3, 4))


def test_matrices_and_pairs() -> None:
    agree(lambda t: t.t_copy(grid(t)[0]))
    agree(lambda t: t.t_copy(grid(t)))
    agree(lambda t: t.view_as_real_copy(t.tensor([1 + 2j, 3.0])))
    agree(lambda t: t.view_as_complex_copy(t.tensor([[1.0, 2.0]])))
    agree(lambda t: t.view_copy(t.tensor([1.0]), t.int32))


@pytest.mark.parametrize("name", sorted(COPIES))
def test_owns_its_memory(name: str) -> None:
    if name in ("t_copy", "view_as_complex_copy", "view_as_real_copy"):
        x = rl.ones(2, 2, dtype=rl.complex64 if name == "view_as_real_copy" else rl.float32)
        made = getattr(rl, name)(x)
    else:
        x = grid(rl)
        made = getattr(rl, name)(x, *ARGUMENTS[name][0])
    first = made[0] if isinstance(made, tuple) else made
    before = x.sum().item()
    first.fill_(-7)
    assert x.sum().item() == before and first.is_contiguous()


def test_out() -> None:
    agree(lambda t: t.expand_copy(t.ones(1, 3), (2, 3), out=t.zeros(2, 3)))
    agree(lambda t: [out := t.zeros(0), t.select_copy(grid(t), 0, 1, out=out)])


@pytest.mark.parametrize(
    "program",
    [
        lambda t: t.unsafe_split(grid(t), 2, 1),
        lambda t: t.unsafe_split_with_sizes(grid(t), [1, 2], 1),
        lambda t: t.unsafe_chunk(grid(t), 2, -1),
        lambda t: grid(t).unsafe_chunk(0),
    ],
)
def test_unsafe_pieces(program: Callable) -> None:
    agree(program)


def test_an_unsafe_piece_may_be_overwritten() -> None:
    def program(t: Any, x: Any) -> Any:
        first, second = t.unsafe_split(x * 1, 2)
        first.mul_(3)
        return first * second

    gradients_agree(program, np.array([1.0, 2.0, 3.0, 4.0]))
