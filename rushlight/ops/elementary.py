"""Elementary functions of one variable: exponentials, logarithms, trigonometry, roots, error and
gamma functions.

In: a tensor. Out: a tensor of its shape; integers and bools become the default float. Invariant:
each row is one primitive, so float16 and bfloat16 are computed in float32 and rounded once.
Gradients of holomorphic functions hold for complex tensors in PyTorch's convention (the conjugate
of the derivative times the gradient).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..base import dtype as dtypes
from ..graph import build as b
from .common import conjugate, one, opmath, unary
from .core import mul, where, zeros_like
from .registry import Op, Value, op


def _function(
    name: str,
    formula: str,
    derivative: Callable,
    reference: Callable,
    domain: tuple[float, float],
    example: tuple[str, str],
    surface: str = "torch Tensor",
) -> Op:
    """A row that is one primitive over floats; `example` is the inside of an argument and of its
    printed result.
    """

    def body(input: Value) -> Value:
        return unary(name, input)

    body.__name__ = name
    body.__annotations__ = {"input": "Value", "return": "Value"}
    body.__doc__ = f"""{formula}, element by element.

    The result has the shape of `input`; integers and bools become the default float. Follows
    `torch.{name}`.

    >>> import rushlight as rl
    >>> rl.{name}(rl.tensor([{example[0]}]))
    tensor([{example[1]}])
    """
    row = op(surface, inplace=True, elementwise=True)(body)
    row.vjp("input")(derivative)
    row.test(one(*domain), reference)
    return row


def _each(function: Callable[[float], float]) -> Callable:
    """A function of the `math` module over arrays."""
    return lambda x: np.vectorize(function, otypes=[np.float64])(x)


# --- gradients that are one node ----------------------------------------------------------------


@op("", elementwise=True)
def sigmoid_backward(grad: Value, output: Value) -> Value:
    """grad * y * (1 - y): the gradient of y = sigmoid(x)."""
    y = opmath(conjugate(output))
    return b.cast(opmath(grad) * (1 - y) * y, output.dtype)


@sigmoid_backward.vjp("grad", "output")
def _(g, grad, output):  # type: ignore[no-untyped-def]
    return sigmoid_backward(g, output), g * conjugate(grad) * (1 - 2 * output)


@op("", elementwise=True)
def tanh_backward(grad: Value, output: Value) -> Value:
    """grad * (1 - y^2): the gradient of y = tanh(x)."""
    y = opmath(conjugate(output))
    return b.cast(opmath(grad) * (1 - y * y), output.dtype)


@tanh_backward.vjp("grad", "output")
def _(g, grad, output):  # type: ignore[no-untyped-def]
    return tanh_backward(g, output), g * conjugate(grad) * output * -2


def _with_output(make: Callable) -> list:
    return [((make(3, 4), make(3, 4, low=0.1, high=0.9)), {})]


sigmoid_backward.test(_with_output, lambda g, y: g * y * (1 - y))
tanh_backward.test(_with_output, lambda g, y: g * (1 - y**2))

# --- exponentials and logarithms ----------------------------------------------------------------

exp: Op = _function(
    "exp",
    "e to the power x",
    lambda g, out: g * conjugate(out),
    np.exp,
    (-2, 2),
    ("0., 1.", "1.0000, 2.7183"),
)
exp2: Op = _function(
    "exp2",
    "2 to the power x",
    lambda g, out: g * conjugate(out) * math.log(2.0),
    np.exp2,
    (-2, 2),
    ("0., 3.", "1., 8."),
    "torch Tensor special",
)
expm1: Op = _function(
    "expm1",
    "e to the power x, minus one, accurate near zero",
    lambda g, out: g * (conjugate(out) + 1),
    np.expm1,
    (-2, 2),
    ("0., 1.", "0.0000, 1.7183"),
    "torch Tensor special",
)
log: Op = _function(
    "log",
    "the natural logarithm",
    lambda g, input: g / conjugate(input),
    np.log,
    (0.2, 3),
    ("1., 2.", "0.0000, 0.6931"),
)
log2: Op = _function(
    "log2",
    "the logarithm to base 2",
    lambda g, input: g / (conjugate(input) * math.log(2.0)),
    np.log2,
    (0.2, 3),
    ("1., 8.", "0., 3."),
)
log10: Op = _function(
    "log10",
    "the logarithm to base 10",
    lambda g, input: g / (conjugate(input) * math.log(10.0)),
    np.log10,
    (0.2, 3),
    ("1., 100.", "0., 2."),
)
log1p: Op = _function(
    "log1p",
    "the natural logarithm of 1 + x, accurate near zero",
    lambda g, input: g / (conjugate(input) + 1),
    np.log1p,
    (-0.8, 3),
    ("0., 1.", "0.0000, 0.6931"),
    "torch Tensor special",
)

# --- trigonometry -------------------------------------------------------------------------------

sin: Op = _function(
    "sin",
    "the sine",
    lambda g, input: g * conjugate(cos(input)),
    np.sin,
    (-4, 4),
    ("0., 1.", "0.0000, 0.8415"),
)
cos: Op = _function(
    "cos",
    "the cosine",
    lambda g, input: -(g * conjugate(sin(input))),
    np.cos,
    (-4, 4),
    ("0., 1.", "1.0000, 0.5403"),
)
tan: Op = _function(
    "tan",
    "the tangent",
    lambda g, out: g * conjugate(out * out + 1),
    np.tan,
    (-1.2, 1.2),
    ("0., 1.", "0.0000, 1.5574"),
)
asin: Op = _function(
    "asin",
    "the angle in [-pi/2, pi/2] of a sine",
    lambda g, input: g * conjugate(rsqrt(1 - input * input)),
    np.arcsin,
    (-0.9, 0.9),
    ("0., 1.", "0.0000, 1.5708"),
)
acos: Op = _function(
    "acos",
    "the angle in [0, pi] of a cosine",
    lambda g, input: -(g * conjugate(rsqrt(1 - input * input))),
    np.arccos,
    (-0.9, 0.9),
    ("0., 1.", "1.5708, 0.0000"),
)
atan: Op = _function(
    "atan",
    "the angle in (-pi/2, pi/2) of a tangent",
    lambda g, input: g / conjugate(input * input + 1),
    np.arctan,
    (-3, 3),
    ("0., 1.", "0.0000, 0.7854"),
)
sinh: Op = _function(
    "sinh",
    "the hyperbolic sine",
    lambda g, input: g * conjugate(cosh(input)),
    np.sinh,
    (-2, 2),
    ("0., 1.", "0.0000, 1.1752"),
)
cosh: Op = _function(
    "cosh",
    "the hyperbolic cosine",
    lambda g, input: g * conjugate(sinh(input)),
    np.cosh,
    (-2, 2),
    ("0., 1.", "1.0000, 1.5431"),
)
tanh: Op = _function(
    "tanh",
    "the hyperbolic tangent",
    lambda g, out: tanh_backward(g, out),
    np.tanh,
    (-2, 2),
    ("0., 1.", "0.0000, 0.7616"),
    "torch Tensor nn.functional",
)
asinh: Op = _function(
    "asinh",
    "the inverse of the hyperbolic sine",
    lambda g, input: g * conjugate(rsqrt(input * input + 1)),
    np.arcsinh,
    (-3, 3),
    ("0., 1.", "0.0000, 0.8814"),
)
acosh: Op = _function(
    "acosh",
    "the inverse of the hyperbolic cosine",
    lambda g, input: g * conjugate(rsqrt(input - 1) * rsqrt(input + 1)),
    np.arccosh,
    (1.2, 4),
    ("1., 2.", "0.0000, 1.3170"),
)
atanh: Op = _function(
    "atanh",
    "the inverse of the hyperbolic tangent",
    lambda g, input: g / conjugate(1 - input * input),
    np.arctanh,
    (-0.9, 0.9),
    ("0., 0.5", "0.0000, 0.5493"),
)

# --- roots and reciprocals ----------------------------------------------------------------------

sqrt: Op = _function(
    "sqrt",
    "the square root",
    lambda g, out: g / (conjugate(out) * 2),
    np.sqrt,
    (0.2, 4),
    ("4., 9.", "2., 3."),
)
rsqrt: Op = _function(
    "rsqrt",
    "one over the square root",
    lambda g, out: g * conjugate(out * out * out) * -0.5,
    lambda x: 1 / np.sqrt(x),
    (0.2, 4),
    ("4., 16.", "0.5000, 0.2500"),
)
reciprocal: Op = _function(
    "reciprocal",
    "one over x",
    lambda g, out: -(g * conjugate(out * out)),
    np.reciprocal,
    (0.5, 3),
    ("2., 4.", "0.5000, 0.2500"),
)

# --- error and gamma functions, sigmoid ---------------------------------------------------------

erf: Op = _function(
    "erf",
    "2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x",
    lambda g, input: g * (exp(-(input * input)) * (2.0 / math.sqrt(math.pi))),
    _each(math.erf),
    (-2, 2),
    ("0., 1.", "0.0000, 0.8427"),
    "torch Tensor special",
)
erfc: Op = _function(
    "erfc",
    "1 - erf(x), accurate where that is small",
    lambda g, input: g * (exp(-(input * input)) * (-2.0 / math.sqrt(math.pi))),
    _each(math.erfc),
    (-2, 2),
    ("0., 1.", "1.0000, 0.1573"),
    "torch Tensor special",
)


def _erfinv_reference(y: np.ndarray) -> np.ndarray:
    """The root of erf(x) = y by bisection."""
    low, high = np.full(y.shape, -6.0), np.full(y.shape, 6.0)
    for _ in range(100):
        middle = (low + high) / 2
        below = _each(math.erf)(middle) < y
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def _erfinv_vjp(g: Value, input: Value) -> Value:
    root = erfinv(input)
    return g * (exp(root * root) * (math.sqrt(math.pi) / 2.0))


erfinv: Op = _function(
    "erfinv",
    "the inverse of erf on (-1, 1)",
    _erfinv_vjp,
    _erfinv_reference,
    (-0.9, 0.9),
    ("0., 0.5", "0.0000, 0.4769"),
    "torch Tensor special",
)
lgamma: Op = _function(
    "lgamma",
    "the logarithm of the absolute value of the gamma function",
    lambda g, input: g * digamma(input),
    _each(math.lgamma),
    (0.3, 5),
    ("1., 3.", "0.0000, 0.6931"),
)


def _digamma_derivative(g, input):  # type: ignore[no-untyped-def]
    from .special import polygamma

    return g * polygamma(1, input)


def _digamma_reference(x: np.ndarray) -> np.ndarray:
    """The derivative of log gamma by central differences of fourth order."""
    f, h = _each(math.lgamma), 1e-3
    return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)


digamma: Op = _function(
    "digamma",
    "the derivative of the logarithm of the gamma function",
    _digamma_derivative,
    _digamma_reference,
    (0.6, 5),
    ("1., 2.", "-0.5772,  0.4228"),
    "torch Tensor special",
)
sigmoid: Op = _function(
    "sigmoid",
    "1 / (1 + exp(-x))",
    lambda g, out: sigmoid_backward(g, out),
    lambda x: 1 / (1 + np.exp(-x)),
    (-4, 4),
    ("0., 2.", "0.5000, 0.8808"),
    "torch Tensor nn.functional",
)


# --- angles and squares -------------------------------------------------------------------------


@op("torch Tensor", inplace=True, elementwise=True)
def deg2rad(input: Value) -> Value:
    """Degrees to radians: x * pi / 180. Integers become the default float. Follows `torch.deg2rad`.

    >>> import rushlight as rl
    >>> rl.deg2rad(rl.tensor([180., 90.]))
    tensor([3.1416, 1.5708])
    """
    return b.mul(b.to_float(input), math.pi / 180.0)


@deg2rad.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g * (math.pi / 180.0)


deg2rad.test(one(-180, 180), np.deg2rad)


@op("torch Tensor", inplace=True, elementwise=True)
def rad2deg(input: Value) -> Value:
    """Radians to degrees: x * 180 / pi. Integers become the default float. Follows `torch.rad2deg`.

    >>> import rushlight as rl
    >>> rl.rad2deg(rl.tensor([0., 3.1415927]))
    tensor([  0., 180.])
    """
    return b.mul(b.to_float(input), 180.0 / math.pi)


@rad2deg.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g * (180.0 / math.pi)


rad2deg.test(one(-3, 3), np.rad2deg)


@op("torch Tensor", inplace=True, elementwise=True, grad_name="PowBackward0")
def square(input: Value) -> Value:
    """x * x; bools become integers. Follows `torch.square`.

    >>> import rushlight as rl
    >>> rl.square(rl.tensor([-2., 3.]))
    tensor([4., 9.])
    """
    x = b.cast(input, dtypes.int64) if input.dtype is dtypes.bool_ else input
    return b.mul(x, x)


@square.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    return mul(g, conjugate(input) * 2)


square.test(one(), np.square)


@op("torch Tensor special", inplace=True, elementwise=True)
def sinc(input: Value) -> Value:
    """sin(pi x) / (pi x), and 1 at 0. Follows `torch.sinc`.

    >>> import rushlight as rl
    >>> rl.sinc(rl.tensor([0., 0.5]))
    tensor([1.0000, 0.6366])
    """
    x = opmath(b.to_float(input))
    scaled = b.mul(x, math.pi)
    zero = b.binary("eq", x, 0)
    ratio = b.div(sin(scaled), b.where(zero, 1, scaled))
    return b.cast(b.where(zero, 1, ratio), b.to_float(input).dtype)


@sinc.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    # there the difference below cancels: the power series is summed instead
    near = abs(input) < 0.3
    x = where(near, 1.0, input) * math.pi
    slope = (cos(x) - sin(x) / x) / x * math.pi
    angle = input * math.pi
    series, square_angle = 0.0, angle * angle
    for k in range(9, 0, -1):
        series = series * square_angle + (-1) ** k * 2 * k / math.factorial(2 * k + 1)
    series = series * angle * math.pi
    return g * conjugate(where(near, series, slope))


sinc.test(one(-3, 3), np.sinc)


# --- whole parts --------------------------------------------------------------------------------


def _whole(name: str, meaning: str, reference: Callable, example: tuple[str, str]) -> Op:
    """A row that rounds to whole numbers; integers stay as they are."""

    def body(input: Value) -> Value:
        _refuse_whole(name, input)
        return b.elementwise(name, input) if input.dtype.kind == "float" else input

    body.__name__ = name
    body.__annotations__ = {"input": "Value", "return": "Value"}
    body.__doc__ = f"""{meaning}; integers stay as they are, the gradient is zero.

    Follows `torch.{name}`.

    NotImplementedError for bool and complex tensors.

    >>> import rushlight as rl
    >>> rl.{name}(rl.tensor([{example[0]}]))
    tensor([{example[1]}])
    """
    row = op(
        "torch Tensor special" if name == "round" else "torch Tensor",
        inplace=True,
        elementwise=True,
    )(body)
    row.vjp("input")(zeros_like)
    row.test(one(-3, 3), reference)
    return row


def _refuse_whole(name: str, x: Value) -> None:
    """NotImplementedError for dtypes that have no whole part."""
    if x.dtype.kind == "complex":
        raise NotImplementedError(f"{name} is not supported for complex inputs")
    if x.dtype.kind == "bool":
        raise NotImplementedError(f"\"{name}_vml_cpu\" not implemented for 'Bool'")


floor: Op = _whole("floor", "The largest whole number <= x", np.floor, ("-1.5, 1.5", "-2.,  1."))
ceil: Op = _whole("ceil", "The smallest whole number >= x", np.ceil, ("-1.5, 1.5", "-1.,  2."))
trunc: Op = _whole("trunc", "x without its fraction", np.trunc, ("-1.5, 1.5", "-1.,  1."))
