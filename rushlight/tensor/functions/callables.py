"""Elements replaced through Python functions: `apply_`, `map_`, `map2_`.

In: tensors and a function of numbers. Out: the first tensor, overwritten. Invariant: off the tape,
one call of the function for each element, in row-major order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..conversion import from_array
from ..tensor import Tensor


def _written(self: Tensor, values: list[Any]) -> Tensor:
    fresh = np.asarray(values).reshape(tuple(self.shape))
    return self.copy_(from_array(fresh, self.dtype))


def _elements(self: Tensor, *others: Tensor) -> list[list]:
    for other in others:
        if other.shape != self.shape:
            raise RuntimeError(
                f"map_: expected tensors of one shape, but got {list(self.shape)} and "
                f"{list(other.shape)}"
            )
    if self.requires_grad or any(other.requires_grad for other in others):
        raise RuntimeError(
            "a Python function of elements has no gradient: call it on tensors that do not require "
            "grad"
        )
    return [x.reshape(-1).tolist() for x in (self, *others)]


def apply_(self: Tensor, callable: Callable) -> Tensor:
    """Replace each element by a Python function of it, as `torch.Tensor.apply_`: slow.

    >>> import rushlight as rl
    >>> rl.tensor([1., 2.]).apply_(lambda x: x * 10)
    tensor([10., 20.])
    """
    return _written(self, [callable(x) for x in _elements(self)[0]])


def map_(self: Tensor, tensor: Tensor, callable: Callable) -> Tensor:
    """Replace each element by a Python function of it and the one of another tensor, as
    `torch.Tensor.map_`: slow.
    """
    return _written(self, [callable(*pair) for pair in zip(*_elements(self, tensor), strict=True)])


def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable) -> Tensor:
    """Replace each element by a Python function of it and those of two other tensors, as
    `torch.Tensor.map2_`: slow.
    """
    return _written(self, [callable(*three) for three in zip(*_elements(self, x, y), strict=True)])


FUNCTIONS = ()
METHODS = (apply_, map_, map2_)
