"""All rows by name, for code above: `from rushlight.ops import namespace as ops; ops.relu(x)`.

A row whose family has not been imported yet is found through `FAMILY_OF` (generated with the catalog of public
names), and failing that by importing every family.
"""

from __future__ import annotations

from importlib import import_module

from . import load_families
from .families import FAMILY_OF
from .registry import TABLE, Op


def __getattr__(name: str) -> Op:
    row = TABLE.get(name)
    if row is None and name in FAMILY_OF:
        import_module(f".{FAMILY_OF[name]}", __package__)
        row = TABLE.get(name)
    if row is None and not name.startswith("_"):
        load_families()
        row = TABLE.get(name)
    if row is None:
        raise AttributeError(f"rushlight has no op row named {name!r}")
    globals()[name] = row
    return row
