"""What the engine runs on, as `torch.backends`: one module for each kind of device, and switches.

In: nothing. Out: plain values to look at.
"""

from __future__ import annotations

from typing import NamedTuple

from rushlight.base.settings import SETTINGS, SWITCHES

from . import cpu, cuda, cudnn, mkl, mkldnn, mps, nnpack, openmp, opt_einsum

__all__ = [
    "SwitchState",
    "cpu",
    "cuda",
    "cudnn",
    "mkl",
    "mkldnn",
    "mps",
    "nnpack",
    "openmp",
    "opt_einsum",
    "switches",
]

fp32_precision = "none"


class SwitchState(NamedTuple):
    """An environment variable that the engine reads: its value now, and what it does."""

    value: str
    meaning: str


def switches() -> dict[str, SwitchState]:
    """Return the engine's switches by the names of their environment variables.

    >>> import rushlight as rl
    >>> "RUSHLIGHT_LOG" in rl.backends.switches()
    True
    """
    return {
        name: SwitchState(_in_words(getattr(SETTINGS, switch.attribute)), switch.meaning)
        for name, switch in SWITCHES.items()
    }


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, frozenset):
        return ",".join(sorted(value)) or "none"
    return str(value) or "none"
