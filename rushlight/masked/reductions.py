"""Reductions and scans of the elements that a mask lets through, `torch.masked`.

In: a tensor, dimensions (None and () for all), and a bool mask that broadcasts to it, true where an
element counts. Out: as of the ordinary function; where nothing counts its identity (0 of a sum), or
NaN where there is none (a mean). Invariant: what does not count is replaced by the identity, and
the ordinary function does the rest, gradients included.
"""

from __future__ import annotations

import math
from typing import Any

import rushlight
from rushlight import Tensor

from .masks import Dims, counted, dimensions, filled, lifted, lowered, one_dimension, validity


def _summed_dtype(input: Tensor, dtype: Any) -> Any:
    """Sums and products of small integers are int64."""
    if dtype is not None:
        return dtype
    if input.dtype.is_floating_point or input.dtype.is_complex:
        return input.dtype
    return rushlight.int64


def sum(
    input: Tensor,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The sum of what counts, 0 where nothing does. Follows `torch.masked.sum`.

    >>> import rushlight as rl
    >>> rl.masked.sum(rl.tensor([1., 2., 4.]), mask=rl.tensor([True, False, True]))
    tensor(5.)
    """
    dims = dimensions(dim, input.ndim)
    return filled(input, mask, 0).sum(dims, keepdim, dtype=_summed_dtype(input, dtype))


def prod(
    input: Tensor,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The product of what counts, 1 where nothing does. Follows `torch.masked.prod`.

    >>> import rushlight as rl
    >>> rl.masked.prod(rl.tensor([3., 2., 4.]), mask=rl.tensor([True, False, True]))
    tensor(12.)
    """
    result = filled(input, mask, 1).to(_summed_dtype(input, dtype))
    for d in reversed(dimensions(dim, input.ndim)):
        result = result.prod(d, keepdim)
    return result


def cumsum(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Running sums of what counts. Follows `torch.masked.cumsum`.

    >>> import rushlight as rl
    >>> rl.masked.cumsum(rl.tensor([1., 2., 4.]), 0, mask=rl.tensor([True, False, True]))
    tensor([1., 1., 5.])
    """
    return _scanned("cumsum", input, dim, dtype, mask)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Running products of what counts. Follows `torch.masked.cumprod`.

    >>> import rushlight as rl
    >>> rl.masked.cumprod(rl.tensor([3., 2., 4.]), 0, mask=rl.tensor([True, False, True]))
    tensor([ 3.,  3., 12.])
    """
    return _scanned("cumprod", input, dim, dtype, mask)


def _scanned(name: str, input: Tensor, dim: Any, dtype: Any, mask: Tensor | None) -> Tensor:
    dtype = dtype or input.dtype
    if dtype == rushlight.bool:
        raise NotImplementedError(f"\"{name}_out_cpu\" not implemented for 'Bool'")
    values = filled(input, mask, 0 if name == "cumsum" else 1)
    return getattr(rushlight, name)(values, one_dimension(dim), dtype=dtype)


# --- extremes -----------------------------------------------------------------------------------


def amax(
    input: Tensor,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The largest of what counts; the lowest number of the dtype where nothing does.

    Follows `torch.masked.amax`.

    >>> import rushlight as rl
    >>> rl.masked.amax(rl.tensor([1., 7., 4.]), mask=rl.tensor([True, False, True]))
    tensor(4.)
    """
    values = lowered(input, mask, "amax")
    return values.amax(dimensions(dim, input.ndim), keepdim).to(dtype or input.dtype)


def amin(
    input: Tensor,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The smallest of what counts; the highest number of the dtype where nothing does.

    Follows `torch.masked.amin`.

    >>> import rushlight as rl
    >>> rl.masked.amin(rl.tensor([1., 0., 4.]), mask=rl.tensor([True, False, True]))
    tensor(1.)
    """
    values = lifted(input, mask, "amin")
    return values.amin(dimensions(dim, input.ndim), keepdim).to(dtype or input.dtype)


def argmax(
    input: Tensor,
    dim: int | None = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The place of the largest of what counts, in the dtype of the input as PyTorch has it.

    Follows `torch.masked.argmax`.

    >>> import rushlight as rl
    >>> rl.masked.argmax(rl.tensor([1, 7, 4]), mask=rl.tensor([True, False, True]))
    tensor(2)
    """
    values = lowered(input, mask, "argmax")
    return values.argmax(dim, bool(keepdim)).to(dtype or input.dtype)


def argmin(
    input: Tensor,
    dim: int | None = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The place of the smallest of what counts, in the dtype of the input as PyTorch has it.

    Follows `torch.masked.argmin`.

    >>> import rushlight as rl
    >>> rl.masked.argmin(rl.tensor([1, 0, 4]), mask=rl.tensor([True, False, True]))
    tensor(0)
    """
    values = lifted(input, mask, "argmin")
    return values.argmin(dim, bool(keepdim)).to(dtype or input.dtype)


# --- means and spreads --------------------------------------------------------------------------


def mean(
    input: Tensor,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The mean of what counts, NaN where nothing does. ValueError for integers without a dtype.

    Follows `torch.masked.mean`.

    >>> import rushlight as rl
    >>> rl.masked.mean(rl.tensor([1., 2., 4.]), mask=rl.tensor([True, False, True]))
    tensor(2.5000)
    """
    dtype = dtype or input.dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        raise ValueError(
            "mean(): Could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {dtype}"
        )
    total = sum(input, dim, keepdim=keepdim, dtype=dtype, mask=mask)
    return total / counted(input, mask, dimensions(dim, input.ndim), keepdim)


def median(
    input: Tensor,
    dim: int = -1,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The lower median of what counts along a dimension, NaN where nothing does.

    Follows `torch.masked.median`. ValueError for integers of which the mask leaves any out.

    >>> import rushlight as rl
    >>> rl.masked.median(rl.tensor([1., 2., 4.]), 0, mask=rl.tensor([True, False, True]))
    tensor(1.)
    """
    dim = dimensions(dim, input.ndim)[0] if input.ndim else 0
    values = input.to(dtype or input.dtype)
    if values.dtype.is_floating_point:
        return rushlight.nanmedian(filled(values, mask, math.nan), dim, keepdim).values
    if mask is not None and not bool(validity(input, mask).all()):
        raise ValueError(
            "masked median expects no fully masked out rows if dtype is not floating point"
        )
    return rushlight.nanmedian(values, dim, keepdim).values


def var(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The variance of what counts, its count lessened by `correction` (1 unless stated, or where
    `unbiased`). NaN where nothing counts; integers become float32.

    Follows `torch.masked.var`.

    >>> import rushlight as rl
    >>> rl.masked.var(rl.tensor([1., 2., 5.]), mask=rl.tensor([True, False, True]))
    tensor(8.)
    """
    made, out = _variance(input, dim, (unbiased, correction), keepdim, dtype, mask)
    return made.to(out)


def std(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The square root of `var`. Follows `torch.masked.std`.

    >>> import rushlight as rl
    >>> rl.masked.std(rl.tensor([1., 2., 7.]), unbiased=False, mask=rl.tensor([True, False, True]))
    tensor(3.)
    """
    made, out = _variance(input, dim, (unbiased, correction), keepdim, dtype, mask)
    return rushlight.sqrt(made).to(out)


def _variance(
    input: Tensor,
    dim: Dims,
    less: tuple[bool | None, float | None],
    keepdim: bool,
    dtype: Any,
    mask: Tensor | None,
) -> tuple[Tensor, Any]:
    """The variance in the dtype it is computed in, and the dtype it is wanted in."""
    unbiased, correction = less
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 0 if unbiased is False else 1
    wanted = dtype or input.dtype
    if dtype is None and not (wanted.is_floating_point or wanted.is_complex):
        wanted = rushlight.float32
    computed = wanted
    if not (wanted.is_floating_point or wanted.is_complex):
        computed = rushlight.float32
    dims = dimensions(dim, input.ndim)
    count = counted(input, mask, dims, True)
    centre = sum(input, dims, keepdim=True, dtype=computed, mask=mask) / count
    distance = input - centre
    square = distance * distance.conj() if distance.dtype.is_complex else distance * distance
    total = sum(square, dims, keepdim=keepdim, dtype=computed, mask=mask)
    count = counted(input, mask, dims, keepdim)
    if correction:
        count = rushlight.clamp(count - correction, min=0)
    return total / count, wanted


def norm(
    input: Tensor,
    ord: float = 2.0,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The vector norm of what counts (`linalg.vector_norm`); 0 where nothing does, inf for the
    order -inf.

    Follows `torch.masked.norm`.

    >>> import rushlight as rl
    >>> rl.masked.norm(rl.tensor([3., 9., 4.]), mask=rl.tensor([True, False, True]))
    tensor(5.)
    """
    values = filled(input, mask, math.inf if ord == -math.inf else 0)
    dims = dimensions(dim, input.ndim)
    return rushlight.linalg.vector_norm(values, ord, dims, bool(keepdim), dtype=dtype)


def logsumexp(
    input: Tensor,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """log of the sum of the exponentials of what counts; -inf (the lowest integer) where nothing
    does. The result has the dtype of the input.

    Follows `torch.masked.logsumexp`.

    >>> import rushlight as rl
    >>> rl.masked.logsumexp(rl.tensor([0., 9., 0.]), mask=rl.tensor([True, False, True]))
    tensor(0.6931)
    """
    if input.dtype.is_complex:
        values = filled(input, mask, -math.inf)
    else:
        values = lowered(input, mask, "logsumexp")
    dims = dimensions(dim, input.ndim)
    return rushlight.logsumexp(values, dims, bool(keepdim)).to(dtype or input.dtype)
