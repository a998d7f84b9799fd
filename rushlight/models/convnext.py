"""ConvNeXt, with timm's parameter names.

In: (N, C, H, W), by rule 224 pixels, at least 32. Out: (N, num_classes) scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import rushlight
from rushlight import Tensor, nn

from .common import DropPath, ImageModel, Mlp, linear_rates
from .registry import ModelConfig, register_variants

__all__ = ["ConvNeXt"]

EPSILON = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of an image: each pixel by itself."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """`x + gamma * mlp(norm(depthwise(x)))`, the mlp on the channels of each pixel.

    `convolutional` stores the mlp as 1x1 convolutions, as the small variants do.
    """

    def __init__(self, width: int, drop_path: float, convolutional: bool) -> None:
        super().__init__()
        self.convolutional = convolutional
        self.conv_dw = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm: nn.Module
        if convolutional:
            self.norm = ChannelNorm(width)
        else:
            self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = Mlp(width, 4 * width, convolutional=convolutional)
        self.gamma = nn.Parameter(rushlight.full((width,), 1e-6))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> (N, width, H, W)."""
        out = self.conv_dw(x)
        if self.convolutional:
            out = self.mlp(self.norm(out))
        else:
            out = self.mlp(self.norm(out.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        scaled: Tensor = x + self.drop_path(out * self.gamma.reshape(1, -1, 1, 1))
        return scaled


class Stage(nn.Module):
    """Half the size, then blocks."""

    def __init__(
        self,
        in_chans: int,
        width: int,
        depth: int,
        rates: Iterator[float],
        convolutional: bool,
        halve: bool,
    ) -> None:
        super().__init__()
        self.downsample: nn.Module = nn.Identity()
        if halve:
            self.downsample = nn.Sequential(
                ChannelNorm(in_chans), nn.Conv2d(in_chans, width, 2, stride=2)
            )
        self.blocks = nn.Sequential(
            *(Block(width, next(rates), convolutional) for _ in range(depth))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, width, H / 2, W / 2)."""
        out: Tensor = self.blocks(self.downsample(x))
        return out


class Head(nn.Module):
    """The mean over the image, layer norm, a linear layer."""

    def __init__(self, width: int, num_classes: int, drop_rate: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.drop = nn.Dropout(drop_rate)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, width, H, W) -> (N, num_classes)."""
        x = self.drop(self.norm(x.mean((2, 3))))
        return x if pre_logits else self.fc(x)


class ConvNeXt(ImageModel):
    """A convolution net with the outer form of a transformer.

    Follows Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, "A ConvNet for the 2020s" (2022): 4x4
    patches, 7x7 depthwise convolutions, an inverted bottleneck, few norms, scaled branches.

    >>> import rushlight as rl
    >>> model = rl.models.create_model("convnext_atto", num_classes=3)
    >>> model.stages[1].downsample[1].weight.shape
    torch.Size([80, 40, 2, 2])
    """

    classifier_names = ("head.fc",)

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int],
        num_classes: int = 1000,
        in_chans: int = 3,
        convolutional: bool = False,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_chans, widths[0], 4, stride=4), ChannelNorm(widths[0])
        )
        rates = linear_rates(drop_path_rate, sum(depths))
        stages = []
        channels = widths[0]
        for index, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            stages.append(Stage(channels, width, depth, rates, convolutional, halve=index > 0))
            channels = width
        self.stages = nn.Sequential(*stages)
        self.head = Head(channels, num_classes, drop_rate)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, channels, H / 32, W / 32)."""
        out: Tensor = self.stages(self.stem(x))
        return out

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pooled and normalised, and the scores."""
        out: Tensor = self.head(x, pre_logits)
        return out


def _doubling(width: int) -> tuple[int, ...]:
    return tuple(width * 2**index for index in range(4))


CONFIG = ModelConfig(
    first_conv="stem.0",
    classifier="head.fc",
    smallest_size=32,
    paper="Liu et al. 2022, arXiv:2201.03545",
)
# name: depths, first width, mlp of convolutions, tag, part of the image
_ROWS: dict[str, tuple[tuple[int, ...], int, bool, str, float]] = {
    "convnext_atto": ((2, 2, 6, 2), 40, True, "d2_in1k", 0.875),
    "convnext_femto": ((2, 2, 6, 2), 48, True, "d1_in1k", 0.875),
    "convnext_pico": ((2, 2, 6, 2), 64, True, "d1_in1k", 0.875),
    "convnext_nano": ((2, 2, 8, 2), 80, True, "in12k_ft_in1k", 0.95),
    "convnext_tiny": ((3, 3, 9, 3), 96, False, "in12k_ft_in1k", 0.95),
    "convnext_small": ((3, 3, 27, 3), 96, False, "in12k_ft_in1k", 0.95),
    "convnext_base": ((3, 3, 27, 3), 128, False, "fb_in22k_ft_in1k", 0.875),
    "convnext_large": ((3, 3, 27, 3), 192, False, "fb_in22k_ft_in1k", 0.875),
}
register_variants(
    ConvNeXt,
    CONFIG,
    {
        name: (
            {"depths": depths, "widths": _doubling(width), "convolutional": convolutional},
            {"tag": tag, "crop_pct": crop},
        )
        for name, (depths, width, convolutional, tag, crop) in _ROWS.items()
    },
)
