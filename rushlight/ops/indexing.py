"""Reading and writing at integer positions: advanced indices, and the functions that take them
along one dimension.

In: tensors and integer tensors. Out: tensors. Invariant: every row here turns its positions into
flat addresses of a row-major operand, and is one `gather` or one `scatter` of these; a position
outside its dimension becomes an address outside the operand, so that running the program raises
IndexError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from ..base import dtype as dtypes
from ..base.layout import broadcast_shapes
from ..graph import build as b
from ..graph.node import Node
from .common import TYPE_NAMES, opmath
from .registry import Value, Values, op
from .signature import strides_of_first

# --- addresses ------------------------------------------------------------------------------------


def whole(number: int) -> Node:
    """An int64 number of the program."""
    return b.const(number, dtypes.int64)


def require_index(name: str, index: Node, allowed: Sequence[str] = ("int64", "int32")) -> Node:
    """The index in int64; RuntimeError in PyTorch's words for another dtype."""
    if index.dtype.name not in allowed:
        raise RuntimeError(
            f"{name}(): Expected dtype {' or '.join(allowed)} for index, but got "
            f"{index.dtype.name}{list(index.shape)}"
        )
    return b.cast(index, dtypes.int64)


def part_of_address(index: Node, size: int, stride: int, numel: int, wraps: bool = True) -> Node:
    """index * stride, negative positions counted from the end (if it `wraps`); numel, which is no
    address, outside.
    """
    position = b.where(index < 0, b.add(index, whole(size)), index) if wraps else index
    inside = (position >= 0) & (position < size)
    return b.where(inside, b.mul(position, whole(stride)), whole(numel))


def extents_after(shape: Sequence[int], axis: int) -> int:
    """The row-major stride of a dimension."""
    return prod(shape[axis + 1 :])


def index_addresses(
    shape: Sequence[int],
    indices: Sequence[Node],
    dims: Sequence[int],
    place: int,
    wraps: bool = True,
) -> Node:
    """The flat addresses of x[..., indices, ...]: indices[k] stands at dimension dims[k] of x.

    The broadcast indices' dimensions come before the rest's number `place`. Negative positions
    count from the end if they may (`wraps`). IndexError where the indices do not broadcast.
    """
    try:
        among = broadcast_shapes(*[i.shape for i in indices])
    except RuntimeError:
        listed = ", ".join(str(list(i.shape)) for i in indices)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {listed}"
        ) from None
    rest = [d for d in range(len(shape)) if d not in dims]
    sizes = [shape[d] for d in rest]
    result = (*sizes[:place], *among, *sizes[place:])
    numel = prod(shape)
    address: Node = whole(0)
    for k, d in enumerate(rest):
        at = k if k < place else k + len(among)
        address = b.add(address, b.mul(b.iota(result, at), whole(extents_after(shape, d))))
    for index, d in zip(indices, dims):
        if shape[d] == 0 and 0 not in among:
            raise IndexError("index is out of bounds for dimension with size 0")
        part = part_of_address(
            b.cast(index, dtypes.int64), shape[d], extents_after(shape, d), numel, wraps
        )
        tail = len(sizes) - place
        lead = len(among) - index.ndim
        part = b.reshape(part, (*(1,) * (place + lead), *index.shape, *(1,) * tail))
        address = b.add(address, part)
    return b.expand(address, result)


def zeros_of(size: Sequence[int], like: Node) -> Node:
    """A node of zeros in the dtype of another."""
    return b.expand(b.const(0, like.dtype), tuple(size))


def others(rank: int, place: int, count: int = 1) -> tuple[int, ...]:
    """The dimensions of addresses but for `count` from `place` on, which are indexed: in the others
    every position is met once.
    """
    return (*range(place), *range(place + count, rank))


def scatter_wide(
    base: Node, address: Node, source: Node, combine: str, distinct: Sequence[int] = ()
) -> Node:
    """A scatter that adds and multiplies float16 and bfloat16 in float32 and rounds once."""
    wide = opmath(b.expand(source, address.shape))
    return b.cast(b.scatter(opmath(base), address, wide, combine, distinct), base.dtype)


# --- advanced indices -----------------------------------------------------------------------------


@op("", grad_name="IndexBackward0")
def index(input: Value, indices: Values, dims: tuple, place: int) -> Value:
    """input[..., indices, ...]: integer tensors that broadcast, the k-th at dimension dims[k] (see
    `index_addresses`).
    """
    return b.gather(input, index_addresses(input.shape, indices, dims, place))


@index.vjp("input")
def _(g, input_layout, indices, dims, place):  # type: ignore[no-untyped-def]
    return index_backward(g, indices, tuple(input_layout.shape), dims, place)


@op("")
def index_backward(grad: Value, indices: Values, size: tuple, dims: tuple, place: int) -> Value:
    """Zeros of shape `size` to which grad is added where `index` read."""
    return scatter_wide(
        zeros_of(size, grad), index_addresses(size, indices, dims, place), grad, "sum"
    )


@index_backward.vjp("grad")
def _(g, indices, dims, place):  # type: ignore[no-untyped-def]
    return index(g, indices, dims, place)


@op("", grad_name="IndexPutBackward0", strides=strides_of_first)
def index_write(
    input: Value, indices: Values, values: Value, dims: tuple, place: int, accumulate: bool
) -> Value:
    """input with `values` stored (or added) where `index` would read; of positions met twice the
    last one counts.
    """
    address = index_addresses(input.shape, indices, dims, place)
    if input.dtype is not values.dtype and not values.weak:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{TYPE_NAMES[input.dtype.name]} for the destination and "
            f"{TYPE_NAMES[values.dtype.name]} for the source."
        )
    try:
        source = b.expand(b.cast(values, input.dtype), address.shape)
    except RuntimeError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to "
            "indexing result of shape "
            f"{list(address.shape)}"
        ) from None
    indexed = address.ndim - (input.ndim - len(dims))
    distinct = others(address.ndim, place, indexed)
    return (
        scatter_wide(input, address, source, "sum", distinct)
        if accumulate
        else b.scatter(input, address, source, "set", distinct)
    )


@index_write.vjp("input")
def _(g, indices, dims, place, accumulate):  # type: ignore[no-untyped-def]
    return g if accumulate else index_write(g, indices, 0, dims, place, False)


@index_write.vjp("values")
def _(g, indices, dims, place):  # type: ignore[no-untyped-def]
    return index(g, indices, dims, place)


def _positions(make: Callable, *shape: int, size: int) -> np.ndarray:
    return make(*shape, dtype="int64", low=-size, high=size)


def _index_samples(make: Callable) -> list:
    return [
        (
            (
                make(4, 3, 5),
                [_positions(make, 2, 1, size=4), _positions(make, 3, size=3)],
                (0, 1),
                0,
            ),
            {},
        ),
        ((make(4, 3, 5), [_positions(make, 6, size=3)], (1,), 1), {}),
        (
            (make(4, 3, 5), [_positions(make, 2, size=4), _positions(make, 2, size=5)], (0, 2), 0),
            {},
        ),
    ]


def _numpy_key(ndim: int, indices: Sequence[np.ndarray], dims: Sequence[int]) -> tuple:
    key: list = [slice(None)] * ndim
    for k, d in zip(indices, dims):
        key[d] = k
    return tuple(key)


def _index_reference(
    x: np.ndarray, indices: Sequence[np.ndarray], dims: tuple, place: int
) -> np.ndarray:
    return x[_numpy_key(x.ndim, indices, dims)]


def _index_backward_reference(
    grad: np.ndarray, indices: Sequence[np.ndarray], size: tuple, dims: tuple, place: int
) -> np.ndarray:
    result = np.zeros(size)
    np.add.at(result, _numpy_key(len(size), indices, dims), grad)
    return result


def _index_write_reference(
    x: np.ndarray,
    indices: Sequence[np.ndarray],
    values: np.ndarray,
    dims: tuple,
    place: int,
    accumulate: bool,
) -> np.ndarray:
    result = x.copy()
    key = _numpy_key(x.ndim, indices, dims)
    if accumulate:
        np.add.at(result, key, values)
    else:
        result[key] = values
    return result


index.test(_index_samples, _index_reference)
index_backward.test(
    lambda make: [((make(3, 5), [np.array([1, -1, 1])], (4, 5), (0,), 0), {})],
    _index_backward_reference,
)
index_write.test(
    lambda make: [
        ((make(4, 5), [np.array([1, -1, 0])], make(5), (0,), 0, False), {}),
        ((make(4, 5), [np.array([1, -3, 1])], make(3, 5), (0,), 0, True), {}),
        ((make(4, 5), [np.array([0, 2])], make(4, 1), (1,), 1, False), {}),
    ],
    _index_write_reference,
)
