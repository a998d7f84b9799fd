"""Plane geometry that both kinds of image share: target sizes and affine maps.

In: sizes, angles, factors. Out: plain numbers. Nothing here touches a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy

__all__ = ["inverse_affine", "output_size", "source_points"]


def output_size(
    image_size: tuple[int, int], size: Sequence[int], max_size: int | None = None
) -> tuple[int, int]:
    """Return (height, width) of an image resized to `size`.

    Two numbers are the size itself. One number is the shorter side, the ratio being kept; then
    the longer side is at most `max_size`, the ratio still being kept.
    """
    if len(size) == 2:
        return int(size[0]), int(size[1])
    height, width = image_size
    short, long = min(height, width), max(height, width)
    new_short, new_long = int(size[0]), int(size[0] * long / short)
    if max_size is not None:
        if max_size <= size[0]:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the "
                f"smaller edge size = {size[0]}"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_short, new_long) if height <= width else (new_long, new_short)


def inverse_affine(
    center: tuple[float, float],
    angle: float,
    translate: tuple[float, float],
    scale: float,
    shear: tuple[float, float],
) -> list[float]:
    """Return the first two rows of the map from a point of the result to a point of the source.

    The forward map scales, shears by x then y, turns clockwise by `angle` degrees (the y axis
    points down), all about `center`, then shifts by `translate`:
    M = T(translate) C R(angle) Shear_y Shear_x scale C^-1. Degrees throughout.
    """
    turn, shear_x, shear_y = (math.radians(value) for value in (angle, *shear))
    rotation = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    linear = (
        numpy.array(rotation)
        @ numpy.array([[1.0, 0.0], [-math.tan(shear_y), 1.0]])
        @ numpy.array([[1.0, -math.tan(shear_x)], [0.0, 1.0]])
        * scale
    )
    inverse = numpy.linalg.inv(linear)
    origin = numpy.array(center) - inverse @ (numpy.array(center) + numpy.array(translate))
    return [*inverse[0], origin[0], *inverse[1], origin[1]]


def source_points(
    size: tuple[int, int], matrix: Sequence[float]
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return the source row and column, as (height, width) arrays, of each pixel of the result.

    Pixel (i, j) covers the unit square with centre (j + 0.5, i + 0.5). Of eight numbers the last
    two are those of the denominator g x + h y + 1 of a perspective.
    """
    height, width = size
    x = numpy.arange(width)[None, :] + 0.5
    y = numpy.arange(height)[:, None] + 0.5
    a, b, c, d, e, f, *bottom = matrix
    below = bottom[0] * x + bottom[1] * y + 1.0 if bottom else 1.0
    return (d * x + e * y + f) / below - 0.5, (a * x + b * y + c) / below - 0.5


def perspective_coefficients(
    startpoints: Sequence[Sequence[int]], endpoints: Sequence[Sequence[int]]
) -> list[float]:
    """The a to h of x' = (a x + b y + c) / (g x + h y + 1), y' = (d x + e y + f) / (g x + h y + 1)
    that lead from four points of the result to four points of the source.
    """
    if len(startpoints) != 4 or len(endpoints) != 4:
        raise ValueError(
            "Please provide exactly four corners, got "
            f"{len(startpoints)} startpoints and {len(endpoints)} endpoints."
        )
    equations, wanted = [], []
    for (x, y), (u, v) in zip(endpoints, startpoints, strict=True):
        equations += [
            [x, y, 1, 0, 0, 0, -u * x, -u * y],
            [0, 0, 0, x, y, 1, -v * x, -v * y],
        ]
        wanted += [u, v]
    solved = numpy.linalg.lstsq(numpy.array(equations, float), numpy.array(wanted, float), None)
    return [float(value) for value in solved[0]]
