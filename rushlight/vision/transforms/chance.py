"""Transforms that draw random numbers.

In: one image. Out: one image. Invariant: all numbers come from rushlight's generator, drawn in
torchvision's order, so that `rushlight.manual_seed` decides them and gives torchvision's choices.
(`RandomChoice` and `RandomOrder` draw from Python's `random`, as torchvision's do.)
"""

from __future__ import annotations

import math
import numbers
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy

import rushlight
from rushlight import Tensor, nn

from . import functional as F
from .functional import InterpolationMode

__all__ = [
    "ColorJitter",
    "GaussianBlur",
    "RandomAffine",
    "RandomApply",
    "RandomChoice",
    "RandomCrop",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomOrder",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
]

Fill = float | Sequence[float] | None
Range = tuple[float, float]


def _uniform(low: float, high: float) -> float:
    return float(rushlight.empty(1).uniform_(low, high).item())


def _uniforms(ranges: Sequence[Range]) -> list[float]:
    """As many calls of `_uniform`, drawn in one go.

    A short draw takes its numbers from the stream one by one, so the numbers are the same; they
    are stretched as `uniform_` does: one rounding to float32 of draw * (high - low) + low.
    """
    draws = rushlight.rand(len(ranges)).tolist()
    low = numpy.array([bounds[0] for bounds in ranges], dtype=numpy.float32)
    span = numpy.array([bounds[1] for bounds in ranges], dtype=numpy.float32) - low
    # The product of two float32 is exact in float64.
    stretched = numpy.array(draws) * span.astype(numpy.float64) + low.astype(numpy.float64)
    return [float(value) for value in stretched.astype(numpy.float32)]


def _whole(below: int) -> int:
    return int(rushlight.randint(0, below, size=(1,)).item())


def _happens(probability: float) -> bool:
    return bool(rushlight.rand(1).item() < probability)


def _symmetric(value: float | Sequence[float], name: str) -> Range:
    """A positive number d as (-d, d); a pair as it is."""
    if isinstance(value, numbers.Number):
        limit = float(value)  # type: ignore[arg-type]
        if limit < 0:
            raise ValueError(f"If {name} is a single number, it must be positive.")
        return -limit, limit
    pair = tuple(float(item) for item in value)  # type: ignore[union-attr]
    if len(pair) != 2:
        raise ValueError(f"{name} should be a sequence of length 2.")
    return pair[0], pair[1]


class RandomApply(nn.Module):
    """Apply all of `transforms`, or with probability 1 - p none."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        super().__init__()
        self.transforms = transforms
        self.p = p

    def forward(self, img: Any) -> Any:
        if not _happens(self.p):
            return img
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        lines = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"{type(self).__name__}(\n    p={self.p}{lines}\n)"


class RandomChoice:
    """Apply one of `transforms`, chosen with the weights `p`."""

    def __init__(
        self, transforms: Sequence[Callable[[Any], Any]], p: Sequence[float] | None = None
    ) -> None:
        self.transforms = transforms
        self.p = p

    def __call__(self, img: Any) -> Any:
        return random.choices(self.transforms, weights=self.p)[0](img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(transforms={self.transforms}, p={self.p})"


class RandomOrder:
    """Apply all of `transforms` in a random order."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        order = list(range(len(self.transforms)))
        random.shuffle(order)
        for index in order:
            img = self.transforms[index](img)
        return img

    def __repr__(self) -> str:
        lines = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"{type(self).__name__}({lines}\n)"


class RandomHorizontalFlip(nn.Module):
    """Mirror left and right with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.hflip(img) if _happens(self.p) else img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomVerticalFlip(nn.Module):
    """Mirror top and bottom with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.vflip(img) if _happens(self.p) else img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomGrayscale(nn.Module):
    """Take the colour away with probability `p`, keeping the number of channels."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        channels = F.get_image_num_channels(img)
        return F.rgb_to_grayscale(img, channels) if _happens(self.p) else img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomCrop(nn.Module):
    """Cut out a rectangle of `size` at a random place, after padding if asked for."""

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Fill = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = F._pair(size)
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Draw (top, left, height, width)."""
        _, full_height, full_width = F.get_dimensions(img)
        height, width = output_size
        if full_height < height or full_width < width:
            raise ValueError(
                f"Required crop size {(height, width)} is larger than input image size "
                f"{(full_height, full_width)}"
            )
        if (full_height, full_width) == (height, width):
            return 0, 0, height, width
        top = _whole(full_height - height + 1)
        return top, _whole(full_width - width + 1), height, width

    def forward(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, full_height, full_width = F.get_dimensions(img)
        missing_width, missing_height = self.size[1] - full_width, self.size[0] - full_height
        if self.pad_if_needed and missing_width > 0:
            img = F.pad(img, [missing_width, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and missing_height > 0:
            img = F.pad(img, [0, missing_height], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


class RandomResizedCrop(nn.Module):
    """Cut out a rectangle of random area and shape and resize it (Szegedy et al. 2014).

    `scale` bounds the share of the image's area, `ratio` the width over the height.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Range = (0.08, 1.0),
        ratio: Range = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = F._pair(size)
        self.scale = scale
        self.ratio = ratio
        self.interpolation = interpolation
        self.antialias = antialias

    @staticmethod
    def get_params(img: Any, scale: Range, ratio: Range) -> tuple[int, int, int, int]:
        """Draw (top, left, height, width); after ten misses take the middle of the image."""
        _, full_height, full_width = F.get_dimensions(img)
        area = full_height * full_width
        for _ in range(10):
            wanted = area * _uniform(*scale)
            shape = math.exp(_uniform(math.log(ratio[0]), math.log(ratio[1])))
            width, height = round(math.sqrt(wanted * shape)), round(math.sqrt(wanted / shape))
            if 0 < width <= full_width and 0 < height <= full_height:
                top = _whole(full_height - height + 1)
                return top, _whole(full_width - width + 1), height, width
        shape = full_width / full_height
        width, height = full_width, full_height
        if shape < min(ratio):
            height = round(width / min(ratio))
        elif shape > max(ratio):
            width = round(height * max(ratio))
        return (full_height - height) // 2, (full_width - width) // 2, height, width

    def forward(self, img: Any) -> Any:
        box = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *box, self.size, self.interpolation, self.antialias)

    def __repr__(self) -> str:
        scale = tuple(round(value, 4) for value in self.scale)
        ratio = tuple(round(value, 4) for value in self.ratio)
        return (
            f"{type(self).__name__}(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


class RandomRotation(nn.Module):
    """Turn by an angle of up to `degrees` either way, or between two given angles."""

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        expand: bool = False,
        center: tuple[float, float] | None = None,
        fill: Fill = 0,
    ) -> None:
        super().__init__()
        self.degrees = _symmetric(degrees, "degrees")
        self.interpolation = interpolation
        self.expand = expand
        self.center = center
        self.fill = fill

    @staticmethod
    def get_params(degrees: Range) -> float:
        """Draw the angle."""
        return _uniform(*degrees)

    def forward(self, img: Any) -> Any:
        angle = self.get_params(self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, self.fill)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(degrees={list(self.degrees)}, "
            f"interpolation={self.interpolation.value}, expand={self.expand}, fill={self.fill})"
        )


class RandomAffine(nn.Module):
    """Turn, shift, scale and shear by random amounts, keeping the middle.

    `translate` bounds the shift as shares of width and height, `scale` is a range of factors,
    `shear` is an angle, a range for x, or two ranges for x and y.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: tuple[float, float] | None = None,
        scale: Range | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Fill = 0,
        center: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self.degrees = _symmetric(degrees, "degrees")
        if translate is not None and not all(0.0 <= value <= 1.0 for value in translate):
            raise ValueError("translation values should be between 0 and 1")
        if scale is not None and not all(value > 0 for value in scale):
            raise ValueError("scale values should be positive")
        self.translate = translate
        self.scale = scale
        self.shear = shear
        if isinstance(shear, (int, float)):
            self.shear = _symmetric(shear, "shear")
        elif shear is not None and len(shear) not in (2, 4):
            raise ValueError("shear should be a sequence of length 2 or 4.")
        self.interpolation = interpolation
        self.fill = fill
        self.center = center

    def get_params(
        self, size: Sequence[int]
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """Draw angle, shift (x, y), scale, shear (x, y) for an image of `size` (width, height)."""
        ranges: dict[str, Range] = {"angle": self.degrees}
        if self.translate is not None:
            for name, share, side in zip("xy", self.translate, size, strict=True):
                ranges[name] = (-share * side, share * side)
        if self.scale is not None:
            ranges["scale"] = self.scale
        if self.shear is not None:
            bounds = list(self.shear)  # type: ignore[arg-type]
            ranges["shear_x"] = (bounds[0], bounds[1])
            if len(bounds) == 4:
                ranges["shear_y"] = (bounds[2], bounds[3])
        drawn = dict(zip(ranges, _uniforms(list(ranges.values())), strict=True))
        shift = (round(drawn.get("x", 0.0)), round(drawn.get("y", 0.0)))
        shear = (drawn.get("shear_x", 0.0), drawn.get("shear_y", 0.0))
        return drawn["angle"], shift, drawn.get("scale", 1.0), shear

    def forward(self, img: Any) -> Any:
        values = self.get_params(F.get_image_size(img))
        return F.affine(img, *values, self.interpolation, self.fill, self.center)

    def __repr__(self) -> str:
        parts = [f"degrees={list(self.degrees)}"]
        for name in ("translate", "scale", "shear"):
            value = getattr(self, name)
            if value is not None:
                parts.append(f"{name}={value}")
        if self.interpolation != InterpolationMode.NEAREST:
            parts.append(f"interpolation={self.interpolation.value}")
        if self.fill:
            parts.append(f"fill={self.fill}")
        return f"{type(self).__name__}({', '.join(parts)})"


class ColorJitter(nn.Module):
    """Change brightness, contrast, saturation and hue by random amounts, in a random order.

    A number b means factors from max(0, 1 - b) to 1 + b; for hue, shifts from -b to b.
    """

    def __init__(
        self,
        brightness: float | Range = 0,
        contrast: float | Range = 0,
        saturation: float | Range = 0,
        hue: float | Range = 0,
    ) -> None:
        super().__init__()
        self.brightness = self._range(brightness, "brightness")
        self.contrast = self._range(contrast, "contrast")
        self.saturation = self._range(saturation, "saturation")
        self.hue = self._range(hue, "hue", middle=0.0, bound=(-0.5, 0.5))

    @staticmethod
    def _range(
        value: float | Range, name: str, middle: float = 1.0, bound: Range = (0.0, math.inf)
    ) -> Range | None:
        if isinstance(value, (int, float)):
            if value < 0:
                raise ValueError(f"If {name} is a single number, it must be non negative.")
            low, high = middle - value, middle + value
            if middle == 1.0:
                low = max(low, 0.0)
        else:
            low, high = value
        if not bound[0] <= low <= high <= bound[1]:
            raise ValueError(f"{name} values should be between {bound}, but got {(low, high)}.")
        return None if low == high == middle else (low, high)

    @staticmethod
    def get_params(
        brightness: Range | None,
        contrast: Range | None,
        saturation: Range | None,
        hue: Range | None,
    ) -> tuple[list[int], list[float | None]]:
        """Draw the order of the four changes and the amount of each; None for no change."""
        order = [int(index) for index in rushlight.randperm(4).tolist()]
        ranges = (brightness, contrast, saturation, hue)
        return order, [None if bounds is None else _uniform(*bounds) for bounds in ranges]

    def forward(self, img: Any) -> Any:
        order, amounts = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        changes: tuple[Callable[[Any, float], Any], ...] = (
            F.adjust_brightness,
            F.adjust_contrast,
            F.adjust_saturation,
            F.adjust_hue,
        )
        for index in order:
            amount = amounts[index]
            if amount is not None:
                img = changes[index](img, amount)
        return img

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue})"
        )


class GaussianBlur(nn.Module):
    """Blur by a Gaussian whose width is drawn from `sigma`."""

    def __init__(self, kernel_size: int | Sequence[int], sigma: float | Range = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = F._pair(kernel_size)
        if any(size <= 0 or size % 2 == 0 for size in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        self.sigma = (sigma, sigma) if isinstance(sigma, (int, float)) else sigma
        if not 0.0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"sigma values should be positive and of the form (min, max): {sigma}")

    def forward(self, img: Any) -> Any:
        return F.gaussian_blur(img, self.kernel_size, _uniform(*self.sigma))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(kernel_size={self.kernel_size}, sigma={self.sigma})"


class RandomErasing(nn.Module):
    """Cover a random rectangle of a tensor image with probability `p` (Zhong et al. 2017).

    `value` is a number, one number a channel, or "random" for normal noise.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Range = (0.02, 0.33),
        ratio: Range = (0.3, 3.3),
        value: float | Sequence[float] | str = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        if not (0 <= scale[0] <= scale[1] <= 1):
            raise ValueError("Scale should be between 0 and 1")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value = value
        self.inplace = inplace

    def _cover(self, img: Tensor) -> tuple[int, int, int, int, Tensor] | None:
        """Draw (top, left, height, width, value); None if ten rectangles did not fit."""
        channels, full_height, full_width = F.get_dimensions(img)
        for _ in range(10):
            wanted = full_height * full_width * _uniform(*self.scale)
            shape = math.exp(_uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            height, width = round(math.sqrt(wanted * shape)), round(math.sqrt(wanted / shape))
            if not (height < full_height and width < full_width):
                continue
            if self.value == "random":
                value = rushlight.empty([channels, height, width], dtype=img.dtype).normal_()
            else:
                numbers_ = [self.value] if isinstance(self.value, (int, float)) else self.value
                value = rushlight.tensor(list(numbers_))[:, None, None]
            top = _whole(full_height - height + 1)
            return top, _whole(full_width - width + 1), height, width, value
        return None

    def forward(self, img: Tensor) -> Tensor:
        if not _happens(self.p):
            return img
        cover = self._cover(img)
        return img if cover is None else F.erase(img, *cover, inplace=self.inplace)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(p={self.p}, scale={self.scale}, ratio={self.ratio}, "
            f"value={self.value}, inplace={self.inplace})"
        )
