"""Losses over classes: negative log likelihood and cross entropy, each one node forward and one
backward.

In: scores (C), (N, C) or (N, C, d1, ...), and for each position a class index, or (cross entropy)
probabilities of the shape of the scores. Out: one loss for each position, or their weighted mean or
sum. Invariants: positions whose target is `ignore_index` count for nothing, whatever their scores;
an index outside [0, C) raises when the program runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..graph import build as b
from ..graph.node import Node
from . import grad_names
from .common import TYPE_NAMES, opmath, require_kind
from .core import full
from .core import sum as sum_
from .loss import check_reduction
from .reduction import put_one, take_one
from .registry import Value, op
from .softmax import log_softmax, softmax, softmax_backward


def _class_axis(x: Any) -> int:
    """The dimension of the classes."""
    return 0 if x.ndim == 1 else 1


def _check(name: str, input: Node, target: Node, weight: Node | None) -> None:
    """PyTorch's errors for shapes and dtypes that do not fit together."""
    require_kind(name, input)
    if input.ndim == 0:
        raise RuntimeError(f"{name}: the scores must have at least one dimension, the classes")
    if target.dtype not in (dtypes.int64, dtypes.uint8):
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {TYPE_NAMES[target.dtype.name]}"
        )
    if input.ndim <= 2 and target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    axis = _class_axis(input)
    wanted = (*input.shape[:axis], *input.shape[axis + 1 :])
    if input.ndim > 1 and target.shape[:1] != wanted[:1]:
        found = target.shape[0] if target.ndim else 1
        raise ValueError(
            f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({found})."
        )
    if target.shape != wanted and not (input.ndim == 1 and target.shape == (1,)):
        raise RuntimeError(f"Expected target size {list(wanted)}, got {list(target.shape)}")
    _check_weight(input, weight)


def _check_weight(input: Node, weight: Node | None) -> None:
    classes = input.shape[_class_axis(input)]
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but "
            "got weight tensor of "
            f"shape: {list(weight.shape)}"
        )
    if weight is not None and weight.dtype is not input.dtype:
        raise RuntimeError(
            f"expected scalar type {TYPE_NAMES[input.dtype.name]} but found "
            f"{TYPE_NAMES[weight.dtype.name]}: "
            "the class weights must have the dtype of the scores"
        )


def _weights_of(
    target: Node, weight: Node | None, classes: int, ignore_index: int, like: Node
) -> tuple[Node, Node, Node]:
    """For each position: whether it counts, its class (0 where it does not), its weight (0 where it
    does not).

    Reading the class's weight is what checks the index, so a negative one is moved out of bounds
    first.
    """
    counts = b.binary("ne", target, b.const(ignore_index, dtypes.int64))
    index = b.cast(target, dtypes.int64)
    index = b.where(b.binary("lt", index, 0), b.const(classes, dtypes.int64), index)
    index = b.where(counts, index, b.const(0, dtypes.int64))
    table = b.expand(b.const(1, like.dtype), (classes,)) if weight is None else opmath(weight)
    return counts, index, b.where(counts, b.gather(table, index), b.const(0, like.dtype))


def _mean_or_sum(loss: Node, share: Node, reduction: str) -> Node:
    """The losses as they are, their sum, or their sum over the sum of the shares."""
    check_reduction(reduction)
    if reduction == "none":
        return loss
    total = b.reduce("sum", loss)
    return total if reduction == "sum" else b.elementwise("div", total, b.reduce("sum", share))


def _for_each(grad: Node, share: Node, reduction: str, counts: Node | None) -> Node:
    """The gradient of each position's loss: zero where it does not count, even if none does."""
    g = opmath(grad)
    if reduction == "mean":
        g = b.elementwise("div", g, b.reduce("sum", share))
    g = b.expand(g, share.shape)
    return g if counts is None else b.where(counts, g, b.const(0, g.dtype))


def _row_of(target: Node, input_ndim: int) -> Node:
    """The target without the batch dimension that PyTorch tolerates for unbatched scores."""
    return b.reshape(target, ()) if input_ndim == 1 and target.shape == (1,) else target


# --- negative log likelihood --------------------------------------------------------------------


@op("", grad_name=grad_names.likelihood, guarded=("input",))
def nll_loss(
    input: Value,
    target: Value,
    weight: Value | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
) -> Value:
    """-weight[t] * input[t]; the mean is over the sum of the weights. Input holds logarithms of
    probabilities.
    """
    _check("nll_loss_out_frame", input, target, weight)
    x, target = opmath(input), _row_of(target, input.ndim)
    axis = _class_axis(x)
    counts, index, share = _weights_of(target, weight, x.shape[axis], ignore_index, x)
    loss = b.where(counts, -(take_one(x, index, axis) * share), b.const(0, x.dtype))
    return b.cast(_mean_or_sum(loss, share, reduction), input.dtype)


@op("")
def nll_loss_backward(
    grad: Value, target: Value, weight: Value | None, size: tuple, reduction: str, ignore_index: int
) -> Value:
    """The gradient of nll_loss for scores of shape `size`: -weight[t] at the targets."""
    target = _row_of(target, len(size))
    axis = 0 if len(size) == 1 else 1
    like = opmath(grad)
    counts, index, share = _weights_of(target, weight, size[axis], ignore_index, like)
    each = -(_for_each(grad, share, reduction, counts) * share)
    return b.cast(put_one(each, index, axis, size[axis]), grad.dtype)


@nll_loss.vjp("input")
def _(g, input_layout, target, weight, reduction, ignore_index):  # type: ignore[no-untyped-def]
    return nll_loss_backward(g, target, weight, tuple(input_layout.shape), reduction, ignore_index)


@nll_loss_backward.vjp("grad")
def _(g, target, weight, reduction, ignore_index):  # type: ignore[no-untyped-def]
    # linear, and its own adjoint's adjoint
    return nll_loss(g, target, weight, reduction, ignore_index)


# --- cross entropy ------------------------------------------------------------------------------


def _masses(
    input: Node, target: Node, weight: Node | None, ignore_index: int, smoothing: float
) -> tuple[Node, Node, Node, Node | None]:
    """What each class of each position weighs in the loss, their sum over the classes, each
    position's share, and whether it counts (None: all do).

    loss = -sum_c mass_c log p_c; the mean is over the sum of the shares.
    """
    axis = _class_axis(input)
    classes = input.shape[axis]
    per_class = None
    if weight is not None:
        shape = [classes if d == axis else 1 for d in range(input.ndim)]
        per_class = b.expand(b.reshape(opmath(weight), shape), input.shape)
    if target.shape == input.shape and target.dtype.kind == "float":
        mass: Any = opmath(target)
        if smoothing:
            mass = mass * (1 - smoothing) + smoothing / classes
        mass = mass if per_class is None else mass * per_class
        total = b.reduce("sum", mass, axis)
        return mass, total, b.expand(b.const(1, total.dtype), total.shape), None
    counts, index, share = _weights_of(
        _row_of(target, input.ndim), weight, classes, ignore_index, input
    )
    mass = put_one(share * (1 - smoothing) if smoothing else share, index, axis, classes)
    if not smoothing:
        return mass, share, share, counts
    thin = [*input.shape[:axis], 1, *input.shape[axis + 1 :]]
    even = (
        b.const(smoothing / classes, input.dtype)
        if per_class is None
        else per_class * (smoothing / classes)
    )
    mass = mass + b.where(
        b.expand(b.reshape(counts, thin), input.shape), even, b.const(0, input.dtype)
    )
    return mass, b.reduce("sum", mass, axis), share, counts


def _check_targets(input: Node, target: Node, weight: Node | None, smoothing: float) -> None:
    if not 0.0 <= smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {smoothing}")
    if target.shape == input.shape and input.ndim:
        if target.dtype.kind != "float":
            raise RuntimeError(
                "Expected floating point type for target with class probabilities, got "
                + TYPE_NAMES[target.dtype.name]
            )
        require_kind("log_softmax_lastdim_kernel_impl", input)
        _check_weight(input, weight)
        return
    _check("nll_loss_out_frame", input, target, weight)


@op("", grad_name=grad_names.entropy, frozen=("input",))
def cross_entropy(
    input: Value,
    target: Value,
    weight: Value | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Value:
    """-sum_c q_c weight_c log softmax(x)_c, q the target: a class, or probabilities, smoothed
    towards 1 / C.

    The mean is over the sum of the targets' weights (class indices) or over the positions
    (probabilities).
    """
    _check_targets(input, target, weight, label_smoothing)
    x = opmath(input)
    axis = _class_axis(x)
    soft = log_softmax(x, axis)
    mass, _, share, _ = _masses(x, target, weight, ignore_index, label_smoothing)
    weighed = b.where(b.binary("eq", mass, 0), b.const(0, x.dtype), -(soft * mass))
    return b.cast(_mean_or_sum(b.reduce("sum", weighed, axis), share, reduction), input.dtype)


@op("")
def cross_entropy_backward(
    grad: Value,
    input: Value,
    target: Value,
    weight: Value | None,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
) -> tuple[Value, Value]:
    """The gradient of the scores, g (softmax(x) sum_c mass_c - mass), and g sum_c mass_c for its
    own gradient.
    """
    x = opmath(input)
    axis = _class_axis(x)
    mass, total, share, counts = _masses(x, target, weight, ignore_index, label_smoothing)
    each = _for_each(grad, share, reduction, counts)
    thin = [*x.shape[:axis], 1, *x.shape[axis + 1 :]]
    pull = softmax(x, axis) * b.reshape(total, thin) - mass
    return b.cast(b.reshape(each, thin) * pull, input.dtype), b.cast(each * total, input.dtype)


@cross_entropy.vjp("input")
def _(g, input, target, weight, reduction, ignore_index, label_smoothing):  # type: ignore[no-untyped-def]
    return cross_entropy_backward(
        g, input, target, weight, reduction, ignore_index, label_smoothing
    )[0]


def _to_probabilities(each: Any, weight: Any, like: Any, smoothing: float) -> Any:
    """A gradient of masses as one of the probabilities that they were made of."""
    if weight is not None:
        axis = _class_axis(like)
        each = each * weight.reshape([-1 if d == axis else 1 for d in range(like.ndim)])
    return each * (1 - smoothing) if smoothing else each


def _positions(g: Any, input: Any, reduction: str) -> Any:
    """The gradient of each position's loss under probabilities, the classes kept as a dimension."""
    axis = _class_axis(input)
    if reduction == "none":
        return g.unsqueeze(axis)
    return g / max(input.numel() // max(input.shape[axis], 1), 1) if reduction == "mean" else g


@cross_entropy.vjp("target")
def _(g, input, weight, reduction, label_smoothing):  # type: ignore[no-untyped-def]
    each = -(_positions(g, input, reduction) * log_softmax(input, _class_axis(input)))
    return _to_probabilities(each, weight, input, label_smoothing)


@cross_entropy_backward.vjp("grad", "input")
def _(g0, g1, out1, grad, input, target, weight, reduction, ignore_index, label_smoothing):  # type: ignore[no-untyped-def]
    axis = _class_axis(input)
    one = full(tuple(grad.shape), 1, grad.dtype)
    pull, total = cross_entropy_backward(
        one, input, target, weight, reduction, ignore_index, label_smoothing
    )
    to_grad = sum_(g0 * pull, axis, False) + g1 * total
    to_grad = to_grad if reduction == "none" else sum_(to_grad, None, False)
    return to_grad, out1.unsqueeze(axis) * softmax_backward(g0, softmax(input, axis), axis)


@cross_entropy_backward.vjp("target")
def _(g0, g1, grad, input, weight, reduction, label_smoothing):  # type: ignore[no-untyped-def]
    axis = _class_axis(input)
    along = sum_(g0 * softmax(input, axis), axis, True)
    each = _positions(grad, input, reduction) * (along - g0 + g1.unsqueeze(axis))
    return _to_probabilities(each, weight, input, label_smoothing)


# --- samples and references ---------------------------------------------------------------------


def _indices(make: Callable) -> list:
    """Scores of one, two and four dimensions with class indices, one of them ignored."""
    target = make(2, 2, 3, dtype="int64", low=0, high=4)
    target[0, 0, 0] = -100
    pairs = [
        (make(5), np.asarray(3)),
        (make(6, 5), make(6, dtype="int64", low=0, high=5)),
        (make(2, 4, 2, 3), target),
    ]
    return [
        (
            (
                x,
                t,
                make(x.shape[min(x.ndim - 1, 1)], low=0.5, high=2) if weighted else None,
                reduction,
            ),
            {},
        )
        for x, t in pairs
        for weighted in (False, True)
        for reduction in ("none", "mean", "sum")
    ]


def _smoothed(make: Callable) -> list:
    cases: list = [((*args, -100, 0.2), {}) for args, _ in _indices(make)]
    shares = make(3, 4, low=0.1, high=0.9)
    return [
        *_indices(make),
        *cases,
        ((make(3, 4), shares, make(4, low=0.5, high=2), "mean", -100, 0.1), {}),
        ((make(3, 4), shares, None, "none"), {}),
    ]


def _nll_reference(
    x: Any, t: Any, weight: Any = None, reduction: str = "mean", ignore: int = -100
) -> Any:
    """Position by position."""
    scores = np.moveaxis(x, min(x.ndim - 1, 1), -1)
    weight = np.ones(scores.shape[-1]) if weight is None else weight
    loss, share = np.zeros(np.shape(t)), np.zeros(np.shape(t))
    for place in np.ndindex(np.shape(t)):
        if t[place] != ignore:
            share[place] = weight[t[place]]
            loss[place] = -share[place] * scores[place][t[place]]
    return {"none": loss, "sum": loss.sum(), "mean": loss.sum() / share.sum()}[reduction]


def _cross_entropy_reference(
    x: Any,
    t: Any,
    weight: Any = None,
    reduction: str = "mean",
    ignore: int = -100,
    smoothing: float = 0.0,
) -> Any:
    axis = min(x.ndim - 1, 1)
    soft = np.moveaxis(x - np.log(np.exp(x).sum(axis, keepdims=True)), axis, -1)
    classes = soft.shape[-1]
    weight = np.ones(classes) if weight is None else weight
    if np.shape(t) == x.shape:
        q = np.moveaxis(t, axis, -1) * (1 - smoothing) + smoothing / classes
        loss = -(q * weight * soft).sum(-1)
        return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction]
    loss, share = np.zeros(np.shape(t)), np.zeros(np.shape(t))
    for place in np.ndindex(np.shape(t)):
        if t[place] != ignore:
            share[place] = weight[t[place]]
            even = smoothing / classes * (weight * soft[place]).sum()
            loss[place] = -(1 - smoothing) * share[place] * soft[place][t[place]] - even
    return {"none": loss, "sum": loss.sum(), "mean": loss.sum() / share.sum()}[reduction]


def _slope(loss: Callable) -> Callable:
    """The gradient of a loss by central differences along every coordinate."""

    def reference(g: Any, x: Any, *rest: Any) -> Any:
        result, h = np.zeros_like(x), 1e-4
        for place in np.ndindex(x.shape):
            bump = np.zeros_like(x)
            bump[place] = h
            f = [np.asarray(loss(x + k * bump, *rest)) for k in (-2, -1, 1, 2)]
            result[place] = (g * (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)).sum()
        return result

    return reference


def _nll_slope(g: Any, t: Any, weight: Any, size: tuple, reduction: str, ignore: int) -> Any:
    return _slope(_nll_reference)(g, np.zeros(size), t, weight, reduction, ignore)


nll_loss.test(_indices, _nll_reference)
nll_loss_backward.test(
    lambda make: [
        ((make(*(np.shape(t) if r == "none" else ())), t, w, x.shape, r, -100), {})
        for (x, t, w, r), _ in _indices(make)
    ],
    _nll_slope,
)
cross_entropy.test(_smoothed, _cross_entropy_reference)
cross_entropy_backward.test(
    lambda make: [
        (
            (
                make(3),
                make(3, 4),
                make(3, dtype="int64", low=0, high=4),
                make(4, low=0.5, high=2),
                "none",
                -100,
                0.1,
            ),
            {},
        ),
        ((make(), make(3, 4), make(3, dtype="int64", low=0, high=4), None, "mean", -100, 0.0), {}),
        (
            (
                make(),
                make(3, 4),
                make(3, 4, low=0.1, high=0.9),
                make(4, low=0.5, high=2),
                "mean",
                -100,
                0.1,
            ),
            {},
        ),
    ],
    lambda *args: (_slope(_cross_entropy_reference)(*args),),
)
