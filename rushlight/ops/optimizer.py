"""The steps of stochastic gradient descent and of Adam, each parameter's as one node.

In: a parameter, its gradient and its state, all of one shape and dtype; numbers that change from
step to step as runtime scalars. Out: their new values. Invariant: every statement below that ends
in `_rounded` (or is a `fma`) is one operation of PyTorch's own implementation and rounds as that
one, so that a fused step equals an unfused one bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base.dtype import dtype
from ..graph import build as b
from ..graph.node import Node
from .common import absolute, opmath
from .core import where
from .elementary import sqrt
from .registry import Scalar, Value, op


class _Step:
    """Arithmetic in the working precision of a dtype, each result rounded to the dtype itself."""

    def __init__(self, type_: dtype) -> None:
        self.type = type_

    def number(self, value: Node | float) -> Node:
        """A Python number, once in double precision, in the working precision."""
        zero = opmath(b.const(0, self.type))
        return b.cast(value, zero.dtype)

    def rounded(self, value: Node) -> Node:
        return opmath(b.cast(value, self.type))

    def scaled(self, x: Node, factor: Node | float) -> Node:
        """x.mul(factor)"""
        return self.rounded(x * self.number(factor))

    def added(self, x: Node, y: Node, alpha: Node | float) -> Node:
        """x.add(y, alpha=alpha): the factor is rounded to the dtype, product and sum are rounded
        together.
        """
        factor = opmath(b.cast(alpha, self.type))
        return self.rounded(b.fma(factor, y, x))

    def mixed(self, x: Node, y: Node, weight: Any) -> Node:
        """x.lerp(y, weight)"""
        part = self.number(weight)
        small = b.binary("lt", absolute(part), 0.5)
        return self.rounded(b.fma(b.where(small, part, part - 1), y - x, b.where(small, x, y)))

    def gradient(
        self, grad: Value, param: Node, factor: Scalar, decay: bool, maximize: bool
    ) -> Node:
        """The gradient of what is minimised, with the decay of the parameter added where that is
        asked for.
        """
        g = opmath(grad)
        g = -g if maximize else g
        return self.added(g, param, factor) if decay else g


@op("")
def sgd_step(
    param: Value, grad: Value, lr: Scalar, weight_decay: Scalar, *, decay: bool, maximize: bool
) -> Value:
    """param - lr * (grad + weight_decay * param), the second term only with `decay`."""
    step = _Step(param.dtype)
    p = opmath(param)
    g = step.gradient(grad, p, weight_decay, decay, maximize)
    return b.cast(step.added(p, g, -lr), param.dtype)


@op("")
def sgd_momentum_step(
    param: Value,
    grad: Value,
    buf: Value,
    lr: Scalar,
    momentum: Scalar,
    dampening: Scalar,
    weight_decay: Scalar,
    *,
    decay: bool,
    nesterov: bool,
    maximize: bool,
) -> tuple[Value, Value]:
    """The parameter and the momentum buffer after a step (Sutskever et al., ICML 2013, as PyTorch
    defines it).
    """
    step = _Step(param.dtype)
    p = opmath(param)
    g = step.gradient(grad, p, weight_decay, decay, maximize)
    velocity = step.added(step.scaled(opmath(buf), momentum), g, 1 - dampening)
    towards = step.added(g, velocity, momentum) if nesterov else velocity
    return b.cast(step.added(p, towards, -lr), param.dtype), b.cast(velocity, param.dtype)


def _moments(
    step: _Step,
    param: Value,
    grad: Value,
    exp_avg: Value,
    exp_avg_sq: Value,
    beta1: Scalar,
    beta2: Scalar,
    decay_by: Scalar,
    decay: str,
    maximize: bool,
) -> tuple[Node, Node, Node]:
    """The parameter after decay, and both running means."""
    p = opmath(param)
    g = step.gradient(grad, p, decay_by, decay == "coupled", maximize)
    if decay == "decoupled":
        p = step.scaled(p, decay_by)
    mean = step.mixed(opmath(exp_avg), g, 1 - beta1)
    kept = step.scaled(opmath(exp_avg_sq), beta2)
    square = step.rounded(b.fma(step.number(1 - beta2) * g, g, kept))
    return p, mean, square


def _adam_update(
    step: _Step,
    p: Node,
    mean: Node,
    square: Node,
    step_size: Scalar,
    bias2_sqrt: Scalar,
    eps: Scalar,
) -> Node:
    """p - step_size * mean / (sqrt(square) / bias2_sqrt + eps)"""
    root = step.rounded(sqrt(square))
    size = step.rounded(root / step.number(bias2_sqrt))
    size = step.rounded(size + step.number(eps))
    return step.rounded(p + step.number(-step_size) * mean / size)


@op("")
def adam_step(
    param: Value,
    grad: Value,
    exp_avg: Value,
    exp_avg_sq: Value,
    step_size: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    bias2_sqrt: Scalar,
    eps: Scalar,
    decay_by: Scalar,
    *,
    decay: str,
    maximize: bool,
) -> tuple[Value, Value, Value]:
    """The parameter and both running means after a step of Adam (Kingma and Ba, arXiv 1412.6980).

    decay "none"; "coupled": decay_by is the weight decay, added to the gradient; "decoupled":
    decay_by is 1 - lr * weight decay and multiplies the parameter (Loshchilov and Hutter, arXiv
    1711.05101).
    """
    step, type_ = _Step(param.dtype), param.dtype
    p, mean, square = _moments(
        step, param, grad, exp_avg, exp_avg_sq, beta1, beta2, decay_by, decay, maximize
    )
    moved = _adam_update(step, p, mean, square, step_size, bias2_sqrt, eps)
    return b.cast(moved, type_), b.cast(mean, type_), b.cast(square, type_)


@op("")
def adam_amsgrad_step(
    param: Value,
    grad: Value,
    exp_avg: Value,
    exp_avg_sq: Value,
    max_exp_avg_sq: Value,
    step_size: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    bias2_sqrt: Scalar,
    eps: Scalar,
    decay_by: Scalar,
    *,
    decay: str,
    maximize: bool,
) -> tuple[Value, Value, Value, Value]:
    """adam_step with the largest second mean so far in the denominator (Reddi et al., arXiv
    1904.09237).
    """
    step, type_ = _Step(param.dtype), param.dtype
    p, mean, square = _moments(
        step, param, grad, exp_avg, exp_avg_sq, beta1, beta2, decay_by, decay, maximize
    )
    largest = b.binary("maximum", opmath(max_exp_avg_sq), square)
    moved = _adam_update(step, p, mean, largest, step_size, bias2_sqrt, eps)
    return b.cast(moved, type_), b.cast(mean, type_), b.cast(square, type_), b.cast(largest, type_)


# --- gradients, for steps that are themselves differentiated ------------------------------------


@sgd_step.vjp("param", "grad")
def _(g, lr, weight_decay, decay, maximize):  # type: ignore[no-untyped-def]
    step = g * -lr
    return (g + step * weight_decay if decay else g), (-step if maximize else step)


@sgd_momentum_step.vjp("param", "grad", "buf")
def _(g0, g1, lr, momentum, dampening, weight_decay, decay, nesterov, maximize):  # type: ignore[no-untyped-def]
    step = g0 * -lr
    velocity = g1 + (step * momentum if nesterov else step)
    slope = velocity * (1 - dampening) + (step if nesterov else 0)
    return (
        (g0 + slope * weight_decay if decay else g0),
        (-slope if maximize else slope),
        velocity * momentum,
    )


def _adam_slopes(
    g0: Any, g1: Any, mean: Any, square: Any, step_size: float, bias2_sqrt: float, eps: float
) -> tuple:
    """The gradients of the first mean, and of the second by way of the denominator."""
    root = sqrt(square)
    size = root / bias2_sqrt + eps
    pull = g0 * step_size / size
    return g1 - pull, pull * mean / size / (root * (2 * bias2_sqrt))


def _adam_inputs(
    g0: Any,
    to_mean: Any,
    to_square: Any,
    param: Any,
    grad: Any,
    beta1: float,
    beta2: float,
    decay_by: float,
    decay: str,
    maximize: bool,
) -> tuple:
    """The gradients of the parameter, the gradient and both means, from those of the new means."""
    g = -grad if maximize else grad
    g = g + param * decay_by if decay == "coupled" else g
    slope = to_mean * (1 - beta1) + to_square * g * (2 * (1 - beta2))
    to_param = g0 * decay_by if decay == "decoupled" else g0
    to_param = to_param + slope * decay_by if decay == "coupled" else to_param
    return to_param, (-slope if maximize else slope), to_mean * beta1, to_square * beta2


@adam_step.vjp("param", "grad", "exp_avg", "exp_avg_sq")
def _(  # type: ignore[no-untyped-def]
    g0,
    g1,
    g2,
    out1,
    out2,
    param,
    grad,
    step_size,
    beta1,
    beta2,
    bias2_sqrt,
    eps,
    decay_by,
    decay,
    maximize,
):
    to_mean, to_square = _adam_slopes(g0, g1, out1, out2, step_size, bias2_sqrt, eps)
    return _adam_inputs(
        g0, to_mean, g2 + to_square, param, grad, beta1, beta2, decay_by, decay, maximize
    )


@adam_amsgrad_step.vjp("param", "grad", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
def _(  # type: ignore[no-untyped-def]
    g0,
    g1,
    g2,
    g3,
    out1,
    out2,
    out3,
    max_exp_avg_sq,
    param,
    grad,
    step_size,
    beta1,
    beta2,
    bias2_sqrt,
    eps,
    decay_by,
    decay,
    maximize,
):
    to_mean, to_largest = _adam_slopes(g0, g1, out1, out3, step_size, bias2_sqrt, eps)
    to_largest = g3 + to_largest
    grown = where(out2 > max_exp_avg_sq, 1.0, where(out2 == max_exp_avg_sq, 0.5, 0.0))
    made = _adam_inputs(
        g0, to_mean, g2 + to_largest * grown, param, grad, beta1, beta2, decay_by, decay, maximize
    )
    return *made, to_largest * (1 - grown)


# --- references ---------------------------------------------------------------------------------


def _sgd_reference(
    param: Any, grad: Any, lr: float, weight_decay: float, *, decay: bool, maximize: bool
) -> Any:
    g = (-grad if maximize else grad) + (weight_decay * param if decay else 0)
    return param - lr * g


def _momentum_reference(
    param: Any,
    grad: Any,
    buf: Any,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    *,
    decay: bool,
    nesterov: bool,
    maximize: bool,
) -> Any:
    g = (-grad if maximize else grad) + (weight_decay * param if decay else 0)
    new = momentum * buf + (1 - dampening) * g
    return param - lr * (g + momentum * new if nesterov else new), new


def _adam_reference(
    param: Any,
    grad: Any,
    m: Any,
    v: Any,
    step_size: float,
    beta1: float,
    beta2: float,
    bias2_sqrt: float,
    eps: float,
    decay_by: float,
    *,
    decay: str,
    maximize: bool,
    largest: Any = None,
) -> Any:
    g = -grad if maximize else grad
    g = g + decay_by * param if decay == "coupled" else g
    p = param * decay_by if decay == "decoupled" else param
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    size = v if largest is None else np.maximum(largest, v)
    moved = p - step_size * m / (np.sqrt(size) / bias2_sqrt + eps)
    return (moved, m, v) if largest is None else (moved, m, v, size)


def _amsgrad_reference(
    param: Any, grad: Any, m: Any, v: Any, largest: Any, *numbers: float, **flags: Any
) -> Any:
    return _adam_reference(param, grad, m, v, *numbers, largest=largest, **flags)


def _states(make: Callable, positive: int) -> list[np.ndarray]:
    """Parameter, gradient and first moment, then `positive` second moments."""
    return [make(3, 4) for _ in range(3)] + [make(3, 4, low=0.1, high=1) for _ in range(positive)]


_FLAGS = [{"decay": False, "maximize": False}, {"decay": True, "maximize": True}]
_ADAM_FLAGS = [
    {"decay": how, "maximize": how == "coupled"} for how in ("none", "coupled", "decoupled")
]
_ADAM_NUMBERS = (0.01, 0.9, 0.99, 0.3, 1e-3, 0.95)

sgd_step.test(
    lambda make: [((*_states(make, 0)[:2], 0.1, 0.01), flags) for flags in _FLAGS], _sgd_reference
)
sgd_momentum_step.test(
    lambda make: [
        ((*_states(make, 0), 0.1, 0.9, 0.2, 0.01), {**flags, "nesterov": nesterov})
        for flags in _FLAGS
        for nesterov in (False, True)
    ],
    _momentum_reference,
)
adam_step.test(
    lambda make: [((*_states(make, 1), *_ADAM_NUMBERS), flags) for flags in _ADAM_FLAGS],
    _adam_reference,
)
adam_amsgrad_step.test(
    lambda make: [((*_states(make, 2), *_ADAM_NUMBERS), flags) for flags in _ADAM_FLAGS],
    _amsgrad_reference,
)
