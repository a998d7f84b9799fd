"""Operators under PyTorch's names of them: `ops.aten.add`, `ops.aten._safe_softmax.default`.

In: a name. Out: the public function, or else the row, of that name as an operator with overloads.
Invariant: an overload is no function of its own here: which one is meant shows in the arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import namespace


class Packet:
    """An operator with its overloads: `default` and the named ones are one function here."""

    __slots__ = ("__name__", "function")

    def __init__(self, name: str, function: Callable) -> None:
        self.__name__, self.function = name, function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packet) and self.__name__ == other.__name__

    def __hash__(self) -> int:
        return hash(self.__name__)

    def __repr__(self) -> str:
        return f"<operator aten.{self.__name__}>"

    def __getattr__(self, overload: str) -> Packet:
        if overload.startswith("__"):
            raise AttributeError(overload)
        return self


def __getattr__(name: str) -> Packet:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for find in namespace.FUNCTIONS:  # first: a public function chooses among rows
        found = find(name)
        if found is not None:
            return Packet(name, found)
    return Packet(name, getattr(namespace, name))
