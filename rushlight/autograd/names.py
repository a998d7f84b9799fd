"""What the entries of the tape are called.

In: PyTorch's names. Out: classes of entries that go by them. Invariant: scripts look at
`type(y.grad_fn).__name__`, so every name is a class, made when it is first met; only entries made
since a call began are renamed, never those of its operands.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import wraps
from typing import Any

next_sequence = itertools.count(1).__next__

_CLASSES: dict[tuple[type, str], type] = {}


def class_named(kind: type, name: str) -> type:
    """The subclass of a kind of entry whose instances go by `name`."""
    made = _CLASSES.get((kind, name))
    if made is None:
        made = _CLASSES[(kind, name)] = type(name, (kind,), {"__slots__": ()})
    return made


def titled(
    name: str | Callable[..., str], guarded: tuple[int, ...] = ()
) -> Callable[[Callable], Callable]:
    """For a function that computes in several steps what is one operation in PyTorch: the entries
    of its results go by that operation's name (or by what `name(result, *arguments)` says),
    and the `guarded` arguments, by place, must not be overwritten before backward.
    """

    def decorate(function: Callable) -> Callable:
        @wraps(function)
        def named(*args: Any, **kwargs: Any) -> Any:
            before = next_sequence()
            made = function(*args, **kwargs)
            for tensor in made if isinstance(made, (tuple, list)) else (made,):
                entry = getattr(tensor, "_grad_fn", None)
                if entry is not None and entry.sequence > before:
                    _rename(entry, name if isinstance(name, str) else name(tensor, *args, **kwargs))
                    if guarded:
                        entry.guards = _guards([args[k] for k in guarded if k < len(args)])
            return made

        return named

    return decorate


def _rename(entry: Any, name: str) -> None:
    kind = type(entry).__bases__[0]
    if _CLASSES.get((kind, type(entry).__name__)) is not type(entry):
        kind = type(entry)
    entry.__class__ = class_named(kind, name)


def _guards(arguments: list) -> list:
    from .saved import Guard

    return [Guard(value) for value in arguments if hasattr(value, "_storage")]
