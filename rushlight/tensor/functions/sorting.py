"""Sorting and its kin with named results.

In: a tensor, a dimension, options. Out: named tuples (values, indices), or a tensor. Invariant:
NaN counts as larger than every number; among equal elements the first comes first (PyTorch leaves
that open except for stable sorts).
"""

from __future__ import annotations

from typing import Any

from ...autograd.names import titled
from ...ops import sorting as rows
from ..return_types import named
from ..tensor import Tensor


@titled(lambda made, *_, stable=None, **__: f"SortBackward{int(stable is not None)}")
def sort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = None
) -> Any:
    """The elements along a dimension in order, and where they came from; always stable. Follows
    `torch.sort`.

    >>> import rushlight as rl
    >>> values, indices = rl.sort(rl.tensor([3, 1, 2]))
    >>> values, indices
    (tensor([1, 2, 3]), tensor([1, 2, 0]))
    """
    return named("sort", "values", "indices")(rows.sort(input, dim, bool(descending)))


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort a dimension, as `torch.argsort`.

    >>> import rushlight as rl
    >>> rl.argsort(rl.tensor([3, 1, 2]))
    tensor([1, 2, 0])
    """
    return rows.sort(input.detach(), dim, bool(descending))[1]


def msort(input: Tensor) -> Tensor:
    """The elements sorted along the first dimension, as `torch.msort`.

    >>> import rushlight as rl
    >>> rl.msort(rl.tensor([3, 1, 2]))
    tensor([1, 2, 3])
    """
    return rows.sort(input, 0, False)[0]


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k largest (or smallest) elements along a dimension in order, and their places, as
    `torch.topk`.

    RuntimeError for k beyond the dimension.

    >>> import rushlight as rl
    >>> rl.topk(rl.tensor([1., 4., 3.]), 2).values
    tensor([4., 3.])
    """
    return named("topk", "values", "indices")(rows.topk(input, int(k), dim, bool(largest)))


FUNCTIONS = (sort, argsort, msort, topk)
METHODS = FUNCTIONS
