"""Residual networks by torchvision's names: `torchvision.models.resnet18(weights=None)`.

In: as torchvision. Out: `rushlight.models`' networks. Invariant: parameter names and, for a seed,
initial values are torchvision's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight.models.resnet import BasicBlock, Bottleneck, ResNet

from .weights import WeightsEnum, loaded

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ResNet",
    "ResNet18_Weights",
    "ResNet34_Weights",
    "ResNet50_Weights",
    "resnet18",
    "resnet34",
    "resnet50",
]

_URL = "https://download.pytorch.org/models/"


class ResNet18_Weights(WeightsEnum):
    """Weights of ResNet-18."""

    IMAGENET1K_V1 = _URL + "resnet18-f37072fd.pth"
    DEFAULT = IMAGENET1K_V1


class ResNet34_Weights(WeightsEnum):
    """Weights of ResNet-34."""

    IMAGENET1K_V1 = _URL + "resnet34-b627a593.pth"
    DEFAULT = IMAGENET1K_V1


class ResNet50_Weights(WeightsEnum):
    """Weights of ResNet-50."""

    IMAGENET1K_V1 = _URL + "resnet50-0676ba61.pth"
    IMAGENET1K_V2 = _URL + "resnet50-11ad3fa6.pth"
    DEFAULT = IMAGENET1K_V2


def _build(
    block: Any,
    depths: Sequence[int],
    weights: Any,
    kind: type[WeightsEnum],
    progress: bool,
    **rest: Any,
) -> ResNet:
    return loaded(ResNet(block, depths, **rest), kind.verify(weights), progress)


def resnet18(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-18 (He et al. 2015); `num_classes`, `zero_init_residual` as keywords."""
    return _build(BasicBlock, (2, 2, 2, 2), weights, ResNet18_Weights, progress, **kwargs)


def resnet34(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-34 (He et al. 2015)."""
    return _build(BasicBlock, (3, 4, 6, 3), weights, ResNet34_Weights, progress, **kwargs)


def resnet50(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-50 (He et al. 2015)."""
    return _build(Bottleneck, (3, 4, 6, 3), weights, ResNet50_Weights, progress, **kwargs)
