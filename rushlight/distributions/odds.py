"""Distributions that are given by probabilities or by logits.

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight import Size, Tensor

from .utils import as_parameter, lazy_property, logits_to_probs, probs_to_logits


class Odds:
    """What distributions given by `probs` or by `logits` = log(p / (1 - p)) have in common."""

    def _take_odds(self, probs: Any, logits: Any) -> None:
        """Keep what was given; ValueError unless it is exactly one of the two."""
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        if probs is not None:
            self.probs = as_parameter(probs)
        else:
            self.logits = as_parameter(logits)

    @lazy_property
    def logits(self) -> Tensor:
        """log(p / (1 - p))"""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """The probabilities of success."""
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def _param(self) -> Tensor:
        """The one of the two that was given."""
        given = "probs" if "probs" in self.__dict__ else "logits"
        return getattr(self, given)

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter."""
        return self._param.size()


def counts_from_zero(last: int, like: Tensor, batch_shape: Size, expand: bool) -> Tensor:
    """0, 1, ... last along a new first dimension, before dimensions of length one or the batch."""
    values = rushlight.arange(1 + last, dtype=like.dtype, device=like.device)
    values = values.reshape(-1, *[1] * len(batch_shape))
    return values.expand(-1, *batch_shape) if expand else values
