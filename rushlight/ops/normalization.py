"""Normalisation: subtract a mean, divide by a deviation, scale and shift; over batches, layers,
groups, instances.

In: a floating tensor; where its statistics run (`shape`: how it is seen, `axes`: what is averaged
over, `affine`: the shape in which weight and bias meet it). Out: the normalised tensor, and the
statistics that its gradient needs. Invariants: the variance is the mean of squared deviations (two
passes, so nothing cancels); statistics are float32 for float16 and bfloat16. One backward row
serves all; its own gradient is in closed form, so every order exists.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..base.layout import Layout
from ..graph import build as b
from ..graph.node import Node
from .common import opmath, require_kind
from .core import restride, sum_to
from .core import sum as sum_
from .elementary import rsqrt
from .reduction import counted, mean, squared_deviations
from .registry import Op, Scalar, Value, op
from .signature import strides_as_suggested

Shape = tuple[int, ...]


def _statistics(x: Node, axes: Shape, centered: bool) -> tuple[Node, Node]:
    """Mean (zero unless centered) and mean squared deviation from it, with the axes kept."""
    if centered:
        return b.mean(x, axes, True), b.mean(squared_deviations(x, axes), axes, True)
    square = b.mean(x * x, axes, True)
    return b.expand(b.const(0, x.dtype), square.shape), square


def _scaled(
    x: Node,
    centre: Node,
    invstd: Node,
    weight: Value | None,
    bias: Value | None,
    affine: Shape,
    centered: bool,
) -> Node:
    """(x - centre) * invstd * weight + bias: one scale and one shift of each element."""
    scale = invstd if weight is None else invstd * b.reshape(opmath(weight), affine)
    y = (x - centre if centered else x) * scale
    return y if bias is None else y + b.reshape(opmath(bias), affine)


def _normalizer(kind: str, grad_name: str) -> Op:
    """The row `normalize_<kind>`; the rows differ in what PyTorch calls their gradients."""

    @op(
        "",
        name=f"normalize_{kind}",
        grad_name=grad_name,
        strides=None if kind in ("layer", "instance") else strides_as_suggested,
    )
    def row(
        input: Value,
        weight: Value | None,
        bias: Value | None,
        eps: Scalar,
        shape: Shape,
        axes: Shape,
        affine: Shape,
        centered: bool = True,
    ) -> tuple[Value, Value, Value]:
        """(x - mean) / sqrt(variance + eps) * weight + bias, the mean, and 1 / sqrt(variance +
        eps).
        """
        require_kind(f"{kind}_norm", input)
        x = b.reshape(opmath(input), shape)
        centre, square = _statistics(x, axes, centered)
        invstd = rsqrt(square + b.cast(eps, x.dtype))
        y = _scaled(x, centre, invstd, weight, bias, affine, centered)
        return b.cast(b.reshape(y, input.shape), input.dtype), centre, invstd

    @row.vjp("input", "weight", "bias")
    def _(g0, grads, out1, out2, input, weight, bias_layout, shape, axes, affine, centered):  # type: ignore[no-untyped-def]
        made = normalize_backward(g0, input, weight, out1, out2, shape, axes, affine, centered)
        through = _through_statistics(
            grads[1] if centered else None, grads[2], out1, out2, input, shape, axes
        )
        return _sum_of(made[0], through), *_like_parameters(made, weight, bias_layout)

    return row


def _through_statistics(
    to_centre: Any, to_invstd: Any, centre: Any, invstd: Any, input: Any, shape: Shape, axes: Shape
) -> Any:
    """The input's gradient by way of the mean and of 1 / deviation as results of their own (None:
    by neither).
    """
    parts, count = [], counted(shape, axes)
    if to_centre is not None:
        parts.append((to_centre / count).expand(shape))
    if to_invstd is not None:
        gap = input.reshape(shape) - centre
        parts.append(gap * (to_invstd * invstd * invstd * invstd * (-1.0 / count)))
    return _sum_of(*parts).reshape(input.shape) if parts else None


def _sum_of(*parts: Any) -> Any:
    present = [x for x in parts if x is not None]
    return present[0] if len(present) == 1 else present[0] + present[1]


def _like_parameters(made: tuple, weight: Any, bias: Any) -> tuple:
    """The gradients of weight and bias in their shapes; None for one that is absent."""
    return (
        None if weight is None else made[1].reshape(weight.shape),
        None if bias is None else made[2].reshape(bias.shape),
    )


def _as_input(shape: Shape, operands: list[Layout]) -> Shape:
    """The input's gradient has the input's memory format, whatever that of the result's."""
    return strides_as_suggested(shape, operands[1:])


@op("", strides=_as_input)
def normalize_backward(
    grad: Value,
    input: Value,
    weight: Value | None,
    centre: Value,
    invstd: Value,
    shape: Shape,
    axes: Shape,
    affine: Shape,
    centered: bool = True,
) -> tuple[Value, Value, Value]:
    """The gradients of input, weight and bias: with z = (x - mean) invstd and a = g weight,

    invstd (a - mean(a) - z mean(a z)),  sum g z,  sum g.
    """
    g, x = b.reshape(opmath(grad), shape), b.reshape(opmath(input), shape)
    z = (x - centre if centered else x) * invstd
    a = g if weight is None else g * b.reshape(opmath(weight), affine)
    rest = a - z * b.mean(a * z, axes, True)
    if centered:
        rest = rest - b.mean(a, axes, True)
    others = tuple(d for d in range(len(shape)) if affine[d] == 1)
    type_ = input.dtype if weight is None else weight.dtype
    return (
        b.cast(b.reshape(rest * invstd, input.shape), input.dtype),
        b.cast(b.reduce("sum", g * z, others, True), type_),
        b.cast(b.reduce("sum", g, others, True), type_),
    )


@normalize_backward.vjp("grad", "input", "weight", "centre", "invstd")
def _(g0, g1, g2, grad, input, weight, centre, invstd, shape, axes, affine, centered):  # type: ignore[no-untyped-def]
    """With q = g0 invstd the results weigh q a - z mean(a z) q - mean(a) q + g1 g z + g2 g, summed:
    derive by a, z, invstd.
    """

    def average(v: Any) -> Any:
        return mean(v, axes, True)

    g, x, s = grad.reshape(shape), input.reshape(shape), g1.reshape(affine)
    u = g0.reshape(shape)
    q = u * invstd
    gap = x - centre if centered else x
    z = gap * invstd
    w = 1 if weight is None else weight.reshape(affine)
    a = g * w
    to_a, rest = q - z * average(q * z), a - z * average(a * z)
    if centered:
        to_a, rest = to_a - average(q), rest - average(a)
    to_z = s * g - q * average(a * z) - a * average(q * z)
    to_x = to_z * invstd
    return (
        (to_a * w + s * z + g2.reshape(affine)).reshape(grad.shape),
        to_x.reshape(input.shape),
        None if weight is None else sum_to(g * to_a, affine).reshape(weight.shape),
        -sum_(to_x, axes, True) if centered else None,
        sum_(u * rest + to_z * gap, axes, True),
    )


normalize_layer = _normalizer("layer", "NativeLayerNormBackward0")
normalize_group = _normalizer("group", "NativeGroupNormBackward0")
normalize_instance = _normalizer("instance", "ViewBackward0")
normalize_root = _normalizer("root", "MulBackward0")


# --- batches ------------------------------------------------------------------------------------


def channel_shape(rank: int, channels: int) -> Shape:
    """The shape in which per-channel values meet a tensor."""
    return tuple(channels if d == 1 else 1 for d in range(rank))


def other_axes(rank: int) -> Shape:
    """All dimensions but the channels."""
    return tuple(d for d in range(rank) if d != 1)


@op("", grad_name="NativeBatchNormBackward0", strides=strides_as_suggested)
def batch_norm_training(
    input: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value | None,
    running_var: Value | None,
    momentum: Scalar,
    eps: Scalar,
) -> tuple[Value, ...]:
    """Normalised over all dimensions but the channels; the batch's mean and 1 / sqrt(variance +
    eps); and, where running statistics are given, those moved by `momentum` towards the batch's
    (with the unbiased variance).
    """
    require_kind("batch_norm", input)
    x = opmath(input)
    axes, affine = other_axes(x.ndim), channel_shape(x.ndim, x.shape[1])
    centre, square = _statistics(x, axes, True)
    invstd = rsqrt(square + b.cast(eps, x.dtype))
    y = b.cast(_scaled(x, centre, invstd, weight, bias, affine, True), input.dtype)
    results = [y, centre, invstd]
    count = counted(x.shape, axes)
    unbiased: Any = square * (count / (count - 1) if count > 1 else math.inf)
    for running, fresh in ((running_mean, centre), (running_var, unbiased)):
        if running is not None:
            old, new = opmath(running), b.reshape(fresh, running.shape)
            step = b.cast(momentum, old.dtype)
            results.append(b.cast(old * (1 - step) + b.cast(new, old.dtype) * step, running.dtype))
    return tuple(results)


@batch_norm_training.vjp("input", "weight", "bias")
def _(g0, grads, out1, out2, input, weight, bias_layout):  # type: ignore[no-untyped-def]
    """The running statistics are buffers: they take no part in gradients, as in PyTorch."""
    shape, axes, affine = (
        tuple(input.shape),
        other_axes(input.ndim),
        channel_shape(input.ndim, input.shape[1]),
    )
    made = normalize_backward(g0, input, weight, out1, out2, shape, axes, affine, True)
    through = _through_statistics(grads[1], grads[2], out1, out2, input, shape, axes)
    return _sum_of(made[0], through), *_like_parameters(made, weight, bias_layout)


@op("", grad_name="NativeBatchNormBackward0", strides=strides_as_suggested)
def batch_norm_evaluation(
    input: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value,
    running_var: Value,
    eps: Scalar,
) -> Value:
    """(x - running_mean) / sqrt(running_var + eps) * weight + bias."""
    require_kind("batch_norm", input)
    x = opmath(input)
    affine = channel_shape(x.ndim, x.shape[1])
    centre, square = (b.reshape(b.cast(v, x.dtype), affine) for v in (running_mean, running_var))
    invstd = rsqrt(square + b.cast(eps, x.dtype))
    return b.cast(_scaled(x, centre, invstd, weight, bias, affine, True), input.dtype)


@batch_norm_evaluation.vjp("input", "weight", "bias")
def _(g, input, input_layout, weight, bias_layout, running_mean, running_var, eps):  # type: ignore[no-untyped-def]
    affine, axes = channel_shape(input.ndim, input.shape[1]), other_axes(input.ndim)
    invstd = rsqrt(running_var.reshape(affine) + eps)
    scale = invstd if weight is None else invstd * weight.reshape(affine)
    to_weight = None
    if weight is not None:
        to_weight = sum_(g * ((input - running_mean.reshape(affine)) * invstd), axes, False)
    to_input = restride(g * scale, strides_as_suggested(input.shape, [input_layout]))
    return to_input, to_weight, None if bias_layout is None else sum_(g, axes, False)


# --- samples and references ---------------------------------------------------------------------


def _normal_reference(
    x: Any,
    weight: Any,
    bias: Any,
    eps: float,
    shape: Shape,
    axes: Shape,
    affine: Shape,
    centered: bool = True,
) -> Any:
    v = x.reshape(shape)
    centre = v.mean(axes, keepdims=True) if centered else 0.0
    z = (v - centre) / np.sqrt(((v - centre) ** 2).mean(axes, keepdims=True) + eps)
    y = z * (1 if weight is None else weight.reshape(affine)) + (
        0 if bias is None else bias.reshape(affine)
    )
    return (y.reshape(x.shape),)


def _batch_reference(x: Any, w: Any, c: Any, rm: Any, rv: Any, momentum: float, eps: float) -> Any:
    axes = other_axes(x.ndim)
    made = _normal_reference(x, w, c, eps, x.shape, axes, channel_shape(x.ndim, x.shape[1]))[0]
    centre, biased = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    if rm is None:
        return made, centre, 1 / np.sqrt(biased + eps)
    moved = (
        (1 - momentum) * rm + momentum * x.mean(axes),
        (1 - momentum) * rv + momentum * x.var(axes, ddof=1),
    )
    return made, centre, 1 / np.sqrt(biased + eps), *moved


def _evaluation_reference(x: Any, w: Any, c: Any, rm: Any, rv: Any, eps: float) -> Any:
    view = channel_shape(x.ndim, x.shape[1])
    z = (x - rm.reshape(view)) / np.sqrt(rv.reshape(view) + eps)
    return z * (1 if w is None else w.reshape(view)) + (0 if c is None else c.reshape(view))


def _seen(shape: Shape, axes: Shape, affine: Shape, centered: bool = True) -> Callable:
    """Samples with and without weight and bias."""

    def samples(make: Callable) -> list:
        size = math.prod(affine)
        x = make(4, 6)
        return [
            ((x, make(size), make(size), 0.1, shape, axes, affine, centered), {}),
            ((x, None, None, 0.1, shape, axes, affine, centered), {}),
        ]

    return samples


def _backward_samples(make: Callable) -> list:
    cases: list[tuple[tuple, dict]] = []
    for shape, axes, affine, centered in (
        ((4, 6), (1,), (1, 6), True),
        ((4, 3, 2), (0, 2), (1, 3, 1), True),
        ((4, 6), (1,), (1, 6), False),
    ):
        x = make(4, 6)
        v = x.reshape(shape)
        centre = (
            v.mean(axes, keepdims=True) if centered else np.zeros(v.mean(axes, keepdims=True).shape)
        )
        invstd = 1 / np.sqrt(((v - centre) ** 2).mean(axes, keepdims=True) + 0.1)
        for weight in (make(math.prod(affine)), None):
            cases.append(
                ((make(4, 6), x, weight, centre, invstd, shape, axes, affine, centered), {})
            )
    return cases


def _backward_reference(
    g: Any,
    x: Any,
    weight: Any,
    centre: Any,
    invstd: Any,
    shape: Shape,
    axes: Shape,
    affine: Shape,
    centered: bool,
) -> Any:
    """The input's gradient by central differences along every coordinate."""
    result, h = np.zeros_like(x), 1e-4
    for place in np.ndindex(x.shape):
        bump = np.zeros_like(x)
        bump[place] = h
        f = [
            _normal_reference(x + k * bump, weight, None, 0.1, shape, axes, affine, centered)[0]
            for k in (-2, -1, 1, 2)
        ]
        result[place] = (g * (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)).sum()
    return (result,)


normalize_layer.test(_seen((4, 6), (1,), (1, 6)), _normal_reference)
normalize_group.test(_seen((2, 2, 2, 3), (2, 3), (1, 2, 2, 1)), _normal_reference)
normalize_instance.test(_seen((2, 4, 3), (2,), (1, 4, 1)), _normal_reference)
normalize_root.test(_seen((4, 6), (1,), (1, 6), False), _normal_reference)
normalize_backward.test(_backward_samples, _backward_reference)
batch_norm_training.test(
    lambda make: [
        ((make(4, 3, 2), make(3), make(3), make(3), make(3, low=0.5, high=2), 0.1, 0.01), {}),
        ((make(5, 3), None, None, None, None, 0.1, 0.01), {}),
    ],
    _batch_reference,
)
batch_norm_evaluation.test(
    lambda make: [
        ((make(4, 3, 2), make(3), make(3), make(3), make(3, low=0.5, high=2), 0.01), {}),
        ((make(5, 3), None, None, make(3), make(3, low=0.5, high=2), 0.01), {}),
    ],
    _evaluation_reference,
)
