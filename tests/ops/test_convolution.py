"""Convolutions against PyTorch: every geometry, gradients twice over, shapes, strides, dtypes and
errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ops.oracle import agree, fails_alike, functional, normal, torch

import rushlight
from rushlight.ops import namespace
from rushlight.ops.convolution_maps import phases

CASES: list[tuple[tuple, tuple, dict[str, Any]]] = [
    ((2, 3, 6, 5), (4, 3, 3, 3), {"padding": 1}),
    ((2, 3, 6, 5), (4, 3, 3, 2), {}),
    ((2, 4, 7, 8), (6, 4, 3, 3), {"stride": 2, "padding": 1}),
    ((1, 2, 8, 8), (3, 2, 1, 1), {"stride": 2}),
    ((1, 2, 9, 7), (3, 2, 4, 4), {"stride": 2, "padding": 1}),
    ((1, 2, 9, 10), (3, 2, 5, 2), {"stride": 3, "padding": (2, 0)}),
    ((1, 2, 9, 9), (3, 2, 3, 3), {"stride": (2, 3), "dilation": (2, 1), "padding": 2}),
    ((1, 2, 9, 9), (3, 2, 2, 3), {"stride": 2, "dilation": (3, 2)}),
    ((2, 4, 5, 5), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
    ((2, 4, 5, 5), (4, 1, 3, 3), {"groups": 4, "padding": 1, "stride": 2}),
    ((2, 3, 5, 5), (6, 1, 3, 3), {"groups": 3}),
    ((3, 6, 5), (4, 3, 3, 3), {"padding": 1}),
    ((2, 3, 6, 5), (4, 3, 3, 5), {"padding": "same", "dilation": 2}),
    ((2, 3, 6, 5), (4, 3, 3, 3), {"padding": "valid"}),
    ((1, 2, 12, 12), (3, 2, 4, 4), {"stride": 4}),
    ((1, 2, 5, 5), (3, 2, 2, 2), {"stride": 7}),
    ((2, 3, 8), (4, 3, 3), {"stride": 2, "padding": 1}),
    ((3, 8), (4, 3, 3), {"dilation": 3}),
    ((1, 2, 4, 5, 3), (4, 2, 3, 2, 1), {"stride": (1, 2, 1), "padding": (1, 0, 2)}),
    ((2, 4, 3, 3, 3), (4, 2, 2, 2, 2), {"groups": 2}),
]


def _convolution(lib: Any, *xs: Any, transposed: bool = False, **kwargs: Any) -> Any:
    rank = xs[1].ndim - 2
    name = f"conv_transpose{rank}d" if transposed else f"conv{rank}d"
    return getattr(functional(lib), name)(*xs, **kwargs)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("x", "weight", "options"), CASES)
def test_convolution(x: tuple, weight: tuple, options: dict, bias: bool) -> None:
    arrays = [normal(*x), normal(*weight, seed=1)] + [normal(weight[0], seed=2)] * bias
    agree(lambda lib, *xs: _convolution(lib, *xs, **options), *arrays, depth=2 if bias else 1)


TRANSPOSED: list[tuple[tuple, tuple, dict[str, Any]]] = [
    ((2, 3, 4, 5), (3, 4, 3, 3), {}),
    ((2, 3, 4, 5), (3, 4, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((2, 4, 4, 5), (4, 3, 2, 3), {"stride": (2, 3), "groups": 2, "dilation": (2, 1)}),
    ((4, 4, 5), (4, 2, 4, 4), {"stride": 2, "padding": 1}),
    ((1, 2, 3, 3), (2, 3, 2, 2), {"stride": 3, "output_padding": (1, 2)}),
    ((1, 2, 3, 3), (2, 3, 3, 3), {"dilation": 3, "output_padding": 2, "padding": 1}),
    ((2, 3, 5), (3, 2, 4), {"stride": 2}),
    ((1, 2, 2, 3, 2), (2, 3, 2, 3, 1), {"stride": 2, "padding": (0, 1, 0)}),
]


@pytest.mark.parametrize(("x", "weight", "options"), TRANSPOSED)
def test_transposed_convolution(x: tuple, weight: tuple, options: dict) -> None:
    bias = normal(weight[1] * options.get("groups", 1), seed=2)
    agree(
        lambda lib, *xs: _convolution(lib, *xs, transposed=True, **options),
        normal(*x),
        normal(*weight, seed=1),
        bias,
    )


@pytest.mark.parametrize("size", [1, 2, 5, 8])
@pytest.mark.parametrize("kernel", [1, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_every_tap_meets_every_pixel_once(
    size: int, kernel: int, stride: int, dilation: int
) -> None:
    for before in range(3):
        found, residue = set(), 0
        for run in phases(size, kernel, stride, before, dilation):
            for r in range(run.residues):
                for q in range(-(-size // stride)):
                    for j in range(run.taps):
                        pixel, tap = stride * q + residue + r, run.first + r + run.step * j
                        found.add((pixel, tap, q + run.origin - run.jump * j))
            residue += run.residues
        assert residue == min(stride, size)
        wanted = {
            (i, t, (i + before - t * dilation) // stride)
            for i in range(-(-size // stride) * stride)
            for t in range(kernel)
            if (i + before - t * dilation) % stride == 0 and i % stride < residue
        }
        assert found == wanted


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_narrow_sums_are_taken_in_float32(dtype: str) -> None:
    tolerance = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 1e-5}[dtype]
    arrays = normal(1, 16, 5, 5), normal(4, 16, 3, 3, seed=1) / 12, normal(4, seed=2)
    agree(
        lambda lib, *xs: _convolution(lib, *xs, padding=1),
        *arrays,
        dtype=dtype,
        depth=1,
        tolerance=tolerance,
    )


def test_integers_and_complex_numbers() -> None:
    agree(
        lambda lib, *xs: _convolution(lib, *xs),
        np.arange(50).reshape(1, 2, 5, 5),
        np.arange(36).reshape(2, 2, 3, 3),
        depth=0,
    )
    z, w = (normal(*s) + 1j * normal(*s, seed=1) for s in ((1, 2, 4, 4), (3, 2, 2, 2)))
    agree(lambda lib, *xs: _convolution(lib, *xs, stride=2), z, w, depth=1)


def test_empty_batch() -> None:
    agree(lambda lib, *xs: _convolution(lib, *xs), normal(0, 3, 5, 5), normal(4, 3, 3, 3), depth=1)


def test_results_lie_channels_last_where_an_operand_does() -> None:
    x, weight = rushlight.zeros(1, 3, 5, 5), rushlight.zeros(4, 3, 3, 3)
    ours = namespace.conv2d(x.contiguous(memory_format=rushlight.channels_last), weight)
    theirs = torch.conv2d(
        torch.zeros(1, 3, 5, 5).contiguous(memory_format=torch.channels_last),
        torch.zeros(4, 3, 3, 3),
    )
    assert ours.stride() == theirs.stride()
    assert namespace.conv2d(x, weight).stride() == (36, 9, 3, 1)


@pytest.mark.parametrize(
    ("x", "weight", "options", "words"),
    [
        (
            (1, 3, 5, 5),
            (4, 2, 3, 3),
            {},
            "expected input[1, 3, 5, 5] to have 2 channels, but got 3 channels instead",
        ),
        (
            (5, 5),
            (4, 3, 3, 3),
            {},
            "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [5, "
            "5]",
        ),
        (
            (1, 3, 5, 5),
            (4, 3, 3, 3),
            {"bias": (5,)},
            "expected bias to be 1-dimensional with 4 elements",
        ),
        ((1, 3, 2, 2), (4, 3, 3, 3), {}, "Kernel size can't be greater than actual input size"),
        ((1, 3, 5, 5), (4, 3, 3, 3), {"stride": 0}, "non-positive stride is not supported"),
        ((1, 3, 5, 5), (4, 3, 3, 3), {"padding": -1}, "negative padding is not supported"),
        ((1, 3, 5, 5), (4, 3, 3, 3), {"dilation": 0}, "dilation should be greater than zero"),
        (
            (1, 4, 5, 5),
            (3, 2, 3, 3),
            {"groups": 2},
            "expected weight to be divisible by 2 at dimension 0",
        ),
        ((1, 4, 5, 5), (3, 2, 3, 3), {"groups": 0}, "non-positive groups is not supported"),
        (
            (1, 3, 5, 5),
            (4, 3, 3, 3),
            {"padding": "same", "stride": 2},
            "padding='same' is not supported for strided",
        ),
        ((1, 3, 5, 5), (4, 3, 3, 3), {"padding": "foo"}, "Invalid padding string: 'foo'"),
        ((1, 3, 5, 5), (4, 3, 3, 3), {"stride": (1, 2, 3)}, "but got stride=[1, 2, 3]"),
        (
            (1, 3, 5, 5),
            (4, 2, 3, 3),
            {"transposed": True},
            "expected input[1, 3, 5, 5] to have 4 channels",
        ),
        (
            (1, 3, 5, 5),
            (3, 2, 3, 3),
            {"transposed": True, "output_padding": 1},
            "output padding must be smaller",
        ),
        (
            (1, 3, 5, 5),
            (3, 2, 3, 3),
            {"transposed": True, "padding": 9},
            "Output size is too small",
        ),
    ],
)
def test_errors(x: tuple, weight: tuple, options: dict, words: str) -> None:
    def expression(lib: Any) -> Any:
        given = dict(options)
        if "bias" in given:
            given["bias"] = lib.zeros(given["bias"])
        return _convolution(lib, lib.zeros(x), lib.zeros(weight), **given)

    fails_alike(expression, words)


def test_dtypes_must_agree() -> None:
    fails_alike(
        lambda lib: _convolution(lib, lib.zeros(1, 2, 3, 3), lib.zeros(1, 2, 2, 2).double()),
        "Input type (float)",
    )
