"""RegNet X and Y, with timm's parameter names.

In: (N, C, H, W), by rule 224 pixels, any size from 1. Out: (N, num_classes) scores.
"""

from __future__ import annotations

import math
from itertools import groupby

from rushlight import Tensor, nn
from rushlight.nn import functional

from .common import DropPath, ImageModel, initialise_convolutions, linear_rates
from .registry import ModelConfig, register_variants

__all__ = ["RegNet", "stage_shapes"]


class ConvNorm(nn.Module):
    """Convolution, batch norm, and, with `act`, a rectifier."""

    def __init__(
        self,
        in_chans: int,
        out_chans: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: bool = True,
    ) -> None:
        super().__init__()
        padding = (kernel - 1) // 2
        self.conv = nn.Conv2d(
            in_chans, out_chans, kernel, stride, padding, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(out_chans)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, out_chans, H / stride, W / stride)."""
        x = self.bn(self.conv(x))
        return functional.relu(x) if self.act else x


class SqueezeExcite(nn.Module):
    """Channels gated by what the image holds as a whole (Hu et al. 2017, arXiv:1709.01507)."""

    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, reduced, 1)
        self.fc2 = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same."""
        gate = self.fc2(functional.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        gated: Tensor = x * gate.sigmoid()
        return gated


class Bottleneck(nn.Module):
    """1x1, grouped 3x3 and 1x1 convolutions of one width, beside a shortcut."""

    def __init__(
        self, in_chans: int, width: int, stride: int, group: int, squeeze: float, rate: float
    ) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_chans, width)
        self.conv2 = ConvNorm(width, width, 3, stride, width // group)
        self.se = SqueezeExcite(width, round(in_chans * squeeze)) if squeeze else nn.Identity()
        self.conv3 = ConvNorm(width, width, act=False)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_chans != width:
            self.downsample = ConvNorm(in_chans, width, stride=stride, act=False)
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, width, H / stride, W / stride)."""
        out = self.drop_path(self.conv3(self.se(self.conv2(self.conv1(x)))))
        return functional.relu(out + self.downsample(x))


def stage_shapes(
    depth: int, first: int, slope: float, factor: float, group: int
) -> list[tuple[int, int, int]]:
    """(width, blocks, group) of each stage, from the paper's four numbers.

    Widths `first + slope * block` are rounded to powers of `factor` times `first`, these to
    multiples of 8, and then to multiples of the stage's group (equations 2 to 4 of the paper).

    >>> stage_shapes(13, 24, 36.44, 2.49, 8)
    [(24, 1, 8), (56, 1, 8), (152, 4, 8), (368, 7, 8)]
    """
    widths = []
    for block in range(depth):
        power = round(math.log((first + slope * block) / first, factor))
        widths.append(round(first * factor**power / 8) * 8)
    shapes = []
    for width, blocks in groupby(widths):
        size = min(group, width)
        shapes.append((round(width / size) * size, len(list(blocks)), size))
    return shapes


class RegNet(ImageModel):
    """A network out of the design space of regular ones: widths that grow evenly.

    Follows Radosavovic, Kosaraju, Girshick, He and Dollár, "Designing network design spaces"
    (2020): `depth` blocks, widths from `first`, `slope` and `factor`, groups of `group` channels;
    Y has `squeeze` 0.25.

    >>> import rushlight as rl
    >>> model = rl.models.create_model("regnetx_002", num_classes=3)
    >>> model(rl.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 3])
    """

    classifier_names = ("head.fc",)

    def __init__(
        self,
        depth: int,
        first: int,
        slope: float,
        factor: float,
        group: int,
        squeeze: float = 0.0,
        num_classes: int = 1000,
        in_chans: int = 3,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.drop_rate = drop_rate
        channels = 32
        self.stem = ConvNorm(in_chans, channels, 3, stride=2)
        rates = linear_rates(drop_path_rate, depth)
        shapes = stage_shapes(depth, first, slope, factor, group)
        for number, (width, blocks, size) in enumerate(shapes, start=1):
            stage = nn.Sequential()
            for index in range(blocks):
                stride = 2 if index == 0 else 1
                block = Bottleneck(channels, width, stride, size, squeeze, next(rates))
                stage.add_module(f"b{index + 1}", block)
                channels = width
            self.add_module(f"s{number}", stage)
        self.stages = len(shapes)
        self.head = nn.Sequential()
        self.head.add_module("fc", nn.Linear(channels, num_classes))
        initialise_convolutions(self)
        nn.init.normal_(self.head.fc.weight, 0.0, 0.01)
        nn.init.zeros_(self.head.fc.bias)

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, channels, H / 32, W / 32)."""
        x = self.stem(x)
        for number in range(1, self.stages + 1):
            x = getattr(self, f"s{number}")(x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The mean over the image, and its scores."""
        x = functional.dropout(x.mean((2, 3)), self.drop_rate, self.training)
        return x if pre_logits else self.head(x)


CONFIG = ModelConfig(
    first_conv="stem.conv",
    classifier="head.fc",
    paper="Radosavovic et al. 2020, arXiv:2003.13678",
)
# The paper's table: depth, first, slope, factor, group; then the tag of the weights and the cut.
_ROWS: dict[str, tuple[int, int, float, float, int, str, float]] = {
    "regnetx_002": (13, 24, 36.44, 2.49, 8, "pycls_in1k", 0.875),
    "regnetx_004": (22, 24, 24.48, 2.54, 16, "pycls_in1k", 0.875),
    "regnetx_006": (16, 48, 36.97, 2.24, 24, "pycls_in1k", 0.875),
    "regnetx_008": (16, 56, 35.73, 2.28, 16, "tv2_in1k", 0.965),
    "regnetx_016": (18, 80, 34.01, 2.25, 24, "tv2_in1k", 0.965),
    "regnetx_032": (25, 88, 26.31, 2.25, 48, "tv2_in1k", 0.965),
    "regnetx_040": (23, 96, 38.65, 2.43, 40, "pycls_in1k", 0.875),
    "regnetx_064": (17, 184, 60.83, 2.07, 56, "pycls_in1k", 0.875),
    "regnetx_080": (23, 80, 49.56, 2.88, 120, "tv2_in1k", 0.965),
    "regnety_002": (13, 24, 36.44, 2.49, 8, "pycls_in1k", 0.875),
    "regnety_004": (16, 48, 27.89, 2.09, 8, "tv2_in1k", 0.965),
    "regnety_006": (15, 48, 32.54, 2.32, 16, "pycls_in1k", 0.875),
    "regnety_008": (14, 56, 38.84, 2.4, 16, "pycls_in1k", 0.875),
    "regnety_016": (27, 48, 20.71, 2.65, 24, "tv2_in1k", 0.965),
    "regnety_032": (21, 80, 42.63, 2.66, 24, "ra_in1k", 0.95),
    "regnety_040": (22, 96, 31.41, 2.24, 64, "ra3_in1k", 0.95),
    "regnety_064": (25, 112, 33.22, 2.27, 72, "ra3_in1k", 0.95),
    "regnety_080": (17, 192, 76.82, 2.19, 56, "ra3_in1k", 0.95),
    "regnety_120": (19, 168, 73.36, 2.37, 112, "sw_in12k_ft_in1k", 0.95),
    "regnety_160": (18, 200, 106.23, 2.48, 112, "sw_in12k_ft_in1k", 0.95),
}
register_variants(
    RegNet,
    CONFIG,
    {
        name: (
            {
                "depth": depth,
                "first": first,
                "slope": slope,
                "factor": factor,
                "group": group,
                "squeeze": 0.25 if name.startswith("regnety") else 0.0,
            },
            {"tag": tag, "crop_pct": crop},
        )
        for name, (depth, first, slope, factor, group, tag, crop) in _ROWS.items()
    },
)
