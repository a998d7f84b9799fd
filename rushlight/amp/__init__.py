"""Automatic mixed precision, as `torch.amp`.

In: a model in float32. Out: its forward pass with products in a lower precision, and losses scaled
so that small gradients survive it. Invariant: outside an `autocast` region nothing is different.
"""

from __future__ import annotations

from rushlight.amp.autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from rushlight.amp.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
