"""Many images on one sheet, and a sheet in a file.

In: a (N, C, H, W) batch or a list of (C, H, W) images. Out: one (C, H', W') image, or a file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import rushlight
from rushlight import Tensor

__all__ = ["make_grid", "save_image"]


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
