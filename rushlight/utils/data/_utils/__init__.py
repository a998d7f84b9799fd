"""PyTorch's place for how batches are put together: `torch.utils.data._utils.collate` and others.

In: an import of one of its submodule names. Out: the files of `rushlight.utils.data`. Invariant:
nothing is defined here.
"""

from __future__ import annotations

import sys

from rushlight.utils.data import collate, fetch, worker

__all__ = ["collate", "fetch", "worker"]

for _file in (collate, fetch, worker):
    sys.modules[f"{__name__}.{_file.__name__.rpartition('.')[2]}"] = _file
