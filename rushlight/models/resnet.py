"""Residual networks, ResNeXt and wide ones, with torchvision's and timm's parameter names.

In: (N, C, H, W), by rule 224 pixels, any size from 1. Out: (N, num_classes) scores. Invariant:
`state_dict` keys (`conv1.weight`, `layer1.0.bn1.weight`, `layer2.0.downsample.0.weight`,
`fc.weight`, ...) and shapes are torchvision's, and for a given seed so are the initial values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight import Tensor, nn
from rushlight.nn import functional

from .common import ImageModel
from .registry import ModelConfig, register_variants

__all__ = ["BasicBlock", "Bottleneck", "ResNet"]

CONFIG = ModelConfig(paper="He et al. 2015, arXiv:1512.03385")


def _convolution(
    in_chans: int, out_chans: int, size: int, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution without bias that keeps the image's size at stride 1."""
    padding = (size - 1) // 2
    return nn.Conv2d(in_chans, out_chans, size, stride, padding, groups=groups, bias=False)


class BasicBlock(nn.Module):
    """`relu(x + bn(conv3(relu(bn(conv3(x))))))`: the block of ResNet-18 and -34."""

    expansion = 1

    def __init__(
        self,
        in_chans: int,
        width: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
    ) -> None:
        super().__init__()
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock has neither groups nor another width; Bottleneck has")
        self.conv1 = _convolution(in_chans, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, width, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        out: Tensor = self.relu(self.bn2(self.conv2(x)) + shortcut)
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a narrow middle: the block of ResNet-50.

    The stride sits in the 3x3 convolution, as in torchvision and timm. The middle has
    `groups * width * base_width / 64` channels in `groups` groups: ResNeXt (Xie et al. 2016,
    arXiv:1611.05431) has more than one, the wide networks (Zagoruyko and Komodakis 2016,
    arXiv:1605.07146) a larger base width.
    """

    expansion = 4

    def __init__(
        self,
        in_chans: int,
        width: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
    ) -> None:
        super().__init__()
        out_chans = width * self.expansion
        middle = groups * (width * base_width // 64)
        self.conv1 = _convolution(in_chans, middle, 1)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = _convolution(middle, middle, 3, stride, groups)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = _convolution(middle, out_chans, 1)
        self.bn3 = nn.BatchNorm2d(out_chans)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, 4 * width, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        out: Tensor = self.relu(self.bn3(self.conv3(x)) + shortcut)
        return out


class ResNet(ImageModel):
    """A residual network: a 7x7 stem, four layers of blocks, the mean over the image, a classifier.

    Follows He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2015).
    Convolutions start from Kaiming's normal values over the fan-out; with `zero_init_residual`
    each block starts as the identity (Goyal et al. 2017, arXiv:1706.02677).

    >>> import rushlight as rl
    >>> model = rl.models.resnet18(num_classes=10)
    >>> model.layer2[0].downsample[0].weight.shape
    torch.Size([128, 64, 1, 1])
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        num_classes: int = 1000,
        in_chans: int = 3,
        zero_init_residual: bool = False,
        groups: int = 1,
        base_width: int = 64,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.drop_rate = drop_rate
        self.conv1 = nn.Conv2d(in_chans, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 64
        for index, depth in enumerate(depths):
            width, stride = 64 * 2**index, 1 if index == 0 else 2
            layer = _layer(block, channels, width, depth, stride, groups, base_width)
            self.add_module(f"layer{index + 1}", layer)
            channels = width * block.expansion
        self.depth = len(depths)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)
        self._initialise(zero_init_residual)

    def _initialise(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, BasicBlock):
                    nn.init.zeros_(module.bn2.weight)
                elif isinstance(module, Bottleneck):
                    nn.init.zeros_(module.bn3.weight)

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, channels, H / 32, W / 32)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for index in range(self.depth):
            x = getattr(self, f"layer{index + 1}")(x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The mean over the image, and its scores."""
        x = functional.dropout(self.avgpool(x).flatten(1), self.drop_rate, self.training)
        return x if pre_logits else self.fc(x)


def _layer(
    block: type[BasicBlock] | type[Bottleneck],
    in_chans: int,
    width: int,
    depth: int,
    stride: int,
    groups: int,
    base_width: int,
) -> nn.Sequential:
    """`depth` blocks; the first changes size and width, and projects its shortcut if it must."""
    out_chans = width * block.expansion
    downsample = None
    if stride != 1 or in_chans != out_chans:
        downsample = nn.Sequential(
            _convolution(in_chans, out_chans, 1, stride), nn.BatchNorm2d(out_chans)
        )
    shape: dict[str, Any] = {"groups": groups, "base_width": base_width}
    first = block(in_chans, width, stride, downsample, **shape)
    return nn.Sequential(first, *(block(out_chans, width, **shape) for _ in range(depth - 1)))


_BASIC: dict[str, Any] = {"block": BasicBlock}
_DEEP: dict[str, Any] = {"block": Bottleneck}
_50, _101, _152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)
_RSB = {"crop_pct": 0.95}
_OLD = {"tag": "tv_in1k", "interpolation": "bilinear"}

register_variants(
    ResNet,
    CONFIG,
    {
        "resnet18": ({**_BASIC, "depths": (2, 2, 2, 2)}, {**_RSB, "tag": "a1_in1k"}),
        "resnet34": ({**_BASIC, "depths": _50}, {**_RSB, "tag": "a1_in1k"}),
        "resnet50": ({**_DEEP, "depths": _50}, {**_RSB, "tag": "a1_in1k"}),
        "resnet101": ({**_DEEP, "depths": _101}, {**_RSB, "tag": "a1h_in1k"}),
        "resnet152": ({**_DEEP, "depths": _152}, {**_RSB, "tag": "a1h_in1k"}),
        "resnext50_32x4d": (
            {**_DEEP, "depths": _50, "groups": 32, "base_width": 4},
            {**_RSB, "tag": "a1h_in1k"},
        ),
        "resnext101_32x8d": ({**_DEEP, "depths": _101, "groups": 32, "base_width": 8}, _OLD),
        "resnext101_64x4d": (
            {**_DEEP, "depths": _101, "groups": 64, "base_width": 4},
            {**_RSB, "tag": "c1_in1k"},
        ),
        "wide_resnet50_2": ({**_DEEP, "depths": _50, "base_width": 128}, {"tag": "racm_in1k"}),
        "wide_resnet101_2": ({**_DEEP, "depths": _101, "base_width": 128}, _OLD),
    },
)
