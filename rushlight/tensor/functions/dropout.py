"""Dropout: masks drawn as PyTorch draws them, applied by one row.

In: a tensor, the probability of dropping, whether training. Out: the tensor with elements (or
whole channels) dropped. Invariant: without training, at p = 0 and for empty tensors nothing is
drawn and the tensor itself comes back.
"""

from __future__ import annotations

import math
from typing import Any

from ...base import dtype as dtypes
from ...base.layout import contiguous_layout, layout_of
from ...ops import core
from ...ops import dropout as rows
from ..creation import layout_like
from ..drawing import drawn, streams
from ..inplace import check_writable, overwrite
from ..tensor import Tensor

# minus the limit of selu at minus infinity
_SELU_LIMIT = 1.7580993408473766


def _mask(input: Tensor, keep: float, whole_channels: bool) -> Tensor:
    """True with probability `keep`: for each element, or for each channel (N, C, 1, ...)."""
    layout = layout_like(input, None, None, None)
    if whole_channels:
        if input.ndim < 2:
            raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
        layout = contiguous_layout(
            (*input.shape[:2], *(1,) * (input.ndim - 2)), dtypes.bool_, layout.device
        )
    layout = layout_of(layout.shape, layout.strides, 0, dtypes.bool_, layout.device)
    return drawn(
        layout,
        lambda engine, count, type_, contiguous: streams().bernoulli(engine, count, keep),
        None,
    )


def _dropped(
    input: Tensor, p: float, train: bool, whole_channels: bool = False, alpha: bool = False
) -> Tensor:
    """The result of any kind of dropout; RuntimeError for p outside [0, 1]."""
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")
    if p == 0 or not train or input._layout.numel == 0:
        return input
    if p == 1:
        return core.mul(input, core.full((), 0, input.dtype))
    mask = _mask(input, 1 - p, whole_channels)
    if not alpha:
        return rows.apply_dropout(input, mask, 1.0 - p)
    scale = 1.0 / math.sqrt((_SELU_LIMIT**2 * p + 1) * (1 - p))
    kept = core.cast(mask, input.dtype)
    shift = core.add(core.mul(core.sub(kept, 1), _SELU_LIMIT * scale), _SELU_LIMIT * scale * p)
    return core.add(core.mul(input, core.mul(kept, scale)), shift)


def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Each element zero with probability p, the others divided by 1 - p, as `torch.dropout`.

    >>> import rushlight as rl
    >>> rl.dropout(rl.ones(3), 0.5, train=False)
    tensor([1., 1., 1.])
    """
    return _dropped(input, p, train)


def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """dropout of whole channels of (N, C, ...), as `torch.feature_dropout`."""
    return _dropped(input, p, train, whole_channels=True)


def alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """dropout that keeps the mean and variance of self-normalising activations, as
    `torch.alpha_dropout`.
    """
    return _dropped(input, p, train, alpha=True)


def feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """alpha_dropout of whole channels, as `torch.feature_alpha_dropout`."""
    return _dropped(input, p, train, whole_channels=True, alpha=True)


def _in_place(function: Any) -> Any:
    def method(input: Tensor, p: float, train: bool) -> Tensor:
        check_writable(input)
        made = function(input, p, train)
        return input if made is input else overwrite(input, made, check=False)

    method.__name__ = f"{function.__name__}_"
    method.__doc__ = f"{function.__name__}, the result overwriting its input."
    return method


_OUT_OF_PLACE = (dropout, feature_dropout, alpha_dropout, feature_alpha_dropout)
FUNCTIONS = (*_OUT_OF_PLACE, *(_in_place(function) for function in _OUT_OF_PLACE))
