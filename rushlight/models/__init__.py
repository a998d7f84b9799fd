"""Model architectures by name, in the manner of timm's registry, and weights for them.

`create_model(name)` builds one, `list_models(filter)` names them, `model_config(name)` and
`default_cfg(name)` tell what each expects; `rushlight.models.NAME(...)` is the function that builds
NAME. Parameter names are timm's (and torchvision's where these agree), so that their weights load.
`freeze` and `parameter_groups` are for fine-tuning.
"""

from __future__ import annotations

from typing import Any

from . import convnext, densenet, efficientnet, mixer, regnet, swin, vgg, vision_transformer
from .convnet import ConvNet, convnet
from .finetune import freeze, parameter_groups, unfreeze
from .lenet import LeNet, lenet
from .mlp import MLP, mlp
from .pretrained import load_checkpoint, load_pretrained
from .registry import (
    ModelConfig,
    create_model,
    default_cfg,
    entry_point,
    is_model,
    list_models,
    model_config,
    register_model,
    register_variants,
)
from .resnet import BasicBlock, Bottleneck, ResNet

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
    "default_cfg",
    "entry_point",
    "freeze",
    "is_model",
    "lenet",
    "list_models",
    "load_checkpoint",
    "load_pretrained",
    "mlp",
    "model_config",
    "parameter_groups",
    "register_model",
    "register_variants",
    "unfreeze",
]


def __getattr__(name: str) -> Any:
    """`rushlight.models.resnet18`: the function that builds a registered architecture."""
    if is_model(name):
        return entry_point(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
