"""The three contractions of convolutions, as loops and affine index maps.

In: nodes (N, C, spatial...) and weights (O, C / groups, kernel...), and a Geometry. Out: nodes.
Invariants: zero padding is a margin around the operand, never a test; every tap meets every pixel
once; inside a program activations lie channels-last and weights [kernel..., in, out] whatever
strides the user sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product as combinations
from math import gcd
from typing import Any, NamedTuple

from ..base.dtype import dtype
from ..graph import build as b
from ..graph.node import ContractionMap, Node

Sizes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
Map = tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
Orders = tuple[Sizes, Sizes, Sizes]


class Geometry(NamedTuple):
    """How a window walks: one entry for each spatial dimension; padding as (before, after)."""

    stride: Sizes
    padding: Pairs
    dilation: Sizes
    groups: int


def fixed(value: Any) -> Any:
    """A list as a tuple, which can be a key."""
    return tuple(value) if isinstance(value, list) else value


class _Loops:
    """The loops of one contraction by name, and operand maps written with those names."""

    def __init__(self, outer: Sequence[tuple[str, int]], summed: Sequence[tuple[str, int]]) -> None:
        self.extents = tuple(n for _, n in (*outer, *summed))
        self.rank = len(outer)
        self.place = {name: k for k, (name, _) in enumerate((*outer, *summed))}

    def index(self, *parts: tuple[str, int] | int) -> tuple[int, tuple[tuple[int, int], ...]]:
        """constant + sum of coefficient * loop; loops that do not exist (one group) count as
        zero.
        """
        constant = sum(p for p in parts if isinstance(p, int))
        found = [p for p in parts if not isinstance(p, int) and p[0] in self.place]
        return constant, tuple((self.place[name], coefficient) for name, coefficient in found)

    def contract(
        self, a: Node, w: Node, maps: tuple[Map, Map], orders: Orders, type: dtype | None
    ) -> Node:
        if 0 in self.extents:
            return b.expand(b.const(0, type or a.dtype), self.extents[: self.rank])
        return b.contract(
            a, w, ContractionMap(self.extents, self.rank, maps[0], maps[1], orders), type
        )


def channels_last(rank: int) -> Sizes:
    """N, spatial..., C."""
    return (0, *range(2, rank + 2), 1)


def _grouped_last(rank: int, groups: int) -> Sizes:
    """The same for a result that carries its groups as a dimension: N, G, C / G, spatial..."""
    return channels_last(rank) if groups == 1 else (0, *range(3, rank + 3), 1, 2)


def _group(groups: int) -> list[tuple[str, int]]:
    return [("g", groups)] if groups > 1 else []


def _margins(x: Node, padding: Sequence[tuple[int, int]]) -> Node:
    return b.pad(x, [0, 0, *(p for p, _ in padding)], [0, 0, *(p for _, p in padding)])


def forward(
    x: Node, weight: Node, way: Geometry, type: dtype | None = None, size: Sizes | None = None
) -> Node:
    """y[n, o, p] = sum over c, k of x[n, c, p * stride + k * dilation - padding] * w[o, c, k].

    `size` is the spatial size of y where not all windows that fit are wanted.
    """
    rank, groups = len(way.stride), way.groups
    x = _margins(x, way.padding)
    kernel, inner, filters = weight.shape[2:], weight.shape[1], weight.shape[0] // groups
    result = size or tuple(
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(x.shape[2:], kernel, way.stride, way.dilation)
    )
    loops = _Loops(
        [
            ("n", x.shape[0]),
            *_group(groups),
            ("o", filters),
            *((f"p{d}", n) for d, n in enumerate(result)),
        ],
        [*((f"k{d}", n) for d, n in enumerate(kernel)), ("c", inner)],
    )
    at = loops.index
    pixels = [
        at((f"p{d}", s), (f"k{d}", e)) for d, (s, e) in enumerate(zip(way.stride, way.dilation))
    ]
    taps = [at((f"k{d}", 1)) for d in range(rank)]
    maps = (
        (at(("n", 1)), at(("g", inner), ("c", 1)), *pixels),
        (at(("g", filters), ("o", 1)), at(("c", 1)), *taps),
    )
    orders = (channels_last(rank), (*range(2, rank + 2), 1, 0), _grouped_last(rank, groups))
    made = loops.contract(x, weight, maps, orders, type)
    return b.reshape(made, (x.shape[0], weight.shape[0], *result))


def weight_gradient(g: Node, x: Node, kernel: Sizes, way: Geometry) -> Node:
    """dw[o, c, k] = sum over n, p of x[n, c, p * stride + k * dilation - padding] * g[n, o, p]."""
    rank, groups = len(way.stride), way.groups
    x = _margins(x, way.padding)
    inner, filters = x.shape[1] // groups, g.shape[1] // groups
    loops = _Loops(
        [
            *_group(groups),
            ("o", filters),
            ("c", inner),
            *((f"k{d}", n) for d, n in enumerate(kernel)),
        ],
        [("n", x.shape[0]), *((f"p{d}", n) for d, n in enumerate(g.shape[2:]))],
    )
    at = loops.index
    pixels = [
        at((f"p{d}", s), (f"k{d}", e)) for d, (s, e) in enumerate(zip(way.stride, way.dilation))
    ]
    maps = (
        (at(("n", 1)), at(("g", inner), ("c", 1)), *pixels),
        (at(("n", 1)), at(("g", filters), ("o", 1)), *(at((f"p{d}", 1)) for d in range(rank))),
    )
    if groups == 1:
        order: Sizes = (*range(2, rank + 2), 1, 0)
    else:
        order = (*range(3, rank + 3), 2, 0, 1)
    made = loops.contract(x, g, maps, (channels_last(rank), channels_last(rank), order), None)
    return b.reshape(made, (g.shape[1], inner, *kernel))


class Phase(NamedTuple):
    """A run of residues of a dimension modulo its stride whose taps and pixels are affine in the
    residue.

    Residue r = 0.. of the run at period q meets the taps first + r + step * j (j < taps) and reads
    the gradient at q + origin - jump * j.
    """

    residues: int
    first: int
    taps: int
    step: int
    origin: int
    jump: int


@lru_cache(1024)
def phases(size: int, kernel: int, stride: int, before: int, dilation: int) -> tuple[Phase, ...]:
    """The runs of residues 0..min(stride, size) - 1 of one dimension, in order; taps is 0 where no
    tap meets one.

    >>> [(run.first, run.taps, run.origin) for run in phases(8, 3, 2, 1, 1)]
    [(1, 1, 0), (0, 2, 1)]
    """
    step = stride // gcd(stride, dilation)
    jump = dilation * step // stride
    first_taps = {(dilation * t - before) % stride: t for t in range(min(step, kernel))}
    limit, runs = min(stride, size), list[Phase]()
    following = 0
    for residue in sorted(r for r in first_taps if r < limit):
        if residue > following:  # however many residues lie between
            runs.append(Phase(residue - following, 0, 0, step, 0, jump))
        following, first = residue + 1, first_taps[residue]
        taps = len(range(first, kernel, step))
        origin = (residue + before - dilation * first) // stride
        found = Phase(1, first, taps, step, origin, jump)
        last = runs[-1] if runs and runs[-1].taps else None
        if last and found == last._replace(residues=1, first=last.first + last.residues):
            runs[-1] = last._replace(residues=last.residues + 1)
        else:
            runs.append(found)
    if following < limit:
        runs.append(Phase(limit - following, 0, 0, step, 0, jump))
    return tuple(runs)


def input_gradient(
    g: Node, weight: Node, size: Sizes, way: Geometry, type: dtype | None = None
) -> Node:
    """dx[n, c, i] = sum over o, k of g[n, o, p] * w[o, c, k] where p * stride + k * dilation -
    padding = i.

    With stride s pixels i = s q + r meet only the taps that fit their residue r: every run of
    residues (`phases`) is one contraction over its own taps, and the runs are interleaved. Stride
    one is one run.
    """
    groups, channels = way.groups, weight.shape[1] * way.groups
    periods = tuple(-(-n // s) for n, s in zip(size, way.stride))
    runs = [
        phases(n, k, s, p[0], d)
        for n, k, s, p, d in zip(size, weight.shape[2:], way.stride, way.padding, way.dilation)
    ]
    margins = []
    for extent, count, run in zip(g.shape[2:], periods, runs):
        used = [f for f in run if f.taps]
        before = max([0, *(f.jump * (f.taps - 1) - f.origin for f in used)])
        margins.append((before, max([0, *(f.origin + count - extent for f in used)])))
    g = _margins(g, margins)
    pieces = {
        c: _phase(g, weight, c, periods, [p for p, _ in margins], groups, type)
        for c in combinations(*runs)
    }
    made = _interleaved(pieces, runs, ())
    made = b.reshape(
        made, (g.shape[0], channels, *(q * min(s, n) for q, s, n in zip(periods, way.stride, size)))
    )
    return b.slice_(made, [0] * made.ndim, (g.shape[0], channels, *size))


def _phase(
    g: Node,
    weight: Node,
    chosen: tuple[Phase, ...],
    periods: Sizes,
    margin: list[int],
    groups: int,
    type: dtype | None,
) -> Node:
    """One run of residues in every dimension: [n, (g,) c, q0, r0, q1, r1, ...]."""
    inner, filters, rank = weight.shape[1], weight.shape[0] // groups, len(chosen)
    grid = [
        (f"{name}{d}", n)
        for d, (q, f) in enumerate(zip(periods, chosen))
        for name, n in (("q", q), ("r", f.residues))
    ]
    loops = _Loops(
        [("n", g.shape[0]), *_group(groups), ("c", inner), *grid],
        [*((f"j{d}", f.taps) for d, f in enumerate(chosen)), ("o", filters)],
    )
    at = loops.index
    # taps are walked backwards, so that the gradient is read forwards
    pixels = [
        at((f"q{d}", 1), (f"j{d}", f.jump), m + f.origin - f.jump * (f.taps - 1))
        for d, (f, m) in enumerate(zip(chosen, margin))
    ]
    taps = [
        at((f"r{d}", 1), (f"j{d}", -f.step), f.first + f.step * (f.taps - 1))
        for d, f in enumerate(chosen)
    ]
    maps = (
        (at(("n", 1)), at(("g", filters), ("o", 1)), *pixels),
        (at(("g", filters), ("o", 1)), at(("c", 1)), *taps),
    )
    lead = 3 if groups > 1 else 2
    order = (0, *range(lead, lead + 2 * rank), *range(1, lead))
    made = loops.contract(
        g, weight, maps, (channels_last(rank), (*range(2, rank + 2), 0, 1), order), type
    )
    return b.reshape(made, (g.shape[0], inner * groups, *(n for _, n in grid)))


def _interleaved(pieces: dict, runs: list[tuple[Phase, ...]], chosen: tuple[Phase, ...]) -> Node:
    """The pieces side by side along the residues of each dimension, the first dimension
    outermost.
    """
    depth = len(chosen)
    if depth == len(runs):
        return pieces[chosen]
    return b.concat([_interleaved(pieces, runs, (*chosen, f)) for f in runs[depth]], 3 + 2 * depth)
