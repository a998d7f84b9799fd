"""Settings of libraries that rushlight does not use: `torch.backends.cudnn.benchmark = True`.

In: a program's wishes. Out: what it wished. Programs set these before they know what they run on;
with no such library at work there is nothing for them to change, as in PyTorch on the CPU.
Invariant: what was set is what is read; a misspelt setting of a group is an AttributeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Wishes:
    """A group of settings that can be read and set, and no others."""

    _name: str
    _values: dict[str, Any]

    def __init__(self, name: str, **defaults: Any) -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_values", defaults)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self._values:
            raise AttributeError(f"torch.backends.{self._name} has no setting {name!r}")
        return self._values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._values:
            raise AttributeError(f"torch.backends.{self._name} has no setting {name!r}")
        self._values[name] = value


@contextmanager
def changed(owner: Any, **values: Any) -> Iterator[None]:
    """Settings that hold inside a block; None leaves one as it is."""
    before = {name: getattr(owner, name) for name, value in values.items() if value is not None}
    try:
        for name in before:
            setattr(owner, name, values[name])
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)
