"""`torchvision.transforms.v2.functional`: the functions of `transforms`, and those of v2 alone."""

from __future__ import annotations

from typing import Any

import numpy
import PIL.Image

import rushlight
from rushlight import Tensor

from ... import tv_tensors
from .. import functional as _first
from ..functional import *  # noqa: F403
from ..functional import convert_image_dtype, get_dimensions, hflip, vflip

__all__ = [
    *_first.__all__,
    "get_size",
    "horizontal_flip",
    "to_dtype",
    "to_image",
    "vertical_flip",
]

horizontal_flip, vertical_flip = hflip, vflip


def to_image(inpt: Tensor | PIL.Image.Image | numpy.ndarray) -> tv_tensors.Image:
    """An image of any kind as `tv_tensors.Image`, values unchanged."""
    if isinstance(inpt, numpy.ndarray):
        array = inpt[:, :, None] if inpt.ndim == 2 else inpt
        inpt = rushlight.from_numpy(numpy.ascontiguousarray(array.transpose(2, 0, 1)))
    elif isinstance(inpt, PIL.Image.Image):
        inpt = _first.pil_to_tensor(inpt)
    elif not isinstance(inpt, Tensor):
        raise TypeError(
            "Input can either be a pure Tensor, a numpy array, or a PIL image, but got "
            f"{type(inpt)} instead."
        )
    return tv_tensors.Image(inpt)


def to_dtype(inpt: Any, dtype: Any = None, scale: bool = False) -> Any:
    """A tensor in another dtype, float32 by rule; with `scale` white stays white."""
    dtype = rushlight.float32 if dtype is None else dtype
    if not isinstance(inpt, Tensor):
        return inpt
    made = convert_image_dtype(inpt.as_subclass(Tensor), dtype) if scale else inpt.to(dtype)
    if isinstance(inpt, tv_tensors.TVTensor):
        return tv_tensors.wrap(made, like=inpt)
    return made


def get_size(inpt: Any) -> list[int]:
    """[height, width]."""
    return get_dimensions(inpt)[1:]
