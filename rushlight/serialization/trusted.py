"""Classes that a program vouches for, so that files may hold their objects.

In: classes or functions, by the name under which pickles know them. Out: what the reader may call.
Invariant: nothing is trusted until the program says so in this process; a file cannot add to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

__all__ = [
    "Trusted",
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "safe_globals",
]


class Trusted(NamedTuple):
    """A class or function that files may call."""

    target: Any


# (module, name) -> what stands there
TRUSTED: dict[tuple[str, str], Trusted] = {}


def _named(item: Any) -> tuple[tuple[str, str], Trusted]:
    """The name of a class or function, or the one given with it: `(target, "module.name")`."""
    if isinstance(item, tuple):
        target, path = item
        module, _, name = path.rpartition(".")
        return (module, name), Trusted(target)
    if not callable(item):
        raise TypeError(f"add_safe_globals: expected a class or function, got {item!r}")
    return (item.__module__, item.__qualname__), Trusted(item)


def add_safe_globals(safe_globals: Sequence[Callable[..., Any] | tuple[Any, str]]) -> None:
    """Let files hold objects of these classes, and call these functions, in `load`.

    An item is a class, a function, or a pair of one and the dotted name that files have for it.
    Loading runs their code with what the file says: vouch only for what can bear that.
    """
    TRUSTED.update(_named(item) for item in safe_globals)


def get_safe_globals() -> list[Any]:
    """What has been added."""
    return [trusted.target for trusted in TRUSTED.values()]


def clear_safe_globals() -> None:
    """Trust nothing again."""
    TRUSTED.clear()


@contextmanager
def safe_globals(safe_globals: Sequence[Callable[..., Any] | tuple[Any, str]]) -> Iterator[None]:
    """Trust some classes inside a block."""
    before = dict(TRUSTED)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        TRUSTED.clear()
        TRUSTED.update(before)


def is_trusted_object(value: Any) -> bool:
    """Whether a value is of a class that has been added."""
    return any(type(value) is trusted.target for trusted in TRUSTED.values())


def name_of_trusted(target: Any) -> tuple[str, str] | None:
    """Under which module and name files know a class or function; None for one not added."""
    names = [name for name, trusted in TRUSTED.items() if trusted.target is target]
    return names[0] if names else None


def set_state(target: Any, state: Any) -> None:
    """Give a trusted object its state, as pickle does."""
    setter = getattr(target, "__setstate__", None)
    if setter is not None:
        setter(state)
        return
    fields, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    for table in (fields, slots):
        if table is None:
            continue
        if not isinstance(table, dict):
            raise TypeError(f"the state of a {type(target).__name__} is no dictionary")
        for name, value in table.items():
            setattr(target, str(name), value)
