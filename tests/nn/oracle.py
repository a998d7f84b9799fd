"""Moving values between PyTorch (the oracle) and rushlight, and comparing what both compute."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rushlight as rl

torch = pytest.importorskip("torch")


def ours(value: Any) -> Any:
    """`value` with every oracle tensor replaced by one of ours, with the same `requires_grad`."""
    if isinstance(value, torch.Tensor):
        tensor = rl.from_numpy(value.detach().numpy().copy())
        return tensor.requires_grad_(True) if value.requires_grad else tensor
    if isinstance(value, (list, tuple)):
        return type(value)(ours(item) for item in value)
    if isinstance(value, dict):
        return {key: ours(item) for key, item in value.items()}
    return value


def tensors(value: Any) -> list[Any]:
    """All tensors inside nested tuples, lists and dictionaries, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors(item)]
    return [value] if isinstance(value, (torch.Tensor, rl.Tensor)) else []


def array(tensor: Any) -> np.ndarray:
    return tensor.detach().numpy()


def assert_close(want: Any, got: Any, what: str, tolerance: float = 2e-5) -> None:
    """Same shape, same dtype, same values up to `tolerance` (relative to the largest)."""
    assert tuple(want.shape) == tuple(got.shape), f"{what}: {want.shape} and {got.shape}"
    assert str(want.dtype) == str(got.dtype), f"{what}: {want.dtype} and {got.dtype}"
    expected, actual = array(want), array(got)
    if expected.dtype.kind not in "fc":
        np.testing.assert_array_equal(actual, expected, err_msg=what)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    scale = max(1.0, float(finite.max())) if finite.size else 1.0
    np.testing.assert_allclose(
        actual, expected, rtol=tolerance, atol=tolerance * scale, err_msg=what
    )


def backward(outputs: list[Any]) -> None:
    """Gradients of one fixed weighted sum of all differentiable outputs."""
    module = torch if outputs and isinstance(outputs[0], torch.Tensor) else rl
    total = None
    for output in outputs:
        if not output.requires_grad:
            continue
        count = int(np.prod(output.shape)) if output.dim() else 1
        weight = np.cos(np.arange(count, dtype=np.float64)).reshape(tuple(output.shape))
        weight = module.from_numpy(weight.astype(np.float32)).to(output.dtype)
        term = (output * weight).sum()
        total = term if total is None else total + term
    if total is not None:
        total.backward()


def assert_same_call(
    want_call: Callable[..., Any],
    got_call: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    tolerance: float = 2e-5,
) -> None:
    """Both callables give the same values and the same gradients of their tensor arguments."""
    mine, mine_kwargs = ours(args), ours(kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(3)
        want = tensors(want_call(*args, **kwargs))
        rl.manual_seed(3)
        got = tensors(got_call(*mine, **mine_kwargs))
    assert len(want) == len(got)
    for place, (expected, actual) in enumerate(zip(want, got, strict=True)):
        assert_close(expected, actual, f"output {place}", tolerance)
    backward(want)
    backward(got)
    pairs = zip(tensors([args, kwargs]), tensors([mine, mine_kwargs]), strict=True)
    for place, (expected, actual) in enumerate(pairs):
        if expected.grad is not None:
            assert actual.grad is not None, f"argument {place} got no gradient"
            assert_close(expected.grad, actual.grad, f"gradient {place}", 5 * tolerance)


def rand(
    *shape: int, grad: bool = True, seed: int = 0, low: float = -1.5, high: float = 1.5
) -> Any:
    """A fixed oracle tensor of uniform values."""
    generator = np.random.default_rng([seed, *shape])
    values = generator.uniform(low, high, shape).astype(np.float32)
    return torch.from_numpy(values).requires_grad_(grad)


def integers(*shape: int, high: int, low: int = 0, seed: int = 0) -> Any:
    """A fixed oracle tensor of int64 values."""
    generator = np.random.default_rng([seed, *shape])
    return torch.from_numpy(generator.integers(low, high, shape))
