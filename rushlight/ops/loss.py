"""Losses that compare element by element: squares, distances, binary cross entropies, divergence.

In: predictions and targets that broadcast; `reduction` is "none", "mean" or "sum". Out: one loss
for each element, or their mean or sum. Invariant: float16 and bfloat16 are computed and summed in
float32 and rounded once. Losses over classes are in classes.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base.layout import broadcast_shapes
from ..graph import build as b
from ..graph.node import Node
from . import grad_names
from .activation import log_sigmoid
from .arithmetic import abs, sgn
from .common import absolute, opmath, require_kind
from .core import where
from .elementary import exp, log, log1p, sigmoid
from .pairs import xlogy
from .registry import Value, op

REDUCTIONS = ("none", "mean", "sum")


def check_reduction(reduction: str) -> None:
    """ValueError for a word that names no reduction."""
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"{reduction} is not a valid value for reduction: it is one of {', '.join(REDUCTIONS)}"
        )


def _operands(name: str, *operands: Value) -> list[Node]:
    """The operands broadcast in working precision; NotImplementedError for integers."""
    nodes = b.broadcast(*b.promote(*operands))
    require_kind(name, nodes[0], ("float", "complex"))
    return [opmath(x) for x in nodes]


def _reduced(loss: Node, reduction: str, *operands: Value) -> Node:
    """The losses, their mean or their sum, in the dtype of the operands."""
    check_reduction(reduction)
    if reduction == "mean":
        loss = b.mean(loss)
    elif reduction == "sum":
        loss = b.reduce("sum", loss)
    type_ = b.promoted_dtype(*operands)
    return b.cast(loss, type_.real if not loss.dtype.is_complex else type_)


def _spread(g: Any, reduction: str, *operands: Any) -> Any:
    """The gradient of each single loss."""
    if reduction != "mean":
        return g
    count = 1
    for extent in broadcast_shapes(*(x.shape for x in operands)):
        count *= extent
    return g / max(count, 1)


def _each(make: Callable, *rest: Any) -> list:
    """Samples for every reduction."""
    return [((make(3, 4), make(3, 4), *rest, reduction), {}) for reduction in REDUCTIONS]


def _joined(loss: np.ndarray, reduction: str) -> np.ndarray:
    return {"none": loss, "mean": loss.mean(), "sum": loss.sum()}[reduction]


# --- distances ----------------------------------------------------------------------------------


@op("", elementwise=True, grad_name="MseLossBackward0")
def mse_loss(input: Value, target: Value, reduction: str = "mean") -> Value:
    """(input - target)^2."""
    x, y = _operands("mse_cpu", input, target)
    return _reduced((x - y) * (x - y), reduction, input, target)


@mse_loss.vjp("input", "target")
def _(g, input, target, reduction):  # type: ignore[no-untyped-def]
    slope = (input - target) * (_spread(g, reduction, input, target) * 2)
    return slope, -slope


@op("", elementwise=True, grad_name=grad_names.averaged("AbsBackward0"), frozen=("input", "target"))
def l1_loss(input: Value, target: Value, reduction: str = "mean") -> Value:
    """|input - target|."""
    x, y = _operands("l1_cpu", input, target)
    return _reduced(absolute(x - y), reduction, input, target)


@l1_loss.vjp("input", "target")
def _(g, input, target, reduction):  # type: ignore[no-untyped-def]
    slope = sgn(input - target) * _spread(g, reduction, input, target)
    return slope, -slope


@op("", elementwise=True, grad_name=grad_names.smooth_distance)
def smooth_l1_loss(
    input: Value, target: Value, reduction: str = "mean", beta: float = 1.0
) -> Value:
    """d^2 / (2 beta) where d = |input - target| < beta, d - beta / 2 elsewhere (Girshick, arXiv
    1504.08083).
    """
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    x, y = _operands("smooth_l1_cpu", input, target)
    distance = absolute(x - y)
    far = distance - 0.5 * beta
    near = distance * distance * (0.5 / beta) if beta else far
    return _reduced(b.where(b.binary("lt", distance, beta), near, far), reduction, input, target)


@smooth_l1_loss.vjp("input", "target")
def _(g, input, target, reduction, beta):  # type: ignore[no-untyped-def]
    gap = input - target
    near = gap * (1.0 / beta) if beta else gap
    slope = where(abs(gap) < beta, near, sgn(gap)) * _spread(g, reduction, input, target)
    return slope, -slope


@op("", elementwise=True)
def huber_loss(input: Value, target: Value, reduction: str = "mean", delta: float = 1.0) -> Value:
    """d^2 / 2 where d = |input - target| <= delta, else delta (d - delta / 2) (Huber, 1964)."""
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    x, y = _operands("huber_cpu", input, target)
    distance = absolute(x - y)
    far = (distance - 0.5 * delta) * delta
    return _reduced(
        b.where(b.binary("le", distance, delta), distance * distance * 0.5, far),
        reduction,
        input,
        target,
    )


@huber_loss.vjp("input", "target")
def _(g, input, target, reduction, delta):  # type: ignore[no-untyped-def]
    gap = input - target
    slope = where(abs(gap) <= delta, gap, sgn(gap) * delta) * _spread(g, reduction, input, target)
    return slope, -slope


def _smooth_reference(x: Any, y: Any, reduction: str, beta: float = 1.0) -> Any:
    d = np.abs(x - y)
    return _joined(np.where(d < beta, d * d / (2 * beta), d - beta / 2), reduction)


def _huber_reference(x: Any, y: Any, reduction: str, delta: float = 1.0) -> Any:
    d = np.abs(x - y)
    return _joined(np.where(d <= delta, d * d / 2, delta * (d - delta / 2)), reduction)


mse_loss.test(
    lambda make: [*_each(make), ((make(3, 4), make(4)), {})],
    lambda x, y, r="mean": _joined((x - y) ** 2, r),
)
l1_loss.test(_each, lambda x, y, r: _joined(np.abs(x - y), r))
smooth_l1_loss.test(
    lambda make: [*_each(make), ((make(9), make(9), "sum", 0.5), {})], _smooth_reference
)
huber_loss.test(lambda make: [*_each(make), ((make(9), make(9), "sum", 0.5), {})], _huber_reference)

# --- binary cross entropies ---------------------------------------------------------------------


@op("", elementwise=True)
def binary_cross_entropy(
    input: Value, target: Value, weight: Value | None = None, reduction: str = "mean"
) -> Value:
    """-(t log x + (1 - t) log(1 - x)), the logarithms at least -100, times `weight`; RuntimeError
    for an x or a t outside [0, 1].
    """
    x, t = _operands("binary_cross_entropy", input, target)
    positive = b.binary("maximum", log(x), -100.0)
    negative = b.binary("maximum", log1p(-x), -100.0)
    loss = (t - 1) * negative - t * positive
    bounded = b.required(
        (x >= 0) & (x <= 1) & (t >= 0) & (t <= 1),
        "all elements of input should be between 0 and 1, "
        "and all elements of target should be between 0 and 1",
    )
    loss = loss * b.cast(bounded, loss.dtype)
    return _reduced(loss if weight is None else loss * opmath(weight), reduction, input, target)


def _weighted(g: Any, weight: Any) -> Any:
    return g if weight is None else g * weight


@binary_cross_entropy.vjp("input")
def _(g, input, target, weight, reduction):  # type: ignore[no-untyped-def]
    each = _weighted(_spread(g, reduction, input, target), weight)
    spread = (1 - input) * input
    return each * (input - target) / where(spread < 1e-12, 1e-12, spread)


@binary_cross_entropy.vjp("target")
def _(g, input, target, weight, reduction):  # type: ignore[no-untyped-def]
    each = _weighted(_spread(g, reduction, input, target), weight)
    return each * (log1p(-input) - log(input))


@binary_cross_entropy.vjp("weight")
def _(g, input, target, reduction):  # type: ignore[no-untyped-def]
    return _spread(g, reduction, input, target) * binary_cross_entropy(input, target, None, "none")


@op("", elementwise=True)
def binary_cross_entropy_with_logits(
    input: Value,
    target: Value,
    weight: Value | None = None,
    pos_weight: Value | None = None,
    reduction: str = "mean",
) -> Value:
    """-(p t log s + (1 - t) log(1 - s)) with s = sigmoid(x), p = `pos_weight`, times `weight`,
    without overflow; rounded after every operation, as PyTorch does.
    """
    _operands("binary_cross_entropy_with_logits", input, target)
    soft = log_sigmoid(input)
    share = 1 if pos_weight is None else (pos_weight - 1) * target + 1
    loss = (1 - target) * input - soft * share
    loss = loss if weight is None else loss * weight
    return _reduced(opmath(loss), reduction, input, target)


@binary_cross_entropy_with_logits.vjp("input")
def _(g, input, target, weight, pos_weight, reduction):  # type: ignore[no-untyped-def]
    each = _weighted(_spread(g, reduction, input, target), weight)
    if pos_weight is None:
        return each * (sigmoid(input) - target)
    positive = target * pos_weight
    return each * ((positive + 1 - target) * sigmoid(input) - positive)


@binary_cross_entropy_with_logits.vjp("target")
def _(g, input, target, weight, pos_weight, reduction):  # type: ignore[no-untyped-def]
    each = _weighted(_spread(g, reduction, input, target), weight)
    if pos_weight is None:
        return -(each * input)
    return each * (log_sigmoid(-input) - log_sigmoid(input) * pos_weight)


@binary_cross_entropy_with_logits.vjp("weight")
def _(g, input, target, pos_weight, reduction):  # type: ignore[no-untyped-def]
    each = binary_cross_entropy_with_logits(input, target, None, pos_weight, "none")
    return _spread(g, reduction, input, target) * each


@binary_cross_entropy_with_logits.vjp("pos_weight")
def _(g, input, target, weight, reduction):  # type: ignore[no-untyped-def]
    each = _weighted(_spread(g, reduction, input, target), weight)
    return -(each * target * log_sigmoid(input))


def _bce_samples(make: Callable) -> list:
    def share() -> np.ndarray:
        return make(3, 4, low=0.1, high=0.9)

    return [((share(), share(), None, reduction), {}) for reduction in REDUCTIONS] + [
        ((share(), share(), make(4, low=0.5, high=2), "mean"), {})
    ]


def _logit_samples(make: Callable) -> list:
    def share() -> np.ndarray:
        return make(3, 4, low=0.1, high=0.9)

    return [((make(3, 4), share(), None, None, reduction), {}) for reduction in REDUCTIONS] + [
        ((make(3, 4), share(), make(4), make(4, low=0.5, high=2), "sum"), {})
    ]


def _bce_reference(x: Any, t: Any, weight: Any = None, reduction: str = "mean") -> Any:
    loss = -(t * np.log(x) + (1 - t) * np.log(1 - x)) * (1 if weight is None else weight)
    return _joined(loss, reduction)


def _logit_reference(
    x: Any, t: Any, weight: Any = None, pos: Any = None, reduction: str = "mean"
) -> Any:
    s = 1 / (1 + np.exp(-x))
    loss = -((1 if pos is None else pos) * t * np.log(s) + (1 - t) * np.log(1 - s)) * (
        1 if weight is None else weight
    )
    return _joined(loss, reduction)


binary_cross_entropy.test(_bce_samples, _bce_reference)
binary_cross_entropy_with_logits.test(_logit_samples, _logit_reference)

# --- divergence ---------------------------------------------------------------------------------


@op("", elementwise=True, grad_name=grad_names.divergence, frozen=("input", "target"))
def kl_div(input: Value, target: Value, reduction: str = "mean", log_target: bool = False) -> Value:
    """t (log t - x), or exp(t) (t - x) with `log_target`: input is a logarithm of probabilities."""
    x, t = _operands("kl_div", input, target)
    loss = exp(t) * (t - x) if log_target else xlogy(t, t) - t * x
    return _reduced(loss, reduction, input, target)


@kl_div.vjp("input")
def _(g, input, target, reduction, log_target):  # type: ignore[no-untyped-def]
    return -(_spread(g, reduction, input, target) * (exp(target) if log_target else target))


@kl_div.vjp("target")
def _(g, input, target, reduction, log_target):  # type: ignore[no-untyped-def]
    each = _spread(g, reduction, input, target)
    if log_target:
        return each * exp(target) * (target - input + 1)
    none = target == 0
    return where(none, 0, each * (log(where(none, 1, target)) + 1 - input))


def _kl_samples(make: Callable) -> list:
    return [
        ((make(3, 4), make(3, 4, low=0.1, high=0.9), reduction), {}) for reduction in REDUCTIONS
    ] + [((make(3, 4), make(3, 4), "sum", True), {})]


def _kl_reference(x: Any, t: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    return _joined(np.exp(t) * (t - x) if log_target else t * (np.log(t) - x), reduction)


kl_div.test(_kl_samples, _kl_reference)
