"""Kullback and Leibler's divergence between distributions, sum or integral of p log(p / q).

In: two distributions. Out: a tensor of their common batch shape. Invariant: a rule is entered for a
pair of classes with `register_kl`; a pair of subclasses takes the nearest rule there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import rushlight
from rushlight import Tensor

from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .categorical import Categorical
from .cauchy import Cauchy
from .dirichlet import Dirichlet
from .distribution import Distribution
from .exponential import Exponential
from .gamma import Gamma
from .geometric import Geometric
from .gumbel import Gumbel
from .half_normal import HalfNormal
from .independent import Independent
from .laplace import Laplace
from .multivariate_normal import MultivariateNormal, batch_mahalanobis
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .pareto import Pareto
from .poisson import Poisson
from .transformed_distribution import TransformedDistribution
from .uniform import Uniform
from .utils import EULER, sum_rightmost
from .wishart import Wishart, multidigamma

Divergence = Callable[[Any, Any], Tensor]
_RULES: dict[tuple[type, type], Divergence] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Divergence], Divergence]:
    """Enter a rule for the divergence of a pair of classes. Follows
    `torch.distributions.register_kl`.

    >>> from rushlight.distributions import Normal, register_kl
    >>> class Mine(Normal): ...
    >>> rule = register_kl(Mine, Mine)(lambda p, q: p.loc - q.loc)
    """
    for given in (type_p, type_q):
        if not isinstance(given, type) or not issubclass(given, Distribution):
            raise TypeError(f"Expected type to be a Distribution subclass but got {given}")

    def enter(rule: Divergence) -> Divergence:
        _RULES[type_p, type_q] = rule
        return rule

    return enter


def _distance(kind: type, base: type) -> int:
    return kind.__mro__.index(base)


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The divergence of q from p. NotImplementedError for pairs that no rule is known for.

    Follows `torch.distributions.kl_divergence`.

    >>> import rushlight as rl
    >>> from rushlight.distributions import Normal, kl_divergence
    >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
    tensor(0.5000)
    """
    pair = (type(p), type(q))
    known = [
        bases for bases in _RULES if issubclass(pair[0], bases[0]) and issubclass(pair[1], bases[1])
    ]
    if not known:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {pair[0].__name__} and q type "
            f"{pair[1].__name__}"
        )
    nearest = min(known, key=lambda bases: [_distance(k, b) for k, b in zip(pair, bases)])
    return _RULES[nearest](p, q)


def _infinite_like(value: Tensor) -> Tensor:
    return rushlight.full_like(value, math.inf)


# --- discrete distributions ---------------------------------------------------------------------


def _weighted_log_ratio(p: Tensor, q: Tensor) -> Tensor:
    """p log(p / q), 0 where p is 0, infinite where only q is."""
    ratio = rushlight.xlogy(p, p) - rushlight.xlogy(p, q)
    return rushlight.where(p == 0, 0, rushlight.where(q == 0, math.inf, ratio))


@register_kl(Bernoulli, Bernoulli)
def _kl_bernoulli(p: Any, q: Any) -> Tensor:
    return _weighted_log_ratio(p.probs, q.probs) + _weighted_log_ratio(1 - p.probs, 1 - q.probs)


@register_kl(Binomial, Binomial)
def _kl_binomial(p: Any, q: Any) -> Tensor:
    if bool((p.total_count < q.total_count).any()):
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    divergence = p.total_count * (
        p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    )
    return rushlight.where(p.total_count > q.total_count, math.inf, divergence)


@register_kl(Categorical, Categorical)
def _kl_categorical(p: Any, q: Any) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = rushlight.where((q.probs == 0).expand(terms.shape), math.inf, terms)
    return rushlight.where((p.probs == 0).expand(terms.shape), 0, terms).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _kl_one_hot(p: Any, q: Any) -> Tensor:
    return _kl_categorical(p._categorical, q._categorical)


@register_kl(Geometric, Geometric)
def _kl_geometric(p: Any, q: Any) -> Tensor:
    return -p.entropy() - rushlight.log1p(-q.probs) / p.probs - q.logits


@register_kl(Poisson, Poisson)
def _kl_poisson(p: Any, q: Any) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Bernoulli, Poisson)
def _kl_bernoulli_poisson(p: Any, q: Any) -> Tensor:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


# --- continuous distributions -------------------------------------------------------------------


@register_kl(Normal, Normal)
def _kl_normal(p: Any, q: Any) -> Tensor:
    ratio = (p.scale / q.scale).square()
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).square() - 1 - ratio.log())


@register_kl(HalfNormal, HalfNormal)
def _kl_half_normal(p: Any, q: Any) -> Tensor:
    return _kl_normal(p.base_dist, q.base_dist)


@register_kl(MultivariateNormal, MultivariateNormal)
def _kl_multivariate_normal(p: Any, q: Any) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two Multivariate Normals with different event shapes cannot be "
            f"computed: {p.event_shape} and {q.event_shape}"
        )
    solved = rushlight.linalg.solve_triangular(q.scale_tril, p.scale_tril, upper=False)
    trace = solved.square().sum((-2, -1))
    distance = batch_mahalanobis(q._unbroadcasted_scale_tril, q.loc - p.loc)
    half_log_dets = q._half_log_det() - p._half_log_det()
    return half_log_dets + 0.5 * (trace + distance - p.event_shape[0])


@register_kl(Wishart, Wishart)
def _kl_wishart(p: Any, q: Any) -> Tensor:
    size, half_p, half_q = p.event_shape[-1], p.df / 2, q.df / 2
    solved = rushlight.linalg.solve_triangular(q.scale_tril, p.scale_tril, upper=False)
    trace = solved.square().sum((-2, -1))
    norms = rushlight.mvlgamma(half_q, size) - rushlight.mvlgamma(half_p, size)
    shape = (half_p - half_q) * multidigamma(half_p, size)
    log_dets = q.df * (q._half_log_det() - p._half_log_det())
    return log_dets + norms + shape + half_p * (trace - size)


@register_kl(Gamma, Gamma)
def _kl_gamma(p: Any, q: Any) -> Tensor:
    return (
        q.concentration * (p.rate / q.rate).log()
        + rushlight.lgamma(q.concentration)
        - rushlight.lgamma(p.concentration)
        + (p.concentration - q.concentration) * rushlight.digamma(p.concentration)
        + (q.rate - p.rate) * (p.concentration / p.rate)
    )


@register_kl(Exponential, Exponential)
def _kl_exponential(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - ratio.log() - 1


@register_kl(Exponential, Gamma)
def _kl_exponential_gamma(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return (
        -q.concentration * ratio.log()
        + ratio
        + rushlight.lgamma(q.concentration)
        + q.concentration * EULER
        - (1 + EULER)
    )


@register_kl(Gamma, Exponential)
def _kl_gamma_exponential(p: Any, q: Any) -> Tensor:
    return -p.entropy() - q.rate.log() + q.rate * p.concentration / p.rate


@register_kl(Dirichlet, Dirichlet)
def _kl_dirichlet(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    totals = a.sum(-1).lgamma() - b.sum(-1).lgamma()
    expected = a.digamma() - a.sum(-1, True).digamma()
    return totals - (a.lgamma() - b.lgamma()).sum(-1) + ((a - b) * expected).sum(-1)


@register_kl(Beta, Beta)
def _kl_beta(p: Any, q: Any) -> Tensor:
    return _kl_dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Laplace, Laplace)
def _kl_laplace(p: Any, q: Any) -> Tensor:
    ratio = p.scale / q.scale
    distance = (p.loc - q.loc).abs()
    spread = ratio * rushlight.exp(-distance / p.scale)
    return -ratio.log() + distance / q.scale + spread - 1


@register_kl(Cauchy, Cauchy)
def _kl_cauchy(p: Any, q: Any) -> Tensor:
    apart = (p.scale + q.scale).square() + (p.loc - q.loc).square()
    return apart.log() - (4 * p.scale * q.scale).log()


@register_kl(Gumbel, Gumbel)
def _kl_gumbel(p: Any, q: Any) -> Tensor:
    ratio, shift = p.scale / q.scale, (p.loc - q.loc) / q.scale
    reached = (-shift + (1 + ratio).lgamma()).exp()
    return -ratio.log() + shift + ratio * EULER + reached - (1 + EULER)


@register_kl(Pareto, Pareto)
def _kl_pareto(p: Any, q: Any) -> Tensor:
    ratio = q.alpha / p.alpha
    divergence = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return rushlight.where(p.scale < q.scale, math.inf, divergence)


@register_kl(Uniform, Uniform)
def _kl_uniform(p: Any, q: Any) -> Tensor:
    divergence = ((q.high - q.low) / (p.high - p.low)).log()
    return rushlight.where((q.low > p.low) | (q.high < p.high), math.inf, divergence)


@register_kl(Uniform, Normal)
def _kl_uniform_normal(p: Any, q: Any) -> Tensor:
    width = p.high - p.low
    middle = (p.high + p.low) / 2 - q.loc
    normalizer = (q.scale * math.sqrt(2 * math.pi)).log() - width.log()
    return normalizer + (width.square() / 12 + middle.square()) / (2 * q.scale.square())


@register_kl(Normal, Laplace)
def _kl_normal_laplace(p: Any, q: Any) -> Tensor:
    shift = (p.loc - q.loc) / p.scale
    expected = math.sqrt(2 / math.pi) * rushlight.exp(
        -0.5 * shift.square()
    ) + shift * rushlight.erf(math.sqrt(0.5) * shift)
    return -p.entropy() + (2 * q.scale).log() + p.scale / q.scale * expected


@register_kl(Laplace, Normal)
def _kl_laplace_normal(p: Any, q: Any) -> Tensor:
    square = 2 * p.scale.square() + (p.loc - q.loc).square()
    return -p.entropy() + (q.scale * math.sqrt(2 * math.pi)).log() + square / (2 * q.scale.square())


@register_kl(Exponential, Normal)
@register_kl(Gamma, Normal)
def _kl_positive_normal(p: Any, q: Any) -> Tensor:
    square = p.variance + (p.mean - q.loc).square()
    return -p.entropy() + (q.scale * math.sqrt(2 * math.pi)).log() + square / (2 * q.scale.square())


@register_kl(Normal, Exponential)
@register_kl(Normal, Gamma)
@register_kl(Normal, Uniform)
@register_kl(Laplace, Exponential)
@register_kl(Laplace, Gamma)
@register_kl(Laplace, Uniform)
def _kl_wider(p: Any, q: Any) -> Tensor:
    """p has values that are impossible in q."""
    like = rushlight.broadcast_tensors(p.loc, q.mean)[0]
    return _infinite_like(like)


# --- distributions made of others ---------------------------------------------------------------


@register_kl(TransformedDistribution, TransformedDistribution)
def _kl_transformed(p: Any, q: Any) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError(
            "KL(p || q) of transformed distributions is known where both are transformed alike"
        )
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def _kl_independent(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "KL(p || q) of Independents is known where both take as many dimensions as event"
        )
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)
