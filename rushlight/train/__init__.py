"""`rushlight train` and its Python face.

`fit({...})` trains, evaluates and reports an image classifier; `Classifier(run)` uses one;
`command.main` is the command line. All of it stands on the public API alone. Names are loaded when
first used, so that a missing extra is reported by the command that needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .problems import Interrupted, RunError

if TYPE_CHECKING:
    from .predicting import Classifier
    from .session import fit
    from .settings import Settings

__all__ = ["Classifier", "Interrupted", "RunError", "Settings", "fit"]

_HOMES = {"Classifier": "predicting", "Settings": "settings", "fit": "session"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
