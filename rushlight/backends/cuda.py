"""`torch.backends.cuda`: settings for NVIDIA's devices, of which there is none here.

In: settings. Out: the same. Invariant: see `_wishes.py`. Which form of attention is allowed is a
setting too: the engine has one form, which is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ._wishes import Wishes, changed

__all__ = ["is_built", "matmul", "sdp_kernel"]

matmul = Wishes(
    "cuda.matmul",
    allow_tf32=False,
    allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
    allow_fp16_accumulation=False,
    fp32_precision="none",
)
_forms = Wishes("cuda", flash=True, mem_efficient=True, math=True, cudnn=True)


def is_built() -> bool:
    """Whether rushlight makes code for NVIDIA's devices: False."""
    return False


def _reader(form: str) -> Callable[[], bool]:
    def enabled() -> bool:
        return bool(getattr(_forms, form))

    enabled.__doc__ = f"Whether the {form} form of attention is allowed."
    return enabled


def _setter(form: str) -> Callable[[bool], None]:
    def enable(enabled: bool) -> None:
        setattr(_forms, form, bool(enabled))

    enable.__doc__ = f"Allow or forbid the {form} form of attention."
    return enable


flash_sdp_enabled, enable_flash_sdp = _reader("flash"), _setter("flash")
mem_efficient_sdp_enabled, enable_mem_efficient_sdp = (
    _reader("mem_efficient"),
    _setter("mem_efficient"),
)
math_sdp_enabled, enable_math_sdp = _reader("math"), _setter("math")
cudnn_sdp_enabled, enable_cudnn_sdp = _reader("cudnn"), _setter("cudnn")


@contextmanager
def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[Any]:
    """Which forms of attention are allowed inside a block."""
    with changed(
        _forms,
        flash=enable_flash,
        math=enable_math,
        mem_efficient=enable_mem_efficient,
        cudnn=enable_cudnn,
    ):
        yield
