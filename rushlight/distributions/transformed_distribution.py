"""Distributions of f(x), x of another distribution.

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import rushlight
from rushlight import Size, Tensor

from . import constraints
from .distribution import Distribution
from .independent import Independent
from .transform import ComposeTransform, Transform, with_event_dim
from .utils import sum_rightmost


class TransformedDistribution(Distribution):
    """The distribution of f(x), x of `base_distribution`, f the `transforms` one after the other.

    log p(y) = log p(x) - log |det df/dx|. ValueError for what is no transform, or a base with too
    few dimensions. Follows `torch.distributions.TransformedDistribution`.

    >>> import rushlight as rl
    >>> from rushlight.distributions import ExpTransform, Normal, TransformedDistribution
    >>> TransformedDistribution(Normal(0.0, 1.0), ExpTransform()).log_prob(rl.tensor(1.0))
    tensor(-0.9189)
    """

    arg_constraints: ClassVar[Any] = {}

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | list[Transform],
        validate_args: bool | None = None,
    ) -> None:
        self.transforms = [transforms] if isinstance(transforms, Transform) else transforms
        if not isinstance(self.transforms, list) or not all(
            isinstance(t, Transform) for t in self.transforms
        ):
            raise ValueError(
                f"transforms must be a Transform or list of Transforms, but was {transforms}"
            )
        whole = ComposeTransform(self.transforms)
        inner, outer = whole.domain.event_dim, whole.codomain.event_dim
        shape = base_distribution.batch_shape + base_distribution.event_shape
        if len(shape) < inner:
            raise ValueError(
                "base_distribution needs to have shape with size at least "
                f"{inner}, but got {shape}."
            )
        out = Size(whole.forward_shape(shape))
        own = len(base_distribution.event_shape)
        needed = Size(whole.inverse_shape(out))
        if needed != shape:
            base_distribution = base_distribution.expand(needed[: len(needed) - own])
        if inner > own:
            base_distribution = Independent(base_distribution, inner - own)
        self.base_dist: Any = base_distribution
        cut = len(out) - max(outer, outer + own - inner)
        super().__init__(out[:cut], out[cut:], validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        shape = ComposeTransform(self.transforms).inverse_shape(new._batch_shape + self.event_shape)
        new.base_dist = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        return new

    def _expanded_part(self, name: str, value: Any, batch: Size) -> Any:
        return value  # the base is expanded by the shape that the maps take, in `expand`

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> constraints.Constraint:
        if not self.transforms:
            return self.base_dist.support
        return with_event_dim(self.transforms[-1].codomain, len(self.event_shape))

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with rushlight.no_grad():
            return self._mapped(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self._mapped(self.base_dist.rsample(sample_shape))

    def _mapped(self, value: Tensor) -> Tensor:
        for transform in self.transforms:
            value = transform(value)
        return value

    def _mapped_back(self, value: Tensor) -> Tensor:
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        return value

    def log_prob(self, value: Tensor) -> Tensor:
        y = self._checked(value)
        total: Any = 0.0
        dims = len(self.event_shape)
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            dims += transform.domain.event_dim - transform.codomain.event_dim
            stretch = transform.log_abs_det_jacobian(x, y)
            total = total - sum_rightmost(stretch, dims - transform.domain.event_dim)
            y = x
        own = len(self.base_dist.event_shape)
        return total + sum_rightmost(self.base_dist.log_prob(y), dims - own)

    def _rising(self, share: Tensor) -> Tensor:
        """A probability of less, made one of more where the maps fall."""
        sign: Any = 1
        for transform in self.transforms:
            sign = sign * transform.sign
        if isinstance(sign, int) and sign == 1:
            return share
        return sign * (share - 0.5) + 0.5

    def cdf(self, value: Tensor) -> Tensor:
        return self._rising(self.base_dist.cdf(self._mapped_back(self._checked(value))))

    def icdf(self, value: Tensor) -> Tensor:
        return self._mapped(self.base_dist.icdf(self._rising(value)))
