"""`torch.distributed.constants`: how long a group waits for its members.

In: nothing. Out: times. Invariant: PyTorch's values.
"""

from __future__ import annotations

from datetime import timedelta

__all__ = ["default_pg_timeout"]

default_pg_timeout = timedelta(minutes=30)
