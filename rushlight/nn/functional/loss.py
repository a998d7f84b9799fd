"""Losses for classification and regression.

In: predictions and targets. Out: a scalar ('mean', 'sum') or one value per element ('none').
Invariant: the deprecated flags `size_average` and `reduce` win over `reduction`, as in PyTorch.
"""

from __future__ import annotations

import math
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn.functional.reduction import chosen, reduced, same_size
from rushlight.ops import namespace as _ops


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-sum_c w_c q_c log softmax(x)_c, q the (smoothed) target distribution.

    Args:
        input: unnormalised scores (C), (N, C) or (N, C, d1, ...).
        target: class indices (), (N) or (N, d1, ...), or class probabilities shaped like `input`.
        weight: one factor per class; 'mean' divides by the sum of the factors used.
        ignore_index: a class index that counts for nothing.
        label_smoothing: q = (1 - s) one_hot + s / C.

    Follows `torch.nn.functional.cross_entropy`.

    >>> import rushlight as rl
    >>> rl.nn.functional.cross_entropy(rl.zeros(1, 2), rl.tensor([1]))
    tensor(0.6931)
    """
    reduction = chosen(size_average, reduce, reduction)
    return _ops.cross_entropy(input, target, weight, reduction, ignore_index, label_smoothing)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-w_y x_y, x log-probabilities: (C), (N, C) or (N, C, d1, ...).

    Follows `torch.nn.functional.nll_loss`.

    >>> import rushlight as rl
    >>> rl.nn.functional.nll_loss(rl.tensor([[-0.5, -1.0]]), rl.tensor([1]))
    tensor(1.)
    """
    reduction = chosen(size_average, reduce, reduction)
    return _ops.nll_loss(input, target, weight, reduction, ignore_index)


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """cross_entropy(linear(input, linear_weight, linear_bias), target).

    Shapes: input (F) or (N, F); linear_weight (C, F) or (C, d1, ..., F); linear_bias (C, d1, ...).
    `options` steers in PyTorch how much memory the scores take; here the memory plan decides, and
    it has no influence. Follows `torch.nn.functional.linear_cross_entropy`.

    >>> import rushlight as rl
    >>> target = rl.tensor([1])
    >>> rl.nn.functional.linear_cross_entropy(rl.ones(1, 3), rl.zeros(2, 3), target)
    tensor(0.6931)
    """
    _check_linear_cross_entropy(input, linear_weight, linear_bias)
    classes, extra = linear_weight.shape[0], linear_weight.shape[1:-1]
    logits = _ops.linear(
        input,
        linear_weight.flatten(0, -2),
        None if linear_bias is None else linear_bias.flatten(),
    )
    logits = logits.unflatten(-1, (classes, *extra))
    if ignore_index is not None and target.shape == logits.shape:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    index = -100 if ignore_index is None else ignore_index
    return _ops.cross_entropy(logits, target, weight, reduction, index, label_smoothing)


def _check_linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, linear_bias: Tensor | None
) -> None:
    if input.dim() not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.dim()}")
    if linear_weight.dim() < 2:
        raise RuntimeError(
            f"expected linear_weight with dimensionality at least 2, got {linear_weight.dim()}"
        )
    if input.shape[-1] != linear_weight.shape[-1]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), "
            f"got {input.shape[-1]} and {linear_weight.shape[-1]}, respectively"
        )
    outer = tuple(linear_weight.shape[:-1])
    if linear_bias is not None and tuple(linear_bias.shape) != outer:
        raise RuntimeError(f"expected linear_bias shape {outer}, got {tuple(linear_bias.shape)}")
    if len(outer) > 1 and input.dim() == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} "
            f"requires batched input, (N, {input.shape[-1]}), got unbatched input with shape "
            f"{tuple(input.shape)}"
        )


def _weighted(values: Tensor, weight: Tensor, input: Tensor) -> Tensor:
    if weight.shape != input.shape:
        raise ValueError("Weights and input must have the same size.")
    return values * weight


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(x - y)^2; with `weight`, the weighted mean. Follows `torch.nn.functional.mse_loss`.

    >>> import rushlight as rl
    >>> rl.nn.functional.mse_loss(rl.tensor([1.0, 3.0]), rl.tensor([0.0, 0.0]))
    tensor(5.)
    """
    first, second = same_size(input, target)
    reduction = chosen(size_average, reduce, reduction)
    if weight is None:
        return _ops.mse_loss(first, second, reduction)
    values = _weighted(_ops.mse_loss(first, second, "none"), weight, input)
    return values.sum() / weight.sum() if reduction == "mean" else reduced(values, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|x - y|; with `weight`, the weighted mean. Follows `torch.nn.functional.l1_loss`.

    >>> import rushlight as rl
    >>> rl.nn.functional.l1_loss(rl.tensor([1.0, 3.0]), rl.zeros(2))
    tensor(2.)
    """
    first, second = same_size(input, target)
    reduction = chosen(size_average, reduce, reduction)
    if weight is None:
        return _ops.l1_loss(first, second, reduction)
    values = _weighted(_ops.l1_loss(first, second, "none"), weight, input)
    return values.sum() / weight.sum() if reduction == "mean" else reduced(values, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """0.5 (x - y)^2 / beta where |x - y| < beta, |x - y| - beta / 2 elsewhere.

    Follows `torch.nn.functional.smooth_l1_loss`.

    >>> import rushlight as rl
    >>> rl.nn.functional.smooth_l1_loss(rl.tensor([1.0, 3.0]), rl.zeros(2))
    tensor(1.5000)
    """
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    first, second = same_size(input, target)
    reduction = chosen(size_average, reduce, reduction)
    if beta == 0.0:
        return _ops.l1_loss(first, second, reduction)
    return _ops.smooth_l1_loss(first, second, reduction, beta)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """0.5 (x - y)^2 where |x - y| <= delta, delta (|x - y| - delta / 2) elsewhere.

    Follows `torch.nn.functional.huber_loss`.

    >>> import rushlight as rl
    >>> rl.nn.functional.huber_loss(rl.tensor([1.0, 3.0]), rl.zeros(2))
    tensor(1.5000)
    """
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    first, second = same_size(input, target)
    if weight is None:
        return _ops.huber_loss(first, second, reduction, delta)
    values = _weighted(_ops.huber_loss(first, second, "none", delta), weight, input)
    return reduced(values, reduction)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-w (y log x + (1 - y) log(1 - x)), logarithms clamped at -100.

    Follows `torch.nn.functional.binary_cross_entropy`.

    >>> import rushlight as rl
    >>> rl.nn.functional.binary_cross_entropy(rl.tensor([0.5]), rl.tensor([1.0]))
    tensor(0.6931)
    """
    if input.shape != target.shape:
        raise ValueError(
            f"Using a target size ({target.size()}) that is different to the input size "
            f"({input.size()}) is deprecated. Please ensure they have the same size."
        )
    if weight is not None and weight.shape != input.shape:
        weight = weight.expand_as(input)
    reduction = chosen(size_average, reduce, reduction)
    return _ops.binary_cross_entropy(input, target, weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of sigmoid(x), without overflow; `pos_weight` scales the y term.

    Follows `torch.nn.functional.binary_cross_entropy_with_logits`.

    >>> import rushlight as rl
    >>> logits, target = rl.zeros(1), rl.ones(1)
    >>> rl.nn.functional.binary_cross_entropy_with_logits(logits, target)
    tensor(0.6931)
    """
    if input.shape != target.shape:
        raise ValueError(
            f"Target size ({target.size()}) must be the same as input size ({input.size()})"
        )
    reduction = chosen(size_average, reduce, reduction)
    return _ops.binary_cross_entropy_with_logits(input, target, weight, pos_weight, reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """y (log y - x), x (and with `log_target` also y) given as logarithms.

    'batchmean' divides the sum by the batch size, which is the mathematical definition.
    Follows `torch.nn.functional.kl_div`.

    >>> import rushlight as rl
    >>> rl.nn.functional.kl_div(rl.tensor([[-1.0]]), rl.tensor([[1.0]]), reduction="batchmean")
    tensor(1.)
    """
    if size_average is not None or reduce is not None:
        reduction = chosen(size_average, reduce, reduction)
    elif reduction == "mean":
        import warnings

        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math "
            "definition.'mean' will be changed to behave the same as 'batchmean' in the next "
            "major release.",
            stacklevel=2,
        )
    if reduction != "batchmean":
        return _ops.kl_div(input, target, reduction, log_target)
    total = _ops.kl_div(input, target, "sum", log_target)
    return total / input.size(0) if input.dim() else total


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(x) - y x, or x - y log(x + eps) with `log_input=False`.

    `full` adds Stirling's y log y - y + log(2 pi y) / 2 where y > 1.
    Follows `torch.nn.functional.poisson_nll_loss`.

    >>> import rushlight as rl
    >>> rl.nn.functional.poisson_nll_loss(rl.zeros(1), rl.tensor([2.0]))
    tensor(1.)
    """
    reduction = chosen(size_average, reduce, reduction)
    if log_input:
        values = input.exp() - target * input
    else:
        values = input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        values = values + stirling.masked_fill(target <= 1, 0)
    return reduced(values, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log v + (x - y)^2 / v) / 2 with v = max(var, eps); `full` adds log(2 pi) / 2.

    `var` is a number, shaped like `input`, or has 1 (or nothing) for its last dimension.
    Follows `torch.nn.functional.gaussian_nll_loss`.

    >>> import rushlight as rl
    >>> rl.nn.functional.gaussian_nll_loss(rl.tensor([1.0, 3.0]), rl.zeros(2), rl.ones(2))
    tensor(2.5000)
    """
    if isinstance(var, (int, float)):
        variance = rushlight.full_like(input, float(var))
    else:
        variance = var
    if bool((variance < 0).any()):
        raise ValueError("var has negative entry/entries")
    variance = _matching_variance(variance, input)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    # The clamp is not differentiated: small variances still get their gradient.
    variance = variance + (variance.detach().clamp(min=eps) - variance.detach())
    values = 0.5 * (variance.log() + (input - target) ** 2 / variance)
    if full:
        values = values + 0.5 * math.log(2 * math.pi)
    return reduced(values, reduction)


def _matching_variance(variance: Tensor, input: Tensor) -> Tensor:
    if variance.shape == input.shape:
        return variance
    if tuple(input.shape[:-1]) == tuple(variance.shape):
        return variance.unsqueeze(-1)
    if input.dim() == variance.dim():
        differing = [b for a, b in zip(input.shape, variance.shape, strict=True) if a != b]
        if sum(differing) == 1:
            return variance
    raise ValueError("var is of incorrect size")
