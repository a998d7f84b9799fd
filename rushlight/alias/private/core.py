"""`torch._C`: the few names of PyTorch's compiled core that Python packages use.

In: packages' imports. Out: types and functions of ours. Invariant: nothing here pretends to reach a
compiled core.
"""

from __future__ import annotations

import rushlight
from rushlight import overrides
from rushlight.alias.private import core_nn as _nn

__all__ = ["Generator", "Size", "_disabled_torch_function_impl", "_get_tracing_state", "_nn"]

Generator = rushlight.Generator
Size = rushlight.Size
dtype, device, layout = rushlight.dtype, rushlight.device, rushlight.layout
_TensorMeta = type(rushlight.Tensor)
_disabled_torch_function_impl = overrides.disabled
DisableTorchFunction = overrides.DisableTorchFunction
_is_torch_function_enabled = overrides.is_enabled
DisableTorchFunctionSubclass = overrides.DisableTorchFunctionSubclass


def _get_tracing_state() -> None:
    """The trace that is being made: none."""
    return


def _log_api_usage_once(event: str) -> None:
    """PyTorch counts which of its features are used: rushlight counts nothing."""
