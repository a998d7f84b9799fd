"""`torch.backends.mkldnn`: Intel's oneDNN, which rushlight never uses.

In: nothing. Out: answers. Invariant: they tell the truth.
"""

from __future__ import annotations

__all__ = ["enabled", "is_available"]

enabled = False


def is_available() -> bool:
    """Whether it is at work: False, the engine makes its own code."""
    return False
