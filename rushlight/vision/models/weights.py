"""Pretrained weights by name: members of an enumeration, with the address they are fetched from.

In: a member, its name, or None. Out: a state_dict. Invariant: a fetched file has the digest that
its name states, see `rushlight.hub`.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar

from rushlight import hub, nn

__all__ = ["WeightsEnum", "loaded"]

M = TypeVar("M", bound=nn.Module)


class WeightsEnum(Enum):
    """Weights of one architecture; the value is where their file is."""

    @property
    def url(self) -> str:
        """The address of the file."""
        return str(self.value)

    def get_state_dict(self, progress: bool = True, check_hash: bool = True, **_: Any) -> Any:
        """Fetch the file, unless it is in the cache, and load it."""
        return hub.load_state_dict_from_url(self.url, progress=progress, check_hash=check_hash)

    @classmethod
    def verify(cls, given: Any) -> WeightsEnum | None:
        """The member that an argument means: a member, a member's name, or None.

        Errors: ValueError for anything else.
        """
        if given is None or isinstance(given, cls):
            return given
        name = str(given).rpartition(".")[2]
        if name not in cls.__members__:
            raise ValueError(f"Invalid weights {given!r}: {cls.__name__} has {[*cls.__members__]}")
        return cls[name]


def loaded(model: M, weights: WeightsEnum | None, progress: bool) -> M:
    """The model with weights fetched into it, if any are asked for."""
    if weights is not None:
        model.load_state_dict(weights.get_state_dict(progress))
    return model
