"""NumPy functions that stand as one node in a graph: what we leave to LAPACK, pocketfft and NumPy's
sorts.

In: functions registered by op families. Out: looked up by name when a program runs. Invariant: a
host function is pure, takes arrays (bfloat16 arrives widened to float32) and returns a tuple of
arrays of the stated shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

HostFunction = Callable[..., tuple[Any, ...]]
HOST_FUNCTIONS: dict[str, HostFunction] = {}


def host_function(function: HostFunction) -> HostFunction:
    """Register a function (arrays..., *arguments) -> tuple of arrays under its own name."""
    if function.__name__ in HOST_FUNCTIONS:
        raise ValueError(f"host function {function.__name__} is registered twice")
    HOST_FUNCTIONS[function.__name__] = function
    return function
