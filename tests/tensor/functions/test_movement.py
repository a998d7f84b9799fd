"""Flips, rolls, repeats, diagonals, grids, stacks and splits against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import agree, gradients_agree

pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")


def grid(t: Any) -> Any:
    return t.arange(12.0).reshape(3, 4)


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "flip": lambda t: [
        grid(t).flip(0),
        grid(t).flip(0, 1),
        grid(t).t().flip([1]),
        t.flip(grid(t), dims=(0,)),
    ],
    "flip twice": lambda t: grid(t).flip(0, 0),
    "flip outside": lambda t: grid(t).flip(5),
    "directions": lambda t: [grid(t).fliplr(), grid(t).flipud()],
    "rot90": lambda t: [t.rot90(grid(t), k, (0, 1)) for k in range(-2, 5)],
    "rot90 in a line": lambda t: t.rot90(grid(t), 1, (0, 0)),
    "roll": lambda t: [
        grid(t).roll(1),
        grid(t).roll((1, 2), (0, 1)),
        grid(t).roll(shifts=-1, dims=1),
    ],
    "roll misaligned": lambda t: grid(t).roll((1, 2), 0),
    "repeat": lambda t: [
        grid(t).repeat(2, 1),
        grid(t).repeat([2, 1, 2]),
        t.tile(grid(t), (2,)),
        grid(t).tile(2, 2),
    ],
    "repeat too few": lambda t: grid(t).repeat(2),
    "repeat_interleave": lambda t: [
        grid(t).repeat_interleave(2),
        grid(t).repeat_interleave(2, 0),
        grid(t).repeat_interleave(t.tensor([1, 0, 2]), 0),
        t.repeat_interleave(t.tensor([2, 0, 1])),
    ],
    "repeat_interleave length": lambda t: grid(t).repeat_interleave(t.tensor([1, 2]), 0),
    "repeat_interleave negative": lambda t: grid(t).repeat_interleave(-1, 0),
    "triangles": lambda t: [
        t.tril(grid(t)),
        t.triu(grid(t), 1),
        grid(t).tril_(-1),
        t.tril_indices(3, 4, 1),
        t.triu_indices(3, 3),
    ],
    "triangle of a vector": lambda t: t.tril(t.ones(3)),
    "diagonals": lambda t: [
        t.diag(grid(t)),
        t.diag(t.ones(3), -1),
        t.diagflat(grid(t), 1),
        t.diag_embed(grid(t), 1, 0, 2),
    ],
    "diag of a cube": lambda t: t.diag(t.ones(2, 2, 2)),
    "block_diag": lambda t: [
        t.block_diag(t.ones(2), t.tensor(3), t.ones(2, 1)),
        t.block_diag(t.ones(0, 2), t.ones(1, 1)),
    ],
    "broadcast": lambda t: t.broadcast_tensors(t.ones(2, 1), t.ones(3)),
    "meshgrid": lambda t: [
        t.meshgrid(t.arange(2), t.arange(3), indexing=order) for order in ("ij", "xy")
    ],
    "products": lambda t: [
        t.cartesian_prod(t.arange(2), t.arange(3)),
        t.cartesian_prod(t.arange(2)),
        t.combinations(t.arange(4), 3),
        t.combinations(t.arange(3), with_replacement=True),
    ],
    "at least": lambda t: [
        t.atleast_1d(t.tensor(1)),
        t.atleast_2d(t.tensor(1), t.ones(2)),
        t.atleast_3d(t.ones(2), grid(t)),
    ],
    "stacks": lambda t: [
        t.hstack([t.ones(2), t.ones(3)]),
        t.vstack([t.ones(2), t.ones(2)]),
        t.dstack([t.ones(2), t.ones(2)]),
        t.column_stack([t.ones(2), t.ones(2)]),
        t.hstack([grid(t), grid(t)]),
    ],
    "splits": lambda t: [
        t.tensor_split(grid(t), 5, 1),
        t.tensor_split(grid(t), (1, 3), 1),
        t.hsplit(grid(t), 2),
        t.vsplit(grid(t), 3),
        t.dsplit(t.ones(2, 2, 4), 2),
        t.tensor_split(grid(t), t.tensor([1]), 0),
    ],
    "uneven split": lambda t: t.hsplit(grid(t), 3),
    "unravel_index": lambda t: t.unravel_index(t.tensor([5, 7]), (3, 4)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    agree(PROGRAMS[name])


def test_gradients() -> None:
    x = np.arange(12.0).reshape(3, 4)
    for function in (
        lambda t, x: x.flip(0),
        lambda t, x: x.roll(5),
        lambda t, x: x.repeat(2, 1, 3),
        lambda t, x: t.tril(x),
        lambda t, x: t.rot90(x),
        lambda t, x: x.repeat_interleave(3, 1),
        lambda t, x: t.diag(x),
        lambda t, x: t.diag_embed(x, -1),
        lambda t, x: t.block_diag(x, x * 2),
        lambda t, x: t.tensor_split(x, 3, 1),
        lambda t, x: t.hstack([x, x]),
    ):
        gradients_agree(function, x)
