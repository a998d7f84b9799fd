"""`torch.xpu` (Intel's GPUs), as it answers on a machine without one.

In: the questions that programs ask. Out: there is none. Invariant: as `rushlight.cuda`.
"""

from __future__ import annotations

from typing import Any

__all__ = ["device_count", "empty_cache", "is_available", "is_bf16_supported", "synchronize"]


def is_available() -> bool:
    """Whether such a device can be used: False."""
    return False


def device_count() -> int:
    """The number of devices: 0."""
    return 0


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the device computes in bfloat16: False, there is none."""
    return False


def is_initialized() -> bool:
    """Whether the device has been started: False."""
    return False


def manual_seed_all(seed: int) -> None:
    """Seed the generators of every device: there is none."""
    int(seed)


manual_seed = manual_seed_all


def empty_cache() -> None:
    """Give the allocator's unused memory back: it holds none."""


def synchronize(device: Any = None) -> None:
    """Wait for a device: refused, there is none."""
    raise AssertionError("torch.xpu.synchronize: rushlight has no XPU device; use device='cpu'")
