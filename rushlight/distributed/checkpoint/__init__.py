"""`torch.distributed.checkpoint`: the state of models and optimizers, whatever wraps them.

In: models, optimizers. Out: dictionaries by the parameters' own names. Invariant: a wrapper
(DistributedDataParallel, a checkpoint wrapper) does not show in the names.
"""

from __future__ import annotations

from . import state_dict

__all__ = ["state_dict"]

REFUSED = dict.fromkeys(
    (
        "FileSystemReader",
        "FileSystemWriter",
        "default_planner",
        "format_utils",
        "load",
        "load_state_dict",
        "optimizer",
        "save",
        "save_state_dict",
        "state_dict_loader",
    ),
    "folders of checkpoints in parts are neither written nor read; torch.save and torch.load take "
    "what state_dict.get_model_state_dict returns",
)
