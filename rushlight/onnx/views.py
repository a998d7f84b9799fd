"""Strided views, as ONNX can say them.

In: a value, the strides of its memory, and the strides, shape and offset of a view of it. Out: the
view's value. Invariant: whatever the strides, the result has the elements that the view shows;
simple forms are found where they exist, flat indices do the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy

from .graph import Builder, Value, constant


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides."""
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))


def _row_major(shape: Sequence[int], strides: Sequence[int]) -> bool:
    wanted = contiguous(shape)
    return all(n == 1 or s == w for n, s, w in zip(shape, strides, wanted))


def in_memory_order(build: Builder, x: Value, own: Sequence[int]) -> Value:
    """x with its dimensions in the order in which its memory has them."""
    if _row_major(x.shape, own):
        return x
    order = sorted(range(len(own)), key=lambda axis: (-own[axis], -x.shape[axis], axis))
    turned = build.transpose(x, order)
    if not _row_major(turned.shape, [own[axis] for axis in order]):
        raise build.refuse("a value whose memory has gaps")
    return turned


def view(
    build: Builder,
    x: Value,
    own: Sequence[int],
    shape: Sequence[int],
    strides: Sequence[int],
    offset: int,
) -> Value:
    """The view of x's memory (laid out with strides `own`)."""
    shape, strides = tuple(shape), tuple(strides)
    if shape == x.shape and not offset and tuple(own) == strides:
        return x
    order = _permutation(x.shape, own, shape, strides)
    if order is not None and not offset:
        return build.transpose(x, order)
    memory = in_memory_order(build, x, own)
    size = prod(memory.shape)
    if not offset and prod(shape) == size and _row_major(shape, strides):
        return build.reshape(memory, shape)
    if 0 in shape:
        return build.full(build.reshape(constant(numpy.zeros(0), x.dtype), [0] * len(shape)), shape)
    return _by_axes(build, memory, shape, strides, offset) or _by_indices(
        build, memory, shape, strides, offset
    )


def _permutation(
    old: Sequence[int], own: Sequence[int], new: Sequence[int], strides: Sequence[int]
) -> list[int] | None:
    """The order of the old dimensions that the new ones are, if they are nothing else."""
    if len(old) != len(new) or 0 in old:
        return None
    free = list(range(len(old)))
    order = []
    for extent, stride in zip(new, strides):
        same = [axis for axis in free if old[axis] == extent and (own[axis] == stride)]
        same += [axis for axis in free if old[axis] == extent == 1 and axis not in same]
        if not same:
            return None
        order.append(same[0])
        free.remove(same[0])
    return order


def _by_axes(
    build: Builder, memory: Value, shape: Sequence[int], strides: Sequence[int], offset: int
) -> Value | None:
    """Reshape, Slice, Transpose and Expand: where every stride divides the next larger one."""
    moving = sorted(
        (axis for axis, n in enumerate(shape) if n > 1 and strides[axis] > 0),
        key=lambda axis: -strides[axis],
    )
    size = prod(memory.shape)
    factors: list[int] = []
    starts: list[int] = []
    lengths: list[int] = []
    above = size
    rest = offset
    for stride, length in [*((strides[axis], shape[axis]) for axis in moving), (1, 1)]:
        if above % stride or (not factors and stride > size):
            return None
        extent = above // stride
        start = rest // stride
        rest -= start * stride
        if start + length > extent:
            return None
        factors.append(extent)
        starts.append(start)
        lengths.append(length)
        above = stride
    parts = build.reshape(memory, factors)
    parts = build.slice(parts, starts, lengths, [1] * len(factors))
    # the last factor was the rest below the smallest stride
    ordered = sorted(range(len(moving)), key=lambda k: moving[k])
    parts = build.reshape(parts, lengths[:-1])
    parts = build.transpose(parts, ordered)
    thin = [n if n > 1 and strides[axis] > 0 else 1 for axis, n in enumerate(shape)]
    return build.full(build.reshape(parts, thin), shape)


def _by_indices(
    build: Builder, memory: Value, shape: Sequence[int], strides: Sequence[int], offset: int
) -> Value:
    """Flat indices: overlapping windows, and strides that do not divide one another."""
    places = flat_places(shape, strides, offset)
    flat = build.reshape(memory, [prod(memory.shape)])
    return build.make("Gather", [flat, constant(places, "int64")], shape, memory.dtype, axis=0)


def flat_places(shape: Sequence[int], strides: Sequence[int], offset: int) -> numpy.ndarray:
    """Where in memory each element of a view is."""
    places = numpy.full(tuple(shape), offset, "int64")
    for axis, (extent, stride) in enumerate(zip(shape, strides)):
        along = [1] * len(shape)
        along[axis] = extent
        places += (numpy.arange(extent) * stride).reshape(along)
    return places
