"""Matrix products and convolutions written as contractions.

In: sizes. Out: `Contraction`s over buffers in the layouts given below.
Invariant: every address lies inside the stated buffers, so that padding is a matter of the layout
(a zero margin around the pixels) and never of a test inside a kernel.

Layouts of a convolution, for any number of spatial dimensions (written here for two):

    x   [batch, height, width, channels]          with a zero margin around the pixels
    y   [batch, out height, out width, filters]   with a zero margin for `input_gradient`
    w   [kernel height, kernel width, channels / groups, filters]
    wt  [kernel height, kernel width, filters / groups, channels]       for `input_gradient`

The second operand of a product runs fastest in panels, w [filters / p, kernel..., channels, p] with
p = `panel_width(filters)`: what a tile reads then lies in one run of memory. `in_panels` turns
a contraction over the plain layout into one over panels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import gcd, prod

from rushlight.kernel.contraction import Axis, Contraction, Step

# (before, after) for each spatial dimension.
Margin = tuple[tuple[int, int], ...]


def matrix_product(
    m: int,
    n: int,
    k: int,
    batch: int = 1,
    *,
    transposed_a: bool = False,
    transposed_b: bool = False,
    shared_b: bool = False,
    dtype: str = "float32",
) -> Contraction:
    """C[m, n] = sum_k A[m, k] B[k, n], row-major; `batch` of them, of one B if it is shared.

    With `transposed_a` the first operand is laid out [k, m], as in a weight's gradient; with
    `transposed_b` the second is laid out [n, k], as the weight of a linear layer.

    >>> [axis.extent for axis in matrix_product(2, 3, 4).axes]
    [1, 2, 3, 4]
    """
    m_stride, k_stride = (1, m) if transposed_a else (k, 1)
    n_stride, b_stride = (k, 1) if transposed_b else (1, n)
    axes = (
        Axis("batch", batch, m * k, 0 if shared_b else k * n, m * n),
        Axis("m", m, m_stride, 0, n),
        Axis("n", n, 0, n_stride, 1),
        Axis("k", k, k_stride, b_stride, 0),
    )
    return Contraction(axes, dtype, dtype, dtype)


def panel_width(columns: int) -> int:
    """Columns of a panel: the largest of 64, 32, 16 that divides `columns`; else all of them.

    >>> panel_width(512), panel_width(48), panel_width(10)
    (64, 16, 10)
    """
    return next((width for width in (64, 32, 16) if columns % width == 0), columns)


def rows_in_panels(spec: Contraction, width: int) -> Contraction:
    """The same matrix product with A, whose rows lie side by side in each step of the sum, laid out
    as [m / width, k, width] instead of [k, m].

    >>> from rushlight.kernel.contraction import Axis, Contraction
    >>> loops = Axis("m", 64, 1, 0, 8), Axis("n", 8, 0, 1, 1), Axis("k", 5, 64, 8, 0)
    >>> [(axis.name, axis.extent, axis.a) for axis in rows_in_panels(Contraction(loops), 16).axes]
    [('n', 8, 0), ('k', 5, 16), ('rows', 4, 80), ('m', 16, 1)]
    """
    rows = next(axis for axis in spec.axes if axis.a == 1 and axis.b == 0)
    if rows.extent % width:
        raise ValueError(f"panels of {width} rows do not divide {rows.extent} rows")
    others = [replace(x, a=x.a // rows.extent * width) for x in spec.axes if x is not rows]
    length = prod(axis.extent for axis in others if axis.a)
    outer = Axis("rows", rows.extent // width, length * width, 0, rows.c * width)
    axes = (*others, outer, replace(rows, extent=width))
    return replace(spec, axes=axes, epilogue=_cut(spec, rows, width))


def in_panels(spec: Contraction, rows: int, width: int) -> Contraction:
    """The same sum with B laid out as [columns / width, rows, width] instead of [rows, columns].

    `rows` is kernel size times channels (filters for `input_gradient`), or k; the columns are the
    axis with b = c = 1, and convolutions must have one group. A batch of B stays a batch.

    >>> [(axis.name, axis.b) for axis in in_panels(matrix_product(2, 64, 4), 4, 32).axes]
    [('batch', 256), ('m', 0), ('k', 32), ('panel', 128), ('n', 1)]
    """
    columns = next(axis for axis in spec.axes if axis.b == 1 and axis.c == 1)
    if columns.extent % width:
        raise ValueError(f"panels of {width} columns do not divide {columns.extent} columns")
    whole = rows * columns.extent
    axes = [
        replace(axis, b=axis.b if axis.b % whole == 0 else axis.b // columns.extent * width)
        for axis in spec.axes
        if axis is not columns
    ]
    axes.append(Axis("panel", columns.extent // width, 0, rows * width, width))
    axes.append(replace(columns, extent=width))
    start = spec.b_offset // columns.extent * width
    epilogue = _cut(spec, columns, width)
    return replace(spec, axes=tuple(axes), b_offset=start, epilogue=epilogue)


def _cut(spec: Contraction, axis: Axis, width: int) -> tuple[Step, ...]:
    """The epilogue where an axis is taken out and comes last, as a loop over blocks of `width` and
    one within them.
    """
    place = spec.axes.index(axis)

    def strides(step: Step) -> tuple[int, ...]:
        rest = step.strides[:place] + step.strides[place + 1 :]
        return (*rest, step.strides[place] * width, step.strides[place])

    return tuple(replace(x, strides=strides(x)) if x.strides else x for x in spec.epilogue)


@dataclass(frozen=True)
class Convolution:
    """Sizes of a convolution; those that are tuples have an entry for each spatial dimension."""

    batch: int
    channels: int
    filters: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1

    @property
    def result(self) -> tuple[int, ...]:
        """Spatial size: floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1."""
        return tuple(
            (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for size, pad, dilation, kernel, stride in zip(
                self.size, self.padding, self.dilation, self.kernel, self.stride, strict=True
            )
        )

    @property
    def margin(self) -> Margin:
        """The margin that `forward` and `weight_gradient` need around x."""
        return tuple((pad, pad) for pad in self.padding)


def _pixel_strides(size: tuple[int, ...], margin: Margin, channels: int) -> list[int]:
    """Strides of [batch, dimensions...] in a channels-last buffer with a margin."""
    padded = [extent + sum(around) for extent, around in zip(size, margin, strict=True)]
    return [channels * prod(padded[index:]) for index in range(len(size) + 1)]


def _margin_offset(strides: list[int], margin: Margin) -> int:
    return sum(stride * around[0] for stride, around in zip(strides[1:], margin, strict=True))


def forward(shape: Convolution, margin: Margin | None = None) -> Contraction:
    """y = sum over kernel and channels of x * w; x carries `margin`, at least `shape.margin`."""
    margin = margin or shape.margin
    channels, filters = shape.channels // shape.groups, shape.filters // shape.groups
    x = _pixel_strides(shape.size, margin, shape.channels)
    y = _pixel_strides(shape.result, ((0, 0),) * len(shape.size), shape.filters)
    axes = [Axis("n", shape.batch, x[0], 0, y[0])]
    axes.append(Axis("group", shape.groups, channels, filters, filters))
    taps = _kernel_strides(shape.kernel, channels * shape.filters)
    for index, extent in enumerate(shape.result):
        axes.append(Axis(f"o{index}", extent, x[index + 1] * shape.stride[index], 0, y[index + 1]))
    for index, extent in enumerate(shape.kernel):
        axes.append(Axis(f"k{index}", extent, x[index + 1] * shape.dilation[index], taps[index], 0))
    axes += [Axis("ic", channels, 1, shape.filters, 0), Axis("oc", filters, 0, 1, 1)]
    spare = tuple((around[0] - pad, 0) for around, pad in zip(margin, shape.padding, strict=True))
    return Contraction(tuple(axes), a_offset=_margin_offset(x, spare))


def _kernel_strides(kernel: tuple[int, ...], inner: int) -> list[int]:
    return [inner * prod(kernel[index + 1 :]) for index in range(len(kernel))]


def weight_gradient(
    shape: Convolution, margin: Margin | None = None, result_margin: Margin | None = None
) -> Contraction:
    """dw = sum over batch and pixels of x * dy: pixels are the loop that is summed."""
    margin = margin or shape.margin
    result_margin = result_margin or ((0, 0),) * len(shape.size)
    channels, filters = shape.channels // shape.groups, shape.filters // shape.groups
    x = _pixel_strides(shape.size, margin, shape.channels)
    y = _pixel_strides(shape.result, result_margin, shape.filters)
    axes = [Axis("n", shape.batch, x[0], y[0], 0)]
    axes.append(Axis("group", shape.groups, channels, filters, filters))
    taps = _kernel_strides(shape.kernel, channels * shape.filters)
    for index, extent in enumerate(shape.result):
        axes.append(Axis(f"o{index}", extent, x[index + 1] * shape.stride[index], y[index + 1], 0))
    for index, extent in enumerate(shape.kernel):
        axes.append(Axis(f"k{index}", extent, x[index + 1] * shape.dilation[index], 0, taps[index]))
    axes += [Axis("ic", channels, 1, 0, shape.filters), Axis("oc", filters, 0, 1, 1)]
    spare = tuple((around[0] - pad, 0) for around, pad in zip(margin, shape.padding, strict=True))
    return Contraction(
        tuple(axes), a_offset=_margin_offset(x, spare), b_offset=_margin_offset(y, result_margin)
    )


@dataclass(frozen=True)
class _Phase:
    """One residue of a dimension modulo its stride: x steps start, start + stride, ... meet the
    taps first, first + step, ..., and read y at origin + index - tap * jump."""

    start: int
    count: int
    first: int
    step: int
    taps: int
    origin: int
    jump: int


def _phases(shape: Convolution, dimension: int) -> list[_Phase]:
    size, kernel = shape.size[dimension], shape.kernel[dimension]
    stride, dilation = shape.stride[dimension], shape.dilation[dimension]
    step = stride // gcd(stride, dilation)
    phases = []
    for start in range(min(stride, size)):
        place = start + shape.padding[dimension]
        first = next(
            (tap for tap in range(min(step, kernel)) if (place - dilation * tap) % stride == 0),
            None,
        )
        if first is not None:
            taps = len(range(first, kernel, step))
            origin, jump = (place - dilation * first) // stride, dilation * step // stride
            count = len(range(start, size, stride))
            phases.append(_Phase(start, count, first, step, taps, origin, jump))
    return phases


def gradient_margin(shape: Convolution) -> Margin:
    """The zero margin around dy with which `input_gradient` reads valid addresses only."""
    margins = []
    for dimension, extent in enumerate(shape.result):
        phases = _phases(shape, dimension)
        before = [phase.jump * (phase.taps - 1) - phase.origin for phase in phases]
        after = [phase.origin + phase.count - extent for phase in phases]
        margins.append((max([0, *before]), max([0, *after])))
    return tuple(margins)


def covers_input(shape: Convolution) -> bool:
    """Whether `input_gradient` writes every pixel of dx; if not, the caller clears dx first."""
    return all(
        len(_phases(shape, dimension)) == min(shape.stride[dimension], size)
        for dimension, size in enumerate(shape.size)
    )


def input_gradient(
    shape: Convolution, result_margin: Margin | None = None, margin: Margin | None = None
) -> list[Contraction]:
    """dx = sum over kernel and filters of dy * wt, one contraction for each residue of the stride.

    dy carries `result_margin`, at least `gradient_margin(shape)`; dx carries `margin` (none unless
    given), which is left as it is. With stride 1 there is one contraction: a convolution of dy with
    the kernel walked backwards.
    """
    result_margin = result_margin or gradient_margin(shape)
    margin = margin or ((0, 0),) * len(shape.size)
    y = _pixel_strides(shape.result, result_margin, shape.filters)
    x = _pixel_strides(shape.size, margin, shape.channels)
    every = [_phases(shape, dimension) for dimension in range(len(shape.size))]
    return [
        _phase_gradient(shape, phases, (y, _margin_offset(y, result_margin)), (x, margin))
        for phases in product(*every)
    ]


def _phase_gradient(
    shape: Convolution,
    phases: tuple[_Phase, ...],
    result: tuple[list[int], int],
    source: tuple[list[int], Margin],
) -> Contraction:
    channels, filters = shape.channels // shape.groups, shape.filters // shape.groups
    (y, a_offset), (x, margin) = result, source
    taps = _kernel_strides(shape.kernel, filters * shape.channels)
    axes = [Axis("n", shape.batch, y[0], 0, x[0])]
    axes.append(Axis("group", shape.groups, filters, channels, channels))
    b_offset, c_offset = 0, _margin_offset(x, margin)
    for index, phase in enumerate(phases):
        stride = shape.stride[index]
        axes.append(Axis(f"i{index}", phase.count, y[index + 1], 0, x[index + 1] * stride))
        a_offset += phase.origin * y[index + 1]
        b_offset += phase.first * taps[index]
        c_offset += phase.start * x[index + 1]
    for index, phase in enumerate(phases):
        step = phase.step * taps[index]
        axes.append(Axis(f"k{index}", phase.taps, -phase.jump * y[index + 1], step, 0))
    axes += [Axis("oc", filters, 1, shape.channels, 0), Axis("ic", channels, 0, 1, 1)]
    return Contraction(tuple(axes), a_offset=a_offset, b_offset=b_offset, c_offset=c_offset)
