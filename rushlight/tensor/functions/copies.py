"""Views that own their memory: `expand_copy`, `select_copy`, ... and the pieces of `unsafe_split`.

In: a tensor and the arguments of a view. Out: what the view shows, in row-major memory of its own.
Invariant: one table says which view each name copies; shapes, errors and gradients are the view's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...autograd.names import titled
from ...base import dtype as dtypes
from ...ops import core
from .. import bits, composed_views, views
from ..tensor import Tensor
from .reshaping import split_with_sizes


def _alias(input: Tensor) -> Tensor:
    """The tensor itself."""
    return input


def _detach(input: Tensor) -> Tensor:
    """The values off the tape."""
    return input.detach()


def _expand(input: Tensor, size: Any, *, implicit: bool = False) -> Tensor:
    return views.expand(input, size)


def _view(input: Tensor, size: Any = None, dtype: dtypes.dtype | None = None) -> Tensor:
    if dtype is not None:
        return views.view(input, dtype=dtype)
    if isinstance(size, dtypes.dtype):
        return views.view(input, size)
    return views.reshape(input, size)  # a copy is made in any case


def _slice(
    input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    if not input.ndim:
        raise RuntimeError("slice() cannot be applied to a 0-dim tensor.")
    if step <= 0:
        raise RuntimeError(f"slice step must be positive, but got {step}")
    return views.slice_view(input, dim, start, end, step)


def _narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    if dim >= input.ndim:
        raise RuntimeError(
            f"narrow_copy: expected dim < {input.ndim}, the number of dimensions of the shape "
            f"{list(input.shape)}, but got {dim}"
        )
    return views.narrow(input, dim, start, length)


def _split(input: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    return composed_views.split(input, split_size, dim)


# name of the copying function -> the view that it copies
VIEWS: dict[str, Callable] = {
    "alias_copy": _alias,
    "as_strided_copy": views.as_strided,
    "detach_copy": _detach,
    "diagonal_copy": views.diagonal,
    "expand_copy": _expand,
    "narrow_copy": _narrow,
    "permute_copy": views.permute,
    "select_copy": views.select,
    "slice_copy": _slice,
    "split_copy": _split,
    "split_with_sizes_copy": split_with_sizes,
    "squeeze_copy": views.squeeze,
    "t_copy": views.t,
    "transpose_copy": views.transpose,
    "unbind_copy": views.unbind,
    "unfold_copy": views.unfold,
    "unsqueeze_copy": views.unsqueeze,
    "view_as_complex_copy": bits.view_as_complex,
    "view_as_real_copy": bits.view_as_real,
    "view_copy": _view,
}


# copies whose entries on the tape are not called for the view's
TITLES = {"alias_copy": "AliasBackward0_copy", "narrow_copy": "NarrowCopyBackward0"}


def _copied(pieces: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(core.contiguous(piece) for piece in pieces)


def _copying(name: str, view: Callable) -> Callable:
    """The public function `name`: `view`, each result copied into row-major memory of its own."""

    def function(*args: Any, **kwargs: Any) -> Any:
        made = view(*args, **kwargs)
        pieces = (made,) if isinstance(made, Tensor) else made
        title = TITLES.get(name) or f"{type(pieces[0].grad_fn).__name__}_copy"
        copies = titled(title)(_copied)(pieces)
        return copies[0] if isinstance(made, Tensor) else copies

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"{name.removesuffix('_copy')}, the result in memory of its own, row-major, instead of a "
        f"view. Takes that view's arguments and raises its errors. Follows `torch.{name}`."
    )
    return function


COPIES: dict[str, Callable] = {name: _copying(name, view) for name, view in VIEWS.items()}


# --- pieces that are no views for the tape ------------------------------------------------------


def _apart(pieces: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Pieces that share memory, but that the tape takes for tensors of their own: each may be
    overwritten, and the others' gradients do not follow.
    """
    for piece in pieces:
        piece._base = None
    return pieces


@titled("UnsafeSplitBackward0")
def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """split whose pieces autograd does not take for views, as `torch.unsafe_split`.

    >>> import rushlight as rl
    >>> rl.unsafe_split(rl.tensor([1, 2, 3]), 2)
    (tensor([1, 2]), tensor([3]))
    """
    return _apart(composed_views.split(input, split_size, dim))


@titled("UnsafeSplitWithSizesBackward0")
def unsafe_split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """split_with_sizes whose pieces autograd does not take for views, as
    `torch.unsafe_split_with_sizes`.

    >>> import rushlight as rl
    >>> rl.unsafe_split_with_sizes(rl.tensor([1, 2, 3]), [1, 2])
    (tensor([1]), tensor([2, 3]))
    """
    return _apart(split_with_sizes(input, split_sizes, dim))


@titled("UnsafeSplitBackward0")
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """chunk whose pieces autograd does not take for views, as `torch.unsafe_chunk`.

    >>> import rushlight as rl
    >>> rl.unsafe_chunk(rl.tensor([1, 2, 3]), 2)
    (tensor([1, 2]), tensor([3]))
    """
    return _apart(composed_views.chunk(input, chunks, dim))


FUNCTIONS = (*COPIES.values(), unsafe_split, unsafe_split_with_sizes, unsafe_chunk)
METHODS = (COPIES["narrow_copy"], unsafe_split, unsafe_split_with_sizes, unsafe_chunk)
