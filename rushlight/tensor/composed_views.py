"""Views made of other views: pieces of a dimension, dimensions joined, parted and moved.

In: a tensor and a new geometry. Out: tensors sharing its storage (a copy where `reshape` needs
one). Invariant: memory and gradients are left to the views of `tensor/views.py` that these call.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from ..base.layout import normalize_axis
from ..ops import core
from .tensor import Tensor
from .views import expand, infer_size, permute, pieces_of, reshape, slice_view, transpose, view


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Consecutive pieces of a dimension, of one size or of listed sizes, as `torch.split`."""
    axis = normalize_axis(dim, tensor.ndim)
    if not tensor.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    extent = tensor.shape[axis]
    title = "Split"
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and extent):
            raise RuntimeError(
                f"split expects split_size be non-negative, but got split_size={size}"
            )
        lengths = [min(size, extent - at) for at in range(0, extent, max(size, 1))] or [0]
    else:
        title = "SplitWithSizes"
        lengths = list(split_size_or_sections)
        if sum(lengths) != extent:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {extent} (input tensor's "
                f"size at dimension {axis}), but got split_sizes={lengths}"
            )
    starts = [sum(lengths[:k]) for k in range(len(lengths))]
    return pieces_of(
        tensor,
        lambda: [slice_view(tensor, axis, at, at + n) for at, n in zip(starts, lengths)],
        title,
        lambda grads: core.cat(grads, axis),
    )


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size (the last may be short), as `torch.chunk`."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    axis = normalize_axis(dim, input.ndim)
    extent = input.shape[axis]
    size = (extent + chunks - 1) // chunks
    return split(input, size, axis) if size else split(input, [0] * chunks, axis)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions start_dim to end_dim as one, as `torch.flatten`."""
    ndim = input.ndim
    if not ndim:
        return reshape(input, (1,))
    a, b = normalize_axis(start_dim, ndim), normalize_axis(end_dim, ndim)
    if a > b:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    shape = input.shape
    return (
        input if a == b else reshape(input, (*shape[:a], prod(shape[a : b + 1]), *shape[b + 1 :]))
    )


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension as several, as `torch.unflatten`."""
    axis = normalize_axis(dim, input.ndim)
    wanted = infer_size(tuple(sizes), input.shape[axis])
    return view(input, (*input.shape[:axis], *wanted, *input.shape[axis + 1 :]))


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved to other places, the rest kept in order, as `torch.movedim`."""
    sources = [source] if isinstance(source, int) else list(source)
    targets = [destination] if isinstance(destination, int) else list(destination)
    if len(sources) != len(targets):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({sources} dims) should contain "
            f"the same number of dims as destination ({targets} dims)"
        )
    sources = [normalize_axis(d, input.ndim) for d in sources]
    targets = [normalize_axis(d, input.ndim) for d in targets]
    for dims, word in ((sources, "source"), (targets, "destination")):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{word}` ({dims})")
    rest = iter(d for d in range(input.ndim) if d not in sources)
    placed = dict(zip(targets, sources))
    return permute(input, [placed[d] if d in placed else next(rest) for d in range(input.ndim)])


def view_as(self: Tensor, other: Tensor) -> Tensor:
    """view in another tensor's shape."""
    return view(self, other.shape)


def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """reshape to another tensor's shape."""
    return reshape(self, other.shape)


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """expand to another tensor's shape."""
    return expand(self, other.shape)


def broadcast_to(input: Tensor, size: Sequence[int] | int, *more: int) -> Tensor:
    """expand under the name `torch.broadcast_to`; a method takes the sizes one by one as well."""
    return expand(input, (size, *more) if isinstance(size, int) else size)


def ravel(input: Tensor) -> Tensor:
    """One dimension, row-major: a view of contiguous memory, else a copy, as `torch.ravel`."""
    return view(input.contiguous(), -1)


FUNCTIONS = (broadcast_to, split, chunk, flatten, unflatten, movedim)
METHODS = (*FUNCTIONS, expand_as, view_as, reshape_as)
ALIASES = {"swapaxes": transpose, "swapdims": transpose, "moveaxis": movedim, "ravel": ravel}
