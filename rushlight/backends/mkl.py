"""`torch.backends.mkl`: Intel's MKL, which rushlight never uses.

In: nothing. Out: answers. Invariant: they tell the truth.
"""

from __future__ import annotations

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether it is at work: False, the engine makes its own code."""
    return False
