"""What packages read from PyTorch's private modules (`torch._C`, `torch._dynamo`, ...).

In: imports of packages. Out: the few names that have a meaning here. Invariant: as everywhere, a
name is here when it does what it should, or tells the truth; the rest is missing.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "_C":  # PyTorch's name of the module `core`
        from rushlight.alias.private import core

        return core
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
