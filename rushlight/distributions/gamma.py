"""Gamma distributions.

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import rushlight
from rushlight import Tensor

from . import constraints
from .exp_family import ExponentialFamily
from .utils import broadcast_all


class Gamma(ExponentialFamily):
    """The gamma distribution, of density proportional to x^(concentration - 1) exp(-rate x).

    Parameters broadcast; event shape (). Samples are differentiable (their quantile stays).
    Follows `torch.distributions.Gamma`.

    >>> import rushlight as rl
    >>> rl.distributions.Gamma(2.0, 4.0).mean
    tensor(0.5000)
    """

    arg_constraints: ClassVar[Any] = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.size(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate.square()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        drawn = rushlight._standard_gamma(self.concentration.expand(shape)) / self.rate
        # a sample of 0 would have no logarithm; the gradient is as if it had not been moved
        tiny = rushlight.finfo(drawn.dtype).tiny
        return rushlight.where(drawn.detach() < tiny, tiny + (drawn - drawn.detach()), drawn)

    def log_prob(self, value: Tensor) -> Tensor:
        value, a = self._checked(value), self.concentration
        value = rushlight.as_tensor(value, dtype=self.rate.dtype, device=self.rate.device)
        return (
            rushlight.xlogy(a, self.rate)
            + rushlight.xlogy(a - 1, value)
            - self.rate * value
            - rushlight.lgamma(a)
        )

    def cdf(self, value: Tensor) -> Tensor:
        return rushlight.special.gammainc(self.concentration, self.rate * self._checked(value))

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + rushlight.lgamma(a) + (1.0 - a) * rushlight.digamma(a)
