"""`torch.ops`: operators by namespace, `torch.ops.aten.add` and a program's own.

In: names. Out: operators that `torch.library` has defined; under `aten`, functions of torch by
their plain names. Invariant: an operator that is not there is an AttributeError.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import rushlight
from rushlight.library import OPERATORS
from rushlight.ops.aten import Packet


class Namespace:
    """The operators of one namespace."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        operator = OPERATORS.get(f"{self.__name__}::{name}")
        if operator is None:
            raise AttributeError(
                f"'_OpNamespace' '{self.__name__}' object has no attribute '{name}'"
            )
        return operator


class Aten:
    """PyTorch's own operators: the function of that name, of torch or of Tensor."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        for owner in (rushlight, rushlight.Tensor, rushlight.nn.functional):
            found = getattr(owner, name, None)
            if callable(found):
                return Packet(name, found)
        raise AttributeError(f"'_OpNamespace' 'aten' object has no attribute '{name}'")


def load_library(path: str) -> None:
    """Load a compiled extension of PyTorch: refused."""
    raise OSError(f"torch.ops.load_library: rushlight cannot load compiled extensions ({path})")


@lru_cache
def _namespace(name: str) -> Namespace | Aten:
    return Aten() if name in ("aten", "prims") else Namespace(name)


def __getattr__(name: str) -> Namespace | Aten:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _namespace(name)
