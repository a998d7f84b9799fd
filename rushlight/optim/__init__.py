"""Optimizers, learning-rate schedules and weight averaging, with the names and meanings of
`torch.optim`.
"""

from importlib import import_module
from typing import Any

from . import lr_scheduler as lr_scheduler
from .adadelta import Adadelta
from .adafactor import Adafactor
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .adamax import Adamax
from .asgd import ASGD
from .lbfgs import LBFGS
from .muon import Muon
from .nadam import NAdam
from .optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from .radam import RAdam
from .rmsprop import RMSprop
from .rprop import Rprop
from .sgd import SGD
from .sparse_adam import SparseAdam

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "lr_scheduler",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
    "swa_utils",
    "swap_in_optimizer_params_and_state",
]


def __getattr__(name: str) -> Any:
    """What few programs need, imported when it is first named (`swa_utils` alone needs `nn`)."""
    if name == "swa_utils":
        return import_module(".swa_utils", __name__)
    if name == "swap_in_optimizer_params_and_state":
        return import_module(".swapping", __name__).swap_in_optimizer_params_and_state
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
