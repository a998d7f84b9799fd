"""Negative binomial distributions.

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import rushlight
from rushlight import Tensor
from rushlight.nn import functional

from . import constraints
from .distribution import Distribution
from .gamma import Gamma
from .odds import Odds
from .utils import broadcast_all


class NegativeBinomial(Odds, Distribution):
    """The number of successes of probability `probs` before `total_count` failures.

    Parameters broadcast; event shape (). Follows `torch.distributions.NegativeBinomial`.

    >>> import rushlight as rl
    >>> rl.distributions.NegativeBinomial(3.0, 0.5).mean
    tensor(3.)
    """

    arg_constraints: ClassVar[Any] = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self,
        total_count: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        self._take_odds(probs, logits)
        name = "probs" if probs is not None else "logits"
        count, param = broadcast_all(total_count, self._param)
        self.total_count = count.type_as(param)
        setattr(self, name, param)
        super().__init__(param.size(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Tensor:
        return self.mean / rushlight.sigmoid(-self.logits)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with rushlight.no_grad():
            rates = Gamma(self.total_count, (-self.logits).exp(), validate_args=False)
            return rushlight.poisson(rates.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        value, count = self._checked(value), self.total_count
        unnormalized = count * functional.logsigmoid(-self.logits) + value * functional.logsigmoid(
            self.logits
        )
        ways = (
            rushlight.lgamma(count + value)
            - rushlight.lgamma(1.0 + value)
            - rushlight.lgamma(count)
        )
        return unnormalized + rushlight.where(count + value == 0.0, 0.0, ways)
