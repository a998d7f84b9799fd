"""Boxes: areas, overlaps, conversions, and which of many detections to keep.

In: boxes (N, 4), scores (N,). Out: areas, pairwise measures (N, M), indices. Invariant: boxes are
(x1, y1, x2, y2) with x1 <= x2 and y1 <= y2.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import rushlight
from rushlight import Tensor

__all__ = [
    "batched_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "complete_box_iou",
    "distance_box_iou",
    "generalized_box_iou",
    "masks_to_boxes",
    "nms",
    "remove_small_boxes",
]


def _exact(boxes: Tensor) -> Tensor:
    """Wide enough for products: half precision as float32, integers as int64."""
    if boxes.is_floating_point():
        return boxes if boxes.dtype in (rushlight.float32, rushlight.float64) else boxes.float()
    return boxes if boxes.dtype in (rushlight.int32, rushlight.int64) else boxes.int()


def box_area(boxes: Tensor) -> Tensor:
    """(x2 - x1) (y2 - y1), for each box."""
    boxes = _exact(boxes)
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _overlap(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """Areas of intersection and union, of each box of the first with each of the second."""
    one, other = boxes1[..., :, None, :], boxes2[..., None, :, :]
    low = rushlight.max(one[..., :2], other[..., :2])
    high = rushlight.min(one[..., 2:], other[..., 2:])
    sides = _exact(high - low).clamp(min=0)
    inter = sides[..., 0] * sides[..., 1]
    union = box_area(boxes1)[..., :, None] + box_area(boxes2)[..., None, :] - inter
    return inter, union


def _hull(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """The sides of the smallest box around each pair."""
    low = rushlight.min(boxes1[..., :, None, :2], boxes2[..., None, :, :2])
    high = rushlight.max(boxes1[..., :, None, 2:], boxes2[..., None, :, 2:])
    return _exact(high - low).clamp(min=0)


def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Intersection over union of each pair, (N, M).

    >>> import rushlight as rl
    >>> a = rl.tensor([[0.0, 0.0, 2.0, 2.0]])
    >>> rl.vision.ops.box_iou(a, rl.tensor([[1.0, 0.0, 3.0, 2.0]]))
    tensor([[0.3333]])
    """
    inter, union = _overlap(boxes1, boxes2)
    return inter / union


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """IoU - (hull - union) / hull, of each pair (Rezatofighi et al. 2019)."""
    inter, union = _overlap(boxes1, boxes2)
    sides = _hull(boxes1, boxes2)
    hull = sides[..., 0] * sides[..., 1]
    return inter / union - (hull - union) / hull


def _distance(boxes1: Tensor, boxes2: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """IoU, and IoU less the squared distance of the middles over that of the hull's corners."""
    iou = box_iou(boxes1, boxes2)
    sides = _hull(boxes1, boxes2)
    diagonal = (sides**2).sum(-1) + eps
    middle1, middle2 = ((_exact(b)[..., :2] + _exact(b)[..., 2:]) / 2 for b in (boxes1, boxes2))
    apart = ((middle1[..., :, None, :] - middle2[..., None, :, :]) ** 2).sum(-1)
    return iou, iou - apart / diagonal


def distance_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """IoU less the distance of the middles, of each pair (Zheng et al. 2020)."""
    return _distance(boxes1, boxes2, eps)[1]


def complete_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """`distance_box_iou` less a term for different proportions (Zheng et al. 2020)."""
    iou, distance = _distance(boxes1, boxes2, eps)
    angles = []
    for boxes in (boxes1, boxes2):
        sides = _exact(boxes)[..., 2:] - _exact(boxes)[..., :2]
        angles.append(rushlight.atan(sides[..., 0] / sides[..., 1]))
    v = (4 / math.pi**2) * (angles[0][..., :, None] - angles[1][..., None, :]) ** 2
    with rushlight.no_grad():
        alpha = v / (1 - iou + v + eps)
    return distance - alpha * v


_TO_CORNERS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, ...]]] = {
    "xyxy": lambda a, b, c, d: (a, b, c, d),
    "xywh": lambda x, y, w, h: (x, y, x + w, y + h),
    "cxcywh": lambda x, y, w, h: (x - 0.5 * w, y - 0.5 * h, x + 0.5 * w, y + 0.5 * h),
}
_FROM_CORNERS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, ...]]] = {
    "xyxy": lambda a, b, c, d: (a, b, c, d),
    "xywh": lambda a, b, c, d: (a, b, c - a, d - b),
    "cxcywh": lambda a, b, c, d: ((a + c) / 2, (b + d) / 2, c - a, d - b),
}


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """The same boxes as corners (`xyxy`), corner and sides (`xywh`), or middle and sides
    (`cxcywh`).

    Errors: ValueError for another format.
    """
    for fmt in (in_fmt, out_fmt):
        if fmt not in _TO_CORNERS:
            raise ValueError(f"Unsupported Bounding Box Format {fmt!r}: one of {[*_TO_CORNERS]}")
    if in_fmt == out_fmt:
        return boxes.clone()
    corners = _TO_CORNERS[in_fmt](*boxes.unbind(-1))
    return rushlight.stack(_FROM_CORNERS[out_fmt](*corners), dim=-1).to(boxes.dtype)


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes cut to an image of (height, width)."""
    height, width = size
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return rushlight.stack((x, y), dim=boxes.dim()).reshape(boxes.shape)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """The indices of boxes whose sides are both at least `min_size`."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return rushlight.where((sides >= min_size).all(1))[0]


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The indices of the boxes to keep, the highest score first.

    A box goes when it overlaps one that is kept by more than `iou_threshold`.
    Errors: RuntimeError for shapes other than (N, 4) and (N,).

    >>> import rushlight as rl
    >>> boxes = rl.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2.1], [5, 5, 6, 6]])
    >>> rl.vision.ops.nms(boxes, rl.tensor([0.5, 0.9, 0.1]), 0.5)
    tensor([1, 2])
    """
    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise RuntimeError(f"nms: boxes should be of shape (N, 4), got {tuple(boxes.shape)}")
    if scores.dim() != 1 or scores.shape[0] != boxes.shape[0]:
        raise RuntimeError(
            f"nms: scores should be of shape ({boxes.shape[0]},), got {tuple(scores.shape)}"
        )
    order = scores.argsort(descending=True, stable=True)
    close = (box_iou(boxes[order], boxes[order]) > iou_threshold).numpy()
    gone = [False] * len(close)
    kept = []
    for index, row in enumerate(close):
        if gone[index]:
            continue
        kept.append(index)
        for other in row[index + 1 :].nonzero()[0]:
            gone[index + 1 + int(other)] = True
    return order[rushlight.tensor(kept, dtype=rushlight.int64)]


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """`nms` within each class: boxes of different `idxs` do not suppress each other."""
    if boxes.numel() == 0:
        return rushlight.empty((0,), dtype=rushlight.int64)
    offset = idxs.to(boxes.dtype) * (boxes.max() + 1)
    return nms(boxes + offset[:, None], scores, iou_threshold)


def masks_to_boxes(masks: Tensor) -> Tensor:
    """The box around what each mask (N, H, W) covers."""
    found = rushlight.zeros((masks.shape[0], 4))
    for index, mask in enumerate(masks):
        y, x = rushlight.where(mask != 0)
        found[index] = rushlight.stack([x.min(), y.min(), x.max(), y.max()]).float()
    return found
