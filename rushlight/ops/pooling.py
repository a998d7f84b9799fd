"""Maximum pooling over windows, plain and adaptive, with indices and gradients.

In: (N, C, spatial...) or (C, spatial...). Out: the maxima of the windows, and where they lie in the
flattened plane. Invariants: of equal values the first in row-major order is the maximum, and a NaN
(the last one) beats everything, as in PyTorch. What a window chose is kept as the flat distance
from its first tap ("code"): a small integer whose comparison with a constant tells, tap by tap,
where the gradient goes; no index is read or written for small windows.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.layout import contiguous_strides
from ..graph import build as b
from ..graph.node import Node
from .common import require_kind
from .convolution_maps import fixed
from .registry import Op, Value, op
from .signature import strides_as_suggested
from .windows import (
    Sizes,
    Taps,
    Window,
    line,
    margins,
    require_spatial,
    tap,
    unwindow,
    window,
)

# taps up to which a window is worked out in one kernel, and its gradient without scattering
FUSED = 16


def _lowest(x: Node) -> float:
    if x.dtype.kind == "float":
        return float("-inf")
    return -(1 << (x.dtype.bits - 1)) if x.dtype.is_signed else 0


def _passes(w: Window, rank: int) -> list[tuple[int, Window]]:
    """(first dimension, window) of the steps that a window is worked out in: at once, or dimension
    by dimension.
    """
    if prod(w.kernel) <= FUSED:
        return [(-rank, w)]
    return [(d - rank, w.only(d)) for d in range(rank - 1, -1, -1)]


def maxima(x: Node, w: Window) -> Node:
    """The largest value of every window."""
    rank = len(w.kernel)
    if set(w.result) == set(w.dilation) == {1}:  # one window
        lead = x.ndim - rank
        inside = [min(n, k - p[0]) for n, k, p in zip(x.shape[lead:], w.kernel, w.padding)]
        return b.reduce(
            "max", b.slice_(x, [0] * x.ndim, (*x.shape[:lead], *inside)), range(lead, x.ndim), True
        )
    for first, part in _passes(w, rank):
        x = _moved(x, first, len(part.kernel))
        padded = margins(x, part, _lowest(x))
        x = reduce(
            lambda best, value: b.elementwise("maximum", best, value),
            [tap(padded, part, t) for t in part.taps()],
        )
        x = _moved(x, first, len(part.kernel))
    return x


def _moved(x: Node, first: int, count: int) -> Node:
    """A single dimension exchanged with the last; several are the last already."""
    return b.transpose(x, first, -1) if count == 1 and first != -1 else x


def chosen(x: Node, w: Window, size: Sizes) -> tuple[Node, Node]:
    """The maxima, and their codes: flat distance, in a plane of `size`, from the window's first
    tap.
    """
    steps = contiguous_strides(size)
    code: Node | None = None
    rank = len(size)
    for first, part in _passes(w, rank):
        count = len(part.kernel)
        own = steps[first : first + count] if first + count else steps[first:]
        x, code = _moved(x, first, count), None if code is None else _moved(code, first, count)
        x, code = _choose(x, code, part, own)
        x, code = _moved(x, first, count), _moved(code, first, count)
    assert code is not None
    return x, code


def _choose(x: Node, inner: Node | None, w: Window, steps: Sizes) -> tuple[Node, Node]:
    """One pass: the codes of dimensions done before (`inner`) are carried along."""
    padded = margins(x, w, _lowest(x))
    carried = None if inner is None else margins(inner, w)
    best = tap(padded, w, (0,) * len(w.kernel))
    code = _first_inside(w, steps, best)
    if carried is not None:
        # where all is padding or lowest, any row inside says which of its elements comes first
        code = b.add(code, _inside_code(carried, w))
    for place in w.taps()[1:]:
        value = tap(padded, w, place)
        distance = b.const(
            sum(t * d * s for t, d, s in zip(place, w.dilation, steps)), dtypes.int32
        )
        here = (
            b.expand(distance, best.shape)
            if carried is None
            else b.add(tap(carried, w, place), distance)
        )
        better = b.elementwise("gt", value, best)
        if x.dtype.kind == "float":
            better = b.elementwise("logical_or", better, b.elementwise("isnan", value))
        best, code = b.where(better, value, best), b.where(better, here, code)
    return best, code


def _outside_before(w: Window, d: int, rank: int, axis: int) -> Node | None:
    """How many of a window's taps lie in the margin before dimension d; None where none do."""
    before, stride, dilation = w.padding[d][0], w.stride[d], w.dilation[d]
    total = None
    for t in range(-(-before // dilation)):
        outside = b.cast(
            b.mul(line(rank, axis, w.result[d]), stride) < before - t * dilation, dtypes.int32
        )
        total = outside if total is None else b.add(total, outside)
    return total


def _first_inside(w: Window, steps: Sizes, like: Node) -> Node:
    """The code of the first tap inside the plane: what a window of lowest values chooses."""
    code = b.expand(b.const(0, dtypes.int32), like.shape)
    lead = like.ndim - len(w.kernel)
    for d, step in enumerate(steps):
        count = _outside_before(w, d, like.ndim, lead + d)
        if count is not None:
            code = b.add(code, b.mul(count, b.const(w.dilation[d] * step, dtypes.int32)))
    return code


def _inside_code(carried: Node, w: Window) -> Node:
    """The inner code of the first tap that is inside (margins carry zeros)."""
    code = tap(carried, w, (0,) * len(w.kernel))
    before, dilation = w.padding[0][0], w.dilation[0]
    for t in range(1, min(w.kernel[0], -(-before // dilation) + 1)):
        outside = (
            b.mul(line(code.ndim, code.ndim - 1, w.result[0]), w.stride[0])
            < before - (t - 1) * dilation
        )
        code = b.where(outside, tap(carried, w, (t,)), code)
    return code


def _indices(code: Node, w: Window, size: Sizes) -> Node:
    """Codes as int64 indices into the flattened plane."""
    total = b.cast(code, dtypes.int64)
    lead = code.ndim - len(size)
    for d, step in enumerate(contiguous_strides(size)):
        start = b.add(b.mul(line(code.ndim, lead + d, w.result[d]), w.stride[d]), -w.padding[d][0])
        total = b.add(total, b.mul(start, step))
    return total


def _plane_offsets(shape: tuple[int, ...], rank: int, plane: int) -> Node:
    """For every element of (..., spatial) where its plane of `plane` elements begins in flat
    memory.
    """
    lead = shape[: len(shape) - rank]
    total = b.const(0, dtypes.int64)
    for d, step in enumerate(contiguous_strides(lead)):
        total = b.add(
            total, b.mul(line(len(shape), d, shape[d]), b.const(step * plane, dtypes.int64))
        )
    return b.expand(total, shape)


# --- rows: planes read and written at indices ---------------------------------------------------


@op("", grad_name="MaxPoolBackward0")
def plane_scatter(grad: Value, indices: Value, size: tuple) -> Value:
    """Zeros (..., size) with every element of grad added at its flat index in its plane."""
    lead = grad.shape[: grad.ndim - len(size)]
    base = b.expand(b.const(0, grad.dtype), (*lead, *size))
    places = b.add(indices, _plane_offsets(grad.shape, len(size), prod(size)))
    return b.scatter(base, places, grad, "sum", range(len(lead)))


@op("", grad_name="MaxPoolBackward0")
def plane_gather(input: Value, indices: Value, rank: int) -> Value:
    """The elements of (..., spatial) at flat indices in their planes."""
    plane = prod(input.shape[input.ndim - rank :])
    return b.gather(input, b.add(indices, _plane_offsets(indices.shape, rank, plane)))


@plane_scatter.vjp("grad")
def _(g, indices, size):  # type: ignore[no-untyped-def]
    return plane_gather(g, indices, len(size))


@plane_gather.vjp("input")
def _(g, input_layout, indices, rank):  # type: ignore[no-untyped-def]
    return plane_scatter(g, indices, input_layout.shape[-rank:])


# --- rows: maximum pooling ----------------------------------------------------------------------


def _distance(place: Taps, w: Window, size: Sizes) -> Node:
    steps = contiguous_strides(size)
    return b.const(sum(t * d * s for t, d, s in zip(place, w.dilation, steps)), dtypes.int32)


@op("", grad_name="MaxPoolBackward0")
def max_pool_backward(grad: Value, input: Value, way: tuple) -> Value:
    """The gradient of a maximum over windows: each window's goes to the element that was its
    maximum.
    """
    w = Window(*way)
    size = input.shape[input.ndim - len(w.kernel) :]
    _, code = chosen(input, w, size)
    if prod(w.kernel) > FUSED:
        return plane_scatter(grad, _indices(code, w, size), size)
    zero = b.const(0, grad.dtype)
    return unwindow(
        lambda place: b.where(b.binary("eq", code, _distance(place, w, size)), grad, zero), size, w
    )


@op("", grad_name="MaxPoolBackward0")
def max_pool_forward(tangent: Value, input: Value, way: tuple) -> Value:
    """The elements of tangent at the places where input has the maxima of its windows."""
    w = Window(*way)
    size = input.shape[input.ndim - len(w.kernel) :]
    _, code = chosen(input, w, size)
    if prod(w.kernel) > FUSED:
        return plane_gather(tangent, _indices(code, w, size), len(size))
    padded = margins(tangent, w)
    result = tap(padded, w, (0,) * len(size))
    for place in w.taps()[1:]:
        result = b.where(
            b.binary("eq", code, _distance(place, w, size)), tap(padded, w, place), result
        )
    return result


@max_pool_backward.vjp("grad")
def _(g, input, way):  # type: ignore[no-untyped-def]
    return max_pool_forward(g, input.detach(), way)


@max_pool_backward.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return None


@max_pool_forward.vjp("tangent")
def _(g, input, way):  # type: ignore[no-untyped-def]
    return max_pool_backward(g, input.detach(), way)


@max_pool_forward.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return None


def _max_pool_rows(rank: int) -> tuple[Op, Op]:
    """max_pool<rank>d and max_pool<rank>d_with_indices."""
    name = f"max_pool{rank}d"

    def way_of(x: Any, *options: Any) -> Window:
        *given, ceil_mode = options
        size = tuple(x.shape[len(x.shape) - rank :])
        return window(name, size, *map(fixed, given), ceil_mode, x.shape[len(x.shape) - rank - 1])

    def plain(
        input: Value,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Value:
        require_spatial(name, input, rank, ("float", "int"))
        return maxima(input, way_of(input, kernel_size, stride, padding, dilation, ceil_mode))

    def indexed(
        input: Value,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> tuple:
        require_spatial(name, input, rank, ("float", "int"))
        w = way_of(input, kernel_size, stride, padding, dilation, ceil_mode)
        size = tuple(input.shape[input.ndim - rank :])
        values, code = chosen(input, w, size)
        return values, _indices(code, w, size)

    title = "SqueezeBackward1" if rank == 1 else f"MaxPool{rank}DWithIndicesBackward0"
    made = []
    for body, suffix in ((plain, ""), (indexed, "_with_indices")):
        body.__name__ = name + suffix
        body.__doc__ = f"""The largest value of every {rank}-d
        window{" and its flat index in the plane (int64)" if suffix else ""}.

        Shapes: (N, C, spatial...) or (C, spatial...); each length becomes (n + 2 padding - dilation
        (k - 1) - 1) / stride + 1, rounded down (up with ceil_mode, if the last window begins
        inside). Padding counts as minus infinity. Errors: RuntimeError for sizes that do not fit.
        Follows `torch.nn.functional.{name}`.

        >>> import rushlight as rl
        >>> rl.nn.functional.{name}(rl.ones({", ".join(["1", "2", *["4"] * rank])}), 2).shape
        torch.Size([1, 2{", 2" * rank}])
        """
        guarded = ("out1",) if suffix else ()
        row = op("torch", strides=strides_as_suggested, grad_name=title, guarded=guarded)(body)

        @row.vjp("input")
        def _(g, input, kernel_size, stride, padding, dilation, ceil_mode):  # type: ignore[no-untyped-def]
            way = way_of(input, kernel_size, stride, padding, dilation, ceil_mode)
            return max_pool_backward(g, input.detach(), way)

        made.append(row)
    return made[0], made[1]


max_pool1d, max_pool1d_with_indices = _max_pool_rows(1)
max_pool2d, max_pool2d_with_indices = _max_pool_rows(2)
max_pool3d, max_pool3d_with_indices = _max_pool_rows(3)


# --- rows: adaptive maximum pooling -------------------------------------------------------------


def adaptive_size(name: str, x: Node, output_size: Any, rank: int) -> Sizes:
    """The result's spatial size; RuntimeError for ranks and sizes that make no sense."""
    if x.ndim not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"{name}(): Expected {rank + 1}D or {rank + 2}D tensor, but got: {list(x.shape)}"
        )
    sizes = (output_size,) * rank if isinstance(output_size, int) else tuple(output_size)
    sizes = sizes * rank if len(sizes) == 1 else sizes
    if len(sizes) != rank:
        raise RuntimeError(f"{name}: output_size must be {rank}, but got {list(sizes)}")
    if any(n < 0 for n in sizes):
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received "
            f"{list(sizes)}"
        )
    for d in range(x.ndim - rank - (x.ndim == rank + 1), x.ndim):
        if x.shape[d] == 0:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but "
                "input has sizes "
                f"{list(x.shape)} with dimension {d} being empty"
            )
    require_kind(name, x)
    return sizes


def even_window(size: Sizes, sizes: Sizes) -> Window | None:
    """The window of an adaptive pooling whose windows are all alike; None where they are not."""
    if any(m == 0 or n % m for n, m in zip(size, sizes)):
        return None
    kernel = tuple(n // m for n, m in zip(size, sizes))
    return Window(kernel, kernel, ((0, 0),) * len(size), (1,) * len(size), sizes)


def _uneven_maxima(x: Node, place: Node, axis: int, count: int) -> tuple[Node, Node]:
    """The maxima of windows floor(i L / n) .. ceil((i + 1) L / n) along one dimension, and what
    `place` says of them.
    """
    length = x.shape[axis]
    at = line(x.ndim, axis, count)
    start = b.elementwise("floor_divide", b.mul(at, length), b.const(count, dtypes.int64))
    end = b.elementwise(
        "floor_divide", b.add(b.mul(b.add(at, 1), length), count - 1), b.const(count, dtypes.int64)
    )
    shape = [count if d == axis else n for d, n in enumerate(x.shape)]
    steps = contiguous_strides(x.shape)
    rows = b.const(0, dtypes.int64)
    for d, step in enumerate(steps):
        if d != axis:
            rows = b.add(rows, b.mul(line(x.ndim, d, x.shape[d]), step))
    widest = max(-(-(i + 1) * length // count) - i * length // count for i in range(count))
    best = chosen_place = None
    for t in range(widest):  # short windows meet their last element again, which changes nothing
        inside = b.elementwise("minimum", b.add(start, t), b.add(end, -1))
        index = b.expand(b.add(rows, b.mul(inside, steps[axis])), shape)
        value, where = b.gather(x, index), b.gather(place, index)
        if best is None or chosen_place is None:
            best, chosen_place = value, where
            continue
        better = b.elementwise(
            "logical_or", b.elementwise("gt", value, best), b.elementwise("isnan", value)
        )
        best, chosen_place = b.where(better, value, best), b.where(better, where, chosen_place)
    assert best is not None and chosen_place is not None
    return best, chosen_place


def _adaptive_max_row(rank: int) -> Op:
    name = f"adaptive_max_pool{rank}d"

    def body(input: Value, output_size: Any) -> tuple:
        sizes = adaptive_size(name, input, output_size, rank)
        size = tuple(input.shape[input.ndim - rank :])
        lead = input.ndim - rank
        if 0 in sizes:
            shape = (*input.shape[:lead], *sizes)
            return b.expand(b.const(0, input.dtype), shape), b.expand(
                b.const(0, dtypes.int64), shape
            )
        w = even_window(size, sizes)
        if w is not None:
            values, code = chosen(input, w, size)
            return values, _indices(code, w, size)
        place: Node = b.const(0, dtypes.int64)
        for d, step in enumerate(contiguous_strides(size)):
            place = b.add(place, b.mul(line(input.ndim, lead + d, size[d]), step))
        values, place = input, b.expand(place, input.shape)
        for d in range(rank - 1, -1, -1):
            values, place = _uneven_maxima(values, place, lead + d, sizes[d])
        return values, place

    body.__name__ = name
    body.__doc__ = f"""The maxima of windows so chosen that the result has `output_size`, and their
    flat indices (int64).

    Window i of n over a length L is floor(i L / n) .. ceil((i + 1) L / n). Shapes: (N, C,
    spatial...) or (C, spatial...) -> (N, C, *output_size). Follows `torch.nn.functional.{name}`.

    >>> import rushlight as rl
    >>> rl.nn.functional.{name}(rl.ones({", ".join(["1", "2", *["5"] * rank])}), 3).shape
    torch.Size([1, 2{", 3" * rank}])
    """
    title = "SqueezeBackward1" if rank == 1 else f"AdaptiveMaxPool{rank}DBackward0"
    row = op("torch", strides=strides_as_suggested, grad_name=title, guarded=("input",))(body)

    @row.vjp("input")
    def _(g, input_layout, out1):  # type: ignore[no-untyped-def]
        return plane_scatter(g, out1.detach(), input_layout.shape[-rank:])

    return row


adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = map(_adaptive_max_row, (1, 2, 3))


# --- references ---------------------------------------------------------------------------------


def _numpy_max_pool(
    x: np.ndarray,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    *,
    indexed: bool = False,
    rank: int = 2,
) -> Any:
    """Window by window."""
    size = x.shape[-rank:]
    w = window("reference", size, kernel_size, stride, padding, dilation, ceil_mode)
    lead = x.shape[:-rank]
    values, places = np.empty((*lead, *w.result)), np.empty((*lead, *w.result), np.int64)
    numbers = np.arange(prod(size)).reshape(size)
    for at in np.ndindex(*lead, *w.result):
        lines = [
            [i * s + t * d - p[0] for t in range(k) if 0 <= i * s + t * d - p[0] < n]
            for i, k, s, p, d, n in zip(
                at[len(lead) :], w.kernel, w.stride, w.padding, w.dilation, size
            )
        ]
        part = x[at[: len(lead)]][np.ix_(*lines)]
        values[at], places[at] = part.max(), numbers[np.ix_(*lines)].reshape(-1)[part.argmax()]
    return (values, places) if indexed else values


def _numpy_adaptive_max(
    x: np.ndarray, output_size: int, *, rank: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    size, lead = x.shape[-rank:], x.shape[:-rank]
    values, places = (
        np.empty((*lead, *(output_size,) * rank)),
        np.empty((*lead, *(output_size,) * rank), np.int64),
    )
    numbers = np.arange(prod(size)).reshape(size)
    for at in np.ndindex(*values.shape):
        lines = [
            range(i * n // output_size, -(-(i + 1) * n // output_size))
            for i, n in zip(at[len(lead) :], size)
        ]
        part = x[at[: len(lead)]][np.ix_(*lines)]
        values[at], places[at] = part.max(), numbers[np.ix_(*lines)].reshape(-1)[part.argmax()]
    return values, places


def _numpy_plane_scatter(g: np.ndarray, indices: np.ndarray, size: Sizes) -> np.ndarray:
    made = np.zeros((*g.shape[: -len(size)], prod(size)), g.dtype)
    for at in np.ndindex(*g.shape):
        made[(*at[: -len(size)], indices[at])] += g[at]
    return made.reshape(*g.shape[: -len(size)], *size)


def _numpy_plane_gather(x: np.ndarray, indices: np.ndarray, rank: int) -> np.ndarray:
    lead = x.shape[:-rank]
    return np.take_along_axis(x.reshape(*lead, -1), indices.reshape(*lead, -1), -1).reshape(
        indices.shape
    )


def _sample_rows() -> None:
    shapes: dict[int, Sizes] = {1: (7,), 2: (6, 5), 3: (4, 5, 4)}
    for rank, (plain, indexed, adaptive) in enumerate(
        [
            (max_pool1d, max_pool1d_with_indices, adaptive_max_pool1d),
            (max_pool2d, max_pool2d_with_indices, adaptive_max_pool2d),
            (max_pool3d, max_pool3d_with_indices, adaptive_max_pool3d),
        ],
        1,
    ):

        def samples(make: Any, own: Sizes = shapes[rank]) -> list:
            return [
                ((make(2, 3, *own), 3, 2, 1), {}),
                ((make(3, *own), 2), {"ceil_mode": True}),
                ((make(1, 2, *own), 2, 1, 1, 2), {}),
            ]

        plain.test(samples, lambda *a, rank=rank, **k: _numpy_max_pool(*a, rank=rank, **k))
        indexed.test(
            samples, lambda *a, rank=rank, **k: _numpy_max_pool(*a, rank=rank, indexed=True, **k)
        )
        adaptive.test(
            lambda make, own=shapes[rank]: [((make(2, 3, *own), 3), {}), ((make(3, *own), 1), {})],
            lambda x, n, rank=rank: _numpy_adaptive_max(x, n, rank=rank),
        )


_sample_rows()
_WAY = window("max_pool2d", (6, 5), 3, 2, 1, 1, False)
max_pool_backward.test(
    lambda make: [((make(2, 3, *_WAY.result), make(2, 3, 6, 5), _WAY), {})],
    lambda g, x, way: _numpy_plane_scatter(g, _numpy_max_pool(x, 3, 2, 1, indexed=True)[1], (6, 5)),
)
max_pool_forward.test(
    lambda make: [((make(2, 3, 6, 5), make(2, 3, 6, 5), _WAY), {})],
    lambda t, x, way: _numpy_plane_gather(t, _numpy_max_pool(x, 3, 2, 1, indexed=True)[1], 2),
)
plane_scatter.test(
    lambda make: [((make(2, 3, 4), make(2, 3, 4, dtype="int64", low=0, high=6), (2, 3)), {})],
    lambda g, i, size: _numpy_plane_scatter(g, i, size),
)
plane_gather.test(
    lambda make: [((make(2, 3, 2, 3), make(2, 3, 1, 4, dtype="int64", low=0, high=6), 2), {})],
    _numpy_plane_gather,
)
