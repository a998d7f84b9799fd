"""Distances between rows and bounds on the norms of slices, composed of rows of the op table.

In: floating tensors. Out: tensors. Invariant: the distance of equal points has gradient zero.
"""

from __future__ import annotations

from typing import Any

from ...autograd.names import titled
from ...base.layout import normalize_axis
from ...ops import core
from ...ops.common import opmath_dtype
from ...ops.reduction import vector_norm
from ..tensor import Tensor


@titled("CdistBackward0", guarded=(0, 1))
def cdist(
    x1: Tensor,
    x2: Tensor,
    p: float = 2.0,
    compute_mode: str = "use_mm_for_euclid_dist_if_necessary",
) -> Tensor:
    """The p-norm distances of all pairs of rows, (..., P, M) and (..., R, M) to (..., P, R), as
    `torch.cdist`.

    Always from differences: `compute_mode` names ways of computing that trade accuracy for speed,
    none of them needed. RuntimeError for p < 0, other dtypes than floats, or different numbers of
    columns.

    >>> import rushlight as rl
    >>> rl.cdist(rl.tensor([[0., 0.]]), rl.tensor([[3., 4.], [0., 1.]]))
    tensor([[5., 1.]])
    """
    for name, x in (("X1", x1), ("X2", x2)):
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
        if not x.dtype.is_floating_point:
            raise RuntimeError(
                f"cdist only supports floating-point dtypes, {name} got: {x.dtype.name}"
            )
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")
    return vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), float(p), -1, False)


@titled("RenormBackward0")
def renorm(input: Tensor, p: Any, dim: int, maxnorm: Any) -> Tensor:
    """The slices along `dim` scaled down to the p-norm `maxnorm` where theirs is larger, as
    `torch.renorm`.

    A slice of norm n > maxnorm is multiplied by maxnorm / (n + 1e-7). RuntimeError for fewer than
    two dimensions, p <= 0, maxnorm < 0, complex numbers for either, or integers.

    >>> import rushlight as rl
    >>> rl.renorm(rl.tensor([[3., 4.], [0., 1.]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.0000, 1.0000]])
    """
    for name, number in (("p", p), ("maxnorm", maxnorm)):
        if isinstance(number, complex):
            raise RuntimeError(f"renorm: {name} must be real-valued, but got {number}")
    if p <= 0:
        raise RuntimeError(f"renorm: non-positive-norm not supported, got p = {p}")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if input.ndim < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions"
        )
    axis = normalize_axis(dim, input.ndim)
    others = tuple(d for d in range(input.ndim) if d != axis)
    kind = opmath_dtype(input.dtype)
    lengths = vector_norm(input, float(p), others, True, kind if kind is not input.dtype else None)
    factor = core.where(lengths > maxnorm, maxnorm / (lengths + 1e-7), 1.0)
    return core.contiguous(core.cast(core.mul(input, factor), input.dtype))


FUNCTIONS = (cdist, renorm)
METHODS = (renorm,)
IN_PLACE = ("renorm",)
