"""Compares one expression under rushlight and under PyTorch: values, gradients, gradients of
gradients, errors.

In: `expression(lib, *tensors)`, where `lib` is rushlight or torch. Invariant: both see the same
bits and the same random directions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import rushlight
from rushlight.ops import namespace

torch = pytest.importorskip("torch")


def _outputs(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _floating(x: Any) -> bool:
    return x.dtype.is_floating_point or x.dtype.is_complex


def numpy_of(x: Any) -> np.ndarray:
    """A tensor of either library as an array; bfloat16 widened."""
    x = x.detach()
    x = x.resolve_conj() if isinstance(x, torch.Tensor) else x
    return x.float().numpy() if "bfloat16" in str(x.dtype) else x.numpy()


def close(ours: Any, theirs: Any, tolerance: float, what: str) -> None:
    """AssertionError unless shapes, dtypes and values agree."""
    assert tuple(ours.shape) == tuple(theirs.shape), (
        f"{what}: {tuple(ours.shape)} and {tuple(theirs.shape)}"
    )
    assert str(ours.dtype).split(".")[-1] == str(theirs.dtype).split(".")[-1], (
        f"{what}: {ours.dtype}, {theirs.dtype}"
    )
    np.testing.assert_allclose(numpy_of(ours), numpy_of(theirs), tolerance, tolerance, err_msg=what)


def _grads(lib: Any, outs: list, directions: list, leaves: list, create_graph: bool) -> list:
    total = None
    for out, direction in zip(outs, directions):
        term = (
            out * out * direction
        ).sum()  # quadratic, so that linear functions have second gradients too
        total = term if total is None else total + term
    if total.dtype.is_complex:
        total = total.real
    return list(lib.autograd.grad(total, leaves, create_graph=create_graph, allow_unused=True))


def run(
    lib: Any, expression: Callable, arrays: Sequence[np.ndarray], depth: int, dtype: str | None
) -> list[list[Any]]:
    """[values, gradients, gradients of gradients], as far as `depth` asks."""
    leaves = []
    tensors = []
    for array in arrays:
        x = lib.tensor(array.tolist(), dtype=getattr(lib, str(array.dtype))).reshape(array.shape)
        if dtype and _floating(x):
            x = x.to(getattr(lib, dtype))
        if depth and _floating(x):
            x = x.detach().requires_grad_()
            leaves.append(x)
        tensors.append(x)
    stages = [_outputs(expression(lib, *tensors))]
    for level in range(depth):
        outs = [x for x in stages[-1] if x is not None and _floating(x) and x.requires_grad]
        if not outs:
            break
        random = np.random.default_rng(7 + level)
        directions = [
            lib.tensor(random.standard_normal(tuple(x.shape)).tolist(), dtype=x.dtype).reshape(
                x.shape
            )
            for x in outs
        ]
        stages.append(_grads(lib, outs, directions, leaves, level + 1 < depth))
    return stages


def agree(
    expression: Callable,
    *arrays: np.ndarray,
    depth: int = 2,
    tolerance: float = 1e-9,
    dtype: str | None = None,
) -> None:
    """Both libraries give the same values and, `depth` times, the same gradients."""
    ours = run(rushlight, expression, arrays, depth, dtype)
    theirs = run(torch, expression, arrays, depth, dtype)
    assert len(ours) == len(theirs), "one library has gradients that the other lacks"
    for stage, (own, other) in zip(("value", "gradient", "second gradient"), zip(ours, theirs)):
        for k, (x, y) in enumerate(zip(own, other, strict=True)):
            if x is None or y is None:  # no path, or a path of zeros: the same thing
                known = y if x is None else x
                assert known is None or not numpy_of(known).any(), f"{stage} {k} is missing"
                continue
            close(x, y, tolerance, f"{stage} {k}")


def fails_alike(expression: Callable, *words: str) -> None:
    """Both libraries raise the same type of error, and ours says `words`."""
    with pytest.raises(Exception) as theirs:
        expression(torch)
    with pytest.raises(theirs.type) as ours:
        expression(rushlight)
    for word in words:
        assert word in str(ours.value)


def functional(lib: Any) -> Any:
    """Where a library keeps the functions of `nn.functional` (ours as rows, without the layers
    above them).
    """
    return namespace if lib is rushlight else lib.nn.functional


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded float64 normal values."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape)
