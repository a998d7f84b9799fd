"""Softmax beside `softmax` itself: with rows that are wholly masked, and as a gradient of its
output.

In: floating tensors and a dimension. Out: tensors of their shape. Invariant: the arithmetic is that
of the rows of `ops/softmax.py`.
"""

from __future__ import annotations

import math

from ...base.dtype import dtype
from ...ops import comparison, core, reduction
from ...ops import softmax as rows
from ..tensor import Tensor


def _softmax_backward_data(
    grad_output: Tensor, output: Tensor, dim: int, input_dtype: dtype
) -> Tensor:
    """y (g - sum(g y)) along `dim`: the gradient of y = softmax(x), in the dtype of x, as
    `torch._softmax_backward_data`.
    """
    return core.cast(rows.softmax_backward(grad_output, output, dim), input_dtype)


def _log_softmax_backward_data(
    grad_output: Tensor, output: Tensor, dim: int, input_dtype: dtype
) -> Tensor:
    """g - exp(y) sum(g) along `dim`: the gradient of y = log_softmax(x), in the dtype of x, as
    `torch._log_softmax_backward_data`.
    """
    return core.cast(rows.log_softmax_backward(grad_output, output, dim), input_dtype)


def _safe_softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """softmax along `dim` that is zero, not NaN, where every element is -inf, as
    `torch._safe_softmax`.
    """
    masked = reduction.all(comparison.eq(input, -math.inf), dim, True)
    filled = core.where(masked, 0.0, input)  # so that no NaN is met on the way back either
    return core.where(masked, 0.0, rows.softmax(filled, dim, dtype))


FUNCTIONS = (_softmax_backward_data, _log_softmax_backward_data, _safe_softmax)
