"""Activation functions: elementwise non-linearities, each one node forward and one node backward.

In: a floating tensor (a few take integers) and constants. Out: a tensor of the same shape and
dtype. Invariant: a formula is computed in float32 for float16 and bfloat16 and rounded once,
forward and backward. The sigmoid and tanh are in elementary.py, softmax in softmax.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..graph import build as b
from ..graph.node import Node
from .common import conjugate, one, opmath, require_kind
from .core import conj_physical, where
from .core import sum as sum_
from .elementary import erf, exp, expm1, log1p, sigmoid, tanh
from .registry import Scalar, Value, op

# --- piecewise linear ---------------------------------------------------------------------------


def _masked(make: Any) -> list:
    """Samples away from the kinks at 0, +-0.5, +-1 and +-3 (so that differences see one piece
    only).
    """
    x = make(4, 6, low=-5, high=5)
    for kink in (0.0, 0.5, 1.0, 3.0):
        for sign in (-1.0, 1.0):
            x = np.where(np.abs(x - sign * kink) < 0.05, x + 0.1, x)
    return [((x,), {})]


@op("torch Tensor", inplace=True, elementwise=True)
def relu(input: Value) -> Value:
    """max(x, 0); NaN stays. RuntimeError for bools. Follows `torch.relu`.

    >>> import rushlight as rl
    >>> rl.relu(rl.tensor([-1., 2.]))
    tensor([0., 2.])
    """
    if input.dtype is dtypes.bool_:
        raise RuntimeError("Boolean inputs not supported for relu")
    require_kind("relu", input, ("int", "float"))
    return b.binary("maximum", input, 0)


@relu.vjp("input")
def _(g, out):  # type: ignore[no-untyped-def]
    return where(out <= 0, 0, g)


relu.test(_masked, lambda x: np.maximum(x, 0))


@op("", inplace=True, elementwise=True)
def leaky_relu(input: Value, negative_slope: Scalar = 0.01) -> Value:
    """x where x > 0, negative_slope * x elsewhere."""
    require_kind("leaky_relu_cpu", input)
    return b.where(b.binary("gt", input, 0), input, b.mul(input, negative_slope))


@leaky_relu.vjp("input")
def _(g, input, negative_slope):  # type: ignore[no-untyped-def]
    return where(input > 0, g, g * negative_slope)


leaky_relu.test(_masked, lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x))


@op("", inplace=True, elementwise=True)
def hardtanh(input: Value, min_val: Scalar = -1.0, max_val: Scalar = 1.0) -> Value:
    """min(max(x, min_val), max_val)."""
    require_kind("hardtanh", input, ("int", "float"))
    bounded = b.binary("minimum", b.binary("maximum", input, min_val), max_val)
    return b.cast(bounded, input.dtype)


@hardtanh.vjp("input")
def _(g, input, min_val, max_val):  # type: ignore[no-untyped-def]
    return where((input <= min_val) | (input >= max_val), 0, g)


hardtanh.test(_masked, lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val))


@op("torch", inplace=True, elementwise=True)
def threshold(input: Value, threshold: Scalar, value: Scalar) -> Value:
    """x where x > threshold, value elsewhere (NaN stays). Follows `torch.threshold`.

    >>> import rushlight as rl
    >>> rl.threshold(rl.tensor([0.5, 2.]), 1.0, -1.0)
    tensor([-1.,  2.])
    """
    require_kind("threshold_cpu", input, ("int", "float"))
    return b.where(b.binary("le", input, threshold), b.cast(value, input.dtype), input)


@threshold.vjp("input")
def _(g, input, threshold):  # type: ignore[no-untyped-def]
    return where(input <= threshold, 0, g)


threshold.test(
    lambda make: [((_masked(make)[0][0][0], 1.0, -2.0), {})],
    lambda x, threshold, value: np.where(x > threshold, x, value),
)


@op("", elementwise=True)
def hardsigmoid(input: Value) -> Value:
    """min(max(x + 3, 0), 6) / 6."""
    require_kind("hardsigmoid_cpu", input)
    return b.cast(_six(opmath(input)) * (1.0 / 6.0), input.dtype)


def _six(x: Node) -> Node:
    """min(max(x + 3, 0), 6)."""
    return b.binary("minimum", b.binary("maximum", x + 3.0, 0.0), 6.0)


@hardsigmoid.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    return where((input > -3) & (input < 3), g * (1.0 / 6.0), 0)


hardsigmoid.test(_masked, lambda x: np.clip(x + 3, 0, 6) / 6)


@op("", elementwise=True)
def hardswish(input: Value) -> Value:
    """x * hardsigmoid(x) (Howard et al., arXiv 1905.02244)."""
    require_kind("hardswish_cpu", input)
    x = opmath(input)
    return b.cast(x * _six(x) * (1.0 / 6.0), input.dtype)


@op("", elementwise=True)
def hardswish_backward(grad: Value, input: Value) -> Value:
    """grad times the derivative of hardswish: 0 up to -3, x / 3 + 1 / 2 up to 3, then 1."""
    x, g = opmath(input), opmath(grad)
    middle = b.where(b.binary("lt", x, 3.0), g * (x * (1.0 / 3.0) + 0.5), g)
    return b.cast(b.where(b.binary("le", x, -3.0), 0.0, middle), input.dtype)


@hardswish.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    return hardswish_backward(g, input)


@hardswish_backward.vjp("grad", "input")
def _(g, grad, input):  # type: ignore[no-untyped-def]
    inside = (input > -3) & (input < 3)
    return hardswish_backward(g, input), where(inside, g * grad * (1.0 / 3.0), 0)


def _pairs(make: Any) -> list:
    x = _masked(make)[0][0][0]
    return [((make(*x.shape), x), {})]


hardswish.test(_masked, lambda x: x * np.clip(x + 3, 0, 6) / 6)
hardswish_backward.test(
    _pairs, lambda g, x: g * np.where(x <= -3, 0, np.where(x < 3, x / 3 + 0.5, 1))
)


def _refuse_negative(lambd: float) -> None:
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")


@op("", elementwise=True)
def softshrink(input: Value, lambd: float = 0.5) -> Value:
    """x moved by lambd towards zero, 0 where |x| <= lambd. RuntimeError for a negative lambd."""
    require_kind("softshrink_cpu", input)
    _refuse_negative(lambd)
    less = b.where(b.binary("lt", input, -lambd), input + lambd, input * 0)
    return b.where(b.binary("gt", input, lambd), input - lambd, less)


@softshrink.vjp("input")
def _(g, input, lambd):  # type: ignore[no-untyped-def]
    return where((input >= -lambd) & (input <= lambd), 0, g)


@op("torch Tensor", elementwise=True)
def hardshrink(input: Value, lambd: float = 0.5) -> Value:
    """x where |x| > lambd, 0 elsewhere (NaN stays). Follows `torch.hardshrink`.

    >>> import rushlight as rl
    >>> rl.hardshrink(rl.tensor([0.3, -1.]))
    tensor([ 0., -1.])
    """
    require_kind("hardshrink_cpu", input)
    return b.where(b.binary("ge", input, -lambd) & b.binary("le", input, lambd), 0, input)


@hardshrink.vjp("input")
def _(g, input, lambd):  # type: ignore[no-untyped-def]
    return where((input >= -lambd) & (input <= lambd), 0, g)


softshrink.test(_masked, lambda x, lambd=0.5: np.sign(x) * np.maximum(np.abs(x) - lambd, 0))
hardshrink.test(_masked, lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, 0))


@op("torch Tensor", elementwise=True, grad_name="PreluKernelBackward0")
def prelu(input: Value, weight: Value) -> Value:
    """x where x > 0, weight * x elsewhere; one weight, or one for each channel (dimension 1).

    Follows `torch.prelu`.

    RuntimeError where the number of weights is not that of the channels.

    >>> import rushlight as rl
    >>> rl.prelu(rl.tensor([-2., 3.]), rl.tensor(0.5))
    tensor([-1.,  3.])
    """
    require_kind("prelu_cpu", input)
    if input.dtype is not weight.dtype:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {input.dtype.name} and "
            f"{weight.dtype.name}: cast one of them"
        )
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}"
        )
    if weight.numel not in (1, channels):
        raise RuntimeError(
            "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
            f"{weight.numel} and "
            f"channel size = {channels}."
        )
    slope = b.reshape(weight, _channel_shape(input.ndim, weight.numel))
    return b.where(b.binary("gt", input, 0), input, input * slope)


def _channel_shape(rank: int, count: int) -> list[int]:
    """The shape in which `count` per-channel values meet a tensor of a rank."""
    return [count if d == 1 else 1 for d in range(rank)]


@prelu.vjp("input", "weight")
def _(g, input, weight):  # type: ignore[no-untyped-def]
    rank = input.ndim
    slope = weight.reshape(_channel_shape(rank, weight.numel()))
    share = where(input > 0, 0, g * input)
    others = tuple(d for d in range(rank) if d != 1 or weight.numel() == 1)
    grad_weight = sum_(share, others, False).reshape(weight.shape)
    return where(input > 0, g, g * slope), grad_weight


prelu.test(
    lambda make: [((make(2, 3, 4), make(3)), {}), ((make(2, 3), make(1)), {})],
    lambda x, w: np.where(x > 0, x, x * w.reshape([-1 if d == 1 else 1 for d in range(x.ndim)])),
)

# --- exponential units --------------------------------------------------------------------------

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@op("", inplace=True, elementwise=True)
def elu(input: Value, alpha: Scalar = 1.0, scale: Scalar = 1.0, input_scale: Scalar = 1.0) -> Value:
    """scale * x for x > 0, scale * alpha * (exp(input_scale * x) - 1) elsewhere (Clevert et al.,
    arXiv 1511.07289).
    """
    require_kind("elu_cpu", input)
    x = opmath(input)
    low = expm1(x * input_scale) * (alpha * scale)
    return b.cast(b.where(b.binary("gt", x, 0), x * scale, low), input.dtype)


@op("", elementwise=True)
def elu_backward(
    grad: Value, input: Value, alpha: Scalar, scale: Scalar, input_scale: Scalar
) -> Value:
    """grad times the derivative of elu."""
    x = opmath(input)
    slope = b.where(
        b.binary("gt", x, 0), scale, exp(x * input_scale) * (alpha * scale * input_scale)
    )
    return b.cast(opmath(grad) * slope, input.dtype)


@elu.vjp("input")
def _(g, input, alpha, scale, input_scale):  # type: ignore[no-untyped-def]
    return elu_backward(g, input, alpha, scale, input_scale)


@elu_backward.vjp("grad", "input")
def _(g, grad, input, alpha, scale, input_scale):  # type: ignore[no-untyped-def]
    low = where(input > 0, 0, input)
    bend = exp(low * input_scale) * (alpha * scale * input_scale * input_scale)
    return elu_backward(g, input, alpha, scale, input_scale), where(input > 0, 0, g * grad * bend)


@op("torch", inplace=True, elementwise=True, grad_name="EluBackward0")
def selu(input: Value) -> Value:
    """elu with the scale and alpha that keep mean 0 and variance 1 (Klambauer et al., arXiv
    1706.02515).

    Follows `torch.selu`.

    >>> import rushlight as rl
    >>> rl.selu(rl.tensor([1.]))
    tensor([1.0507])
    """
    return elu(input, SELU_ALPHA, SELU_SCALE, 1.0)


@selu.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    return elu_backward(g, input, SELU_ALPHA, SELU_SCALE, 1.0)


@op("torch", inplace=True, elementwise=True)
def celu(input: Value, alpha: Scalar = 1.0) -> Value:
    """max(0, x) + min(0, alpha (exp(x / alpha) - 1)) (Barron, arXiv 1704.07483).

    Follows `torch.celu`.

    >>> import rushlight as rl
    >>> rl.celu(rl.tensor([1.]))
    tensor([1.])
    """
    return elu(input, alpha, 1.0, 1.0 / alpha)


@celu.vjp("input")
def _(g, input, alpha):  # type: ignore[no-untyped-def]
    return elu_backward(g, input, alpha, 1.0, 1.0 / alpha)


def _elu_reference(x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    return np.where(x > 0, scale * x, scale * alpha * (np.exp(input_scale * x) - 1))


elu.test(lambda make: [*_masked(make), ((make(5), 0.7, 1.2, 0.9), {})], _elu_reference)
elu_backward.test(
    lambda make: [((*_pairs(make)[0][0], 0.7, 1.2, 0.9), {})],
    lambda g, x, a, s, i: g * np.where(x > 0, s, a * s * i * np.exp(i * x)),
)
selu.test(_masked, lambda x: _elu_reference(x, SELU_ALPHA, SELU_SCALE))
celu.test(
    lambda make: [*_masked(make), ((make(5), 0.7), {})],
    lambda x, a=1.0: _elu_reference(x, a, 1.0, 1 / a),
)

# --- smooth units -------------------------------------------------------------------------------


@op("", inplace=True, elementwise=True)
def silu(input: Value) -> Value:
    """x * sigmoid(x), also of complex numbers (Elfwing et al., arXiv 1702.03118)."""
    require_kind("silu_cpu", input, ("float", "complex"))
    x = opmath(input)
    return b.cast(x * sigmoid(x), input.dtype)


@op("", elementwise=True)
def silu_backward(grad: Value, input: Value) -> Value:
    """grad times the (conjugate) derivative of silu: s (1 + x (1 - s))."""
    x = opmath(conj_physical(input))
    s = sigmoid(x)
    return b.cast(opmath(grad) * s * (1 + x * (1 - s)), input.dtype)


@silu.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    return silu_backward(g, input)


@silu_backward.vjp("grad", "input")
def _(g, grad, input):  # type: ignore[no-untyped-def]
    x = conjugate(input)
    s = sigmoid(x)
    slope = s * (1 - s) * (x * (1 - s * 2) + 2)
    return silu_backward(g, x), conjugate(g) * grad * slope


@op("", inplace=True, elementwise=True)
def mish(input: Value) -> Value:
    """x * tanh(log(1 + exp(x))) (Misra, arXiv 1908.08681)."""
    require_kind("mish_cpu", input)
    x = opmath(input)
    return b.cast(x * tanh(_soft_maximum(x)), input.dtype)


def _soft_maximum(x: Any) -> Any:
    """log(1 + exp(x)) without overflow."""
    size = b.elementwise("abs", x)
    return b.binary("maximum", x, 0) + log1p(exp(-size))


@op("", elementwise=True)
def mish_backward(grad: Value, input: Value) -> Value:
    """grad times the derivative of mish: t + x s (1 - t^2), t = tanh(log(1 + exp(x)))."""
    x = opmath(input)
    t = tanh(_soft_maximum(x))
    return b.cast(opmath(grad) * (t + x * sigmoid(x) * (1 - t * t)), input.dtype)


@mish.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    return mish_backward(g, input)


@mish_backward.vjp("grad", "input")
def _(g, grad, input):  # type: ignore[no-untyped-def]
    t, s = tanh(softplus(input)), sigmoid(input)
    u = (1 - t * t) * s
    return mish_backward(g, input), g * grad * (u * (input * (1 - s - t * s * 2) + 2))


@op("", elementwise=True)
def softplus(input: Value, beta: Scalar = 1.0, threshold: Scalar = 20.0) -> Value:
    """log(1 + exp(beta x)) / beta, and x itself where beta x > threshold."""
    require_kind("softplus_cpu", input)
    x = opmath(input)
    scaled = x * beta
    return b.cast(
        b.where(b.binary("gt", scaled, threshold), x, log1p(exp(scaled)) / beta), input.dtype
    )


@op("", elementwise=True)
def softplus_backward(grad: Value, input: Value, beta: Scalar, threshold: Scalar) -> Value:
    """grad times the derivative of softplus: sigmoid(beta x), 1 where beta x > threshold."""
    g, scaled = opmath(grad), opmath(input) * beta
    return b.cast(b.where(b.binary("gt", scaled, threshold), g, g * sigmoid(scaled)), input.dtype)


@softplus.vjp("input")
def _(g, input, beta, threshold):  # type: ignore[no-untyped-def]
    return softplus_backward(g, input, beta, threshold)


@softplus_backward.vjp("grad", "input")
def _(g, grad, input, beta, threshold):  # type: ignore[no-untyped-def]
    scaled = input * beta
    s = sigmoid(scaled)
    bend = where(scaled > threshold, 0, g * grad * (s * (1 - s) * beta))
    return softplus_backward(g, input, beta, threshold), bend


@op("")
def log_sigmoid(input: Value) -> Value:
    """log(1 / (1 + exp(-x)))."""
    require_kind("log_sigmoid_cpu", input)
    x = opmath(input)
    return b.cast(-_soft_maximum(-x), input.dtype)


@op("", elementwise=True)
def log_sigmoid_backward(grad: Value, input: Value) -> Value:
    """grad times the derivative of log_sigmoid: sigmoid(-x)."""
    return b.cast(opmath(grad) * sigmoid(-opmath(input)), input.dtype)


@log_sigmoid.vjp("input")
def _(g, input):  # type: ignore[no-untyped-def]
    return log_sigmoid_backward(g, input)


@log_sigmoid_backward.vjp("grad", "input")
def _(g, grad, input):  # type: ignore[no-untyped-def]
    s = sigmoid(input)
    return log_sigmoid_backward(g, input), g * grad * (s * (s - 1))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _mish_slope(g: Any, x: Any) -> Any:
    w = 4 * (x + 1) + 4 * np.exp(2 * x) + np.exp(3 * x) + np.exp(x) * (4 * x + 6)
    return g * np.exp(x) * w / (2 * np.exp(x) + np.exp(2 * x) + 2) ** 2


silu.test(one(), lambda x: x * _sigmoid(x))
silu_backward.test(_pairs, lambda g, x: g * (_sigmoid(x) + x * _sigmoid(x) * _sigmoid(-x)))
mish.test(one(), lambda x: x * np.tanh(np.log1p(np.exp(x))))
mish_backward.test(_pairs, _mish_slope)
softplus.test(
    lambda make: [*one()(make), ((make(4, 6, low=-3, high=3), 2.0, 3.0), {})],
    lambda x, beta=1.0, threshold=20.0: np.where(
        x * beta > threshold, x, np.log(1 + np.exp(x * beta)) / beta
    ),
)
softplus_backward.test(
    lambda make: [((*_pairs(make)[0][0], 2.0, 3.0), {})],
    lambda g, x, beta, threshold: g * np.where(x * beta > threshold, 1, _sigmoid(x * beta)),
)
log_sigmoid.test(one(), lambda x: np.log(_sigmoid(x)))
log_sigmoid_backward.test(_pairs, lambda g, x: g * _sigmoid(-x))

# --- gelu ---------------------------------------------------------------------------------------

_CUBIC = 0.044715
_LINEAR = math.sqrt(2.0 / math.pi)


def _gelu_kind(approximate: str) -> bool:
    if approximate not in ("none", "tanh"):
        raise RuntimeError(
            f"approximate argument must be either none or tanh, but got {approximate!r}."
        )
    return approximate == "tanh"


@op("", elementwise=True)
def gelu(input: Value, approximate: str = "none") -> Value:
    """x Phi(x), Phi the normal distribution function (Hendrycks and Gimpel, arXiv 1606.08415).

    approximate="tanh": 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). RuntimeError for another
    word.
    """
    require_kind("GeluKernelImpl", input)
    x = opmath(input)
    if _gelu_kind(approximate):
        return b.cast(x * 0.5 * (1 + tanh((x + x * x * x * _CUBIC) * _LINEAR)), input.dtype)
    return b.cast(x * 0.5 * (1 + erf(x * math.sqrt(0.5))), input.dtype)


@op("", elementwise=True)
def gelu_backward(grad: Value, input: Value, approximate: str = "none") -> Value:
    """grad times the derivative of gelu."""
    x = opmath(input)
    if _gelu_kind(approximate):
        t = tanh((x + x * x * x * _CUBIC) * _LINEAR)
        slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (_LINEAR * (1 + 3 * _CUBIC * x * x))
    else:
        density = exp(x * x * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))
        slope = 0.5 * (1 + erf(x * math.sqrt(0.5))) + x * density
    return b.cast(opmath(grad) * slope, input.dtype)


@gelu.vjp("input")
def _(g, input, approximate):  # type: ignore[no-untyped-def]
    return gelu_backward(g, input, approximate)


@gelu_backward.vjp("grad", "input")
def _(g, grad, input, approximate):  # type: ignore[no-untyped-def]
    x = input
    if approximate == "tanh":
        t = tanh((x + x * x * x * _CUBIC) * _LINEAR)
        first = (x * x * (3 * _CUBIC) + 1) * _LINEAR
        bend = (1 - t * t) * (
            first + x * 0.5 * (x * (6 * _CUBIC * _LINEAR) - t * first * first * 2)
        )
    else:
        bend = exp(x * x * -0.5) * (1.0 / math.sqrt(2.0 * math.pi)) * (2 - x * x)
    return gelu_backward(g, input, approximate), g * grad * bend


def _gelu_reference(x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return x * np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2.0)), otypes=[np.float64])(x)


def _gelu_slope(g: Any, x: Any, approximate: str = "none") -> Any:
    h = 1e-4
    f = [_gelu_reference(x + k * h, approximate) for k in (-2, -1, 1, 2)]
    return g * (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)


gelu.test(lambda make: [*one()(make), ((make(7),), {"approximate": "tanh"})], _gelu_reference)
gelu_backward.test(
    lambda make: [((make(7), make(7)), {}), ((make(7), make(7)), {"approximate": "tanh"})],
    _gelu_slope,
)
