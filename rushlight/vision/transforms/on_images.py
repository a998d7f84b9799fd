"""What each transform does to a Pillow image.

In: an image and plain numbers. Out: an image of the same mode. Every function has a twin of the
same name and arguments in `on_tensors`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy
from PIL import Image, ImageEnhance, ImageOps

from .geometry import inverse_affine

__all__: list[str] = []

Fill = float | Sequence[float] | None

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
}


def dimensions(image: Image.Image) -> tuple[int, int, int]:
    """(channels, height, width)."""
    return len(image.getbands()), image.height, image.width


def _fill_colour(image: Image.Image, fill: Fill) -> float | tuple[int, ...] | None:
    """`fill` as Pillow wants it for the image's mode: one number, or one a channel."""
    if fill is None:
        return None
    bands = len(image.getbands())
    values = [fill] * bands if isinstance(fill, (int, float)) else list(fill)
    if len(values) == 1:
        values = values * bands
    if len(values) != bands:
        raise ValueError(
            f"fill has {len(values)} values, but the image has {bands} channels (mode {image.mode})"
        )
    if bands == 1:
        return float(values[0]) if image.mode == "F" else int(values[0])
    return tuple(int(value) for value in values)


def crop(image: Image.Image, top: int, left: int, height: int, width: int) -> Image.Image:
    return image.crop((left, top, left + width, top + height))


def hflip(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def vflip(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def pad(image: Image.Image, borders: Sequence[int], fill: Fill, mode: str) -> Image.Image:
    left, top, right, bottom = borders
    if mode == "constant":
        return ImageOps.expand(image, tuple(borders), fill=_fill_colour(image, fill) or 0)  # type: ignore[arg-type]
    pixels = numpy.asarray(image)
    widths = [(top, bottom), (left, right), *[(0, 0)] * (pixels.ndim - 2)]
    return Image.fromarray(numpy.pad(pixels, widths, mode=mode))  # type: ignore[call-overload]


def resize(
    image: Image.Image, size: tuple[int, int], interpolation: str, antialias: bool
) -> Image.Image:
    """Pillow always antialiases when it makes an image smaller, except by nearest."""
    return image.resize((size[1], size[0]), _RESAMPLING[interpolation])


def affine(
    image: Image.Image,
    angle: float,
    translate: tuple[float, float],
    scale: float,
    shear: tuple[float, float],
    interpolation: str,
    fill: Fill,
    center: tuple[float, float] | None,
) -> Image.Image:
    middle = (image.width * 0.5, image.height * 0.5) if center is None else center
    matrix = inverse_affine(middle, angle, translate, scale, shear)
    return image.transform(
        image.size,
        Image.Transform.AFFINE,
        matrix,
        _RESAMPLING[interpolation],
        fillcolor=_fill_colour(image, fill),
    )


def rotate(
    image: Image.Image,
    angle: float,
    interpolation: str,
    expand: bool,
    center: tuple[float, float] | None,
    fill: Fill,
) -> Image.Image:
    return image.rotate(
        angle,
        _RESAMPLING[interpolation],
        expand,
        center,
        fillcolor=_fill_colour(image, fill),
    )


def perspective(
    image: Image.Image, coefficients: Sequence[float], interpolation: str, fill: Fill
) -> Image.Image:
    return image.transform(
        image.size,
        Image.Transform.PERSPECTIVE,
        coefficients,
        _RESAMPLING[interpolation],
        fillcolor=_fill_colour(image, fill),
    )


def grayscale(image: Image.Image, channels: int) -> Image.Image:
    grey = image.convert("L")
    return grey if channels == 1 else Image.merge("RGB", [grey] * 3)


def adjust_brightness(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def adjust_contrast(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(factor)


def adjust_saturation(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Color(image).enhance(factor)


def adjust_hue(image: Image.Image, factor: float) -> Image.Image:
    if image.mode in ("L", "1", "I", "F"):
        return image
    hue, saturation, value = image.convert("HSV").split()
    shifted = numpy.asarray(hue).astype(numpy.int64) + math.trunc(factor * 255)
    turned = Image.fromarray((shifted % 256).astype(numpy.uint8), "L")
    return Image.merge("HSV", (turned, saturation, value)).convert(image.mode)


def adjust_gamma(image: Image.Image, gamma: float, gain: float) -> Image.Image:
    table = [int((255 + 1 - 1e-3) * gain * math.pow(level / 255.0, gamma)) for level in range(256)]
    table = [min(value, 255) for value in table] * len(image.getbands())
    return image.point(table)


def invert(image: Image.Image) -> Image.Image:
    return ImageOps.invert(image)
