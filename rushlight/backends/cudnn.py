"""`torch.backends.cudnn`: NVIDIA's library, which rushlight never uses.

In: settings. Out: the same. Invariant: see `_wishes.py`.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Any

from ._wishes import Wishes, changed

__all__ = ["flags", "is_acceptable", "is_available", "version"]

enabled = True
benchmark = False
benchmark_limit = 10
deterministic = False
allow_tf32 = True
fp32_precision = "none"
conv = Wishes("cudnn.conv", fp32_precision="none")
rnn = Wishes("cudnn.rnn", fp32_precision="none")


def is_available() -> bool:
    """Whether it can be used: False."""
    return False


def version() -> None:
    """Its version: None, it is not there."""
    return


def is_acceptable(tensor: Any) -> bool:
    """Whether it could work on a tensor: False."""
    return False


def flags(
    enabled: bool | None = False,
    benchmark: bool | None = False,
    benchmark_limit: int | None = 10,
    deterministic: bool | None = False,
    allow_tf32: bool | None = True,
    **ignored: Any,
) -> AbstractContextManager[None]:
    """Settings that hold inside a block."""
    return changed(
        sys.modules[__name__],
        enabled=enabled,
        benchmark=benchmark,
        benchmark_limit=benchmark_limit,
        deterministic=deterministic,
        allow_tf32=allow_tf32,
    )
