"""The table of arithmetic primitives: what a `Let` may compute, and what that means in NumPy.

In: nothing. Out: `PRIMITIVES`, one row per op; read by the verifier (arity, dtypes, result), by the
interpreter (meaning) and, by name, by the code generator. Invariant: a meaning is given register
arrays (see convert.py) of one dtype and is total; float16 and bfloat16 are computed in float32 and
rounded by the caller after every op. Transcendental functions of float32 are computed in float64
and rounded: the reference for the code generator's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Meaning = Callable[..., np.ndarray]

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
NUMBERS = INTEGERS + FLOATS
EVERY = ("bool", *NUMBERS)


@dataclass(frozen=True, slots=True)
class Primitive:
    """One row: `result` is "same" (the dtype of the last argument), "bool", or "stated" (by the Let
    itself).

    `dtypes` are those the last argument may have. `divides` marks rows whose integer form reports a
    zero divisor.
    """

    name: str
    arity: int
    dtypes: tuple[str, ...]
    meaning: Meaning | None
    result: str = "same"
    divides: bool = False


# ----------------------------------------------------------------------------------------- meanings


def _accurate(function: Meaning) -> Meaning:
    """Compute a function of float32 in float64 and round once."""

    def meaning(*arguments: np.ndarray) -> np.ndarray:
        kind = arguments[0].dtype
        return np.asarray(function(*(a.astype(np.float64) for a in arguments))).astype(kind)

    return meaning


def _each(function: Callable[..., float]) -> Meaning:
    """A `math` function over arrays: NaN outside of its domain, infinity where it overflows."""

    def one(*arguments: float) -> float:
        try:
            return function(*arguments)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    return lambda *arguments: np.asarray(
        np.frompyfunc(one, len(arguments), 1)(*arguments), np.float64
    )


def _is_float(values: np.ndarray) -> bool:
    return values.dtype.kind == "f"


def _safe(divisor: np.ndarray) -> np.ndarray:
    """A divisor that NumPy can divide by: the zeros of an integer one become ones."""
    return np.where(divisor == 0, np.ones_like(divisor), divisor)


def _fmod(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (
        np.fmod(a, b) if _is_float(a) else np.where(b == 0, 0, np.fmod(a, _safe(b))).astype(a.dtype)
    )


def _remainder(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What is left of Python's floor division: it has the sign of the divisor."""
    rest = _fmod(a, b)
    return np.where((rest != 0) & ((b < 0) != (rest < 0)), rest + b, rest).astype(a.dtype)


def _floor_divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Python's `//`.

    For floats from the exact remainder, so that a == b * (a // b) + a % b holds to rounding.
    """
    if not _is_float(a):
        return np.where(b == 0, 0, a // _safe(b)).astype(a.dtype)
    rest = np.fmod(a, b)
    quotient = (a - rest) / b
    quotient = np.where((rest != 0) & ((b < 0) != (rest < 0)), quotient - 1, quotient).astype(
        a.dtype
    )
    floor = np.floor(quotient)
    whole = np.where(quotient - floor > 0.5, floor + 1, floor)
    ratio = (a / b).astype(a.dtype)
    whole = np.where(quotient != 0, whole, np.copysign(np.zeros_like(ratio), ratio))
    return np.asarray(np.where(b == 0, ratio, whole), a.dtype)


def _trunc_divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if _is_float(a):
        return np.asarray(np.trunc(a / b))
    return np.asarray(np.where(b == 0, 0, (a - np.fmod(a, _safe(b))) // _safe(b)), a.dtype)


def _power(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Powers.

    Of integers modulo 2**bits, where a negative exponent leaves only the powers of 1 and -1.
    """
    if _is_float(a):
        return _accurate(np.power)(a, b)
    base, exponent = np.broadcast_arrays(a, b)
    base, exponent = base.copy(), exponent.copy()
    odd = (exponent & 1) == 1
    minus_one = np.negative(np.ones_like(base)) if base.dtype.kind == "i" else np.zeros_like(base)
    unit = np.where(
        base == 1, 1, np.where((base == minus_one) & (minus_one != 0), np.where(odd, base, 1), 0)
    )
    result = np.ones_like(base)
    remaining = np.where(exponent < 0, 0, exponent).astype(exponent.dtype)
    while np.any(remaining):
        result = np.where((remaining & 1) == 1, result * base, result)
        base, remaining = base * base, remaining >> 1
    return np.where(exponent < 0, unit, result).astype(a.dtype)


def _sign(a: np.ndarray) -> np.ndarray:
    return np.asarray((a > 0).astype(a.dtype) - (a < 0).astype(a.dtype))


def _maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where((a > b) | (a != a), a, b)


def _minimum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where((a < b) | (a != a), a, b)


def _fmax(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where((a >= b) | (b != b), a, b)


def _fmin(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where((a <= b) | (b != b), a, b)


def _shift_left(a: np.ndarray, count: np.ndarray) -> np.ndarray:
    """a * 2**count modulo 2**bits; 0 for a count below 0 or of all the bits and more."""
    bits = 8 * a.dtype.itemsize
    fits = (count >= 0) & (count < bits)
    return np.where(fits, a << np.where(fits, count, 0).astype(a.dtype), 0).astype(a.dtype)


def _shift_right(a: np.ndarray, count: np.ndarray) -> np.ndarray:
    """floor(a / 2**count).

    A count below 0 or too large counts as all the bits (-1 is left of negative numbers).
    """
    bits = 8 * a.dtype.itemsize
    fits = (count >= 0) & (count < bits)
    gone = a >> a.dtype.type(bits - 1) if a.dtype.kind == "i" else np.zeros_like(a)
    return np.where(fits, a >> np.where(fits, count, 0).astype(a.dtype), gone).astype(a.dtype)


def _erfinv(y: np.ndarray) -> np.ndarray:
    """The inverse of erf.

    Winitzki's estimate (2008), then Newton's steps on erf or, near 1, on erfc.
    """
    size = np.minimum(np.abs(y), 1.0)
    log_term = np.log1p(-size) + np.log1p(size)
    first = 2.0 / (math.pi * 0.147) + log_term / 2.0
    x = np.sqrt(np.maximum(np.sqrt(first * first - log_term / 0.147) - first, 0.0))
    for _ in range(4):
        error = np.where(size < 0.5, _each(math.erf)(x) - size, (1.0 - size) - _each(math.erfc)(x))
        x = x - error * (math.sqrt(math.pi) / 2.0) * np.exp(np.minimum(x * x, 700.0))
    x = np.where(np.abs(y) > 1.0, np.nan, np.where(size == 1.0, np.inf, x))
    return np.where(y == 0, y, np.copysign(x, y))


def _digamma(x: np.ndarray) -> np.ndarray:
    """The logarithmic derivative of gamma.

    Reflection below 0, recurrence up to 10, then the asymptotic series.
    """
    whole = x == np.floor(x)
    mirrored = x < 0
    y = np.where(mirrored, 1.0 - x, x)
    shift = np.zeros_like(y)
    for _ in range(10):
        low = y < 10
        shift = shift + np.where(low, 1.0 / np.where(y == 0, 1.0, y), 0.0)
        y = np.where(low, y + 1.0, y)
    square = 1.0 / (y * y)
    tail = np.zeros_like(y)
    for coefficient in (1 / 12, -691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12):
        tail = (tail + coefficient) * square
    result = np.log(y) - 0.5 / y - tail - shift
    result = np.where(mirrored, result - math.pi / np.tan(math.pi * (x - np.floor(x))), result)
    result = np.where(mirrored & whole, np.nan, result)
    return np.where(x == 0, np.copysign(np.inf, -x), np.where(np.isposinf(x), np.inf, result))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _lgamma(x: np.ndarray) -> np.ndarray:
    """log |gamma|; infinite at the poles 0, -1, -2, ..."""
    pole = (x <= 0) & (x == np.floor(x))
    return np.where(pole, np.inf, _each(math.lgamma)(np.where(pole, 1.0, x)))


def _two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a + b in float64 and what its rounding lost (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _two_product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a * b in float64 and what its rounding lost (Dekker; halves by Veltkamp's splitting)."""
    halves = []
    for x in (a, b):
        scaled = 134217729.0 * x
        high = scaled - (scaled - x)
        halves.append((high, x - high))
    (ah, al), (bh, bl) = halves
    product = a * b
    return product, al * bl - (((product - ah * bh) - al * bh) - ah * bl)


def _to_odd(total: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """An inexact sum moved to its neighbour with an odd last bit: it may be rounded once more."""
    even = (total.view(np.int64) & 1) == 0
    return np.where(
        (lost != 0) & even, np.nextafter(total, np.where(lost > 0, np.inf, -np.inf)), total
    )


def _fused(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a * b + c rounded once, by error-free sums and rounding to odd (Boldo and Melquiond, 2008).

    Products of float32 are exact in float64. Of float64, exact while a * b neither overflows nor
    is subnormal.
    """
    x, y, z = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (a, b, c)))
    plain = x * y + z
    if a.dtype == np.float32:
        exact = _to_odd(*_two_sum(x * y, z))
    else:
        high, low = _two_product(x, y)
        middle, below = _two_sum(z, low)
        top, rest = _two_sum(high, middle)
        exact = top + _to_odd(*_two_sum(below, rest))
    return np.where(np.isfinite(plain) & np.isfinite(exact) & (exact != 0), exact, plain).astype(
        a.dtype
    )


LIBM: dict[str, Meaning] = {
    "tgamma": _each(math.gamma),
    "cbrt": np.cbrt,
    "exp10": lambda x: np.power(10.0, x),
    "logb": lambda x: np.floor(np.log2(np.abs(x))),
    "fdim": lambda a, b: np.where(a > b, a - b, np.where(np.isnan(a) | np.isnan(b), np.nan, 0.0)),
}


# -------------------------------------------------------------------------------------------- table

_FUNCTIONS: dict[str, Meaning] = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1,
    "log": np.log, "log2": np.log2, "log10": np.log10, "log1p": np.log1p,
    "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "erf": _each(math.erf), "erfc": _each(math.erfc), "erfinv": _erfinv,
    "lgamma": _lgamma, "digamma": _digamma, "sigmoid": _sigmoid,
}  # fmt: skip

_COMPARISONS: dict[str, Meaning] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip


_ROWS: tuple[Primitive, ...] = (
    Primitive("const", 0, EVERY, None, "stated"),
    Primitive("scalar", 0, EVERY, None, "stated"),
    Primitive("index", 0, ("int64",), None, "stated"),
    Primitive("cast", 1, EVERY, None, "stated"),
    Primitive("bitcast", 1, EVERY, None, "stated"),
    Primitive("check_index", 1, ("int64",), None),
    Primitive("libm", -1, FLOATS, None),
    Primitive("add", 2, NUMBERS, np.add),
    Primitive("sub", 2, NUMBERS, np.subtract),
    Primitive("mul", 2, NUMBERS, np.multiply),
    Primitive("div", 2, FLOATS, np.divide),
    Primitive("fma", 3, ("float32", "float64"), _fused),
    Primitive("floor_divide", 2, NUMBERS, _floor_divide, divides=True),
    Primitive("trunc_divide", 2, NUMBERS, _trunc_divide, divides=True),
    Primitive("remainder", 2, NUMBERS, _remainder, divides=True),
    Primitive("fmod", 2, NUMBERS, _fmod, divides=True),
    Primitive("pow", 2, NUMBERS, _power),
    Primitive("neg", 1, NUMBERS, np.negative),
    Primitive("abs", 1, NUMBERS, np.abs),
    Primitive("sign", 1, NUMBERS, _sign),
    Primitive("floor", 1, FLOATS, np.floor),
    Primitive("ceil", 1, FLOATS, np.ceil),
    Primitive("round", 1, FLOATS, np.rint),
    Primitive("trunc", 1, FLOATS, np.trunc),
    Primitive("sqrt", 1, FLOATS, np.sqrt),
    Primitive("rsqrt", 1, FLOATS, lambda a: a.dtype.type(1) / np.sqrt(a)),
    Primitive("reciprocal", 1, FLOATS, lambda a: a.dtype.type(1) / a),
    Primitive("atan2", 2, FLOATS, _accurate(np.arctan2)),
    Primitive("hypot", 2, FLOATS, _accurate(np.hypot)),
    Primitive("copysign", 2, FLOATS, np.copysign),
    Primitive("nextafter", 2, ("float32", "float64"), np.nextafter),
    Primitive("maximum", 2, EVERY, _maximum),
    Primitive("minimum", 2, EVERY, _minimum),
    Primitive("fmax", 2, EVERY, _fmax),
    Primitive("fmin", 2, EVERY, _fmin),
    Primitive("logical_and", 2, ("bool",), np.logical_and),
    Primitive("logical_or", 2, ("bool",), np.logical_or),
    Primitive("logical_xor", 2, ("bool",), np.logical_xor),
    Primitive("logical_not", 1, ("bool",), np.logical_not),
    Primitive("bitwise_and", 2, ("bool", *INTEGERS), np.bitwise_and),
    Primitive("bitwise_or", 2, ("bool", *INTEGERS), np.bitwise_or),
    Primitive("bitwise_xor", 2, ("bool", *INTEGERS), np.bitwise_xor),
    Primitive("bitwise_not", 1, ("bool", *INTEGERS), np.invert),
    Primitive("shift_left", 2, INTEGERS, _shift_left),
    Primitive("shift_right", 2, INTEGERS, _shift_right),
    Primitive("where", 3, EVERY, np.where),
    Primitive("isnan", 1, FLOATS, np.isnan, "bool"),
    Primitive("isinf", 1, FLOATS, np.isinf, "bool"),
    Primitive("isfinite", 1, FLOATS, np.isfinite, "bool"),
    Primitive("signbit", 1, NUMBERS, lambda a: np.signbit(a) if _is_float(a) else a < 0, "bool"),
    *(Primitive(name, 2, EVERY, meaning, "bool") for name, meaning in _COMPARISONS.items()),
    *(Primitive(name, 1, FLOATS, _accurate(meaning)) for name, meaning in _FUNCTIONS.items()),
)

PRIMITIVES: dict[str, Primitive] = {row.name: row for row in _ROWS}


# ----------------------------------------------------------------------------------------- combines


@dataclass(frozen=True, slots=True)
class Combine:
    """How partial results join.

    By a primitive whose neutral element is `neutral` (a float, or None: the limits).
    """

    primitive: str
    neutral: float | str


COMBINES: dict[str, Combine] = {
    "sum": Combine("add", -0.0),
    "prod": Combine("mul", 1.0),
    "max": Combine("maximum", "lowest"),
    "min": Combine("minimum", "highest"),
    "and": Combine("bitwise_and", "ones"),
    "or": Combine("bitwise_or", 0.0),
}


def neutral(combine: str, dtype: str) -> float | int | bool:
    """The value that changes nothing when it is joined by `combine`, as a Python number of `dtype`.

    >>> neutral("max", "uint8"), neutral("max", "float32"), neutral("and", "bool")
    (0, -inf, True)
    """
    value = COMBINES[combine].neutral
    if dtype in FLOATS:
        return {"lowest": -math.inf, "highest": math.inf}.get(value, value)  # type: ignore[arg-type]
    if dtype == "bool":
        return value in ("highest", "ones")
    limits = np.iinfo(dtype)
    named_values = {
        "lowest": int(limits.min),
        "highest": int(limits.max),
        "ones": -1 if limits.min else int(limits.max),
    }
    return named_values[value] if isinstance(value, str) else int(value)
