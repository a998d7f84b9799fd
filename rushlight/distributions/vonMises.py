"""Von Mises distributions: angles around a centre.

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import rushlight
from rushlight import Tensor

from . import constraints
from .distribution import Distribution
from .utils import broadcast_all, lazy_property


class VonMises(Distribution):
    """The distribution on (-pi, pi] of density exp(k cos(x - loc)) / (2 pi I0(k)).

    `loc` is an angle, `concentration` k > 0; they broadcast; event shape (). The variance is the
    circular one, 1 - I1(k) / I0(k). Samples come by rejection (Best and Fisher, 1979). Follows
    `torch.distributions.VonMises`.

    >>> import rushlight as rl
    >>> rl.distributions.VonMises(0.0, 1.0).log_prob(rl.tensor(0.5))
    tensor(-1.1962)
    """

    arg_constraints: ClassVar[Any] = {
        "loc": constraints.real,
        "concentration": constraints.positive,
    }
    support = constraints.real
    has_rsample = False

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @lazy_property
    def variance(self) -> Tensor:
        """1 - I1(k) / I0(k)."""
        k = self.concentration
        return 1 - rushlight.special.i1e(k) / rushlight.special.i0e(k)

    def log_prob(self, value: Tensor) -> Tensor:
        k = self.concentration
        # log I0(k) = k + log i0e(k), which does not overflow
        log_norm = math.log(2 * math.pi) + k + rushlight.special.i0e(k).log()
        return k * (self._checked(value) - self.loc).cos() - log_norm

    def _proposal(self, k: Tensor) -> Tensor:
        """The parameter of the wrapped Cauchy distribution that proposals are drawn from."""
        tau = 1 + (1 + 4 * k * k).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * k)
        exact = (1 + rho * rho) / (2 * rho)
        return rushlight.where(k < 1e-5, 1 / k + k, exact)  # where rho would round to 0

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with rushlight.no_grad():
            loc, k = self.loc.double().expand(shape), self.concentration.double().expand(shape)
            drawn = self._drawn(k, self._proposal(self.concentration.double()).expand(shape))
            turned = (drawn + math.pi + loc) % (2 * math.pi) - math.pi
        return turned.to(self.loc.dtype)

    def _drawn(self, k: Tensor, r: Tensor) -> Tensor:
        """Angles around 0; those that are rejected are drawn anew."""
        angle, done = rushlight.zeros_like(k), rushlight.zeros_like(k, dtype=rushlight.bool)
        while not bool(done.all()):
            first, second, sign = rushlight.rand((3, *k.shape), dtype=k.dtype).unbind()
            z = (math.pi * first).cos()
            f = (1 + r * z) / (r + z)
            c = k * (r - f)
            accepted = (c * (2 - c) > second) | ((c / second).log() + 1 - c >= 0)
            angle = rushlight.where(accepted, (sign - 0.5).sign() * f.acos(), angle)
            done = done | accepted
        return angle
