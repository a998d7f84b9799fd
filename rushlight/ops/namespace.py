"""All rows by name, for code above: `from rushlight.ops import namespace as ops; ops.relu(x)`."""

from __future__ import annotations

from .registry import TABLE, Op


def __getattr__(name: str) -> Op:
    row = TABLE.get(name)
    if row is None:
        raise AttributeError(f"rushlight has no op row named {name!r}")
    return row
