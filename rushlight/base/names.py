"""NumPy's names of parameters, which PyTorch takes in place of its own.

In: the keywords of a call. Out: the same under the names that the function has. Invariant: a name
that the function has itself means that parameter.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

OTHER_NAMES = {
    "axis": "dim",
    "dim": "axis",
    "keepdims": "keepdim",
    "self": "input",
    "x": "input",
    "a": "input",
    "x1": "input",
    "x2": "other",
}


def parameter_names(function: Any) -> tuple[str, ...]:
    """The names of a function's parameters, without *args and **kwargs."""
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    if code is None:  # a class
        return ()
    names: tuple[str, ...] = code.co_varnames
    return names[: code.co_argcount + code.co_kwonlyargcount]


def renamed(names: Collection[str], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keywords of a call by the names that a function has.

    >>> renamed(("input", "dim"), {"axis": 1, "other": 2})
    {'dim': 1, 'other': 2}
    """
    if OTHER_NAMES.keys().isdisjoint(kwargs):
        return kwargs
    found = {}
    for name, value in kwargs.items():
        other = OTHER_NAMES.get(name, name)
        found[other if name not in names and other in names else name] = value
    return found
