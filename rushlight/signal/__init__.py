"""Signal processing under PyTorch's names, `torch.signal`: the windows."""

from __future__ import annotations

from . import windows

__all__ = ["windows"]
