"""Bessel functions of orders 0 and 1, modified ones, and Airy's function.

In: tensors of float32 or float64 (integers become the default float). Out: tensors of their shape.
Invariant: evaluated in float64 and rounded once. Near zero by the power series (Abramowitz and
Stegun 1964, 9.1.10 to 9.1.13 and 9.6.10 to 9.6.13), far from it by the factor that varies slowly,
as a Chebyshev series in 1/x. Its coefficients are worked out when they are first needed, from the
integral that defines the factor; there is no table of numbers. As in PyTorch, none of these has a
gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from ..graph import build as b
from ..graph.node import Node
from .common import one, require_kind
from .elementary import exp, log, rsqrt, sqrt
from .registry import TensorValue, Value, op
from .special import bessel_i, polynomial, rounded, wide

_EULER = float(np.euler_gamma)
_OSCILLATING = 4.0  # J and Y: the power series below (it cancels at most ten-fold), waves above
_DECAYING = 2.0  # K likewise
_AIRY = 2.25
_TERMS = 26


# --- the slowly varying factor ------------------------------------------------------------------


def _factor(order: float, z: np.ndarray) -> np.ndarray:
    """K_order(z) sqrt(2 z / pi) exp(z), which tends to 1 for large z; z may be imaginary.

    The integral of exp(-s) s^(order - 1/2) (1 + s / 2z)^(order - 1/2) over s > 0, divided by
    gamma(order + 1/2) (NIST Handbook 2010, 10.32.8), by the trapezoidal rule after
    s = exp(u - exp(-u)), whose error falls exponentially with the number of points.
    """
    step = 1.0 / 64
    u = np.arange(-5.0, 5.0, step)
    s = np.exp(u - np.exp(-u))
    weights = np.exp(-s) * s ** (order + 0.5) * (1 + np.exp(-u)) * step
    power = (1 + s / (2 * np.asarray(z)[:, None])) ** (order - 0.5)
    return np.asarray(power @ weights) / math.gamma(order + 0.5)


def _fitted(function: Callable[[np.ndarray], np.ndarray], degree: int) -> tuple[float, ...]:
    """Chebyshev coefficients of a function on (0, 1], found at the roots of one polynomial."""
    angles = (np.arange(degree + 1) + 0.5) * (math.pi / (degree + 1))
    values = function((np.cos(angles) + 1) / 2)
    sums = np.cos(np.outer(np.arange(degree + 1), angles)) @ values * (2 / (degree + 1))
    sums[0] /= 2
    return tuple(float(c) for c in sums)


@cache
def _decay_series(order: float, start: float) -> tuple[float, ...]:
    """The factor at z = start / t as a series in t."""
    return _fitted(lambda t: _factor(order, start / t).real, 32)


@cache
def _wave_series(order: float, start: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """P and z Q of the factor P + i Q at -i z, z = start / sqrt(t), as series in t.

    P is even and Q odd in 1 / z.
    """

    def waves(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z = start / np.sqrt(t)
        factor = _factor(order, -1j * z)
        return factor.real, factor.imag * z

    return _fitted(lambda t: waves(t)[0], 26), _fitted(lambda t: waves(t)[1], 26)


def _chebyshev(coefficients: Sequence[float], t: Node) -> Any:
    """The series at t in [0, 1] by Clenshaw's recurrence (Mathematics of Computation 9, 1955)."""
    x = t * 4 - 2
    after: Any = b.expand(b.const(0.0, t.dtype), t.shape)
    total: Any = after
    for c in reversed(coefficients[1:]):
        total, after = total * x - after + c, total
    return total * x * 0.5 - after + coefficients[0]


def _waves(order: float, start: float, z: Node) -> tuple[Node, Node]:
    """P and Q at z >= start: the Bessel functions there are waves of these amplitudes."""
    even, odd = _wave_series(order, start)
    inverse = b.elementwise("reciprocal", z) * start
    return _chebyshev(even, inverse * inverse), _chebyshev(odd, inverse * inverse) / z


def _decay(order: float, start: float, z: Node) -> Any:
    return _chebyshev(_decay_series(order, start), b.elementwise("reciprocal", z) * start)


def _split(x: Node, limit: float) -> tuple[Node, Node, Node]:
    """Whether x is near zero, and x held on either side of the limit: both sides are computed, and
    the one that does not count must not overflow.
    """
    near = b.binary("le", x, limit)
    return near, b.where(near, x, limit), b.where(near, limit, x)


# --- power series -------------------------------------------------------------------------------


@cache
def _powers(order: int, sign: int) -> tuple[float, ...]:
    """1 / (k! (k + order)!), the signs alternating where sign is -1: in powers of x^2 / 4."""
    factorial = math.factorial
    return tuple(sign**k / (factorial(k) * factorial(k + order)) for k in range(_TERMS))


@cache
def _harmonic_powers(order: int, sign: int) -> tuple[float, ...]:
    """The same multiplied by digamma(k + 1) + digamma(k + order + 1)."""
    sums = [Fraction(0)]
    for k in range(1, _TERMS + order):
        sums.append(sums[-1] + Fraction(1, k))
    return tuple(
        c * (float(sums[k] + sums[k + order]) - 2 * _EULER)
        for k, c in enumerate(_powers(order, sign))
    )


def _first_kind(order: int, sign: int, x: Node) -> Any:
    """J (sign -1) or I (sign 1) near zero."""
    total: Any = polynomial(_powers(order, sign), x * x * 0.25)
    return total * (x * 0.5) if order else total


def _second_kind(order: int, sign: int, x: Node) -> Any:
    """Pi Y, or 2 (-1)^order K likewise with a change of sign: what both series have in common.

    2 log(x / 2) times the function of the first kind, less the series with digammas.
    """
    series: Any = polynomial(_harmonic_powers(order, sign), x * x * 0.25)
    series = series * (x * 0.5) if order else series
    return log(x * 0.5) * _first_kind(order, sign, x) * 2 - series


# --- the functions ------------------------------------------------------------------------------


def _oscillating(order: int, x: Node) -> tuple[Any, Any, Any, Any]:
    """Whether x is near, the near x, and J and Y far from zero."""
    near, low, high = _split(x, _OSCILLATING)
    p, q = _waves(order, _OSCILLATING, high)
    sine, cosine = b.elementwise("sin", high), b.elementwise("cos", high)
    # sqrt(2) times the cosine and the sine of x - pi/4, and for order 1 of x - 3 pi/4
    c, s = (sine + cosine, sine - cosine) if order == 0 else (sine - cosine, -(sine + cosine))
    scale = rsqrt(high * math.pi)
    return near, low, (p * c - q * s) * scale, (p * s + q * c) * scale


def _bessel_j(order: int, x: Node) -> Any:
    near, low, far, _ = _oscillating(order, b.elementwise("abs", x))
    value = b.where(near, _first_kind(order, -1, low), far)
    return value * b.elementwise("sign", x) if order else value


def _bessel_y(order: int, x: Node) -> Any:
    near, low, _, far = _oscillating(order, x)
    value = _second_kind(order, -1, low)
    value = (value - 2 / low if order else value) * (1 / math.pi)
    return b.where(b.binary("eq", x, 0), -math.inf, b.where(near, value, far))


def _bessel_k(order: int, x: Node, scaled: bool) -> Any:
    near, low, high = _split(x, _DECAYING)
    value = _second_kind(order, 1, low) * 0.5
    value = value + 1 / low if order else -value
    value = value * exp(low) if scaled else value
    far = _decay(order, _DECAYING, high) * rsqrt(high * (2 / math.pi))
    far = far if scaled else far * exp(-high)
    return b.where(b.binary("eq", x, 0), math.inf, b.where(near, value, far))


def _airy_near(x: Node) -> Any:
    """Ai(0) f(x) + Ai'(0) g(x), the two series in x^3 (Abramowitz and Stegun 10.4.2)."""
    cube = x * x * x
    f, g = [1.0], [1.0]
    for k in range(1, 20):
        f.append(f[-1] / ((3 * k - 1) * (3 * k)))
        g.append(g[-1] / ((3 * k) * (3 * k + 1)))
    at_zero = 3 ** (-2 / 3) / math.gamma(2 / 3)
    slope = 3 ** (-1 / 3) / math.gamma(1 / 3)
    series: Any = polynomial(f, cube)
    return series * at_zero - x * polynomial(g, cube) * slope


def _airy(x: Node) -> Any:
    """By K of order 1/3 to the right, by waves to the left: z is 2/3 |x|^(3/2)."""
    near, low, size = _split(b.elementwise("abs", x), _AIRY)
    z = size * sqrt(size) * (2 / 3)
    start = 2 / 3 * _AIRY**1.5
    scale = rsqrt(sqrt(size)) * (1 / math.sqrt(math.pi))
    right = _decay(1 / 3, start, z) * exp(-z) * scale * 0.5
    p, q = _waves(1 / 3, start, z)
    sine, cosine = b.elementwise("sin", z), b.elementwise("cos", z)
    left = (p * (sine + cosine) - q * (sine - cosine)) * scale * math.sqrt(0.5)
    far = b.where(b.binary("gt", x, 0), right, left)
    value = b.where(near, _airy_near(low * b.elementwise("sign", x)), far)
    return b.where(b.elementwise("isinf", x), math.nan, value)  # PyTorch's value at infinity


def _spherical(x: Node) -> Any:
    """sin(x) / x with its limits at 0 and at infinity."""
    inner = b.where(b.binary("eq", x, 0) | b.elementwise("isinf", x), 1.0, x)
    value = b.elementwise("sin", inner) / inner
    value = b.where(b.elementwise("isinf", x), 0.0, value)
    return b.where(b.binary("eq", x, 0), 1.0, value)


# --- rows ---------------------------------------------------------------------------------------


def _row(name: str, meaning: str, at_one: str, body: Callable[[Node], Any]) -> Any:
    """A public row of one variable; its docstring is made from its meaning and its value at 1."""

    def row(input: TensorValue) -> Value:
        x = b.to_float(input)
        if x.dtype in b.NARROW:
            raise NotImplementedError(
                f"\"{name}_cpu\" not implemented for '{x.dtype.name}': it takes float32 and float64"
            )
        require_kind(f"{name}_cpu", x)
        return rounded(body(wide(x)), x)

    row.__name__ = name
    row.__annotations__ = {"input": "TensorValue", "return": "Value"}
    row.__doc__ = f"""{meaning}. Follows `torch.special.{name}`.

    float32 and float64 (integers become the default float, NotImplementedError for other dtypes);
    the shape of the input; no gradient.

    >>> import rushlight as rl
    >>> rl.special.{name}(rl.tensor([1.]))
    tensor([{at_one}])
    """
    return op("special", elementwise=True, differentiable=False)(row)


airy_ai = _row("airy_ai", "Airy's function Ai(x)", "0.1353", _airy)
bessel_j0 = _row(
    "bessel_j0", "The Bessel function of the first kind J_0(x)", "0.7652", lambda x: _bessel_j(0, x)
)
bessel_j1 = _row(
    "bessel_j1", "The Bessel function of the first kind J_1(x)", "0.4401", lambda x: _bessel_j(1, x)
)
bessel_y0 = _row(
    "bessel_y0",
    "The Bessel function of the second kind Y_0(x), -inf at 0, NaN below",
    "0.0883",
    lambda x: _bessel_y(0, x),
)
bessel_y1 = _row(
    "bessel_y1",
    "The Bessel function of the second kind Y_1(x), -inf at 0, NaN below",
    "-0.7812",
    lambda x: _bessel_y(1, x),
)
modified_bessel_i0 = _row(
    "modified_bessel_i0",
    "The modified Bessel function of the first kind I_0(x)",
    "1.2661",
    lambda x: bessel_i(0, x, False),
)
modified_bessel_i1 = _row(
    "modified_bessel_i1",
    "The modified Bessel function of the first kind I_1(x)",
    "0.5652",
    lambda x: bessel_i(1, x, False),
)
modified_bessel_k0 = _row(
    "modified_bessel_k0",
    "The modified Bessel function of the second kind K_0(x), inf at 0, NaN below",
    "0.4210",
    lambda x: _bessel_k(0, x, False),
)
modified_bessel_k1 = _row(
    "modified_bessel_k1",
    "The modified Bessel function of the second kind K_1(x), inf at 0, NaN below",
    "0.6019",
    lambda x: _bessel_k(1, x, False),
)
scaled_modified_bessel_k0 = _row(
    "scaled_modified_bessel_k0",
    "exp(x) K_0(x), inf at 0, NaN below",
    "1.1445",
    lambda x: _bessel_k(0, x, True),
)
scaled_modified_bessel_k1 = _row(
    "scaled_modified_bessel_k1",
    "exp(x) K_1(x), inf at 0, NaN below",
    "1.6362",
    lambda x: _bessel_k(1, x, True),
)
spherical_bessel_j0 = _row(
    "spherical_bessel_j0",
    "The spherical Bessel function sin(x) / x, 1 at 0",
    "0.8415",
    _spherical,
)

# --- references: integrals of Bessel's, Schlaefli's and Airy's, summed in NumPy -------------------


def _integral(integrand: Callable[[np.ndarray], np.ndarray], upper: float, x: np.ndarray) -> Any:
    """The integral over (0, upper) for each x, by the rule of Gauss and Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    t = ((nodes + 1) * (upper / 2)).reshape([-1] + [1] * np.ndim(x))
    return np.tensordot(weights * (upper / 2), integrand(t), 1)


def _j_reference(order: int) -> Callable:
    return lambda x: _integral(lambda t: np.cos(x * np.sin(t) - order * t), math.pi, x) / math.pi


def _y_reference(order: int) -> Callable:
    def growth(t: np.ndarray) -> np.ndarray:
        return np.exp(order * t) + (-1) ** order * np.exp(-order * t)

    return lambda x: (
        (
            _integral(lambda t: np.sin(x * np.sin(t) - order * t), math.pi, x)
            - _integral(lambda t: growth(t) * np.exp(-x * np.sinh(t)), 9.0, x)
        )
        / math.pi
    )


def _i_reference(order: int) -> Callable:
    return lambda x: (
        _integral(lambda t: np.exp(x * np.cos(t)) * np.cos(order * t), math.pi, x) / math.pi
    )


def _k_reference(order: int, scaled: bool) -> Callable:
    return lambda x: _integral(
        lambda t: np.exp(-x * (np.cosh(t) - scaled)) * np.cosh(order * t), 9.0, x
    )


def _airy_reference(x: np.ndarray) -> np.ndarray:
    """The integral of cos(t^3 / 3 + x t) over the half line, along the ray where it decays."""
    ray = np.exp(1j * math.pi / 6)
    decaying = _integral(lambda s: ray * np.exp(-(s**3) / 3 + 1j * x * s * ray), 7.0, x)
    return np.asarray(decaying.real / math.pi)


airy_ai.test(one(-5, 4), _airy_reference)
bessel_j0.test(one(-20, 20), _j_reference(0))
bessel_j1.test(one(-20, 20), _j_reference(1))
bessel_y0.test(one(0.3, 20), _y_reference(0))
bessel_y1.test(one(0.3, 20), _y_reference(1))
modified_bessel_i0.test(one(-9, 9), _i_reference(0))
modified_bessel_i1.test(one(-9, 9), _i_reference(1))
modified_bessel_k0.test(one(0.1, 9), _k_reference(0, False))
modified_bessel_k1.test(one(0.1, 9), _k_reference(1, False))
scaled_modified_bessel_k0.test(one(0.1, 9), _k_reference(0, True))
scaled_modified_bessel_k1.test(one(0.1, 9), _k_reference(1, True))
spherical_bessel_j0.test(one(-9, 9), lambda x: np.sinc(x / np.pi))
