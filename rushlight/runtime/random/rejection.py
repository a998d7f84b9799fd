"""Distributions whose number of draws per value is itself random: Poisson, binomial, gamma,
Dirichlet.

In: a generator and an array of parameters as stored. Out: an array of the same shape and dtype.
Invariant: values are made one after another in memory order, each from the next uniform float64
values of the stream, as PyTorch's CPU kernels do; afterwards the generator stands right behind the
last value used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...base import dtype as dtypes
from .arithmetic import from_storage, to_storage
from .generator import Mt19937

if TYPE_CHECKING:
    from .arithmetic import Values

_CHUNK = 1024
# log k! minus Stirling's approximation (k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2, for k = 0 to
# 9
_STIRLING_TAIL = tuple(
    math.lgamma(k + 1) - ((k + 0.5) * math.log(k + 1) - (k + 1) + 0.5 * math.log(2 * math.pi))
    for k in range(10)
)


class _Uniforms:
    """Uniform float64 values one at a time: drawn in chunks, given back to the stream where left
    over.
    """

    __slots__ = ("_chunk", "_generator", "_start", "_used")

    def __init__(self, generator: Mt19937) -> None:
        self._generator = generator
        self._start = generator.position()
        self._chunk: list[float] = []
        self._used = 0

    def next(self) -> float:
        """The next value of [0, 1)."""
        index = self._used % _CHUNK
        if index == 0:
            self._chunk = self._generator.doubles(_CHUNK).tolist()
        self._used += 1
        return self._chunk[index]

    def next_normal(self) -> float:
        """The next standard normal value: the kept one, or the first of a new pair."""
        kept = self._generator.next_normal
        if kept is not None:
            self._generator.next_normal = None
            return kept
        angle = 2.0 * math.pi * self.next()
        radius = math.sqrt(-2.0 * math.log1p(-self.next()))
        self._generator.next_normal = radius * math.sin(angle)
        return radius * math.cos(angle)

    def close(self) -> None:
        """Leave the generator right behind the last value used."""
        self._generator.rewind(self._start)
        self._generator.skip(2 * self._used)


def _one_by_one(
    generator: Mt19937,
    sample: Callable[..., float],
    dtype: dtypes.dtype,
    *parameters: Values,
) -> Values:
    """sample(uniforms, parameters of one element...) for each element, in `dtype` as stored."""
    if dtype not in (dtypes.float32, dtypes.float64) and sample is not _sample_poisson:
        raise NotImplementedError(
            f"{sample.__name__} is not implemented for {dtype}: use float32 or float64"
        )
    uniforms = _Uniforms(generator)
    columns = [from_storage(parameter, dtype).ravel() for parameter in parameters]
    try:
        values = [sample(uniforms, *element) for element in zip(*columns, strict=True)]
    finally:
        uniforms.close()
    return to_storage(np.array(values, np.float64), dtype).reshape(parameters[0].shape)


def poisson(generator: Mt19937, rates: Values, dtype: dtypes.dtype = dtypes.float32) -> Values:
    """One Poisson count for each rate, as `torch.poisson`; RuntimeError for a negative rate.

    Below 10 by multiplying uniforms until exp(-rate), from 10 on by Hoermann's transformed
    rejection PTRS ("The transformed rejection method for generating Poisson random variables",
    1993).
    """
    if (from_storage(rates, dtype) < 0).any():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    return _one_by_one(generator, _sample_poisson, dtype, rates)


def _sample_poisson(uniforms: _Uniforms, rate: float) -> float:
    rate = float(rate)
    if rate >= 10.0:
        return _sample_large_poisson(uniforms, rate)
    if rate == 0.0:
        return 0
    limit = math.exp(-rate)
    count, product = 0, uniforms.next()
    while product > limit:
        count += 1
        product *= uniforms.next()
    return count


def _sample_large_poisson(uniforms: _Uniforms, rate: float) -> float:
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    box_height = 0.9277 - 3.6224 / (b - 2)
    log_rate = math.log(rate)
    while True:
        u = uniforms.next() - 0.5
        v = uniforms.next()
        distance = 0.5 - abs(u)
        count = math.floor((2 * a / distance + b) * u + rate + 0.43) if distance else -1
        if distance >= 0.07 and v <= box_height:
            return count
        if count < 0 or (distance < 0.013 and v > distance):
            continue
        height = math.log(v) + math.log(inverse_alpha) - math.log(a / (distance * distance) + b)
        if height <= -rate + count * log_rate - math.lgamma(count + 1.0):
            return count


def binomial(
    generator: Mt19937,
    counts: Values,
    probabilities: Values,
    dtype: dtypes.dtype = dtypes.float32,
) -> Values:
    """One number of successes for each count of trials and probability, as `torch.binomial`.

    Few expected successes by adding geometric gaps, many by Hoermann's BTRS ("The generation of
    binomial random variates", 1993). A NaN probability gives NaN.
    """
    return _one_by_one(generator, _sample_binomial, dtype, counts, probabilities)


def _sample_binomial(uniforms: _Uniforms, count: np.floating, probability: np.floating) -> float:
    one = type(count)(1.0)
    if count <= 0 or probability <= 0:
        return 0.0
    if probability >= 1:
        return float(count)
    if math.isnan(probability):
        return math.nan
    # the rarer of the two outcomes is counted
    mirrored = probability > 0.5
    rarer = one - probability if mirrored else probability
    few = count * rarer < 10.0
    successes = (_sum_of_gaps if few else _sample_large_binomial)(uniforms, count, rarer)
    return float(count) - successes if mirrored else successes


def _sum_of_gaps(uniforms: _Uniforms, count: np.floating, probability: np.floating) -> float:
    log_failure = float(type(count)(math.log1p(-float(probability))))
    trials, successes = 0.0, -1
    while trials <= count:
        u = uniforms.next()
        trials += math.ceil(math.log(u) / log_failure) if u else math.inf
        successes += 1
    return float(successes)


def _sample_large_binomial(
    uniforms: _Uniforms, count: np.floating, probability: np.floating
) -> float:
    # these four are computed in the tensor's precision, as in the kernel; all that follows in
    # float64
    one = type(count)(1.0)
    deviation = float(np.sqrt(count * probability * (one - probability)))
    odds = float(probability / (one - probability))
    expected = float(count * probability)
    mode = math.floor((count + one) * probability)
    trials, p = float(count), float(probability)
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    box_height = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * deviation
    while True:
        u = uniforms.next() - 0.5
        v = uniforms.next()
        distance = 0.5 - abs(u)
        successes = math.floor((2 * a / distance + b) * u + expected + 0.5) if distance else -1
        if not 0 <= successes <= trials:
            continue
        if distance >= 0.07 and v <= box_height:
            return float(successes)
        height = v * alpha / (a / (distance * distance) + b)
        if height == 0.0 or math.log(height) <= _log_ratio_to_mode(trials, odds, mode, successes):
            return float(successes)


def _log_ratio_to_mode(trials: float, odds: float, mode: int, successes: int) -> float:
    """log of P(successes) / P(mode), by Stirling's formula with its remainder."""
    return (
        (mode + 0.5) * math.log((mode + 1) / (odds * (trials - mode + 1)))
        + (trials + 1) * math.log((trials - mode + 1) / (trials - successes + 1))
        + (successes + 0.5) * math.log(odds * (trials - successes + 1) / (successes + 1))
        + _stirling_tail(mode)
        + _stirling_tail(trials - mode)
        - _stirling_tail(successes)
        - _stirling_tail(trials - successes)
    )


def _stirling_tail(k: float) -> float:
    if k < len(_STIRLING_TAIL):
        return _STIRLING_TAIL[int(k)]
    square = (k + 1) * (k + 1)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1)


def gamma(generator: Mt19937, shapes: Values, dtype: dtypes.dtype = dtypes.float32) -> Values:
    """One value of Gamma(shape, 1) for each shape parameter, as `torch._standard_gamma`.

    Marsaglia and Tsang, "A simple method for generating gamma variables" (2000). Never below the
    smallest normal value.
    """
    smallest = dtypes.finfo(dtype).tiny
    return _one_by_one(generator, lambda *at: max(smallest, _sample_gamma(*at)), dtype, shapes)


# the kernel writes these constants in float32
_THIRD, _SQUEEZE = float(np.float32(1.0) / np.float32(3.0)), float(np.float32(0.0331))


def _sample_gamma(uniforms: _Uniforms, shape: np.floating) -> float:
    scale = 1.0
    precision = type(shape)
    if shape < 1:
        if shape == 0:
            return 0.0
        scale = math.pow(1.0 - uniforms.next(), float(precision(1.0) / shape))
        shape = shape + precision(1.0)
    d = float(shape - precision(_THIRD))
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        y = 0.0
        while y <= 0.0:
            x = uniforms.next_normal()
            y = 1.0 + c * x
        v = y * y * y
        u = 1.0 - uniforms.next()
        square = x * x
        if u < 1.0 - _SQUEEZE * square * square or math.log(u) < 0.5 * square + d * (
            1.0 - v + math.log(v)
        ):
            return scale * d * v


def dirichlet(
    generator: Mt19937, concentrations: Values, dtype: dtypes.dtype = dtypes.float32
) -> Values:
    """Gamma values of each row's concentrations over their sum, as `torch._sample_dirichlet`:
    within (0, 1).
    """
    values = from_storage(concentrations, dtype).astype(np.float64)
    parts = gamma(generator, values, dtypes.float64)
    stored = from_storage(to_storage(parts / parts.sum(axis=-1, keepdims=True), dtype), dtype)
    info = dtypes.finfo(dtype)
    return to_storage(np.clip(stored, info.tiny, 1.0 - info.eps / 2), dtype)
