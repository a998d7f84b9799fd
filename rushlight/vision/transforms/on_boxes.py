"""What each transform of place does to boxes.

In: `BoundingBoxes` and plain numbers. Out: boxes of the same format, on the canvas that the image
has afterwards, cut at its borders. Functions have the names and arguments of `on_tensors`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import rushlight
from rushlight import Tensor

from ..ops import box_convert
from ..tv_tensors import BoundingBoxes, wrap

__all__: list[str] = []

Fill = float | Sequence[float] | None
Size = tuple[int, int]


def dimensions(boxes: BoundingBoxes) -> tuple[int, int, int]:
    """The canvas, as if it had one channel."""
    return (1, *boxes.canvas_size)


def _changed(
    boxes: BoundingBoxes, canvas: Size, change: Callable[[Tensor], Tensor]
) -> BoundingBoxes:
    """The corners (x1, y1, x2, y2) changed, cut to the canvas, in the format they had."""
    name = boxes.format.name.lower()
    plain = boxes.as_subclass(Tensor)
    corners = change(plain if name == "xyxy" else box_convert(plain, name, "xyxy"))
    limits = rushlight.tensor([canvas[1], canvas[0]] * 2, dtype=corners.dtype)
    corners = corners.clamp(min=0).minimum(limits)
    made = corners if name == "xyxy" else box_convert(corners, "xyxy", name)
    result: BoundingBoxes = wrap(made.to(boxes.dtype), like=boxes, canvas_size=canvas)
    return result


def hflip(boxes: BoundingBoxes) -> BoundingBoxes:
    width = boxes.canvas_size[1]

    def change(corners: Tensor) -> Tensor:
        x1, y1, x2, y2 = corners.unbind(-1)
        return rushlight.stack([width - x2, y1, width - x1, y2], -1)

    return _changed(boxes, boxes.canvas_size, change)


def vflip(boxes: BoundingBoxes) -> BoundingBoxes:
    height = boxes.canvas_size[0]

    def change(corners: Tensor) -> Tensor:
        x1, y1, x2, y2 = corners.unbind(-1)
        return rushlight.stack([x1, height - y2, x2, height - y1], -1)

    return _changed(boxes, boxes.canvas_size, change)


def _moved(boxes: BoundingBoxes, left: int, top: int, canvas: Size) -> BoundingBoxes:
    shift = rushlight.tensor([left, top, left, top])
    return _changed(boxes, canvas, lambda corners: corners + shift.to(corners.dtype))


def crop(boxes: BoundingBoxes, top: int, left: int, height: int, width: int) -> BoundingBoxes:
    return _moved(boxes, -left, -top, (height, width))


def pad(boxes: BoundingBoxes, borders: Sequence[int], fill: Fill, mode: str) -> BoundingBoxes:
    if mode not in ("constant", "edge"):
        raise ValueError(f"Padding mode '{mode}' is not supported with bounding boxes")
    left, top, right, bottom = borders
    height, width = boxes.canvas_size
    return _moved(boxes, left, top, (height + top + bottom, width + left + right))


def resize(boxes: BoundingBoxes, size: Size, interpolation: str, antialias: bool) -> BoundingBoxes:
    height, width = boxes.canvas_size
    factors = rushlight.tensor([size[1] / width, size[0] / height] * 2)
    return _changed(boxes, size, lambda corners: corners * factors)


def _turned(name: str) -> Callable[..., BoundingBoxes]:
    def refuse(boxes: BoundingBoxes, *arguments: object) -> BoundingBoxes:
        raise NotImplementedError(
            f"{name} of bounding boxes: turned boxes are no boxes any more; leave them out, or "
            "use flips, crops, padding and resizing"
        )

    return refuse


rotate, affine, perspective = _turned("rotate"), _turned("affine"), _turned("perspective")
