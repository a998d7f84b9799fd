"""Shapes and strides: `Size`, and the interned `Layout` that every tensor carries.

In: tuples of ints. Out: immutable objects. Invariant: two tensors with equal shape, strides,
offset, dtype, device and batch axes hold the very same Layout object, so comparing and hashing one
costs nothing (the recording path lives on that).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from operator import index
from typing import Any

from .device import CPU, device
from .dtype import dtype


def _whole(place: int, item: Any) -> int:
    """What counts as an integer (bools, NumPy's numbers, tensors of one) as one."""
    try:
        return index(item)
    except TypeError:
        raise TypeError(
            f"torch.Size() takes an iterable of 'int' (item {place} is '{type(item).__name__}')"
        ) from None


class Size(tuple[int, ...]):
    """A shape: a tuple of ints that prints and slices as `torch.Size`.

    TypeError where an element is no integer.

    >>> import rushlight as rl
    >>> rl.Size([2, 3]) + (4,)
    torch.Size([2, 3, 4])
    """

    __slots__ = ()

    def __new__(cls, sizes: Iterable[Any] = ()) -> Size:
        whole = tuple(sizes)
        for item in whole:
            if item.__class__ is not int:
                return tuple.__new__(cls, map(_whole, range(len(whole)), whole))
        return tuple.__new__(cls, whole)

    def numel(self) -> int:
        """The product of the extents."""
        return prod(self)

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    __str__ = __repr__

    def __getitem__(self, place: Any) -> Any:
        got = tuple.__getitem__(self, place)
        return tuple.__new__(Size, got) if isinstance(place, slice) else got

    def __add__(self, other: tuple[int, ...]) -> Size:  # type: ignore[override]
        return Size(tuple.__add__(self, tuple(other)))

    def __radd__(self, other: tuple[int, ...]) -> Size:
        return Size(tuple(other) + tuple(self))

    def __mul__(self, count: int) -> Size:  # type: ignore[override]
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__  # type: ignore[assignment]

    def __reduce__(self) -> tuple[object, ...]:
        return Size, (tuple(self),)


BatchAxis = tuple[int, int, int]  # a vmap's level, the extent, the stride


class Layout:
    """Shape, strides, offset (in elements), dtype and device of a tensor.

    Make one with `layout_of` or `with_batch` only. `batch` are the axes that vmap hides, as (level,
    extent, stride) by rising level; all else speaks of one example. `whole` is the layout in which
    they are ordinary dimensions, in front.
    """

    __slots__ = (
        "batch",
        "contiguous",
        "device",
        "dtype",
        "ndim",
        "numel",
        "offset",
        "shape",
        "strides",
        "whole",
    )

    contiguous: bool
    ndim: int
    numel: int
    shape: Size
    strides: tuple[int, ...]
    offset: int
    dtype: dtype
    device: device
    batch: tuple[BatchAxis, ...]
    whole: Layout

    def __repr__(self) -> str:
        strides = "" if self.contiguous else f" strides {list(self.strides)}"
        where = f" at {self.offset}" if self.offset else ""
        each = "".join(f" of each of {extent}" for _, extent, _ in self.batch)
        return f"{self.dtype.name}{list(self.shape)}{strides}{where}{each}"

    def dense(self) -> bool:
        """True where the elements fill [0, numel) of the storage, each once, in whatever order of
        dimensions.
        """
        return not self.offset and (self.contiguous or is_dense(self.shape, self.strides))

    def reach(self) -> int:
        """One more than the largest storage index that an element has; 0 for an empty tensor."""
        if self.numel == 0:
            return 0
        return self.offset + sum((n - 1) * st for n, st in zip(self.shape, self.strides)) + 1


_interned: dict[tuple[Any, ...], Layout] = {}


def layout_of(
    shape: Iterable[int], strides: Sequence[int], offset: int, dtype: dtype, device: device = CPU
) -> Layout:
    """The one Layout of these facts."""
    key = (tuple(shape), tuple(strides), offset, dtype, device)
    found = _interned.get(key)
    if found is None:
        found = Layout()
        found.shape, found.strides, found.offset, found.dtype, found.device = (
            tuple.__new__(Size, key[0]),
            key[1],
            offset,
            dtype,
            device,
        )
        found.ndim = len(found.shape)
        found.numel = prod(found.shape)
        found.contiguous = is_contiguous(found.shape, found.strides)
        found.batch = ()
        found.whole = found
        if len(_interned) > 200_000:
            # a program that makes ever-new shapes must not grow without bound
            _interned.clear()
        _interned[key] = found
    return found


_batched: dict[tuple[Any, ...], Layout] = {}


def with_batch(example: Layout, batch: Iterable[BatchAxis]) -> Layout:
    """The one layout of examples like `example`, with these hidden axes (in place of those it
    has).
    """
    axes = tuple(sorted(batch))
    plain = (example.shape, example.strides, example.offset, example.dtype, example.device)
    if not axes:
        return layout_of(*plain)
    key = (*plain, axes)
    found = _batched.get(key)
    if found is None:
        found = Layout()
        found.shape, found.strides, found.offset, found.dtype, found.device = plain
        found.ndim, found.numel, found.contiguous = example.ndim, example.numel, example.contiguous
        found.batch = axes
        found.whole = layout_of(
            (*(extent for _, extent, _ in axes), *example.shape),
            (*(stride for _, _, stride in axes), *example.strides),
            *plain[2:],
        )
        if len(_batched) > 200_000:
            _batched.clear()
        _batched[key] = found
    return found


def batch_seen_as(layout: Layout, type_: dtype) -> list[BatchAxis]:
    """The batch axes of a layout, their strides counted in elements of another type."""
    old, new = layout.dtype.itemsize, type_.itemsize
    return [(level, extent, stride * old // new) for level, extent, stride in layout.batch]


def contiguous_layout(shape: Iterable[int], dtype: dtype, device: device = CPU) -> Layout:
    """The row-major layout of a fresh tensor."""
    shape = tuple(shape)
    return layout_of(shape, contiguous_strides(shape), 0, dtype, device)


def contiguous_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides; a zero extent counts as one, as in PyTorch."""
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))


def channels_last_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of N, spatial..., C order for 4-D (channels_last) and 5-D (channels_last_3d)
    shapes.
    """
    order = [0, *range(2, len(shape)), 1]
    return ordered_strides(shape, order)


def ordered_strides(shape: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Dense strides in which dimension order[0] varies slowest and order[-1] fastest."""
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)


def is_contiguous(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Row-major without gaps; strides of dimensions of length one do not matter."""
    step = 1
    for extent, stride in zip(reversed(shape), reversed(strides)):
        if extent == 0:
            return True
        if extent != 1:
            if stride != step:
                return False
            step *= extent
    return True


def is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Without gaps or overlaps, in whatever order of dimensions."""
    expected = 1
    for stride, extent in sorted((st, n) for st, n in zip(strides, shape) if n != 1):
        if stride != expected:
            return False
        expected *= extent
    return True


def suggests_channels_last(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether operations that know memory formats give their results channels-last (4-D) or
    channels-last-3d (5-D) for such an operand: gaps do not matter, and the strides of dimensions of
    length one tell the formats apart where the others do not (a row-major N x 1 x H x W has a
    channel stride of H W, a channels-last one of 1).
    """
    if len(shape) not in (4, 5) or strides[1] == 0:
        return False
    least = 0
    for axis in (1, *range(len(shape) - 1, 1, -1), 0):
        if shape[axis] == 0 or strides[axis] < least:
            return False
        if axis == 0 and least == strides[1]:  # N x 1 x 1 x 1: as good as row-major
            return False
        least = strides[axis] * shape[axis]
    return True


def is_channels_last(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """`is_contiguous(memory_format=channels_last)` of a 4-D (or, alike, a 5-D) shape."""
    if len(shape) not in (4, 5) or len(strides) != len(shape):
        return False
    step = 1
    for axis in [1, *range(len(shape) - 1, 1, -1), 0]:
        if shape[axis] != 1:
            if strides[axis] != step:
                return False
            step *= shape[axis]
    return True


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """NumPy's and PyTorch's broadcasting.

    RuntimeError naming the sizes and the (last) dimension that differ.
    """
    rank = max((len(s) for s in shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        pad = rank - len(shape)
        for axis in reversed(range(len(shape))):
            have, extent = result[pad + axis], shape[axis]
            if have == 1:
                result[pad + axis] = extent
            elif extent not in (1, have):
                raise RuntimeError(
                    f"The size of tensor a ({have}) must match the size of tensor b ({extent}) at "
                    f"non-singleton dimension {pad + axis}: shapes "
                    f"{' and '.join(str(list(s)) for s in shapes)} do not broadcast"
                )
    return tuple(result)


def view_strides(
    shape: Sequence[int], strides: Sequence[int], new_shape: Sequence[int]
) -> tuple[int, ...] | None:
    """Strides under which the same memory has `new_shape`, or None where only a copy can have it.

    Runs of old dimensions that are contiguous among themselves form one span; every new dimension
    must divide a span.
    """
    numel = prod(shape)
    if numel == 0:
        return contiguous_strides(new_shape)
    result = [0] * len(new_shape)
    position = len(new_shape) - 1
    step, available = (strides[-1] if strides else 1), 1
    for axis in range(max(len(shape), 1) - 1, -1, -1):
        available *= shape[axis] if shape else 1
        if axis > 0 and (shape[axis - 1] == 1 or strides[axis - 1] == available * step):
            continue  # the next dimension continues this span
        taken = 1
        while position >= 0 and (taken < available or new_shape[position] == 1):
            result[position] = taken * step
            taken *= new_shape[position]
            position -= 1
        if taken != available:
            return None
        if axis > 0:
            step, available = strides[axis - 1], 1
    return tuple(result) if position == -1 else None


def normalize_axis(axis: int, ndim: int) -> int:
    """A dimension counted from the front.

    IndexError outside [-ndim, ndim), a 0-d tensor counting as 1-d.
    """
    bound = max(ndim, 1)
    if not -bound <= axis < bound:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got "
            f"{axis})"
        )
    return axis + bound if axis < 0 else axis


def normalize_axes(axes: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Several dimensions counted from the front, None or () for all.

    RuntimeError where one is named twice.
    """
    if axes is None:
        return tuple(range(ndim))
    found = (
        (normalize_axis(axes, ndim),)
        if isinstance(axes, int)
        else tuple(normalize_axis(a, ndim) for a in axes)
    )
    if not found:
        return tuple(range(ndim))
    if len(set(found)) != len(found):
        twice = next(a for a in found if found.count(a) > 1)
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    return tuple(a for a in found if a < ndim)
