"""Utilities around training: loading data and hook handles, as in `torch.utils`."""

from . import data as data
from . import hooks as hooks

__all__ = ["data", "hooks"]
