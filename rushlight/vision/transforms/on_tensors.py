"""What each transform does to a tensor (..., C, H, W).

In: a tensor and plain numbers. Out: a tensor of the same dtype. Integer images are computed in
float32 and rounded back. Every function has a twin of the same name and arguments in `on_images`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy

import rushlight
from rushlight import Tensor
from rushlight.nn import functional as F

from .geometry import inverse_affine, source_points

__all__: list[str] = []

Fill = float | Sequence[float] | None


def dimensions(image: Tensor) -> tuple[int, int, int]:
    """(channels, height, width); an image without channels has one."""
    channels = 1 if image.dim() == 2 else int(image.shape[-3])
    return channels, int(image.shape[-2]), int(image.shape[-1])


def largest(image: Tensor) -> float:
    """The value of white: 1 for floating point, the largest number for integers."""
    return 1.0 if image.is_floating_point() else float(rushlight.iinfo(image.dtype).max)


def in_float(image: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
    """Compute in floating point; integers are rounded and kept in range."""
    if image.is_floating_point():
        return compute(image)
    result = compute(image.to(rushlight.float32)).round().clamp(0, largest(image))
    return result.to(image.dtype)


def crop(image: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    _, full_height, full_width = dimensions(image)
    bottom, right = top + height, left + width
    part = image[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    borders = [
        max(-left, 0),
        max(right - full_width, 0),
        max(-top, 0),
        max(bottom - full_height, 0),
    ]
    return F.pad(part, borders) if any(borders) else part


def hflip(image: Tensor) -> Tensor:
    return image.flip(-1)


def vflip(image: Tensor) -> Tensor:
    return image.flip(-2)


def pad(image: Tensor, borders: Sequence[int], fill: Fill, mode: str) -> Tensor:
    left, top, right, bottom = borders
    if mode == "constant":
        if isinstance(fill, Sequence):
            planes = [
                F.pad(image[..., index : index + 1, :, :], [left, right, top, bottom], value=value)
                for index, value in enumerate(fill)
            ]
            return rushlight.cat(planes, -3)
        return F.pad(image, [left, right, top, bottom], value=fill or 0)
    _, height, width = dimensions(image)
    numpy_mode = {"edge": "edge", "reflect": "reflect", "symmetric": "symmetric"}[mode]
    rows = numpy.pad(numpy.arange(height), (top, bottom), mode=numpy_mode)  # type: ignore[call-overload]
    columns = numpy.pad(numpy.arange(width), (left, right), mode=numpy_mode)  # type: ignore[call-overload]
    return image[..., rushlight.from_numpy(rows)[:, None], rushlight.from_numpy(columns)]


def _linear(distance: numpy.ndarray) -> numpy.ndarray:
    return numpy.maximum(1 - numpy.abs(distance), 0)


def _cubic(distance: numpy.ndarray, a: float) -> numpy.ndarray:
    """Keys' cubic convolution kernel (1981), of support 2, with slope `a` at 1."""
    x = numpy.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return numpy.where(x < 1, near, numpy.where(x < 2, far, 0))


def _resize_matrix(source: int, target: int, mode: str, antialias: bool) -> numpy.ndarray:
    """The (target, source) matrix of weights of one axis; every row sums to 1.

    Without antialiasing the kernel is as wide as a source pixel and weights beyond the edge fall
    on the edge pixel; with it, the kernel is stretched over the source pixels that one target
    pixel covers, and cut at the edge.
    """
    ratio = source / target
    stretch = max(ratio, 1.0) if antialias else 1.0
    reach = (1.0 if mode == "bilinear" else 2.0) * stretch
    centre = (numpy.arange(target) + 0.5) * ratio - 0.5
    offsets = numpy.arange(-math.ceil(reach), math.ceil(reach) + 1)
    taps = numpy.floor(centre).astype(int)[:, None] + offsets
    distance = (taps - centre[:, None]) / stretch
    if mode == "bilinear":
        weights = _linear(distance)
    else:
        weights = _cubic(distance, -0.5 if antialias else -0.75)
    if antialias:
        weights = numpy.where((taps >= 0) & (taps < source), weights, 0)
    weights = weights / weights.sum(1, keepdims=True)
    matrix = numpy.zeros((target, source))
    rows = numpy.arange(target)[:, None].repeat(taps.shape[1], 1)
    numpy.add.at(matrix, (rows, taps.clip(0, source - 1)), weights)
    return matrix


def resize(image: Tensor, size: tuple[int, int], interpolation: str, antialias: bool) -> Tensor:
    """Resample rows and columns, each by one matrix: (H', H) @ image @ (W, W')."""
    _, height, width = dimensions(image)
    if (height, width) == tuple(size):
        return image
    if interpolation in ("nearest", "nearest-exact"):
        shift = 0.0 if interpolation == "nearest" else 0.5
        rows = ((numpy.arange(size[0]) + shift) * (height / size[0])).astype(numpy.int64)
        columns = ((numpy.arange(size[1]) + shift) * (width / size[1])).astype(numpy.int64)
        return image[..., rushlight.from_numpy(rows)[:, None], rushlight.from_numpy(columns)]
    if interpolation not in ("bilinear", "bicubic"):
        raise ValueError(f"a tensor cannot be resized by {interpolation} interpolation")

    def compute(pixels: Tensor) -> Tensor:
        vertical = _resize_matrix(height, size[0], interpolation, antialias)
        horizontal = _resize_matrix(width, size[1], interpolation, antialias)
        left = rushlight.from_numpy(vertical).to(pixels.dtype)
        right = rushlight.from_numpy(horizontal.T.copy()).to(pixels.dtype)
        return left @ pixels @ right

    return in_float(image, compute)


def affine(
    image: Tensor,
    angle: float,
    translate: tuple[float, float],
    scale: float,
    shear: tuple[float, float],
    interpolation: str,
    fill: Fill,
    center: tuple[float, float] | None,
) -> Tensor:
    _, height, width = dimensions(image)
    middle = (width * 0.5, height * 0.5) if center is None else center
    matrix = inverse_affine(middle, angle, translate, scale, shear)
    return _sample(image, (height, width), matrix, interpolation, fill)


def rotate(
    image: Tensor,
    angle: float,
    interpolation: str,
    expand: bool,
    center: tuple[float, float] | None,
    fill: Fill,
) -> Tensor:
    _, height, width = dimensions(image)
    middle = (width * 0.5, height * 0.5) if center is None else center
    matrix = inverse_affine(middle, -angle, (0.0, 0.0), 1.0, (0.0, 0.0))
    size = (height, width)
    if expand:
        size, matrix = _expanded(size, angle)
    return _sample(image, size, matrix, interpolation, fill)


def perspective(
    image: Tensor, coefficients: Sequence[float], interpolation: str, fill: Fill
) -> Tensor:
    _, height, width = dimensions(image)
    return _sample(image, (height, width), coefficients, interpolation, fill)


def _expanded(size: tuple[int, int], angle: float) -> tuple[tuple[int, int], list[float]]:
    """The size that holds the whole turned image, and the map about both middles."""
    height, width = size
    turn = math.radians(angle)
    cosine, sine = abs(math.cos(turn)), abs(math.sin(turn))
    # A turn by a right angle must not grow by the rounding of its cosine.
    new_width = math.ceil(width * cosine + height * sine - 1e-4)
    new_height = math.ceil(width * sine + height * cosine - 1e-4)
    shift = ((new_width - width) / 2, (new_height - height) / 2)
    matrix = inverse_affine((width * 0.5, height * 0.5), -angle, shift, 1.0, (0.0, 0.0))
    return (new_height, new_width), matrix


def _sample(
    image: Tensor,
    size: tuple[int, int],
    matrix: Sequence[float],
    interpolation: str,
    fill: Fill,
) -> Tensor:
    """Read the source at the mapped points; outside of it stands `fill`."""
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(f"a tensor cannot be turned with {interpolation} interpolation")
    _, height, width = dimensions(image)
    rows, columns = source_points(size, matrix)
    if interpolation == "nearest":
        corners = [(numpy.rint(rows), numpy.rint(columns), numpy.ones(size))]
    else:
        top, left = numpy.floor(rows), numpy.floor(columns)
        down, right = rows - top, columns - left
        corners = [
            (top, left, (1 - down) * (1 - right)),
            (top, left + 1, (1 - down) * right),
            (top + 1, left, down * (1 - right)),
            (top + 1, left + 1, down * right),
        ]
    return in_float(image, lambda pixels: _blend(pixels, corners, (height, width), fill))


def _blend(
    pixels: Tensor,
    corners: list[tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]],
    size: tuple[int, int],
    fill: Fill,
) -> Tensor:
    """Sum the weighted corner pixels; the weight that falls outside goes to `fill`."""
    height, width = size
    total, covered = None, None
    for rows, columns, weight in corners:
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        share = rushlight.from_numpy(weight * inside).to(pixels.dtype)
        row_index = rushlight.from_numpy(rows.clip(0, height - 1).astype(numpy.int64))
        column_index = rushlight.from_numpy(columns.clip(0, width - 1).astype(numpy.int64))
        part = pixels[..., row_index, column_index] * share
        total = part if total is None else total + part
        covered = share if covered is None else covered + share
    assert total is not None and covered is not None
    if fill is None or fill == 0:
        return total
    values = [fill] if isinstance(fill, (int, float)) else list(fill)
    return total + (1 - covered) * rushlight.tensor(values, dtype=pixels.dtype)[:, None, None]


def grayscale(image: Tensor, channels: int) -> Tensor:
    """0.2989 R + 0.587 G + 0.114 B (ITU-R 601), truncated for integers as torchvision does."""
    if image.shape[-3] == 3:
        red, green, blue = image.unbind(-3)
        image = (0.2989 * red + 0.587 * green + 0.114 * blue).to(image.dtype).unsqueeze(-3)
    return image.expand(*image.shape[:-3], channels, *image.shape[-2:])


def _mix(image: Tensor, other: Tensor, factor: float) -> Tensor:
    """factor * image + (1 - factor) * other, kept between black and white."""
    result = (factor * image + (1.0 - factor) * other).clamp(0, largest(image))
    return result.to(image.dtype)


def adjust_brightness(image: Tensor, factor: float) -> Tensor:
    return _mix(image, rushlight.zeros_like(image), factor)


def adjust_contrast(image: Tensor, factor: float) -> Tensor:
    grey = grayscale(image, 1) if image.shape[-3] == 3 else image
    dtype = image.dtype if image.is_floating_point() else rushlight.float32
    return _mix(image, grey.to(dtype).mean((-3, -2, -1), keepdim=True), factor)


def adjust_saturation(image: Tensor, factor: float) -> Tensor:
    if image.shape[-3] == 1:
        return image
    return _mix(image, grayscale(image, 3), factor)


def adjust_gamma(image: Tensor, gamma: float, gain: float) -> Tensor:
    white = largest(image)
    pixels = image if image.is_floating_point() else image.to(rushlight.float32) / white
    result = (gain * pixels**gamma).clamp(0, 1)
    if image.is_floating_point():
        return result
    return (result * (white + 1 - 1e-3)).to(image.dtype)


def adjust_hue(image: Tensor, factor: float) -> Tensor:
    if image.shape[-3] == 1:
        return image
    white = largest(image)
    pixels = image if image.is_floating_point() else image.to(rushlight.float32) / white
    hue, saturation, value = _to_hsv(pixels)
    result = _from_hsv(rushlight.remainder(hue + factor, 1.0), saturation, value)
    return result if image.is_floating_point() else (result * (white + 1 - 1e-3)).to(image.dtype)


def _to_hsv(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value, each in [0, 1], as in the hexcone model (Smith 1978)."""
    red, green, blue = pixels.unbind(-3)
    value, low = pixels.amax(-3), pixels.amin(-3)
    spread = value - low
    flat = spread == 0
    divisor = rushlight.where(flat, rushlight.ones_like(spread), spread)
    sector = rushlight.where(
        value == red,
        (green - blue) / divisor,
        rushlight.where(
            value == green, (blue - red) / divisor + 2.0, (red - green) / divisor + 4.0
        ),
    )
    hue = rushlight.where(flat, rushlight.zeros_like(sector), (sector / 6.0 + 1.0) % 1.0)
    bright = rushlight.where(value == 0, rushlight.ones_like(value), value)
    return hue, spread / bright, value


def _from_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """The inverse: channel n is v - v s max(0, min(k, 4 - k, 1)) with k = (n + 6h) mod 6."""
    channels = []
    for start in (5.0, 3.0, 1.0):
        k = (start + hue * 6.0) % 6.0
        ramp = rushlight.minimum(k, 4.0 - k).clamp(0, 1)
        channels.append(value - value * saturation * ramp)
    return rushlight.stack(channels, -3)


def invert(image: Tensor) -> Tensor:
    white = largest(image) if image.is_floating_point() else int(largest(image))
    return -image + white
