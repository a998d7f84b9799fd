"""Losses that ask for a distance: margins between scores, pairs and triplets.

In: scores or embeddings, and what should be near or far. Out: zero where the margin is kept.
Invariant: compositions of ordinary tensor functions; each formula is written once.
"""

from __future__ import annotations

from collections.abc import Callable

import rushlight
from rushlight import Tensor
from rushlight.nn.functional.activation import logsigmoid
from rushlight.nn.functional.linear import pairwise_distance
from rushlight.nn.functional.reduction import chosen, reduced


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """x where y = 1, max(0, margin - x) where y = -1.

    Follows `torch.nn.functional.hinge_embedding_loss`.

    >>> import rushlight as rl
    >>> rl.nn.functional.hinge_embedding_loss(rl.tensor([0.25]), rl.tensor([-1.0]))
    tensor(0.7500)
    """
    reduction = chosen(size_average, reduce, reduction)
    far = (margin - input).clamp_min(0).masked_fill(target == 1, 0)
    near = input.masked_fill(target == -1, 0)
    return reduced(far + near, reduction)


@rushlight._titled("SoftMarginLossBackward0", guarded=(0, 1))
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-y x)). Follows `torch.nn.functional.soft_margin_loss`.

    >>> import rushlight as rl
    >>> rl.nn.functional.soft_margin_loss(rl.zeros(1), rl.ones(1))
    tensor(0.6931)
    """
    reduction = chosen(size_average, reduce, reduction)
    return reduced((-target * input).exp().log1p(), reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -y (x1 - x2) + margin). Follows `torch.nn.functional.margin_ranking_loss`.

    >>> import rushlight as rl
    >>> rl.nn.functional.margin_ranking_loss(rl.zeros(1), rl.ones(1), rl.ones(1))
    tensor(1.)
    """
    reduction = chosen(size_average, reduce, reduction)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    return reduced((-target * (input1 - input2) + margin).clamp_min(0), reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(x1, x2) where y = 1, max(0, cos(x1, x2) - margin) where y = -1.

    Shapes: inputs (N, D) with target (N), or (D) with ().
    Follows `torch.nn.functional.cosine_embedding_loss`.

    >>> import rushlight as rl
    >>> near, far = rl.tensor([[1.0, 0.0]]), rl.tensor([[0.0, 1.0]])
    >>> rl.nn.functional.cosine_embedding_loss(near, far, rl.tensor([1.0]))
    tensor(1.)
    """
    reduction = chosen(size_average, reduce, reduction)
    if target.dim() > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if not input1.dim() == input2.dim() == target.dim() + 1:
        raise RuntimeError(
            f"{target.dim()}D target tensor expects {target.dim() + 1}D input tensors, but found "
            f"inputs with sizes {list(input1.shape)} and {list(input2.shape)}."
        )
    tiny = 1e-12
    lengths = ((input1 * input1).sum(-1) + tiny) * ((input2 * input2).sum(-1) + tiny)
    cosine = (input1 * input2).sum(-1) / lengths.sqrt()
    near = (1 - cosine).masked_fill(target != 1, 0)
    far = (cosine - margin).clamp_min(0).masked_fill(target != -1, 0)
    return reduced(near + far, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, |a - p|_p - |a - n|_p + margin) (Balntas et al., BMVC 2016).

    Follows `torch.nn.functional.triplet_margin_loss`.

    >>> import rushlight as rl
    >>> anchor, near, far = rl.zeros(1, 2), rl.zeros(1, 2), rl.ones(1, 2)
    >>> rl.nn.functional.triplet_margin_loss(anchor, near, far, p=1)
    tensor(0.)
    """

    def distance(first: Tensor, second: Tensor) -> Tensor:
        return pairwise_distance(first, second, p, eps)

    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=distance,
        margin=margin,
        swap=swap,
        reduction=chosen(size_average, reduce, reduction),
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(a, p) - d(a, n) + margin); `swap` takes the nearer of d(a, n), d(p, n).

    Follows `torch.nn.functional.triplet_margin_with_distance_loss`.

    >>> import rushlight as rl
    >>> anchor, near, far = rl.zeros(1, 2), rl.zeros(1, 2), rl.ones(1, 2)
    >>> rl.nn.functional.triplet_margin_with_distance_loss(anchor, far, near, margin=0.5)
    tensor(1.9142)
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.dim()}D, positive {positive.dim()}D, and "
            f"negative {negative.dim()}D inputs"
        )
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = rushlight.minimum(far, distance(positive, negative))
    return reduced((margin + near - far).clamp_min(0), reduction)


def _rows(
    input: Tensor, target: Tensor, name: str, reduction: str, per_class: bool
) -> tuple[Tensor, Tensor]:
    """`input` as (N, C) and `target` with its batch dimension."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if input.dim() > 2 or (input.dim() and input.size(-1) == 0):
        raise RuntimeError(
            f"{name}(): Expected non-empty vector or matrix with optional 0-dim batch size, "
            f"but got: {list(input.shape)}"
        )
    expected = tuple(input.shape) if per_class else tuple(input.shape[:-1])
    # A single sample may come with a target of shape (1).
    fits = tuple(target.shape) == expected or (expected == () and tuple(target.shape) == (1,))
    if not fits:
        raise RuntimeError(
            f"{name}(): inconsistent target size: {list(target.shape)} for input of size: "
            f"{list(input.shape)}. Expected target size {list(expected)}"
        )
    if target.dtype != rushlight.int64:
        raise RuntimeError(f"{name}(): expected scalar type Long but found {target.dtype}")
    if input.dim() == 2:
        return input, target
    return input.reshape(1, -1), target.reshape(1, -1) if per_class else target.reshape(1)


@rushlight._titled("MultiMarginLossBackward0", guarded=(0,))
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over i != y of w_y max(0, margin - x_y + x_i)^p / C.

    Shapes: input (N, C) or (C), target (N) or (). Follows `torch.nn.functional.multi_margin_loss`.

    >>> import rushlight as rl
    >>> rl.nn.functional.multi_margin_loss(rl.tensor([[0.0, 0.5]]), rl.tensor([0]))
    tensor(0.7500)
    """
    reduction = chosen(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    scores, classes = _rows(input, target, "multi_margin_loss", reduction, False)
    if weight is not None and weight.numel() != scores.size(1):
        raise RuntimeError(
            f"multi_margin_loss(): inconsistent weight size, expected {scores.size(1)} but got "
            f"{list(weight.shape)}"
        )
    column = classes.unsqueeze(1)
    missing = (margin - scores.gather(1, column) + scores).clamp_min(0)
    values = missing if p == 1 else missing * missing
    if weight is not None:
        values = values * weight[classes].unsqueeze(1)
    others = rushlight.arange(scores.size(1), device=scores.device) != column
    values = (values * others).sum(1) / scores.size(1)
    return reduced(values if input.dim() == 2 else values.reshape(target.shape), reduction)


@rushlight._titled("MultilabelMarginLossBackward0", guarded=(0, 1))
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over labels j and non-labels i of max(0, 1 - (x_j - x_i)) / C.

    Shapes: input (N, C) or (C), target the same: the labels, ended by the first -1.
    Follows `torch.nn.functional.multilabel_margin_loss`.

    >>> import rushlight as rl
    >>> scores, labels = rl.tensor([[0.0, 0.5]]), rl.tensor([[0, -1]])
    >>> rl.nn.functional.multilabel_margin_loss(scores, labels)
    tensor(0.7500)
    """
    reduction = chosen(size_average, reduce, reduction)
    scores, labels = _rows(input, target, "multilabel_margin_loss", reduction, True)
    listed = (labels >= 0).to(rushlight.int64).cumprod(1)
    place = labels.clamp(min=0)
    is_label = rushlight.zeros_like(labels).scatter_add(1, place, listed) > 0
    gap = 1 - scores.gather(1, place).unsqueeze(2) + scores.unsqueeze(1)
    counted = (listed > 0).unsqueeze(2) & ~is_label.unsqueeze(1)
    values = (gap.clamp_min(0) * counted).sum((1, 2)) / scores.size(1)
    return reduced(values if input.dim() == 2 else values.squeeze(0), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Mean over classes of -w (y log sigmoid(x) + (1 - y) log sigmoid(-x)).

    Follows `torch.nn.functional.multilabel_soft_margin_loss`.

    >>> import rushlight as rl
    >>> rl.nn.functional.multilabel_soft_margin_loss(rl.zeros(1, 2), rl.ones(1, 2))
    tensor(0.6931)
    """
    reduction = chosen(size_average, reduce, reduction)
    values = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        values = values * weight
    return reduced(values.sum(-1) / input.size(-1), reduction)
