"""Losses that ask for a distance, as layers: margins between scores, pairs and triplets.

In: scores or embeddings, and what should be near or far. Out: a scalar, or one value per sample
with reduction 'none'.
Invariant: zero where the margin is kept; the formulas stand in `functional/margin_loss.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from rushlight import Tensor
from rushlight.nn import functional as F
from rushlight.nn.loss import _Loss, _WeightedLoss


class HingeEmbeddingLoss(_Loss):
    """x where y = 1, max(0, margin - x) where y = -1. Follows `torch.nn.HingeEmbeddingLoss`.

    >>> import rushlight as rl
    >>> rl.nn.HingeEmbeddingLoss()(rl.tensor([0.25]), rl.tensor([-1.0]))
    tensor(0.7500)
    """

    def __init__(
        self,
        margin: float = 1.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """log(1 + exp(-y x)). Follows `torch.nn.SoftMarginLoss`.

    >>> import rushlight as rl
    >>> rl.nn.SoftMarginLoss()(rl.zeros(1), rl.ones(1))
    tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    """max(0, -y (x1 - x2) + margin). Follows `torch.nn.MarginRankingLoss`.

    >>> import rushlight as rl
    >>> rl.nn.MarginRankingLoss()(rl.zeros(1), rl.ones(1), rl.ones(1))
    tensor(1.)
    """

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(
            input1, input2, target, margin=self.margin, reduction=self.reduction
        )


class CosineEmbeddingLoss(_Loss):
    """1 - cos where y = 1, max(0, cos - margin) where y = -1.

    Follows `torch.nn.CosineEmbeddingLoss`.

    >>> import rushlight as rl
    >>> near, far = rl.tensor([[1.0, 0.0]]), rl.tensor([[0.0, 1.0]])
    >>> rl.nn.CosineEmbeddingLoss()(near, far, rl.tensor([1.0]))
    tensor(1.)
    """

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(
            input1, input2, target, margin=self.margin, reduction=self.reduction
        )


class MultiMarginLoss(_WeightedLoss):
    """sum over i != y of max(0, margin - x_y + x_i)^p / C. Follows `torch.nn.MultiMarginLoss`.

    >>> import rushlight as rl
    >>> rl.nn.MultiMarginLoss()(rl.tensor([[0.0, 0.5]]), rl.tensor([0]))
    tensor(0.7500)
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.dim() != 1:
            raise ValueError(
                f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.dim()}D "
                "instead"
            )
        self.p = p
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(
            input,
            target,
            p=self.p,
            margin=self.margin,
            weight=self.weight,
            reduction=self.reduction,
        )


class MultiLabelMarginLoss(_Loss):
    """Pairs of labels and non-labels closer than 1; see `functional.multilabel_margin_loss`.

    Follows `torch.nn.MultiLabelMarginLoss`.

    >>> import rushlight as rl
    >>> rl.nn.MultiLabelMarginLoss()(rl.tensor([[0.0, 0.5]]), rl.tensor([[0, -1]]))
    tensor(0.7500)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """Mean over classes of binary cross entropies. Follows `torch.nn.MultiLabelSoftMarginLoss`.

    >>> import rushlight as rl
    >>> rl.nn.MultiLabelSoftMarginLoss()(rl.zeros(1, 2), rl.ones(1, 2))
    tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """max(0, |a - p|_p - |a - n|_p + margin). Follows `torch.nn.TripletMarginLoss`.

    >>> import rushlight as rl
    >>> rl.nn.TripletMarginLoss(p=1)(rl.zeros(1, 2), rl.ones(1, 2), rl.ones(1, 2))
    tensor(1.0000)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        if margin <= 0:
            raise ValueError(
                f"TripletMarginLoss: expected margin to be greater than 0, got {margin} instead"
            )
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


class TripletMarginWithDistanceLoss(_Loss):
    """`TripletMarginLoss` with a distance of one's own.

    Follows `torch.nn.TripletMarginWithDistanceLoss`.

    >>> import rushlight as rl
    >>> loss = rl.nn.TripletMarginWithDistanceLoss(margin=0.5)
    >>> loss(rl.zeros(1, 2), rl.ones(1, 2), rl.ones(1, 2))
    tensor(0.5000)
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        if margin <= 0:
            raise ValueError(
                "TripletMarginWithDistanceLoss: expected margin to be greater than 0, "
                f"got {margin} instead"
            )
        self.distance_function = (
            F.pairwise_distance if distance_function is None else distance_function
        )
        self.margin = margin
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
