"""PyTorch's places for module classes: `rushlight.nn.modules.conv.Conv2d` and so on.

In: an import of this package or of one of PyTorch's submodule names. Out: the files of
`rushlight.nn` that hold those classes. Invariant: no class is defined here.
"""

from __future__ import annotations

import sys

from rushlight.nn import (
    activation,
    adaptive,
    containers,
    convolution,
    dropout,
    embedding,
    lazy,
    linear,
    loss,
    module,
    normalization,
    padding,
    pooling,
    recurrent,
    shape,
    transformer,
    upsampling,
)
from rushlight.nn import attention as _attention

# PyTorch's file name -> our file.
_PLACES = {
    "activation": activation,
    "adaptive": adaptive,
    "batchnorm": normalization,
    "channelshuffle": shape,
    "container": containers,
    "conv": convolution,
    "distance": shape,
    "dropout": dropout,
    "flatten": shape,
    "fold": shape,
    "instancenorm": normalization,
    "lazy": lazy,
    "linear": linear,
    "loss": loss,
    "module": module,
    "normalization": normalization,
    "padding": padding,
    "pixelshuffle": shape,
    "pooling": pooling,
    "rnn": recurrent,
    "sparse": embedding,
    "transformer": transformer,
    "upsampling": upsampling,
}

__all__ = []
for _name, _file in _PLACES.items():
    sys.modules[f"{__name__}.{_name}"] = _file
    globals()[_name] = _file
for _file in [*_PLACES.values(), _attention]:
    for _name, _value in list(vars(_file).items()):
        if isinstance(_value, type) and issubclass(_value, module.Module) and _name[0] != "_":
            globals()[_name] = _value
            if _name not in __all__:
                __all__.append(_name)
