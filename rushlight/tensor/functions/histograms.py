"""Histograms: of equal parts of a range, between given edges, in one or several dimensions.

In: floating tensors. Out: counts (or sums of weights, or densities) and edges of the
same dtype. Invariant: operands are read at the call; edges are compared with the values in their
own dtype, a part holds its lower edge and the last part also its upper one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...base import dtype as dtypes
from ...graph.build import NARROW
from ...kernel import convert
from ...ops.common import TYPE_NAMES
from ..conversion import from_array
from ..creation import linspace
from ..return_types import named
from ..tensor import Tensor
from ..values import window


def _require_floats(name: str, input: Tensor) -> None:
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise NotImplementedError(
            f"\"{name}\" not implemented for '{TYPE_NAMES[input.dtype.name]}': it takes float32 or "
            "float64 tensors"
        )


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """The number of elements in each of `bins` equal parts of [min, max] (the range of the values
    if both are equal).

    float16 and bfloat16 are placed in their own precision. Follows `torch.histc`; reads its
    operand.

    >>> import rushlight as rl
    >>> rl.histc(rl.tensor([1., 2., 1.]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    if bins <= 0:
        raise RuntimeError(f"bins must be > 0, got {bins}")
    narrow = input.dtype in NARROW
    if not narrow:
        _require_floats("histogram_cpu", input)
    values = np.asarray(window(input.float() if narrow else input), np.float64).reshape(-1)
    low, high = float(min), float(max)
    if low > high:
        raise RuntimeError(f"histc: max must be larger than min, but got min {low} and max {high}")
    if low == high and values.size:
        low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise RuntimeError(f"histc: range of [{low}, {high}] is not finite")
    ends = (low - 1.0, high + 1.0) if low == high else (low, high)
    counts = (
        _narrow_counts(values, bins, ends, input.dtype.name)
        if narrow
        else np.histogram(values, bins, ends)[0]
    )
    return from_array(counts, input.dtype)


def _narrow_counts(
    values: np.ndarray, bins: int, ends: tuple[float, float], name: str
) -> np.ndarray:
    """The histogram of float16 or bfloat16 values: the part of each is (value - low) bins / (high
    - low), rounded to the dtype after every operation, as PyTorch finds it.
    """
    low, high, count = (convert.round_to(np.asarray(v, np.float32), name) for v in (*ends, bins))
    inside = values[(values >= low) & (values <= high)].astype(np.float32)
    scaled = convert.round_to(convert.round_to(inside - low, name) * count, name)
    places = convert.round_to(scaled / convert.round_to(high - low, name), name)
    return np.bincount(np.minimum(places.astype(np.int64), bins - 1), minlength=bins)


def _ends(values: np.ndarray, given: Any, dimension: int) -> tuple[float, float]:
    """Where the edges of one dimension begin and end: as given, else at the extremes of the
    values; half a unit further on both sides where that is one place.
    """
    if given is not None:
        low, high = given
    elif values.size:
        low, high = float(values.min()), float(values.max())
    else:
        low, high = 0.0, 1.0
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(
            f"torch.histogramdd: dimension {dimension}'s range [{low}, {high}] is not finite"
        )
    if low > high:
        raise RuntimeError(
            f"torch.histogramdd: min should not exceed max, but got min {low} max {high} for "
            f"dimension {dimension}"
        )
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def _given_edges(input: Tensor, edges: Tensor, dimension: int) -> Tensor:
    """Edges that the caller brings, checked."""
    if edges.dtype is not input.dtype:
        raise RuntimeError(
            "torch.histogramdd: input tensor and bins tensors should have the same dtype, but got "
            f"input with dtype {input.dtype.name} and bins for dimension {dimension} with dtype "
            f"{edges.dtype.name}"
        )
    if edges.ndim != 1 or not edges.numel():
        raise RuntimeError(
            "torch.histogramdd: bins tensor should have one dimension and at least 1 element, but "
            f"got the shape {list(edges.shape)} for dimension {dimension}"
        )
    return edges


def _edges(input: Tensor, column: np.ndarray, bins: Any, given: Any, dimension: int) -> Tensor:
    """The edges of one dimension, from their number and range or as a tensor."""
    made = _given_edges(input, bins, dimension) if isinstance(bins, Tensor) else None
    count = bins if made is None else made.numel() - 1
    if count <= 0:
        raise RuntimeError(
            f"torch.histogram(): bins must be > 0, but got {count} for dimension {dimension}"
        )
    if made is not None:
        return made.detach()
    low, high = _ends(column, given, dimension)
    return linspace(low, high, count + 1, dtype=input.dtype)


def _counted(
    points: np.ndarray, edges: list[np.ndarray], weights: np.ndarray | None, density: bool
) -> np.ndarray:
    """The sums of weights (1 without any) of the points (count, dimensions) between the edges."""
    inside = np.ones(len(points), bool)
    places = []
    for column, marks in zip(points.T, edges, strict=True):
        inside &= (column >= marks[0]) & (column <= marks[-1])
        place = np.searchsorted(marks, column, side="right") - 1
        places.append(np.minimum(place, len(marks) - 2))
    shape = tuple(len(marks) - 1 for marks in edges)
    flat = np.ravel_multi_index([p[inside] for p in places], shape, mode="clip") if shape else None
    chosen = None if weights is None else weights[inside]
    counts = (
        np.zeros(shape)
        if flat is None
        else np.bincount(flat, chosen, math.prod(shape)).reshape(shape)
    )
    if not density:
        return counts
    volume = np.ones(())
    for marks in edges:
        volume = np.multiply.outer(volume, np.diff(marks))
    with np.errstate(invalid="ignore", divide="ignore"):
        return counts / volume / counts.sum()


def _histogram(
    input: Tensor, bins: Sequence[Any], range: Any, weight: Tensor | None, density: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The histogram of the points in the last dimension of input, and the edges."""
    if weight is not None:
        if weight.shape != input.shape[:-1]:
            raise RuntimeError(
                "torch.histogramdd: if weight tensor is provided it should have the same shape as "
                "the input tensor excluding its innermost dimension, but got input with shape "
                f"{list(input.shape)} and weight with shape {list(weight.shape)}"
            )
        if weight.dtype is not input.dtype:
            raise RuntimeError(
                "torch.histogramdd: if weight tensor is provided, input tensor and weight tensor "
                f"should have the same dtype, but got input({input.dtype.name}), and "
                f"weight({weight.dtype.name})"
            )
    count = input.shape[-1]
    _require_floats("histogramdd", input)
    if range is not None and len(range) != 2 * count:
        raise RuntimeError(
            f"torch.histogramdd: for a {count}-dimensional histogram range should have {2 * count} "
            f"elements, but got {len(range)}"
        )
    points = np.asarray(window(input)).reshape(math.prod(input.shape[:-1]), count)
    edges = tuple(
        _edges(input, points[:, d], wanted, range and range[2 * d : 2 * d + 2], d)
        for d, wanted in enumerate(bins)
    )
    weights = None if weight is None else np.asarray(window(weight)).reshape(-1)
    counts = _counted(points, [window(each) for each in edges], weights, density)
    return from_array(counts, input.dtype), edges


def histogram(
    input: Tensor,
    bins: Any = 100,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """The (weighted) number of elements between bin edges, and the edges, as `torch.histogram`
    (reads its operands).

    `bins` is the number of equal parts of `range` (default: the extremes of the values), or the
    edges themselves; `density` divides by the total and by the widths. NotImplementedError for
    other dtypes than float32 and float64; TypeError for edges and a range; RuntimeError for
    no bins, a range that is not finite, weights of another shape or dtype.

    >>> import rushlight as rl
    >>> rl.histogram(rl.tensor([1., 2., 1.]), bins=4, range=(0., 3.)).hist
    tensor([0., 2., 1., 0.])
    """
    if isinstance(bins, Tensor) and range is not None:
        raise TypeError("histogram(): give the edges as `bins`, or their number and `range`")
    flat = None if weight is None else weight.reshape(-1)
    hist, edges = _histogram(input.reshape(-1, 1), [bins], range, flat, density)
    return named("histogram", "hist", "bin_edges")((hist, edges[0]))


def histogramdd(
    input: Tensor,
    bins: Any,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """The (weighted) number of points between edges in every dimension, and these edges, as
    `torch.histogramdd` (reads its operands).

    Points lie in the last dimension of input, which has at least two. `bins`: the number of equal
    parts, one for each dimension or for all, or the edges of each dimension; `range`: where these
    begin and end, flat. Errors as of `histogram`.

    >>> import rushlight as rl
    >>> rl.histogramdd(rl.tensor([[0., 1.], [1., 0.], [1., 1.]]), [2, 2]).hist
    tensor([[0., 1.],
            [1., 1.]])
    """
    if input.ndim < 2:
        raise RuntimeError(
            "torch.histogramdd: input tensor should have at least 2 dimensions, but got the shape "
            f"{list(input.shape)}"
        )
    count = input.shape[-1]
    wanted = [bins] * count if isinstance(bins, int) else list(bins)
    if len(wanted) != count:
        raise RuntimeError(
            "histogramdd: The size of bins must be equal to the innermost dimension of the input: "
            f"expected {count} numbers or sequences of bin edges, but got {len(wanted)}"
        )
    made = _histogram(input, wanted, range, weight, density)
    return named("histogramdd", "hist", "bin_edges")(made)


FUNCTIONS = (histc, histogram, histogramdd)
METHODS = (histc, histogram)
