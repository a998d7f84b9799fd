"""Densely connected networks, with torchvision's and timm's parameter names.

In: (N, C, H, W), by rule 224 pixels, at least 29. Out: (N, num_classes) scores.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import rushlight
from rushlight import Tensor, nn
from rushlight.nn import functional

from .common import ImageModel
from .registry import ModelConfig, register_variants

__all__ = ["DenseNet"]


class DenseLayer(nn.Module):
    """`growth` new channels from all channels so far, by way of 1x1 and 3x3 convolutions."""

    def __init__(self, in_chans: int, growth: int, bottleneck: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_chans)
        self.conv1 = nn.Conv2d(in_chans, bottleneck * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(bottleneck * growth)
        self.conv2 = nn.Conv2d(bottleneck * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, in_chans + growth, H, W)."""
        new = self.conv1(functional.relu(self.norm1(x)))
        new = self.conv2(functional.relu(self.norm2(new)))
        return rushlight.cat([x, new], 1)


class Transition(nn.Module):
    """Half the channels, half the size."""

    def __init__(self, in_chans: int, out_chans: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_chans)
        self.conv = nn.Conv2d(in_chans, out_chans, 1, bias=False)
        self.pool = nn.AvgPool2d(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, out_chans, H / 2, W / 2)."""
        out: Tensor = self.pool(self.conv(functional.relu(self.norm(x))))
        return out


class DenseNet(ImageModel):
    """Four blocks in which every layer reads what all the layers before it wrote.

    Follows Huang, Liu, van der Maaten and Weinberger, "Densely connected convolutional networks"
    (2016): bottlenecks of `bottleneck * growth` channels, transitions that halve.

    >>> import rushlight as rl
    >>> model = rl.models.create_model("densenet121", num_classes=3)
    >>> model.features.denseblock1.denselayer2.norm1.weight.shape
    torch.Size([96])
    """

    classifier_names = ("classifier",)

    def __init__(
        self,
        depths: Sequence[int],
        num_classes: int = 1000,
        in_chans: int = 3,
        growth: int = 32,
        bottleneck: int = 4,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.drop_rate = drop_rate
        channels = 2 * growth
        stem = nn.Conv2d(in_chans, channels, 7, stride=2, padding=3, bias=False)
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=stem,
            norm0=nn.BatchNorm2d(channels),
            relu0=nn.ReLU(),
            pool0=nn.MaxPool2d(3, stride=2, padding=1),
        )
        for index, depth in enumerate(depths, start=1):
            block: OrderedDict[str, nn.Module] = OrderedDict()
            for layer in range(1, depth + 1):
                block[f"denselayer{layer}"] = DenseLayer(channels, growth, bottleneck)
                channels += growth
            layers[f"denseblock{index}"] = nn.Sequential(block)
            if index < len(depths):
                layers[f"transition{index}"] = Transition(channels, channels // 2)
                channels //= 2
        layers["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)  # type: ignore[arg-type]

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, channels, H / 32, W / 32)."""
        return functional.relu(self.features(x))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The mean over the image, and its scores."""
        x = functional.dropout(x.mean((2, 3)), self.drop_rate, self.training)
        return x if pre_logits else self.classifier(x)


CONFIG = ModelConfig(
    first_conv="features.conv0",
    classifier="classifier",
    smallest_size=29,
    paper="Huang et al. 2016, arXiv:1608.06993",
    tag="tv_in1k",
)
register_variants(
    DenseNet,
    CONFIG,
    {
        "densenet121": ({"depths": (6, 12, 24, 16)}, {"tag": "ra_in1k"}),
        "densenet169": ({"depths": (6, 12, 32, 32)}, {}),
        "densenet201": ({"depths": (6, 12, 48, 32)}, {}),
        "densenet161": ({"depths": (6, 12, 36, 24), "growth": 48}, {}),
    },
)
