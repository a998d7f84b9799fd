"""Reading and writing along one dimension at positions given by an integer tensor: gather,
scatter, index_add, ...

In: a tensor, a dimension, positions, perhaps a source. Out: a tensor. Invariants: positions are
not negative (except in `index_fill`) and where one is met twice, results are combined, or written,
in row-major order of the positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.dtype import iinfo
from ..base.layout import normalize_axis
from ..graph import build as b
from ..graph.node import Node
from . import grad_names
from .common import TYPE_NAMES, opmath
from .core import cast, full, slice_backward, where
from .core import sum as sum_
from .indexing import (
    extents_after,
    index_addresses,
    others,
    part_of_address,
    require_index,
    scatter_wide,
    whole,
    zeros_of,
)
from .registry import Scalar, Value, op
from .signature import strides_of_first


def at_least_1d(x: Node) -> Node:
    """x, a zero-dimensional one as a vector of length one."""
    return x if x.ndim else b.reshape(x, (1,))


def _addresses(name: str, shape: Sequence[int], dim: int, index: Node) -> Node:
    """The flat addresses of x[..., index[i, j, ...], ...] at dimension `dim`, for an index of x's
    rank.
    """
    if index.ndim != len(shape):
        raise RuntimeError(
            f"{name}(): Index tensor must have the same number of dimensions as input tensor, but "
            "the index is "
            f"{list(index.shape)} and the input {list(shape)}"
        )
    axis = normalize_axis(dim, len(shape))
    for d, (n, m) in enumerate(zip(index.shape, shape)):
        if d != axis and n > m:
            raise RuntimeError(
                f"{name}(): Size does not match at dimension {d} expected index "
                f"{list(index.shape)} to be no larger than "
                f"self {list(shape)} apart from dimension {axis}"
            )
    address = part_of_address(
        index, shape[axis], extents_after(shape, axis), prod(shape), wraps=False
    )
    for d in range(len(shape)):
        if d != axis:
            address = b.add(address, b.mul(b.iota(index.shape, d), whole(extents_after(shape, d))))
    return address


# --- gather and scatter ---------------------------------------------------------------------------


@op("", guarded=("input",))
def gather(input: Value, dim: int, index: Value) -> Value:
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on. The index may be shorter, not
    longer, in other dimensions.
    """
    if not index.numel:
        return zeros_of(index.shape, input)
    positions = at_least_1d(require_index("gather", index))
    x = at_least_1d(input)
    return b.reshape(b.gather(x, _addresses("gather", x.shape, dim, positions)), index.shape)


@gather.vjp("input")
def _(g, input_layout, dim, index):  # type: ignore[no-untyped-def]
    return scatter_add(full(tuple(input_layout.shape), 0, g.dtype), dim, index, g)


def _scattered(name: str, input: Node, dim: int, index: Node, source: Node, combine: str) -> Node:
    """input with the source set or combined in where `gather` would read."""
    if not index.numel:
        return input
    positions = at_least_1d(require_index(name, index))
    x = at_least_1d(input)
    address = _addresses(name, x.shape, dim, positions)
    source = _matching(name, input, positions, source)
    distinct = others(x.ndim, normalize_axis(dim, x.ndim))
    if combine == "set":
        return b.reshape(b.scatter(x, address, source, "set", distinct), input.shape)
    return b.reshape(scatter_wide(x, address, source, combine, distinct), input.shape)


def _matching(name: str, input: Node, index: Node, source: Node) -> Node:
    """The part of the source that stands beside the index; a number everywhere."""
    if source.weak:
        return b.expand(b.cast(source, input.dtype), index.shape)
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"{name}(): Expected self.dtype to be equal to src.dtype, but they are "
            f"{input.dtype.name} and {source.dtype.name}"
        )
    source = at_least_1d(source)
    if source.ndim != index.ndim:
        raise RuntimeError(
            f"{name}(): Index tensor must have the same number of dimensions as src tensor, but "
            "the index is "
            f"{list(index.shape)} and src {list(source.shape)}"
        )
    if any(n > m for n, m in zip(index.shape, source.shape)):
        raise RuntimeError(
            f"{name}(): Expected index {list(index.shape)} to be no larger than src "
            f"{list(source.shape)} in all dimensions"
        )
    return b.slice_(source, (0,) * index.ndim, index.shape)


def _spread(g: Any, layout: Any) -> Any:
    """The gradient of the part of a source that was used, in the source's shape."""
    if tuple(g.shape) == tuple(layout.shape):
        return g
    return slice_backward(g, tuple(layout.shape), (0,) * layout.ndim, (1,) * layout.ndim)


@op("")
def scatter(input: Value, dim: int, index: Value, src: Value) -> Value:
    """input with input[index[i][j]][j] = src[i][j] for dim 0, and so on; src may be a number."""
    return _scattered("scatter", input, dim, index, src, "set")


@scatter.vjp("input")
def _(g, dim, index):  # type: ignore[no-untyped-def]
    return scatter(g, dim, index, 0)


@scatter.vjp("src")
def _(g, dim, index, src_layout):  # type: ignore[no-untyped-def]
    return _spread(gather(g, dim, index), src_layout)


@op("")
def scatter_add(input: Value, dim: int, index: Value, src: Value) -> Value:
    """input with input[index[i][j]][j] += src[i][j] for dim 0, and so on."""
    return _scattered("scatter_add", input, dim, index, src, "sum")


@scatter_add.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


@scatter_add.vjp("src")
def _(g, dim, index, src_layout):  # type: ignore[no-untyped-def]
    return _spread(gather(g, dim, index), src_layout)


# --- scatter with a choice of reductions ----------------------------------------------------------

_COMBINES = {"sum": "sum", "mean": "sum", "prod": "prod", "amax": "max", "amin": "min"}


def _neutral(reduce: str, type_: dtypes.dtype) -> bool | int | float:
    """What changes nothing when it is joined in."""
    if reduce in ("sum", "mean", "prod"):
        return int(reduce == "prod")
    if type_.kind == "bool":
        return reduce == "amin"
    if type_.kind == "float":
        return float("-inf") if reduce == "amax" else float("inf")
    return iinfo(type_).min if reduce == "amax" else iinfo(type_).max


@op("")
def scatter_reduce(
    input: Value, dim: int, index: Value, src: Value, reduce: str, include_self: bool = True
) -> Value:
    """input with src joined in where `gather` would read, by sum, prod, mean, amax or amin.

    Without include_self, elements that src meets count from src alone.
    """
    if reduce not in _COMBINES:
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    if input.dtype.is_complex and reduce in ("amax", "amin"):
        raise NotImplementedError(
            f"\"scatter_reduce\" with {reduce} not implemented for '{TYPE_NAMES[input.dtype.name]}'"
        )
    base = opmath(input)
    if not include_self:
        base = _scattered(
            "scatter_reduce", base, dim, index, b.const(_neutral(reduce, input.dtype)), "set"
        )
    source = src if src.weak else opmath(src)
    result = _scattered("scatter_reduce", base, dim, index, source, _COMBINES[reduce])
    if reduce == "mean":
        count = _scattered(
            "scatter_reduce", _start(base, dim, index, include_self), dim, index, b.const(1), "sum"
        )
        if input.dtype.kind == "int":
            result = b.elementwise("floor_divide", result, count)
        else:
            result = b.elementwise("div", result, b.binary("maximum", count, 1))
    return b.cast(result, input.dtype)


def _start(base: Node, dim: int, index: Node, include_self: bool) -> Node:
    """How many values each element counts for before src is counted."""
    ones = b.expand(b.const(1, base.dtype), base.shape)
    return (
        ones if include_self else _scattered("scatter_reduce", ones, dim, index, b.const(0), "set")
    )


def _counts(g: Any, dim: int, index: Any, include_self: bool) -> Any:
    """How many values were averaged into each element."""
    start = full(tuple(g.shape), 1, g.dtype)
    start = start if include_self else scatter(start, dim, index, 0)
    return scatter_add(start, dim, index, full(tuple(index.shape), 1, g.dtype))


def _untouched(g: Any, dim: int, index: Any, include_self: bool) -> Any:
    return g if include_self else scatter(g, dim, index, 0)


def _shares(
    g: Any, input: Any, dim: int, index: Any, src: Any, out: Any, include_self: bool
) -> tuple[Any, Any]:
    """The gradients through an extreme: evenly among the elements that attain it."""
    ours = cast(input == out, g.dtype)
    ours = _untouched(ours, dim, index, include_self)
    theirs = cast(src == gather(out, dim, index), g.dtype)
    share = g / scatter_add(ours, dim, index, theirs)
    rest = share * ours if include_self else where(_touched(g, dim, index), 0, g)
    return rest, theirs * gather(share, dim, index)


def _touched(g: Any, dim: int, index: Any) -> Any:
    """Where src meets an element."""
    return scatter(full(tuple(g.shape), 0, g.dtype), dim, index, 1) > 0


def _products(
    g: Any, input: Any, dim: int, index: Any, src: Any, out: Any, include_self: bool
) -> tuple[Any, Any]:
    """The gradients through a product: that of the other factors, also where one is zero (whose
    second derivative is that of `out`).
    """
    base = input if include_self else scatter(input, dim, index, 1)
    no_src = src == 0
    some_base, some_src = where(base == 0, 1, base), where(no_src, 1, src)
    without_base = scatter_reduce(some_base, dim, index, src, "prod", True) / some_base
    ours = _untouched(g * without_base, dim, index, include_self)
    zeros = scatter_add(full(tuple(g.shape), 0, g.dtype), dim, index, cast(no_src, g.dtype))
    single = where(zeros == 1, g * scatter_reduce(base, dim, index, some_src, "prod", True), 0)
    theirs = where(no_src, gather(single, dim, index), gather(g * out, dim, index) / some_src)
    return ours, theirs


@scatter_reduce.vjp("input", "src")
def _(g, input, dim, index, src, reduce, include_self, out):  # type: ignore[no-untyped-def]
    used = (
        src
        if tuple(src.shape) == tuple(index.shape)
        else src[tuple(slice(0, n) for n in index.shape)]
    )
    if reduce == "sum":
        found = _untouched(g, dim, index, include_self), gather(g, dim, index)
    elif reduce == "mean":
        share = g / _counts(g, dim, index, include_self)
        found = (
            _untouched(g, dim, index, False) if not include_self else share,
            gather(share, dim, index),
        )
    elif reduce == "prod":
        found = _products(g, input, dim, index, used, out, include_self)
    else:
        found = _shares(g, input, dim, index, used, out, include_self)
    return found[0], _spread(found[1], src)


# --- whole slices along a dimension ---------------------------------------------------------------


def _slices(name: str, input: Node, dim: int, index: Node, wraps: bool = False) -> Node:
    """The flat addresses of the slices of input at the positions of a vector (or one number)."""
    if index.ndim > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, but it has shape {list(index.shape)}"
        )
    positions = at_least_1d(require_index(name, index))
    axis = normalize_axis(dim, input.ndim)
    return index_addresses(input.shape, [positions], (axis,), axis, wraps)


@op("")
def index_select(input: Value, dim: int, index: Value) -> Value:
    """The slices of a dimension at the positions of a vector, in its order."""
    x = at_least_1d(input)
    made = b.gather(x, _slices("index_select", x, dim, index))
    return b.reshape(made, ()) if not input.ndim and made.numel == 1 else made


@index_select.vjp("input")
def _(g, input_layout, dim, index):  # type: ignore[no-untyped-def]
    return index_add(full(tuple(input_layout.shape), 0, g.dtype), dim, index, g)


def _source(name: str, x: Node, address: Node, dim: int, index: Node, source: Node) -> Node:
    if source.dtype is not x.dtype:
        raise RuntimeError(
            f"{name}(): self and source expected to have the same dtype, but got (self) "
            f"{TYPE_NAMES[x.dtype.name]} and "
            f"(source) {TYPE_NAMES[source.dtype.name]}"
        )
    source = at_least_1d(source)
    if source.shape != address.shape:
        if source.ndim != address.ndim or source.shape[dim] != address.shape[dim]:
            raise (IndexError if name == "index_copy" else RuntimeError)(
                f"{name}_(): Number of indices ({index.numel}) should be equal to "
                "source.size(dim): "
                f"source is {list(source.shape)}, dim is {dim}"
            )
        raise RuntimeError(
            f"{name}(): source tensor shape must match self tensor shape, excluding the specified "
            "dimension. "
            f"Got self.shape = {list(x.shape)} source.shape = {list(source.shape)}"
        )
    return source


@op("", inplace=True, guarded=("source",))
def index_add(input: Value, dim: int, index: Value, source: Value, alpha: Scalar = 1) -> Value:
    """input with alpha times the slices of source added at the positions of a vector."""
    x = at_least_1d(input)
    address = _slices("index_add", x, dim, index)
    axis = normalize_axis(dim, x.ndim)
    found = _source("index_add", x, address, axis, index, source)
    scaled = b.cast(b.mul(found, alpha), x.dtype)
    made = scatter_wide(x, address, scaled, "sum", others(x.ndim, axis))
    return b.reshape(made, input.shape)


@index_add.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


@index_add.vjp("source")
def _(g, dim, index, source_layout, alpha):  # type: ignore[no-untyped-def]
    picked = index_select(g, dim, index)
    return (picked if alpha == 1 else picked * alpha).reshape(source_layout.shape)


@op("", inplace=True, guarded=("source",))
def index_copy(input: Value, dim: int, index: Value, source: Value) -> Value:
    """input with the slices of source stored at the positions of a vector."""
    x = at_least_1d(input)
    address = _slices("index_copy", x, dim, index)
    axis = normalize_axis(dim, x.ndim)
    found = _source("index_copy", x, address, axis, index, source)
    return b.reshape(b.scatter(x, address, found, "set", others(x.ndim, axis)), input.shape)


@index_copy.vjp("input")
def _(g, dim, index):  # type: ignore[no-untyped-def]
    return index_fill(g, dim, index, 0)


@index_copy.vjp("source")
def _(g, dim, index, source_layout):  # type: ignore[no-untyped-def]
    return index_select(g, dim, index).reshape(source_layout.shape)


@op(
    "",
    inplace=True,
    strides=strides_of_first,
    grad_name=grad_names.numbered("IndexFill", by="value", tensor=1, number=0),
)
def index_fill(input: Value, dim: int, index: Value, value: Value) -> Value:
    """input with one value (a number or a 0-d tensor) in the slices at the positions of a vector;
    they may be negative.
    """
    if value.ndim:
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    x = at_least_1d(input)
    address = _slices("index_fill", x, dim, index, wraps=True)
    distinct = others(x.ndim, normalize_axis(dim, x.ndim))
    made = b.scatter(x, address, b.cast(value, x.dtype), "set", distinct)
    return b.reshape(made, input.shape)


@index_fill.vjp("input")
def _(g, dim, index):  # type: ignore[no-untyped-def]
    return index_fill(g, dim, index, 0)


@index_fill.vjp("value")
def _(g, dim, index):  # type: ignore[no-untyped-def]
    inside = index_fill(full(tuple(g.shape), 0, g.dtype), dim, index, 1)
    return sum_(g * inside, None, False)


# --- what the suite checks ------------------------------------------------------------------------


def _below(make: Callable, size: int, *shape: int) -> np.ndarray:
    return make(*shape, dtype="int64", low=0, high=size)


def _each(index: np.ndarray, dim: int) -> tuple:
    """The key of x that `gather` reads with."""
    grid = list(np.indices(index.shape))
    grid[dim] = index
    return tuple(grid)


def _scatter_reference(x: np.ndarray, dim: int, index: np.ndarray, src: np.ndarray) -> np.ndarray:
    result = x.copy()
    result[_each(index, dim)] = src[tuple(map(slice, index.shape))] if np.ndim(src) else src
    return result


def _scatter_reduce_reference(
    x: np.ndarray,
    dim: int,
    index: np.ndarray,
    src: np.ndarray,
    reduce: str = "sum",
    include_self: bool = True,
) -> np.ndarray:
    found: dict[tuple, list] = {}
    for place in np.ndindex(*index.shape):
        target = list(place)
        target[dim] = index[place]
        found.setdefault(tuple(target), []).append(src[place])
    result = x.copy()
    join = {"sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}[reduce]
    for met, values in found.items():
        result[met] = join([x[met], *values] if include_self else values)
    return result


def _along(x: np.ndarray, dim: int, index: np.ndarray) -> tuple:
    key: list = [slice(None)] * x.ndim
    key[dim] = index
    return tuple(key)


def _index_add_reference(
    x: np.ndarray, dim: int, index: np.ndarray, source: np.ndarray, alpha: float = 1
) -> np.ndarray:
    result = x.copy()
    np.add.at(result, _along(x, dim, index), alpha * source)
    return result


def _stored(x: np.ndarray, dim: int, index: np.ndarray, source: Any) -> np.ndarray:
    result = x.copy()
    result[_along(x, dim, index)] = source
    return result


gather.test(
    lambda make: [
        ((make(3, 4), 0, _below(make, 3, 5, 2)), {}),
        ((make(3, 4), 1, _below(make, 4, 2, 6)), {}),
    ],
    lambda x, dim, index: x[_each(index, dim)],
)
scatter.test(
    lambda make: [
        ((make(3, 4), 0, np.array([[0, 2, 1], [2, 0, 0]]), make(2, 4)), {}),
        ((make(3, 4), 1, _below(make, 4, 3, 1), 2.5), {}),
    ],
    _scatter_reference,
)
scatter_add.test(
    lambda make: [
        ((make(3, 4), 0, _below(make, 3, 5, 3), make(6, 3)), {}),
        ((make(3, 4), 1, _below(make, 4, 2, 6), make(2, 6)), {}),
    ],
    lambda x, dim, index, src: _scatter_reduce_reference(x, dim, index, src),
)
scatter_reduce.test(
    lambda make: [
        (
            (
                make(3, 4, low=0.5),
                0,
                _below(make, 3, 4, 3),
                make(4, 3, low=0.5),
                reduce,
                include_self,
            ),
            {},
        )
        for reduce in _COMBINES
        for include_self in (True, False)
    ],
    _scatter_reduce_reference,
)
index_select.test(
    lambda make: [
        ((make(3, 4), 1, _below(make, 4, 6)), {}),
        ((make(3, 4), 0, _below(make, 3, 2)), {}),
    ],
    lambda x, dim, index: np.take(x, index, dim),
)
index_add.test(
    lambda make: [
        ((make(3, 4), 0, _below(make, 3, 5), make(5, 4)), {}),
        ((make(3, 4), 1, _below(make, 4, 6), make(3, 6), 0.5), {}),
    ],
    _index_add_reference,
)
index_copy.test(lambda make: [((make(3, 4), 1, np.array([3, 0]), make(3, 2)), {})], _stored)
index_fill.test(
    lambda make: [
        ((make(3, 4), 1, np.array([3, 0]), make()), {}),
        ((make(3, 4), 0, np.array([1, -1]), 2.0), {}),
    ],
    _stored,
)
