"""Attention against PyTorch: masks, causality, grouped heads, broadcasting, dropout, gradients
twice over, errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ops.oracle import agree, fails_alike, functional, normal, torch

import rushlight

QKV = [(2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 6)]


def attend(lib: Any, *args: Any, **kwargs: Any) -> Any:
    return functional(lib).scaled_dot_product_attention(*args, **kwargs)


def arrays(shapes: list) -> list[np.ndarray]:
    return [normal(*s, seed=k) for k, s in enumerate(shapes)]


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}])
@pytest.mark.parametrize(
    "shapes",
    [
        QKV,
        [(3, 4), (5, 4), (5, 2)],
        [(2, 3, 4), (1, 3, 4), (2, 3, 4)],
        [(2, 1, 3, 4), (5, 3, 4), (5, 3, 4)],
    ],
)
def test_attention(shapes: list, options: dict) -> None:
    agree(lambda lib, q, k, v: attend(lib, q, k, v, **options), *arrays(shapes), tolerance=1e-8)


@pytest.mark.parametrize("shape", [(3, 5), (2, 1, 3, 5), (2, 2, 3, 5), (1, 5)])
def test_masks(shape: tuple) -> None:
    agree(
        lambda lib, q, k, v, m: attend(lib, q, k, v, m),
        *arrays(QKV),
        normal(*shape, seed=9),
        tolerance=1e-8,
    )
    seen = normal(*shape, seed=9) > -0.5
    agree(lambda lib, q, k, v, m: attend(lib, q, k, v, m), *arrays(QKV), seen, tolerance=1e-8)


def test_a_query_that_sees_nothing_gets_zeros() -> None:
    seen = np.ones((3, 5), bool)
    seen[1] = False
    agree(
        lambda lib, q, k, v, m: attend(lib, q, k, v, m), *arrays(QKV), seen, depth=1, tolerance=1e-8
    )
    agree(
        lambda lib, q, k, v, m: attend(lib, q, k, v, m),
        *arrays(QKV),
        np.where(seen, 0.0, -np.inf),
        depth=0,
        tolerance=1e-8,
    )


@pytest.mark.parametrize("mask", [None, (3, 5), (2, 4, 3, 5), (2, 1, 3, 5)])
def test_grouped_heads(mask: tuple | None) -> None:
    shapes = [(2, 4, 3, 4), (2, 2, 5, 4), (2, 2, 5, 6)] + ([mask] if mask else [])
    agree(lambda lib, *xs: attend(lib, *xs, enable_gqa=True), *arrays(shapes), tolerance=1e-8)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_narrow_dtypes(dtype: str) -> None:
    tolerance = {"float16": 4e-3, "bfloat16": 4e-2, "float32": 1e-5}[dtype]
    agree(
        lambda lib, q, k, v: attend(lib, q, k, v),
        *arrays(QKV),
        dtype=dtype,
        depth=1,
        tolerance=tolerance,
    )


def test_dropout_draws_what_pytorch_draws() -> None:
    outs = []
    for lib in (rushlight, torch):
        lib.manual_seed(3)
        x = lib.ones(1, 2, 4, 4)
        outs.append(attend(lib, x, x, x, dropout_p=0.4).tolist())
    np.testing.assert_allclose(outs[0], outs[1], 1e-5)


@pytest.mark.parametrize(
    ("shapes", "options", "words"),
    [
        ([(3,), (2, 3), (2, 3)], {}, "at least 2 dimensional, but got query.dim: 1"),
        ([(2, 2, 3), (2, 2, 4), (2, 2, 3)], {}, "[2, 3] but got: [2, 4]"),
        ([(2, 2, 3), (3, 2, 3), (2, 2, 3)], {}, "must match the size of tensor b (3)"),
        (
            [(2, 2, 3)] * 3,
            {"attn_mask": (2, 2), "is_causal": True},
            "should not be set when is_causal=True",
        ),
        (
            [(2, 3, 3, 3), (2, 2, 3, 3), (2, 2, 3, 3)],
            {"enable_gqa": True},
            "must divide the number of heads",
        ),
        ([(2, 2, 3)] * 3, {"dropout_p": 1.5}, "has to be between 0 and 1, but got 1.5"),
    ],
)
def test_errors(shapes: list, options: dict, words: str) -> None:
    def expression(lib: Any) -> Any:
        given = {name: lib.zeros(v) if isinstance(v, tuple) else v for name, v in options.items()}
        return attend(lib, *(lib.zeros(s) for s in shapes), **given)

    fails_alike(expression, words)


LAYOUTS: dict[str, tuple[list[tuple[int, ...]], dict[str, Any]]] = {
    "heads": ([(2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5)], {}),
    "causal": ([(2, 3, 4, 5), (2, 3, 4, 5), (2, 3, 4, 5)], {"is_causal": True}),
    "no heads": ([(3, 4, 5), (3, 6, 5), (3, 6, 5)], {}),
    "two batches": ([(2, 2, 3, 4, 5), (2, 2, 3, 6, 5), (2, 2, 3, 6, 5)], {}),
    "wider values": ([(2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7)], {}),
    "broadcast": ([(2, 3, 4, 5), (1, 3, 6, 5), (1, 3, 6, 5)], {}),
    "dropout": ([(2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5)], {"dropout_p": 0.5}),
}


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
@pytest.mark.parametrize("title", LAYOUTS)
def test_gradients_lie_as_pytorchs(title: str, kind: str) -> None:
    shapes, options = LAYOUTS[title]
    seen = []
    for lib in (torch, rushlight):
        inputs = [lib.ones(s, dtype=getattr(lib, kind), requires_grad=True) for s in shapes]
        result = attend(lib, *inputs, **options)
        gradients = lib.autograd.grad(result.sum(), inputs)
        seen.append((type(result.grad_fn).__name__, [x.stride() for x in (result, *gradients)]))
    assert seen[1] == seen[0]
