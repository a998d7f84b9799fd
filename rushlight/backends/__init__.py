"""What the engine runs on, as `torch.backends`: one module for each kind of device."""

from __future__ import annotations

from . import cpu

__all__ = ["cpu"]
