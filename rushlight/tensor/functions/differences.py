"""Differences along a dimension, and the trace.

In: tensors. Out: tensors. Invariant: both are written in views and rows, so their gradients follow.
"""

from __future__ import annotations

from ...base.layout import normalize_axis
from ...ops import core
from ..tensor import Tensor


def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """The n-th differences of neighbours along a dimension, as `torch.diff`.

    Bools are differences where they differ. RuntimeError for a negative n or a 0-d tensor.

    >>> import rushlight as rl
    >>> rl.diff(rl.tensor([1, 3, 2]))
    tensor([ 2, -1])
    """
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    axis = normalize_axis(dim, input.ndim)
    parts = [x for x in (prepend, input, append) if x is not None]
    x = core.cat(parts, axis) if len(parts) > 1 else input
    for _ in range(min(n, x.shape[axis])):
        length = x.shape[axis] - 1
        later, earlier = x.narrow(axis, 1, length), x.narrow(axis, 0, length)
        x = later.logical_xor(earlier) if x.dtype.kind == "bool" else core.sub(later, earlier)
    return core.clone(x) if n == 0 else x


def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix, as `torch.trace`.

    RuntimeError for a tensor that is no matrix.

    >>> import rushlight as rl
    >>> rl.trace(rl.tensor([[1., 2.], [3., 4.]]))
    tensor(5.)
    """
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    return core.sum(input.diagonal(), None, False, None)


FUNCTIONS = (diff, trace)
METHODS = FUNCTIONS
