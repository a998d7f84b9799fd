"""Gamma and Dirichlet samples that are differentiable by their concentrations.

In: concentrations (floats). Out: samples, for a seed PyTorch's. Invariant: numbers are drawn at the
call, in program order; the gradient moves each sample so that its quantile stays
(`ops/pathwise.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd.function import Function
from ...base.dtype import dtype
from ...base.layout import contiguous_layout
from ...ops import core, pathwise
from ..drawing import drawn, of_parameters, streams
from ..generator import Generator
from ..tensor import Tensor
from ..values import window


@of_parameters
def _drawn_gamma(input: Tensor, generator: Generator | None) -> Tensor:
    shapes = np.ascontiguousarray(window(input)).reshape(-1)

    def draw(engine: Any, count: int, type_: dtype, contiguous: bool) -> np.ndarray:
        return streams().gamma(engine, shapes, type_)

    return drawn(contiguous_layout(input.shape, input.dtype, input.device), draw, generator)


@of_parameters
def _drawn_dirichlet(input: Tensor, generator: Generator | None) -> Tensor:
    rows = np.ascontiguousarray(window(input))

    def draw(engine: Any, count: int, type_: dtype, contiguous: bool) -> np.ndarray:
        return streams().dirichlet(engine, rows, type_)

    return drawn(contiguous_layout(input.shape, input.dtype, input.device), draw, generator)


class _StandardGamma(Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, generator: Generator | None) -> Tensor:  # type: ignore[override]
        value = _drawn_gamma(input, generator)
        ctx.save_for_backward(input, value)
        return value

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        input, value = ctx.saved_tensors
        return g * pathwise.gamma_slope(input, value), None


class _SampleDirichlet(Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, generator: Generator | None) -> Tensor:  # type: ignore[override]
        value = _drawn_dirichlet(input, generator)
        ctx.save_for_backward(input, value)
        return value

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        input, value = ctx.saved_tensors
        total = core.sum(input, -1, True)
        slope = pathwise.dirichlet_slope(value, input, total)
        return slope * (g - core.sum(value * g, -1, True)), None


def _standard_gamma(input: Tensor, generator: Generator | None = None) -> Tensor:
    """One sample of Gamma(a, 1) for each concentration a in input, differentiable by it.

    Follows `torch._standard_gamma`, with its numbers for a seed.

    >>> import rushlight as rl
    >>> bool(rl._standard_gamma(rl.tensor([2.0])) > 0)
    True
    """
    return _StandardGamma.apply(input, generator)


def _sample_dirichlet(input: Tensor, generator: Generator | None = None) -> Tensor:
    """One sample of Dirichlet(a) for each row a of input, differentiable by it.

    Follows `torch._sample_dirichlet`, with its numbers for a seed.

    >>> import rushlight as rl
    >>> rl._sample_dirichlet(rl.tensor([2.0, 3.0])).sum()
    tensor(1.)
    """
    return _SampleDirichlet.apply(input, generator)


def _standard_gamma_grad(input: Tensor, output: Tensor) -> Tensor:
    """dx/da of samples x = output of Gamma(a, 1), a = input. Follows `torch._standard_gamma_grad`.

    >>> import rushlight as rl
    >>> rl._standard_gamma_grad(rl.tensor([1.0]), rl.tensor([0.6931]))
    tensor([0.9132])
    """
    return pathwise.gamma_slope(input, output)


def _dirichlet_grad(x: Tensor, alpha: Tensor, total: Tensor) -> Tensor:
    """(dx/da) / (1 - x) of samples of Beta(alpha, total - alpha). Follows `torch._dirichlet_grad`.

    >>> import rushlight as rl
    >>> one = rl.tensor([1.0])
    >>> rl._dirichlet_grad(rl.tensor([0.5]), one, one * 2)
    tensor([0.6931])
    """
    return pathwise.dirichlet_slope(x, alpha, total)


FUNCTIONS = (_dirichlet_grad, _sample_dirichlet, _standard_gamma, _standard_gamma_grad)
