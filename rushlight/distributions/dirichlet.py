"""Dirichlet distributions.

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import rushlight
from rushlight import Tensor

from . import constraints
from .exp_family import ExponentialFamily


class Dirichlet(ExponentialFamily):
    """The distribution of shares of 1, of density proportional to prod x_k^(concentration_k - 1).

    Event shape (K,), the last dimension of `concentration` (at least one: ValueError). Samples are
    differentiable. Follows `torch.distributions.Dirichlet`.

    >>> import rushlight as rl
    >>> rl.distributions.Dirichlet(rl.tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    arg_constraints: ClassVar[Any] = {
        "concentration": constraints.independent(constraints.positive, 1)
    }
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        shape = concentration.shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        excess = (self.concentration - 1).clamp(min=0.0)
        share = excess / excess.sum(-1, True)
        nowhere = (self.concentration < 1).all(-1, keepdim=True)
        corner = rushlight.nn.functional.one_hot(share.argmax(-1), share.shape[-1])
        return rushlight.where(nowhere, corner.to(share.dtype), share)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.square() * (total + 1))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return rushlight._sample_dirichlet(self.concentration.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        a = self.concentration
        powers = rushlight.xlogy(a - 1.0, self._checked(value)).sum(-1)
        return powers + rushlight.lgamma(a.sum(-1)) - rushlight.lgamma(a).sum(-1)

    def entropy(self) -> Tensor:
        a, count = self.concentration, self.concentration.size(-1)
        total = a.sum(-1)
        return (
            rushlight.lgamma(a).sum(-1)
            - rushlight.lgamma(total)
            - (count - total) * rushlight.digamma(total)
            - ((a - 1.0) * rushlight.digamma(a)).sum(-1)
        )
