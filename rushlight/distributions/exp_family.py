"""Exponential families: distributions with density h(x) exp(<t(x), theta> - A(theta)).

In: the natural parameters theta, the log normaliser A and the mean of log h of a subclass. Out:
entropies by differentiating A. Invariant: entropy = A - <theta, dA/dtheta> - E[log h].
"""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight import Tensor

from .distribution import Distribution
from .utils import sum_rightmost


class ExponentialFamily(Distribution):
    """A distribution of an exponential family. Follows `torch.distributions.ExponentialFamily`.

    >>> import rushlight as rl
    >>> isinstance(rl.distributions.Gamma(1.0, 1.0), rl.distributions.ExponentialFamily)
    True
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        """theta"""
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        """A(theta)"""
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> Any:
        """E[log h(x)]"""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """A - <theta, dA/dtheta> - E[log h]"""
        theta = [p.detach().requires_grad_() for p in self._natural_params]
        with rushlight.enable_grad():
            normalizer = self._log_normalizer(*theta)
            slopes = rushlight.autograd.grad(normalizer.sum(), theta, create_graph=True)
        result = normalizer - self._mean_carrier_measure
        for parameter, slope in zip(theta, slopes):
            product = parameter * slope
            result = result - sum_rightmost(product, product.dim() - len(self._batch_shape))
        return result
