"""Networks of inverted bottlenecks: MobileNet V2 and V3, EfficientNet and its lite form.

In: (N, C, H, W), by rule 224 pixels, any size from 1. Out: (N, num_classes) scores. Invariant:
parameter names are timm's (`conv_stem`, `blocks.STAGE.BLOCK.conv_pw`, ..., `classifier`). A network
is a table of `Row`s, scaled in width and depth.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rushlight import Tensor, nn
from rushlight.nn import functional

from .common import (
    DropPath,
    ImageModel,
    SameConv2d,
    initialise_convolutions,
    linear_rates,
    round_channels,
)
from .registry import ModelConfig, register_variants

__all__ = ["EfficientNet", "Row", "Style"]

ACTIVATIONS = {"relu": nn.ReLU, "relu6": nn.ReLU6, "silu": nn.SiLU, "hard_swish": nn.Hardswish}


@dataclass(frozen=True)
class Row:
    """One row of a network's table: blocks of one kind, of which the first has the stride.

    `kind` is "separable" (depthwise, then 1x1), "inverted" (1x1 up by `expansion`, depthwise, 1x1
    down) or "plain" (one convolution). `squeeze` is the part of the channels to which the block
    squeezes them for its gate, 0 for none.
    """

    kind: str
    channels: int
    repeats: int = 1
    kernel: int = 3
    stride: int = 1
    expansion: float = 1.0
    squeeze: float = 0.0
    activation: str = ""


# Stages of rows: the rows of a stage work on one size of image.
Table = Sequence[Sequence[Row]]


@dataclass(frozen=True)
class Style:
    """What all layers of one network share."""

    activation: str = "relu6"
    epsilon: float = 1e-5
    same: bool = False  # TensorFlow's padding
    hard_gate: bool = False  # MobileNet V3's: of the expanded channels, rounded to eights

    def convolution(
        self, in_chans: int, out_chans: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> nn.Conv2d:
        """A convolution without bias."""
        options: dict[str, Any] = {"stride": stride, "groups": groups, "bias": False}
        if self.same and stride > 1:
            return SameConv2d(in_chans, out_chans, kernel, **options)
        return nn.Conv2d(in_chans, out_chans, kernel, padding=(kernel - 1) // 2, **options)

    def norm(self, channels: int) -> nn.BatchNorm2d:
        """Batch norm."""
        return nn.BatchNorm2d(channels, eps=self.epsilon)


class SqueezeExcite(nn.Module):
    """Channels gated by what the image holds as a whole (Hu et al. 2017, arXiv:1709.01507)."""

    def __init__(self, channels: int, reduced: int, activation: nn.Module, hard: bool) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, reduced, 1)
        self.act1 = activation
        self.conv_expand = nn.Conv2d(reduced, channels, 1)
        self.gate = nn.Hardsigmoid() if hard else nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, channels, H, W)."""
        gate = self.conv_expand(self.act1(self.conv_reduce(x.mean((2, 3), keepdim=True))))
        gated: Tensor = x * self.gate(gate)
        return gated


def _gate(row: Row, style: Style, in_chans: int, channels: int, activation: str) -> nn.Module:
    """The squeeze of a block whose input has `in_chans` and whose middle has `channels`."""
    if row.squeeze == 0:
        return nn.Identity()
    if style.hard_gate:
        reduced = round_channels(channels * row.squeeze)
        return SqueezeExcite(channels, reduced, nn.ReLU(), hard=True)
    reduced = round(in_chans * row.squeeze)
    return SqueezeExcite(channels, reduced, ACTIVATIONS[activation](), hard=False)


class Block(nn.Module):
    """What kinds of blocks share: the activation, and the shortcut where the shape stays."""

    def __init__(
        self, row: Row, style: Style, in_chans: int, out_chans: int, stride: int, rate: float
    ) -> None:
        super().__init__()
        self.activation = row.activation or style.activation
        self.act = ACTIVATIONS[self.activation]()
        self.shortcut = stride == 1 and in_chans == out_chans and row.kind != "plain"
        self.drop_path = DropPath(rate)

    def branch(self, x: Tensor) -> Tensor:
        """What the block computes beside its shortcut."""
        raise NotImplementedError(f"{type(self).__name__} does not define branch")

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, out_chans, H / stride, W / stride)."""
        out = self.branch(x)
        return x + self.drop_path(out) if self.shortcut else out


class SeparableBlock(Block):
    """A depthwise convolution, then a 1x1 one."""

    def __init__(
        self, row: Row, style: Style, in_chans: int, out_chans: int, stride: int, rate: float
    ) -> None:
        super().__init__(row, style, in_chans, out_chans, stride, rate)
        self.conv_dw = style.convolution(in_chans, in_chans, row.kernel, stride, in_chans)
        self.bn1 = style.norm(in_chans)
        self.se = _gate(row, style, in_chans, in_chans, self.activation)
        self.conv_pw = style.convolution(in_chans, out_chans, 1)
        self.bn2 = style.norm(out_chans)

    def branch(self, x: Tensor) -> Tensor:
        """Depthwise, gate, pointwise."""
        x = self.se(self.act(self.bn1(self.conv_dw(x))))
        out: Tensor = self.bn2(self.conv_pw(x))
        return out


class InvertedBlock(Block):
    """A wide middle between narrow ends (Sandler et al. 2018, arXiv:1801.04381)."""

    def __init__(
        self, row: Row, style: Style, in_chans: int, out_chans: int, stride: int, rate: float
    ) -> None:
        super().__init__(row, style, in_chans, out_chans, stride, rate)
        middle = round_channels(in_chans * row.expansion)
        self.conv_pw = style.convolution(in_chans, middle, 1)
        self.bn1 = style.norm(middle)
        self.conv_dw = style.convolution(middle, middle, row.kernel, stride, middle)
        self.bn2 = style.norm(middle)
        self.se = _gate(row, style, in_chans, middle, self.activation)
        self.conv_pwl = style.convolution(middle, out_chans, 1)
        self.bn3 = style.norm(out_chans)

    def branch(self, x: Tensor) -> Tensor:
        """Up, depthwise, gate, down."""
        x = self.act(self.bn1(self.conv_pw(x)))
        x = self.se(self.act(self.bn2(self.conv_dw(x))))
        out: Tensor = self.bn3(self.conv_pwl(x))
        return out


class PlainBlock(Block):
    """One convolution."""

    def __init__(
        self, row: Row, style: Style, in_chans: int, out_chans: int, stride: int, rate: float
    ) -> None:
        super().__init__(row, style, in_chans, out_chans, stride, rate)
        self.conv = style.convolution(in_chans, out_chans, row.kernel, stride)
        self.bn1 = style.norm(out_chans)

    def branch(self, x: Tensor) -> Tensor:
        """The convolution."""
        out: Tensor = self.act(self.bn1(self.conv(x)))
        return out


BLOCKS: dict[str, type[Block]] = {
    "separable": SeparableBlock,
    "inverted": InvertedBlock,
    "plain": PlainBlock,
}


class EfficientNet(ImageModel):
    """A stem, stages of blocks by a table, a head of 1x1 convolution, a classifier.

    Follows Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks"
    (2019), and for the tables of MobileNet Sandler et al. (2018) and Howard et al. (2019). `width`
    and `depth` multiply channels and repeats; `fixed_ends` leaves stem, head and the repeats of the
    first and last stage as the table says. `pooled_head` puts the head behind the pooling, without
    norm, as MobileNet V3 has it.

    >>> import rushlight as rl
    >>> model = rl.models.create_model("mobilenetv3_small_050", num_classes=3)
    >>> model(rl.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 3])
    """

    classifier_names = ("classifier",)

    def __init__(
        self,
        stages: Table,
        num_classes: int = 1000,
        in_chans: int = 3,
        width: float = 1.0,
        depth: float = 1.0,
        stem: int = 32,
        head: int = 1280,
        fixed_ends: bool = False,
        pooled_head: bool = False,
        style: Style = Style(),
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.drop_rate, self.pooled_head = drop_rate, pooled_head
        channels = stem if fixed_ends else round_channels(stem * width)
        self.conv_stem = style.convolution(in_chans, channels, 3, stride=2)
        self.bn1 = style.norm(channels)
        self.act = ACTIVATIONS[style.activation]()
        counts = _repeats(stages, depth, fixed_ends)
        rates = linear_rates(drop_path_rate, sum(map(sum, counts)))
        built = []
        for stage, repeats in zip(stages, counts, strict=True):
            blocks = []
            for row, count in zip(stage, repeats, strict=True):
                out_chans = round_channels(row.channels * width)
                for index in range(count):
                    stride = row.stride if index == 0 else 1
                    block = BLOCKS[row.kind]
                    blocks.append(block(row, style, channels, out_chans, stride, next(rates)))
                    channels = out_chans
            built.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*built)
        if pooled_head:
            self.conv_head = nn.Conv2d(channels, head, 1)
        else:
            head = head if fixed_ends else max(head, round_channels(head * width))
            self.conv_head = style.convolution(channels, head, 1)
            self.bn2 = style.norm(head)
        self.classifier = nn.Linear(head, num_classes)
        initialise_convolutions(self)

    def adapted_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A checkpoint under this class's names, also where it came under those of the authors' own
        TensorFlow code (`_conv_stem`, `_blocks.3._expand_conv`), blocks counted through.
        """
        if "_conv_stem.weight" not in state:
            return dict(state)
        names = dict(_authors_names(self))
        parts = {key: key.rpartition(".") for key in state}
        return {
            f"{names.get(module, module)}.{leaf}": state[key]
            for key, (module, _, leaf) in parts.items()
        }

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, channels, H / 32, W / 32)."""
        x = self.blocks(self.act(self.bn1(self.conv_stem(x))))
        return x if self.pooled_head else self.act(self.bn2(self.conv_head(x)))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The mean over the image, and its scores."""
        x = x.mean((2, 3), keepdim=True)
        if self.pooled_head:
            x = self.act(self.conv_head(x))
        x = functional.dropout(x.flatten(1), self.drop_rate, self.training)
        return x if pre_logits else self.classifier(x)


# What the authors' code calls the layers of the net and of each kind of block.
_AUTHORS_ENDS = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_AUTHORS_GATE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_AUTHORS_BLOCKS: dict[type[Block], dict[str, str]] = {
    SeparableBlock: {
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn1",
        "_project_conv": "conv_pw",
        "_bn2": "bn2",
        **_AUTHORS_GATE,
    },
    InvertedBlock: {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
        **_AUTHORS_GATE,
    },
    PlainBlock: {},
}


def _authors_names(model: EfficientNet) -> Iterator[tuple[str, str]]:
    """(the authors' name, ours) of each layer."""
    yield from _AUTHORS_ENDS.items()
    blocks = [
        (f"blocks.{place}.{index}", block)
        for place, stage in enumerate(model.blocks)
        for index, block in enumerate(stage)
    ]
    for count, (prefix, block) in enumerate(blocks):
        for theirs, ours in _AUTHORS_BLOCKS[type(block)].items():
            yield f"_blocks.{count}.{theirs}", f"{prefix}.{ours}"


def _repeats(stages: Table, depth: float, fixed_ends: bool) -> list[list[int]]:
    """How many blocks each row gets; with `fixed_ends` the outer stages keep the table's number."""
    last = len(stages) - 1
    return [
        [
            row.repeats if fixed_ends and index in (0, last) else math.ceil(row.repeats * depth)
            for row in stage
        ]
        for index, stage in enumerate(stages)
    ]


def _separable(channels: int, **facts: Any) -> Row:
    return Row("separable", channels, **facts)


def _inverted(expansion: float, channels: int, **facts: Any) -> Row:
    return Row("inverted", channels, expansion=expansion, **facts)


# Table 2 of Sandler et al. 2018.
MOBILENET_V2: Table = (
    (_separable(16),),
    (_inverted(6, 24, repeats=2, stride=2),),
    (_inverted(6, 32, repeats=3, stride=2),),
    (_inverted(6, 64, repeats=4, stride=2),),
    (_inverted(6, 96, repeats=3),),
    (_inverted(6, 160, repeats=3, stride=2),),
    (_inverted(6, 320),),
)


def _efficient(squeeze: float) -> Table:
    """Table 1 of Tan and Le 2019, with or without the squeezes."""
    return (
        (_separable(16, squeeze=squeeze),),
        (_inverted(6, 24, repeats=2, stride=2, squeeze=squeeze),),
        (_inverted(6, 40, repeats=2, stride=2, kernel=5, squeeze=squeeze),),
        (_inverted(6, 80, repeats=3, stride=2, squeeze=squeeze),),
        (_inverted(6, 112, repeats=3, kernel=5, squeeze=squeeze),),
        (_inverted(6, 192, repeats=4, stride=2, kernel=5, squeeze=squeeze),),
        (_inverted(6, 320, squeeze=squeeze),),
    )


# Tables 1 and 2 of Howard et al. 2019 (arXiv:1905.02244); rows of one size make a stage.
_SQUEEZED: dict[str, Any] = {"squeeze": 0.25}
_RELU: dict[str, Any] = {"activation": "relu"}
MOBILENET_V3_LARGE: Table = (
    (_separable(16, **_RELU),),
    (_inverted(4, 24, stride=2, **_RELU), _inverted(3, 24, **_RELU)),
    (_inverted(3, 40, repeats=3, kernel=5, stride=2, **_SQUEEZED, **_RELU),),
    (_inverted(6, 80, stride=2), _inverted(2.5, 80), _inverted(2.3, 80, repeats=2)),
    (_inverted(6, 112, repeats=2, **_SQUEEZED),),
    (_inverted(6, 160, repeats=3, kernel=5, stride=2, **_SQUEEZED),),
    (Row("plain", 960, kernel=1),),
)
MOBILENET_V3_SMALL: Table = (
    (_separable(16, stride=2, **_SQUEEZED, **_RELU),),
    (_inverted(4.5, 24, stride=2, **_RELU), _inverted(3.67, 24, **_RELU)),
    (
        _inverted(4, 40, kernel=5, stride=2, **_SQUEEZED),
        _inverted(6, 40, repeats=2, kernel=5, **_SQUEEZED),
    ),
    (_inverted(3, 48, repeats=2, kernel=5, **_SQUEEZED),),
    (_inverted(6, 96, repeats=3, kernel=5, stride=2, **_SQUEEZED),),
    (Row("plain", 576, kernel=1),),
)
_TENSORFLOW = {"same": True, "epsilon": 1e-3}
_HALVES: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}

CONFIG = ModelConfig(first_conv="conv_stem", classifier="classifier")
V2_CONFIG = dataclasses.replace(CONFIG, paper="Sandler et al. 2018, arXiv:1801.04381")
V3_CONFIG = dataclasses.replace(CONFIG, paper="Howard et al. 2019, arXiv:1905.02244")
EFFICIENT_CONFIG = dataclasses.replace(CONFIG, paper="Tan and Le 2019, arXiv:1905.11946")


def _v2(width: float, depth: float = 1.0, fixed_ends: bool = False) -> dict[str, Any]:
    shape = {"width": width, "depth": depth, "fixed_ends": fixed_ends}
    return {"stages": MOBILENET_V2, **shape}


def _v3(stages: Table, head: int, width: float = 1.0, **style: Any) -> dict[str, Any]:
    shared = Style("hard_swish", hard_gate=True, **style)
    shape = {"stem": 16, "head": head, "fixed_ends": True, "pooled_head": True, "width": width}
    return {"stages": stages, "style": shared, **shape}


register_variants(
    EfficientNet,
    V2_CONFIG,
    {
        "mobilenetv2_050": (_v2(0.5), {"tag": "lamb_in1k"}),
        "mobilenetv2_100": (_v2(1.0), {"tag": "ra_in1k"}),
        "mobilenetv2_110d": (_v2(1.1, 1.2, True), {"tag": "ra_in1k"}),
        "mobilenetv2_120d": (_v2(1.2, 1.4, True), {"tag": "ra_in1k"}),
        "mobilenetv2_140": (_v2(1.4), {"tag": "ra_in1k"}),
    },
)
_TF_FACTS = {**_HALVES, "interpolation": "bilinear", "tag": "in1k"}
register_variants(
    EfficientNet,
    V3_CONFIG,
    {
        "mobilenetv3_large_100": (_v3(MOBILENET_V3_LARGE, 1280), {"tag": "ra_in1k"}),
        "mobilenetv3_small_050": (_v3(MOBILENET_V3_SMALL, 1024, 0.5), {"tag": "lamb_in1k"}),
        "mobilenetv3_small_075": (_v3(MOBILENET_V3_SMALL, 1024, 0.75), {"tag": "lamb_in1k"}),
        "mobilenetv3_small_100": (_v3(MOBILENET_V3_SMALL, 1024), {"tag": "lamb_in1k"}),
        "tf_mobilenetv3_large_100": (_v3(MOBILENET_V3_LARGE, 1280, **_TENSORFLOW), _TF_FACTS),
        "tf_mobilenetv3_small_100": (_v3(MOBILENET_V3_SMALL, 1024, **_TENSORFLOW), _TF_FACTS),
    },
)

# The compound scaling: width and depth of b0 to b7; lite 0 to 4 take the first five.
SCALES = (
    (1.0, 1.0),
    (1.0, 1.1),
    (1.1, 1.2),
    (1.2, 1.4),
    (1.4, 1.8),
    (1.6, 2.2),
    (1.8, 2.6),
    (2.0, 3.1),
)
# Image size and the part of it that is cut out, as the authors' weights expect.
_TF_SIZES = (
    (224, 0.875),
    (240, 0.882),
    (260, 0.89),
    (300, 0.904),
    (380, 0.922),
    (456, 0.934),
    (528, 0.942),
    (600, 0.949),
)
# The weights trained in PyTorch: tag, image size, cut, other facts.
_TRAINED: tuple[tuple[str, int, float, dict[str, Any]], ...] = (
    ("ra_in1k", 224, 0.875, {}),
    ("ra4_e3600_r240_in1k", 240, 0.9, _HALVES),
    ("ra_in1k", 256, 0.875, {}),
    ("ra2_in1k", 288, 0.875, {}),
    ("ra2_in1k", 320, 0.875, {}),
)


def _scaled(index: int, lite: bool, **style: Any) -> dict[str, Any]:
    """Options of b`index` or lite `index`."""
    width, depth = SCALES[index]
    return {
        "stages": _efficient(0.0 if lite else 0.25),
        "width": width,
        "depth": depth,
        "fixed_ends": lite,
        "style": Style("relu6" if lite else "silu", **style),
    }


def _facts(size: int, crop: float, tag: str, **facts: Any) -> dict[str, Any]:
    return {"input_size": (3, size, size), "crop_pct": crop, "tag": tag, **facts}


register_variants(
    EfficientNet,
    EFFICIENT_CONFIG,
    {
        f"efficientnet_b{index}": (_scaled(index, lite=False), _facts(size, crop, tag, **facts))
        for index, (tag, size, crop, facts) in enumerate(_TRAINED)
    }
    | {
        f"tf_efficientnet_b{index}": (
            _scaled(index, lite=False, **_TENSORFLOW),
            _facts(size, crop, "ns_jft_in1k"),
        )
        for index, (size, crop) in enumerate(_TF_SIZES)
    }
    | {"efficientnet_lite0": (_scaled(0, lite=True), {"tag": "ra_in1k"})}
    | {
        f"tf_efficientnet_lite{index}": (
            _scaled(index, lite=True, **_TENSORFLOW),
            _facts(
                size,
                0.92 if index == 4 else crop,
                "in1k",
                interpolation="bilinear" if index > 2 else "bicubic",
                **_HALVES,
            ),
        )
        for index, (size, crop) in enumerate(_TF_SIZES[:5])
    },
)
