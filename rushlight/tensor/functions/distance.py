"""Distances between rows, composed of rows of the op table.

In: floating tensors. Out: tensors. Invariant: the distance of equal points has gradient zero.
"""

from __future__ import annotations

from ...ops.reduction import vector_norm
from ..tensor import Tensor


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


FUNCTIONS = (cdist,)
