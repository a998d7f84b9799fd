"""Random changes of colour levels, sharpness and perspective, and policies that choose among them.

In: one image. Out: one image. Invariant: all numbers come from rushlight's generator, in
torchvision's order, as in `chance`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import rushlight
from rushlight import Tensor, nn

from . import functional as F
from .chance import _happens, _whole
from .functional import InterpolationMode

__all__ = [
    "LinearTransformation",
    "RandAugment",
    "RandomAdjustSharpness",
    "RandomAutocontrast",
    "RandomEqualize",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterize",
    "RandomSolarize",
    "TrivialAugmentWide",
]

Fill = float | Sequence[float] | None
Points = list[list[int]]


class _Sometimes(nn.Module):
    """One change, made with probability `p`."""

    _names: tuple[str, ...] = ()

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def _change(self, img: Any) -> Any:
        raise NotImplementedError

    def forward(self, img: Any) -> Any:
        return self._change(img) if _happens(self.p) else img

    def __repr__(self) -> str:
        shown = "".join(f"{name}={getattr(self, name)}," for name in self._names)
        return f"{type(self).__name__}({shown}p={self.p})"


class RandomInvert(_Sometimes):
    """Turn black into white and white into black with probability `p`."""

    def _change(self, img: Any) -> Any:
        return F.invert(img)


class RandomAutocontrast(_Sometimes):
    """Stretch every channel from black to white with probability `p`."""

    def _change(self, img: Any) -> Any:
        return F.autocontrast(img)


class RandomEqualize(_Sometimes):
    """Spread the levels of every channel evenly with probability `p`."""

    def _change(self, img: Any) -> Any:
        return F.equalize(img)


class RandomPosterize(_Sometimes):
    """Keep the `bits` highest bits of every value with probability `p`."""

    _names = ("bits",)

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = bits

    def _change(self, img: Any) -> Any:
        return F.posterize(img, self.bits)


class RandomSolarize(_Sometimes):
    """Invert the values that are not below `threshold`, with probability `p`."""

    _names = ("threshold",)

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = threshold

    def _change(self, img: Any) -> Any:
        return F.solarize(img, self.threshold)


class RandomAdjustSharpness(_Sometimes):
    """Sharpen (above 1) or smooth (below 1) by a factor with probability `p`."""

    _names = ("sharpness_factor",)

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def _change(self, img: Any) -> Any:
        return F.adjust_sharpness(img, self.sharpness_factor)


class RandomPerspective(_Sometimes):
    """Move the four corners inwards by random amounts with probability `p`.

    `distortion_scale` is how far they may go, as a share of half the width and height.
    """

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        fill: Fill = 0,
    ) -> None:
        super().__init__(p)
        self.distortion_scale = distortion_scale
        self.interpolation = interpolation
        self.fill = fill

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[Points, Points]:
        """The corners before, and where they are drawn to: from the top left one clockwise."""
        across, down = (int(distortion_scale * (n // 2)) for n in (width, height))

        def near(extent: int) -> int:
            return _whole(extent + 1)

        def far(full: int, extent: int) -> int:
            return int(rushlight.randint(full - extent - 1, full, size=(1,)).item())

        drawn = [
            [near(across), near(down)],
            [far(width, across), near(down)],
            [far(width, across), far(height, down)],
            [near(across), far(height, down)],
        ]
        before = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
        return before, drawn

    def _change(self, img: Any) -> Any:
        _, height, width = F.get_dimensions(img)
        before, drawn = self.get_params(width, height, self.distortion_scale)
        return F.perspective(img, before, drawn, self.interpolation, self.fill)


class LinearTransformation(nn.Module):
    """(flattened image - mean) @ matrix, in the shape of the image; whitening is one such."""

    def __init__(self, transformation_matrix: Tensor, mean_vector: Tensor) -> None:
        super().__init__()
        rows, columns = transformation_matrix.shape
        if rows != columns:
            raise ValueError(
                "transformation_matrix should be square. Got "
                f"{tuple(transformation_matrix.shape)} rectangular matrix."
            )
        if mean_vector.shape[0] != rows:
            raise ValueError(
                f"mean_vector should have the same length {mean_vector.shape[0]} as any one of "
                f"the dimensions of the transformation_matrix [{(rows, columns)}]"
            )
        self.transformation_matrix, self.mean_vector = transformation_matrix, mean_vector

    def forward(self, tensor: Tensor) -> Tensor:
        count = math.prod(tensor.shape[-3:])
        if count != self.transformation_matrix.shape[0]:
            raise ValueError(
                f"Input tensor and transformation matrix have incompatible shape: {count} values "
                f"and {tuple(self.transformation_matrix.shape)}"
            )
        flat = tensor.reshape(-1, count) - self.mean_vector
        return (flat @ self.transformation_matrix).reshape(tensor.shape)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(transformation_matrix={self.transformation_matrix.tolist()}, "
            f"mean_vector={self.mean_vector.tolist()})"
        )


# ---- policies: one change of many, at a drawn or given strength

# Each operation: its strengths, weakest first, and whether the strength has a sign.
Strengths = tuple[Tensor, bool]


def _sheared(img: Any, amount: float, axis: int, mode: InterpolationMode, fill: Fill) -> Any:
    shear = [0.0, 0.0]
    shear[axis] = math.degrees(math.atan(amount))
    return F.affine(img, 0.0, [0, 0], 1.0, shear, mode, fill, (0.0, 0.0))


def _shifted(img: Any, amount: float, axis: int, mode: InterpolationMode, fill: Fill) -> Any:
    shift = [0, 0]
    shift[axis] = int(amount)
    return F.affine(img, 0.0, shift, 1.0, [0.0, 0.0], mode, fill)


_GEOMETRIC: dict[str, Callable[..., Any]] = {
    "ShearX": lambda img, amount, *rest: _sheared(img, amount, 0, *rest),
    "ShearY": lambda img, amount, *rest: _sheared(img, amount, 1, *rest),
    "TranslateX": lambda img, amount, *rest: _shifted(img, amount, 0, *rest),
    "TranslateY": lambda img, amount, *rest: _shifted(img, amount, 1, *rest),
    "Rotate": lambda img, amount, mode, fill: F.rotate(img, amount, mode, fill=fill),
}
_TONES: dict[str, Callable[[Any, float], Any]] = {
    "Identity": lambda img, amount: img,
    "Brightness": lambda img, amount: F.adjust_brightness(img, 1.0 + amount),
    "Color": lambda img, amount: F.adjust_saturation(img, 1.0 + amount),
    "Contrast": lambda img, amount: F.adjust_contrast(img, 1.0 + amount),
    "Sharpness": lambda img, amount: F.adjust_sharpness(img, 1.0 + amount),
    "Posterize": lambda img, amount: F.posterize(img, int(amount)),
    "Solarize": F.solarize,
    "AutoContrast": lambda img, amount: F.autocontrast(img),
    "Equalize": lambda img, amount: F.equalize(img),
}


def _strengths(
    bins: int, shear: float, shifts: tuple[float, float], turn: float, tone: float, bits: int
) -> dict[str, Strengths]:
    """The operations in the order in which they are numbered, with their strengths."""

    def up_to(most: float) -> Strengths:
        return rushlight.linspace(0.0, most, bins), True

    none = rushlight.tensor(0.0), False
    fewer = (rushlight.arange(bins) / ((bins - 1) / bits)).round().int()
    return {
        "Identity": none,
        "ShearX": up_to(shear),
        "ShearY": up_to(shear),
        "TranslateX": up_to(shifts[0]),
        "TranslateY": up_to(shifts[1]),
        "Rotate": up_to(turn),
        **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), up_to(tone)),
        "Posterize": (8 - fewer, False),
        "Solarize": (rushlight.linspace(255.0, 0.0, bins), False),
        "AutoContrast": none,
        "Equalize": none,
    }


class _Policy(nn.Module):
    """What the policies share: drawing an operation and a sign, and applying it."""

    interpolation: InterpolationMode
    fill: Fill

    def _one(self, img: Any, table: dict[str, Strengths], strength: int | None) -> Any:
        """Draw one operation; its strength too where none is given."""
        name = list(table)[_whole(len(table))]
        amounts, signed = table[name]
        amount = 0.0
        if amounts.dim():
            amount = float(amounts[_whole(len(amounts)) if strength is None else strength].item())
        if signed and _whole(2):
            amount = -amount
        if name in _GEOMETRIC:
            return _GEOMETRIC[name](img, amount, self.interpolation, self.fill)
        return _TONES[name](img, amount)


class RandAugment(_Policy):
    """`num_ops` random changes, all of strength `magnitude` of `num_magnitude_bins`.

    Follows Cubuk et al. 2019, "RandAugment: Practical automated data augmentation with a reduced
    search space". Takes Pillow images and uint8 tensors.
    """

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Fill = None,
    ) -> None:
        super().__init__()
        self.num_ops, self.magnitude = num_ops, magnitude
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation, self.fill = interpolation, fill

    def forward(self, img: Any) -> Any:
        _, height, width = F.get_dimensions(img)
        shifts = 150.0 / 331.0 * width, 150.0 / 331.0 * height
        table = _strengths(self.num_magnitude_bins, 0.3, shifts, 30.0, 0.9, 4)
        for _ in range(self.num_ops):
            img = self._one(img, table, self.magnitude)
        return img

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_ops={self.num_ops}, magnitude={self.magnitude}, "
            f"num_magnitude_bins={self.num_magnitude_bins}, interpolation={self.interpolation}, "
            f"fill={self.fill})"
        )


class TrivialAugmentWide(_Policy):
    """One random change of random strength.

    Follows Müller and Hutter 2021, "TrivialAugment: Tuning-free Yet State-of-the-Art Data
    Augmentation". Takes Pillow images and uint8 tensors.
    """

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Fill = None,
    ) -> None:
        super().__init__()
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation, self.fill = interpolation, fill

    def forward(self, img: Any) -> Any:
        table = _strengths(self.num_magnitude_bins, 0.99, (32.0, 32.0), 135.0, 0.99, 6)
        return self._one(img, table, None)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_magnitude_bins={self.num_magnitude_bins}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )
