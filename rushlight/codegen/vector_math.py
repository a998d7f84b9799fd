"""Elementary functions as vector code: polynomials where the C library would go lane by lane.

In: `Number`s of float32 or float64, scalar or vectors. Out: `Number`s within 2.5 units in the last
place (most within 1.5; lgamma and digamma near their roots: of their terms), over the whole range:
subnormal numbers, infinities, NaN, huge arguments. Invariant: the same steps for every lane count.
Coefficients interpolate the named function at Chebyshev nodes (erf's are weighted for absolute
error); they were found with 60 digits and rounded. Many float32 functions are computed in float64,
where no cancellation that they meet can be seen; these stand in helper functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .builder import Number
from .convert import cast
from .outline import libm, outlined


@dataclass(frozen=True, slots=True)
class _Format:
    """What the bit patterns of a float type look like, and how its logarithms split.

    `magic` + n has n in the lowest bits of its pattern, for integers n of either sign.
    """

    integer: str
    mantissa: int
    bias: int
    magic: float
    ln2_high: float  # a multiple by any exponent is exact
    ln2_low: float
    smallest_normal: float
    root_half: int  # the bits of sqrt(1/2)
    overflow: tuple[float, float]  # exp is 0 below and infinite above


_FORMATS = {
    "float32": _Format(
        "int32", 23, 127, 1.5 * 2.0**23, 0.693359375, -0.00021219444170128554, 2.0**-126,
        0x3F3504F3, (-104.0, 89.0),
    ),
    "float64": _Format(
        "int64", 52, 1023, 1.5 * 2.0**52, 0.6931471803691238, 1.9082149292705877e-10, 2.0**-1022,
        0x3FE6A09E667F3BCD, (-746.0, 710.0),
    ),
}  # fmt: skip

# (exp(r) - 1 - r) / r**2 for |r| <= ln(2) / 2
_EXP = {
    "float32": (
        0.5, 0.1666666716337204, 0.041666463017463684, 0.00833331048488617, 0.0013933731243014336,
        0.000198910798644647,
    ),
    "float64": (
        0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326084, 0.0013888888888883711,
        0.0001984126987500228, 2.480158732567746e-05, 2.755725517000089e-06, 2.755727347871858e-07,
        2.5105312729622103e-08, 2.09147553258932e-09,
    ),
}  # fmt: skip

# (log(1 + f) - f + f**2 / 2) / f**3 for sqrt(1/2) <= 1 + f <= sqrt(2)
_LOG_SINGLE = (
    0.3333333134651184, -0.2499999701976776, 0.20000715553760529, -0.1666780263185501,
    0.14249058067798615, -0.12425687164068222, 0.11685419827699661, -0.11479733884334564,
    0.06971611827611923,
)  # fmt: skip

# (log((1 + s) / (1 - s)) - 2 * s) / s**3 of z = s**2, for (1 + s) / (1 - s) in the same interval
_LOG_DOUBLE = (
    0.6666666666666666, 0.4000000000000088, 0.28571428570803614, 0.22222222391713917,
    0.18181795640132906, 0.15386239702814658, 0.13268773138656886, 0.13086626147840102,
)  # fmt: skip

# erf(x) / x - 1 of x**2, for |x| <= 0.92; log(1 - erf(x)) / x of x, for 0.92 <= x <= 4
_ERF_SMALL = (
    0.12837916612625122, -0.37612634897232056, 0.11283691227436066, -0.02685915119946003,
    0.005200368817895651, -0.000813470920547843, 8.334718586411327e-05,
)  # fmt: skip
_ERF_LARGE = (
    -1.1286524534225464, -0.6351345181465149, -0.10626557469367981, 0.023787541314959526,
    -0.003654849948361516, 0.0003259315271861851, -1.1551285751920659e-05,
)  # fmt: skip

# (sin(r) - r) / r**3 and (cos(r) - 1 + r**2 / 2) / r**4 of r**2, for |r| <= pi / 4
_SIN = (-0.1666666716337204, 0.008333331905305386, -0.00019840085587929934, 2.7249864160694415e-06)
_COS = (0.0416666679084301, -0.00138888880610466, 2.480059993104078e-05, -2.7300907845528855e-07)

# (atan(x) / x - 1) / x**2 of x**2, for |x| <= 1
_ATAN = (
    -0.33333333293301176, 0.19999990275947271, -0.14285317963907304, 0.1110470678864422,
    -0.09036742342070782, 0.0741749696430051, -0.05760716083128117, 0.038327445983064846,
    -0.019261081322765883, 0.00620725453378005, -0.0009362994719496015,
)  # fmt: skip

_HALF_PI = (1.5707963267948966, 6.123233995736766e-17)  # together pi / 2 to 107 bits
_LOG2_E = 1.4426950408889634


# ------------------------------------------------------------------------------------------- pieces


def polynomial(x: Number, coefficients: Sequence[float]) -> Number:
    """c0 + c1 * x + c2 * x**2 + ..., by Horner's rule."""
    result = x.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = result.fma(x, coefficient)
    return result


def _limit(x: Number, low: float | None = None, high: float | None = None) -> Number:
    """x kept within bounds; NaN stays."""
    if low is not None:
        x = (x < low).choose(low, x)
    return x if high is None else (x > high).choose(high, x)


def _power_of_two(n: Number) -> Number:
    """2**n of an integral float, for exponents of normal numbers.

    N is added into the exponent's bits.
    """
    form = _FORMATS[n.dtype]
    return ((n + (form.magic + form.bias)).bits(form.integer) << form.mantissa).bits(n.dtype)


def _reduce_exponent(x: Number) -> tuple[Number, Number]:
    """x = n * ln(2) + r with integral n and |r| <= ln(2) / 2."""
    form = _FORMATS[x.dtype]
    n = (x * _LOG2_E).intrinsic("roundeven")
    return n, (n.fma(-form.ln2_low, n.fma(-form.ln2_high, x)))


def _exp_minus_one_core(r: Number) -> Number:
    """exp(r) - 1 for |r| <= ln(2) / 2."""
    return (r * r).fma(polynomial(r, _EXP[r.dtype]), r)


def _scaled(value: Number, n: Number) -> Number:
    """value * 2**n in two steps, so that results may be subnormal or infinite and round once."""
    half = (n * 0.5).intrinsic("roundeven")
    return (value * _power_of_two(half)) * _power_of_two(n - half)


def _split_exponent(x: Number) -> tuple[Number, Number]:
    """x = 2**e * (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), for positive x, subnormal ones
    included; e, f.
    """
    form = _FORMATS[x.dtype]
    tiny = x < form.smallest_normal
    lift = form.mantissa + 2
    bits = tiny.choose(x * 2.0**lift, x).bits(form.integer)
    exponent = (bits - form.root_half) >> form.mantissa
    f = (bits - (exponent << form.mantissa)).bits(x.dtype) - 1.0
    e = (exponent + x.constant(form.magic).bits(form.integer)).bits(x.dtype) - form.magic
    return e - tiny.choose(x.constant(float(lift)), 0.0), f


def _log_edges(x: Number, result: Number) -> Number:
    """What a logarithm is at and below 0 and at infinity."""
    result = (x < float("inf")).choose(result, x)  # infinity and NaN are their own
    result = x.equals(0.0).choose(float("-inf"), result)
    return (x < 0.0).choose(float("nan"), result)


# --------------------------------------------------------------------- both types, written in place


def exp(x: Number) -> Number:
    """2**n * exp(r)."""
    n, r = _reduce_exponent(_limit(x, *_FORMATS[x.dtype].overflow))
    return _scaled(_exp_minus_one_core(r) + 1.0, n)


def sigmoid(x: Number) -> Number:
    """1 / (1 + exp(-x)), from exp(-|x|), which never overflows."""
    e = exp(-x.intrinsic("fabs"))
    return (x >= 0.0).choose(1.0, e) / (e + 1.0)


def tanh(x: Number) -> Number:
    """m / (m + 2) with m = exp(2 |x|) - 1, which keeps small arguments exact."""
    size = _limit(x.intrinsic("fabs"), high=20.0)
    n, r = _reduce_exponent(size + size)
    scale = _power_of_two(n)
    m = scale.fma(_exp_minus_one_core(r), scale - 1.0)
    return (m / (m + 2.0)).with_sign_of(x)


def log_single(x: Number) -> Number:
    """e * ln(2) + log(1 + f), the large parts added last."""
    form = _FORMATS["float32"]
    e, f = _split_exponent(x)
    square = f * f
    tail = f * square * polynomial(f, _LOG_SINGLE)
    tail = square.fma(-0.5, e.fma(form.ln2_low, tail))
    return _log_edges(x, e.fma(form.ln2_high, f + tail))


def log_double(x: Number) -> Number:
    """e * ln(2) + log(1 + f) with log(1 + f) = f - h + s * (h + R(s**2)), s = f / (2 + f), h = f**2
    / 2.
    """
    form = _FORMATS["float64"]
    e, f = _split_exponent(x)
    s = f / (f + 2.0)
    z = s * s
    h = f * f * 0.5
    tail = s.fma(z.fma(polynomial(z, _LOG_DOUBLE), h), e * form.ln2_low)
    return _log_edges(x, e.fma(form.ln2_high, f - (h - tail)))


def erf_single(x: Number) -> Number:
    """An odd polynomial up to 0.92, above it 1 - exp(p(|x|)); at 4 erf rounds to 1."""
    size = x.intrinsic("fabs")
    small = x.fma(polynomial(x * x, _ERF_SMALL), x)
    t = _limit(size, high=4.0)
    n, r = _reduce_exponent(t * polynomial(t, _ERF_LARGE))
    rest = (_exp_minus_one_core(r) + 1.0) * _power_of_two(n)
    return (size > 0.92).choose((1.0 - rest).with_sign_of(x), small)


# ------------------------------------------------------------------------------------------- circle

# Beyond this the quadrant no longer fits an int32: such lanes go to the C library.
_HUGE_ANGLE = 2.0**30


def _circle(x: Number, quarter_turns: int) -> Number:
    """sin(x + quarter_turns * pi / 2) of a float32, reduced in float64.

    Exact to 2**-53 up to 2**30.
    """
    if not x.builder.module.isa.fma:
        return libm("cos" if quarter_turns else "sin", x)
    near = x.intrinsic("fabs") < _HUGE_ANGLE
    wide = cast(near.choose(x, 0.0), "float32", "float64")
    n = (wide * (1.0 / _HALF_PI[0])).intrinsic("roundeven")
    r = cast(n.fma(-_HALF_PI[1], n.fma(-_HALF_PI[0], wide)), "float64", "float32")
    square = r * r
    sine = (r * square).fma(polynomial(square, _SIN), r)
    cosine = (square * square).fma(polynomial(square, _COS), square.fma(-0.5, 1.0))
    quadrant = n.convert("fptosi", "int32") + quarter_turns
    value = (quadrant & 1).differs(0).choose(cosine, sine)
    value = (value.bits("int32") ^ ((quadrant & 2) << 30)).bits("float32")
    if not quarter_turns:
        value = x.equals(0.0).choose(x, value)
    name = "cos" if quarter_turns else "sin"
    return x.builder.rarely(x.builder.any(~near), value, lambda: near.choose(value, libm(name, x)))


def sin_single(x: Number) -> Number:
    return _circle(x, 0)


def cos_single(x: Number) -> Number:
    return _circle(x, 1)


# --------------------------------------------------------------- float64 steps of float32 functions


def _exp_wide(x: Number) -> Number:
    """exp for |x| < 700, to the precision that float32 results need."""
    n, r = _reduce_exponent(x)
    return (_exp_minus_one_core(r) + 1.0) * _power_of_two(n)


def _where_small(
    x: Number, bound: float, coefficients: Sequence[float], otherwise: Number
) -> Number:
    """x * (1 + x**2 * p(x**2)) below `bound`, where `otherwise` would cancel.

    It keeps x's sign and its zeros.
    """
    square = x * x
    series = (x * square).fma(polynomial(square, coefficients), x)
    return (x.intrinsic("fabs") < bound).choose(series, otherwise)


def _expm1(x: Number) -> Number:
    x = _limit(x, -200.0, 200.0)
    series = (x * x).fma(x.fma(1.0 / 6.0, 0.5), x)
    return (x.intrinsic("fabs") < 2.0**-12).choose(series, _exp_wide(x) - 1.0)


def _exp2(x: Number) -> Number:
    x = _limit(x, -200.0, 200.0)
    n = x.intrinsic("roundeven")
    return (_exp_minus_one_core((x - n) * math.log(2.0)) + 1.0) * _power_of_two(n)


def _log1p(x: Number) -> Number:
    series = (x * x).fma(x.fma(1.0 / 3.0, -0.5), x)
    return (x.intrinsic("fabs") < 2.0**-12).choose(series, log_double(x + 1.0))


def _log2(x: Number) -> Number:
    return log_double(x) * _LOG2_E


def _log10(x: Number) -> Number:
    return log_double(x) * (1.0 / math.log(10.0))


def _sinh(x: Number) -> Number:
    x = _limit(x, -200.0, 200.0)
    e = _exp_wide(x)
    return _where_small(x, 2.0**-6, (1 / 6, 1 / 120), (e - 1.0 / e) * 0.5)


def _cosh(x: Number) -> Number:
    e = _exp_wide(_limit(x, -200.0, 200.0))
    return (e + 1.0 / e) * 0.5


def _asinh(x: Number) -> Number:
    size = x.intrinsic("fabs")
    far = log_double(size + (size * size + 1.0).intrinsic("sqrt")).with_sign_of(x)
    return _where_small(x, 2.0**-6, (-1 / 6, 3 / 40, -15 / 336), far)


def _acosh(x: Number) -> Number:
    result = log_double(x + ((x - 1.0) * (x + 1.0)).intrinsic("sqrt"))
    return (x < 1.0).choose(float("nan"), result)


def _atanh(x: Number) -> Number:
    return _where_small(x, 2.0**-6, (1 / 3, 1 / 5, 1 / 7), log_double((x + 1.0) / (1.0 - x)) * 0.5)


def _atan2(y: Number, x: Number) -> Number:
    """The angle of (x, y): atan of the smaller by the larger, then the octant."""
    high, wide = y.intrinsic("fabs"), x.intrinsic("fabs")
    steep = high > wide
    ratio = steep.choose(wide, high) / steep.choose(high, wide)
    equal = high.equals(wide)  # 0 / 0 and infinity / infinity
    ratio = equal.choose(high.equals(0.0).choose(high, 1.0), ratio)
    square = ratio * ratio
    angle = (ratio * square).fma(polynomial(square, _ATAN), ratio)
    angle = steep.choose(_HALF_PI[0] - angle, angle)
    left = x.bits("int64") < 0
    angle = left.choose(2.0 * _HALF_PI[0] - angle, angle).with_sign_of(y)
    return y._operate("fcmp uno", x, "bool").choose(x + y, angle)


def _atan(x: Number) -> Number:
    return _atan2(x, x.constant(1.0))


def _asin(x: Number) -> Number:
    return _atan2(x, ((1.0 - x) * (x + 1.0)).intrinsic("sqrt"))


def _acos(x: Number) -> Number:
    return _atan2(((1.0 - x) * (x + 1.0)).intrinsic("sqrt"), x)


def _pow(x: Number, y: Number) -> Number:
    """exp(y * log |x|) with the sign of odd integers; 1 for an exponent 0 or a base 1."""
    size = x.intrinsic("fabs")
    exponent = y * log_double(size)
    result = _exp_wide(_limit(exponent, -200.0, 200.0))
    whole = y.intrinsic("trunc").equals(y)
    half = y * 0.5
    odd = whole & half.intrinsic("trunc").differs(half)
    negative = x.bits("int64") < 0
    result = (odd & negative).choose(-result, result)
    finite = size < float("inf")
    bad = (x < 0.0) & finite & ~whole & (y.intrinsic("fabs") < float("inf"))
    result = bad.choose(float("nan"), result)
    # 0 * infinity in the exponent: (-1) ** infinity is 1 as well
    result = (size.equals(1.0) & y.intrinsic("fabs").equals(float("inf"))).choose(1.0, result)
    return (y.equals(0.0) | x.equals(1.0)).choose(1.0, result)


# -------------------------------------------------------------------------------- special functions


def _erfinv(y: Number) -> Number:
    """See primitives._erfinv, whose steps these are, with one more for float64."""
    size = y.intrinsic("fabs")
    inside = _limit(size, high=1.0)
    low, high = 1.0 - inside, inside + 1.0
    log_term = (inside < 0.5).choose(_log1p_exact(-(inside * inside)), log_double(low * high))
    first = log_term.fma(0.5, 2.0 / (math.pi * 0.147))
    x = _limit(
        (first.fma(first, log_term * (-1.0 / 0.147))).intrinsic("sqrt") - first, low=0.0
    ).intrinsic("sqrt")
    x = inside.equals(1.0).choose(0.0, x)
    for _ in range(4):
        error = (inside < 0.5).choose(libm("erf", x) - inside, low - libm("erfc", x))
        x = x - error * (math.sqrt(math.pi) / 2.0) * exp(x * x)
    x = inside.equals(1.0).choose(float("inf"), x).with_sign_of(y)
    x = (size > 1.0).choose(float("nan"), x)
    return y.equals(0.0).choose(y, x)


def _log1p_exact(x: Number) -> Number:
    """log(1 + x) of a float64: the rounding of 1 + x is put right by the slope."""
    u = x + 1.0
    return log_double(u) + (x - (u - 1.0)) / u


def _digamma(x: Number) -> Number:
    """See primitives._digamma, whose steps these are."""
    whole = x.equals(x.intrinsic("floor"))
    mirrored = x < 0.0
    y = mirrored.choose(1.0 - x, x)
    shift = y.constant(0.0)
    for _ in range(10):
        low = y < 10.0
        shift = shift + low.choose(1.0 / y, 0.0)
        y = low.choose(y + 1.0, y)
    square = 1.0 / (y * y)
    tail = y.constant(0.0)
    for coefficient in (1 / 12, -691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12):
        tail = (tail + coefficient) * square
    result = log_double(y) - 0.5 / y - tail - shift
    turn = libm("tan", (x - x.intrinsic("floor")) * math.pi)
    result = mirrored.choose(result - math.pi / turn, result)
    result = (mirrored & whole).choose(float("nan"), result)
    pole = x.constant(float("inf")).with_sign_of(-x)
    return x.equals(0.0).choose(pole, x.equals(float("inf")).choose(x, result))


# -------------------------------------------------------------------------------------------- table

Function = Callable[..., Number]


def _widened(name: str, function: Function) -> Function:
    """A float32 function computed in float64, in a helper function of the module."""

    def body(*arguments: Number) -> Number:
        return cast(
            function(*(cast(a, "float32", "float64") for a in arguments)), "float64", "float32"
        )

    return lambda *arguments: outlined(name, arguments, body)


def _helper(name: str, function: Function) -> Function:
    return lambda *arguments: outlined(name, arguments, function)


FUNCTIONS: dict[tuple[str, str], Function] = {
    **{(f.__name__, t): f for f in (exp, sigmoid, tanh) for t in ("float32", "float64")},
    ("log", "float32"): log_single,
    ("log", "float64"): log_double,
    ("erf", "float32"): erf_single,
    ("sin", "float32"): sin_single,
    ("cos", "float32"): cos_single,
    ("erfinv", "float64"): _helper("erfinv", _erfinv),
    ("digamma", "float64"): _helper("digamma", _digamma),
}
_WIDE: tuple[Function, ...] = (
    _expm1, _exp2, _log1p, _log2, _log10, _sinh, _cosh, _asinh, _acosh, _atanh, _atan2, _atan,
    _asin, _acos, _pow, _erfinv, _digamma,
)  # fmt: skip
for _function in _WIDE:
    _name = _function.__name__[1:]
    FUNCTIONS[_name, "float32"] = _widened(_name, _function)
