"""Windows that slide over the last dimensions of a tensor: their sizes, their taps, and the way
back.

In: a node (..., spatial) and a Window. Out: for every tap of the window the elements that it meets,
as one slice; or, from what every tap contributes, the sum at each element. Invariants: slices and
margins only, no index and no test in a kernel; the way back gathers, so that nothing is written
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from itertools import product
from typing import Any, NamedTuple

from ..base.layout import Layout, contiguous_strides, ordered_strides, suggests_channels_last
from ..graph import build as b
from ..graph.node import Node
from .common import require_kind
from .convolution_maps import Phase, phases
from .signature import strides_as_suggested

Sizes = tuple[int, ...]
Taps = tuple[int, ...]


class Window(NamedTuple):
    """One entry for each spatial dimension; `padding` is (before, after), `result` the number of
    windows.
    """

    kernel: Sizes
    stride: Sizes
    padding: tuple[tuple[int, int], ...]
    dilation: Sizes
    result: Sizes

    def only(self, d: int) -> Window:
        """The window of one dimension alone."""
        one = slice(d, d + 1)
        return Window(
            self.kernel[one],
            self.stride[one],
            self.padding[one],
            self.dilation[one],
            self.result[one],
        )

    def taps(self) -> list[Taps]:
        """All places in a window, in row-major order."""
        return list(product(*map(range, self.kernel)))


def _each(value: Any, rank: int, name: str, role: str) -> Sizes:
    if isinstance(value, int):
        return (value,) * rank
    values = tuple(value)
    if len(values) == 1:
        return values * rank
    if len(values) != rank:
        counts = ("one int", "two ints", "three ints")[rank - 1]
        raise RuntimeError(
            f"{name}: {role} must either be a single int, or a tuple of {counts}: got "
            f"{list(values)}"
        )
    return values


@lru_cache(4096)
def window(
    name: str,
    size: Sizes,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    channels: int = 0,
) -> Window:
    """The window that the arguments of a pooling function describe; RuntimeError in PyTorch's
    words.
    """
    rank = len(size)
    kernel = _each(kernel_size, rank, name, "kernel_size")
    steps = kernel if stride is None or stride == () else _each(stride, rank, name, "stride")
    borders, widths = _each(padding, rank, name, "padding"), _each(dilation, rank, name, "dilation")
    if any(k <= 0 for k in kernel):
        raise RuntimeError(
            f"{name}: kernel size should be greater than zero, but got kernel_size={list(kernel)}"
        )
    if any(s <= 0 for s in steps):
        raise RuntimeError(f"stride should not be zero: {name} got stride={list(steps)}")
    if any(d <= 0 for d in widths):
        raise RuntimeError(f"dilation should be greater than zero, but got {list(widths)}")
    result = []
    for n, k, s, p, d in zip(size, kernel, steps, borders, widths):
        reach = d * (k - 1) + 1
        if p < 0 or p > reach // 2:
            raise RuntimeError(
                "pad should be non-negative and at most half of effective kernel size, but got "
                f"pad={p}, kernel_size={k} and dilation={d}"
            )
        count = (n + 2 * p - reach + (s - 1 if ceil_mode else 0)) // s + 1
        result.append(count - 1 if ceil_mode and (count - 1) * s >= n + p else count)
    if any(n < 1 for n in result):
        have, made = ("x".join(map(str, (channels, *sizes))) for sizes in (size, result))
        raise RuntimeError(
            f"Given input size: ({have}). Calculated output size: ({made}). Output size is too "
            "small"
        )
    after = [
        max(0, (m - 1) * s + d * (k - 1) + 1 - n - p)
        for m, s, d, k, n, p in zip(result, steps, widths, kernel, size, borders)
    ]
    return Window(kernel, steps, tuple(zip(borders, after)), widths, tuple(result))


def margins(x: Node, w: Window, value: float = 0) -> Node:
    """x with the window's padding around its last dimensions."""
    lead = [0] * (x.ndim - len(w.kernel))
    return b.pad(x, [*lead, *(p for p, _ in w.padding)], [*lead, *(p for _, p in w.padding)], value)


def tap(x: Node, w: Window, place: Taps) -> Node:
    """What a tap meets in x (with margins), window by window: (..., result)."""
    lead = x.ndim - len(place)
    starts = [0] * lead + [t * d for t, d in zip(place, w.dilation)]
    return b.slice_(x, starts, (*x.shape[:lead], *w.result), [1] * lead + list(w.stride))


def line(rank: int, axis: int, length: int) -> Node:
    """0, 1, 2... along one of `rank` dimensions."""
    return b.iota([length if d == axis else 1 for d in range(rank)], axis)


def unwindow(
    contribution: Callable[[Taps], Node], size: Sizes, w: Window, uniform: bool = False
) -> Node:
    """The sum, at every element, of what the taps that met it contribute: (..., size).

    `contribution(place)` is (..., result), and with `uniform` the same for all taps. Residues of
    the stride are worked out run by run (see `convolution_maps.phases`) and then interleaved.
    """
    rank = len(size)
    periods = tuple(-(-n // s) for n, s in zip(size, w.stride))
    runs = [
        phases(n, k, s, p[0], d)
        for n, k, s, p, d in zip(size, w.kernel, w.stride, w.padding, w.dilation)
    ]
    if not uniform:
        runs = [tuple(one for run in line_ for one in _single(run)) for line_ in runs]
    made = _side_by_side(contribution, runs, (), periods)
    lead = made.shape[: made.ndim - 2 * rank]
    made = b.reshape(made, (*lead, *(q * min(s, n) for q, s, n in zip(periods, w.stride, size))))
    return b.slice_(made, [0] * made.ndim, (*lead, *size))


def _single(run: Phase) -> list[Phase]:
    """A run as its residues one by one."""
    return [run._replace(residues=1, first=run.first + r) for r in range(run.residues)]


def _side_by_side(
    contribution: Callable, runs: list, chosen: tuple[Phase, ...], periods: Sizes
) -> Node:
    depth, rank = len(chosen), len(runs)
    if depth == rank:
        return _piece(contribution, chosen, periods)
    parts = [_side_by_side(contribution, runs, (*chosen, run), periods) for run in runs[depth]]
    return b.concat(parts, parts[0].ndim - 2 * rank + 2 * depth + 1)


def _piece(contribution: Callable, chosen: tuple[Phase, ...], periods: Sizes) -> Node:
    """The sum over the taps of one residue of every dimension: (..., q0, r0, q1, r1, ...)."""
    terms = []
    for steps in product(*(range(run.taps) for run in chosen)):
        place = tuple(run.first + run.step * j for run, j in zip(chosen, steps))
        c = contribution(place)
        lead = [0] * (c.ndim - len(chosen))
        starts = [run.origin - run.jump * j for run, j in zip(chosen, steps)]
        ends = [q + start - n for q, start, n in zip(periods, starts, c.shape[len(lead) :])]
        terms.append(b.pad(c, [*lead, *(-start for start in starts)], [*lead, *ends]))
    if not terms:
        c = contribution((0,) * len(chosen))
        terms.append(b.expand(b.const(0, c.dtype), (*c.shape[: c.ndim - len(chosen)], *periods)))
    total = reduce(b.add, terms)
    outer = total.shape[: total.ndim - len(chosen)]
    total = b.reshape(total, (*outer, *(n for q in periods for n in (q, 1))))
    return b.expand(
        total, (*outer, *(n for q, run in zip(periods, chosen) for n in (q, run.residues)))
    )


def averaged_strides(shape: tuple[int, ...], operands: list[Layout]) -> tuple[int, ...]:
    """PyTorch's strides of averages: channels-last where pictures are (a line being a picture of
    one row), but not where volumes are.
    """
    x = operands[0]
    if x.ndim == len(shape) == 3:
        row = (*x.strides[:2], x.strides[2] * x.shape[2], x.strides[2])
        if suggests_channels_last((*x.shape[:2], 1, x.shape[2]), row):
            return ordered_strides(shape, (0, 2, 1))
    return strides_as_suggested(shape, operands) if x.ndim == 4 else contiguous_strides(shape)


def require_spatial(name: str, x: Node, rank: int, kinds: Sequence[str] = ("float",)) -> None:
    """RuntimeError unless x is (C, spatial...) or (N, C, spatial...); NotImplementedError for other
    dtypes.
    """
    empty = any(n == 0 for n in x.shape[x.ndim - rank - 1 :]) if x.ndim > rank else True
    if x.ndim not in (rank + 1, rank + 2) or empty:
        raise RuntimeError(
            f"{name}: Expected {rank + 1}D or {rank + 2}D (batch mode) tensor with optional 0 dim "
            "batch size for input, "
            f"non-empty otherwise, but got:{list(x.shape)}"
        )
    require_kind(name, x, tuple(kinds))
