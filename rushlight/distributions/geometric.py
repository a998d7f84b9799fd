"""Geometric distributions.

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
from .utils import broadcast_all


class Geometric(Odds, Distribution):
    """The number of failures before the first success of probability `probs`: 0, 1, 2 ...

    Event shape (). ValueError for a probability of 0. Follows `torch.distributions.Geometric`.

    >>> import rushlight as rl
    >>> rl.distributions.Geometric(0.25).mean
    tensor(3.)
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._take_odds(probs, logits)
        super().__init__(self._param.size(), validate_args=validate_args)
        if self._validate_args and probs is not None and not bool((self.probs > 0).all()):
            raise ValueError(
                f"Expected parameter probs ({type(self.probs).__name__} of shape "
                f"{tuple(self.probs.shape)}) of distribution {self!r} to be positive but found "
                f"invalid values:\n{self.probs[self.probs <= 0]}"
            )

    @property
    def mean(self) -> Tensor:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        return rushlight.zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        tiny = rushlight.finfo(self.probs.dtype).tiny
        with rushlight.no_grad():
            share = self.probs.new_empty(shape).uniform_(tiny, 1)
            return (share.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        value, probs = broadcast_all(self._checked(value), self.probs)
        # no failure at all is certain where the probability is 1: 0 times log 0 is 0 there
        odds = rushlight.where((probs == 1) & (value == 0), 0, probs)
        return value * (-odds).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        from rushlight.nn.functional import binary_cross_entropy_with_logits

        return (
            binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs
        )
