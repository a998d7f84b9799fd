"""How samples of gamma and Dirichlet distributions move with their concentrations.

In: concentrations and the samples that were drawn with them. Out: slopes. Invariant: a sample moves
so that its quantile stays (implicit reparameterisation, Figurnov, Mohamed and Mnih 2018):
dx/da = -(dF/da) / (dF/dx), F the distribution function. The quotient is one integral over the tail
that the sample stands at the end of, with the density's own value there divided out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..base import dtype as dtypes
from ..graph import build as b
from ..graph.host import host_function
from .elementary import digamma
from .registry import TensorValue, Value, op

_NODES = 96
_GONE = 42.0  # exp(-42) is below the last bit
Array = np.ndarray


def _tail(
    exponent: Callable[[Array], Array], factor: Callable[[Array], Array], like: Array
) -> Array:
    """The integral of factor(y) exp(-exponent(y)) over y > 0, exponent growing from 0.

    The end is found by bisection of its logarithm; up to it the rule of Gauss and Legendre.
    """
    low, high = np.full(like.shape, -60.0), np.full(like.shape, 60.0)
    for _ in range(20):
        middle = (low + high) / 2
        over = ~(exponent(np.exp(middle)) < _GONE)
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    end = np.exp(high)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    total = np.zeros_like(like)
    for node, weight in zip((nodes + 1) / 2, weights / 2):
        y = end * node
        total += weight * factor(y) * np.exp(-exponent(y))
    return total * end


@host_function
def gamma_tail(a: Array, x: Array, digamma_of_a: Array) -> tuple[Array]:
    """dx/da, over the samples x exp(-y) below x where x < a, else over the samples x exp(y)."""
    with np.errstate(all="ignore"):
        sign = np.where(x < a, -1.0, 1.0)
        offset = sign * (np.log(x) - digamma_of_a)
        integral = _tail(lambda y: x * np.expm1(sign * y) - sign * a * y, lambda y: y + offset, x)
    return (x * integral,)


@host_function
def beta_tail(x: Array, a: Array, b_: Array, mean_log: Array) -> tuple[Array]:
    """dx/da of samples of Beta(a, b), over z exp(-y): z is x below the mean, else 1 - x."""
    with np.errstate(all="ignore"):
        low = x * (a + b_) < a
        z, power, other = np.where(low, x, 1 - x), np.where(low, a, b_), np.where(low, b_, a)

        def rest(y: Array) -> Array:
            return np.log1p(-z * np.exp(-y))

        integral = _tail(
            lambda y: power * y - (other - 1) * (rest(y) - np.log1p(-z)),
            lambda y: np.where(low, mean_log - np.log(x) + y, rest(y) - mean_log),
            x,
        )
    return (z * integral,)


@op("", elementwise=True)
def gamma_slope(concentration: TensorValue, value: TensorValue) -> Value:
    """dx/da of a sample x = value of Gamma(a, 1), a = concentration. float32 or float64.

    Follows `torch._standard_gamma_grad`, which approximates it.
    """
    a, x = (b.cast(v, dtypes.float64) for v in b.broadcast(concentration, value))
    made = b.host("gamma_tail", [a, x, digamma(a)], [(x.shape, dtypes.float64)])[0]
    return b.cast(made, value.dtype)


@op("", elementwise=True)
def dirichlet_slope(value: TensorValue, concentration: TensorValue, total: TensorValue) -> Value:
    """(dx/da) / (1 - x) of a sample x = value of Beta(a, total - a), a = concentration.

    The gradient of Dirichlet samples is this times g - sum(x g). Follows `torch._dirichlet_grad`,
    which approximates it.
    """
    operands = b.broadcast(value, concentration, total)
    x, a, whole = (b.cast(v, dtypes.float64) for v in operands)
    mean_log = digamma(a) - digamma(whole)
    inputs = [x, a, b.binary("sub", whole, a), mean_log]
    made = b.host("beta_tail", inputs, [(x.shape, dtypes.float64)])[0]
    return b.cast(made / (1 - x), value.dtype)


def _refuse(name: str) -> Callable:
    """The rule of PyTorch, which has no second derivative of samples either."""

    def rule(g):  # type: ignore[no-untyped-def]
        raise NotImplementedError(f"the derivative for '{name}' is not implemented")

    return rule


gamma_slope.vjp("concentration", "value")(_refuse("_standard_gamma_grad"))
dirichlet_slope.vjp("value", "concentration", "total")(_refuse("_dirichlet_grad"))

# --- references: the distribution function, differentiated by differences ------------------------


def _moved(density: Callable[[Array, Array], Array], a: Array, x: Array) -> Array:
    """-(dF/da) / (dF/dx), F summed by Gauss and Legendre's rule and differenced in a."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    u = ((nodes + 1) / 2).reshape([-1] + [1] * np.ndim(a + x))

    def below(a_: Array) -> Array:
        return np.tensordot(weights / 2, density(x * u**6, a_) * 6 * u**5, 1) * x

    def moved(step: float) -> Array:
        return below(a + step) - below(a - step)

    return (moved(2e-3) - 8 * moved(1e-3)) / 12e-3 / density(x, a)


def _gamma_density(t: Array, a: Array) -> Array:
    from math import lgamma

    return np.exp((a - 1) * np.log(t) - t - np.vectorize(lgamma)(a))


def _beta_density(t: Array, a: Array, rest: Array) -> Array:
    from math import lgamma

    lgamma_ = np.vectorize(lgamma)
    constant = lgamma_(a + rest) - lgamma_(a) - lgamma_(rest)
    return np.exp((a - 1) * np.log(t) + (rest - 1) * np.log1p(-t) + constant)


gamma_slope.test(
    lambda make: [((make(3, 4, low=0.5, high=6), make(3, 4, low=0.1, high=9)), {})],
    lambda a, x: _moved(_gamma_density, a, x),
)
dirichlet_slope.test(
    lambda make: [
        (
            (
                make(3, 4, low=0.1, high=0.5),
                make(3, 4, low=0.5, high=4),
                make(3, 4, low=4.5, high=6),
            ),
            {},
        )
    ],
    lambda x, a, whole: _moved(lambda t, a_: _beta_density(t, a_, whole - a), a, x) / (1 - x),
)
