"""`torch.utils.model_zoo`: the older names of `torch.hub`'s downloads.

In: addresses. Out: checkpoints. Invariant: nothing is defined here.
"""

from __future__ import annotations

from rushlight.hub import load_state_dict_from_url, tqdm

__all__ = ["load_url", "tqdm"]

load_url = load_state_dict_from_url
