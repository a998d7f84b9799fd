"""`torch.backends.mps`: Apple's GPUs, which rushlight does not use.

In: nothing. Out: answers. Invariant: they tell the truth.
"""

from __future__ import annotations

__all__ = ["is_available", "is_built", "is_macos13_or_newer", "is_macos_or_newer"]


def is_available() -> bool:
    """Whether such a device can be used: False."""
    return False


def is_built() -> bool:
    """Whether rushlight makes code for such devices: False."""
    return False


def is_macos_or_newer(major: int, minor: int = 0) -> bool:
    """Refused: rushlight has no MPS backend that could ask (`platform.mac_ver` can)."""
    raise RuntimeError(
        f"is_macos_or_newer({major}, {minor}): there is no MPS backend; ask platform.mac_ver()"
    )


def is_macos13_or_newer(minor: int = 0) -> bool:
    """Refused, as `is_macos_or_newer`."""
    return is_macos_or_newer(13, minor)
