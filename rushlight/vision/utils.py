"""Many images on one sheet, and a sheet in a file.

In: a (N, C, H, W) batch or a list of (C, H, W) images. Out: one (C, H', W') image, or a file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy

import rushlight
from rushlight import Tensor

__all__ = ["draw_bounding_boxes", "make_grid", "save_image"]


def make_grid(
    tensor: Tensor | Sequence[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Lay out a batch of images as a grid, `nrow` images to a row.

    `tensor` is (N, C, H, W), a single (C, H, W) or (H, W) image, or a list of images of one size;
    grey images become three channels. With `normalize` the values are shifted and scaled to
    [0, 1], by `value_range` or by the smallest and largest value, of each image if `scale_each`.
    Borders of `padding` pixels hold `pad_value`. The result is (3, H', W') with
    H' = rows * (H + padding) + padding. The arguments are torchvision's.

    >>> import rushlight as rl
    >>> rl.vision.make_grid(rl.zeros(5, 1, 8, 8), nrow=3).shape
    torch.Size([3, 22, 32])
    """
    images = _as_batch(tensor)
    if normalize:
        images = _normalised(images, value_range, scale_each)
    if images.shape[0] == 1:
        return images.squeeze(0)
    count, channels, height, width = images.shape
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    height, width = height + padding, width + padding
    grid = images.new_full(
        (channels, height * rows + padding, width * columns + padding), pad_value
    )
    for index in range(count):
        row, column = divmod(index, columns)
        top, left = row * height + padding, column * width + padding
        grid[:, top : top + height - padding, left : left + width - padding] = images[index]
    return grid


def _as_batch(tensor: Tensor | Sequence[Tensor]) -> Tensor:
    """Any accepted form -> (N, 3 or more, H, W)."""
    if isinstance(tensor, Tensor):
        batch = tensor
    elif isinstance(tensor, Sequence) and all(isinstance(image, Tensor) for image in tensor):
        batch = rushlight.stack(list(tensor), dim=0)
    else:
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    while batch.dim() < 4:
        batch = batch.unsqueeze(0)
    if batch.dim() != 4:
        raise ValueError(f"make_grid expects at most 4 dimensions, got {batch.dim()}")
    return rushlight.cat([batch, batch, batch], 1) if batch.shape[1] == 1 else batch


def _normalised(
    images: Tensor, value_range: tuple[float, float] | None, scale_each: bool
) -> Tensor:
    if value_range is not None and not isinstance(value_range, tuple):
        raise TypeError(
            "value_range has to be a tuple (min, max) if specified. min and max are numbers"
        )
    groups = list(images) if scale_each else [images]
    scaled = []
    for group in groups:
        low, high = value_range or (float(group.min()), float(group.max()))
        scaled.append((group.clamp(low, high) - low) / max(high - low, 1e-5))
    return rushlight.stack(scaled) if scale_each else scaled[0]


def save_image(
    tensor: Tensor | Sequence[Tensor],
    fp: str | Path | BinaryIO,
    format: str | None = None,
    *,
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> None:
    """Write a batch, laid out by `make_grid`, into an image file of 8 bits a channel.

    Values in [0, 1] become 0 to 255, rounded to nearest; `format` is Pillow's, guessed from the
    file's name when None.
    """
    from PIL import Image

    grid = make_grid(tensor, nrow, padding, normalize, value_range, scale_each, pad_value)
    pixels = grid.mul(255).add(0.5).clamp(0, 255).permute(1, 2, 0).to(rushlight.uint8)
    Image.fromarray(pixels.numpy()).save(fp, format=format)


Colour = str | tuple[int, int, int]


def draw_bounding_boxes(
    image: Tensor,
    boxes: Tensor,
    labels: list[str | None] | None = None,
    colors: list[Colour] | Colour | None = None,
    fill: bool | None = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
) -> Tensor:
    """A copy of an image with boxes drawn on it.

    `image` is (1 or 3, H, W), uint8 or floating in [0, 1]; `boxes` (N, 4) as corners; `colors` one
    for all or one for each. The result is (3, H, W) of the image's dtype.
    Errors: TypeError for what is no tensor, ValueError for other shapes, dtypes or counts.

    >>> import rushlight as rl
    >>> image = rl.zeros(3, 8, 8, dtype=rl.uint8)
    >>> box = rl.tensor([[1.0, 1, 5, 5]])
    >>> rl.vision.utils.draw_bounding_boxes(image, box, colors="red")[0, 1, 1].item()
    255
    """
    from PIL import Image, ImageDraw, ImageFont

    if not isinstance(image, Tensor):
        raise TypeError(f"Tensor expected, got {type(image)}")
    floating = image.is_floating_point()
    if not floating and image.dtype != rushlight.uint8:
        raise ValueError(f"The image dtype must be uint8 or float, got {image.dtype}")
    if image.dim() != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"expected an image (1 or 3, H, W), got {tuple(image.shape)}")
    corners = boxes.tolist()
    if any(x1 > x2 or y1 > y2 for x1, y1, x2, y2 in corners):
        raise ValueError("Boxes need to be in (xmin, ymin, xmax, ymax) format, from low to high")
    names = labels if labels is not None else [None] * len(corners)
    shades = colors if isinstance(colors, list) else [colors or "white"] * len(corners)
    if len(names) != len(corners) or len(shades) < len(corners):
        raise ValueError(
            f"There are {len(corners)} boxes, {len(names)} labels and {len(shades)} colors"
        )
    bytes_ = image.mul(255).round().clamp(0, 255).to(rushlight.uint8) if floating else image
    canvas = Image.fromarray(bytes_.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy().copy())
    draw = ImageDraw.Draw(canvas, "RGBA" if fill else None)
    letters = ImageFont.truetype(font, font_size or 10) if font else ImageFont.load_default()
    for box, name, shade in zip(corners, names, shades):
        inside = (*_rgb(shade), 100) if fill else None
        draw.rectangle(box, outline=shade, fill=inside, width=width)
        if name is not None:
            draw.text((box[0] + width + 1, box[1] + width + 1), name, fill=shade, font=letters)
    made = rushlight.tensor(numpy.asarray(canvas)).permute(2, 0, 1)
    return made.to(image.dtype) / 255 if floating else made


def _rgb(colour: Colour) -> tuple[int, ...]:
    from PIL import ImageColor

    return ImageColor.getrgb(colour)[:3] if isinstance(colour, str) else tuple(colour)
