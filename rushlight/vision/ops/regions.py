"""Regions of feature maps, brought to one size.

In: features (N, C, H, W) and boxes, (K, 5) with the image's number first, or a list of (L, 4), one
for each image. Out: (K, C, height, width). Invariant: written in public functions, so that
gradients flow to the features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rushlight
from rushlight import Tensor, nn

__all__ = ["RoIAlign", "RoIPool", "roi_align", "roi_pool"]

Boxes = Tensor | Sequence[Tensor]


def _rows(boxes: Boxes) -> Tensor:
    """(K, 5): the number of the image, then the corners."""
    if isinstance(boxes, Tensor):
        if boxes.dim() != 2 or boxes.shape[1] != 5:
            raise ValueError(f"boxes should be of shape (K, 5), got {tuple(boxes.shape)}")
        return boxes
    parts = []
    for number, each in enumerate(boxes):
        if each.dim() != 2 or each.shape[1] != 4:
            raise ValueError(f"the boxes of an image are (L, 4), got {tuple(each.shape)}")
        parts.append(rushlight.cat([rushlight.full_like(each[:, :1], number), each], 1))
    return rushlight.cat(parts, 0)


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _places(start: Tensor, cell: Tensor, count: int, samples: int) -> Tensor:
    """(K, count * samples): where the samples of each cell are along one dimension."""
    steps = rushlight.arange(count * samples, dtype=start.dtype)
    return start[:, None] + cell[:, None] * (steps + 0.5) / samples


def _weights(place: Tensor, extent: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The two neighbours of each place, and their weights; 0 for places far outside."""
    inside = ((place >= -1.0) & (place <= extent)).to(place.dtype)
    place = place.clamp(min=0)
    low = place.floor().long().clamp(max=extent - 1)
    high = (low + 1).clamp(max=extent - 1)
    rest = rushlight.where(low >= extent - 1, rushlight.zeros_like(place), place - low)
    return low, high, (1 - rest) * inside, rest * inside


def roi_align(
    input: Tensor,
    boxes: Boxes,
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """Each box cut into cells; each cell the mean of bilinear samples (He et al. 2017).

    `sampling_ratio` samples along each dimension of a cell, or as many as it has pixels, or more;
    with `aligned` pixels are points at half-integers.
    Errors: ValueError for boxes of another shape.

    >>> import rushlight as rl
    >>> x = rl.arange(16.0).reshape(1, 1, 4, 4)
    >>> rl.vision.ops.roi_align(x, rl.tensor([[0.0, 0, 0, 3, 3]]), 1)
    tensor([[[[7.5000]]]])
    """
    rows = _rows(boxes).to(input.dtype)
    height, width = _pair(output_size)
    if rows.shape[0] == 0:
        return input.new_zeros(0, input.shape[1], height, width)
    corners = rows[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    sides = corners[:, 2:] - corners[:, :2]
    sides = sides if aligned else sides.clamp(min=1.0)
    if sampling_ratio > 0:
        return _aligned(input, rows, corners, sides, (height, width), (sampling_ratio,) * 2)
    # As many samples as the cell has pixels: boxes of one count are computed together.
    counts = [
        (sides[:, 1 - axis] / n).ceil().clamp(min=1).long().tolist()
        for axis, n in enumerate((height, width))
    ]
    groups: dict[tuple[int, int], list[int]] = {}
    for k, pair in enumerate(zip(*counts, strict=True)):
        groups.setdefault(pair, []).append(k)
    found, order = [], []
    for pair, members in groups.items():
        chosen = rushlight.tensor(members)
        own, low, size = (x.index_select(0, chosen) for x in (rows, corners, sides))
        found.append(_aligned(input, own, low, size, (height, width), pair))
        order += members
    back = rushlight.tensor(order).argsort()
    return rushlight.cat(found, 0).index_select(0, back)


def _aligned(
    input: Tensor,
    rows: Tensor,
    corners: Tensor,
    sides: Tensor,
    size: tuple[int, int],
    samples: tuple[int, int],
) -> Tensor:
    """Boxes that have the same number of samples in a cell."""
    along = []
    for axis in (0, 1):  # y, then x
        start, cell = corners[:, 1 - axis], sides[:, 1 - axis] / size[axis]
        place = _places(start, cell, size[axis], samples[axis])
        along.append(_weights(place, input.shape[2 + axis]))
    image = rows[:, 0].long()[:, None, None]
    flat = input.permute(0, 2, 3, 1)
    total: Any = 0
    for y, wy in ((along[0][0], along[0][2]), (along[0][1], along[0][3])):
        for x, wx in ((along[1][0], along[1][2]), (along[1][1], along[1][3])):
            weight = (wy[:, :, None] * wx[:, None, :])[..., None]
            total = total + flat[image, y[:, :, None], x[:, None, :]] * weight
    count, channels = rows.shape[0], input.shape[1]
    cells = total.reshape(count, size[0], samples[0], size[1], samples[1], channels)
    return cells.mean((2, 4)).permute(0, 3, 1, 2)


def roi_pool(
    input: Tensor, boxes: Boxes, output_size: int | Sequence[int], spatial_scale: float = 1.0
) -> Tensor:
    """Each box, rounded to pixels, cut into cells; each cell its maximum (Girshick, Fast R-CNN,
    2015). Cells without pixels are 0.
    """
    rows = _rows(boxes)
    height, width = _pair(output_size)
    extents = input.shape[2], input.shape[3]
    # halves are rounded away from zero
    scaled = rows[:, 1:] * spatial_scale
    corners = (scaled.sign() * (scaled.abs() + 0.5).floor()).long().tolist()
    images = rows[:, 0].long().tolist()
    found = []
    for image, (x1, y1, x2, y2) in zip(images, corners, strict=True):
        spans = [
            _cells(low, high, n, extent)
            for low, high, n, extent in ((y1, y2, height, extents[0]), (x1, x2, width, extents[1]))
        ]
        found.append(_largest(input[image], spans))
    if not found:
        return input.new_zeros(0, input.shape[1], height, width)
    return rushlight.stack(found)


def _cells(low: int, high: int, count: int, extent: int) -> list[tuple[int, int]]:
    """The pixels of each cell of a box along one dimension."""
    size = max(high - low + 1, 1)
    spans = [(low + k * size // count, low - (-(k + 1) * size // count)) for k in range(count)]
    return [(min(max(a, 0), extent), min(max(b, 0), extent)) for a, b in spans]


def _largest(image: Tensor, spans: list[list[tuple[int, int]]]) -> Tensor:
    rows = []
    for top, bottom in spans[0]:
        row = []
        for left, right in spans[1]:
            empty = bottom <= top or right <= left
            part = image[:, top:bottom, left:right]
            row.append(image.new_zeros(image.shape[0]) if empty else part.amax((1, 2)))
        rows.append(rushlight.stack(row, 1))
    return rushlight.stack(rows, 1)


class RoIAlign(nn.Module):
    """`roi_align` as a module."""

    def __init__(
        self,
        output_size: int | Sequence[int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale
        self.sampling_ratio, self.aligned = sampling_ratio, aligned

    def forward(self, input: Tensor, rois: Boxes) -> Tensor:
        """(K, C, height, width)."""
        return roi_align(
            input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(output_size={self.output_size}, "
            f"spatial_scale={self.spatial_scale}, sampling_ratio={self.sampling_ratio}, "
            f"aligned={self.aligned})"
        )


class RoIPool(nn.Module):
    """`roi_pool` as a module."""

    def __init__(self, output_size: int | Sequence[int], spatial_scale: float) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale

    def forward(self, input: Tensor, rois: Boxes) -> Tensor:
        """(K, C, height, width)."""
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(output_size={self.output_size}, "
            f"spatial_scale={self.spatial_scale})"
        )
