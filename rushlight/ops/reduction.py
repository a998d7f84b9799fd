"""Reductions: means, products, extremes, counts, variances, norms, logarithms of sums.

In: a tensor, and dimensions as static arguments (None or () for all of them). Out: a tensor without
those dimensions, or with them kept as ones. Invariant: float16 and bfloat16 are accumulated in
float32 and rounded once; two-pass formulas are used where one pass would cancel. The plain sum is
in core.py; overloads that PyTorch gives these names are in tensor/functions/reduction.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.dtype import dtype
from ..base.layout import normalize_axes, normalize_axis
from ..graph import build as b
from ..graph.node import Node
from . import grad_names
from .arithmetic import abs, pow, sgn
from .common import TYPE_NAMES, absolute, conjugate, kept, opmath, require_kind
from .comparison import isnan, logical_not
from .core import cat, real_part, unreduce, where, zeros_like
from .core import sum as sum_
from .elementary import exp, log, sqrt
from .registry import Value, op
from .scan import cumprod

Dims = int | tuple[int, ...] | None


def _reductions(make: Callable) -> list:
    """A full reduction, one dimension, and two of three kept."""
    return [((make(3, 4),), {}), ((make(3, 4), 1), {}), ((make(4, 3, 2), (0, -1), True), {})]


def _one_dimension(make: Callable) -> list:
    return [((make(3, 4), 1), {}), ((make(4, 3, 2), -2, True), {}), ((make(5), 0), {})]


def counted(shape: tuple[int, ...], dim: Any) -> int:
    """How many elements a reduction over `dim` joins."""
    return math.prod(shape[d] for d in normalize_axes(dim, len(shape)))


# --- means and products -------------------------------------------------------------------------


@op("")
def nansum(
    input: Value, dim: Dims = None, keepdim: bool = False, dtype: dtype | None = None
) -> Value:
    """The sum of what is not NaN."""
    return sum_(where(isnan(input), 0, input), dim, keepdim, dtype)


@nansum.vjp("input")
def _(g, input, dim, keepdim):  # type: ignore[no-untyped-def]
    return unreduce(g, input, dim, keepdim) * logical_not(isnan(input))


nansum.test(_reductions, reference=lambda x, dim=None, keepdim=False: x.sum(dim, keepdims=keepdim))


@op("", grad_name=grad_names.reduced("Mean"))
def mean(
    input: Value, dim: Dims = None, keepdim: bool = False, dtype: dtype | None = None
) -> Value:
    """The sum divided by the number of elements; RuntimeError for integers without a floating
    `dtype`.
    """
    x = input if dtype is None else b.cast(input, dtype)
    if x.dtype.kind not in ("float", "complex"):
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or "
            "complex dtype. Got: " + TYPE_NAMES[x.dtype.name]
        )
    return b.cast(b.mean(opmath(x), dim, keepdim), x.dtype)


@mean.vjp("input")
def _(g, input_layout, dim, keepdim):  # type: ignore[no-untyped-def]
    return unreduce(g / max(counted(input_layout.shape, dim), 1), input_layout, dim, keepdim)


mean.test(_reductions, lambda x, dim=None, keepdim=False: np.mean(x, dim, keepdims=keepdim))


@op("", grad_name=grad_names.reduced("Prod"), guarded=("out",))
def prod(
    input: Value, dim: Dims = None, keepdim: bool = False, dtype: dtype | None = None
) -> Value:
    """The product; integers and bools are multiplied in int64."""
    if dtype is None and input.dtype.kind in ("bool", "int"):
        dtype = dtypes.int64
    x = input if dtype is None else b.cast(input, dtype)
    return b.cast(b.reduce("prod", opmath(x), dim, keepdim), x.dtype)


@prod.vjp("input")
def _(g, input, dim, keepdim):  # type: ignore[no-untyped-def]
    """The product of all other elements: of those before times those after, so that zeros need no
    care.
    """
    if input.ndim == 0:
        return g
    x = input.reshape(-1) if dim is None else input
    axis = 0 if dim is None else normalize_axis(dim if isinstance(dim, int) else dim[0], x.ndim)
    n = x.shape[axis]
    if n == 0:
        return zeros_like(x)
    edge = x.narrow(axis, 0, 1) * 0 + 1
    before = cat([edge, cumprod(x.narrow(axis, 0, n - 1), axis)], axis)
    after = cat([cumprod(x.narrow(axis, 1, n - 1), axis, None, True), edge], axis)
    others = (before * after).reshape(input.shape)
    return kept(g, tuple(input.shape), dim) * conjugate(others)


prod.test(
    lambda make: [
        ((make(3, 4),), {}),
        ((make(3, 4), 1), {}),
        ((make(4, 3, 2), 0, True), {}),
        ((np.array([1.5, 0.0, 2.0]),), {}),
    ],
    lambda x, dim=None, keepdim=False: np.prod(x, dim, keepdims=keepdim),
)

# --- extremes -----------------------------------------------------------------------------------


def _refuse_empty(name: str, x: Node, dim: Dims, error: type[Exception] = RuntimeError) -> None:
    """An extreme of nothing does not exist."""
    if x.numel:
        return
    if dim is None or dim == ():
        raise error(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )
    for axis in normalize_axes(dim, x.ndim):
        if x.shape[axis] == 0:
            raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")


@op("torch Tensor")
def amax(input: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """The largest element over dimensions (all if none is named); NaN if there is one.

    Follows `torch.amax`.

    Equal largest elements share the gradient evenly. IndexError for a dimension of length zero.

    >>> import rushlight as rl
    >>> rl.amax(rl.tensor([[1., 5.], [4., 2.]]), dim=1)
    tensor([5., 4.])
    """
    _refuse_empty("amax", input, dim)
    require_kind("max_values_cpu", input, ("bool", "int", "float"))
    return b.reduce("max", input, dim, keepdim)


@op("torch Tensor")
def amin(input: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """The smallest element over dimensions (all if none is named); NaN if there is one.

    Follows `torch.amin`.

    Equal smallest elements share the gradient evenly. IndexError for a dimension of length zero.

    >>> import rushlight as rl
    >>> rl.amin(rl.tensor([[1., 5.], [4., 2.]]), dim=1)
    tensor([1., 2.])
    """
    _refuse_empty("amin", input, dim)
    require_kind("min_values_cpu", input, ("bool", "int", "float"))
    return b.reduce("min", input, dim, keepdim)


def _evenly(g: Any, chosen: Any, dim: Dims, keepdim: bool) -> Any:
    """The gradient shared by the chosen elements."""
    shape = tuple(chosen.shape)
    count = sum_(chosen, dim, True, g.dtype)
    return where(chosen, kept(g, shape, dim) / count, 0)


for _row in (amax, amin):

    @_row.vjp("input")
    def _(g, input, out, dim, keepdim):  # type: ignore[no-untyped-def]
        return _evenly(g, input == kept(out, tuple(input.shape), dim), dim, keepdim)


amax.test(_reductions, lambda x, dim=None, keepdim=False: np.max(x, dim, keepdims=keepdim))
amin.test(_reductions, lambda x, dim=None, keepdim=False: np.min(x, dim, keepdims=keepdim))


@op("", grad_name="SelectBackward0")
def take_one(input: Value, index: Value, dim: int) -> Value:
    """input[..., index[...], ...]: one element along `dim` for each place of the others."""
    if input.ndim == 0:
        return input
    axis, step = normalize_axis(dim, input.ndim), 1
    address = b.const(0, dtypes.int64)
    for d in range(input.ndim - 1, -1, -1):
        at = d if d < axis else d - 1
        place = index if d == axis else b.iota(index.shape, at)
        term = b.binary("mul", place, b.const(step, dtypes.int64))
        address = b.binary("add", address, term)
        step *= input.shape[d]
    return b.gather(input, address)


@op("")
def put_one(grad: Value, index: Value, dim: int, length: int) -> Value:
    """Zeros with `length` elements along `dim`, grad at the places that index names: the gradient
    of take_one.
    """
    axis = normalize_axis(dim, grad.ndim + 1)
    thin = [*grad.shape[:axis], 1, *grad.shape[axis:]]
    wide = [*grad.shape[:axis], length, *grad.shape[axis:]]
    here = b.elementwise("eq", b.iota(wide, axis), b.expand(b.reshape(index, thin), wide))
    return b.where(here, b.expand(b.reshape(grad, thin), wide), b.const(0, grad.dtype))


@take_one.vjp("input")
def _(g, input_layout, index, dim):  # type: ignore[no-untyped-def]
    return put_one(g, index, dim, input_layout.shape[dim]) if input_layout.ndim else g


@put_one.vjp("grad")
def _(g, index, dim):  # type: ignore[no-untyped-def]
    return take_one(g, index, dim)


def _taken(make: Callable) -> list:
    return [((make(3, 4), make(4, dtype="int64", low=0, high=3), 0), {})]


take_one.test(
    _taken,
    lambda x, index, dim: np.take_along_axis(x, np.expand_dims(index, dim), dim).squeeze(dim),
)
put_one.test(
    lambda make: [((make(4), make(4, dtype="int64", low=0, high=3), 0, 3), {})],
    lambda g, index, dim, length: np.where(np.arange(length)[:, None] == index, g, 0),
)


def _extreme_and_place(
    name: str, kind: str, input: Node, dim: int, keepdim: bool
) -> tuple[Node, Node]:
    _refuse_empty(name, input, dim)
    require_kind(f"{name}_cpu", input, ("bool", "int", "float"))
    axis = normalize_axis(dim, input.ndim)
    return b.reduce(kind, input, axis, keepdim), b.reduce(f"arg{kind}", input, axis, keepdim)


@op("", grad_name="MaxBackward0")
def max_dim(input: Value, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
    """The largest elements along a dimension and their (first) places."""
    return _extreme_and_place("max", "max", input, dim, keepdim)


@op("", grad_name="MinBackward0")
def min_dim(input: Value, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
    """The smallest elements along a dimension and their (first) places."""
    return _extreme_and_place("min", "min", input, dim, keepdim)


def place_back(g: Any, index: Any, layout: Any, dim: int, keepdim: bool) -> Any:
    """The gradient of elements that were chosen by an index along a dimension."""
    if layout.ndim == 0:
        return g
    if keepdim:
        g, index = g.squeeze(dim), index.squeeze(dim)
    return put_one(g, index, dim, layout.shape[dim])


for _row in (max_dim, min_dim):

    @_row.vjp("input")
    def _(g0, out1, input_layout, dim, keepdim):  # type: ignore[no-untyped-def]
        return place_back(g0, out1, input_layout, dim, keepdim)


def _with_place(extreme: Callable, place: Callable) -> Callable:
    return lambda x, dim, keepdim=False: (
        extreme(x, dim, keepdims=keepdim),
        place(x, dim, keepdims=keepdim),
    )


max_dim.test(_one_dimension, _with_place(np.max, np.argmax))
min_dim.test(_one_dimension, _with_place(np.min, np.argmin))


def _place(name: str, input: Node, dim: int | None, keepdim: bool) -> Node:
    """The index of an extreme along a dimension, or in the flattened tensor."""
    _refuse_empty(name, input, dim, IndexError)
    require_kind(f"{name}_cpu", input, ("int", "float"))
    if dim is not None:
        return b.reduce(name, input, normalize_axis(dim, input.ndim), keepdim)
    found = b.reduce(name, b.reshape(input, (-1,)), 0)
    return b.reshape(found, [1] * input.ndim) if keepdim else found


@op("torch Tensor", differentiable=False)
def argmax(input: Value, dim: int | None = None, keepdim: bool = False) -> Value:
    """The (first) index of the largest element, along a dimension or of the flattened tensor.

    Follows `torch.argmax`.

    >>> import rushlight as rl
    >>> rl.argmax(rl.tensor([[1., 5.], [4., 2.]]), dim=1)
    tensor([1, 0])
    """
    return _place("argmax", input, dim, keepdim)


@op("torch Tensor", differentiable=False)
def argmin(input: Value, dim: int | None = None, keepdim: bool = False) -> Value:
    """The (first) index of the smallest element, along a dimension or of the flattened tensor.

    Follows `torch.argmin`.

    >>> import rushlight as rl
    >>> rl.argmin(rl.tensor([[1., 5.], [4., 2.]]), dim=1)
    tensor([0, 1])
    """
    return _place("argmin", input, dim, keepdim)


argmax.test(_one_dimension, lambda x, dim=None, keepdim=False: np.argmax(x, dim, keepdims=keepdim))
argmin.test(_one_dimension, lambda x, dim=None, keepdim=False: np.argmin(x, dim, keepdims=keepdim))

# --- truth --------------------------------------------------------------------------------------


def _truth(kind: str, input: Node, dim: Dims, keepdim: bool) -> Node:
    """any or all; of uint8 a uint8, as PyTorch has it."""
    found = b.reduce(kind, b.cast(input, dtypes.bool_), dim, keepdim)
    return b.cast(found, dtypes.uint8) if input.dtype is dtypes.uint8 else found


@op("torch Tensor", differentiable=False)
def any(input: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """Whether one element is non-zero (False of none). Follows `torch.any`.

    >>> import rushlight as rl
    >>> rl.any(rl.tensor([[0, 0], [0, 2]]), dim=1)
    tensor([False,  True])
    """
    return _truth("any", input, dim, keepdim)


@op("torch Tensor", differentiable=False)
def all(input: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """Whether all elements are non-zero (True of none). Follows `torch.all`.

    >>> import rushlight as rl
    >>> rl.all(rl.tensor([[1, 2], [0, 2]]), dim=1)
    tensor([ True, False])
    """
    return _truth("all", input, dim, keepdim)


@op("torch Tensor", differentiable=False)
def count_nonzero(input: Value, dim: Dims = None) -> Value:
    """How many elements are not zero, as int64. Follows `torch.count_nonzero`.

    >>> import rushlight as rl
    >>> rl.count_nonzero(rl.tensor([0., 2., -1.]))
    tensor(2)
    """
    return b.reduce("sum", b.cast(b.cast(input, dtypes.bool_), dtypes.int64), dim)


def _zeros_and_ones(make: Callable) -> list:
    x = make(4, 3, dtype="int64", low=0, high=2)
    return [((x,), {}), ((x, 1), {}), ((x, (0, 1)), {})]


any.test(_zeros_and_ones, lambda x, dim=None, keepdim=False: np.any(x, dim, keepdims=keepdim))
all.test(_zeros_and_ones, lambda x, dim=None, keepdim=False: np.all(x, dim, keepdims=keepdim))
count_nonzero.test(_zeros_and_ones, lambda x, dim=None: np.count_nonzero(x, dim))

# --- variances ----------------------------------------------------------------------------------


def squared_deviations(x: Node, dim: Dims) -> Node:
    """|x - mean(x)|^2."""
    distance = absolute(x - b.mean(x, dim, True))
    return distance * distance


def _refuse_unmeasured(x: Node) -> None:
    if x.dtype.kind not in ("float", "complex"):
        raise RuntimeError("std and var only support floating point and complex dtypes")


def _variance(input: Node, dim: Dims, correction: float, keepdim: bool) -> Node:
    _refuse_unmeasured(input)
    x = opmath(input)
    total = b.reduce("sum", squared_deviations(x, dim), dim, keepdim)
    degrees = max(counted(x.shape, dim) - correction, 0)
    return b.elementwise("div", total, b.const(float(degrees), total.dtype))


@op("")
def var(input: Value, dim: Dims = None, correction: float = 1, keepdim: bool = False) -> Value:
    """sum |x - mean|^2 / max(0, n - correction), by two passes."""
    return b.cast(_variance(input, dim, correction, keepdim), input.dtype.real)


@op("")
def std(input: Value, dim: Dims = None, correction: float = 1, keepdim: bool = False) -> Value:
    """The square root of `var`."""
    return b.cast(sqrt(_variance(input, dim, correction, keepdim)), input.dtype.real)


def _variance_slope(g: Any, input: Any, dim: Dims, correction: float) -> Any:
    shape = tuple(input.shape)
    degrees = counted(shape, dim) - correction
    scale = 2.0 / degrees if degrees > 0 else math.inf
    return kept(g, shape, dim) * (input - mean(input, dim, True)) * scale


@var.vjp("input")
def _(g, input, dim, correction):  # type: ignore[no-untyped-def]
    return _variance_slope(g, input, dim, correction)


@std.vjp("input")
def _(g, input, out, dim, correction):  # type: ignore[no-untyped-def]
    flat = out == 0
    return _variance_slope(where(flat, 0, g / where(flat, 1, out * 2)), input, dim, correction)


def _deviations(make: Callable) -> list:
    return [((make(3, 4),), {}), ((make(3, 4), 1, 0), {}), ((make(4, 3, 2), (0, -1), 2, True), {})]


var.test(
    _deviations, lambda x, dim=None, c=1, keepdim=False: np.var(x, dim, ddof=c, keepdims=keepdim)
)
std.test(
    _deviations, lambda x, dim=None, c=1, keepdim=False: np.std(x, dim, ddof=c, keepdims=keepdim)
)

# --- norms and logarithms of sums ---------------------------------------------------------------


@op("linalg", grad_name="LinalgVectorNormBackward0")
def vector_norm(
    x: Value,
    ord: float = 2,
    dim: Dims = None,
    keepdim: bool = False,
    dtype: dtype | None = None,
) -> Value:
    """(sum |x|^ord)^(1/ord) over dimensions; ord 0 counts, inf and -inf take extremes.

    Follows `torch.linalg.vector_norm`.

    RuntimeError for integers, and for the inf norm of nothing.

    >>> import rushlight as rl
    >>> rl.linalg.vector_norm(rl.tensor([3., 4.]))
    tensor(5.)
    """
    if x.dtype.kind not in ("float", "complex"):
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{TYPE_NAMES[x.dtype.name]}"
        )
    if dtype is not None and dtype.kind not in ("float", "complex"):
        raise RuntimeError(
            "linalg.vector_norm: dtype should be floating point or complex, but got "
            f"{TYPE_NAMES[dtype.name]}"
        )
    given = x if dtype is None else b.cast(x, dtype)
    if math.isinf(ord) and counted(x.shape, dim) == 0:
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the "
            "operation does not have "
            "an identity"
        )
    return b.cast(_norm(absolute(opmath(given)), float(ord), dim, keepdim), given.dtype.real)


def _norm(size: Node, order: float, dim: Dims, keepdim: bool) -> Node:
    """The norm of non-negative numbers."""
    if math.isinf(order):
        return b.reduce("max" if order > 0 else "min", size, dim, keepdim)
    if order == 0:
        return b.reduce("sum", b.cast(b.binary("ne", size, 0), size.dtype), dim, keepdim)
    if order == 1:
        return b.reduce("sum", size, dim, keepdim)
    if order == 2:
        return sqrt(b.reduce("sum", size * size, dim, keepdim))
    powers = b.elementwise("pow", size, b.const(order, size.dtype))
    return b.elementwise(
        "pow", b.reduce("sum", powers, dim, keepdim), b.const(1.0 / order, size.dtype)
    )


@vector_norm.vjp("x")
def _(g, x, ord, dim, out):  # type: ignore[no-untyped-def]
    shape = tuple(x.shape)
    g, norm = kept(g, shape, dim), kept(out, shape, dim)
    if ord == 0:
        return zeros_like(x)
    if ord == 1:
        return sgn(x) * g
    if math.isinf(ord):
        return sgn(x) * _evenly(g, abs(x) == norm, dim, True)
    zero = norm == 0
    norm = where(zero, 1, norm)
    if ord == 2:
        return x * where(zero, 0, g / norm)
    size = abs(x)
    at_zero = size == 0
    slope = where(at_zero, 0, pow(where(at_zero, 1, size), ord - 1))
    return sgn(x) * slope * where(zero, 0, g * pow(norm, 1 - ord))


vector_norm.test(
    lambda make: (
        [((make(3, 4), order, 1), {}) for order in (0, 1, 2, 2.5, math.inf, -math.inf)]
        + [((make(3, 4), 2, (0, 1), True), {}), ((make(7),), {})]
    ),
    lambda x, order=2, dim=None, keepdim=False: np.linalg.norm(
        x, None if order == 2 else order, dim, keepdim
    ),
)


@op("torch Tensor special")
def logsumexp(input: Value, dim: int | tuple[int, ...], keepdim: bool = False) -> Value:
    """log(sum(exp(x))) over dimensions, without overflow; integers become floats.

    Follows `torch.logsumexp`.

    >>> import rushlight as rl
    >>> rl.logsumexp(rl.tensor([1000., 1000.]), 0)
    tensor(1000.6932)
    """
    floating = b.to_float(input)
    x = opmath(floating)
    if counted(x.shape, dim) == 0:
        return b.cast(log(b.reduce("sum", exp(x), dim, keepdim)), floating.dtype)
    largest = b.reduce("max", real_part(x), dim, True)
    largest = b.where(b.elementwise("isfinite", largest), largest, b.const(0.0, largest.dtype))
    total = log(b.reduce("sum", exp(x - largest), dim, True)) + largest
    shape = b.reduce("sum", x, dim, keepdim).shape
    return b.cast(b.reshape(total, shape), floating.dtype)


@logsumexp.vjp("input")
def _(g, input, out, dim):  # type: ignore[no-untyped-def]
    shape = tuple(input.shape)
    total = kept(out, shape, dim)
    shares = exp(input - where(real_part(total) == -math.inf, 0, total))
    return kept(g, shape, dim) * conjugate(shares)


def _logsumexp_reference(x: np.ndarray, dim: Any, keepdim: bool = False) -> np.ndarray:
    return np.log(np.sum(np.exp(x), dim, keepdims=keepdim))


logsumexp.test(
    lambda make: [*_one_dimension(make), ((make(4, 3, 2), (0, 2)), {})], _logsumexp_reference
)
