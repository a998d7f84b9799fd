"""What happens to an image between the file and the model, in training and in prediction.

What comes in: a decoded Pillow image. What goes out: bytes of one size, and from a batch of them a
normalised float32 tensor (N, C, H, W). Invariant: a checkpoint stores this object, so prediction
does to an image exactly what evaluation did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy
from PIL import Image

import rushlight
from rushlight import Tensor
from rushlight.vision import transforms

__all__ = ["AUGMENTATIONS", "Preprocessing"]

_SMOOTH = transforms.InterpolationMode.BILINEAR


@dataclass(frozen=True)
class Preprocessing:
    """Fit the shorter side to `image_size`, cut out the middle square, shift and scale values.

    `mean` and `std` hold one number a channel, for values from 0 to 1.
    """

    image_size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def fit(self) -> transforms.Compose:
        """The geometry of evaluation and prediction."""
        size = self.image_size
        return transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size)])

    def to_array(self, image: Image.Image) -> numpy.ndarray:
        """One fitted image -> (H, W, C) bytes."""
        return numpy.asarray(image).reshape(self.image_size, self.image_size, self.channels)

    def normalise(self, batch: Tensor) -> Tensor:
        """(N, H, W, C) bytes -> (N, C, H, W) float32, `(value / 255 - mean) / std`."""
        pixels = batch.permute(0, 3, 1, 2).to(rushlight.float32)
        centre = rushlight.tensor([255 * value for value in self.mean], device=batch.device)
        spread = rushlight.tensor([255 * value for value in self.std], device=batch.device)
        shape = (1, self.channels, 1, 1)
        return (pixels - centre.reshape(shape)) / spread.reshape(shape)


def _none(preprocessing: Preprocessing) -> transforms.Compose:
    return preprocessing.fit()


def _affine(preprocessing: Preprocessing) -> transforms.Compose:
    """Small turns, shifts and changes of size: what a hand does to a letter."""
    move = transforms.RandomAffine(
        10, translate=(0.1, 0.1), scale=(0.9, 1.1), interpolation=_SMOOTH
    )
    return transforms.Compose([preprocessing.fit(), move])


def _flip(preprocessing: Preprocessing) -> transforms.Compose:
    """Mirror images, for things that have no left and right."""
    return transforms.Compose([preprocessing.fit(), transforms.RandomHorizontalFlip()])


def _crop(preprocessing: Preprocessing) -> transforms.Compose:
    """Random parts of the photograph, mirrored or not: the usual recipe for photographs."""
    crop = transforms.RandomResizedCrop(preprocessing.image_size, scale=(0.35, 1.0))
    return transforms.Compose([crop, transforms.RandomHorizontalFlip()])


AUGMENTATIONS: dict[str, Callable[[Preprocessing], transforms.Compose]] = {
    "none": _none,
    "affine": _affine,
    "flip": _flip,
    "crop": _crop,
}
