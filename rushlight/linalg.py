"""Linear algebra under PyTorch's names, `torch.linalg`.

In: matrices. Out: this namespace. Invariant: nothing is computed here; see
`tensor/functions/linalg.py` and `tensor/functions/matrices.py`.
"""

from __future__ import annotations

from .base.errors import LinAlgError
from .tensor.functions import linalg, matrices

_NAMES = {**linalg.LINALG, **matrices.LINALG, "LinAlgError": LinAlgError}
globals().update(_NAMES)
__all__ = sorted(_NAMES)
