"""Elements moved, repeated or kept by place: flips, rolls, repeats, triangles, diagonals.

In: a tensor and static dimensions, counts, offsets. Out: a tensor with memory of its own.
Invariant: only places matter here, never values.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..base.layout import normalize_axis
from ..graph import build as b
from ..graph.node import Node
from .core import contiguous, full
from .core import sum as sum_
from .indexing import whole
from .registry import Value, op
from .signature import strides_as_suggested


def _distinct(dims: int | tuple[int, ...], ndim: int) -> list[int]:
    axes = [normalize_axis(d, ndim) for d in ((dims,) if isinstance(dims, int) else dims)]
    for d in axes:
        if axes.count(d) > 1:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return axes


@op("", elementwise=True)
def flip(input: Value, dims: tuple | int) -> Value:
    """The order of the elements reversed along dimensions."""
    return b.flip(input, _distinct(dims, input.ndim)) if input.ndim else input


@flip.vjp("input")
def _(g, dims):  # type: ignore[no-untyped-def]
    return flip(g, dims)


@op("torch Tensor", strides=strides_as_suggested)
def roll(input: Value, shifts: tuple | int, dims: tuple | int | None = ()) -> Value:
    """Elements shifted along dimensions, those that leave at the end coming in at the front.
    Follows `torch.roll`.

    Without dims the tensor is shifted as one row. RuntimeError unless there are as many shifts as
    dims.

    >>> import rushlight as rl
    >>> rl.roll(rl.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    axes = (dims,) if isinstance(dims, int) else tuple(dims or ())
    if not shifts:
        raise RuntimeError("`shifts` required")
    if not axes and len(shifts) == 1:
        return b.reshape(_rolled(b.reshape(input, (input.numel,)), shifts[0], 0), input.shape)
    if len(shifts) != len(axes):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(axes)}"
        )
    if not input.ndim:
        raise IndexError(f"Dimension specified as {axes[0]} but tensor has no dimensions")
    x = input
    for shift, dim in zip(shifts, axes):
        x = _rolled(x, shift, normalize_axis(dim, input.ndim))
    return x


def _rolled(x: Node, shift: int, axis: int) -> Node:
    size = x.shape[axis] if x.ndim else 0
    if size < 2 or not shift % size:
        return x
    kept = size - shift % size
    return b.concat([b.narrow(x, axis, kept, size - kept), b.narrow(x, axis, 0, kept)], axis)


@roll.vjp("input")
def _(g, shifts, dims):  # type: ignore[no-untyped-def]
    return roll(g, -shifts if isinstance(shifts, int) else tuple(-s for s in shifts), dims)


@op("")
def repeat(input: Value, repeats: tuple) -> Value:
    """The tensor laid out repeatedly along its dimensions; more counts than dimensions add leading
    ones.
    """
    lead = len(repeats) - input.ndim
    if lead < 0:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            f"tensor: {len(repeats)} "
            f"counts for shape {list(input.shape)}"
        )
    if any(n < 0 for n in repeats):
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(repeats)}: {list(repeats)}"
        )
    shape = (1,) * lead + input.shape
    apart = b.reshape(input, [n for size in shape for n in (1, size)])
    wide = b.expand(apart, [n for count, size in zip(repeats, shape) for n in (count, size)])
    return b.reshape(wide, [count * size for count, size in zip(repeats, shape)])


@repeat.vjp("input")
def _(g, input_layout, repeats):  # type: ignore[no-untyped-def]
    shape = (1,) * (len(repeats) - input_layout.ndim) + tuple(input_layout.shape)
    apart = g.reshape([n for count, size in zip(repeats, shape) for n in (count, size)])
    return (
        sum_(apart, tuple(range(0, 2 * len(shape), 2)), False).reshape(input_layout.shape)
        if shape
        else g
    )


# --- triangles and diagonals ----------------------------------------------------------------------


def _triangle(name: str, input: Node, diagonal: int, lower: bool) -> Node:
    if input.ndim < 2:
        raise RuntimeError(
            f"{name}: input tensor must have at least 2 dimensions, but its shape is "
            f"{list(input.shape)}"
        )
    row, column = b.iota(input.shape, input.ndim - 2), b.iota(input.shape, input.ndim - 1)
    edge = b.add(row, whole(diagonal))
    return b.where(column <= edge if lower else column >= edge, input, b.const(0, input.dtype))


@op("torch Tensor", inplace=True)
def tril(input: Value, diagonal: int = 0) -> Value:
    """The lower triangle of matrices, up to a diagonal (0: the main one, above it positive).
    Follows `torch.tril`.

    >>> import rushlight as rl
    >>> rl.tril(rl.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return _triangle("tril", input, diagonal, True)


@op("torch Tensor", inplace=True)
def triu(input: Value, diagonal: int = 0) -> Value:
    """The upper triangle of matrices, from a diagonal on (0: the main one, above it positive).
    Follows `torch.triu`.

    >>> import rushlight as rl
    >>> rl.triu(rl.ones(2, 2))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return _triangle("triu", input, diagonal, False)


@tril.vjp("input")
def _(g, diagonal):  # type: ignore[no-untyped-def]
    return tril(g, diagonal)


@triu.vjp("input")
def _(g, diagonal):  # type: ignore[no-untyped-def]
    return triu(g, diagonal)


@op("torch Tensor")
def diag_embed(input: Value, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Value:
    """The last dimension put on a diagonal of two new ones, zeros elsewhere. Follows
    `torch.diag_embed`.

    >>> import rushlight as rl
    >>> rl.diag_embed(rl.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    rank = input.ndim + 1
    first, second = normalize_axis(dim1, rank), normalize_axis(dim2, rank)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    length = input.shape[-1]
    size = length + abs(offset)
    # [..., n] -> [..., n, size + 1] with the values in front is the diagonal, row after row
    spread = b.pad(b.reshape(input, (*input.shape, 1)), [0] * rank, [0] * input.ndim + [size])
    flat = b.reshape(spread, (*input.shape[:-1], length * (size + 1)))
    start = offset if offset >= 0 else -offset * size
    flat = b.pad(
        flat,
        [0] * (input.ndim - 1) + [start],
        [0] * (input.ndim - 1) + [size * size - start - length * (size + 1)],
    )
    square = b.reshape(flat, (*input.shape[:-1], size, size))
    order = iter(range(rank - 2))
    return b.permute(
        square,
        [rank - 2 if d == first else rank - 1 if d == second else next(order) for d in range(rank)],
    )


@diag_embed.vjp("input")
def _(g, offset, dim1, dim2):  # type: ignore[no-untyped-def]
    return g.diagonal(offset, dim1, dim2)


@op("", grad_name="AsStridedScatterBackward0")
def write_window(input: Value, src: Value, strides: tuple, offset: int) -> Value:
    """input, seen as one row-major stretch of memory, with src stored in a window of it."""
    flat = b.reshape(input, (input.numel,))
    made = b.write(flat, b.cast(src, input.dtype), strides, offset)
    return b.reshape(made, input.shape)


@write_window.vjp("input")
def _(g, src_layout, strides, offset):  # type: ignore[no-untyped-def]
    """PyTorch's rule, which keeps the window's gradient and drops the rest."""
    kept = contiguous(g).as_strided(src_layout.shape, strides, offset)
    return write_window(full(tuple(g.shape), 0, g.dtype), kept, strides, offset)


@write_window.vjp("src")
def _(g, src_layout, strides, offset):  # type: ignore[no-untyped-def]
    return contiguous(g).as_strided(src_layout.shape, strides, offset)


def _diag_embed_reference(
    x: np.ndarray, offset: int = 0, dim1: int = -2, dim2: int = -1
) -> np.ndarray:
    rows = [np.diag(row, offset) for row in x.reshape(-1, x.shape[-1])]
    return np.moveaxis(np.reshape(rows, (*x.shape[:-1], *rows[0].shape)), (-2, -1), (dim1, dim2))


def _shapes(*arguments: tuple) -> Callable:
    return lambda make: [((make(3, 4), *rest), {}) for rest in arguments]


flip.test(_shapes(((0,),), ((0, -1),)), np.flip)
roll.test(
    _shapes((2,), ((1, -3), (0, 1)), (5, 1)),
    lambda x, shifts, dims=None: np.roll(x, shifts, dims if dims != () else None),
)
repeat.test(_shapes(((2, 3),), ((2, 1, 2),)), np.tile)
tril.test(_shapes((), (1,), (-2,)), np.tril)
triu.test(_shapes((), (1,), (-2,)), np.triu)
diag_embed.test(_shapes((), (1,), (-2,), (0, 0, 2), (1, 2, 0)), _diag_embed_reference)
