"""`torch.cpu`: the processor under the names that device modules have in PyTorch.

In: nothing. Out: plain values. Invariant: `synchronize` returns when everything that was recorded
and is still reachable has been computed.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import rushlight

__all__ = ["amp", "current_device", "device_count", "is_available", "set_device", "synchronize"]


def is_available() -> bool:
    """Whether the processor can be used: True."""
    return True


def device_count() -> int:
    """The number of processors that PyTorch counts: always 1, whatever its cores."""
    return 1


def current_device() -> str:
    """The current device: `cpu`."""
    return "cpu"


def set_device(device: Any) -> None:
    """Choose the processor: it is the only one."""


def synchronize(device: Any = None) -> None:
    """Compute what has been recorded and is still reachable."""
    rushlight._step_boundary()


def __getattr__(name: str) -> Any:
    if name == "amp":
        return import_module(f"{__name__}.amp")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
