"""Embeddings and constant padding against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ops.oracle import agree, fails_alike, normal


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding_idx": 2},
        {"padding_idx": -1},
        {"scale_grad_by_freq": True},
        {"padding_idx": 0, "scale_grad_by_freq": True},
    ],
)
def test_embedding(options: dict, dtype: type) -> None:
    indices = np.random.default_rng(0).integers(0, 4, (3, 5)).astype(dtype)
    depth = 1 if options.get("scale_grad_by_freq") else 2
    kind = np.dtype(dtype).name

    def expression(lib: Any, weight: Any) -> Any:
        return lib.embedding(
            weight, lib.tensor(indices.tolist(), dtype=getattr(lib, kind)), **options
        )

    agree(expression, normal(4, 3), depth=depth)


@pytest.mark.parametrize("index", [5, -1])
def test_an_index_outside_the_table(index: int) -> None:
    fails_alike(lambda lib: lib.embedding(lib.zeros(2, 3), lib.tensor([0, index])).tolist())


def test_operands_that_do_not_fit() -> None:
    fails_alike(lambda lib: lib.embedding(lib.zeros(2, 3), lib.zeros(2)), "Long, Int")
    fails_alike(
        lambda lib: lib.embedding(lib.zeros(2, 3, 2), lib.zeros(2).long()), "'weight' must be 2-D"
    )


@pytest.mark.parametrize(
    "widths", [(1, 2), (-1, 2, 3, -1), (0, 0, 1, 1), (1, 2, 3, 4, 5, 6), (-3, 0), (-2, -1)]
)
def test_constant_pad(widths: tuple) -> None:
    agree(lambda lib, x: lib.constant_pad_nd(x, widths, 2.5), normal(2, 3, 3))


def test_padding_takes_the_dtype_of_what_it_surrounds() -> None:
    agree(lambda lib, x: lib.constant_pad_nd(x, (1, 1), 1.7), np.arange(3), depth=0)
    agree(lambda lib, x: lib.constant_pad_nd(x, (1, 1), 2), np.zeros(3, bool), depth=0)


@pytest.mark.parametrize("widths", [(1,), (1, 1, 1, 1, 1, 1), (-2, -2)])
def test_widths_that_do_not_fit(widths: tuple) -> None:
    def expression(lib: Any) -> Any:
        return lib.constant_pad_nd(lib.zeros(2, 3), widths)

    fails_alike(expression, "")
