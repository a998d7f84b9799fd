"""Rearrangements made of views and a few rows: flips, repeats, diagonals, grids, stacks and splits
by direction.

In: tensors. Out: tensors. Invariant: what PyTorch returns as a view is a view here (grids, splits,
broadcasts); the rest has memory of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ...autograd.names import titled
from ...base import dtype as dtypes
from ...base.dtype import dtype
from ...base.layout import broadcast_shapes, normalize_axis
from ...ops import core, gathering, indexing, movement
from ..conversion import device_of, from_array
from ..creation import zeros
from ..tensor import Tensor
from ..values import window
from ..views import sizes

# --- flips and repeats ----------------------------------------------------------------------------


def flip(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """The order of the elements reversed along dimensions, as `torch.flip`.

    >>> import rushlight as rl
    >>> rl.flip(rl.tensor([[1, 2], [3, 4]]), (0,))
    tensor([[3, 4],
            [1, 2]])
    """
    return movement.flip(input, sizes(_counts("flip", dims, named, "dims")))


def _counts(name: str, given: tuple, named: dict, keyword: str) -> tuple:
    """Ints given one by one, as one sequence, or by keyword."""
    if not given and set(named) == {keyword}:
        return (named[keyword],)
    if named:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(named))}'")
    return given


def fliplr(input: Tensor) -> Tensor:
    """Columns in reverse order, as `torch.fliplr`."""
    if input.ndim < 2:
        raise RuntimeError(f"Input must be >= 2-d, but it is {list(input.shape)}.")
    return movement.flip(input, (1,))


def flipud(input: Tensor) -> Tensor:
    """Rows in reverse order, as `torch.flipud`."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d, but it is a scalar.")
    return movement.flip(input, (0,))


@titled("Rot90Backward0")
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """k quarter turns in the plane of two dimensions, from the first towards the second, as
    `torch.rot90`.

    >>> import rushlight as rl
    >>> rl.rot90(rl.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    first, second = (normalize_axis(d, input.ndim) for d in dims)
    if first == second:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    turns = k % 4
    if turns == 0:
        return core.clone(input).contiguous()
    if turns == 2:
        return movement.flip(input, (first, second))
    return movement.flip(input, (second if turns == 1 else first,)).transpose(first, second)


def repeat(self: Tensor, *repeats: Any, **named: Any) -> Tensor:
    """The tensor laid out repeatedly along its dimensions, as `torch.Tensor.repeat`.

    >>> import rushlight as rl
    >>> rl.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    if not repeats and not named:
        raise TypeError('repeat() missing 1 required positional arguments: "repeats"')
    return movement.repeat(self, sizes(_counts("repeat", repeats, named, "repeats")))


def tile(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """repeat where missing leading counts are 1, as `torch.tile`."""
    counts = sizes(_counts("tile", dims, named, "dims"))
    return movement.repeat(input, (1,) * (input.ndim - len(counts)) + counts)


def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element repeated in its place, a number of times for all or one for each, as
    `torch.repeat_interleave`.

    >>> import rushlight as rl
    >>> rl.repeat_interleave(rl.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    if repeats is None:
        return from_array(np.repeat(np.arange(input.numel()), window(input)), input.dtype)
    x = input.reshape(-1) if dim is None else input
    axis = 0 if dim is None else normalize_axis(dim, x.ndim)
    x = x.reshape(1) if not x.ndim else x
    if isinstance(repeats, Tensor) and repeats.numel() != 1:
        if repeats.ndim != 1:
            raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
        if repeats.shape[0] != x.shape[axis]:
            raise RuntimeError(
                "repeats must have the same size as input along dim, but got repeats.size(0) = "
                f"{repeats.shape[0]} and "
                f"input.size({axis}) = {x.shape[axis]}"
            )
        counts = window(repeats)
        if (counts < 0).any():
            raise RuntimeError("repeats can not be negative")
        places = from_array(np.repeat(np.arange(x.shape[axis]), counts), dtypes.int64)
        return gathering.index_select(x, axis, places)
    count = int(repeats)
    if count < 0:
        raise RuntimeError("Repeats must be non-negative")
    shape = list(x.shape)
    wide = x.unsqueeze(axis + 1).expand([*shape[: axis + 1], count, *shape[axis + 1 :]])
    return (
        core.clone(wide)
        .contiguous()
        .reshape([*shape[:axis], shape[axis] * count, *shape[axis + 1 :]])
    )


# --- triangles and diagonals ----------------------------------------------------------------------


def _triangle_indices(
    function: Callable, row: int, col: int, offset: int, type_: dtype, device: Any
) -> Tensor:
    return from_array(np.stack(function(row, offset, col)), type_, device_of(device))


def tril_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: dtype = dtypes.int64,
    device: Any = "cpu",
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """The (row, column) indices of a lower triangle as a 2 x n tensor, as `torch.tril_indices`."""
    return _triangle_indices(np.tril_indices, row, col, offset, dtype, device)


def triu_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: dtype = dtypes.int64,
    device: Any = "cpu",
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """The (row, column) indices of an upper triangle as a 2 x n tensor, as `torch.triu_indices`."""
    return _triangle_indices(np.triu_indices, row, col, offset, dtype, device)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix; the diagonal of a matrix as a vector. Follows
    `torch.diag`.

    >>> import rushlight as rl
    >>> rl.diag(rl.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if input.ndim == 1:
        return movement.diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return titled("DiagonalBackward0_copy")(core.contiguous)(input.diagonal(diagonal))


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """All elements as the diagonal of a matrix, as `torch.diagflat`."""
    return movement.diag_embed(input.reshape(-1), offset)


@titled("BlockDiagBackward0")
def block_diag(*tensors: Tensor) -> Tensor:
    """Matrices (vectors as rows, scalars as 1 x 1) along the diagonal of a matrix of zeros, as
    `torch.block_diag`.

    >>> import rushlight as rl
    >>> rl.block_diag(rl.tensor([[1]]), rl.tensor([2, 3]))
    tensor([[1, 0, 0],
            [0, 2, 3]])
    """
    from ...base.promotion import result_dtype

    blocks = [atleast_2d(x) for x in tensors]
    for number, x in enumerate(blocks):
        if x.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {number} "
                f"has {x.ndim} dimensions"
            )
    kind = result_dtype([(x.dtype, 2) for x in blocks]) if blocks else None
    result = zeros(
        sum(x.shape[0] for x in blocks),
        sum(x.shape[1] for x in blocks) if blocks else 0,
        dtype=kind,
    )
    row = column = 0
    for x in blocks:
        result[row : row + x.shape[0], column : column + x.shape[1]] = x
        row, column = row + x.shape[0], column + x.shape[1]
    return result if blocks else result.reshape(1, 0)


# --- grids ----------------------------------------------------------------------------------------


def _several(tensors: tuple) -> list[Tensor]:
    """Tensors given as arguments or as one sequence."""
    return (
        list(tensors[0])
        if len(tensors) == 1 and isinstance(tensors[0], (list, tuple))
        else list(tensors)
    )


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Views of the tensors expanded to their common shape, as `torch.broadcast_tensors`."""
    found = _several(tensors)
    shape = broadcast_shapes(*[x.shape for x in found])
    return tuple(x.expand(shape) for x in found)


def meshgrid(*tensors: Tensor, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of the grid that vectors span, one expanded view each, as `torch.meshgrid`.

    indexing "ij" lets the first vector run along the first dimension, "xy" along the second.

    >>> import rushlight as rl
    >>> rl.meshgrid(rl.tensor([1, 2]), rl.tensor([3, 4]), indexing="ij")[0]
    tensor([[1, 1],
            [2, 2]])
    """
    found = _several(tensors)
    if not found:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing is None:
        import warnings

        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing "
            "argument.",
            stacklevel=2,
        )
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(
            f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    for x in found:
        if x.ndim > 1:
            raise RuntimeError(
                "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: "
                f"{list(x.shape)}"
            )
    swapped = indexing == "xy" and len(found) > 1
    if swapped:
        found[:2] = found[1], found[0]
    shape = [x.numel() for x in found]
    grids = [
        x.reshape([-1 if d == k else 1 for d in range(len(found))]).expand(shape)
        for k, x in enumerate(found)
    ]
    if swapped:
        grids[:2] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of one element of each vector, one row each, as `torch.cartesian_prod`.

    >>> import rushlight as rl
    >>> rl.cartesian_prod(rl.tensor([1, 2]), rl.tensor([3]))
    tensor([[1, 3],
            [2, 3]])
    """
    if len(tensors) == 1:
        return tensors[0]
    return core.stack([grid.reshape(-1) for grid in meshgrid(*tensors, indexing="ij")], 1)


@titled("StackBackward0", guarded=(0,))
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All combinations of r elements of a vector, one row each, as `torch.combinations`.

    >>> import rushlight as rl
    >>> rl.combinations(rl.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(input.shape[0]), r)), np.int64).reshape(-1, r)
    return indexing.index(input, [from_array(rows, dtypes.int64)], (0,), 0) if r else input[:0]


# --- stacks and splits by direction ---------------------------------------------------------------


def _each(function: Callable) -> Callable:
    """A function of one tensor made one of several (a tuple then)."""

    def of_all(*tensors: Any) -> Any:
        found = _several(tensors)
        several = len(tensors) != 1 or isinstance(tensors[0], (list, tuple))
        return tuple(function(x) for x in found) if several else function(found[0])

    of_all.__name__, of_all.__doc__ = function.__name__, function.__doc__
    return of_all


@_each
def atleast_1d(x: Tensor) -> Tensor:
    """Scalars as vectors of length one, as `torch.atleast_1d`."""
    return x if x.ndim else x.reshape(1)


@_each
def atleast_2d(x: Tensor) -> Tensor:
    """Vectors as one row, scalars as 1 x 1, as `torch.atleast_2d`."""
    return x if x.ndim >= 2 else x.reshape(1, -1)


@_each
def atleast_3d(x: Tensor) -> Tensor:
    """Matrices with a last dimension of one, vectors as 1 x n x 1, as `torch.atleast_3d`."""
    return x if x.ndim >= 3 else x.unsqueeze(-1) if x.ndim == 2 else x.reshape(1, -1, 1)


def _listed(name: str, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """The operands of a stacking function; TypeError unless a sequence, RuntimeError if empty."""
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not "
            f"{type(tensors).__name__}"
        )
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return tensors


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side: along the second dimension, vectors along the first, as
    `torch.hstack`.
    """
    found = [atleast_1d(x) for x in _listed("hstack", tensors)]
    return core.cat(found, 0 if found[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one below the other, vectors as rows, as `torch.vstack`."""
    return core.cat([atleast_2d(x) for x in _listed("vstack", tensors)], 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one behind the other, along the third dimension, as `torch.dstack`."""
    return core.cat([atleast_3d(x) for x in _listed("dstack", tensors)], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Vectors as the columns of a matrix, as `torch.column_stack`."""
    return core.cat(
        [x.reshape(-1, 1) if x.ndim < 2 else x for x in _listed("column_stack", tensors)], 1
    )


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of a dimension, n almost equal ones or cut at indices, as `torch.tensor_split`.

    >>> import rushlight as rl
    >>> rl.tensor_split(rl.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if not input.ndim:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    axis = normalize_axis(dim, input.ndim)
    extent = input.shape[axis]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {count}")
        least, more = divmod(extent, count)
        lengths = [least + (k < more) for k in range(count)]
        indices_or_sections = list(itertools.accumulate(lengths[:-1]))
    index = (slice(None),) * axis
    cuts = [0, *indices_or_sections, extent]
    return tuple(input[(*index, slice(start, stop))] for start, stop in itertools.pairwise(cuts))


def _split_along(name: str, least: int, direction: Callable[[int], int]) -> Callable:
    def function(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
        if input.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor "
                f"with {input.ndim} dimensions!"
            )
        axis = direction(input.ndim)
        if (
            isinstance(indices_or_sections, int)
            and indices_or_sections
            and input.shape[axis] % indices_or_sections
        ):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {axis}, but the size of the "
                f"dimension {input.shape[axis]} "
                f"is not divisible by the split_size {indices_or_sections}!"
            )
        return tensor_split(input, indices_or_sections, axis)

    function.__name__ = name
    function.__doc__ = f"tensor_split along one direction, in equal pieces, as `torch.{name}`."
    return function


hsplit = _split_along("hsplit", 1, lambda ndim: 0 if ndim == 1 else 1)
vsplit = _split_along("vsplit", 2, lambda ndim: 0)
dsplit = _split_along("dsplit", 3, lambda ndim: 2)


def unravel_index(indices: Tensor, shape: Sequence[int]) -> tuple[Tensor, ...]:
    """Positions in a flat tensor as indices of each dimension, as `torch.unravel_index`."""
    extents = sizes((shape,))
    strides = [prod(extents[k + 1 :]) for k in range(len(extents))]
    if not extents:
        return ()
    indices = core.cast(indices, dtypes.int64)
    return core.stack(
        [(indices // stride) % extent for stride, extent in zip(strides, extents)], -1
    ).unbind(-1)


FUNCTIONS = (
    flip,
    fliplr,
    flipud,
    rot90,
    tile,
    repeat_interleave,
    tril_indices,
    triu_indices,
    diag,
    diagflat,
    block_diag,
    broadcast_tensors,
    meshgrid,
    cartesian_prod,
    combinations,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    hstack,
    vstack,
    dstack,
    column_stack,
    tensor_split,
    hsplit,
    vsplit,
    dsplit,
    unravel_index,
)
METHODS = (
    flip,
    fliplr,
    flipud,
    rot90,
    repeat,
    tile,
    repeat_interleave,
    diag,
    diagflat,
    tensor_split,
    hsplit,
    vsplit,
    dsplit,
)
ALIASES = {"row_stack": vstack}
