"""What each transform of place does to a mask (..., H, W): as to an image, by nearest pixels.

In: a mask and plain numbers. Out: a mask of the same dtype. Invariant: no number comes to be that
was not in the mask, or is the fill. Functions have the names and arguments of `on_tensors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight import Tensor

from . import on_tensors
from .on_tensors import crop, dimensions, hflip, vflip

__all__: list[str] = ["crop", "dimensions", "hflip", "vflip"]

Fill = float | Sequence[float] | None


def _framed(mask: Tensor) -> Tensor:
    """A mask without a dimension in front gets one, for the functions on images."""
    return mask[None] if mask.dim() == 2 else mask


def resize(mask: Tensor, size: tuple[int, int], interpolation: str, antialias: bool) -> Tensor:
    made = on_tensors.resize(_framed(mask), size, "nearest", False)
    return made.reshape(*mask.shape[:-2], *size)


def pad(mask: Tensor, borders: Sequence[int], fill: Fill, mode: str) -> Tensor:
    made = on_tensors.pad(_framed(mask), borders, fill, mode)
    return made.reshape(*mask.shape[:-2], *made.shape[-2:])


def _nearest(name: str) -> Any:
    """A function of `on_tensors` that takes an interpolation, taking the nearest pixel."""

    def apply(mask: Tensor, *arguments: Any) -> Tensor:
        plain = ["nearest" if value == "bilinear" else value for value in arguments]
        made = getattr(on_tensors, name)(_framed(mask), *plain)
        return made.reshape(*mask.shape[:-2], *made.shape[-2:])

    return apply


rotate, affine, perspective = _nearest("rotate"), _nearest("affine"), _nearest("perspective")
