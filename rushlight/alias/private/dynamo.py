"""`torch._dynamo`: what programs tell and ask PyTorch's compiler, by its private name.

In: as `torch.compiler`. Out: the same. Invariant: one meaning for both names.
"""

from __future__ import annotations

from typing import Any, NoReturn

from rushlight import nn
from rushlight.compiler import (
    allow_in_graph,
    assume_constant_result,
    disable,
    is_compiling,
    reset,
)

__all__ = [
    "OptimizedModule",
    "allow_in_graph",
    "assume_constant_result",
    "disable",
    "is_compiling",
    "mark_dynamic",
    "mark_static_address",
    "reset",
]


class OptimizedModule(nn.Module):
    """The module that PyTorch's compiler makes: `torch.compile` here makes none."""

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("torch._dynamo.OptimizedModule: torch.compile returns the module itself")


def mark_dynamic(t: Any, index: Any, **ignored: Any) -> None:
    """Say that a dimension will vary: the engine sees it when it does."""


maybe_mark_dynamic = mark_static = mark_dynamic


def mark_static_address(t: Any, guard: bool = True) -> None:
    """Say that a tensor stays where it is: the engine needs no promise."""


def graph_break(msg: str = "") -> None:
    """End the compiler's graph here: there is none."""
