"""How each arithmetic primitive is written in LLVM: one row per name of kernel/primitives.py.

In: `Number`s in registers of one dtype. Out: a `Number`. Invariant: a row gives the same bits for a
scalar and for any number of lanes, and the bits of the NumPy meaning except for the functions of
vector_math.py and libm, which are within 2.5 units in the last place. float16 and bfloat16 arrive
as float32; `compute` rounds after every op.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from . import vector_math
from .builder import BITS, Number, is_float, is_signed
from .convert import NARROW, cast, resize, round_narrow
from .outline import libm, outlined

Row = Callable[..., Number]

# Results of these are values of the dtype without rounding.
_CLOSED = frozenset(
    """neg abs where maximum minimum fmax fmin copysign sign floor ceil round trunc
    """.split()  # noqa: SIM905 - a table of names
)


def compute(op: str, arguments: Sequence[Number], dtype: str) -> Number:
    """The primitive `op` on registers of `dtype`, rounded to it."""
    result = ROWS[op](*arguments)
    rounds = dtype in NARROW and op not in _CLOSED and result.dtype != "bool"
    return round_narrow(result, dtype) if rounds else result


# ----------------------------------------------------------------------------------------- division


def integer_constant(x: Number) -> int | None:
    """The value of an integer constant, None for a computed one."""
    found = re.fullmatch(r"(?:splat \(i\d+ )?(-?\d+)\)?", x.text)
    return int(found[1]) if found else None


def _quotient(a: Number, b: Number) -> Number:
    """Toward zero, for divisors other than 0 and -1.

    Vectors of up to 32 bits divide as floats of more than twice the precision needed: a quotient
    that is no integer is at least 1 / |a| away from one, relatively, so truncating the rounded
    quotient is exact.
    """
    if not a.lanes or BITS[a.dtype] == 64 or integer_constant(b) is not None:
        return a.signed_divide(b)
    wide = "float32" if BITS[a.dtype] <= 16 else "float64"
    ratio = cast(a, a.dtype, wide) / cast(b, b.dtype, wide)
    return ratio.convert("fptosi" if is_signed(a.dtype) else "fptoui", a.dtype)


def _divide(a: Number, b: Number) -> Number:
    """Integer quotient toward zero; of zero divisors 0, of the smallest integer by -1 itself."""
    value = integer_constant(b)
    if value is not None and value not in (0, -1):
        return _quotient(a, b)
    special = b.equals(0)
    if not is_signed(a.dtype):
        return special.choose(0, _quotient(a, special.choose(1, b)))
    minus = b.equals(-1)
    quotient = _quotient(a, (special | minus).choose(1, b))
    return minus.choose(-a, special.choose(0, quotient))


def _opposite(rest: Number, divisor: Number) -> Number:
    """Whether a rest is not zero and has another sign than the divisor."""
    return rest.differs(0) & ((rest < 0) ^ (divisor < 0))


def _integer_rest(a: Number, b: Number) -> Number:
    return b.equals(0).choose(0, a - _divide(a, b) * b)


def _trunc_divide(a: Number, b: Number) -> Number:
    return (a / b).intrinsic("trunc") if is_float(a.dtype) else _divide(a, b)


def _fmod(a: Number, b: Number) -> Number:
    return libm("fmod", a, b) if is_float(a.dtype) else _integer_rest(a, b)


def _remainder(a: Number, b: Number) -> Number:
    rest = _fmod(a, b)
    return (
        _opposite(rest, b).choose(rest + b, rest)
        if is_float(a.dtype) or is_signed(a.dtype)
        else rest
    )


def _floor_divide(a: Number, b: Number) -> Number:
    if is_float(a.dtype):
        return _floor_divide_floats(a, b)
    quotient = _divide(a, b)
    if not is_signed(a.dtype):
        return quotient
    rest = a - quotient * b
    down = _opposite(rest, b) & b.differs(0)
    return quotient - resize(down, a.dtype)


def _floor_divide_floats(a: Number, b: Number) -> Number:
    """See primitives._floor_divide, whose steps these are."""
    rest = libm("fmod", a, b)
    quotient = (a - rest) / b
    quotient = _opposite(rest, b).choose(quotient - 1.0, quotient)
    floor = quotient.intrinsic("floor")
    whole = ((quotient - floor) > 0.5).choose(floor + 1.0, floor)
    ratio = a / b
    whole = quotient.differs(0.0).choose(whole, a.constant(0.0).with_sign_of(ratio))
    return b.equals(0.0).choose(ratio, whole)


# ----------------------------------------------------------------------------------------- integers


def _power(a: Number, b: Number) -> Number:
    if is_float(a.dtype):
        return _function("pow")(a, b)
    return outlined("power", (a, b), _integer_power)


def _integer_power(a: Number, b: Number) -> Number:
    """By squaring, until no lane has bits of its exponent left."""
    builder = a.builder
    negative = b < 0
    exponent = negative.choose(0, b)
    label = builder.fresh_label("square")
    builder.effect(f"br label %{label}")
    builder.start_block(label)
    names = [builder.name() for _ in range(6)]
    starts = [a.text, exponent.text, a.constant(1).text]
    for here, following, start in zip(names[:3], names[3:], starts, strict=True):
        builder.effect(f"{here} = phi {a.type} [ {start}, %entry ], [ {following}, %{label} ]")
    base, rest, result = (builder.number(n, a.dtype, a.lanes) for n in names[:3])
    result = (rest & 1).differs(0).choose(result * base, result)
    base, rest = base * base, rest.bits("u" + a.dtype.lstrip("u")) >> 1
    for name, value in zip(names[3:], (base, rest, result), strict=True):
        builder.effect(
            f"{name} = or {a.type} {value.text}, zeroinitializer"
            if a.lanes
            else f"{name} = or {a.type} {value.text}, 0"
        )
    more = builder.any(rest.differs(0))
    builder.effect(f"br {more.typed}, label %{label}, label %done")
    builder.start_block("done")
    if not is_signed(a.dtype):
        return result
    alternating = (b & 1).differs(0).choose(a, 1)
    unit = a.equals(1).choose(1, a.equals(-1).choose(alternating, 0))
    return negative.choose(unit, result)


def _shift(a: Number, count: Number, left: bool) -> Number:
    """Shifts are poison for counts of all the bits and more.

    Those get the result of kernel/primitives.py.
    """
    bits = BITS[a.dtype]
    unsigned = count.bits("u" + count.dtype.lstrip("u"))
    fits = unsigned < bits
    if left:
        return fits.choose(a << fits.choose(count, 0), 0)
    if is_signed(a.dtype):
        return a >> fits.choose(count, bits - 1)
    return fits.choose(a >> fits.choose(count, 0), 0)


# ------------------------------------------------------------------------------------ simple floats


def _maximum(a: Number, b: Number) -> Number:
    larger = (a > b).choose(a, b)
    return a.is_nan().choose(a, larger) if is_float(a.dtype) else larger


def _minimum(a: Number, b: Number) -> Number:
    smaller = (a < b).choose(a, b)
    return a.is_nan().choose(a, smaller) if is_float(a.dtype) else smaller


def _fmax(a: Number, b: Number) -> Number:
    larger = (a >= b).choose(a, b)
    return b.is_nan().choose(a, larger) if is_float(a.dtype) else larger


def _fmin(a: Number, b: Number) -> Number:
    smaller = (a <= b).choose(a, b)
    return b.is_nan().choose(a, smaller) if is_float(a.dtype) else smaller


def _absolute(a: Number) -> Number:
    if is_float(a.dtype):
        return a.intrinsic("fabs")
    return (a < 0).choose(-a, a) if is_signed(a.dtype) else a


def _sign(a: Number) -> Number:
    below = (
        (a < 0).choose(a.constant(-1), a.constant(0))
        if is_float(a.dtype) or is_signed(a.dtype)
        else a.constant(0)
    )
    return (a > 0).choose(1, below)


def _sign_bit(a: Number) -> Number:
    return a.bits(f"int{BITS[a.dtype]}") < 0 if is_float(a.dtype) else a < 0


def _next_after(a: Number, b: Number) -> Number:
    """One step of the bit pattern toward b; from zero to the smallest number with b's sign."""
    bits = a.bits(f"int{BITS[a.dtype]}")
    away = (a < b) ^ (bits < 0)
    moved = away.choose(bits + 1, bits - 1).bits(a.dtype)
    tiny = bits.constant(1).bits(a.dtype).with_sign_of(b)
    moved = a.equals(0.0).choose(tiny, moved)
    return a._operate("fcmp uno", b, "bool").choose(a + b, a.equals(b).choose(b, moved))


def _intrinsic(name: str) -> Row:
    return lambda *arguments: arguments[0].intrinsic(name, *arguments[1:])


def _infinite(a: Number) -> Number:
    return a.intrinsic("fabs").equals(float("inf"))


def _finite(a: Number) -> Number:
    return a.intrinsic("fabs") < float("inf")


def _hypot(a: Number, b: Number) -> Number:
    """float32 in float64, where squares neither overflow nor vanish; infinite beside a NaN too."""
    if a.dtype == "float64":
        return libm("hypot", a, b)
    x, y = cast(a, "float32", "float64"), cast(b, "float32", "float64")
    length = cast((x * x + y * y).intrinsic("sqrt"), "float64", "float32")
    return (_infinite(a) | _infinite(b)).choose(float("inf"), length)


# -------------------------------------------------------------------------------------------- table


def _function(name: str) -> Row:
    """A row of vector_math.py where there is one for the dtype, else libm lane by lane."""

    def row(*arguments: Number) -> Number:
        written = vector_math.FUNCTIONS.get((name, arguments[0].dtype))
        if written is None:
            return libm(name, *arguments)
        return written(*arguments)

    return row


ROWS: dict[str, Row] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "fma": lambda a, b, c: a.intrinsic("fma", b, c),
    "floor_divide": _floor_divide,
    "trunc_divide": _trunc_divide,
    "remainder": _remainder,
    "fmod": _fmod,
    "pow": _power,
    "neg": lambda a: -a,
    "abs": _absolute,
    "sign": _sign,
    "floor": _intrinsic("floor"),
    "ceil": _intrinsic("ceil"),
    "round": _intrinsic("roundeven"),
    "trunc": _intrinsic("trunc"),
    "sqrt": _intrinsic("sqrt"),
    "rsqrt": lambda a: 1.0 / a.intrinsic("sqrt"),
    "reciprocal": lambda a: 1.0 / a,
    "hypot": _hypot,
    "copysign": lambda size, sign: size.with_sign_of(sign),
    "nextafter": _next_after,
    "maximum": _maximum,
    "minimum": _minimum,
    "fmax": _fmax,
    "fmin": _fmin,
    "eq": lambda a, b: a.equals(b),
    "ne": lambda a, b: a.differs(b),
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "logical_and": lambda a, b: a & b,
    "logical_or": lambda a, b: a | b,
    "logical_xor": lambda a, b: a ^ b,
    "logical_not": lambda a: ~a,
    "bitwise_and": lambda a, b: a & b,
    "bitwise_or": lambda a, b: a | b,
    "bitwise_xor": lambda a, b: a ^ b,
    "bitwise_not": lambda a: ~a,
    "shift_left": lambda a, b: _shift(a, b, left=True),
    "shift_right": lambda a, b: _shift(a, b, left=False),
    "where": lambda condition, a, b: condition.choose(a, b),
    "isnan": lambda a: a.is_nan(),
    "isinf": _infinite,
    "isfinite": _finite,
    "signbit": _sign_bit,
}
_NAMES = """exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh
    asinh acosh atanh erf erfc erfinv lgamma digamma sigmoid"""
ROWS.update({name: _function(name) for name in _NAMES.split()})
