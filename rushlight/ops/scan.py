"""Cumulative sums, products, extremes and logarithms of sums along one dimension.

In: a tensor and a dimension. Out: a tensor of its shape, element i joining the elements up to and
including i (or, with `reverse`, from i on: what the gradients need). Invariant: float16 and
bfloat16 are accumulated in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.dtype import dtype, finfo
from ..base.layout import normalize_axis
from ..graph import build as b
from ..graph.node import Node
from . import namespace
from .common import conjugate, opmath, require_kind
from .core import arange_row, where
from .core import sum as sum_
from .elementary import exp, log
from .registry import Value, op


def _scanned(kind: str, x: Node, dim: int, reverse: bool) -> Node:
    """A scan from the front or from the back."""
    axis = normalize_axis(dim, x.ndim)
    if not reverse or x.ndim == 0:
        return b.scan(kind, x, axis)
    return b.flip(b.scan(kind, b.flip(x, (axis,)), axis), (axis,))


def _accumulated(kind: str, input: Node, dim: int, type_: dtype | None, reverse: bool) -> Node:
    """A sum or product; integers and bools are joined in int64 unless a dtype is given."""
    if type_ is None and input.dtype.kind in ("bool", "int"):
        type_ = dtypes.int64
    if type_ is dtypes.bool_:
        raise NotImplementedError(f"\"cum{kind}_out_cpu\" not implemented for 'Bool'")
    x = input if type_ is None else b.cast(input, type_)
    return b.cast(_scanned(kind, opmath(x), dim, reverse), x.dtype)


def _lines(make: Callable) -> list:
    return [((make(3, 4), 0), {}), ((make(2, 3, 2), -2), {}), ((make(5), 0, None, True), {})]


def _reversible(function: Callable) -> Callable:
    def reference(x: np.ndarray, dim: int, dtype: Any = None, reverse: bool = False) -> np.ndarray:
        return np.flip(function(np.flip(x, dim), dim), dim) if reverse else function(x, dim)

    return reference


@op("")
def cumsum(input: Value, dim: int, dtype: dtype | None = None, reverse: bool = False) -> Value:
    """The sums of the elements up to each one (from each one on with `reverse`)."""
    return _accumulated("sum", input, dim, dtype, reverse)


@cumsum.vjp("input")
def _(g, dim, reverse):  # type: ignore[no-untyped-def]
    return cumsum(g, dim, None, not reverse)


cumsum.test(_lines, _reversible(np.cumsum))


@op("", guarded=("out",))
def cumprod(input: Value, dim: int, dtype: dtype | None = None, reverse: bool = False) -> Value:
    """The products of the elements up to each one (from each one on with `reverse`)."""
    return _accumulated("prod", input, dim, dtype, reverse)


@op("")
def cumprod_backward(grad: Value, input: Value, dim: int, reverse: bool = False) -> Value:
    """The gradient of cumprod in linear time, zeros among the elements included.

    Before the first zero it is sum_{i >= k} g_i y_i / x_k; at the first zero the same sum with that
    zero left out of the products; after it every product contains a zero.
    """
    x, g = opmath(conjugate(input)), opmath(grad)
    zero = b.binary("eq", x, 0)
    seen = _scanned("sum", b.cast(zero, dtypes.int64), dim, reverse)
    first = zero & b.binary("eq", seen, 1)
    products = _scanned("prod", x, dim, reverse)
    without = _scanned("prod", b.where(first, 1, x), dim, reverse)
    before = _scanned("sum", g * products, dim, not reverse) / b.where(zero, 1, x)
    at = _scanned("sum", g * without, dim, not reverse)
    later = b.where(first, at, b.const(0, x.dtype))
    return b.cast(b.where(b.binary("eq", seen, 0), before, later), input.dtype)


@cumprod.vjp("input")
def _(g, input, dim, reverse):  # type: ignore[no-untyped-def]
    return cumprod_backward(g, input, dim, reverse)


@cumprod_backward.vjp("grad", "input")
def _(g, grad, input, dim, reverse):  # type: ignore[no-untyped-def]
    """From the products P[k, i] of the elements up to i without the k-th, all of them: result_k =
    sum_i grad_i P[k, i].
    """
    if input.ndim == 0:
        return g, None
    v, w, x = (t.transpose(dim, -1) for t in (g, grad, input))
    line = arange_row(0, 1, x.shape[-1], dtypes.int64)
    row, column = line.unsqueeze(1), line.unsqueeze(0)
    itself, reached = row == column, (row >= column if reverse else row <= column)
    others = where(itself, 1, x.unsqueeze(-2))
    products = where(reached, cumprod(others, -1, None, reverse), 0)
    grad_grad = sum_(products * v.unsqueeze(-1), -2, False)
    pairs = where(reached, conjugate(v).unsqueeze(-1) * w.unsqueeze(-2), 0)
    parts = where(itself, 0, cumprod_backward(pairs, others, -1, reverse))
    return grad_grad.transpose(dim, -1), sum_(parts, -2, False).transpose(dim, -1)


def _cumprod_slope(g: np.ndarray, x: np.ndarray, dim: int, reverse: bool = False) -> np.ndarray:
    """The gradient from all pairs, by its definition."""
    if reverse:
        return np.flip(_cumprod_slope(np.flip(g, dim), np.flip(x, dim), dim), dim)
    v, w = np.moveaxis(g, dim, 0), np.moveaxis(x, dim, 0)
    result = np.zeros_like(w)
    for k in range(len(w)):
        for i in range(k, len(w)):
            rest = [j for j in range(i + 1) if j != k]
            result[k] += v[i] * np.prod(w[rest], axis=0)
    return np.moveaxis(result, 0, dim)


def _with_zeros(make: Callable) -> list:
    x = make(5)
    x[2] = 0.0
    return [
        ((make(5), x, 0), {}),
        ((make(3, 4), make(3, 4), 1), {}),
        ((make(4), make(4), 0, True), {}),
    ]


cumprod.test(_lines, _reversible(np.cumprod))
cumprod_backward.test(_with_zeros, _cumprod_slope)


@op("")
def logcumsumexp(input: Value, dim: int, reverse: bool = False) -> Value:
    """log of the cumulative sums of exp(x), without overflow; floats and complex numbers."""
    require_kind("logcumsumexp_out_cpu", input, ("float", "complex"))
    return b.cast(_scanned("logaddexp", opmath(input), dim, reverse), input.dtype)


@logcumsumexp.vjp("input")
def _(g, input, out, dim, reverse):  # type: ignore[no-untyped-def]
    """sum_{i >= k} g_i exp(x_k - y_i), the positive and negative g_i apart and in logarithms (so
    nothing overflows). Complex g have logarithms whatever their sign.
    """
    lowest = finfo(g.dtype).min / 4
    if g.dtype.is_complex:
        logarithm = where(g == 0, lowest, log(where(g == 0, 1, g)))
        later = logcumsumexp(logarithm - conjugate(out), dim, not reverse)
        return exp(later + conjugate(input))

    def part(size: Any) -> Any:
        present = size > 0
        logarithm = where(present, log(where(present, size, 1)), lowest)
        return exp(logcumsumexp(logarithm - out, dim, not reverse) + input)

    return part(g) - part(-g)


logcumsumexp.test(
    lambda make: [((make(3, 4), 0), {}), ((make(2, 3, 2), -2), {}), ((make(5), 0, True), {})],
    lambda x, dim, reverse=False: _reversible(np.logaddexp.accumulate)(x, dim, None, reverse),
)

# --- running extremes ---------------------------------------------------------------------------


def _running(name: str, kind: str, input: Node, dim: int) -> tuple[Node, Node]:
    """The extremes so far, and where each was last met: the largest place so far that holds its own
    running extreme.
    """
    require_kind(f"{name}_cpu", input, ("bool", "int", "float"))
    if input.ndim == 0:
        return input, b.const(0, dtypes.int64)
    axis = normalize_axis(dim, input.ndim)
    extremes = b.scan(kind, input, axis)
    met = b.elementwise("eq", input, extremes)
    if input.dtype.kind == "float":
        met = met | b.elementwise("isnan", input)
    places = b.where(met, b.iota(input.shape, axis), b.const(0, dtypes.int64))
    return extremes, b.scan("max", places, axis)


@op("", guarded=("input",))
def cummax(input: Value, dim: int) -> tuple[Value, Value]:
    """The largest elements so far along a dimension, and where each was last met."""
    return _running("cummax", "max", input, dim)


@op("", guarded=("input",))
def cummin(input: Value, dim: int) -> tuple[Value, Value]:
    """The smallest elements so far along a dimension, and where each was last met."""
    return _running("cummin", "min", input, dim)


for _row in (cummax, cummin):

    @_row.vjp("input")
    def _(g0, out1, dim):  # type: ignore[no-untyped-def]
        return namespace.scatter_add(g0 * 0, dim, out1, g0) if g0.ndim else g0


def _running_reference(function: np.ufunc) -> Callable:
    def reference(x: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
        values = function.accumulate(x, axis=dim)
        line = np.arange(x.shape[dim]).reshape(
            [-1 if d == dim % x.ndim else 1 for d in range(x.ndim)]
        )
        return values, np.maximum.accumulate(np.where(x == values, line, 0), axis=dim)

    return reference


def _running_samples(make: Callable) -> list:
    return [((make(3, 4), 0), {}), ((make(2, 6), -1), {})]


cummax.test(_running_samples, _running_reference(np.maximum))
cummin.test(_running_samples, _running_reference(np.minimum))
