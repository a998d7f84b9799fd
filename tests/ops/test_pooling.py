"""Pooling against PyTorch: windows, ties, NaNs, indices, adaptive sizes, gradients twice over, and
the errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ops.oracle import agree, fails_alike, normal, torch

import rushlight
from rushlight.ops import namespace

SHAPES = {1: (2, 3, 9), 2: (2, 3, 7, 8), 3: (1, 2, 5, 6, 4)}
WINDOWS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": 2, "stride": 3},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 2, "padding": 1, "ceil_mode": True},
]
DILATED = [
    {"kernel_size": 2, "stride": 1, "dilation": 2, "padding": 1},
    {"kernel_size": 3, "stride": 2, "dilation": 2, "padding": 1},
]


def call(lib: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    if lib is rushlight:
        return getattr(namespace, name)(*args, **kwargs)
    home = torch.nn.functional
    if name.startswith("adaptive_max"):
        return getattr(home, name)(*args, return_indices=True, **kwargs)
    if name.endswith("_with_indices"):
        return getattr(home, name.removesuffix("_with_indices"))(
            *args, return_indices=True, **kwargs
        )
    return getattr(home, name)(*args, **kwargs)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("options", WINDOWS + DILATED)
@pytest.mark.parametrize("suffix", ["", "_with_indices"])
def test_max_pool(rank: int, options: dict, suffix: str) -> None:
    agree(lambda lib, x: call(lib, f"max_pool{rank}d{suffix}", x, **options), normal(*SHAPES[rank]))


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 5, "stride": 2, "padding": 2},
        {"kernel_size": (7, 8)},
        {"kernel_size": (5, 4), "padding": (2, 1), "dilation": (1, 2)},
    ],
)
@pytest.mark.parametrize("suffix", ["", "_with_indices"])
def test_large_windows_are_worked_out_by_dimension(options: dict, suffix: str) -> None:
    agree(lambda lib, x: call(lib, f"max_pool2d{suffix}", x, **options), normal(*SHAPES[2]))


@pytest.mark.parametrize("kernel", [3, 5])
def test_the_first_of_equal_values_takes_the_gradient(kernel: int) -> None:
    ties = np.random.default_rng(0).integers(0, 2, (2, 2, 8, 8)).astype(np.float64)
    options = {"kernel_size": kernel, "stride": 2, "padding": kernel // 2}
    agree(lambda lib, x: call(lib, "max_pool2d_with_indices", x, **options), ties)
    lowest = np.full((1, 1, 6, 6), -np.inf)
    agree(lambda lib, x: call(lib, "max_pool2d_with_indices", x, **options), lowest, depth=0)


@pytest.mark.parametrize("kernel", [2, 5])
def test_nan_beats_everything(kernel: int) -> None:
    x = normal(1, 2, 8, 8)
    x[0, 0, 3, 4] = x[0, 1, 0, 0] = x[0, 1, 1, 1] = np.nan
    agree(lambda lib, x: call(lib, "max_pool2d_with_indices", x, kernel_size=kernel), x, depth=0)


def test_integers() -> None:
    agree(
        lambda lib, x: call(lib, "max_pool2d", x, 3, 2, 1),
        np.arange(32).reshape(1, 2, 4, 4),
        depth=0,
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        *WINDOWS,
        {"kernel_size": 3, "padding": 1, "count_include_pad": False},
        {
            "kernel_size": 4,
            "stride": 3,
            "padding": 2,
            "ceil_mode": True,
            "count_include_pad": False,
        },
    ],
)
def test_avg_pool(rank: int, options: dict) -> None:
    agree(lambda lib, x: call(lib, f"avg_pool{rank}d", x, **options), normal(*SHAPES[rank]))


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 5, "stride": 2, "padding": 2},
        {"kernel_size": (7, 8)},
        {"kernel_size": 3, "divisor_override": 5},
    ],
)
def test_avg_pool_of_large_windows(options: dict) -> None:
    agree(lambda lib, x: call(lib, "avg_pool2d", x, **options), normal(*SHAPES[2]))
    agree(lambda lib, x: call(lib, "avg_pool2d", x, **options), normal(*SHAPES[2][1:]))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["adaptive_avg_pool", "adaptive_max_pool"])
def test_adaptive_pools(name: str, rank: int, size: int) -> None:
    agree(lambda lib, x: call(lib, f"{name}{rank}d", x, size), normal(*SHAPES[rank]))


def test_adaptive_pools_of_even_windows_and_unbatched_input() -> None:
    for name in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
        agree(lambda lib, x, name=name: call(lib, name, x, (2, 4)), normal(3, 8, 8))
        agree(lambda lib, x, name=name: call(lib, name, x, (3, 4)), normal(3, 8, 8))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("name", ["avg_pool2d", "max_pool2d", "adaptive_avg_pool2d"])
def test_narrow_dtypes(name: str, dtype: str) -> None:
    tolerance = {"float16": 2e-3, "bfloat16": 1e-2, "float32": 1e-5}[dtype]
    agree(
        lambda lib, x: call(lib, name, x, 3),
        normal(1, 2, 7, 7),
        dtype=dtype,
        depth=1,
        tolerance=tolerance,
    )


def test_results_lie_channels_last_where_the_input_does() -> None:
    x = rushlight.zeros(2, 3, 6, 6).contiguous(memory_format=rushlight.channels_last)
    for name in ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"):
        theirs = call(
            torch, name, torch.zeros(2, 3, 6, 6).contiguous(memory_format=torch.channels_last), 2
        )
        assert getattr(namespace, name)(x, 2).stride() == theirs.stride()


@pytest.mark.parametrize(
    ("name", "shape", "args", "words"),
    [
        ("max_pool2d", (1, 3, 5, 5), (0,), "greater than zero"),
        (
            "max_pool2d",
            (1, 3, 5, 5),
            (3, 1, 2),
            "at most half of effective kernel size, but got pad=2, kernel_size=3 and dilation=1",
        ),
        (
            "max_pool2d",
            (1, 3, 2, 2),
            (3,),
            "Given input size: (3x2x2). Calculated output size: (3x0x0). Output size is too small",
        ),
        ("max_pool2d", (2, 2), (3,), "batch mode"),
        ("max_pool2d", (1, 3, 5, 5), (3, 0), "stride should not be zero"),
        ("max_pool2d", (1, 3, 5, 5), (3, 1, 0, 0), "dilation should be greater than zero"),
        (
            "max_pool2d",
            (1, 3, 5, 5),
            ((3, 3, 3),),
            "kernel_size must either be a single int, or a tuple of two ints",
        ),
        ("avg_pool2d", (1, 3, 5, 5), (3, 1, 0, False, True, 0), "divisor must be not zero"),
        ("avg_pool3d", (2,), (3,), "batch mode"),
        ("adaptive_max_pool2d", (1, 2, 0, 2), ((1, 2),), "with dimension 2 being empty"),
    ],
)
def test_errors(name: str, shape: tuple, args: tuple, words: str) -> None:
    fails_alike(lambda lib: call(lib, name, lib.zeros(shape), *args), words)


def test_dtypes_without_an_order_or_a_mean() -> None:
    fails_alike(
        lambda lib: call(lib, "max_pool2d", lib.zeros(1, 1, 4, 4).bool(), 2),
        "not implemented for 'Bool'",
    )
    fails_alike(
        lambda lib: call(lib, "avg_pool2d", lib.zeros(1, 1, 4, 4).int(), 2),
        "not implemented for 'Int'",
    )
