"""`torch.accelerator`, on a machine whose only device is its processor.

In: questions and orders. Out: there is no accelerator; orders to it are refused. Invariant: as
`rushlight.cuda`.
"""

from __future__ import annotations

from typing import Any, NoReturn

from rushlight import device

__all__ = [
    "current_accelerator",
    "current_device_index",
    "device_count",
    "empty_cache",
    "is_available",
    "set_device_index",
    "synchronize",
]


def is_available() -> bool:
    """Whether an accelerator can be used: False."""
    return False


def current_accelerator(check_available: bool = False) -> device | None:
    """The accelerator's device: None."""
    return None


def device_count() -> int:
    """The number of accelerators: 0."""
    return 0


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise RuntimeError(
        "Cannot access accelerator device when none is available: rushlight runs on the cpu here; "
        "ask torch.accelerator.is_available() first"
    )


synchronize = empty_cache = current_device_index = set_device_index = _refuse
current_stream = set_stream = memory_allocated = _refuse
