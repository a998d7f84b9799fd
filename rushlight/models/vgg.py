"""VGG networks, with timm's parameter names.

In: (N, C, H, W), by rule 224 pixels, at least 32. Out: (N, num_classes) scores. Invariant: the
three linear layers of the paper stand as convolutions (`pre_logits.fc1`, a 7x7 one) and a linear
classifier, so that images of any size give a map that is pooled.
"""

from __future__ import annotations

from collections.abc import Sequence

from rushlight import Tensor, nn
from rushlight.nn import functional

from .common import ImageModel, initialise_convolutions
from .registry import ModelConfig, register_variants

__all__ = ["VGG"]

# Channels of the 3x3 convolutions of each stage; a 2x2 maximum pooling ends a stage.
A = ((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2)
B = ((64,) * 2, (128,) * 2, (256,) * 2, (512,) * 2, (512,) * 2)
D = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
E = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)


class HiddenLayers(nn.Module):
    """The paper's two hidden layers as convolutions over a 7x7 map; a smaller map is stretched."""

    def __init__(self, in_chans: int, width: int, drop_rate: float) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(in_chans, width, 7)
        self.drop = nn.Dropout(drop_rate)
        self.fc2 = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, width, H - 6, W - 6)."""
        height, width = x.shape[2:]
        if min(height, width) < 7:
            x = functional.adaptive_avg_pool2d(x, (max(height, 7), max(width, 7)))
        x = self.drop(functional.relu(self.fc1(x)))
        return functional.relu(self.fc2(x))


class ClassifierHead(nn.Module):
    """The mean over the map, then a linear layer."""

    def __init__(self, width: int, num_classes: int, drop_rate: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(drop_rate)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, width, H, W) -> (N, num_classes)."""
        x = self.drop(x.mean((2, 3)))
        return x if pre_logits else self.fc(x)


class VGG(ImageModel):
    """Stages of 3x3 convolutions, halved in size between them, then three linear layers.

    Follows Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
    recognition" (2014), tables A, B, D and E; `batch_norm` puts batch norm after each convolution.

    >>> import rushlight as rl
    >>> model = rl.models.create_model("vgg11", num_classes=3, width=64)
    >>> model(rl.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 3])
    """

    classifier_names = ("head.fc",)

    def __init__(
        self,
        stages: Sequence[Sequence[int]],
        num_classes: int = 1000,
        in_chans: int = 3,
        batch_norm: bool = False,
        width: int = 4096,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_chans
        for stage in stages:
            for out_chans in stage:
                layers.append(nn.Conv2d(channels, out_chans, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(out_chans))
                layers.append(nn.ReLU(inplace=True))
                channels = out_chans
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.pre_logits = HiddenLayers(channels, width, drop_rate)
        self.head = ClassifierHead(width, num_classes, drop_rate)
        initialise_convolutions(self)
        nn.init.normal_(self.head.fc.weight, 0, 0.01)
        nn.init.zeros_(self.head.fc.bias)  # type: ignore[arg-type]

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 512, H / 32, W / 32)."""
        out: Tensor = self.features(x)
        return out

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The hidden layers, and the scores."""
        out: Tensor = self.head(self.pre_logits(x), pre_logits)
        return out


CONFIG = ModelConfig(
    first_conv="features.0",
    classifier="head.fc",
    smallest_size=32,
    interpolation="bilinear",
    paper="Simonyan and Zisserman 2014, arXiv:1409.1556",
    tag="tv_in1k",
)
for _name, _stages in {"vgg11": A, "vgg13": B, "vgg16": D, "vgg19": E}.items():
    register_variants(
        VGG,
        CONFIG,
        {
            _name: ({"stages": _stages}, {}),
            f"{_name}_bn": ({"stages": _stages, "batch_norm": True}, {}),
        },
    )
