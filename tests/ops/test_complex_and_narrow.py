"""Functions whose meaning depends on the kind of float: sums of exponentials and units of complex
numbers, formulas that PyTorch rounds after every operation in float16 and bfloat16, and means of
integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import agree

import rushlight as rl

NARROW = ("float16", "bfloat16")


def values(*shape: int, seed: int = 0, scale: float = 3.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape) * scale


def complex_values(*shape: int, seed: int = 0) -> np.ndarray:
    return values(*shape, seed=seed) + 1j * values(*shape, seed=seed + 100)


def gradients(module: Any, function: Callable, *arrays: np.ndarray) -> list:
    """The result of a function, and the gradients of its operands."""
    tensors = [module.from_numpy(x.copy()).requires_grad_() for x in arrays]
    result = function(module, *tensors)
    weight = module.linspace(0.5, 1.5, result.numel(), dtype=module.float64).reshape(result.shape)
    found = module.autograd.grad(result, tensors, weight.to(result.dtype))
    return [result, *(g.resolve_conj() for g in found)]


def silu(module: Any, x: Any) -> Any:
    """silu by its definition in PyTorch, which has no gradient of its own for complex numbers."""
    return module.nn.functional.silu(x) if module is rl else x * module.sigmoid(x)


COMPLEX: dict[str, Callable] = {
    "logsumexp": lambda m, x: m.logsumexp(x, 1),
    "logaddexp": lambda m, x: m.logaddexp(x, x.flip(0)),
    "logcumsumexp": lambda m, x: m.logcumsumexp(x, 1),
    "silu": lambda m, x: silu(m, x),
    "rms_norm": lambda m, x: m.nn.functional.rms_norm(x, (4,), eps=0.1),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name: str) -> None:
    agree(lambda m: gradients(m, COMPLEX[name], complex_values(3, 4)), tolerance=1e-9)


def test_complex_second_derivative_of_silu() -> None:
    def program(module: Any) -> list:
        x = module.from_numpy(complex_values(4)).requires_grad_()
        y = silu(module, x)
        first = module.autograd.grad(y, x, y.detach(), create_graph=True)[0]
        return [first, *module.autograd.grad(first, x, x.detach())]

    agree(program, tolerance=1e-9)


def test_complex_correlation_coefficients_are_clamped_in_both_parts() -> None:
    agree(lambda m: m.corrcoef(m.from_numpy(complex_values(3, 5))), tolerance=1e-9)


def narrow(module: Any, dtype: str, array: np.ndarray) -> Any:
    return module.from_numpy(array.astype(np.float32)).to(getattr(module, dtype))


@pytest.mark.parametrize("dtype", NARROW)
def test_formulas_rounded_after_every_operation(dtype: str) -> None:
    def of(module: Any, *shape: int, seed: int) -> Any:
        return narrow(module, dtype, values(*shape, seed=seed))

    agree(lambda m: m.addr(of(m, seed=1), of(m, 5, seed=2), of(m, 9, seed=3), beta=0.6, alpha=0.2))
    agree(
        lambda m: m.nn.functional.binary_cross_entropy_with_logits(
            of(m, 9, 9, seed=1),
            of(m, 9, 9, seed=2),
            of(m, 9, seed=3),
            pos_weight=of(m, 9, seed=4),
            reduction="none",
        )
    )
    agree(lambda m: m.histc(of(m, 300, seed=5), 17, -3, 4.3))
    agree(lambda m: m.linspace(4.3, -3, 50, dtype=getattr(m, dtype)))
    agree(lambda m: m.linspace(-3.3, 1000.1, 1001, dtype=getattr(m, dtype)))
    agree(lambda m: m.logspace(0.1, 3.7, 33, dtype=getattr(m, dtype)))
    agree(lambda m: m.logspace(4.3, -3, 1, dtype=getattr(m, dtype)))


@pytest.mark.parametrize("dtype", NARROW)
def test_sums_over_a_batch(dtype: str) -> None:
    def program(module: Any) -> Any:
        shapes = ((5, 10), (4, 5, 5), (4, 5, 10))
        x, a, c = (narrow(module, dtype, values(*s, seed=k)) for k, s in enumerate(shapes))
        return module.addbmm(x, a, c, beta=0.5, alpha=2.0)

    agree(program, tolerance=0.02 if dtype == "bfloat16" else 0.002)


@pytest.mark.parametrize("dtype", NARROW)
def test_weighted_bags_are_summed_wide(dtype: str) -> None:
    def program(module: Any) -> Any:
        rows = module.tensor([[0, 1, 2, 3, 1], [4, 4, 0, 2, 2]])
        table, factors = (narrow(module, dtype, values(5, 5, seed=k)) for k in (1, 2))
        return module.nn.functional.embedding_bag(
            rows, table, mode="sum", per_sample_weights=factors[:2].contiguous()
        )

    agree(program)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["int64", "int32"])
def test_means_of_integers_over_windows(rank: int, dtype: str) -> None:
    def program(module: Any) -> list:
        line = module.arange(-40, 2 * 5**rank - 40).to(getattr(module, dtype))
        x = line.reshape(1, 2, *[5] * rank)
        pool = getattr(module.nn.functional, f"avg_pool{rank}d")
        return [
            pool(x, 2),
            pool(x, 3, 2, 1, True),
            pool(x, 3, 2, 1, count_include_pad=False),
        ]

    agree(program)


def test_local_response_norm_of_integers() -> None:
    agree(
        lambda m: m.nn.functional.local_response_norm(
            m.arange(-20, 40).reshape(2, 5, 6), 3, alpha=0.5
        ),
        tolerance=1e-6,
    )


def test_unravelled_indices_are_int64() -> None:
    agree(lambda m: m.unravel_index(m.tensor([3, 7], dtype=m.int8), (2, 200)))
    agree(lambda m: m.unravel_index(m.tensor(0), ()))
