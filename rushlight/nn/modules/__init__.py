"""PyTorch's places for module classes: `rushlight.nn.modules.conv.Conv2d` and so on.

In: an import of this package or of one of PyTorch's submodule names. Out: the names that the
files of `rushlight.nn` define. Invariant: no class is defined here.
"""

from __future__ import annotations

import sys
from types import ModuleType

from rushlight.nn import (
    _hooks,
    _state,
    activation,
    adaptive,
    containers,
    convolution,
    cross_map,
    dropout,
    embedding,
    lazy,
    linear,
    loss,
    margin_loss,
    module,
    multihead,
    normalization,
    padding,
    pooling,
    recurrent,
    shape,
    transformer,
    upsampling,
)

# PyTorch's file name -> our files.
_PLACES = {
    "activation": (activation, multihead),
    "adaptive": (adaptive,),
    "batchnorm": (normalization,),
    "channelshuffle": (shape,),
    "container": (containers,),
    "conv": (convolution,),
    "distance": (shape,),
    "dropout": (dropout,),
    "flatten": (shape,),
    "fold": (shape,),
    "instancenorm": (normalization,),
    "lazy": (lazy,),
    "linear": (linear,),
    "loss": (loss, margin_loss),
    "module": (_hooks, _state, module),
    "normalization": (normalization, cross_map),
    "padding": (padding,),
    "pixelshuffle": (shape,),
    "pooling": (pooling,),
    "rnn": (recurrent,),
    "sparse": (embedding,),
    "transformer": (transformer,),
    "upsampling": (upsampling,),
}


def _defined(files: tuple[ModuleType, ...]) -> dict[str, object]:
    """The classes and functions that `files` define, not what they import."""
    return {
        name: value
        for file in files
        for name, value in vars(file).items()
        if not isinstance(value, ModuleType) and getattr(value, "__module__", None) == file.__name__
    }


def _is_public_module(name: str, value: object) -> bool:
    return name[0] != "_" and isinstance(value, type) and issubclass(value, module.Module)


__all__ = []
for _name, _files in _PLACES.items():
    _place = ModuleType(f"{__name__}.{_name}", f"The contents of torch.nn.modules.{_name}.")
    vars(_place).update(_defined(_files))
    sys.modules[_place.__name__] = _place
    globals()[_name] = _place
    _classes = {k: v for k, v in _defined(_files).items() if _is_public_module(k, v)}
    globals().update(_classes)
    __all__ += [_class for _class in _classes if _class not in __all__]
