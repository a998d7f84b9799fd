"""Continuous Bernoulli distributions.

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import rushlight
from rushlight import Tensor
from rushlight.nn import functional

from . import constraints
from .exp_family import ExponentialFamily
from .odds import Odds
from .utils import broadcast_all, clamp_probs


class ContinuousBernoulli(Odds, ExponentialFamily):
    """The distribution on [0, 1] of density proportional to p^x (1 - p)^(1 - x) (Loaiza-Ganem and
    Cunningham 2019). Within `lims` of p = 1/2 its normaliser is a Taylor series.

    Event shape (). Follows `torch.distributions.ContinuousBernoulli`.

    >>> import rushlight as rl
    >>> rl.distributions.ContinuousBernoulli(0.5).mean
    tensor(0.5000)
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        self._take_odds(probs, logits)
        if probs is not None:
            self.probs = clamp_probs(self.probs)
        self._lims = lims
        super().__init__(self._param.size(), validate_args=validate_args)

    def _steep(self) -> Tensor:
        """Where the formulas do not divide by nearly nothing."""
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _steep_probs(self) -> Tensor:
        return rushlight.where(self._steep(), self.probs, self._lims[0])

    def _log_norm(self) -> Tensor:
        """log of the factor that makes the density integrate to 1."""
        p = self._steep_probs()
        double = rushlight.where(p <= 0.5, p, 1.0 - p) * 2
        exact = (rushlight.log1p(-p) - p.log()).abs().log() - rushlight.log1p(-double)
        x = (self.probs - 0.5).square()
        series = math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x
        return rushlight.where(self._steep(), exact, series)

    @property
    def mean(self) -> Tensor:
        p = self._steep_probs()
        exact = p / (2.0 * p - 1.0) + 1.0 / (rushlight.log1p(-p) - p.log())
        x = self.probs - 0.5
        return rushlight.where(
            self._steep(), exact, 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.square()) * x
        )

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    @property
    def variance(self) -> Tensor:
        p = self._steep_probs()
        exact = p * (p - 1.0) / (1.0 - 2.0 * p).square()
        exact = exact + 1.0 / (rushlight.log1p(-p) - p.log()).square()
        x = (self.probs - 0.5).square()
        series = 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x
        return rushlight.where(self._steep(), exact, series)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        share = rushlight.rand(shape, dtype=self.probs.dtype, device=self.probs.device)
        return self.icdf(share)

    def log_prob(self, value: Tensor) -> Tensor:
        logits, value = broadcast_all(self.logits, self._checked(value))
        inside = functional.binary_cross_entropy_with_logits(logits, value, reduction="none")
        return -inside + self._log_norm()

    def cdf(self, value: Tensor) -> Tensor:
        value, p = self._checked(value), self._steep_probs()
        exact = (p.pow(value) * (1.0 - p).pow(1.0 - value) + p - 1.0) / (2.0 * p - 1.0)
        inside = rushlight.where(self._steep(), exact, value)
        return rushlight.where(value <= 0.0, 0.0, rushlight.where(value >= 1.0, 1.0, inside))

    def icdf(self, value: Tensor) -> Tensor:
        p = self._steep_probs()
        exact = (rushlight.log1p(-p + value * (2.0 * p - 1.0)) - rushlight.log1p(-p)) / (
            p.log() - rushlight.log1p(-p)
        )
        return rushlight.where(self._steep(), exact, value)

    def entropy(self) -> Tensor:
        below = rushlight.log1p(-self.probs)
        return self.mean * (below - self.probs.log()) - self._log_norm() - below
