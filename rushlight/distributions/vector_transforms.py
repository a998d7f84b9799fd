"""Maps of vectors and matrices: softmax, stick breaking, Cholesky factors, slices, shapes.

In: tensors of the map's `domain`. Out: tensors of its `codomain`. Invariant: see `transform.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import rushlight
from rushlight import Size, Tensor
from rushlight.nn import functional

from . import constraints
from .constraints import Constraint
from .distribution import Distribution
from .transform import Transform, with_event_dim


class ReshapeTransform(Transform):
    """The last dimensions, of shape `in_shape`, reshaped to `out_shape`.

    Follows `torch.distributions.ReshapeTransform`.

    >>> import rushlight as rl
    >>> rl.distributions.ReshapeTransform((4,), (2, 2))(rl.zeros(3, 4)).shape
    torch.Size([3, 2, 2])
    """

    bijective = True

    def __init__(
        self, in_shape: Sequence[int], out_shape: Sequence[int], cache_size: int = 0
    ) -> None:
        super().__init__(cache_size=cache_size)
        self.in_shape, self.out_shape = Size(in_shape), Size(out_shape)
        if self.in_shape.numel() != self.out_shape.numel():
            raise ValueError(
                f"in_shape {in_shape} and out_shape {out_shape} have different numbers of elements"
            )

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return with_event_dim(constraints.real, len(self.in_shape))

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return with_event_dim(constraints.real, len(self.out_shape))

    def with_cache(self, cache_size: int = 1) -> Transform:
        if self._cache_size == cache_size:
            return self
        return ReshapeTransform(self.in_shape, self.out_shape, cache_size=cache_size)

    def _call(self, x: Tensor) -> Tensor:
        return x.reshape(self.forward_shape(x.shape))

    def _inverse(self, y: Tensor) -> Tensor:
        return y.reshape(self.inverse_shape(y.shape))

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x.new_zeros(x.shape[: x.dim() - len(self.in_shape)])

    def forward_shape(self, shape: Sequence[int]) -> Any:
        return _replaced(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        return _replaced(shape, self.out_shape, self.in_shape)


def _replaced(shape: Sequence[int], old: Size, new: Size) -> Size:
    """A shape whose last extents `old` are replaced by `new`; ValueError where they are others."""
    cut = len(shape) - len(old)
    if cut < 0:
        raise ValueError(f"Too few dimensions on input: {tuple(shape)} for {tuple(old)}")
    if Size(shape[cut:]) != old:
        raise ValueError(f"Shape mismatch: expected {tuple(shape[cut:])} but got {tuple(old)}")
    return Size(shape[:cut]) + new


class SoftmaxTransform(Transform):
    """y = softmax(x), which forgets a common summand of x.

    Follows `torch.distributions.SoftmaxTransform`.

    >>> import rushlight as rl
    >>> rl.distributions.SoftmaxTransform()(rl.zeros(2))
    tensor([0.5000, 0.5000])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SoftmaxTransform)

    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return rushlight.softmax(x, -1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()


class StickBreakingTransform(Transform):
    """n numbers to n + 1 shares of a stick: each takes a sigmoid's share of what is left.

    x = 0 gives equal shares. Follows `torch.distributions.StickBreakingTransform`.

    >>> import rushlight as rl
    >>> rl.distributions.StickBreakingTransform()(rl.zeros(2))
    tensor([0.3333, 0.3333, 0.3333])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StickBreakingTransform)

    __hash__ = object.__hash__

    @staticmethod
    def _offset(count: int, like: Tensor) -> Tensor:
        """log of how many shares are left after each: so that zeros mean equal shares."""
        return rushlight.arange(count, 0, -1, dtype=like.dtype, device=like.device).log()

    def _call(self, x: Tensor) -> Tensor:
        z = _clipped_sigmoid(x - self._offset(x.shape[-1], x))
        left = (1 - z).cumprod(-1)
        return functional.pad(z, [0, 1], value=1) * functional.pad(left, [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        share = y[..., :-1]
        left = (1 - share.cumsum(-1)).clamp(min=rushlight.finfo(y.dtype).tiny)
        return share.log() - left.log() + self._offset(share.shape[-1], y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        x = x - self._offset(x.shape[-1], x)
        return (-x + functional.logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Sequence[int]) -> Any:
        return Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        return Size((*shape[:-1], shape[-1] - 1))


def _clipped_sigmoid(x: Tensor) -> Tensor:
    limits = rushlight.finfo(x.dtype)
    return rushlight.sigmoid(x).clamp(min=limits.tiny, max=1 - limits.eps)


class LowerCholeskyTransform(Transform):
    """Square matrices to lower triangular ones with a positive diagonal (its exponential).

    Follows `torch.distributions.LowerCholeskyTransform`.

    >>> import rushlight as rl
    >>> rl.distributions.LowerCholeskyTransform()(rl.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LowerCholeskyTransform)

    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(Transform):
    """Square matrices to positive definite ones: L L^T of `LowerCholeskyTransform`'s L.

    Follows `torch.distributions.PositiveDefiniteTransform`.

    >>> import rushlight as rl
    >>> rl.distributions.PositiveDefiniteTransform()(rl.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PositiveDefiniteTransform)

    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y: Tensor) -> Tensor:
        return LowerCholeskyTransform().inv(rushlight.linalg.cholesky(y))


class CorrCholeskyTransform(Transform):
    """n (n - 1) / 2 numbers to the Cholesky factor of an n x n correlation matrix.

    Below the diagonal stand tanh(x) times what is left of the row's unit length (Stan Reference
    Manual, "Cholesky factors of correlation matrices"). Follows
    `torch.distributions.CorrCholeskyTransform`.

    >>> import rushlight as rl
    >>> rl.distributions.CorrCholeskyTransform()(rl.zeros(1))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        x = rushlight.tanh(x)
        eps = rushlight.finfo(x.dtype).eps
        partial = _lower_matrix(x.clamp(min=-1 + eps, max=1 - eps))
        left = (1 - partial * partial).sqrt().cumprod(-1)
        full = partial + rushlight.eye(partial.shape[-1], dtype=x.dtype, device=x.device)
        return full * functional.pad(left[..., :-1], [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        left = (1 - (y * y).cumsum(-1)).clamp(min=rushlight.finfo(y.dtype).tiny)
        before = functional.pad(left[..., :-1], [1, 0], value=1)
        return rushlight.atanh(_lower_vector(y) / _lower_vector(before.sqrt()))

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        left = 1 - (y * y).cumsum(-1)
        diagonal = 0.5 * _lower_vector(left, -2).log().sum(-1)
        tanh = -2 * (x + functional.softplus(-2 * x) - math.log(2.0)).sum(-1)
        return diagonal + tanh

    def forward_shape(self, shape: Sequence[int]) -> Any:
        count = shape[-1]
        size = round((0.25 + 2 * count) ** 0.5 + 0.5)
        if size * (size - 1) // 2 != count:
            raise ValueError("Input is not a flattend lower-diagonal number")
        return Size((*shape[:-1], size, size))

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        return Size((*shape[:-2], shape[-1] * (shape[-1] - 1) // 2))


def _lower_matrix(values: Tensor) -> Tensor:
    """Numbers, row by row, as the part of a square matrix below its diagonal."""
    size = round((0.25 + 2 * values.shape[-1]) ** 0.5 + 0.5)
    rows = []
    for k, start in enumerate(accumulate(range(size), initial=0)):
        if k < size:
            rows.append(functional.pad(values[..., start : start + k], [0, size - k]))
    return rushlight.stack(rows, -2)


def _lower_vector(matrix: Tensor, offset: int = -1) -> Tensor:
    """What stands below the diagonal (from `offset` on), row by row."""
    rows = [matrix[..., k, : k + offset + 1] for k in range(-offset, matrix.shape[-1])]
    return rushlight.cat(rows, -1) if rows else matrix.new_zeros((*matrix.shape[:-2], 0))


class CumulativeDistributionTransform(Transform):
    """y = cdf(x) of a distribution. Follows `torch.distributions.CumulativeDistributionTransform`.

    >>> import rushlight as rl
    >>> from rushlight.distributions import CumulativeDistributionTransform, Normal
    >>> CumulativeDistributionTransform(Normal(0.0, 1.0))(rl.tensor(0.0))
    tensor(0.5000)
    """

    bijective = True
    codomain = constraints.unit_interval
    sign = 1

    def __init__(self, distribution: Distribution, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.distribution = distribution

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return self.distribution.support

    def with_cache(self, cache_size: int = 1) -> Transform:
        if self._cache_size == cache_size:
            return self
        return CumulativeDistributionTransform(self.distribution, cache_size=cache_size)

    def _call(self, x: Tensor) -> Tensor:
        return self.distribution.cdf(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.distribution.log_prob(x)


# --- different maps for different slices --------------------------------------------------------


class CatTransform(Transform):
    """One map for each of the slices of stated lengths along a dimension.

    Follows `torch.distributions.CatTransform`.

    >>> import rushlight as rl
    >>> from rushlight.distributions import CatTransform, ExpTransform, identity_transform
    >>> CatTransform([ExpTransform(), identity_transform], 0, [1, 2])(rl.zeros(3))
    tensor([1., 0., 0.])
    """

    def __init__(
        self,
        tseq: Sequence[Transform],
        dim: int = 0,
        lengths: Sequence[int] | None = None,
        cache_size: int = 0,
    ) -> None:
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) if cache_size else t for t in tseq]
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError(f"{len(self.lengths)} lengths for {len(self.transforms)} maps")
        self.dim = dim

    @property
    def length(self) -> int:
        """The extent of the dimension."""
        return sum(self.lengths)

    @property
    def event_dim(self) -> int:
        return max(t.event_dim for t in self.transforms)

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return all(t.bijective for t in self.transforms)

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)

    def with_cache(self, cache_size: int = 1) -> Transform:
        if self._cache_size == cache_size:
            return self
        return CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    def _slices(self, value: Tensor) -> list[Tensor]:
        if value.shape[self.dim] != self.length:
            raise ValueError(
                f"dimension {self.dim} has {value.shape[self.dim]} elements, the maps take "
                f"{self.length}"
            )
        return list(value.split(self.lengths, self.dim))

    def _call(self, x: Tensor) -> Tensor:
        parts = zip(self.transforms, self._slices(x))
        return rushlight.cat([t(part) for t, part in parts], self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        parts = zip(self.transforms, self._slices(y))
        return rushlight.cat([t.inv(part) for t, part in parts], self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        found = []
        for t, a, b in zip(self.transforms, self._slices(x), self._slices(y)):
            stretch = t.log_abs_det_jacobian(a, b)
            for _ in range(self.event_dim - t.event_dim):
                stretch = stretch.sum(-1)
            found.append(stretch)
        axis = self.dim - x.dim() if self.dim >= 0 else self.dim
        axis += self.event_dim
        return rushlight.cat(found, axis) if axis < 0 else sum(found[1:], found[0])


class StackTransform(Transform):
    """One map for each slice along a dimension. Follows `torch.distributions.StackTransform`.

    >>> import rushlight as rl
    >>> from rushlight.distributions import ExpTransform, StackTransform, identity_transform
    >>> StackTransform([ExpTransform(), identity_transform])(rl.zeros(2))
    tensor([1., 0.])
    """

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) if cache_size else t for t in tseq]
        self.dim = dim

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return all(t.bijective for t in self.transforms)

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return constraints.stack([t.codomain for t in self.transforms], self.dim)

    def with_cache(self, cache_size: int = 1) -> Transform:
        if self._cache_size == cache_size:
            return self
        return StackTransform(self.transforms, self.dim, cache_size)

    def _slices(self, value: Tensor) -> Sequence[Tensor]:
        if value.shape[self.dim] != len(self.transforms):
            raise ValueError(
                f"dimension {self.dim} has {value.shape[self.dim]} elements, there are "
                f"{len(self.transforms)} maps"
            )
        return value.unbind(self.dim)

    def _call(self, x: Tensor) -> Tensor:
        parts = zip(self.transforms, self._slices(x))
        return rushlight.stack([t(part) for t, part in parts], self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        parts = zip(self.transforms, self._slices(y))
        return rushlight.stack([t.inv(part) for t, part in parts], self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        triples = zip(self.transforms, self._slices(x), self._slices(y))
        return rushlight.stack([t.log_abs_det_jacobian(a, b) for t, a, b in triples], self.dim)
