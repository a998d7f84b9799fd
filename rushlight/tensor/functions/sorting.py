"""Sorting and its kin with named results.

In: a tensor, a dimension, options. Out: `return_types` of (values, indices), or a tensor. Invariant: NaN counts as larger
than every number; among equal elements the first comes first (PyTorch leaves that open except for stable sorts).
"""

from __future__ import annotations

from typing import Any

from ...ops import core, scan, sorting
from .. import return_types
from ..tensor import Tensor


def sort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = None) -> Any:
    """The elements along a dimension in order, and where they came from; always stable. Follows `torch.sort`.

    >>> import rushlight as rl
    >>> values, indices = rl.sort(rl.tensor([3, 1, 2]))
    >>> values, indices
    (tensor([1, 2, 3]), tensor([1, 2, 0]))
    """
    return return_types.sort(*sorting.sort_stable(input, dim, bool(descending)))


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort a dimension, as `torch.argsort`.

    >>> import rushlight as rl
    >>> rl.argsort(rl.tensor([3, 1, 2]))
    tensor([1, 2, 0])
    """
    return sorting.sort_stable(input.detach(), dim, bool(descending))[1]


def msort(input: Tensor) -> Tensor:
    """The elements sorted along the first dimension, as `torch.msort`."""
    return sorting.sort_stable(input, 0, False)[0]


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:  # noqa: A002
    """The k largest (or smallest) elements along a dimension in order, and their places, as `torch.topk`.

    RuntimeError for k beyond the dimension.

    >>> import rushlight as rl
    >>> rl.topk(rl.tensor([1., 4., 3.]), 2).values
    tensor([4., 3.])
    """
    return return_types.topk(*sorting.top_places(input, int(k), dim, bool(largest)))


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest element along a dimension, and its place, as `torch.kthvalue`.

    >>> import rushlight as rl
    >>> rl.kthvalue(rl.tensor([3., 1., 2.]), 2).values
    tensor(2.)
    """
    return return_types.kthvalue(*sorting.kth_place(input, int(k), dim, bool(keepdim)))


def _median(kind: str, input: Tensor, dim: int | None, keepdim: bool) -> Any:
    skip = kind == "nanmedian"
    if dim is not None:
        return getattr(return_types, kind)(*sorting.median_place(input, dim, bool(keepdim), skip))
    if not input._layout.numel:
        return core.full((), float("nan") if input.dtype.is_floating_point else -(1 << (input.dtype.bits - 1)), input.dtype)
    return sorting.median_place(input.reshape(-1), 0, False, skip)[0]


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median (the lower of two): of all elements, or along a dimension with its place. Follows `torch.median`.

    NaN where there is one.

    >>> import rushlight as rl
    >>> rl.median(rl.tensor([3., 1., 2., 4.]))
    tensor(2.)
    """
    return _median("median", input, dim, keepdim)


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """median of what is not NaN, as `torch.nanmedian`."""
    return _median("nanmedian", input, dim, keepdim)


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element along a dimension (the smallest of several), and its last place, as `torch.mode`.

    >>> import rushlight as rl
    >>> rl.mode(rl.tensor([3, 1, 3])).values
    tensor(3)
    """
    return return_types.mode(*sorting.mode_place(input, dim, bool(keepdim)))


def cummax(input: Tensor, dim: int) -> Any:
    """The largest elements so far along a dimension, and where each was last met, as `torch.cummax`.

    >>> import rushlight as rl
    >>> rl.cummax(rl.tensor([1., 3., 2.]), 0).indices
    tensor([0, 1, 1])
    """
    return return_types.cummax(*scan.cummax(input, dim))


def cummin(input: Tensor, dim: int) -> Any:
    """The smallest elements so far along a dimension, and where each was last met, as `torch.cummin`."""
    return return_types.cummin(*scan.cummin(input, dim))


FUNCTIONS = (sort, argsort, msort, topk, kthvalue, median, nanmedian, mode, cummax, cummin)
METHODS = FUNCTIONS
