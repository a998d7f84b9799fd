"""Softmax and its logarithm, each one node forward and one backward.

In: a floating tensor and a dimension. Out: a tensor of its shape. Invariant: the largest element is
subtracted first, so nothing overflows; float16 and bfloat16 are computed in float32 and rounded
once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..base.dtype import dtype
from ..base.layout import normalize_axis
from ..graph import build as b
from ..graph.node import Node
from .common import opmath, require_kind
from .core import sum as sum_
from .elementary import exp, log
from .registry import Value, op


def _shifted(name: str, input: Node, dim: int, type_: dtype | None) -> tuple[Node, int, dtype]:
    """x - max(x) in working precision, the axis, and the dtype of the result."""
    x = input if type_ is None else b.cast(input, type_)
    require_kind(name, x)
    axis, wide = normalize_axis(dim, x.ndim), opmath(x)
    return wide - b.reduce("max", wide, axis, True) if wide.numel else wide, axis, x.dtype


@op("torch Tensor special")
def softmax(input: Value, dim: int, dtype: dtype | None = None) -> Value:
    """exp(x_i) / sum_j exp(x_j) along `dim`; with `dtype` the input is converted first.

    Follows `torch.softmax`.

    NotImplementedError for integers without a floating `dtype`.

    >>> import rushlight as rl
    >>> rl.softmax(rl.zeros(4), 0)
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    shifted, axis, result = _shifted("softmax_lastdim_kernel_impl", input, dim, dtype)
    powers = exp(shifted)
    return b.cast(powers / b.reduce("sum", powers, axis, True), result)


@op("", grad_name="SoftmaxBackwardData")
def softmax_backward(grad: Value, output: Value, dim: int) -> Value:
    """y (g - sum(g y)): the gradient of y = softmax(x)."""
    g, y = opmath(grad), opmath(output)
    return b.cast(y * (g - b.reduce("sum", g * y, normalize_axis(dim, y.ndim), True)), output.dtype)


@softmax.vjp("input")
def _(g, out, dim):  # type: ignore[no-untyped-def]
    return softmax_backward(g, out, dim)


@softmax_backward.vjp("grad", "output")
def _(g, grad, output, dim):  # type: ignore[no-untyped-def]
    towards = g * (grad - sum_(grad * output, dim, True)) - grad * sum_(g * output, dim, True)
    return softmax_backward(g, output, dim), towards


@op("torch Tensor special")
def log_softmax(input: Value, dim: int, dtype: dtype | None = None) -> Value:
    """x_i - log(sum_j exp(x_j)) along `dim`; with `dtype` the input is converted first.

    Follows `torch.log_softmax`.

    NotImplementedError for integers without a floating `dtype`.

    >>> import rushlight as rl
    >>> rl.log_softmax(rl.zeros(2), 0)
    tensor([-0.6931, -0.6931])
    """
    shifted, axis, result = _shifted("log_softmax_lastdim_kernel_impl", input, dim, dtype)
    return b.cast(shifted - log(b.reduce("sum", exp(shifted), axis, True)), result)


@op("", grad_name="LogSoftmaxBackwardData")
def log_softmax_backward(grad: Value, output: Value, dim: int) -> Value:
    """g - exp(y) sum(g): the gradient of y = log_softmax(x)."""
    g, y = opmath(grad), opmath(output)
    return b.cast(g - exp(y) * b.reduce("sum", g, normalize_axis(dim, y.ndim), True), output.dtype)


@log_softmax.vjp("input")
def _(g, out, dim):  # type: ignore[no-untyped-def]
    return log_softmax_backward(g, out, dim)


@log_softmax_backward.vjp("grad", "output")
def _(g, grad, output, dim):  # type: ignore[no-untyped-def]
    weighted = g * exp(output)
    return g - sum_(weighted, dim, True), -(weighted * sum_(grad, dim, True))


def _softmax_reference(x: np.ndarray, dim: int) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(dim, keepdims=True)


def _pairs(make: Callable) -> list:
    return [((make(3, 4), make(3, 4), 1), {}), ((make(2, 3, 2), make(2, 3, 2), -2), {})]


def _lines(make: Callable) -> list:
    return [((make(3, 4), 1), {}), ((make(2, 3, 2), -2), {}), ((make(), 0), {})]


softmax.test(_lines, lambda x, dim: _softmax_reference(x, dim) if x.ndim else np.ones(()))
log_softmax.test(
    _lines, lambda x, dim: np.log(_softmax_reference(x, dim)) if x.ndim else np.zeros(())
)
softmax_backward.test(_pairs, lambda g, y, dim: y * (g - (g * y).sum(dim, keepdims=True)))
log_softmax_backward.test(_pairs, lambda g, y, dim: g - np.exp(y) * g.sum(dim, keepdims=True))
