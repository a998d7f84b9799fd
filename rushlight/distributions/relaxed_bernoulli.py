"""Bernoulli distributions relaxed to the open interval (0, 1).

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import rushlight
from rushlight import Tensor

from . import constraints
from .distribution import Distribution
from .odds import Odds
from .transformed_distribution import TransformedDistribution
from .transforms import SigmoidTransform
from .utils import as_parameter, broadcast_all, clamp_probs


class LogitRelaxedBernoulli(Odds, Distribution):
    """The logit of a relaxed Bernoulli number (Maddison, Mnih and Teh 2017, "concrete").

    Event shape (). Follows `torch.distributions.relaxed_bernoulli.LogitRelaxedBernoulli`.

    >>> import rushlight as rl
    >>> from rushlight.distributions.relaxed_bernoulli import LogitRelaxedBernoulli
    >>> LogitRelaxedBernoulli(rl.tensor(1.0), 0.5).log_prob(rl.tensor(0.0))
    tensor(-1.3863)
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support = constraints.real
    has_rsample = True

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        self.temperature = as_parameter(temperature)
        self._take_odds(probs, logits)
        super().__init__(self._param.size(), validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        probs = clamp_probs(self.probs.expand(shape))
        share = clamp_probs(rushlight.rand(shape, dtype=probs.dtype, device=probs.device))
        odds = share.log() - (-share).log1p() + probs.log() - (-probs).log1p()
        return odds / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        logits, value = broadcast_all(self.logits, self._checked(value))
        distance = logits - value * self.temperature
        return self.temperature.log() + distance - 2 * distance.exp().log1p()


class RelaxedBernoulli(TransformedDistribution):
    """A Bernoulli number softened by a `temperature` so that samples are differentiable.

    Event shape (). Follows `torch.distributions.RelaxedBernoulli`.

    >>> import rushlight as rl
    >>> rl.distributions.RelaxedBernoulli(rl.tensor(1.0), 0.5).log_prob(rl.tensor(0.5))
    tensor(0.)
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)

    @property
    def temperature(self) -> Tensor:
        """How soft the samples are."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """log(p / (1 - p))"""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """The probabilities of success."""
        return self.base_dist.probs
