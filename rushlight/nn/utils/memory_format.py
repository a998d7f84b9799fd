"""Convolution weights in another order of memory.

In: a module. Out: the same module, the weights of its convolutions stored in `memory_format`.
Invariant: shapes and values stay as they are.
"""

from __future__ import annotations

from typing import Any

from rushlight import memory_format as Format
from rushlight.nn.convolution import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d
from rushlight.nn.module import Module

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def _convert(module: Any, kinds: tuple[type, ...], wanted: Format) -> Any:
    for each in module.modules():
        if isinstance(each, kinds):
            each.weight.data = each.weight.detach().clone().contiguous(memory_format=wanted)
    return module


def convert_conv2d_weight_memory_format(module: Module, memory_format: Format) -> Any:
    """Store the weights of 2-d convolutions as `channels_last`, say. Returns the module.

    Follows `torch.nn.utils.convert_conv2d_weight_memory_format`.

    >>> import rushlight as rl
    >>> layer = rl.nn.Conv2d(8, 4, 3)
    >>> layer = rl.nn.utils.convert_conv2d_weight_memory_format(layer, rl.channels_last)
    >>> layer.weight.stride()
    (72, 1, 24, 8)
    """
    return _convert(module, (Conv2d, ConvTranspose2d), memory_format)


def convert_conv3d_weight_memory_format(module: Module, memory_format: Format) -> Any:
    """Store the weights of 3-d convolutions as `channels_last_3d`, say. Returns the module.

    Follows `torch.nn.utils.convert_conv3d_weight_memory_format`.
    """
    return _convert(module, (Conv3d, ConvTranspose3d), memory_format)
