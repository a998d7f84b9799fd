"""Elements by position or by mask: the public forms of gather, scatter, index_*, take, put,
masked_select, nonzero.

In: tensors, dimensions, integer tensors or masks. Out: tensors. Invariants: positions that are
known already are checked at the call (PyTorch's error on the user's line), all others when the
program runs (IndexError); only what has a shape that depends on values (`nonzero`,
`masked_select`) reads its operand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.names import titled
from ...base import dtype as dtypes
from ...base.layout import broadcast_shapes, normalize_axis
from ...ops import core, gathering, indexing, masking, movement
from ...ops.common import TYPE_NAMES
from ..conversion import from_array
from ..getitem import check_known, known, mask_positions
from ..tensor import Tensor
from ..values import window


def _check_along(
    input: Tensor, dim: int, index: Tensor, error: type[Exception], message: str, low: int = 0
) -> None:
    """Raise now for known positions outside [low, size) of a dimension; `message` may name
    {index}, {axis}, {size}.
    """
    if not isinstance(index, Tensor):
        raise TypeError(f"argument 'index' must be Tensor, not {type(index).__name__}")
    axis = normalize_axis(dim, input.ndim)
    if not known(index) or not index._layout.numel or index.dtype.kind != "int":
        return
    size = input._layout.shape[axis] if input.ndim else 1
    values = window(index)
    wrong = (values < low * size) | (values >= size)
    if wrong.any():
        raise error(message.format(index=int(values[wrong].flat[0]), axis=axis, size=size))


_OUT_OF_BOUNDS = "index {index} is out of bounds for dimension {axis} with size {size}"


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, out[i][j] = input[i][index[i][j]] for dim 1,
    ..., as `torch.gather`.

    The result has the shape of index, which must not exceed input's in other dimensions.
    RuntimeError otherwise.

    >>> import rushlight as rl
    >>> rl.gather(rl.tensor([[1, 2], [3, 4]]), 1, rl.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    _check_along(input, dim, index, RuntimeError, _OUT_OF_BOUNDS)
    return gathering.gather(input, dim, index)


_scatter_number = titled("ScatterBackward1")(gathering.scatter)


def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
) -> Tensor:
    """input with src (a tensor or number) stored where `gather` would read, as `torch.scatter`.

    reduce="add" or "multiply" combines instead. Of positions met twice the last one counts.

    >>> import rushlight as rl
    >>> rl.scatter(rl.zeros(1, 3), 1, rl.tensor([[2]]), 5.0)
    tensor([[0., 0., 5.]])
    """
    _check_along(input, dim, index, RuntimeError, _OUT_OF_BOUNDS)
    source = value if src is None else src
    if source is None:
        raise TypeError(
            "scatter() missing 1 required argument: 'src' (a tensor) or 'value' (a number)"
        )
    if reduce is None:
        stored = gathering.scatter if isinstance(source, Tensor) else _scatter_number
        return stored(input, dim, index, source)
    if reduce not in ("add", "multiply"):
        raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce}")
    return gathering.scatter_reduce(
        input, dim, index, source, "sum" if reduce == "add" else "prod", True
    )


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """input with src added where `gather` would read, as `torch.scatter_add`.

    >>> import rushlight as rl
    >>> rl.scatter_add(rl.zeros(2), 0, rl.tensor([0, 0, 1]), rl.ones(3))
    tensor([2., 1.])
    """
    _check_along(input, dim, index, RuntimeError, _OUT_OF_BOUNDS)
    return gathering.scatter_add(input, dim, index, src)


def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """src joined into input by sum, prod, mean, amax or amin where `gather` would read, as
    `torch.scatter_reduce`.

    >>> import rushlight as rl
    >>> rl.scatter_reduce(rl.zeros(2), 0, rl.tensor([0, 0, 1]), rl.tensor([1., 3., 2.]), "amax")
    tensor([3., 2.])
    """
    _check_along(input, dim, index, RuntimeError, _OUT_OF_BOUNDS)
    return gathering.scatter_reduce(input, dim, index, src, reduce, include_self)


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of a dimension at the positions of a vector, as `torch.index_select`.

    >>> import rushlight as rl
    >>> rl.index_select(rl.tensor([10, 20, 30]), 0, rl.tensor([2, 0]))
    tensor([30, 10])
    """
    _check_along(input, dim, index, IndexError, f"index out of range in self: {_OUT_OF_BOUNDS}")
    return gathering.index_select(input, dim, index)


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """input with alpha times the slices of source added at the positions of a vector, as
    `torch.index_add`.

    >>> import rushlight as rl
    >>> rl.index_add(rl.zeros(3), 0, rl.tensor([1, 1]), rl.ones(2))
    tensor([0., 2., 0.])
    """
    if input.ndim <= 1:
        _check_along(input, dim, index, IndexError, f"index out of range in self: {_OUT_OF_BOUNDS}")
    else:
        _check_along(input, dim, index, RuntimeError, _OUT_OF_BOUNDS)
    return gathering.index_add(input, dim, index, source, alpha)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """input with the slices of source stored at the positions of a vector, as `torch.index_copy`.

    >>> import rushlight as rl
    >>> rl.index_copy(rl.zeros(3), 0, rl.tensor([2]), rl.ones(1))
    tensor([0., 0., 1.])
    """
    _check_along(input, dim, index, IndexError, f"index_copy_(): {_OUT_OF_BOUNDS}")
    return gathering.index_copy(input, dim, index, source)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """input with one value in the slices at the positions of a vector, as `torch.index_fill`.

    >>> import rushlight as rl
    >>> rl.index_fill(rl.zeros(3), 0, rl.tensor([0, -1]), 7)
    tensor([7., 0., 7.])
    """
    _check_along(input, dim, index, IndexError, _OUT_OF_BOUNDS, low=-1)
    return gathering.index_fill(input, dim, index, value)


@titled("IndexReduceBackward0")
def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """The slices of source joined in by prod, mean, amax or amin at the positions of a vector, as
    `torch.index_reduce`.

    >>> import rushlight as rl
    >>> rl.index_reduce(rl.ones(2), 0, rl.tensor([0, 0]), rl.tensor([2., 3.]), "prod")
    tensor([6., 1.])
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    _check_along(input, dim, index, RuntimeError, _OUT_OF_BOUNDS)
    axis = normalize_axis(dim, source.ndim)
    wide = index.reshape([-1 if d == axis else 1 for d in range(source.ndim)]).expand(source.shape)
    return gathering.scatter_reduce(input, dim, wide, source, reduce, include_self)


def index_put(
    input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False
) -> Tensor:
    """input with input[indices] = values, or += with accumulate, as `torch.index_put`.

    >>> import rushlight as rl
    >>> rl.zeros(3).index_put((rl.tensor([1, 1]),), rl.ones(2), accumulate=True)
    tensor([0., 2., 0.])
    """
    if len(indices) > input.ndim:
        raise IndexError(
            f"too many indices for tensor of dimension {input.ndim} (got {len(indices)})"
        )
    positions: list[Tensor] = []
    for index in indices:
        if not isinstance(index, Tensor):
            raise TypeError(
                f"expected Tensor as element {len(positions)} in argument 0, but got "
                f"{type(index).__name__}"
            )
        if index.dtype in (dtypes.bool_, dtypes.uint8):
            positions.extend(mask_positions(index))
        else:
            if index.dtype not in (dtypes.int64, dtypes.int32):
                raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
            check_known(index, input._layout.shape[len(positions)], len(positions))
            positions.append(index)
    return indexing.index_write(
        input, positions, values, tuple(range(len(positions))), 0, accumulate
    )


def _flat_positions(input: Tensor, index: Tensor) -> Tensor:
    """Positions among all elements, checked where they are known."""
    if index.dtype is not dtypes.int64:
        raise RuntimeError(
            f"take(): Expected a long tensor for index, but got {TYPE_NAMES[index.dtype.name]}"
        )
    size = input._layout.numel
    if known(index) and index._layout.numel:
        values = window(index)
        wrong = (values < -size) | (values >= size)
        if wrong.any():
            raise IndexError(
                f"out of range: tried to access index {int(values[wrong].flat[0])} on a tensor of "
                f"{size} elements."
            )
    return index


@titled("TakeBackward0", guarded=(0,))
def take(input: Tensor, index: Tensor) -> Tensor:
    """Elements of input, seen as one row, at positions; the result has index's shape. Follows
    `torch.take`.

    >>> import rushlight as rl
    >>> rl.take(rl.tensor([[4, 3], [5, 8]]), rl.tensor([0, -1]))
    tensor([4, 8])
    """
    return indexing.index(input.reshape(-1), [_flat_positions(input, index)], (0,), 0)


@titled("PutBackward0", guarded=(2,))
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """input with source stored (or added) at positions of it seen as one row, as `torch.put`.

    >>> import rushlight as rl
    >>> rl.put(rl.zeros(2, 2), rl.tensor([3, 0]), rl.tensor([1., 2.]))
    tensor([[2., 0.],
            [0., 1.]])
    """
    if source.numel() != index.numel():
        raise RuntimeError(
            "put_(): Expected source and index to have the same number of elements, but got "
            "source.numel() = "
            f"{source.numel()}, index.numel() = {index.numel()}"
        )
    positions = _flat_positions(input, index).reshape(-1)
    made = indexing.index_write(
        input.reshape(-1), [positions], source.reshape(-1), (0,), 0, accumulate
    )
    return made.reshape(input.shape)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """gather with input and indices broadcast against each other outside of dim, where negative
    indices count from the end, as `torch.take_along_dim`.

    >>> import rushlight as rl
    >>> x = rl.tensor([[30, 10], [20, 40]])
    >>> rl.take_along_dim(x, rl.argsort(x, dim=1), dim=1)
    tensor([[10, 30],
            [20, 40]])
    """
    if indices.dtype is not dtypes.int64:
        raise RuntimeError(
            "take_along_dim(): dtype of indices should be Long but got "
            f"{TYPE_NAMES[indices.dtype.name]}"
        )
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            "but got "
            f"{input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    axis = normalize_axis(dim, input.ndim)
    shape = broadcast_shapes(
        *[[1 if d == axis else n for d, n in enumerate(x.shape)] for x in (input, indices)]
    )
    wide = [
        x.expand([x.shape[d] if d == axis else n for d, n in enumerate(shape)])
        for x in (input, indices)
    ]
    places = core.where(wide[1] < 0, wide[1] + wide[0].shape[axis], wide[1])
    return gather(wide[0], axis, places)


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of elements that are not zero, one row each (or, as_tuple, one vector a
    dimension); reads input.

    Follows `torch.nonzero`.

    >>> import rushlight as rl
    >>> rl.nonzero(rl.tensor([0, 3, 5]))
    tensor([[1],
            [2]])
    """
    if as_tuple and not input.ndim:
        input = input.reshape(1)
    found = window(input)
    rows = (
        np.argwhere(found).reshape(-1, input.ndim) if found.ndim else np.zeros((int(found != 0), 0))
    )
    made = (
        from_array(np.asfortranarray(rows).T, dtypes.int64).T
        if input.ndim
        else from_array(rows, dtypes.int64)
    )
    return made.unbind(1) if as_tuple else made


def argwhere(input: Tensor) -> Tensor:
    """The indices of elements that are not zero, a row each, as `torch.argwhere` (reads input)."""
    return nonzero(input)


def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """`nonzero` with `size` rows whatever the values are: the first ones, or filled up with
    `fill_value`, as `torch.nonzero_static`. RuntimeError for a negative size.

    >>> import rushlight as rl
    >>> rl.nonzero_static(rl.tensor([0, 3]), size=2)
    tensor([[ 1],
            [-1]])
    """
    if size < 0:
        raise RuntimeError(
            f"nonzero_static: 'size' must be an non-negative integer, but got {size}"
        )
    found = nonzero(input.detach())[:size]
    rest = core.full((size - found.shape[0], input.ndim), fill_value, dtypes.int64)
    return core.contiguous(core.cat([found, rest], 0))


def _kept_inside(input: Tensor, indices: Sequence[Tensor | None]) -> tuple[Any, ...]:
    """Indices of a subscription, those outside of their dimension moved to its nearest end."""
    kept: list[Any] = []
    for size, index in zip(input.shape, indices):
        kept.append(slice(None) if index is None else index.clamp(-size, size - 1))
    return tuple(kept)


def _unsafe_masked_index(
    input: Tensor, mask: Tensor, indices: Sequence[Tensor | None], fill: Any
) -> Tensor:
    """input[indices] where the mask holds, `fill` elsewhere, as `torch._unsafe_masked_index`:
    there the indices may be out of range.
    """
    if not input.numel():
        return core.full(tuple(mask.shape), fill, input.dtype)
    return input[_kept_inside(input, indices)].masked_fill(~mask, fill)


def _unsafe_masked_index_put_accumulate(
    input: Tensor, mask: Tensor, indices: Sequence[Tensor | None], values: Tensor
) -> Tensor:
    """input with the values added at the indices where the mask holds, as
    `torch._unsafe_masked_index_put_accumulate`: elsewhere the indices may be out of range.
    """
    if not input.numel():
        return core.clone(input)
    positions = _kept_inside(input, indices)
    return index_put(input, positions, values.masked_fill(~mask, 0), accumulate=True)


@titled("MaskedSelectBackward0", guarded=(0, 1))
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds, in order, as a vector, as `torch.masked_select` (reads
    the mask).

    >>> import rushlight as rl
    >>> rl.masked_select(rl.tensor([1, 2, 3]), rl.tensor([True, False, True]))
    tensor([1, 3])
    """
    masking.require_mask("masked_select", mask)
    shape = broadcast_shapes(input.shape, mask.shape)
    if not shape:
        return input.reshape(1) if bool(mask) else input.reshape(1)[:0]
    positions = mask_positions(mask.expand(shape))
    return indexing.index(input.expand(shape), positions, tuple(range(len(shape))), 0)


# --- a part replaced ------------------------------------------------------------------------------


def _replaced(input: Tensor, view: Any, src: Tensor) -> Tensor:
    """A copy of input whose part that `view` shows is overwritten by src, of the same shape."""
    result = core.clone(input)
    part = view(result)
    _require_shape(part, src)
    part.copy_(src)
    return result


def _require_shape(part: Tensor, src: Tensor) -> None:
    """RuntimeError unless src fills the part."""
    if tuple(part.shape) != tuple(src.shape):
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src.shape)}, "
            f"slice size = {list(part.shape)}"
        )


@titled("SelectScatterBackward0")
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """input with input.select(dim, index) replaced by src, as `torch.select_scatter`."""
    return _replaced(input, lambda x: x.select(dim, index), src)


@titled("SliceScatterBackward0")
def slice_scatter(
    input: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """input with a slice of a dimension replaced by src, as `torch.slice_scatter`."""
    axis = normalize_axis(dim, input.ndim)
    return _replaced(input, lambda x: x[(slice(None),) * axis + (slice(start, end, step),)], src)


@titled("DiagonalScatterBackward0")
def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """input with a diagonal replaced by src, as `torch.diagonal_scatter`."""
    return _replaced(input, lambda x: x.diagonal(offset, dim1, dim2), src)


def as_strided_scatter(
    input: Tensor,
    src: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    storage_offset: int | None = None,
) -> Tensor:
    """input with the window as_strided(size, stride, storage_offset) replaced by src, as
    `torch.as_strided_scatter`.

    As in PyTorch, the gradient of input is that of the window, and zero around it. RuntimeError
    where a gradient is wanted of an input that is not contiguous.
    """
    offset = 0 if storage_offset is None else storage_offset - input.storage_offset()
    if not input.requires_grad:
        return _replaced(input, lambda x: x.as_strided(size, stride, offset), src)
    if not input.is_contiguous():
        raise RuntimeError(
            "as_strided_scatter: an input that requires grad must be contiguous, but it has the "
            f"strides {tuple(input.stride())}"
        )
    _require_shape(input.detach().as_strided(size, stride, storage_offset), src)
    return movement.write_window(input, src, tuple(stride), offset)


FUNCTIONS = (
    gather,
    scatter,
    scatter_add,
    scatter_reduce,
    index_select,
    index_add,
    index_copy,
    index_fill,
    index_reduce,
    index_put,
    take,
    put,
    take_along_dim,
    nonzero,
    nonzero_static,
    _unsafe_masked_index,
    _unsafe_masked_index_put_accumulate,
    argwhere,
    masked_select,
    select_scatter,
    slice_scatter,
    diagonal_scatter,
    as_strided_scatter,
)
METHODS = tuple(f for f in FUNCTIONS if not f.__name__.startswith("_"))
IN_PLACE = (
    "scatter",
    "scatter_add",
    "scatter_reduce",
    "index_add",
    "index_copy",
    "index_fill",
    "index_reduce",
    "index_put",
    "put",
)
