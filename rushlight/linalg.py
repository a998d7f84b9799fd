"""Linear algebra under PyTorch's names, `torch.linalg`.

In: matrices. Out: this namespace. Invariant: nothing is computed here; see
`tensor/functions/linalg.py`.
"""

from __future__ import annotations

from .tensor.functions.linalg import LINALG

globals().update(LINALG)
__all__ = sorted(LINALG)
