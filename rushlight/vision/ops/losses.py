"""Losses of detectors: focal loss, and overlaps of boxes as losses.

In: logits and targets, or pairs of boxes (N, 4) as corners. Out: losses, reduced as asked for.
Invariant: a loss of boxes is 1 less the measure of the same name, pair by pair.
"""

from __future__ import annotations

import math

import rushlight
from rushlight import Tensor
from rushlight.nn import functional

__all__ = [
    "complete_box_iou_loss",
    "distance_box_iou_loss",
    "generalized_box_iou_loss",
    "sigmoid_focal_loss",
]


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean() if loss.numel() else 0.0 * loss.sum()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(
        f"Invalid Value for arg 'reduction': '{reduction}'\n Supported reduction modes: 'none', "
        "'mean', 'sum'"
    )


def sigmoid_focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> Tensor:
    """a (1 - p)^gamma times the cross entropy, p the probability of the right answer.

    `inputs` are logits, `targets` 0 or 1 of the same shape; a is alpha for ones and 1 - alpha for
    zeros, or 1 for a negative alpha. Lin et al., Focal Loss for Dense Object Detection, 2017.
    Errors: ValueError for an alpha above 1 or another reduction.

    >>> import rushlight as rl
    >>> rl.vision.ops.sigmoid_focal_loss(rl.zeros(1), rl.ones(1))
    tensor([0.0433])
    """
    if alpha > 1:
        raise ValueError(f"Invalid alpha value: {alpha}. alpha must be in the range [0,1] or -1")
    probability = rushlight.sigmoid(inputs)
    loss = functional.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    right = probability * targets + (1 - probability) * (1 - targets)
    loss = loss * (1 - right) ** gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return _reduced(loss, reduction)


def _wide(boxes: Tensor) -> Tensor:
    exact = boxes.dtype in (rushlight.float32, rushlight.float64)
    return boxes if exact else boxes.float()


def _pairs(one: Tensor, other: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Overlap over union, union, and the width and height of the hull, of each pair."""
    low, high = rushlight.max(one[:, :2], other[:, :2]), rushlight.min(one[:, 2:], other[:, 2:])
    sides = (high - low).clamp(min=0)
    inter = sides[:, 0] * sides[:, 1]
    areas = [(b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (one, other)]
    union = areas[0] + areas[1] - inter
    hull = rushlight.max(one[:, 2:], other[:, 2:]) - rushlight.min(one[:, :2], other[:, :2])
    return inter / (union + eps), union, hull[:, 0], hull[:, 1]


def generalized_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 - IoU + (hull - union) / hull, of each pair (Rezatofighi et al. 2019)."""
    iou, union, width, height = _pairs(_wide(boxes1), _wide(boxes2), eps)
    hull = width * height
    return _reduced(1 - (iou - (hull - union) / (hull + eps)), reduction)


def _distance(one: Tensor, other: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    iou, _, width, height = _pairs(one, other, eps)
    middles = [(b[:, :2] + b[:, 2:]) / 2 for b in (one, other)]
    apart = ((middles[0] - middles[1]) ** 2).sum(1)
    return 1 - iou + apart / (width**2 + height**2 + eps), iou


def distance_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 - IoU + the distance of the middles over the hull's diagonal (Zheng et al. 2020)."""
    return _reduced(_distance(_wide(boxes1), _wide(boxes2), eps)[0], reduction)


def complete_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """`distance_box_iou_loss` and a term for different proportions (Zheng et al. 2020)."""
    one, other = _wide(boxes1), _wide(boxes2)
    loss, iou = _distance(one, other, eps)
    angles = [rushlight.atan((b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1])) for b in (one, other)]
    v = (4 / math.pi**2) * (angles[1] - angles[0]) ** 2
    with rushlight.no_grad():
        alpha = v / (1 - iou + v + eps)
    return _reduced(loss + alpha * v, reduction)
