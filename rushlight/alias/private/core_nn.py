"""`torch._C._nn`: how `Module.to` reads its arguments, and where PyTorch keeps compiled functions.

In: arguments of `Module.to`, and names of functions as PyTorch's pickles of whole modules hold them
(`torch._C._nn.gelu` is its `nn.functional.gelu`). Out: (device, dtype, non_blocking,
memory_format), and the functions of `nn.functional`. Invariant: nothing is defined here that
rushlight's own modules do not use.
"""

from __future__ import annotations

from typing import Any

import rushlight

__all__ = ["_parse_to"]


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any, bool, Any]:
    """Device, dtype, `non_blocking` and memory format of a call of `to`."""
    device = kwargs.get("device")
    dtype = kwargs.get("dtype")
    rest = list(args)
    if rest and isinstance(rest[0], rushlight.Tensor):
        other = rest.pop(0)
        device, dtype = other.device, other.dtype
    elif rest and isinstance(rest[0], (str, int, rushlight.device)):
        device = rest.pop(0)
    if rest and (rest[0] is None or isinstance(rest[0], rushlight.dtype)):
        dtype = rest.pop(0) or dtype
    non_blocking = bool(rest[0]) if rest else bool(kwargs.get("non_blocking", False))
    if device is not None:
        device = rushlight.device(device)
    return device, dtype, non_blocking, kwargs.get("memory_format")


def __getattr__(name: str) -> Any:
    """A function of `nn.functional`."""
    return getattr(rushlight.nn.functional, name)
