"""Reductions with PyTorch's overloads: extremes of one or two tensors, variances, norms, order
statistics, scans.

In: tensors; dimensions as an int, a sequence or None for all. Out: tensors, or named tuples of
values and indices. Invariant: every function ends in rows of the op table; what is decided here is
only which.
"""

from __future__ import annotations

import math
from typing import Any

from ...autograd.names import titled
from ...base.dtype import dtype
from ...base.layout import normalize_axis
from ...ops import arithmetic, comparison, core, extremes, namespace, order, reduction, scan
from ..return_types import named
from ..tensor import Tensor


def _dims(dim: Any) -> Any:
    """A static form of dimensions: None, an int or a tuple of ints."""
    return tuple(dim) if isinstance(dim, (list, tuple)) else dim


# --- means and products -------------------------------------------------------------------------


def mean(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The mean over dimensions (all if none is named). Follows `torch.mean`.

    With `dtype` the input is converted first; RuntimeError for integers without a floating one.

    >>> import rushlight as rl
    >>> rl.mean(rl.tensor([[1., 2.], [3., 4.]]), dim=0)
    tensor([2., 3.])
    """
    return reduction.mean(input, _dims(dim), keepdim, dtype)


def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The product over a dimension (all if none is named); integers become int64.

    Follows `torch.prod`.

    >>> import rushlight as rl
    >>> rl.prod(rl.tensor([2., 3., 4.]))
    tensor(24.)
    """
    return reduction.prod(input, dim, keepdim, dtype)


def nansum(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The sum of what is not NaN. Follows `torch.nansum`.

    >>> import rushlight as rl
    >>> rl.nansum(rl.tensor([1., float('nan'), 2.]))
    tensor(3.)
    """
    if input.dtype.is_complex:
        raise RuntimeError("nansum does not support complex inputs")
    return reduction.nansum(input, _dims(dim), keepdim, dtype)


def nanmean(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The mean of what is not NaN. Follows `torch.nanmean`.

    >>> import rushlight as rl
    >>> rl.nanmean(rl.tensor([1., float('nan'), 2.]))
    tensor(1.5000)
    """
    if input.dtype.kind not in ("float", "complex"):
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{input.dtype}"
        )
    count = core.sum(comparison.logical_not(comparison.isnan(input)), _dims(dim), keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / count


# --- extremes -----------------------------------------------------------------------------------


_max_of_all = titled("MaxBackward1")(reduction.amax)
_min_of_all = titled("MinBackward1")(reduction.amin)


def _extreme(name: str, input: Tensor, args: tuple, kwargs: dict) -> Any:
    """max or min in its three forms: of all elements, along a dimension, of two tensors."""
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    if (args and isinstance(args[0], Tensor)) or "other" in kwargs:
        other = kwargs["other"] if "other" in kwargs else args[0]
        return (extremes.maximum if name == "max" else extremes.minimum)(input, other)
    if not args and "dim" not in kwargs:
        if input.numel() == 0:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
        return (_max_of_all if name == "max" else _min_of_all)(input, None, False)
    call = dict(zip(("dim", "keepdim"), args, strict=False)) | kwargs
    unknown = set(call) - {"dim", "keepdim"}
    if unknown:
        raise TypeError(f"{name}() got an unexpected keyword argument '{unknown.pop()}'")
    row = reduction.max_dim if name == "max" else reduction.min_dim
    return named(name, "values", "indices")(
        row(input, call["dim"], bool(call.get("keepdim", False)))
    )


def max(input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """max(x): the largest element; max(x, dim, keepdim=False): along a dimension, with places;
    max(x, other): of two.

    NaN wins; of equal elements the first place is given. Follows `torch.max`.

    >>> import rushlight as rl
    >>> rl.max(rl.tensor([[1., 5.], [4., 2.]]), 1).indices
    tensor([1, 0])
    """
    return _extreme("max", input, args, kwargs)


def min(input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """min(x): the smallest element; min(x, dim, keepdim=False): along a dimension, with places;
    min(x, other): of two.

    NaN wins; of equal elements the first place is given. Follows `torch.min`.

    >>> import rushlight as rl
    >>> rl.min(rl.tensor([[1., 5.], [4., 2.]]), 1).values
    tensor([1., 2.])
    """
    return _extreme("min", input, args, kwargs)


@titled("AminmaxBackward0")
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest element, along a dimension or of all. Follows `torch.aminmax`.

    >>> import rushlight as rl
    >>> rl.aminmax(rl.tensor([3., 1., 2.])).max
    tensor(3.)
    """
    if dim is None and not input.numel():
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
            "identity."
        )
    found = reduction.amin(input, dim, keepdim), reduction.amax(input, dim, keepdim)
    return named("aminmax", "min", "max")(found)


def cummax(input: Tensor, dim: int) -> Any:
    """The largest elements so far along a dimension, and where each was last met.

    Follows `torch.cummax`.

    >>> import rushlight as rl
    >>> rl.cummax(rl.tensor([1., 3., 2.]), 0).indices
    tensor([0, 1, 1])
    """
    return named("cummax", "values", "indices")(scan.cummax(input, dim))


def cummin(input: Tensor, dim: int) -> Any:
    """The smallest elements so far along a dimension, and where each was last met.

    Follows `torch.cummin`.

    >>> import rushlight as rl
    >>> rl.cummin(rl.tensor([3., 1., 2.]), 0).values
    tensor([3., 1., 1.])
    """
    return named("cummin", "values", "indices")(scan.cummin(input, dim))


# --- variances and norms ------------------------------------------------------------------------


def _spread_arguments(
    dim: Any, unbiased: bool | None, correction: float | None
) -> tuple[Any, float]:
    """dim and correction of var and std: var(x, unbiased), var(x, dim, unbiased), var(x, dim,
    correction=).
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 0 if unbiased is False else 1
    return _dims(dim), correction


def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
) -> Tensor:
    """sum |x - mean|^2 / max(0, n - correction), correction 1 unless given. Follows `torch.var`.

    RuntimeError for integers.

    >>> import rushlight as rl
    >>> rl.var(rl.tensor([1., 2., 3.]))
    tensor(1.)
    """
    dims, degrees = _spread_arguments(dim, unbiased, correction)
    return reduction.var(input, dims, degrees, keepdim)


def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
) -> Tensor:
    """The square root of `var`. Follows `torch.std`.

    >>> import rushlight as rl
    >>> rl.std(rl.tensor([1., 2., 3.]))
    tensor(1.)
    """
    dims, degrees = _spread_arguments(dim, unbiased, correction)
    return reduction.std(input, dims, degrees, keepdim)


@titled("VarMeanBackward0")
def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    **options: Any,
) -> Any:
    """(`var`, `mean`). Follows `torch.var_mean`."""
    where = None if isinstance(dim, bool) else dim
    return var(input, dim, unbiased, keepdim, **options), mean(input, where, keepdim)


@titled("StdMeanBackward0")
def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    **options: Any,
) -> Any:
    """(`std`, `mean`). Follows `torch.std_mean`."""
    where = None if isinstance(dim, bool) else dim
    return std(input, dim, unbiased, keepdim, **options), mean(input, where, keepdim)


def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Any = None,
    keepdim: bool = False,
    dtype: dtype | None = None,
) -> Tensor:
    """(sum |x|^p)^(1/p) over dimensions; "fro" is 2, "nuc" the sum of singular values.

    Follows `torch.norm`.

    >>> import rushlight as rl
    >>> rl.norm(rl.tensor([3., 4.]))
    tensor(5.)
    """
    if p == "nuc":
        from .matrices import matrix_norm

        dims = (0, 1) if dim is None else tuple(dim)
        return matrix_norm(input, "nuc", dims, keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f'norm: p is a number, "fro" or "nuc", but got "{p}"')
    order_ = 2.0 if p is None or isinstance(p, str) else float(p)
    return reduction.vector_norm(input, order_, _dims(dim), keepdim, dtype)


@titled("DistBackward0", guarded=(0, 1))
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The norm of input - other. Follows `torch.dist`.

    >>> import rushlight as rl
    >>> rl.dist(rl.tensor([3., 4.]), rl.zeros(2))
    tensor(5.)
    """
    return reduction.vector_norm(input - other, float(p), None, False)


# --- scans --------------------------------------------------------------------------------------


def cumsum(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """The sums of the elements up to each one along a dimension; integers become int64.

    Follows `torch.cumsum`.

    >>> import rushlight as rl
    >>> rl.cumsum(rl.tensor([1., 2., 3.]), 0)
    tensor([1., 3., 6.])
    """
    return scan.cumsum(input, dim, dtype)


def cumprod(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """The products of the elements up to each one along a dimension; integers become int64.

    Follows `torch.cumprod`.

    >>> import rushlight as rl
    >>> rl.cumprod(rl.tensor([1., 2., 3.]), 0)
    tensor([1., 2., 6.])
    """
    return scan.cumprod(input, dim, dtype)


def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """The logarithms of the cumulative sums of exp(x), without overflow.

    Follows `torch.logcumsumexp`.

    >>> import rushlight as rl
    >>> rl.logcumsumexp(rl.tensor([0., 0.]), 0)
    tensor([0.0000, 0.6931])
    """
    return scan.logcumsumexp(input, dim)


# --- order statistics ---------------------------------------------------------------------------


def _middle(name: str, input: Tensor, dim: int | None, keepdim: bool) -> Any:
    if dim is None:
        return (order.median_all if name == "median" else order.nanmedian_all)(input)
    row = order.median_dim if name == "median" else order.nanmedian_dim
    return named(name, "values", "indices")(row(input, dim, keepdim))


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median, of two the lower one; along a dimension also where it is. NaN wins.

    Follows `torch.median`.

    >>> import rushlight as rl
    >>> rl.median(rl.tensor([3., 1., 4., 2.]))
    tensor(2.)
    """
    return _middle("median", input, dim, keepdim)


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median of what is not NaN. Follows `torch.nanmedian`.

    >>> import rushlight as rl
    >>> rl.nanmedian(rl.tensor([3., float('nan'), 1.]))
    tensor(1.)
    """
    return _middle("nanmedian", input, dim, keepdim)


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element along a dimension (of several the smallest), and where it is met
    last.

    Follows `torch.mode`.

    >>> import rushlight as rl
    >>> rl.mode(rl.tensor([3, 1, 2, 2])).values
    tensor(2)
    """
    return named("mode", "values", "indices")(order.mode(input, dim, keepdim))


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest element (from 1) along a dimension, and where it is.

    Follows `torch.kthvalue`.

    >>> import rushlight as rl
    >>> rl.kthvalue(rl.tensor([3., 1., 2.]), 2).values
    tensor(2.)
    """
    return named("kthvalue", "values", "indices")(order.kthvalue(input, k, dim, keepdim))


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(
    name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str
) -> Tensor:
    """Quantiles of sorted elements; those of lines with NaN are NaN, or count the rest only
    (nanquantile).
    """
    if input.dtype.name not in ("float32", "float64"):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )
    if isinstance(q, (int, float)) and not 0 <= q <= 1:
        raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
    if not input.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    levels = q if isinstance(q, Tensor) else core.full((), float(q), input.dtype)
    if levels.dtype is not input.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    axis = 0 if dim is None else normalize_axis(dim, input.ndim)
    lines = (
        input.reshape(-1)
        if dim is None
        else input.movedim(axis, -1)
        if input.ndim
        else input.reshape(1)
    )
    ordered = namespace.sort(lines, -1, False)[0].unsqueeze(-2)
    found = _at_ranks(ordered, levels.reshape(-1, 1), name == "quantile", interpolation).movedim(
        -1, 0
    )
    if keepdim:
        kept = (
            [1] * input.ndim
            if dim is None
            else [1 if d == axis else n for d, n in enumerate(input.shape)]
        )
        found = found.reshape([levels.numel(), *kept])
    return found.squeeze(0) if levels.ndim == 0 else found


def _at_ranks(ordered: Tensor, levels: Tensor, nan_wins: bool, interpolation: str) -> Tensor:
    """ordered [..., 1, n] at the levels [q, 1]: [..., q]."""
    missing = comparison.isnan(ordered)
    count = core.sum(comparison.logical_not(missing), -1, True)
    last = core.cast(extremes.clamp(count - 1, 0, None), ordered.dtype)
    rank = levels * last
    low, high = namespace.floor(rank), namespace.ceil(rank)
    if interpolation in ("lower", "higher", "nearest"):
        low = high = {"lower": low, "higher": high, "nearest": arithmetic.round(rank)}[
            interpolation
        ]
    part = 0.5 if interpolation == "midpoint" else (rank - low).squeeze(-1)
    line = core.arange_row(0, 1, ordered.shape[-1], ordered.dtype)
    below, above = (core.sum(core.where(line == place, ordered, 0), -1) for place in (low, high))
    value = below + (above - below) * part
    wrong = reduction.any(missing, -1) if nan_wins else comparison.eq(count, 0).squeeze(-1)
    return core.where(wrong, math.nan, value)


def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The q-quantiles along a dimension (of all elements if none is named); NaN wins.

    Follows `torch.quantile`.

    `q` is a number or a tensor of one dimension, which comes first in the result.

    >>> import rushlight as rl
    >>> rl.quantile(rl.tensor([0., 1., 2., 3.]), 0.5)
    tensor(1.5000)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The q-quantiles of what is not NaN. Follows `torch.nanquantile`.

    >>> import rushlight as rl
    >>> rl.nanquantile(rl.tensor([0., float('nan'), 1.]), 0.5)
    tensor(0.5000)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


FUNCTIONS = (
    mean,
    prod,
    nansum,
    nanmean,
    max,
    min,
    aminmax,
    cummax,
    cummin,
    var,
    std,
    var_mean,
    std_mean,
    norm,
    dist,
    cumsum,
    cumprod,
    logcumsumexp,
    median,
    nanmedian,
    mode,
    kthvalue,
    quantile,
    nanquantile,
)
METHODS = tuple(f for f in FUNCTIONS if f not in (var_mean, std_mean))
IN_PLACE = ("cumsum", "cumprod")
