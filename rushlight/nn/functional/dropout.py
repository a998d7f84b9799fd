"""Dropout: random zeros while training, the identity otherwise.

In: any tensor and a probability. Out: the same shape, scaled so that the mean is unchanged.
Invariant: masks are drawn from the default generator in PyTorch's order: same seed, same zeros.
"""

from __future__ import annotations

import rushlight
from rushlight import Tensor


def _check(p: float) -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes each element with probability p and scales the others by 1 / (1 - p).

    Follows `torch.nn.functional.dropout` and Srivastava et al., JMLR 15 (2014).

    >>> import rushlight as rl
    >>> rl.nn.functional.dropout(rl.ones(3), training=False)
    tensor([1., 1., 1.])
    """
    _check(p)
    function = rushlight.dropout_ if inplace else rushlight.dropout
    return function(input, p, training)


def _feature_dropout(input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """Zeroes whole channels of a batched (N, C, ...) input."""
    function = rushlight.feature_dropout_ if inplace else rushlight.feature_dropout
    return function(input, p, training)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zeroes whole channels of (N, C, L) or (C, L) with probability p.

    Follows `torch.nn.functional.dropout1d`.

    >>> import rushlight as rl
    >>> rl.nn.functional.dropout1d(rl.ones(2, 3, 4), 0.5).shape
    torch.Size([2, 3, 4])
    """
    _check(p)
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input. "
            "Note that dropout1d exists to provide channel-wise dropout on inputs with 1 spatial "
            "dimension, a channel dimension, and an optional batch dimension (i.e. 2D or 3D "
            "inputs)."
        )
    if input.dim() == 3:
        return _feature_dropout(input, p, training, inplace)
    batched = input.unsqueeze_(0) if inplace else input.unsqueeze(0)
    result = _feature_dropout(batched, p, training, inplace)
    return result.squeeze_(0) if inplace else result.squeeze(0)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zeroes whole channels of (N, C, H, W) with probability p (arXiv 1411.4280).

    A 3-d input is taken as (N, C, L), as PyTorch does.

    Follows `torch.nn.functional.dropout2d`.

    >>> import rushlight as rl
    >>> rl.nn.functional.dropout2d(rl.ones(2, 3, 4, 4), 0.5).shape
    torch.Size([2, 3, 4, 4])
    """
    _check(p)
    if input.dim() not in (3, 4):
        import warnings

        warnings.warn(
            f"dropout2d: Received a {input.dim()}-D input to dropout2d, which is deprecated and "
            "will result in an error in a future release. To retain the behavior and silence this "
            "warning, please use dropout instead.",
            stacklevel=2,
        )
    return _feature_dropout(input, p, training, inplace)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zeroes whole channels of (N, C, D, H, W) or (C, D, H, W) with probability p.

    Follows `torch.nn.functional.dropout3d`.

    >>> import rushlight as rl
    >>> rl.nn.functional.dropout3d(rl.ones(2, 3, 4, 4, 4), 0.5).shape
    torch.Size([2, 3, 4, 4, 4])
    """
    _check(p)
    if input.dim() == 4:
        batched = input.unsqueeze_(0) if inplace else input.unsqueeze(0)
        result = _feature_dropout(batched, p, training, inplace)
        return result.squeeze_(0) if inplace else result.squeeze(0)
    return _feature_dropout(input, p, training, inplace)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout that keeps the mean and variance of self-normalising activations.

    Dropped elements become selu's negative limit, then everything is rescaled (Klambauer et al.,
    arXiv 1706.02515). Follows `torch.nn.functional.alpha_dropout`.

    >>> import rushlight as rl
    >>> rl.nn.functional.alpha_dropout(rl.ones(1, 2))
    tensor([[1., 1.]])
    """
    _check(p)
    function = rushlight.alpha_dropout_ if inplace else rushlight.alpha_dropout
    return function(input, p, training)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`alpha_dropout` of whole channels.

    >>> import rushlight as rl
    >>> rl.nn.functional.feature_alpha_dropout(rl.ones(1, 2))
    tensor([[1., 1.]])
    """
    _check(p)
    function = rushlight.feature_alpha_dropout_ if inplace else rushlight.feature_alpha_dropout
    return function(input, p, training)
