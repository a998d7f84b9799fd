"""Automatic differentiation: the tape, the backward walk, user-defined functions, gradient checks
(as `torch.autograd`).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled

_PLACES = {
    "backward": "walk",
    "grad": "walk",
    "Function": "function",
    "FunctionCtx": "function",
    "gradcheck": "gradcheck",
    "gradgradcheck": "gradcheck",
    "GradcheckError": "gradcheck",
    "detect_anomaly": "anomaly_mode",
    "set_detect_anomaly": "anomaly_mode",
    "Variable": "variable",
}
_MODULES = ("forward_ad", "function", "functional", "graph", "anomaly_mode")

__all__ = [
    "Function",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        found = getattr(import_module(f".{_PLACES[name]}", __name__), name)
        globals()[name] = found
        return found
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'rushlight.autograd' has no attribute {name!r}")
