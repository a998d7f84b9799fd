"""Arithmetic of one and two tensors: signs, rounding, division with remainders, powers, extremes,
mixtures.

In: tensors (and numbers) that broadcast. Out: a tensor of their common dtype and shape. Invariant:
an operand's gradient is right at every point where a derivative exists, and PyTorch's choice where
it does not. Sums, differences, products and quotients are in core.py, comparisons and bits in
comparison.py.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable

import numpy as np

from ..base import dtype as dtypes
from ..graph import build as b
from ..graph.node import Node
from . import grad_names
from .common import (
    absolute,
    conjugate,
    one,
    opmath,
    require_kind,
    require_same_dtype,
    two,
    underivable,
)
from .core import real_part, where, zeros_like
from .elementary import (
    log,
    trunc,
)
from .registry import Scalar, TensorValue, Value, op

# --- signs --------------------------------------------------------------------------------------


@op("torch Tensor", inplace=True, elementwise=True)
def abs(input: Value) -> Value:
    """|x|; of complex numbers the real modulus. NotImplementedError for bools. Follows `torch.abs`.

    >>> import rushlight as rl
    >>> rl.abs(rl.tensor([-1.5, 2.0]))
    tensor([1.5000, 2.0000])
    """
    require_kind("abs_cpu", input, ("int", "float", "complex"))
    return absolute(input)


@abs.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    return g * sgn(input)


abs.test(one(), np.abs)


@op("torch Tensor", inplace=True, elementwise=True)
def sign(input: Value) -> Value:
    """-1, 0 or 1; the gradient is zero. Complex tensors raise (see `sgn`). Follows `torch.sign`.

    >>> import rushlight as rl
    >>> rl.sign(rl.tensor([-3., 0., 2.]))
    tensor([-1.,  0.,  1.])
    """
    if input.dtype.is_complex:
        raise NotImplementedError(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use "
            "torch.sgn instead."
        )
    return input if input.dtype is dtypes.bool_ else b.elementwise("sign", input)


sign.vjp("input")(zeros_like)
sign.test(one(), np.sign)


@op("torch Tensor", inplace=True, elementwise=True)
def sgn(input: Value) -> Value:
    """x / |x|, and 0 at 0: the sign, or a complex number's direction. Follows `torch.sgn`.

    >>> import rushlight as rl
    >>> rl.sgn(rl.tensor([3 + 4j, 0j]))
    tensor([0.6000+0.8000j, 0.0000+0.0000j])
    """
    if not input.dtype.is_complex:
        return sign(input)
    size = absolute(input)
    zero = b.binary("eq", size, 0)
    return b.where(zero, b.const(0, input.dtype), b.div(input, b.where(zero, 1, size)))


@sgn.vjp("input")
def _(g, input, out):  # type: ignore[no-untyped-def]
    if not out.dtype.is_complex:
        return zeros_like(g)
    size = abs(input)
    along = out * real_part(conjugate(out) * g)
    return where(size == 0, 0, (g - along) / where(size == 0, 1, size))


sgn.test(one(), np.sign)


@op("torch Tensor", elementwise=True)
def angle(input: Value) -> Value:
    """The argument of a complex number, in radians; of a real one 0 or pi (NaN stays).

    Follows `torch.angle`.

    >>> import rushlight as rl
    >>> rl.angle(rl.tensor([1., -1.]))
    tensor([0.0000, 3.1416])
    """
    if input.dtype.is_complex:
        real = Node("real", (input,), input.shape, input.dtype.real)
        imaginary = Node("imag", (input,), input.shape, input.dtype.real)
        return b.elementwise("atan2", imaginary, real)
    x = b.to_float(input)
    turned = b.where(b.binary("lt", x, 0), b.const(math.pi, x.dtype), b.const(0.0, x.dtype))
    return b.where(b.elementwise("isnan", x), x, turned)


@angle.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    if not input.dtype.is_complex:
        return zeros_like(g)
    size = abs(input)
    turned = g * (sgn(input) * 1j)
    return where(size == 0, 0, turned / where(size == 0, 1, size))


angle.test(one(), np.angle)


# --- whole parts --------------------------------------------------------------------------------


@op(
    "torch Tensor special",
    inplace=True,
    elementwise=True,
    grad_name=lambda decimals: f"RoundBackward{1 if decimals else 0}",
)
def round(input: Value, decimals: int = 0) -> Value:
    """The nearest multiple of 10^-decimals, halves to even; the gradient is zero.

    Follows `torch.round`.

    Integers stay as they are. NotImplementedError for bools and complex tensors.

    >>> import rushlight as rl
    >>> rl.round(rl.tensor([0.5, 1.5, 2.4]))
    tensor([0., 2., 2.])
    """
    require_kind("round_vml_cpu", input, ("int", "float"))
    if input.dtype.kind == "int":
        if decimals:
            raise NotImplementedError(
                '"round_cpu" not implemented for integer tensors with decimals'
            )
        return input
    if not decimals:
        return b.elementwise("round", input)
    x = opmath(input)
    scale = b.const(10.0 ** builtins.abs(decimals), x.dtype)
    up, down = ("mul", "div") if decimals > 0 else ("div", "mul")
    return b.cast(
        b.elementwise(down, b.elementwise("round", b.elementwise(up, x, scale)), scale), input.dtype
    )


round.vjp("input")(zeros_like)
round.test(
    lambda make: [((make(3, 4, low=-30, high=30),), {}), ((make(5),), {"decimals": 1})],
    lambda x, decimals=0: np.round(x * 10**decimals) / 10**decimals,
)


@op("torch Tensor", inplace=True, elementwise=True)
def frac(input: Value) -> Value:
    """x - trunc(x): the fraction, with the sign of x. Floats only. Follows `torch.frac`.

    >>> import rushlight as rl
    >>> rl.frac(rl.tensor([1.5, -2.25]))
    tensor([ 0.5000, -0.2500])
    """
    require_kind("frac_cpu", input)
    x = opmath(input)
    return b.cast(x - trunc(x), input.dtype)


@frac.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


frac.test(one(), lambda x: x - np.trunc(x))

# --- division with remainders -------------------------------------------------------------------


def _divided(name: str, primitive: str, input: Node, other: Node) -> Node:
    """A quotient or remainder: reals only, and no bools among themselves."""
    if b.promoted_dtype(input, other).kind not in ("int", "float"):
        require_kind(name, b.cast(input, b.promoted_dtype(input, other)), ("int", "float"))
    return b.binary(primitive, input, other)


@op("torch Tensor", inplace=True, elementwise=True, grad_name="NotImplemented")
def floor_divide(input: Value, other: Value) -> Value:
    """floor(input / other), as Python's `//`. Follows `torch.floor_divide`.

    RuntimeError (ZeroDivisionError) where an integer is divided by zero, and in backward: only
    `div(rounding_mode="floor")` has a gradient.

    >>> import rushlight as rl
    >>> rl.floor_divide(rl.tensor([4, -3]), 2)
    tensor([ 2, -2])
    """
    return _divided("div_floor_cpu", "floor_divide", input, other)


@op("", inplace=True, elementwise=True, grad_name="DivBackward2")
def floor_quotient(input: Value, other: Value) -> Value:
    """floor(input / other): `div(rounding_mode="floor")`; the gradient is zero."""
    return _divided("div_floor_cpu", "floor_divide", input, other)


@op("", inplace=True, elementwise=True, grad_name="DivBackward2")
def trunc_divide(input: Value, other: Value) -> Value:
    """trunc(input / other): `div(rounding_mode="trunc")`; the gradient is zero."""
    if b.promoted_dtype(input, other) in b.NARROW and other.shape:
        # the quotient is rounded to the narrow type first, and may reach the next whole number
        return b.elementwise("trunc", b.div(input, other))
    return _divided("div_trunc_cpu", "trunc_divide", input, other)


floor_divide.vjp("input", "other")(underivable("floor_divide"))
for _row in (floor_quotient, trunc_divide):
    _row.vjp("input")(zeros_like)
    _row.vjp("other")(zeros_like)
floor_quotient.test(two(0.6, 5), np.floor_divide)
floor_divide.test(two(0.6, 5), np.floor_divide)
trunc_divide.test(two(0.6, 5), lambda x, y: np.trunc(x / y))


@op(
    "torch Tensor",
    inplace=True,
    elementwise=True,
    grad_name=grad_names.numbered("Remainder", by="other", tensor=1, number=0),
)
def remainder(input: Value, other: Value) -> Value:
    """input - other * floor(input / other): Python's `%`, with the sign of `other`.

    Follows `torch.remainder`.

    RuntimeError (ZeroDivisionError) where an integer is divided by zero.

    >>> import rushlight as rl
    >>> rl.remainder(rl.tensor([-3., 5.]), 2)
    tensor([1., 1.])
    """
    return _divided("remainder_cpu", "remainder", input, other)


@remainder.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


@remainder.vjp("other")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return -(g * floor_quotient(input, other))


@op(
    "torch Tensor",
    inplace=True,
    elementwise=True,
    grad_name=grad_names.numbered("Fmod", by="other", tensor=1, number=0),
)
def fmod(input: TensorValue, other: Value) -> Value:
    """input - other * trunc(input / other): C's `fmod`, with the sign of `input`.

    Follows `torch.fmod`.

    RuntimeError (ZeroDivisionError) where an integer is divided by zero.

    >>> import rushlight as rl
    >>> rl.fmod(rl.tensor([-3., 5.]), 2)
    tensor([-1.,  1.])
    """
    return _divided("fmod_cpu", "fmod", input, other)


@fmod.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


@fmod.vjp("other")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return -(g * trunc_divide(input, other))


def _dividends(make: Callable) -> list:
    return [((make(3, 4, low=-7, high=7), make(4, low=1.3, high=2.4)), {})]


remainder.test(_dividends, np.remainder)
fmod.test(_dividends, np.fmod)

# --- powers -------------------------------------------------------------------------------------


@op("", inplace=True, elementwise=True, grad_name=grad_names.powered)
def pow(input: Value, exponent: Value) -> Value:
    """input to the power exponent. Follows `torch.pow`."""
    if b.promoted_dtype(input, exponent) is dtypes.bool_:
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    return b.binary("pow", input, exponent)


@pow.vjp("input")
def _(g, input, exponent):  # type: ignore[no-untyped-def]
    if not hasattr(exponent, "dtype"):
        return (
            zeros_like(g) if exponent == 0 else g * conjugate(exponent * pow(input, exponent - 1))
        )
    return where(exponent == 0, 0, g * conjugate(exponent * pow(input, exponent - 1)))


@pow.vjp("exponent")
def _(g, input, exponent, out):  # type: ignore[no-untyped-def]
    if hasattr(input, "dtype"):
        flat = (input == 0) & (exponent >= 0) if not exponent.dtype.is_complex else input == 0
        return where(flat, 0, g * conjugate(out * log(where(flat, 1, input))))
    if input == 0:
        return where(exponent >= 0, 0, g * conjugate(out * -math.inf))
    size = math.log(builtins.abs(input))
    direction = np.angle(input)
    if isinstance(input, complex):
        return g * conjugate(out * complex(size, direction))
    return g * (out * (size if input > 0 else math.nan))


pow.test(
    lambda make: [
        ((make(3, 4, low=0.3, high=2), make(4)), {}),
        ((make(5, low=0.3, high=2), 2.5), {}),
    ],
    np.power,
)

# the powers that are written without `pow`: x -> x**p from products, roots and reciprocals
_FIXED_POWERS: dict[float, Callable[[Node], Node]] = {
    2.0: lambda x: x * x,
    3.0: lambda x: x * x * x,
    0.5: lambda x: b.elementwise("sqrt", x),
    -0.5: lambda x: b.elementwise("rsqrt", x),
    -1.0: lambda x: b.elementwise("reciprocal", x),
    -2.0: lambda x: b.elementwise("reciprocal", x * x),
}
FIXED_POWERS = frozenset(_FIXED_POWERS)


@op("", inplace=True, elementwise=True, grad_name="PowBackward0")
def pow_fixed(input: Value, exponent: float) -> Value:
    """input to a power that is part of the program (one of FIXED_POWERS): products and roots
    instead of `pow`.
    """
    return b.cast(_FIXED_POWERS[exponent](opmath(input)), input.dtype)


@pow_fixed.vjp("input")
def _(g, input, exponent):  # type: ignore[no-untyped-def]
    less = exponent - 1
    if less == 1.0:
        return g * conjugate(input * exponent)
    lower = pow_fixed(input, less) if less in FIXED_POWERS else pow(input, less)
    return g * conjugate(lower * exponent)


pow_fixed.test(
    lambda make: [((make(3, 4, low=0.3, high=2), power), {}) for power in sorted(FIXED_POWERS)],
    np.power,
)

# --- mixtures -----------------------------------------------------------------------------------


@op(
    "torch Tensor",
    inplace=True,
    elementwise=True,
    grad_name=grad_names.numbered("Lerp", by="weight", tensor=1, number=0),
)
def lerp(input: Value, end: Value, weight: Value) -> Value:
    """input + weight * (end - input), evaluated from the nearer end. Follows `torch.lerp`.

    All tensors have one dtype, else RuntimeError; `weight` is a tensor or a number.

    >>> import rushlight as rl
    >>> rl.lerp(rl.tensor([0., 2.]), rl.tensor([10., 4.]), 0.5)
    tensor([5., 3.])
    """
    require_kind("lerp_kernel_scalar", input, ("float", "complex"))
    require_same_dtype("lerp", input, end=end, weight=weight)
    start, stop = opmath(input), opmath(end)
    part = b.cast(weight, start.dtype)
    small = b.binary("lt", absolute(part), 0.5)
    mixed = b.fma(b.where(small, part, part - 1), stop - start, b.where(small, start, stop))
    return b.cast(mixed, input.dtype)


@lerp.vjp("input")
def _(g, weight):  # type: ignore[no-untyped-def]
    return g * conjugate(1 - weight)


@lerp.vjp("end")
def _(g, weight):  # type: ignore[no-untyped-def]
    return g * conjugate(weight)


@lerp.vjp("weight")
def _(g, input, end):  # type: ignore[no-untyped-def]
    return g * conjugate(end - input)


lerp.test(
    lambda make: [((make(3, 4), make(4), make(3, 1)), {}), ((make(3), make(3), 0.7), {})],
    lambda x, y, w: x + w * (y - x),
)


@op("torch Tensor", inplace=True, elementwise=True)
def addcmul(input: Value, tensor1: Value, tensor2: Value, *, value: Scalar = 1) -> Value:
    """input + value * tensor1 * tensor2, rounded once. Follows `torch.addcmul`.

    >>> import rushlight as rl
    >>> rl.addcmul(rl.tensor([1.]), rl.tensor([2.]), rl.tensor([3.]), value=0.5)
    tensor([4.])
    """
    require_kind(
        "addcmul_cpu_out", b.promote(input, tensor1, tensor2)[0], ("int", "float", "complex")
    )
    x, first, second = (opmath(v) for v in b.promote(input, tensor1, tensor2))
    scale = b.cast(value, x.dtype)
    return b.cast(b.fma(scale * first, second, x), b.promoted_dtype(input, tensor1, tensor2))


@addcmul.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


@addcmul.vjp("tensor1")
def _(g, tensor2, value):  # type: ignore[no-untyped-def]
    return g * conjugate(tensor2 * value)


@addcmul.vjp("tensor2")
def _(g, tensor1, value):  # type: ignore[no-untyped-def]
    return g * conjugate(tensor1 * value)


@op("torch Tensor", inplace=True, elementwise=True)
def addcdiv(input: Value, tensor1: Value, tensor2: Value, *, value: Scalar = 1) -> Value:
    """input + value * tensor1 / tensor2, rounded once; RuntimeError for integers.

    Follows `torch.addcdiv`.

    >>> import rushlight as rl
    >>> rl.addcdiv(rl.tensor([1.]), rl.tensor([3.]), rl.tensor([2.]), value=2)
    tensor([4.])
    """
    if b.promoted_dtype(tensor1, tensor2).kind in ("int", "bool"):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported: use input + value * "
            "torch.trunc(tensor1 / tensor2) "
            "for the historic meaning, or make one of the operands floating"
        )
    x, first, second = (opmath(v) for v in b.promote(input, tensor1, tensor2))
    scale = b.cast(value, x.dtype)
    return b.cast(x + scale * first / second, b.promoted_dtype(input, tensor1, tensor2))


@addcdiv.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


@addcdiv.vjp("tensor1")
def _(g, tensor2, value):  # type: ignore[no-untyped-def]
    return g * conjugate(value / tensor2)


@addcdiv.vjp("tensor2")
def _(g, tensor1, tensor2, value):  # type: ignore[no-untyped-def]
    return -(g * conjugate(value * tensor1 / (tensor2 * tensor2)))


addcmul.test(
    lambda make: [((make(3, 4), make(4), make(3, 1)), {"value": 1.5})],
    lambda x, y, z, value: x + value * y * z,
)
addcdiv.test(
    lambda make: [((make(3, 4), make(4), make(3, 1, low=0.5, high=2)), {"value": 1.5})],
    lambda x, y, z, value: x + value * y / z,
)
