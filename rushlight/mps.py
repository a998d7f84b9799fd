"""`torch.mps` (Apple's GPUs), as it answers on a machine without one.

In: the questions that programs ask. Out: there is none. Invariant: as `rushlight.cuda`.
"""

from __future__ import annotations

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "synchronize"]


def is_available() -> bool:
    """Whether such a device can be used: False."""
    return False


def device_count() -> int:
    """The number of devices: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed the device's generator: there is none, so nothing happens."""
    int(seed)


def empty_cache() -> None:
    """Give memory back to the system: refused."""
    raise RuntimeError("torch.mps.empty_cache: rushlight has no MPS device; use device='cpu'")


def synchronize() -> None:
    """Wait for the device: refused."""
    raise RuntimeError("torch.mps.synchronize: rushlight has no MPS device; use device='cpu'")
