"""Linear algebra under PyTorch's names, `torch.linalg`.

In: matrices. Out: this namespace. Invariant: nothing is computed here; see `linalg.py`,
`factors.py` and `matrices.py` in tensor/functions.
"""

from __future__ import annotations

from .base.errors import LinAlgError
from .tensor.casting import around
from .tensor.functions import factors, linalg, matrices
from .tensor.outputs import with_out

_FUNCTIONS = {**linalg.LINALG, **factors.LINALG, **matrices.LINALG}
_NAMES = {
    name: with_out(around(f"linalg_{name}", function)) for name, function in _FUNCTIONS.items()
}
_NAMES["LinAlgError"] = LinAlgError
globals().update(_NAMES)
__all__ = sorted(_NAMES)
