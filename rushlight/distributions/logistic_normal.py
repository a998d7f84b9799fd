"""Logistic-normal distributions.

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rushlight import Tensor

from . import constraints
from .normal import Normal
from .transformed_distribution import TransformedDistribution
from .transforms import StickBreakingTransform


class LogisticNormal(TransformedDistribution):
    """Shares of 1 made of normal numbers by stick breaking; loc and scale are (..., K - 1).

    Event shape (K,). Follows `torch.distributions.LogisticNormal`.

    >>> import rushlight as rl
    >>> rl.distributions.LogisticNormal(rl.zeros(2), rl.ones(2)).event_shape
    torch.Size([3])
    """

    arg_constraints: ClassVar[Any] = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        if not base.batch_shape:
            base = base.expand([1])
        super().__init__(base, StickBreakingTransform(), validate_args=validate_args)

    @property
    def loc(self) -> Tensor:
        """The means of the normal numbers."""
        return self.base_dist.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """The standard deviations of the normal numbers."""
        return self.base_dist.base_dist.scale
