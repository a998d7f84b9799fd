"""`torch.distributed.checkpoint`: the state of models and optimizers, whatever wraps them.

In: models, optimizers. Out: dictionaries by the parameters' own names. Invariant: a wrapper
(DistributedDataParallel, a checkpoint wrapper) does not show in the names.
"""

from __future__ import annotations

from . import state_dict

__all__ = ["state_dict"]
