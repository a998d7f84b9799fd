"""What `Module.to` is asked for.

In: its arguments, in any of their forms. Out: a device, a dtype, options. Invariant: an argument
that has no meaning is a TypeError, never ignored.
"""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight import Tensor


def destination(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """(device, dtype, other options) out of the arguments of `Module.to`."""
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    tensor = kwargs.pop("tensor", None)
    names = ["non_blocking", "copy"]
    for argument in args:
        if isinstance(argument, Tensor):
            tensor = argument
        elif isinstance(argument, rushlight.dtype):
            dtype = argument
        elif isinstance(argument, bool):
            kwargs[names.pop(0)] = argument
        elif argument is not None:
            device = rushlight.device(argument)
    if tensor is not None:
        device, dtype = tensor.device, tensor.dtype
    unknown = kwargs.keys() - {"non_blocking", "copy", "memory_format"}
    if unknown:
        raise TypeError(
            "to() received an invalid combination of arguments: got an unexpected keyword argument "
            f"'{min(unknown)}', but expected device, dtype, tensor, non_blocking, copy or "
            "memory_format"
        )
    return device, dtype, {k: v for k, v in kwargs.items() if v and k != "copy"}
