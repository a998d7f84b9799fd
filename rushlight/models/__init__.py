"""Model architectures by name, in the manner of timm's registry.

`create_model(name)` builds one, `list_models(filter)` names them, `model_config(name)` tells what
each expects. Parameter names are torchvision's and timm's where the architecture is theirs, so
that their weights load.
"""

from __future__ import annotations

from .convnet import ConvNet, convnet
from .lenet import LeNet, lenet
from .mlp import MLP, mlp
from .registry import (
    ModelConfig,
    create_model,
    is_model,
    list_models,
    model_config,
    register_model,
)
from .resnet import BasicBlock, Bottleneck, ResNet, resnet18, resnet34, resnet50

__all__ = [
    "MLP",
    "BasicBlock",
    "Bottleneck",
    "ConvNet",
    "LeNet",
    "ModelConfig",
    "ResNet",
    "convnet",
    "create_model",
    "is_model",
    "lenet",
    "list_models",
    "mlp",
    "model_config",
    "register_model",
    "resnet18",
    "resnet34",
    "resnet50",
]
