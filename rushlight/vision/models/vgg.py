"""VGG networks with torchvision's parameter names (`features.0.weight`, `classifier.6.bias`).

In: (N, 3, H, W), by rule 224 pixels. Out: (N, num_classes) scores. Invariant: for a given seed the
initial values are torchvision's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rushlight import Tensor, nn

from .weights import WeightsEnum, loaded

__all__ = [
    "VGG",
    "VGG11_Weights",
    "VGG13_Weights",
    "VGG16_Weights",
    "VGG19_Weights",
    "make_layers",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]

_URL = "https://download.pytorch.org/models/"
# how many convolutions of 64, 128, 256, 512 and 512 channels stand before each halving
_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)


def _plan(depths: Sequence[int]) -> list[int | str]:
    """Numbers of channels in order, an `M` after each width."""
    plan: list[int | str] = []
    for depth, width in zip(depths, _WIDTHS):
        plan += [*[width] * depth, "M"]
    return plan


cfgs: dict[str, list[int | str]] = {
    letter: _plan(depths) for letter, depths in zip("ABDE", _DEPTHS.values())
}


class VGG11_Weights(WeightsEnum):
    """Weights of VGG-11."""

    IMAGENET1K_V1 = _URL + "vgg11-8a719046.pth"
    DEFAULT = IMAGENET1K_V1


class VGG13_Weights(WeightsEnum):
    """Weights of VGG-13."""

    IMAGENET1K_V1 = _URL + "vgg13-19584684.pth"
    DEFAULT = IMAGENET1K_V1


class VGG16_Weights(WeightsEnum):
    """Weights of VGG-16."""

    IMAGENET1K_V1 = _URL + "vgg16-397923af.pth"
    DEFAULT = IMAGENET1K_V1


class VGG19_Weights(WeightsEnum):
    """Weights of VGG-19."""

    IMAGENET1K_V1 = _URL + "vgg19-dcbb9e9d.pth"
    DEFAULT = IMAGENET1K_V1


class VGG(nn.Module):
    """Convolutions of 3x3, halvings, and three linear layers (Simonyan and Zisserman 2014)."""

    def __init__(
        self,
        features: nn.Module,
        num_classes: int = 1000,
        init_weights: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, num_classes)."""
        scores: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return scores


def make_layers(cfg: Sequence[int | str], batch_norm: bool = False) -> nn.Sequential:
    """Convolutions by their numbers of channels; `M` halves the image."""
    layers: list[nn.Module] = []
    channels = 3
    for item in cfg:
        if isinstance(item, str):
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers.append(nn.Conv2d(channels, item, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(item))
        layers.append(nn.ReLU(inplace=True))
        channels = item
    return nn.Sequential(*layers)


def _builder(depth: int, letter: str, kind: type[WeightsEnum] | None) -> Callable[..., VGG]:
    def build(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
        if weights is not None and kind is None:
            raise ValueError(f"vgg{depth}_bn: no weights are known, got {weights!r}")
        found = kind.verify(weights) if kind is not None else None
        if found is not None:
            kwargs["init_weights"] = False
        return loaded(VGG(make_layers(cfgs[letter], kind is None), **kwargs), found, progress)

    build.__name__ = build.__qualname__ = f"vgg{depth}{'' if kind else '_bn'}"
    build.__doc__ = f"VGG-{depth}{'' if kind else ' with batch normalisation'}."
    return build


vgg11, vgg11_bn = _builder(11, "A", VGG11_Weights), _builder(11, "A", None)
vgg13, vgg13_bn = _builder(13, "B", VGG13_Weights), _builder(13, "B", None)
vgg16, vgg16_bn = _builder(16, "D", VGG16_Weights), _builder(16, "D", None)
vgg19, vgg19_bn = _builder(19, "E", VGG19_Weights), _builder(19, "E", None)
