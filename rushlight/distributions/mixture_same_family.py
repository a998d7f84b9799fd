"""Mixtures of distributions of one family.

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import rushlight
from rushlight import Tensor

from . import constraints
from .categorical import Categorical
from .distribution import Distribution


class MixtureSameFamily(Distribution):
    """A mixture whose weights are a Categorical and whose components lie along the last batch
    dimension of another distribution.

    ValueError where their numbers or shapes differ. Follows
    `torch.distributions.MixtureSameFamily`.

    >>> import rushlight as rl
    >>> from rushlight.distributions import Categorical, MixtureSameFamily, Normal
    >>> m = MixtureSameFamily(Categorical(rl.ones(2)), Normal(rl.tensor([-1.0, 1.0]), 1.0))
    >>> m.mean
    tensor(0.)
    """

    arg_constraints: ClassVar[Any] = {}

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an  instance of "
                "torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution need to be an instance of "
                "torch.distributions.Distribution"
            )
        weights, batch = mixture_distribution.batch_shape, component_distribution.batch_shape
        for ours, theirs in zip(reversed(weights), reversed(batch[:-1])):
            if ours != 1 and theirs != 1 and ours != theirs:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({weights}) is not compatible with "
                    f"`component_distribution.batch_shape`({batch[:-1]})"
                )
        count = mixture_distribution.logits.shape[-1]
        if count != batch[-1]:
            raise ValueError(
                f"`mixture_distribution component` ({count}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({batch[-1]})"
            )
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        self._event_ndims = len(component_distribution.event_shape)
        super().__init__(batch[:-1], component_distribution.event_shape, validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = object.__new__(type(self)) if _instance is None else _instance
        new.__dict__.update(self.__dict__)
        batch = rushlight.Size(batch_shape)
        count = self._component_distribution.batch_shape[-1:]
        new._component_distribution = self._component_distribution.expand(batch + count)
        new._mixture_distribution = self._mixture_distribution.expand(batch)
        new._batch_shape = batch
        return new

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Categorical:
        """The weights."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components."""
        return self._component_distribution

    def _weights(self) -> Tensor:
        probs = self._mixture_distribution.probs
        return probs.reshape(*probs.shape, *[1] * self._event_ndims)

    @property
    def _component_axis(self) -> int:
        return -1 - self._event_ndims

    @property
    def mean(self) -> Tensor:
        return (self._weights() * self._component_distribution.mean).sum(self._component_axis)

    @property
    def variance(self) -> Tensor:
        weights, axis = self._weights(), self._component_axis
        distance = self._component_distribution.mean - self.mean.unsqueeze(axis)
        inside = (weights * self._component_distribution.variance).sum(axis)
        return inside + (weights * distance.square()).sum(axis)

    def cdf(self, value: Tensor) -> Tensor:
        below = self._component_distribution.cdf(self._padded(value))
        return (below * self._mixture_distribution.probs).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        value = self._padded(self._checked(value))
        inside = self._component_distribution.log_prob(value)
        weights = rushlight.log_softmax(self._mixture_distribution.logits, -1)
        return rushlight.logsumexp(inside + weights, -1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with rushlight.no_grad():
            chosen = self._mixture_distribution.sample(sample_shape)
            values = self._component_distribution.sample(sample_shape)
            ones = [1] * (self._event_ndims + 1)
            index = chosen.reshape(*chosen.shape, *ones)
            axis = len(chosen.shape)
            index = index.expand(*chosen.shape, 1, *self._event_shape)
            return values.gather(axis, index).squeeze(axis)

    def _padded(self, value: Tensor) -> Tensor:
        return value.unsqueeze(self._component_axis)

    def __repr__(self) -> str:
        parts = f"{self._mixture_distribution!r},\n  {self._component_distribution!r}"
        return f"{type(self).__name__}(\n  {parts})"
