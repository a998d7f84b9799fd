"""`torch.backends.mps`: Apple's GPUs, which rushlight does not use.

In: nothing. Out: answers. Invariant: they tell the truth.
"""

from __future__ import annotations

import platform

__all__ = ["is_available", "is_built", "is_macos13_or_newer", "is_macos_or_newer"]


def is_available() -> bool:
    """Whether such a device can be used: False."""
    return False


def is_built() -> bool:
    """Whether rushlight makes code for such devices: False."""
    return False


def is_macos_or_newer(major: int, minor: int = 0) -> bool:
    """Whether this is macOS, of that version at least."""
    version = platform.mac_ver()[0]
    return bool(version) and tuple(map(int, version.split(".")[:2])) >= (major, minor)


def is_macos13_or_newer(minor: int = 0) -> bool:
    """Whether this is macOS 13, of that minor version at least."""
    return is_macos_or_newer(13, minor)
