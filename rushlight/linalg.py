"""Linear algebra under PyTorch's names, `torch.linalg`.

In: matrices. Out: this namespace. Invariant: nothing is computed here; see
`tensor/functions/linalg.py` and `tensor/functions/matrices.py`.
"""

from __future__ import annotations

from .base.errors import LinAlgError
from .tensor.functions import linalg, matrices
from .tensor.outputs import with_out

_FUNCTIONS = {**linalg.LINALG, **matrices.LINALG}
_NAMES = {name: with_out(function) for name, function in _FUNCTIONS.items()}
_NAMES["LinAlgError"] = LinAlgError
globals().update(_NAMES)
__all__ = sorted(_NAMES)
