"""Resizing layers.

In: (N, C, *spatial). Out: (N, C, *new) by size or scale factor.
Invariant: no parameters; the rules are those of `functional.interpolate`.
"""

from __future__ import annotations

from typing import Any

from rushlight import Tensor
from rushlight.nn import functional as F
from rushlight.nn.module import Module


class Upsample(Module):
    """`functional.interpolate` as a layer. Follows `torch.nn.Upsample`.

    >>> import rushlight as rl
    >>> rl.nn.Upsample(scale_factor=2)(rl.zeros(1, 1, 2, 2)).shape
    torch.Size([1, 1, 4, 4])
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.name = type(self).__name__
        self.size = size
        if isinstance(scale_factor, tuple):
            self.scale_factor: Any = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        if self.scale_factor is not None:
            how = f"scale_factor={self.scale_factor!r}"
        else:
            how = f"size={self.size!r}"
        return f"{how}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` with mode "nearest" for images. Follows `torch.nn.UpsamplingNearest2d`.

    >>> import rushlight as rl
    >>> rl.nn.UpsamplingNearest2d(scale_factor=2)(rl.zeros(1, 1, 2, 2)).shape
    torch.Size([1, 1, 4, 4])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` with mode "bilinear" and aligned corners.

    Follows `torch.nn.UpsamplingBilinear2d`.

    >>> import rushlight as rl
    >>> rl.nn.UpsamplingBilinear2d(scale_factor=2)(rl.zeros(1, 1, 2, 2)).shape
    torch.Size([1, 1, 4, 4])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
