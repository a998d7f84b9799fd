"""All rows by name, for code above: `from rushlight.ops import namespace as ops; ops.relu(x)`.

A row whose family has not been imported yet is found through `FAMILY_OF` (generated with the
catalog of public names), and failing that by importing every family. Names that are public
functions over several rows (`batch_norm`, `dropout`) come from `FUNCTIONS`, which the tensor layer
fills in.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from . import load_families
from .families import FAMILY_OF
from .registry import TABLE

FUNCTIONS: list[Callable[[str], Any]] = []  # how the tensor layer finds a public function by name


def __getattr__(name: str) -> Any:
    row = TABLE.get(name)
    if row is None and name in FAMILY_OF:
        import_module(f".{FAMILY_OF[name]}", __package__)
        row = TABLE.get(name)
    if row is None and not name.startswith("_"):
        load_families()
        row = TABLE.get(name)
    dunder = name.startswith("__") and name.endswith("__")  # Python asks a module for many of these
    for find in FUNCTIONS if row is None and not dunder else ():
        row = find(name)
    if row is None:
        raise AttributeError(f"rushlight has no op row named {name!r}")
    globals()[name] = row
    return row
