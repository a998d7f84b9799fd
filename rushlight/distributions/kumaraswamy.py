"""Kumaraswamy distributions.

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import rushlight
from rushlight import Tensor

from . import constraints
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, PowerTransform
from .uniform import Uniform
from .utils import EULER, broadcast_all


class Kumaraswamy(TransformedDistribution):
    """The distribution on (0, 1) of cdf 1 - (1 - x^concentration1)^concentration0.

    Parameters broadcast; event shape (). Follows `torch.distributions.Kumaraswamy`.

    >>> import rushlight as rl
    >>> rl.distributions.Kumaraswamy(1.0, 1.0).mean
    tensor(0.5000)
    """

    arg_constraints: ClassVar[Any] = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self, concentration1: Any, concentration0: Any, validate_args: bool | None = None
    ) -> None:
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        zero = rushlight.zeros_like(self.concentration0)
        chain = [
            PowerTransform(self.concentration0.reciprocal()),
            AffineTransform(1.0, -1.0),
            PowerTransform(self.concentration1.reciprocal()),
        ]
        base = Uniform(zero, zero + 1, validate_args=validate_args)
        super().__init__(base, chain, validate_args=validate_args)

    def _moment(self, order: int) -> Tensor:
        more = 1 + order / self.concentration1
        b = self.concentration0
        beta = rushlight.lgamma(more) + rushlight.lgamma(b) - rushlight.lgamma(more + b)
        return b * beta.exp()

    @property
    def mean(self) -> Tensor:
        return self._moment(1)

    @property
    def mode(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        inside = (a >= 1) & (b >= 1) & ((a > 1) | (b > 1))
        return rushlight.where(inside, ((a - 1) / (a * b - 1)) ** a.reciprocal(), float("nan"))

    @property
    def variance(self) -> Tensor:
        return self._moment(2) - self.mean.square()

    def entropy(self) -> Tensor:
        a, b = 1 - self.concentration1.reciprocal(), 1 - self.concentration0.reciprocal()
        harmonic = rushlight.digamma(self.concentration0 + 1) + EULER
        return b + a * harmonic - self.concentration1.log() - self.concentration0.log()
