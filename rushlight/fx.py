"""`torch.fx`: rushlight has no symbolic tracer.

In: nothing. Out: `wrap`, which marks functions for a tracer, and types that no object has.
Invariant: whatever would trace is refused with a sentence; `isinstance` tells the truth.
"""

from __future__ import annotations

from typing import Any, NoReturn

from rushlight import nn

__all__ = ["Graph", "GraphModule", "Node", "Proxy", "Tracer", "symbolic_trace", "wrap"]

_WHY = (
    "rushlight has no symbolic tracer: the engine records what runs. `rushlight.explain(x)` shows "
    "the recorded graph, and hooks (`register_forward_hook`) give the values inside a module"
)


class _Absent:
    """A type of PyTorch's tracer, for annotations and `isinstance`; it has no instances."""

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"torch.fx.{cls.__name__}: {_WHY}")


class Graph(_Absent):
    """A traced program: there are none."""


class Node(_Absent):
    """A step of a traced program: there are none."""


class Proxy(_Absent):
    """A stand-in for a value while tracing: there are none."""


class Tracer(_Absent):
    """What traces: refused."""


class GraphModule(nn.Module):
    """A module made of a traced program: there are none."""

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"torch.fx.GraphModule: {_WHY}")


def symbolic_trace(root: Any, concrete_args: Any = None) -> NoReturn:
    """Trace a module: refused."""
    raise NotImplementedError(f"torch.fx.symbolic_trace: {_WHY}")


def wrap(fn_or_name: Any) -> Any:
    """Mark a function that a tracer shall not look into: returned as it is.

    Errors: RuntimeError for what is neither a function nor its name.
    """
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError(
            "Unsupported type for global function! Must be either a callable or string name"
        )
    return fn_or_name
