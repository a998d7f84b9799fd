"""`torchvision.tv_tensors`: tensors that say what they are, so that transforms know what to do.

In: a tensor or what makes one. Out: a tensor of a class. Invariant: the class is a word only: what
is computed from such a tensor is an ordinary tensor, until `wrap` puts the word back.
"""

from __future__ import annotations

import enum
from typing import Any, TypeVar

import rushlight
from rushlight import Tensor
from rushlight.overrides import disabled

__all__ = ["BoundingBoxFormat", "BoundingBoxes", "Image", "Mask", "TVTensor", "Video", "wrap"]

Kind = TypeVar("Kind", bound="TVTensor")


class BoundingBoxFormat(enum.Enum):
    """The four numbers of a box: two corners; a corner and the size; the middle and the size."""

    XYXY = "XYXY"
    XYWH = "XYWH"
    CXCYWH = "CXCYWH"


class TVTensor(Tensor):
    """What all of them are."""

    # What is computed from them is an ordinary tensor, without asking.
    __torch_function__ = disabled

    def __new__(
        cls: type[Kind],
        data: Any,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> Kind:
        made = rushlight.as_tensor(data, dtype=dtype, device=device)
        made = made.reshape(1, *made.shape) if cls._least == 3 and made.dim() == 2 else made
        if made.dim() < cls._least:
            raise ValueError(f"{cls.__name__}: {made.dim()} dimensions, at least {cls._least}")
        return Tensor._make_subclass(cls, made.detach(), bool(requires_grad))

    _least = 0

    def __init__(self, *ignored: Any, **options: Any) -> None:
        """Everything happens in `__new__`."""

    def __repr__(self, **options: Any) -> str:
        return f"{type(self).__name__}({self.as_subclass(Tensor)!r})"


class Image(TVTensor):
    """A picture (..., C, H, W); of (H, W) one with one channel is made.

    >>> import rushlight as rl
    >>> from rushlight.vision import tv_tensors
    >>> tv_tensors.Image(rl.zeros(2, 3)).shape
    torch.Size([1, 2, 3])
    """

    _least = 3


class Video(TVTensor):
    """Pictures one after the other, (..., T, C, H, W)."""

    _least = 4


class Mask(TVTensor):
    """A class or object number for every pixel, (..., H, W)."""

    _least = 2


class BoundingBoxes(TVTensor):
    """Boxes (N, 4) on a canvas of (height, width)."""

    format: BoundingBoxFormat
    canvas_size: tuple[int, int]

    def __new__(
        cls,
        data: Any,
        *,
        format: BoundingBoxFormat | str,
        canvas_size: tuple[int, int],
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> BoundingBoxes:
        made = super().__new__(cls, data, dtype=dtype, device=device, requires_grad=requires_grad)
        if made.dim() == 1:
            made = Tensor._make_subclass(cls, made.as_subclass(Tensor)[None], bool(requires_grad))
        if made.dim() != 2 or made.shape[-1] != 4:
            raise ValueError(f"BoundingBoxes: expected (N, 4), got {tuple(made.shape)}")
        made.format = BoundingBoxFormat[format] if isinstance(format, str) else format
        made.canvas_size = (int(canvas_size[0]), int(canvas_size[1]))
        return made

    def __repr__(self, **options: Any) -> str:
        return (
            f"BoundingBoxes({self.as_subclass(Tensor)!r}, format={self.format}, "
            f"canvas_size={self.canvas_size})"
        )


def wrap(wrappee: Tensor, *, like: TVTensor, **changes: Any) -> Any:
    """The tensor as the same kind as `like`; `changes` are another format or canvas_size."""
    if isinstance(like, BoundingBoxes):
        kept: dict[str, Any] = {"format": like.format, "canvas_size": like.canvas_size} | changes
        return BoundingBoxes(wrappee, **kept)
    return wrappee.as_subclass(type(like))
