"""Differences and integrals along a dimension, the trace, covariances.

In: tensors. Out: tensors. Invariant: all are written in views and rows, so their gradients follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autograd.names import titled
from ...base import dtype as dtypes
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
    if n == 0:
        return core.clone(input)
    parts = [x for x in (prepend, input, append) if x is not None]
    x = core.cat(parts, axis) if len(parts) > 1 else input
    for _ in range(min(n, x.shape[axis])):
        length = x.shape[axis] - 1
        later, earlier = x.narrow(axis, 1, length), x.narrow(axis, 0, length)
        x = later.logical_xor(earlier) if x.dtype.kind == "bool" else core.sub(later, earlier)
    return x


@titled("TraceBackward0")
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


def _spacing(input: Tensor, x: Tensor | None, dx: Any, axis: int) -> Any:
    """The widths of the strips between neighbours: a number, or a tensor that broadcasts."""
    if x is None:
        return 1.0 if dx is None else dx
    if x.ndim == 1 and input.ndim > 1:
        return diff(x).reshape((-1, *(1,) * (input.ndim - axis - 1)))
    return diff(x, dim=axis if x.ndim == input.ndim else -1)


def _strips(input: Tensor, x: Tensor | None, dx: Any, axis: int) -> Tensor:
    """The areas of the trapezoids between neighbours."""
    if x is not None and dx is not None:
        raise RuntimeError("trapezoid: give the points `x` or their distance `dx`, not both")
    length = max(input.shape[axis] - 1, 0)
    later = input.narrow(axis, 1 if length else 0, length)
    pairs = core.add(later, input.narrow(axis, 0, length))
    return core.mul(core.mul(pairs, _spacing(input, x, dx, axis)), 0.5)


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral along a dimension by the trapezoidal rule, as `torch.trapezoid`.

    sum over i of (y[i] + y[i + 1]) / 2 * (x[i + 1] - x[i]), the widths being `dx` without x.

    >>> import rushlight as rl
    >>> rl.trapezoid(rl.tensor([1., 5., 10.]))
    tensor(10.5000)
    """
    axis = normalize_axis(dim, y.ndim)
    return core.sum(_strips(y, x, dx, axis), axis, False, None)


def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1
) -> Tensor:
    """The running integral along a dimension, as `torch.cumulative_trapezoid`.

    >>> import rushlight as rl
    >>> rl.cumulative_trapezoid(rl.tensor([1., 5., 10.]))
    tensor([ 3.0000, 10.5000])
    """
    axis = normalize_axis(dim, y.ndim)
    return _strips(y, x, dx, axis).cumsum(axis)


def _weights(name: str, given: Tensor | None, count: int, kinds: tuple[str, ...]) -> None:
    if given is None:
        return
    if given.ndim > 1 or given.numel() != count:
        raise RuntimeError(
            f"cov(): expected {name} to have {count} elements in one dimension, one for each "
            f"observation, but got {list(given.shape)}"
        )
    if given.dtype.kind not in kinds:
        raise RuntimeError(f"cov(): {name} cannot be {given.dtype}")
    if bool((given < 0).any()):
        raise RuntimeError(f"cov(): {name} cannot be negative")


def cov(
    input: Tensor,
    *,
    correction: int = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:
    """The covariances of variables (rows) over observations (columns), as `torch.cov`.

    fweights counts how often an observation was made (integers), aweights how much it matters.
    RuntimeError for more than two dimensions, or weights that do not fit or are negative.

    >>> import rushlight as rl
    >>> rl.cov(rl.tensor([[0., 1., 2.], [2., 1., 0.]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got {input.ndim}"
        )
    if input.dtype.kind == "bool":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = input if input.ndim == 2 else input.reshape(1, -1)
    count = x.shape[1]
    _weights("fweights", fweights, count, ("int",))
    _weights("aweights", aweights, count, ("float",))
    weights = fweights if aweights is None else aweights
    if fweights is not None and aweights is not None:
        weights = core.mul(fweights, aweights)
    if weights is None:
        total: Any = float(count)
        mean = core.sum(x, 1, True, None) / total
        freedom: Any = max(total - correction, 0.0)
        centred = core.sub(x, mean)
        other = centred
    else:
        total = weights.sum()
        mean = core.mul(x, weights).sum(1, keepdim=True) / total
        freedom = total
        if correction and aweights is None:
            freedom = total - correction
        elif correction:
            freedom = total - correction * core.mul(weights, aweights).sum() / total
        freedom = freedom.clamp(min=0)
        centred = core.sub(x, mean)
        other = core.mul(centred, weights)
    return (centred @ other.t().conj() / freedom).squeeze()


def corrcoef(input: Tensor) -> Tensor:
    """Pearson's correlations of variables (rows) over observations, as `torch.corrcoef`.

    >>> import rushlight as rl
    >>> rl.corrcoef(rl.tensor([[0., 1., 2.], [2., 1., 0.]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    made = cov(input)
    if not made.ndim:
        return made / made
    deviations = made.diagonal().real.sqrt()
    made = made / deviations.unsqueeze(1) / deviations.unsqueeze(0)
    if made.dtype.is_complex:
        return core.complex(made.real.clamp(-1, 1), made.imag.clamp(-1, 1))
    return made.clamp(-1, 1)


# --- gradients of samples -----------------------------------------------------------------------


def _spacings(input: Tensor, spacing: Any, axes: Sequence[int]) -> list[Any]:
    """The distance of neighbours (a number), or the coordinates (a vector), of each dimension."""
    if isinstance(spacing, (list, tuple)):
        found = list(spacing)
    elif isinstance(spacing, Tensor) and spacing.ndim:
        found = [spacing]
    else:
        found = [1 if spacing is None else spacing] * len(axes)
    if len(found) != len(axes):
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or a list of length "
            f"{len(axes)}, one for each dimension, but got a list of length {len(found)}"
        )
    for axis, each in zip(axes, found, strict=True):
        if not isinstance(each, Tensor):
            continue
        if each.device != input.device:
            raise RuntimeError(
                "torch.gradient expected each tensor to be on the same device, but got devices "
                f"{each.device} and {input.device}."
            )
        if each.ndim and tuple(each.shape) != (input.shape[axis],):
            raise RuntimeError(
                "torch.gradient expected each spacing tensor to be one-dimensional and as long as "
                f"its dimension, but got shape {list(each.shape)} for dimension {axis} of "
                f"{list(input.shape)}"
            )
    return found


def _end_slope(end: Tensor, second: Tensor, third: Tensor, a: Any, c: Any) -> Tensor:
    """The slope at the end of the parabola through three elements at distances a and c."""
    if isinstance(a, Tensor):
        outer, inner = -(a * 2 + c) / (a * (a + c)), (a + c) / (a * c)
        return end * outer + second * inner + third * (-a / (c * (a + c)))
    return (end * -1.5 + second * 2 + third * -0.5) / a


def _slope(input: Tensor, spacing: Any, axis: int, edge_order: int) -> Tensor:
    """Second order differences inside, differences of `edge_order` at both ends."""
    count = input.shape[axis]
    uneven = isinstance(spacing, Tensor) and spacing.ndim > 0
    steps = diff(spacing) if uneven else spacing

    def width(start: int, length: int = 1) -> Any:
        if not uneven:
            return steps
        return steps.narrow(0, start, length).reshape((-1, *(1,) * (input.ndim - axis - 1)))

    def at(start: int, length: int = 1) -> Tensor:
        return input.narrow(axis, start, length)

    inner = count - 2
    if uneven:
        a, c = width(0, inner), width(1, inner)
        left, middle, right = -c / (a * (a + c)), (c - a) / (a * c), a / (c * (a + c))
        inside = at(0, inner) * left + at(1, inner) * middle + at(2, inner) * right
    else:
        inside = (at(2, inner) - at(0, inner)) / (steps * 2)
    if edge_order == 1:
        first = (at(1) - at(0)) / width(0)
        last = (at(count - 1) - at(count - 2)) / width(count - 2)
    else:
        first = _end_slope(at(0), at(1), at(2), width(0), width(1))
        widths = [-w for w in (width(count - 2), width(count - 3))]  # seen from the other end
        last = _end_slope(at(count - 1), at(count - 2), at(count - 3), *widths)
    return core.cat([first, inside, last], axis)


def gradient(
    input: Tensor, *, spacing: Any = None, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The slopes of samples along each dimension (or those in `dim`), as `torch.gradient`.

    Inside, the parabola through three neighbours gives the slope; at the ends the straight line
    (`edge_order` 1) or the parabola (2). `spacing`: the distance of samples (default 1), or for
    each dimension its distance or a vector of coordinates. RuntimeError for a repeated or too short
    dimension, another edge_order, spacings that do not fit, or uint8; IndexError for a dimension
    out of range.

    >>> import rushlight as rl
    >>> rl.gradient(rl.tensor([1., 4., 9., 16.]))
    (tensor([3., 4., 6., 7.]),)
    """
    if input.dtype is dtypes.uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    if edge_order not in (1, 2):
        raise RuntimeError(
            f"torch.gradient only supports edge_order=1 and edge_order=2, but got {edge_order}."
        )
    named = range(input.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    axes = [normalize_axis(d, input.ndim) for d in named]
    for axis in axes:
        if axes.count(axis) > 1:
            raise RuntimeError(f"dim {axis} appears multiple times in the list of dims")
        if input.shape[axis] < edge_order + 1:
            raise RuntimeError(
                "torch.gradient expected each dimension size to be at least edge_order+1 = "
                f"{edge_order + 1}, but dimension {axis} of {list(input.shape)} is shorter"
            )
    found = _spacings(input, spacing, axes)
    return tuple(
        _slope(input, each, axis, edge_order) for axis, each in zip(axes, found, strict=True)
    )


FUNCTIONS = (diff, gradient, trace, trapezoid, cumulative_trapezoid, cov, corrcoef)
METHODS = (diff, trace, cov, corrcoef)
ALIASES = {"trapz": trapezoid}
