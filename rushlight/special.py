"""Special functions under PyTorch's names, `torch.special`.

In: the rows of the op table that say they are special. Out: this namespace. Invariant: nothing is
computed here; a name is a row or another name of one.
"""

from __future__ import annotations

from typing import Any

from .ops import load_families, namespace
from .ops.registry import TABLE
from .tensor.functions.elementwise import mvlgamma

# names here -> rows of the op table that have other names there
ALIASES = {"expit": "sigmoid", "gammaln": "lgamma", "psi": "digamma"}
multigammaln = mvlgamma


def __getattr__(name: str) -> Any:
    row = getattr(namespace, ALIASES.get(name, name), None)
    if row is None or (name not in ALIASES and "special" not in row.surface.split()):
        raise AttributeError(f"module 'rushlight.special' has no attribute {name!r}")
    globals()[name] = row
    return row


def __dir__() -> list[str]:
    load_families()
    rows = (name for name, row in TABLE.items() if "special" in row.surface.split())
    return sorted({*rows, *ALIASES, "multigammaln"})
