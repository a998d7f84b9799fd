"""One program on rushlight and on PyTorch: same values, dtypes, shapes, strides and types of error.

In: a function of the module (`torch` or `rushlight`). Out: nothing, or an AssertionError that
shows both results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import rushlight

Program = Callable[[Any], Any]


def flattened(result: Any) -> list:
    """The leaves of nested tuples and lists."""
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in flattened(part)]
    return [result]


def as_array(tensor: Any) -> np.ndarray:
    """A tensor's values; bfloat16 widened."""
    tensor = tensor.detach()
    return np.asarray((tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy())


def meaningful(shape: Sequence[int], strides: Sequence[int]) -> list[int | None]:
    """Strides of the dimensions whose stride says anything."""
    return [stride if extent > 1 else None for extent, stride in zip(shape, strides, strict=True)]


def agree(program: Program, *, strides: bool = True, tolerance: float = 0.0) -> None:
    """Run a program on both and compare whatever it returns, or raises (our type must be, or
    derive from, PyTorch's).
    """
    torch = pytest.importorskip("torch")
    try:
        expected = flattened(program(torch))
    except Exception as error:
        with pytest.raises(type(error)):
            realized(program(rushlight))
        return
    made = flattened(program(rushlight))
    assert len(made) == len(expected)
    for ours, theirs in zip(made, expected, strict=True):
        if not isinstance(theirs, torch.Tensor):
            assert ours == theirs
            continue
        assert (tuple(ours.shape), str(ours.dtype)) == (tuple(theirs.shape), str(theirs.dtype))
        if strides and theirs.numel():
            assert meaningful(ours.shape, ours.stride()) == meaningful(
                theirs.shape, theirs.stride()
            )
        np.testing.assert_allclose(as_array(ours), as_array(theirs), rtol=tolerance, atol=tolerance)


def realized(result: Any) -> None:
    """Compute everything, so that what is wrong with the values comes to light."""
    for leaf in flattened(result):
        if isinstance(leaf, rushlight.Tensor) and not leaf.is_meta:
            leaf.tolist()


def gradients_agree(
    function: Callable[..., Any], *arrays: np.ndarray, tolerance: float = 1e-12
) -> None:
    """The gradients of sum(weight * function(module, leaves)) with respect to float64 leaves
    agree.
    """
    torch = pytest.importorskip("torch")
    found = []
    for module in (torch, rushlight):
        leaves = [
            module.tensor(a.tolist(), dtype=module.float64).reshape(a.shape).requires_grad_()
            for a in arrays
        ]
        outs = [out for out in flattened(function(module, *leaves)) if out.dtype.is_floating_point]
        total = sum(
            (out * (module.arange(out.numel(), dtype=module.float64).reshape(out.shape) + 1)).sum()
            for out in outs
        )
        total.backward()
        found.append([None if x.grad is None else as_array(x.grad) for x in leaves])
    for ours, theirs in zip(found[1], found[0], strict=True):
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
