"""Methods of Tensor that are functions of the torch namespace as well: `torch.fill_(x, 3)`.

In: names. Out: functions that call the method of that name on their first argument. Invariant: the
method decides everything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tensor import Tensor

NAMES = (
    "addmv_",
    "arccos_",
    "arccosh_",
    "arcsin_",
    "arcsinh_",
    "arctan_",
    "arctanh_",
    "as_strided_",
    "clamp_",
    "clamp_max_",
    "clamp_min_",
    "clip_",
    "detach",
    "detach_",
    "fill_",
    "fix_",
    "get_device",
    "index_put_",
    "is_conj",
    "is_inference",
    "is_neg",
    "is_same_size",
    "is_signed",
    "negative_",
    "resize_as_",
    "resolve_conj",
    "resolve_neg",
    "zero_",
)


def _function(name: str) -> Callable:
    """torch.<name>(input, ...): input.<name>(...)."""

    def function(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(input, Tensor):
            raise TypeError(
                f"{name}(): argument 'input' (position 1) must be Tensor, not "
                f"{type(input).__name__}"
            )
        return getattr(input, name)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"input.{name}(...). Follows `torch.{name}`."
    return function


FUNCTIONS = tuple(map(_function, NAMES))
