"""What stands between the brackets of `x[...]`, taken apart.

In: a Python index expression and the shape it is applied to. Out: view steps (select, slice,
unsqueeze), then advanced indices on the dimensions of the view that the steps lead to, all checked
as far as that goes without reading a tensor's values. Invariant: nothing here knows the Tensor
class; a tensor is whatever `is_tensor` says is one and has `shape`, `dtype` (printed as
"torch.int64", ...) and `item()`.

    x[2, None, mask, 1:, idx] -> select(0, 2), unsqueeze(0), slice(..., 1, ...) | mask, idx
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Predicate: TypeAlias = Callable[[object], bool]

# longer lists are tensors of indices without looking at their elements, as in NumPy of old
_LONGEST_IMPLIED_TUPLE = 31
_INT64_LIMIT = 1 << 63
_MASK_DTYPES = ("bool", "uint8")
_INDEX_DTYPES = ("int64", "int32")
_INTEGER_PREFIXES = ("int", "uint")


class Select(NamedTuple):
    """Take element `at` (not negative) of dimension `dim`, which disappears."""

    dim: int
    at: int


class Slice(NamedTuple):
    """Keep elements start, start + step, ... below stop of dimension `dim`; 0 <= start <= stop."""

    dim: int
    start: int
    stop: int
    step: int


class Unsqueeze(NamedTuple):
    """Put a new dimension of size 1 before dimension `dim`."""

    dim: int


class Advanced(NamedTuple):
    """An index by values: a tensor as it was given, or an array that the index was written as.

    `dim` is the (first) dimension of the view that it indexes; a mask covers as many as it has
    itself, integers one.
    """

    dim: int
    values: Any
    is_mask: bool

    @property
    def span(self) -> int:
        """How many dimensions of the view it covers."""
        return len(self.values.shape) if self.is_mask else 1


class ParsedIndex(NamedTuple):
    """View steps in order, the shape they lead to, the advanced indices by dimension.

    `position` is where the dimensions of the broadcast advanced indices go in the result: where the
    indices stand if they stand side by side, else first.
    """

    steps: tuple[Select | Slice | Unsqueeze, ...]
    shape: tuple[int, ...]
    advanced: tuple[Advanced, ...]
    position: int

    def result_shape(self, index_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of the result where the advanced indices broadcast to `index_shape`."""
        covered = {entry.dim + at for entry in self.advanced for at in range(entry.span)}
        kept = [size for dim, size in enumerate(self.shape) if dim not in covered]
        if not self.advanced:
            return tuple(kept)
        return (*kept[: self.position], *index_shape, *kept[self.position :])


def parse_index(index: object, shape: Sequence[int], is_tensor: Predicate) -> ParsedIndex:
    """Take an index expression apart, as `torch.Tensor.__getitem__` understands it.

    Raises IndexError for an int out of range, too many indices, a mask of another shape, integer
    indices that do not broadcast, or a tensor of a dtype that is no index; ValueError for a slice
    step below one; TypeError for what cannot be an index.

    >>> parse_index((1, None, [0, 2]), (4, 5), lambda value: False)
    ParsedIndex(steps=(Select(dim=0, at=1), Unsqueeze(dim=0)), shape=(1, 5), \
advanced=(Advanced(dim=1, values=array([0, 2]), is_mask=False),), position=1)
    """
    if not shape:
        _check_scalar(index)
    items = [_normalized(item, is_tensor) for item in _as_tuple(index, is_tensor)]
    specified = sum(_specified_dims(item, is_tensor) for item in items)
    if specified > len(shape):
        raise IndexError(
            f"too many indices for tensor of dimension {len(shape)}: {specified} were given for "
            f"shape {list(shape)}"
        )
    cursor = _Cursor(shape, len(shape) - specified)
    for item in items:
        cursor.take(item, is_tensor)
    return cursor.finish()


class _Cursor:
    """Walks over the dimensions of the view while items are taken one after another."""

    __slots__ = ("advanced", "dim", "free", "shape", "steps")

    def __init__(self, shape: Sequence[int], free: int) -> None:
        self.shape = list(shape)
        self.free = free
        self.dim = 0
        self.steps: list[Select | Slice | Unsqueeze] = []
        self.advanced: list[Advanced] = []

    def take(self, item: Any, is_tensor: Predicate) -> None:
        """Apply one normalized item at the current dimension."""
        if item is Ellipsis:
            self.dim += self.free
            # a second one stands for nothing
            self.free = 0
        elif item is None:
            self._unsqueeze()
            self.dim += 1
        elif isinstance(item, bool):
            self._unsqueeze()
            # a new dimension, kept or emptied: index 0 of it, or no index
            self._advance(np.zeros(int(item), np.int64), is_mask=False)
        elif isinstance(item, slice):
            self._slice(item)
        elif isinstance(item, int):
            self._select(item)
        else:
            self._advance(item, is_mask=_dtype_name(item) in _MASK_DTYPES)

    def finish(self) -> ParsedIndex:
        """Check the advanced indices against the view that came out."""
        for entry in self.advanced:
            if entry.is_mask:
                _check_mask(entry, self.shape)
        if not any(entry.is_mask for entry in self.advanced):
            broadcast_index_shapes([tuple(entry.values.shape) for entry in self.advanced])
        return ParsedIndex(
            tuple(self.steps), tuple(self.shape), tuple(self.advanced), _position(self.advanced)
        )

    def _unsqueeze(self) -> None:
        self.steps.append(Unsqueeze(self.dim))
        self.shape.insert(self.dim, 1)

    def _select(self, index: int) -> None:
        size = self.shape[self.dim]
        if not -size <= index < size:
            if not -_INT64_LIMIT <= index < _INT64_LIMIT:
                raise ValueError(f"Overflow when unpacking long long: {index} as an index")
            # the dimension is named as the user counts it: without the new ones, with those gone
            raise IndexError(
                f"index {index} is out of bounds for dimension {self._user_dim()} with size {size}"
            )
        self.steps.append(Select(self.dim, index % size))
        del self.shape[self.dim]

    def _user_dim(self) -> int:
        change = {Select: 1, Slice: 0, Unsqueeze: -1}
        return self.dim + sum(change[type(step)] for step in self.steps)

    def _slice(self, item: slice) -> None:
        size = self.shape[self.dim]
        step = 1 if item.step is None else operator.index(item.step)
        if step < 1:
            raise ValueError(
                "step must be greater than zero" if step else "slice step cannot be zero"
            )
        start, stop, step = slice(item.start, item.stop, step).indices(size)
        stop = max(start, stop)
        if (start, stop, step) != (0, size, 1):
            self.steps.append(Slice(self.dim, start, stop, step))
            self.shape[self.dim] = -((start - stop) // step)
        self.dim += 1

    def _advance(self, values: Any, *, is_mask: bool) -> None:
        entry = Advanced(self.dim, values, is_mask)
        self.advanced.append(entry)
        self.dim += entry.span


def _position(advanced: Sequence[Advanced]) -> int:
    if not advanced:
        return 0
    adjacent = all(first.dim + first.span == second.dim for first, second in pairwise(advanced))
    return advanced[0].dim if adjacent else 0


def _as_tuple(index: object, is_tensor: Predicate) -> tuple[object, ...]:
    """The items of an index: a tuple's, or the index itself as the only one.

    A short list that holds tensors, sequences, slices, None or ... counts as a tuple too, with
    PyTorch's warning.
    """
    if isinstance(index, tuple):
        return index
    if (
        isinstance(index, (int, slice))
        or is_tensor(index)
        or not isinstance(index, Sequence)
        or len(index) > _LONGEST_IMPLIED_TUPLE
    ):
        return (index,)
    if not any(
        item is None
        or item is Ellipsis
        or isinstance(item, (slice, Sequence, np.ndarray))
        or is_tensor(item)
        for item in index
    ):
        return (index,)
    warnings.warn(
        "Using a non-tuple sequence for multidimensional indexing is deprecated; use x[tuple(seq)] "
        "instead of x[seq], or x[torch.tensor(seq)] for a tensor of indices",
        stacklevel=4,
    )
    return tuple(index)


def _normalized(item: Any, is_tensor: Predicate) -> Any:
    """One item as None, Ellipsis, a slice, a bool, an int, a tensor or an array of indices."""
    if item is None or item is Ellipsis or isinstance(item, (int, slice)):
        return item
    if is_tensor(item):
        return _tensor_index(item)
    if isinstance(item, np.ndarray):
        return _array_index(item)
    if isinstance(item, Sequence):
        return _array_index(_sequence_array(item, is_tensor))
    try:
        return operator.index(item)
    except TypeError:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
            f"valid indices (got {_type_name(item)})"
        ) from None


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _dtype_name(index: Any) -> str:
    return str(index.dtype).removeprefix("torch.")


def _tensor_index(tensor: Any) -> Any:
    """A tensor as an index: a scalar one counts as its value, for which it must be read (but under
    vmap, where it has one for each example).
    """
    name = _dtype_name(tensor)
    is_integral = name == "bool" or name.startswith(_INTEGER_PREFIXES)
    hidden = getattr(getattr(tensor, "_layout", None), "batch", ())
    if len(tensor.shape) == 0 and is_integral and not hidden:
        value = tensor.item()
        return bool(value) if name in _MASK_DTYPES else int(value)
    if name not in _MASK_DTYPES + _INDEX_DTYPES:
        raise IndexError(
            "tensors used as indices must be long, int, byte or bool tensors, not "
            f"{tensor.dtype} of shape {list(tensor.shape)}"
        )
    return _warned_of_bytes(tensor)


def _array_index(array: NDArray[Any]) -> Any:
    """A NumPy array as an index: bool and uint8 are masks, all other numbers become int64."""
    if array.dtype.kind not in "biuf":
        raise TypeError(f"can't index with an array of type numpy.{array.dtype}: only with numbers")
    is_mask = array.dtype.name in _MASK_DTYPES
    if array.ndim == 0:
        return bool(array) if is_mask else int(array)
    return _warned_of_bytes(array) if is_mask else array.astype(np.int64)


def _warned_of_bytes(mask: Any) -> Any:
    if _dtype_name(mask) == "uint8":
        warnings.warn(
            "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool "
            "instead.",
            stacklevel=5,
        )
    return mask


def _sequence_array(items: Sequence[Any], is_tensor: Predicate) -> NDArray[Any]:
    """Nested sequences of numbers as an array; tensors among them count as their values."""
    if isinstance(items, str):
        raise TypeError(f"new(): invalid data type 'str': {items!r} is not an index")
    values = _without_tensors(items, is_tensor)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"expected sequences of one length at each level: {error}") from None
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"cannot index with {items!r}: not all of it are integers or bools")
    # a list that mixes bools and ints counts as ints
    return array if array.dtype.kind == "b" else array.astype(np.int64)


def _without_tensors(items: Any, is_tensor: Predicate) -> Any:
    if is_tensor(items):
        if math.prod(items.shape) != 1:
            raise TypeError(
                "only integer tensors of a single element can be converted to an index: in a list "
                f"stands one of shape {list(items.shape)}"
            )
        return items.item()
    if isinstance(items, Sequence) and not isinstance(items, (str, range)):
        return [_without_tensors(item, is_tensor) for item in items]
    return items


def _specified_dims(item: Any, is_tensor: Predicate) -> int:
    """How many dimensions of the tensor one normalized item uses up."""
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    if isinstance(item, (int, slice)):
        return 1
    return len(item.shape) if _dtype_name(item) in _MASK_DTYPES else 1


def _check_scalar(index: object) -> None:
    """The two mistakes that tensors without dimensions invite have messages of their own."""
    if isinstance(index, int) and not isinstance(index, bool):
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` "
            "in C++ to convert a 0-dim tensor to a number"
        )
    if isinstance(index, slice):
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")


def _check_mask(entry: Advanced, shape: Sequence[int]) -> None:
    for at, size in enumerate(entry.values.shape):
        if size != shape[entry.dim + at]:
            raise IndexError(
                f"The shape of the mask {list(entry.values.shape)} at index {at} does not match "
                f"the shape of the indexed tensor {list(shape)} at index {entry.dim + at}"
            )


def broadcast_index_shapes(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that indices of these shapes broadcast to; IndexError where they do not."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(str(list(shape)) for shape in shapes)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {listed}"
        ) from None


def check_bounds(indices: NDArray[np.integer], size: int, number: int) -> None:
    """IndexError for the first of the values that is not in [-size, size).

    `number` says which of the advanced indices they are: PyTorch counts those only. It does not
    look at the values at all where the result has no element and `size` is not 0.
    """
    if indices.size and size == 0:
        raise IndexError("index is out of bounds for dimension with size 0")
    outside = (indices < -size) | (indices >= size)
    if outside.any():
        worst = int(indices[outside][0])
        raise IndexError(f"index {worst} is out of bounds for dimension {number} with size {size}")
