"""`torch.compile` and `torch.compiler`: the engine compiles what Python records, always.

In: functions and modules. Out: the same. There is no mode to enter: see docs/design/torch_alias.md.
Invariant: a compiled function and the function are one object, so state, hooks and pickling are
untouched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "compile",
    "cudagraph_mark_step_begin",
    "disable",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "list_backends",
    "reset",
    "set_stance",
]

T = TypeVar("T")
_MODES = (None, "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """Return the function or module: the engine compiles every program, this one too.

    Without `model` it is a decorator. `backend`, `mode` and the rest choose among PyTorch's
    compilers, of which there are none here.
    Errors: RuntimeError for an unknown mode, or for mode and options together, as in PyTorch.

    >>> import rushlight as rl
    >>> f = lambda x: x + 1
    >>> rl.compile(f) is f
    True
    """
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {list(_MODES[1:])}")
    if model is None:
        return lambda function: function
    if not callable(model):
        raise TypeError(f"torch.compile: expected a callable, got {type(model).__name__}")
    return model


def is_compiling() -> bool:
    """Whether torch.compile or torch.export is reading this code: False, Python runs it."""
    return False


def is_dynamo_compiling() -> bool:
    """Whether torch.compile is reading this code: False."""
    return False


def is_exporting() -> bool:
    """Whether torch.export is reading this code: False."""
    return False


def disable(
    fn: Any = None, recursive: bool = True, *, reason: str | None = None, **ignored: Any
) -> Any:
    """Leave a function out of torch.compile's graphs: returned as it is, or a decorator."""
    return fn if fn is not None else lambda function: function


def allow_in_graph(fn: T) -> T:
    """Tell torch.compile not to look into a function: returned as it is."""
    return fn


def assume_constant_result(fn: T) -> T:
    """Tell torch.compile that a function always gives the same: returned as it is."""
    return fn


def reset() -> None:
    """Forget what torch.compile has compiled: it has compiled nothing."""


def cudagraph_mark_step_begin() -> None:
    """Mark the start of a step for CUDA graphs: there are none."""


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """The compilers that torch.compile could use: none beside the engine."""
    return []


class set_stance:
    """How torch.compile behaves, as a call, a context or a decorator: the engine has one way."""

    def __init__(self, stance: str = "default", **options: Any) -> None:
        self.stance = stance

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        return None

    def __call__(self, function: Callable[..., T]) -> Callable[..., T]:
        return function
