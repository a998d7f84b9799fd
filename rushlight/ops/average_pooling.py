"""Average pooling over windows, plain and adaptive, and the gradients, which are linear like it.

In: (N, C, spatial...) or (C, spatial...). Out: the means of the windows. Invariants: the mean's
divisor depends on the place of a window alone (windows may stick out of the padded plane); sums are
taken in float32 for float16 and bfloat16.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..graph import build as b
from ..graph.node import ContractionMap, Node
from . import grad_names
from .common import opmath
from .convolution_maps import fixed
from .pooling import FUSED, adaptive_size, even_window
from .registry import Op, Value, op
from .windows import (
    Sizes,
    Window,
    averaged_strides,
    line,
    margins,
    require_spatial,
    tap,
    unwindow,
    window,
)

# whether padding counts, and what replaces the number of elements
Divisor = tuple[bool, int | None]


def _passes(w: Window) -> list[tuple[int, Window]]:
    """(first dimension, window): all at once for small windows, else dimension by dimension."""
    rank = len(w.kernel)
    return (
        [(-rank, w)]
        if prod(w.kernel) <= FUSED
        else [(d - rank, w.only(d)) for d in range(rank - 1, -1, -1)]
    )


def _moved(x: Node, first: int, count: int) -> Node:
    return b.transpose(x, first, -1) if count == 1 and first != -1 else x


def _sums(x: Node, w: Window) -> Node:
    """The sum of every window, padding counting as zeros."""
    if set(w.result) == {1}:  # one window
        lead = x.ndim - len(w.kernel)
        inside = [min(n, k - p[0]) for n, k, p in zip(x.shape[lead:], w.kernel, w.padding)]
        return b.reduce(
            "sum", b.slice_(x, [0] * x.ndim, (*x.shape[:lead], *inside)), range(lead, x.ndim), True
        )
    for first, part in _passes(w):
        count = len(part.kernel)
        padded = margins(_moved(x, first, count), part)
        x = _moved(reduce(b.add, [tap(padded, part, place) for place in part.taps()]), first, count)
    return x


def _spread(g: Node, size: Sizes, w: Window) -> Node:
    """The transpose of `_sums`: every window's value added to each of its elements."""
    for first, part in _passes(w):
        count = len(part.kernel)
        g, own = _moved(g, first, count), size[first:] if count > 1 else (size[first],)
        g = _moved(_unwindowed(g, own, part), first, count)
    return g


def _unwindowed(g: Node, size: Sizes, w: Window) -> Node:
    return unwindow(lambda place: g, size, w, uniform=True)


def _divided(x: Node, size: Sizes, w: Window, divisor: Divisor) -> Node:
    """x (..., result) over the number of elements in each window."""
    counts_padding, override = divisor
    if override is not None:
        return _quotient(x, override)
    total: Node | int = 1
    for d, (n, k, s, (p, _), m) in enumerate(zip(size, w.kernel, w.stride, w.padding, w.result)):
        # where elements that count begin and end, in the unpadded plane
        own = p if counts_padding else 0
        counts = {min(i * s - p + k, n + own) - max(i * s - p, -own) for i in range(m)}
        if len(counts) == 1:
            total = b.mul(total, counts.pop())
            continue
        start = b.add(b.mul(line(x.ndim, x.ndim - len(size) + d, m), s), -p)
        end = b.elementwise("minimum", b.add(start, k), b.const(n + own, dtypes.int64))
        begin = b.elementwise("maximum", start, b.const(-own, dtypes.int64))
        total = b.mul(total, b.cast(b.binary("sub", end, begin), x.dtype))
    return _quotient(x, total)


def _quotient(x: Node, count: Node | int) -> Node:
    """x over a number of elements; of integers the whole part, as PyTorch has it."""
    if x.dtype.kind == "int":
        return b.binary("trunc_divide", x, b.cast(count, x.dtype))
    return b.div(x, count if isinstance(count, Node) else float(count))


@op("", grad_name="AvgPoolBackward0", strides=averaged_strides)
def window_mean(input: Value, way: tuple, divisor: tuple) -> Value:
    """The mean of every window over the last dimensions; `divisor` is (padding counts, override or
    None).
    """
    w = Window(*way)
    size = tuple(input.shape[input.ndim - len(w.kernel) :])
    return b.cast(_divided(_sums(opmath(input), w), size, w, divisor), input.dtype)


@op("", grad_name="AvgPoolBackward0", strides=averaged_strides)
def window_mean_backward(grad: Value, size: tuple, way: tuple, divisor: tuple) -> Value:
    """The gradient of `window_mean`: every window's gradient, divided alike, given to each of its
    elements.
    """
    w = Window(*way)
    return b.cast(_spread(_divided(opmath(grad), size, w, divisor), size, w), grad.dtype)


@window_mean.vjp("input")
def _(g, input_layout, way, divisor):  # type: ignore[no-untyped-def]
    return window_mean_backward(g, input_layout.shape[-len(way[0]) :], way, divisor)


@window_mean_backward.vjp("grad")
def _(g, way, divisor):  # type: ignore[no-untyped-def]
    return window_mean(g, way, divisor)


def _way(
    name: str, rank: int, shape: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool
) -> Window:
    given = (fixed(kernel_size), fixed(stride), fixed(padding))
    return window(
        name, tuple(shape[len(shape) - rank :]), *given, 1, ceil_mode, shape[len(shape) - rank - 1]
    )


def _averaged_kinds(x: Node) -> tuple[str, ...]:
    """What PyTorch averages over windows: floats, and of the integers int64."""
    return ("float", "int") if x.dtype is dtypes.int64 else ("float",)


def _average_row(rank: int) -> Op:
    """avg_pool2d or avg_pool3d."""
    name = f"avg_pool{rank}d"

    def body(
        input: Value,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Value:
        if divisor_override == 0:
            raise RuntimeError(f"divisor must be not zero: {name} got divisor_override=0")
        require_spatial(name, input, rank, _averaged_kinds(input))
        way = _way(name, rank, input.shape, kernel_size, stride, padding, ceil_mode)
        return window_mean(input, way, (count_include_pad, divisor_override))

    body.__name__ = name
    body.__doc__ = _AVERAGE.format(
        name=name, rank=rank, example=", ".join(["1", "2", *["4"] * rank]), result=", 2" * rank
    )
    row = op(
        "torch nn.functional",
        strides=averaged_strides,
        grad_name=f"AvgPool{rank}DBackward0",
        guarded=("input",),
    )(body)

    @row.vjp("input")
    def _(  # type: ignore[no-untyped-def]
        g,
        input_layout,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    ):
        way = _way(name, rank, input_layout.shape, kernel_size, stride, padding, ceil_mode)
        return window_mean_backward(
            g, input_layout.shape[-rank:], way, (count_include_pad, divisor_override)
        )

    return row


_AVERAGE = """The mean of every {rank}-d window.

    Shapes: (N, C, spatial...) or (C, spatial...); each length becomes (n + 2 padding - k) / stride
    + 1, rounded down (up with ceil_mode, if the last window begins inside). Zeros of the padding
    count unless count_include_pad is False; divisor_override replaces the number of elements.
    Means of int64 are whole, rounded towards zero. Errors: RuntimeError for sizes that do not fit,
    NotImplementedError for other integers. Follows
    `torch.nn.functional.{name}`.

    >>> import rushlight as rl
    >>> rl.nn.functional.{name}(rl.ones({example}), 2).shape
    torch.Size([1, 2{result}])
    """


@op(
    "torch nn.functional",
    strides=averaged_strides,
    grad_name="SqueezeBackward1",
    guarded=("input",),
)
def avg_pool1d(
    input: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Value:
    require_spatial("avg_pool1d", input, 1, _averaged_kinds(input))
    way = _way("avg_pool1d", 1, input.shape, kernel_size, stride, padding, ceil_mode)
    return window_mean(input, way, (count_include_pad, None))


@avg_pool1d.vjp("input")
def _(g, input_layout, kernel_size, stride, padding, ceil_mode, count_include_pad):  # type: ignore[no-untyped-def]
    way = _way("avg_pool1d", 1, input_layout.shape, kernel_size, stride, padding, ceil_mode)
    return window_mean_backward(g, input_layout.shape[-1:], way, (count_include_pad, None))


avg_pool1d.__doc__ = _AVERAGE.format(name="avg_pool1d", rank=1, example="1, 2, 4", result=", 2")
avg_pool2d, avg_pool3d = map(_average_row, (2, 3))


# --- adaptive -----------------------------------------------------------------------------------


def _mixing(count: int, length: int, like: Node) -> Node:
    """The matrix [count, length] of means over floor(i L / n) .. ceil((i + 1) L / n), in the dtype
    of a node.
    """
    i, at = b.iota((count, length), 0), b.iota((count, length), 1)
    # floor(i L / n) <= j and j < ceil((i + 1) L / n), without dividing
    begun = b.binary("lt", b.mul(i, length), b.mul(b.add(at, 1), count))
    before = b.binary("lt", b.mul(at, count), b.mul(b.add(i, 1), length))
    inside = b.cast(b.elementwise("logical_and", begun, before), like.dtype)
    return b.div(inside, b.reduce("sum", inside, 1, True))


def _mixed(x: Node, axis: int, matrix: Node, transposed: bool) -> Node:
    """One dimension of x multiplied by a matrix (or its transpose)."""
    count = matrix.shape[1 if transposed else 0]
    loops = (*(count if d == axis else n for d, n in enumerate(x.shape)), x.shape[axis])
    own = tuple((0, ((x.ndim if d == axis else d, 1),)) for d in range(x.ndim))
    rows, columns = (0, ((axis, 1),)), (0, ((x.ndim, 1),))
    return b.contract(
        x,
        matrix,
        ContractionMap(loops, x.ndim, own, (columns, rows) if transposed else (rows, columns)),
    )


def _uneven(x: Node, sizes: Sizes, transposed: bool) -> Node:
    wide = opmath(x)
    for d, n in enumerate(sizes):
        axis = x.ndim - len(sizes) + d
        count, length = (wide.shape[axis], n) if transposed else (n, wide.shape[axis])
        wide = _mixed(wide, axis, _mixing(count, length, wide), transposed)
    return b.cast(wide, x.dtype)


@op("", grad_name="AdaptiveAvgPoolBackward0")
def uneven_mean(input: Value, sizes: tuple) -> Value:
    """The means of adaptive windows that differ in length: one small matrix product for each
    dimension.
    """
    return _uneven(input, sizes, False)


@op("", grad_name="AdaptiveAvgPoolBackward0")
def uneven_mean_backward(grad: Value, size: tuple) -> Value:
    """The gradient of `uneven_mean` for an input of spatial size `size`."""
    return _uneven(grad, size, True)


@uneven_mean.vjp("input")
def _(g, input_layout, sizes):  # type: ignore[no-untyped-def]
    return uneven_mean_backward(g, input_layout.shape[-len(sizes) :])


@uneven_mean_backward.vjp("grad")
def _(g, grad_layout, size):  # type: ignore[no-untyped-def]
    return uneven_mean(g, grad_layout.shape[-len(size) :])


def _adaptive_row(rank: int) -> Op:
    name = f"adaptive_avg_pool{rank}d"

    def body(input: Value, output_size: Any) -> Value:
        sizes = adaptive_size(name, input, output_size, rank)
        w = even_window(tuple(input.shape[input.ndim - rank :]), sizes)
        if 0 in sizes:
            return b.expand(b.const(0, input.dtype), (*input.shape[: input.ndim - rank], *sizes))
        return uneven_mean(input, sizes) if w is None else window_mean(input, w, (True, None))

    body.__name__ = name
    body.__doc__ = f"""The means of windows so chosen that the result has `output_size`.

    Window i of n over a length L is floor(i L / n) .. ceil((i + 1) L / n). Shapes: (N, C,
    spatial...) or (C, spatial...) -> (N, C, *output_size). Follows `torch.nn.functional.{name}`.

    >>> import rushlight as rl
    >>> rl.nn.functional.{name}(rl.ones({", ".join(["1", "2", *["5"] * rank])}), 3).shape
    torch.Size([1, 2{", 3" * rank}])
    """
    row = op(
        "torch",
        strides=averaged_strides,
        grad_name=grad_names.adaptive_mean(rank),
        guarded=("input",),
    )(body)

    @row.vjp("input")
    def _(g, input_layout):  # type: ignore[no-untyped-def]
        size, sizes = input_layout.shape[-rank:], g.shape[-rank:]
        w = even_window(tuple(size), tuple(sizes))
        return (
            uneven_mean_backward(g, size)
            if w is None
            else window_mean_backward(g, size, w, (True, None))
        )

    return row


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = map(_adaptive_row, (1, 2, 3))


# --- references ---------------------------------------------------------------------------------


def _numpy_average(
    x: np.ndarray,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    rank: int = 2,
) -> np.ndarray:
    """Window by window."""
    size, lead = x.shape[-rank:], x.shape[:-rank]
    w = window("reference", size, kernel_size, stride, padding, 1, ceil_mode)
    made = np.empty((*lead, *w.result))
    for at in np.ndindex(*made.shape):
        spans = [
            (i * s - p[0], i * s - p[0] + k, p[0], n)
            for i, s, p, k, n in zip(at[len(lead) :], w.stride, w.padding, w.kernel, size)
        ]
        part = x[at[: len(lead)]][
            tuple(slice(max(start, 0), min(end, n)) for start, end, _, n in spans)
        ]
        padded = prod(min(end, n + p) - start for start, end, p, n in spans)
        made[at] = part.sum() / (divisor_override or (padded if count_include_pad else part.size))
    return made


def _numpy_adaptive(x: np.ndarray, output_size: Any, *, rank: int = 2) -> np.ndarray:
    sizes = output_size if isinstance(output_size, tuple) else (output_size,) * rank
    size, lead = x.shape[-rank:], x.shape[:-rank]
    made = np.empty((*lead, *sizes))
    for at in np.ndindex(*made.shape):
        spans = [
            slice(i * n // m, -(-(i + 1) * n // m)) for i, n, m in zip(at[len(lead) :], size, sizes)
        ]
        made[at] = x[at[: len(lead)]][tuple(spans)].mean()
    return made


def _transposed_of(function: Any, size: Sizes) -> Any:
    """The transpose of a linear NumPy function of (..., size), element by element."""

    def apply(g: np.ndarray) -> np.ndarray:
        made = np.empty((*g.shape[: g.ndim - len(size)], *size))
        for at in np.ndindex(*made.shape):
            one = np.zeros(made.shape)
            one[at] = 1
            made[at] = (function(one) * g).sum()
        return made

    return apply


_WAY = window("avg_pool2d", (6, 5), 3, 2, 1, 1, True)
for _rank, (_row, _adaptive) in enumerate(
    (
        (avg_pool1d, adaptive_avg_pool1d),
        (avg_pool2d, adaptive_avg_pool2d),
        (avg_pool3d, adaptive_avg_pool3d),
    ),
    1,
):
    _row.test(
        lambda make, own=(7, 5, 4)[:_rank]: [
            ((make(2, 3, *own), 3, 2, 1), {"ceil_mode": True}),
            ((make(3, *own), 2), {}),
            ((make(1, 2, *own), 3, 2, 1, False, False), {}),
        ],
        lambda *a, rank=_rank, **k: _numpy_average(*a, rank=rank, **k),
    )
    _adaptive.test(
        lambda make, own=(7, 6, 4)[:_rank]: [
            ((make(2, 3, *own), 3), {}),
            ((make(3, *own), 1), {}),
            ((make(1, 1, *own), own), {}),
        ],
        lambda x, n, rank=_rank: _numpy_adaptive(x, n, rank=rank),
    )
window_mean.test(
    lambda make: [((make(2, 3, 6, 5), _WAY, (False, None)), {})],
    lambda x, way, divisor: _numpy_average(x, 3, 2, 1, True, False),
)
window_mean_backward.test(
    lambda make: [((make(1, 2, *_WAY.result), (6, 5), _WAY, (True, None)), {})],
    lambda g, size, way, divisor: _transposed_of(lambda x: _numpy_average(x, 3, 2, 1, True), size)(
        g
    ),
)
uneven_mean.test(lambda make: [((make(2, 7, 5), (3, 4)), {})], _numpy_adaptive)
uneven_mean_backward.test(
    lambda make: [((make(2, 3, 4), (7, 5)), {})],
    lambda g, size: _transposed_of(lambda x: _numpy_adaptive(x, (3, 4)), size)(g),
)
