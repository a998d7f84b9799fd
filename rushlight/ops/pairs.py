"""Functions of two variables that are no arithmetic: angles, lengths, logarithms of sums, bits of
floats, divisors.

In: tensors (and numbers) that broadcast. Out: a tensor of their common dtype and shape. Invariant:
limits are kept (infinities, zeros, equal operands) as PyTorch keeps them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..base import dtype as dtypes
from ..base.dtype import finfo
from ..graph import build as b
from ..graph.host import host_function
from ..graph.node import Node
from .common import (
    conjugate,
    integers,
    opmath,
    refuse_complex,
    require_kind,
    two,
    underivable,
)
from .comparison import isfinite, ne
from .core import real_part, where, zeros_like
from .elementary import exp, exp2, log, log1p, sigmoid
from .registry import TensorValue, Value, op


def _floats(*operands: Value) -> list[Node]:
    """The operands in a common floating dtype, in the precision that formulas are computed in."""
    return [opmath(x) for x in b.promote(*(b.to_float(x) for x in operands))]


def _rounded(result: Node, *operands: Value) -> Node:
    return b.cast(result, b.promoted_dtype(*(b.to_float(x) for x in operands)))


@op("torch Tensor", inplace=True, elementwise=True)
def atan2(input: TensorValue, other: TensorValue) -> Value:
    """The angle in (-pi, pi] of the point (other, input). Integers become the default float.

    Follows `torch.atan2`.

    >>> import rushlight as rl
    >>> rl.atan2(rl.tensor([1., -1.]), rl.tensor([1., 0.]))
    tensor([ 0.7854, -1.5708])
    """
    refuse_complex("atan2", b.as_node(input), b.as_node(other))
    return b.elementwise("atan2", *b.promote(b.to_float(input), b.to_float(other)))


@atan2.vjp("input")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return g * (other / (input * input + other * other))


@atan2.vjp("other")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return g * (-input / (input * input + other * other))


atan2.test(two(0.3, 2), np.arctan2)


@op("torch Tensor", inplace=True, elementwise=True)
def hypot(input: TensorValue, other: TensorValue) -> Value:
    """sqrt(input^2 + other^2) without overflow between; floats only. Follows `torch.hypot`.

    >>> import rushlight as rl
    >>> rl.hypot(rl.tensor([3.]), rl.tensor([4.]))
    tensor([5.])
    """
    operands = b.promote(input, other)
    require_kind("hypot_cpu", operands[0])
    return b.elementwise("hypot", *operands)


@hypot.vjp("input")
def _(g, input, out):  # type: ignore[no-untyped-def]
    return g * (input / out)


@hypot.vjp("other")
def _(g, other, out):  # type: ignore[no-untyped-def]
    return g * (other / out)


hypot.test(two(0.3, 2), np.hypot)


@op("torch Tensor", inplace=True, elementwise=True)
def copysign(input: TensorValue, other: Value) -> Value:
    """|input| with the sign of other (-0.0 counts as negative). Follows `torch.copysign`.

    >>> import rushlight as rl
    >>> rl.copysign(rl.tensor([1., -2.]), -1)
    tensor([-1., -2.])
    """
    refuse_complex("copysign", b.as_node(input), b.as_node(other))
    return b.elementwise("copysign", *b.promote(b.to_float(input), b.to_float(other)))


@copysign.vjp("input")
def _(g, input, out):  # type: ignore[no-untyped-def]
    return where(input == 0, 0, g * (out / input))


copysign.vjp("other")(zeros_like)
copysign.test(two(), np.copysign)


@op("torch Tensor", inplace=True, elementwise=True)
def nextafter(input: TensorValue, other: TensorValue) -> Value:
    """The number next to input towards other. Follows `torch.nextafter`.

    >>> import rushlight as rl
    >>> rl.nextafter(rl.tensor([1.]), rl.tensor([2.])) > 1
    tensor([True])
    """
    x, y = b.promote(input, other)
    require_kind("nextafter_cpu", x)
    if x.dtype not in (dtypes.float16, dtypes.bfloat16):
        return b.elementwise("nextafter", x, y)
    x, y = b.broadcast(x, y)
    # the narrow floats are computed in float32, whose neighbours are others
    bits = b.bitcast(x, dtypes.int16)
    outwards = b.where(
        b.elementwise("eq", y > x, x > 0), b.const(1, dtypes.int16), b.const(-1, dtypes.int16)
    )
    least = b.where(y > 0, b.const(1, dtypes.int16), b.const(-32767, dtypes.int16))
    moved = b.where(b.elementwise("eq", x, x * 0), least, bits + outwards)
    unordered = b.elementwise("isnan", x) | b.elementwise("isnan", y)
    return b.where(
        unordered, x + y, b.where(b.elementwise("eq", x, y), y, b.bitcast(moved, x.dtype))
    )


@nextafter.vjp("input")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return where(ne(input, other), g, 0)


@nextafter.vjp("other")
def _(g):  # type: ignore[no-untyped-def]
    return zeros_like(g)


nextafter.test(two(), np.nextafter)


@op("torch Tensor", elementwise=True)
def logaddexp(input: TensorValue, other: TensorValue) -> Value:
    """log(exp(input) + exp(other)) without overflow; floats and complex numbers.

    Of complex operands the one of larger real part is taken out of the sum, so that the result's
    imaginary part keeps that one's branch. Follows `torch.logaddexp`.

    >>> import rushlight as rl
    >>> rl.logaddexp(rl.tensor([-1000.]), rl.tensor([-1000.]))
    tensor([-999.3068])
    """
    require_kind("logaddexp_cpu", b.promote(input, other)[0], ("float", "complex"))
    x, y = _floats(input, other)
    if x.dtype.is_complex:
        return _complex_logaddexp(*b.broadcast(x, y))
    larger = b.binary("maximum", x, y)
    sum_ = larger + log1p(exp(-b.elementwise("abs", x - y)))
    return _rounded(b.where(b.binary("eq", x, y) & ~isfinite(x), x, sum_), input, other)


def _complex_logaddexp(x: Node, y: Node) -> Node:
    """log(exp(x) + exp(y)) of complex numbers; of two at minus infinity the first stays."""
    a, c = real_part(x), real_part(y)
    first = a >= c
    larger, smaller = b.where(first, x, y), b.where(first, y, x)
    return b.where(
        b.binary("eq", a, c) & b.binary("eq", a, -math.inf),
        x,
        larger + log1p(exp(smaller - larger)),
    )


@logaddexp.vjp("input")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return g * conjugate(sigmoid(input - other))


@logaddexp.vjp("other")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return g * conjugate(sigmoid(other - input))


logaddexp.test(two(), np.logaddexp)


@op("torch Tensor", elementwise=True)
def logaddexp2(input: TensorValue, other: TensorValue) -> Value:
    """log2(2^input + 2^other) without overflow; floats only. Follows `torch.logaddexp2`.

    >>> import rushlight as rl
    >>> rl.logaddexp2(rl.tensor([3.]), rl.tensor([3.]))
    tensor([4.])
    """
    require_kind("logaddexp2_cpu", b.promote(input, other)[0])
    x, y = _floats(input, other)
    larger = b.binary("maximum", x, y)
    sum_ = larger + log1p(exp2(-b.elementwise("abs", x - y))) * (1.0 / math.log(2.0))
    return _rounded(b.where(b.binary("eq", x, y) & ~isfinite(x), x, sum_), input, other)


@logaddexp2.vjp("input")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return g * sigmoid((input - other) * math.log(2.0))


@logaddexp2.vjp("other")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return g * sigmoid((other - input) * math.log(2.0))


logaddexp2.test(two(), np.logaddexp2)


def _times_log(logarithm: Callable[[Node], Node], input: Value, other: Value) -> Node:
    """input * logarithm(other), 0 where input is 0, NaN where other is."""
    x, y = _floats(input, other)
    product = b.where(b.binary("eq", x, 0), b.const(0.0, x.dtype), x * logarithm(y))
    return _rounded(b.where(b.elementwise("isnan", y), y, product), input, other)


@op("torch Tensor special", inplace=True, elementwise=True)
def xlogy(input: Value, other: Value) -> Value:
    """input * log(other), and 0 where input is 0 (unless other is NaN). Follows `torch.xlogy`.

    >>> import rushlight as rl
    >>> rl.xlogy(rl.tensor([0., 2.]), rl.tensor([0., 1.]))
    tensor([0., 0.])
    """
    return _times_log(log, input, other)


@xlogy.vjp("input")
def _(g, input, other):  # type: ignore[no-untyped-def]
    if not hasattr(other, "dtype"):
        return g * (math.log(other) if other > 0 else math.nan)
    if not hasattr(input, "dtype"):
        return g * log(other)
    return where((input == 0) & (other <= 0), 0, g * log(other))


@xlogy.vjp("other")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return g * (input / other)


@op("special", elementwise=True)
def xlog1py(input: Value, other: Value) -> Value:
    """input * log(1 + other), and 0 where input is 0 (unless other is NaN).

    Follows `torch.special.xlog1py`.

    >>> import rushlight as rl
    >>> rl.special.xlog1py(rl.tensor([0., 2.]), rl.tensor([-1., 0.]))
    tensor([0., 0.])
    """
    return _times_log(log1p, input, other)


@xlog1py.vjp("input")
def _(g, input, other):  # type: ignore[no-untyped-def]
    if not hasattr(other, "dtype"):
        return g * (math.log1p(other) if other > -1 else math.nan)
    if not hasattr(input, "dtype"):
        return g * log1p(other)
    return where((input == 0) & (other <= -1), 0, g * log1p(other))


@xlog1py.vjp("other")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return g * (input / (other + 1))


xlogy.test(two(0.2, 3), lambda x, y: x * np.log(y))
xlog1py.test(two(0.2, 3), lambda x, y: x * np.log1p(y))


@op("torch Tensor", inplace=True, elementwise=True)
def ldexp(input: TensorValue, other: TensorValue) -> Value:
    """input * 2^other. Follows `torch.ldexp`.

    >>> import rushlight as rl
    >>> rl.ldexp(rl.tensor([1.5]), rl.tensor([3]))
    tensor([12.])
    """
    x, power = b.as_node(input), b.as_node(other)
    made = b.mul(x, exp2(power))
    keeps = x.dtype.kind in ("float", "complex") and power.dtype.kind in ("bool", "int")
    return b.cast(made, x.dtype) if keeps and not x.weak else made


@ldexp.vjp("input")
def _(g, other):  # type: ignore[no-untyped-def]
    return g * conjugate(exp2(other)) if hasattr(other, "dtype") else g * 2.0**other


@ldexp.vjp("other")
def _(g, out):  # type: ignore[no-untyped-def]
    return g * conjugate(out) * math.log(2.0)


ldexp.test(two(), lambda x, y: x * 2.0**y)


@op("torch Tensor", inplace=True, elementwise=True, grad_name="NotImplemented")
def heaviside(input: TensorValue, values: TensorValue) -> Value:
    """0 below zero, 1 above, `values` at zero. The dtypes must be equal. Follows `torch.heaviside`.

    >>> import rushlight as rl
    >>> rl.heaviside(rl.tensor([-1., 0., 2.]), rl.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    if input.dtype.is_complex or values.dtype.is_complex:
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if input.dtype is not values.dtype:
        raise RuntimeError(
            "heaviside is not yet implemented for tensors with different dtypes: "
            f"input is {input.dtype.name}, values {values.dtype.name}"
        )
    return b.where(b.binary("eq", input, 0), values, b.cast(b.binary("gt", input, 0), input.dtype))


heaviside.vjp("input", "values")(underivable("heaviside"))
heaviside.test(lambda make: [((np.round(make(3, 4)), make(4)), {})], np.heaviside)


# --- divisors -----------------------------------------------------------------------------------


@host_function
def greatest_common_divisor(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray]:
    return (np.gcd(x, y),)


@host_function
def least_common_multiple(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray]:
    return (np.lcm(x, y),)


def _of_integers(name: str, function: str, input: Node, other: Node) -> Node:
    x, y = b.broadcast(*b.promote(input, other))
    require_kind(f"{name}_cpu", x, ("int",))
    return b.host(function, [x, y], [(x.shape, x.dtype)])[0]


@op("torch Tensor", inplace=True, elementwise=True, differentiable=False)
def gcd(input: TensorValue, other: TensorValue) -> Value:
    """The greatest common divisor of two integers, gcd(0, 0) = 0. Follows `torch.gcd`.

    >>> import rushlight as rl
    >>> rl.gcd(rl.tensor([12, 7]), rl.tensor([18, 21]))
    tensor([6, 7])
    """
    return _of_integers("gcd", "greatest_common_divisor", input, other)


@op("torch Tensor", inplace=True, elementwise=True, differentiable=False)
def lcm(input: TensorValue, other: TensorValue) -> Value:
    """The least common multiple of two integers, 0 where one is 0. Follows `torch.lcm`.

    >>> import rushlight as rl
    >>> rl.lcm(rl.tensor([4]), rl.tensor([6]))
    tensor([12])
    """
    return _of_integers("lcm", "least_common_multiple", input, other)


gcd.test(integers(), np.gcd)
lcm.test(integers(), np.lcm)

# --- of one variable, with limits that are given ------------------------------------------------


@op("torch Tensor special", inplace=True, elementwise=True)
def logit(input: Value, eps: Value | None = None) -> Value:
    """log(x / (1 - x)), x first brought into [eps, 1 - eps] where eps is given.

    Follows `torch.logit`.

    >>> import rushlight as rl
    >>> rl.logit(rl.tensor([0.5, 1.0]), eps=1e-6)
    tensor([ 0.0000, 13.8023])
    """
    x = opmath(b.to_float(input))
    if eps is not None:
        x = b.binary("minimum", b.binary("maximum", x, eps), b.binary("sub", 1.0, eps))
    return b.cast(log(x / (1 - x)), b.to_float(input).dtype)


@logit.vjp("input")
def _(g, input, eps):  # type: ignore[no-untyped-def]
    slope = g / (input * (1 - input))
    if eps is None:
        return where((input < 0) | (input > 1), math.nan, slope)
    return where((input < eps) | (input > 1 - eps), 0, slope)


logit.test(
    lambda make: [
        ((make(3, 4, low=0.1, high=0.9),), {}),
        ((make(9, low=0.02, high=0.98),), {"eps": 0.2}),
    ],
    lambda x, eps=0.0: np.log(np.clip(x, eps, 1 - eps) / (1 - np.clip(x, eps, 1 - eps))),
)


@op("torch Tensor", inplace=True, elementwise=True)
def nan_to_num(
    input: Value, nan: Value | None = None, posinf: Value | None = None, neginf: Value | None = None
) -> Value:
    """NaN, inf and -inf replaced: by 0 and the largest and smallest finite number unless others are
    given.

    Follows `torch.nan_to_num`.

    >>> import rushlight as rl
    >>> rl.nan_to_num(rl.tensor([float('nan'), 1.0]))
    tensor([0., 1.])
    """
    if input.dtype.kind in ("bool", "int"):
        return input
    if input.dtype.is_complex:
        parts = [Node(part, (input,), input.shape, input.dtype.real) for part in ("real", "imag")]
        made = [nan_to_num.body(part, nan, posinf, neginf) for part in parts]
        return Node("complex", tuple(made), input.shape, input.dtype)
    limits = finfo(input.dtype)
    x = b.where(b.elementwise("isnan", input), 0 if nan is None else nan, input)
    x = b.where(b.binary("eq", input, math.inf), limits.max if posinf is None else posinf, x)
    return b.where(b.binary("eq", input, -math.inf), limits.min if neginf is None else neginf, x)


@nan_to_num.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    return where(isfinite(input), g, 0)


def _with_holes(make: Callable) -> list:
    x = make(2, 5)
    x[0, :3] = (np.nan, np.inf, -np.inf)
    return [((x,), {}), ((x, 1.0, 2.0, 3.0), {})]


nan_to_num.test(
    _with_holes,
    lambda x, nan=0.0, posinf=None, neginf=None: np.nan_to_num(x, True, nan, posinf, neginf),
)
