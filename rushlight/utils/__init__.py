"""Utilities around training, as in `torch.utils`: `data` loads batches, `hooks` has hook handles.

Each is imported when it is first named: who needs a hook handle pays for nothing else.
"""

from importlib import import_module
from types import ModuleType

__all__ = ["data", "hooks"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
