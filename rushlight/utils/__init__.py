"""Utilities around training, as in `torch.utils`: `data` loads batches, `checkpoint` trades memory
for time, `hooks` has hook handles, `dlpack` lends memory, `tensorboard` writes figures.

Each is imported when it is first named: who needs a hook handle pays for nothing else.
"""

from importlib import import_module
from types import ModuleType

__all__ = ["_pytree", "checkpoint", "data", "dlpack", "hooks", "model_zoo", "tensorboard"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
