"""Operators: see README.md in this folder.

A family (a module here) registers its rows when it is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PLUMBING = frozenset(
    {"__init__", "registry", "signature", "namespace", "common", "families", "lapack", "aten"}
)


def family_names() -> list[str]:
    """The modules of this folder that hold rows, in alphabetical order."""
    from pathlib import Path

    return [p.stem for p in sorted(Path(__file__).parent.glob("*.py")) if p.stem not in _PLUMBING]


def load_families() -> None:
    """Import every family, so that the table is complete."""
    for name in family_names():
        import_module(f".{name}", __name__)


def __getattr__(name: str) -> Any:
    """`rushlight.ops.aten`, imported when it is first named."""
    if name == "aten":
        return import_module(".aten", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
