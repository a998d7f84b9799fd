"""`torch._subclasses.fake_tensor`: tensors without values, by which PyTorch's compiler traces.

In: objects. Out: whether they are such. Invariant: there are none.
"""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["FakeTensor", "is_fake"]


class FakeTensor:
    """A tensor without values: `device="meta"` is what rushlight has."""

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("FakeTensor: rushlight makes none; use device='meta'")


def is_fake(x: Any) -> bool:
    """Whether a tensor is a FakeTensor: False."""
    return False
