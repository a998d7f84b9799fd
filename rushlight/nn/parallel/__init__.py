"""Running a module on several devices of one process, as `torch.nn.parallel`.

In: a module. Out: a module around it. Invariant: without a second device the inner module is called
as it is, and its parameters are found under `module.`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rushlight.nn.parallel.data_parallel import DataParallel, data_parallel

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]


def __getattr__(name: str) -> Any:
    """What needs `rushlight.distributed`, imported when it is first named."""
    if name == "DistributedDataParallel":
        return import_module(f"{__name__}.distributed").DistributedDataParallel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
