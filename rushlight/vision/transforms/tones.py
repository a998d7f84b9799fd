"""Changes of brightness and colour levels, of sharpness, and of fewer levels.

In: a Pillow image or a tensor (..., C, H, W). Out: the same kind. Invariant: Pillow does the work
on its own images; on tensors the same is said by formula, as torchvision's tensors have it.
"""

from __future__ import annotations

from typing import TypeVar

from PIL import Image, ImageEnhance, ImageOps

import rushlight
from rushlight import Tensor
from rushlight.nn.functional import conv2d

from . import on_tensors

__all__ = ["adjust_sharpness", "autocontrast", "equalize", "posterize", "solarize"]

Picture = TypeVar("Picture", Image.Image, Tensor)


def _check(img: object) -> None:
    """Errors: TypeError for something that is no image."""
    if not isinstance(img, (Tensor, Image.Image)):
        raise TypeError(f"img should be PIL Image or Tensor. Got {type(img)}")


def _levels(img: Tensor, what: str) -> None:
    if img.dtype != rushlight.uint8:
        raise TypeError(f"{what}: only uint8 image tensors have levels, this one is {img.dtype}")


def posterize(img: Picture, bits: int) -> Picture:
    """Keep the `bits` highest bits of every value; tensors are uint8."""
    _check(img)
    if isinstance(img, Image.Image):
        return ImageOps.posterize(img, bits)
    _levels(img, "posterize")
    return img & -(2 ** (8 - bits)) % 256


def solarize(img: Picture, threshold: float) -> Picture:
    """Invert the values that are not below the threshold, which is at most white."""
    _check(img)
    if isinstance(img, Image.Image):
        return ImageOps.solarize(img, threshold)  # type: ignore[arg-type]  # its stubs say int
    if threshold > on_tensors.largest(img):
        raise TypeError(f"Threshold should be less than bound of img, got {threshold}")
    return rushlight.where(img >= threshold, on_tensors.invert(img), img)


def adjust_sharpness(img: Picture, sharpness_factor: float) -> Picture:
    """Move away from the smoothed image: 0 is that image, 1 the image, 2 twice as sharp."""
    if sharpness_factor < 0:
        raise ValueError(f"sharpness_factor ({sharpness_factor}) is not non-negative.")
    _check(img)
    if isinstance(img, Image.Image):
        return ImageEnhance.Sharpness(img).enhance(sharpness_factor)
    if img.shape[-1] <= 2 or img.shape[-2] <= 2:
        return img
    return on_tensors._mix(img, on_tensors.in_float(img, _smoothed), sharpness_factor)


def _smoothed(pixels: Tensor) -> Tensor:
    """Every pixel within the border a mean over 3x3, itself with weight 5 of 13."""
    weights = rushlight.ones(1, 1, 3, 3, dtype=pixels.dtype)
    weights[..., 1, 1] = 5
    flat = pixels.reshape(-1, 1, *pixels.shape[-2:])
    result = pixels.clone()
    inner = conv2d(flat, weights / weights.sum())
    result[..., 1:-1, 1:-1] = inner.reshape(*pixels.shape[:-2], *inner.shape[-2:])
    return result


def autocontrast(img: Picture) -> Picture:
    """Stretch every channel from black to white; a channel of one value stays as it is."""
    _check(img)
    if isinstance(img, Image.Image):
        return ImageOps.autocontrast(img)
    white = on_tensors.largest(img)
    pixels = img if img.is_floating_point() else img.float()
    low, high = pixels.amin((-2, -1), keepdim=True), pixels.amax((-2, -1), keepdim=True)
    flat = low == high
    scale = rushlight.where(flat, 1.0, white / (high - low))
    low = rushlight.where(flat, 0.0, low)
    return ((pixels - low) * scale).clamp(0, white).to(img.dtype)


def equalize(img: Picture) -> Picture:
    """Spread the levels of every channel so that all are about as frequent; tensors are uint8."""
    _check(img)
    if isinstance(img, Image.Image):
        return ImageOps.equalize(img)
    _levels(img, "equalize")
    channels = img.reshape(-1, *img.shape[-2:])
    made = [_equalized(channel) for channel in channels.unbind(0)]
    return rushlight.stack(made).reshape(img.shape)


def _equalized(channel: Tensor) -> Tensor:
    """The table of new levels is the running sum of how often each is there (as Pillow's)."""
    counts = rushlight.bincount(channel.reshape(-1).long(), minlength=256)
    step = int(counts[counts != 0][:-1].sum().item()) // 255
    if step == 0:
        return channel
    table = (counts.cumsum(0) + step // 2) // step
    table = rushlight.cat([table.new_zeros(1), table[:-1]]).clamp(0, 255).to(rushlight.uint8)
    return table[channel.long()]
