"""Residual networks, with torchvision's and timm's parameter names.

In: (N, C, H, W), by rule 224 pixels, any size from 1. Out: (N, num_classes) scores. Invariant:
`state_dict` keys (`conv1.weight`, `layer1.0.bn1.weight`, `layer2.0.downsample.0.weight`,
`fc.weight`, ...) and shapes are torchvision's, and for a given seed so are the initial values.
"""

from __future__ import annotations

from collections.abc import Sequence

from rushlight import Tensor, nn

from .registry import ModelConfig, register_model

__all__ = ["BasicBlock", "Bottleneck", "ResNet", "resnet18", "resnet34", "resnet50"]

PAPER = "He et al. 2015, arXiv:1512.03385"


def _convolution(in_chans: int, out_chans: int, size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the image's size at stride 1."""
    return nn.Conv2d(in_chans, out_chans, size, stride=stride, padding=(size - 1) // 2, bias=False)


class BasicBlock(nn.Module):
    """`relu(x + bn(conv3(relu(bn(conv3(x))))))`: the block of ResNet-18 and -34."""

    expansion = 1

    def __init__(
        self, in_chans: int, width: int, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        super().__init__()
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

    The stride sits in the 3x3 convolution, as in torchvision and timm.
    """

    expansion = 4

    def __init__(
        self, in_chans: int, width: int, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        super().__init__()
        out_chans = width * self.expansion
        self.conv1 = _convolution(in_chans, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _convolution(width, out_chans, 1)
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


class ResNet(nn.Module):
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
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_chans, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 64
        for index, depth in enumerate(depths):
            width, stride = 64 * 2**index, 1 if index == 0 else 2
            self.add_module(f"layer{index + 1}", _layer(block, channels, width, depth, stride))
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

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for index in range(self.depth):
            x = getattr(self, f"layer{index + 1}")(x)
        scores: Tensor = self.fc(self.avgpool(x).flatten(1))
        return scores


def _layer(
    block: type[BasicBlock] | type[Bottleneck],
    in_chans: int,
    width: int,
    depth: int,
    stride: int,
) -> nn.Sequential:
    """`depth` blocks; the first changes size and width, and projects its shortcut if it must."""
    out_chans = width * block.expansion
    downsample = None
    if stride != 1 or in_chans != out_chans:
        downsample = nn.Sequential(
            _convolution(in_chans, out_chans, 1, stride), nn.BatchNorm2d(out_chans)
        )
    first = block(in_chans, width, stride, downsample)
    return nn.Sequential(first, *(block(out_chans, width) for _ in range(depth - 1)))


@register_model(ModelConfig(paper=PAPER))
def resnet18(
    num_classes: int = 1000, in_chans: int = 3, zero_init_residual: bool = False
) -> ResNet:
    """Build ResNet-18: blocks of two convolutions, 2, 2, 2, 2 of them."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, in_chans, zero_init_residual)


@register_model(ModelConfig(paper=PAPER))
def resnet34(
    num_classes: int = 1000, in_chans: int = 3, zero_init_residual: bool = False
) -> ResNet:
    """Build ResNet-34: blocks of two convolutions, 3, 4, 6, 3 of them."""
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes, in_chans, zero_init_residual)


@register_model(ModelConfig(paper=PAPER))
def resnet50(
    num_classes: int = 1000, in_chans: int = 3, zero_init_residual: bool = False
) -> ResNet:
    """Build ResNet-50: bottleneck blocks, 3, 4, 6, 3 of them."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, in_chans, zero_init_residual)
