"""A small convolution net for small images: the default of `rushlight train`.

In: (N, C, H, W) of any size from 4 pixels. Out: (N, num_classes) scores.
"""

from __future__ import annotations

from collections.abc import Sequence

from rushlight import Tensor, nn

from .registry import ModelConfig, register_model

__all__ = ["ConvNet", "convnet"]


def _stage(in_chans: int, width: int, depth: int) -> list[nn.Module]:
    """`depth` times 3x3 convolution, batch norm, rectifier; the image keeps its size."""
    layers: list[nn.Module] = []
    for index in range(depth):
        channels = in_chans if index == 0 else width
        layers += [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
    return layers


class ConvNet(nn.Module):
    """Stages of 3x3 convolutions, halved in size between them, then the mean over the image.

    >>> import rushlight as rl
    >>> rl.models.ConvNet(num_classes=10, in_chans=1)(rl.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 3,
        widths: Sequence[int] = (32, 64),
        depth: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_chans
        for index, width in enumerate(widths):
            if index > 0:
                layers.append(nn.MaxPool2d(2))
            layers += _stage(channels, width, depth)
            channels = width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes)."""
        x = self.flatten(self.pool(self.features(x)))
        scores: Tensor = self.fc(self.dropout(x))
        return scores


@register_model(
    ModelConfig(input_size=(3, 32, 32), smallest_size=4, num_classes=10, first_conv="features.0")
)
def convnet(
    num_classes: int = 10,
    in_chans: int = 3,
    widths: Sequence[int] = (32, 64),
    depth: int = 2,
    dropout: float = 0.0,
) -> ConvNet:
    """Build a `ConvNet`; `widths` gives the channels of each stage."""
    return ConvNet(num_classes, in_chans, widths, depth, dropout)
