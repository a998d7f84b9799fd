"""`torch.cuda.nvtx`: marks for NVIDIA's profilers, which see nothing without a device.

In: texts. Out: RuntimeError, as PyTorch without CUDA. Invariant: no mark is silently dropped.
"""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["mark", "range_pop", "range_push"]


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise RuntimeError(
        "NVTX functions not installed: rushlight has no CUDA device here; "
        "torch.profiler.record_function marks ranges on the CPU"
    )


range_push = range_pop = mark = _refuse
