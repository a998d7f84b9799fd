"""Binomial distributions.

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
from .odds import Odds, counts_from_zero
from .utils import broadcast_all


class Binomial(Odds, Distribution):
    """The number of successes of probability `probs` in `total_count` trials.

    Parameters broadcast; event shape (). Follows `torch.distributions.Binomial`.

    >>> import rushlight as rl
    >>> rl.distributions.Binomial(2, 0.5).log_prob(rl.tensor(1.0))
    tensor(-0.6931)
    """

    arg_constraints: ClassVar[Any] = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(
        self,
        total_count: Any = 1,
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

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> constraints.Constraint:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        highest = ((self.total_count + 1) * self.probs).floor()
        return rushlight.minimum(highest, self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with rushlight.no_grad():
            return rushlight.binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        value = self._checked(value)
        ways = (
            rushlight.lgamma(self.total_count + 1)
            - rushlight.lgamma(value + 1)
            - rushlight.lgamma(self.total_count - value + 1)
        )
        failure = functional.logsigmoid(-self.logits)
        return value * self.logits + ways + self.total_count * failure

    def entropy(self) -> Tensor:
        if not bool((self.total_count == self.total_count.max()).all()):
            raise NotImplementedError("Inhomogeneous total count not supported by `entropy`.")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(log_prob.exp() * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        count = int(self.total_count.max())
        if not bool((self.total_count == count).all()):
            raise NotImplementedError(
                "Inhomogeneous total count not supported by `enumerate_support`."
            )
        return counts_from_zero(count, self._param, self._batch_shape, expand)
