"""Special functions: zeta and polygamma, Bessel functions I, normal distribution, scaled error
function, entropy.

In: floating tensors (integers become the default float). Out: tensors of their shape. Invariant:
series with a fixed number of terms, evaluated in float64 and rounded once to the dtype of the
result; references: Abramowitz and Stegun (1964), chapters 6, 7, 9, 23 and 26.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..graph import build as b
from ..graph.host import host_function
from ..graph.node import Node
from .arithmetic import sgn
from .common import one
from .core import where
from .elementary import digamma, erfc, exp, lgamma, log, log1p, rsqrt, sqrt
from .pathwise import gamma_slope
from .registry import TensorValue, Value, op


def wide(x: Value) -> Any:
    return b.cast(x, dtypes.float64)


def rounded(y: Node, *operands: Value) -> Node:
    return b.cast(y, b.promoted_dtype(*(b.to_float(x) for x in operands)))


def polynomial(coefficients: Sequence[float], x: Node) -> Node:
    """sum_k coefficients[k] x^k by Horner's rule."""
    total = b.expand(b.const(coefficients[-1], x.dtype), x.shape)
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def _power(x: Node, y: Any) -> Node:
    return b.elementwise("pow", x, b.cast(y, x.dtype))


# --- zeta and polygamma -------------------------------------------------------------------------

_DIRECT = 30  # terms summed one by one; the rest is Euler and Maclaurin's
_CORRECTIONS = 10


def _bernoulli(count: int) -> list[Fraction]:
    """B_2, B_4, ... B_2count."""
    numbers = [Fraction(1)]
    for m in range(1, 2 * count + 1):
        rest = sum((math.comb(m + 1, k) * numbers[k] for k in range(m)), Fraction(0))
        numbers.append(-rest / (m + 1))
    return numbers[2::2]


@op("special", elementwise=True, name="zeta")
def zeta(input: Value, other: Value) -> Value:
    """The Hurwitz zeta function sum_k (q + k)^-s, s = input > 1, q = other > -20.

    Follows `torch.special.zeta`.

    Infinite where s = 1 or q is 0 or a negative integer, NaN for s < 1 and for negative q with a
    broken s. Differentiable by q.

    >>> import rushlight as rl
    >>> rl.special.zeta(rl.tensor([2.]), rl.tensor([1.]))
    tensor([1.6449])
    """
    s, q = b.broadcast(wide(input), wide(other))
    total = None
    for k in range(_DIRECT):
        term = _power(q + float(k), -s)
        total = term if total is None else total + term
    assert total is not None
    far = q + float(_DIRECT)
    power = _power(far, -s)
    total = total + power * far / (s - 1) + power * 0.5
    factor, scale = s, power / far
    for j, number in enumerate(_bernoulli(_CORRECTIONS), 1):
        total = total + factor * scale * float(number / math.factorial(2 * j))
        factor = factor * (s + (2 * j - 1.0)) * (s + 2.0 * j)
        scale = scale / (far * far)
    whole = b.binary("eq", b.elementwise("floor", q), q)
    low = b.binary("le", q, 0)
    total = b.where(low & ~b.binary("eq", b.elementwise("floor", s), s), math.nan, total)
    total = b.where(low & whole, math.inf, total)
    total = b.where(b.binary("lt", s, 1), math.nan, total)
    return rounded(b.where(b.binary("eq", s, 1), math.inf, total), input, other)


@zeta.vjp("other")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return -(g * input * zeta(input + 1, other))


def _zeta_reference(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The sum itself to 20000 terms and the integral of the rest, corrected at its end."""
    k = np.arange(20000).reshape([-1] + [1] * np.ndim(s + q))
    far = q + 20000
    return (
        ((q + k) ** -s).sum(0) + far ** (1 - s) / (s - 1) + far**-s / 2 + s * far ** (-s - 1) / 12
    )


zeta.test(
    lambda make: [((make(3, 4, low=1.5, high=4), make(4, low=0.5, high=3)), {})], _zeta_reference
)


@op("torch special", elementwise=True)
def polygamma(n: int, input: Value) -> Value:
    """The n-th derivative of digamma: (-1)^(n+1) n! zeta(n + 1, x). RuntimeError for n < 0.

    Follows `torch.polygamma`.

    >>> import rushlight as rl
    >>> rl.polygamma(1, rl.tensor([1.]))
    tensor([1.6449])
    """
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    if n == 0:
        return digamma(input)
    floating = b.to_float(input)
    x = wide(floating)
    if n == 1:
        return rounded(_trigamma(x), input)
    sign = -1.0 if n % 2 == 0 else 1.0
    return rounded(zeta(b.const(n + 1.0, dtypes.float64), x) * (sign * math.factorial(n)), input)


def _trigamma(x: Node) -> Node:
    """zeta(2, x), below 1/2 by reflection: trigamma(x) + trigamma(1 - x) = (pi / sin(pi x))^2."""
    mirrored = b.binary("lt", x, 0.5)
    value = zeta(b.const(2.0, dtypes.float64), b.where(mirrored, 1 - x, x))
    sine = b.elementwise("sin", (x - b.elementwise("floor", x)) * math.pi)
    return b.where(mirrored, math.pi**2 / (sine * sine) - value, value)


@polygamma.vjp("input")
def _(g, n, input):  # type: ignore[no-untyped-def]
    return g * polygamma(n + 1, input)


def _polygamma_reference(n: int, x: np.ndarray) -> np.ndarray:
    return (-1) ** (n + 1) * math.factorial(n) * _zeta_reference(np.asarray(n + 1.0), x)


polygamma.test(
    lambda make: [((1, make(3, 4, low=0.4, high=3)), {}), ((2, make(5, low=0.4, high=3)), {})],
    _polygamma_reference,
)

# --- Bessel functions of imaginary argument -----------------------------------------------------

_SWITCH = 20.0  # the power series below, the asymptotic one above


def bessel_i(order: int, x: Node, scaled: bool) -> Node:
    """I_0 or I_1 (exp(-|x|) times it where scaled)."""
    size = b.elementwise("abs", x)
    near = b.elementwise("minimum", size, b.expand(b.const(_SWITCH, x.dtype), x.shape))
    series: Any = polynomial(
        [1.0 / (math.factorial(k) * math.factorial(k + order)) for k in range(48)],
        near * near * 0.25,
    )
    series = series * (near * 0.5) if order else series
    far = b.elementwise("maximum", size, b.expand(b.const(_SWITCH, x.dtype), x.shape))
    terms = [1.0]
    for k in range(1, 26):
        terms.append(terms[-1] * ((2 * k - 1) ** 2 - 4 * order * order) / (8.0 * k))
    tail = polynomial(terms, b.elementwise("reciprocal", far)) * rsqrt(far * (2 * math.pi))
    value = b.where(
        b.binary("le", size, _SWITCH),
        series * exp(-near) if scaled else series,
        tail if scaled else tail * exp(far),
    )
    return value * b.elementwise("sign", x) if order else value


def _bessel_doc(name: str, formula: str, example: str) -> str:
    return f"""{formula}. Follows `torch.special.{name}`.

    >>> import rushlight as rl
    >>> rl.special.{name}(rl.tensor([1.]))
    tensor([{example}])
    """


def _bessel_row(name: str, order: int, scaled: bool, surface: str, formula: str, example: str):  # type: ignore[no-untyped-def]
    def body(input: Value) -> Value:
        return rounded(bessel_i(order, wide(input), scaled), input)

    body.__name__, body.__doc__ = name, _bessel_doc(name, formula, example)
    body.__annotations__ = {"input": "Value", "return": "Value"}
    row = op(surface, elementwise=True, inplace="Tensor" in surface.split())(body)

    def reference(x: np.ndarray) -> np.ndarray:
        """The mean of exp(x cos t) cos(order t) over the circle."""
        t = np.linspace(0, 2 * np.pi, 400, endpoint=False).reshape([-1] + [1] * x.ndim)
        return np.mean(np.exp(x * np.cos(t) - (np.abs(x) if scaled else 0)) * np.cos(order * t), 0)

    row.test(one(-25, 25), reference)
    return row


i0 = _bessel_row("i0", 0, False, "torch Tensor special", "The Bessel function I_0(x)", "1.2661")
i1 = _bessel_row("i1", 1, False, "special", "The Bessel function I_1(x)", "0.5652")
i0e = _bessel_row("i0e", 0, True, "special", "exp(-|x|) I_0(x)", "0.4658")
i1e = _bessel_row("i1e", 1, True, "special", "exp(-|x|) I_1(x)", "0.2079")


@i0.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    return g * i1(input)


@i0e.vjp("input")
def _(g, input, out):  # type: ignore[no-untyped-def]
    return g * (i1e(input) - sgn(input) * out)


@i1.vjp("input")
def _(g, input, out):  # type: ignore[no-untyped-def]
    zero = input == 0
    return g * where(zero, 0.5, i0(input) - out / where(zero, 1, input))


@i1e.vjp("input")
def _(g, input, out):  # type: ignore[no-untyped-def]
    zero = input == 0
    return g * where(zero, 0.5, i0e(input) - out * (sgn(input) + 1 / where(zero, 1, input)))


# --- error function and normal distribution -----------------------------------------------------

_ROOT_PI = math.sqrt(math.pi)


def _scaled_erfc(x: Node) -> Node:
    """exp(x^2) erfc(x): as it stands up to 8, then the asymptotic series."""
    near = b.where(b.binary("lt", x, 8.0), x, 0.0)
    far = b.where(b.binary("lt", x, 8.0), 8.0, x)
    terms = [1.0]
    for k in range(1, 20):
        terms.append(-terms[-1] * (2 * k - 1) / 2.0)
    tail = polynomial(terms, b.elementwise("reciprocal", far * far)) / (far * _ROOT_PI)
    return b.where(b.binary("lt", x, 8.0), exp(near * near) * erfc(near), tail)


@op("special", elementwise=True)
def erfcx(input: Value) -> Value:
    """exp(x^2) erfc(x). Follows `torch.special.erfcx`.

    >>> import rushlight as rl
    >>> rl.special.erfcx(rl.tensor([0., 10.]))
    tensor([1.0000, 0.0561])
    """
    return rounded(_scaled_erfc(wide(input)), input)


@erfcx.vjp("input")
def _(g, input, out):  # type: ignore[no-untyped-def]
    return g * (input * out * 2 - 2.0 / _ROOT_PI)


@op("special", elementwise=True)
def ndtr(input: Value) -> Value:
    """The normal distribution function, erfc(-x / sqrt(2)) / 2. Follows `torch.special.ndtr`.

    >>> import rushlight as rl
    >>> rl.special.ndtr(rl.tensor([0., 1.]))
    tensor([0.5000, 0.8413])
    """
    return rounded(erfc(wide(input) * -math.sqrt(0.5)) * 0.5, input)


@ndtr.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    return g * (exp(input * input * -0.5) * (1.0 / math.sqrt(2 * math.pi)))


def _log_normal(x: Node) -> Node:
    low = b.binary("lt", x, -1.0)
    small = log(_scaled_erfc(b.where(low, x, -1.0) * -math.sqrt(0.5)) * 0.5) - x * x * 0.5
    return b.where(low, small, log1p(erfc(x * math.sqrt(0.5)) * -0.5))


@op("special", elementwise=True, guarded=("out",))
def log_ndtr(input: Value) -> Value:
    """The logarithm of the normal distribution function, accurate in its tail.

    Follows `torch.special.log_ndtr`.

    >>> import rushlight as rl
    >>> rl.special.log_ndtr(rl.tensor([0., -40.]))
    tensor([-6.9315e-01, -8.0461e+02])
    """
    return rounded(_log_normal(wide(input)), input)


@log_ndtr.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    return g * (math.sqrt(2 / math.pi) / erfcx(input * -math.sqrt(0.5)))


@op("special", elementwise=True)
def ndtri(input: Value) -> Value:
    """The inverse of the normal distribution function on [0, 1]. Follows `torch.special.ndtri`.

    >>> import rushlight as rl
    >>> rl.special.ndtri(rl.tensor([0.5, 0.975]))
    tensor([0.0000, 1.9600])
    """
    p = wide(input)
    upper = b.binary("gt", p, 0.5)
    tail = b.where(upper, 1 - p, p)
    target = log(tail)
    x = -sqrt(target * -2.0)
    # Newton on the logarithm, which is concave: it converges from the left without overshooting
    for _step in range(8):
        ratio = math.sqrt(2 / math.pi) / _scaled_erfc(x * -math.sqrt(0.5))
        x = x - (_log_normal(x) - target) / ratio
    x = b.where(b.binary("eq", tail, 0), -math.inf, b.where(b.binary("eq", tail, 0.5), 0.0, x))
    return rounded(b.where(upper, -x, x), input)


@ndtri.vjp("input")
def _(g, out):  # type: ignore[no-untyped-def]
    return g * (exp(out * out * 0.5) * math.sqrt(2 * math.pi))


def _each(function: Callable[[float], float]) -> Callable:
    return lambda x: np.vectorize(function, otypes=[np.float64])(x)


def _normal(x: float) -> float:
    return math.erfc(-x / math.sqrt(2.0)) / 2


def _bisected(p: float) -> float:
    low, high = -10.0, 10.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _normal(middle) < p else (low, middle)
    return low


erfcx.test(one(-2, 12), _each(lambda x: math.exp(x * x) * math.erfc(x)))
ndtr.test(one(-4, 4), _each(_normal))
log_ndtr.test(one(-8, 4), _each(lambda x: math.log(_normal(x))))
ndtri.test(one(0.05, 0.95), _each(_bisected))


@op("special", elementwise=True)
def entr(input: Value) -> Value:
    """-x log(x), 0 at 0, -inf below. Follows `torch.special.entr`.

    >>> import rushlight as rl
    >>> rl.special.entr(rl.tensor([0., 0.5]))
    tensor([0.0000, 0.3466])
    """
    x = b.to_float(input)
    inside = -(x * log(x))
    other = b.where(b.binary("eq", x, 0), b.const(0.0, x.dtype), b.const(-math.inf, x.dtype))
    return b.where(b.elementwise("isnan", x), x, b.where(b.binary("gt", x, 0), inside, other))


@entr.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    return g * (-log(input) - 1)


entr.test(one(0.1, 3), lambda x: -x * np.log(x))


# --- incomplete gamma functions -----------------------------------------------------------------


@host_function
def incomplete_gamma(a: np.ndarray, x: np.ndarray, upper: bool) -> tuple[np.ndarray]:
    """P(a, x), or Q = 1 - P: the power series below a + 1, Lentz's continued fraction above."""
    a, x = np.asarray(a, np.float64), np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        log_gamma = np.vectorize(
            lambda v: math.lgamma(v) if v > 0 else math.nan, otypes=[np.float64]
        )(a)
        front = np.exp(a * np.log(x) - x - log_gamma)
        below = x < a + 1
        lower_part = front * _gamma_series(a, np.where(below, x, 1.0))
        upper_part = front * _gamma_fraction(a, np.where(below, a + 2, x))
    result = (
        np.where(below, 1 - lower_part, upper_part)
        if upper
        else np.where(below, lower_part, 1 - upper_part)
    )
    result = np.where(x == 0, float(upper), np.where(np.isinf(x), 1.0 - upper, result))
    return (
        np.where(
            (a < 0) | (x < 0) | ((a == 0) & (x == 0)), np.nan, np.where(a == 0, 1.0 - upper, result)
        ),
    )


def _gamma_series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """sum_k x^k / (a (a + 1) ... (a + k))"""
    term = 1 / np.where(a == 0, 1.0, a)
    total = term.copy()
    for k in range(1, 2000):
        term = term * x / (a + k)
        total = total + term
        if np.all(np.abs(term) < np.abs(total) * 1e-17):
            break
    return total


def _gamma_fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - ...))"""
    part = x + 1 - a
    c, d = np.full_like(part, 1e300), 1 / part
    total = d.copy()
    for k in range(1, 2000):
        step = -k * (k - a)
        part = part + 2
        d, c = 1 / (step * d + part), part + step / c
        total = total * d * c
        if np.all(np.abs(d * c - 1) < 1e-16):
            break
    return total


def _incomplete(input: Value, other: Value, upper: bool) -> Node:
    a, x = b.broadcast(wide(input), wide(other))
    return rounded(
        b.host("incomplete_gamma", [a, x], [(a.shape, dtypes.float64)], (upper,))[0], input, other
    )


@op("special", elementwise=True)
def gammainc(input: TensorValue, other: TensorValue) -> Value:
    """The regularised lower incomplete gamma function P(a, x), a = input, x = other; differentiable
    by both (PyTorch's only by x).

    Follows `torch.special.gammainc`.

    >>> import rushlight as rl
    >>> rl.special.gammainc(rl.tensor([1.]), rl.tensor([1.]))
    tensor([0.6321])
    """
    return _incomplete(input, other, False)


@op("special", elementwise=True)
def gammaincc(input: TensorValue, other: TensorValue) -> Value:
    """The regularised upper incomplete gamma function Q = 1 - P. Follows `torch.special.gammaincc`.

    >>> import rushlight as rl
    >>> rl.special.gammaincc(rl.tensor([1.]), rl.tensor([1.]))
    tensor([0.3679])
    """
    return _incomplete(input, other, True)


def _gamma_density(a, x):  # type: ignore[no-untyped-def]
    return exp((a - 1) * log(x) - x - lgamma(a))


@gammainc.vjp("other")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return g * _gamma_density(input, other)


@gammaincc.vjp("other")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return -(g * _gamma_density(input, other))


@gammainc.vjp("input")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return -(g * gamma_slope(input, other) * _gamma_density(input, other))


@gammaincc.vjp("input")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return g * gamma_slope(input, other) * _gamma_density(input, other)


def _gamma_integral(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """P(a, x) by Gauss and Legendre's rule on t = x u^4 (smooth at 0 for the samples' a >= 1/2)."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    u = ((nodes + 1) / 2).reshape([-1] + [1] * np.ndim(a + x))
    t = x * u**4
    density = np.exp((a - 1) * np.log(t) - t - np.vectorize(math.lgamma)(a)) * x * 4 * u**3
    return np.tensordot(weights / 2, density, 1)


def _gammas(make: Callable) -> list:
    return [((make(3, 4, low=0.6, high=4), make(4, low=0.3, high=6)), {})]


gammainc.test(_gammas, _gamma_integral)
gammaincc.test(_gammas, lambda a, x: 1 - _gamma_integral(a, x))
