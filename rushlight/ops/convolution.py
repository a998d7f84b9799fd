"""Convolutions in one to three dimensions, transposed ones, and their gradients.

In: input (N, C, spatial...), weight (O, C / groups, kernel...). Out: (N, O, spatial...).
Invariants: there are three contractions (`convolution_maps.py`: forward, input gradient, weight
gradient), and the gradient of each is made of the other two; a transposed convolution is the input
gradient of a convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product as combinations
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.dtype import dtype
from ..base.layout import (
    Layout,
    channels_last_strides,
    contiguous_strides,
    suggests_channels_last,
)
from ..graph import build as b
from ..graph.node import Node
from . import grad_names
from .common import TYPE_NAMES, conjugate, opmath, opmath_dtype
from .convolution_maps import (
    Geometry,
    Pairs,
    Sizes,
    fixed,
    forward,
    input_gradient,
    weight_gradient,
)
from .registry import Op, Value, op

# --- arguments ----------------------------------------------------------------------------------


def _text(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def spread(value: Any, rank: int, name: str) -> Sizes:
    """An int or a sequence of ints for every spatial dimension; RuntimeError for another length."""
    if isinstance(value, int):
        return (value,) * rank
    values = tuple(value)
    if len(values) == 1:
        return values * rank
    if len(values) != rank:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {rank} values to match the "
            "convolution "
            f"dimensions, but got {name}={list(values)}"
        )
    return values


def geometry(kernel: Sizes, stride: Any, padding: Any, dilation: Any, groups: int) -> Geometry:
    """The arguments of a convolution with everything spelt out; RuntimeError for what makes no
    sense.
    """
    return _geometry(tuple(kernel), fixed(stride), fixed(padding), fixed(dilation), groups)


@lru_cache(4096)
def _geometry(kernel: Sizes, stride: Any, padding: Any, dilation: Any, groups: int) -> Geometry:
    rank = len(kernel)
    steps, widths = spread(stride, rank, "stride"), spread(dilation, rank, "dilation")
    if isinstance(padding, str):
        borders = _named_padding(padding, kernel, steps, widths)
    else:
        borders = tuple((p, p) for p in spread(padding, rank, "padding"))
    if any(p < 0 for pair in borders for p in pair):
        raise RuntimeError(f"negative padding is not supported: got {padding}")
    if any(s <= 0 for s in steps):
        raise RuntimeError(f"non-positive stride is not supported: got {list(steps)}")
    if any(d <= 0 for d in widths):
        raise RuntimeError(f"dilation should be greater than zero, but got {list(widths)}")
    if groups <= 0:
        raise RuntimeError(f"non-positive groups is not supported: got {groups}")
    return Geometry(steps, borders, widths, groups)


def _named_padding(padding: str, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Pairs:
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    totals = [d * (k - 1) for d, k in zip(dilation, kernel)]
    return tuple((t // 2, t - t // 2) for t in totals)


def _check(
    name: str, x: Node, weight: Node, bias: Node | None, rank: int, groups: int, transposed: bool
) -> None:
    """RuntimeError, in PyTorch's words, for ranks, channels, groups, bias and dtypes that do not
    fit.
    """
    if weight.ndim != rank + 2:
        raise RuntimeError(
            f"{name}: expected a weight of {rank + 2} dimensions, (out, in / groups, kernel...), "
            "but got weight of size "
            f"{list(weight.shape)}"
        )
    if x.ndim not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to {name}, but got "
            f"input of size: {list(x.shape)}"
        )
    if weight.shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            "but got weight of size "
            f"[{list(weight.shape)}] instead"
        )
    channels = weight.shape[0] if transposed else weight.shape[1] * groups
    if x.shape[-rank - 1] != channels:
        raise RuntimeError(
            f"Given {'transposed=1' if transposed else f'groups={groups}'}, weight of size "
            f"{list(weight.shape)}, expected "
            f"input{list(x.shape)} to have {channels} channels, but got {x.shape[-rank - 1]} "
            "channels instead"
        )
    filters = weight.shape[1] * groups if transposed else weight.shape[0]
    if bias is not None and bias.shape != (filters,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {list(weight.shape)}, "
            "expected bias to be "
            f"1-dimensional with {filters} elements, but got bias of size {list(bias.shape)} "
            "instead"
        )
    for role, other in (("weight", weight), ("bias", bias)):
        if other is not None and other.dtype is not x.dtype:
            ours, theirs = TYPE_NAMES[x.dtype.name].lower(), TYPE_NAMES[other.dtype.name].lower()
            raise RuntimeError(
                f"{name}: Input type ({ours}) and {role} type ({theirs}) should be the same"
            )
    if x.dtype is dtypes.bool_:
        raise NotImplementedError(f"\"{name}\" not implemented for 'Bool'")


def _check_size(size: Sequence[int], kernel: Sizes, way: Geometry) -> None:
    padded = [n + p + q for n, (p, q) in zip(size, way.padding)]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, way.dilation)]
    if any(n < k for n, k in zip(padded, reach)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({_text(padded)}). Kernel size: "
            f"({_text(reach)}). Kernel size "
            "can't be greater than actual input size"
        )


def _transposed_size(size: Sequence[int], kernel: Sizes, way: Geometry, extra: Sizes) -> Sizes:
    """The spatial size of a transposed convolution's result."""
    for e, s, d in zip(extra, way.stride, way.dilation):
        if e >= s and e >= d:
            raise RuntimeError(
                "output padding must be smaller than either stride or dilation, but got "
                f"output_padding {list(extra)}, "
                f"stride {list(way.stride)}, dilation {list(way.dilation)}"
            )
    if any(e < 0 for e in extra):
        raise RuntimeError(f"negative output_padding is not supported: got {list(extra)}")
    result = tuple(
        (n - 1) * s - p - q + d * (k - 1) + e + 1
        for n, s, (p, q), d, k, e in zip(size, way.stride, way.padding, way.dilation, kernel, extra)
    )
    if any(n < 1 for n in result):
        raise RuntimeError(
            f"Given input size per channel: ({_text(size)}). Calculated output size per channel: "
            f"({_text(result)}). "
            "Output size is too small"
        )
    return result


def _with_bias(made: Node, bias: Node | None, type: dtype) -> Node:
    if bias is not None:
        made = b.add(made, b.reshape(opmath(bias), (bias.shape[0],) + (1,) * (made.ndim - 2)))
    return b.cast(made, type)


def result_strides(shape: tuple[int, ...], operands: list[Layout]) -> tuple[int, ...]:
    """PyTorch's: channels-last where the input or the weight is."""
    x, weight = operands[:2]
    lone = x.ndim < weight.ndim  # one example, without a batch dimension
    whole = (
        ((1, *x.shape), (x.shape[0] * x.strides[0], *x.strides)) if lone else (x.shape, x.strides)
    )
    if suggests_channels_last(*whole) or suggests_channels_last(weight.shape, weight.strides):
        return channels_last_strides((1, *shape))[1:] if lone else channels_last_strides(shape)
    return contiguous_strides(shape)


# --- rows: the gradients ------------------------------------------------------------------------


@op("", grad_name="ConvolutionBackward0")
def conv_forward(input: Value, weight: Value, way: tuple, size: tuple | None = None) -> Value:
    """A batched convolution without bias: y[n, o, p] = sum of x[n, c, p * stride + k * dilation -
    padding] * w[o, c, k].

    `size` is the spatial size of the result, which may leave out the last windows.
    """
    return forward(input, weight, Geometry(*way), None, size)


@op("", grad_name="ConvolutionBackward0")
def conv_input_gradient(grad: Value, weight: Value, size: tuple, way: tuple) -> Value:
    """The gradient of `conv_forward` for an input of spatial size `size`."""
    return input_gradient(grad, weight, size, Geometry(*way))


@op("", grad_name="ConvolutionBackward0")
def conv_weight_gradient(grad: Value, input: Value, kernel: tuple, way: tuple) -> Value:
    """The gradient of `conv_forward` for a weight of spatial size `kernel`."""
    return weight_gradient(grad, input, kernel, Geometry(*way))


@conv_forward.vjp("input")
def _(g, input_layout, weight, way):  # type: ignore[no-untyped-def]
    return conv_input_gradient(g, conjugate(weight), input_layout.shape[2:], way)


@conv_forward.vjp("weight")
def _(g, input, weight_layout, way):  # type: ignore[no-untyped-def]
    return conv_weight_gradient(g, conjugate(input), weight_layout.shape[2:], way)


@conv_input_gradient.vjp("grad")
def _(g, grad_layout, weight, way):  # type: ignore[no-untyped-def]
    return conv_forward(g, conjugate(weight), way, grad_layout.shape[2:])


@conv_input_gradient.vjp("weight")
def _(g, grad, weight_layout, way):  # type: ignore[no-untyped-def]
    return conv_weight_gradient(conjugate(grad), g, weight_layout.shape[2:], way)


@conv_weight_gradient.vjp("grad")
def _(g, grad_layout, input, way):  # type: ignore[no-untyped-def]
    return conv_forward(conjugate(input), g, way, grad_layout.shape[2:])


@conv_weight_gradient.vjp("input")
def _(g, grad, input_layout, way):  # type: ignore[no-untyped-def]
    return conv_input_gradient(conjugate(grad), g, input_layout.shape[2:], way)


# --- rows: what people call ---------------------------------------------------------------------


def _batched(x: Any, rank: int) -> Any:
    """A tensor with a batch dimension, which unbatched input lacks."""
    return x if x.ndim == rank + 2 else x.unsqueeze(0)


def _convolution_row(rank: int) -> Op:
    """conv1d, conv2d or conv3d."""
    name = f"conv{rank}d"

    def body(
        input: Value,
        weight: Value,
        bias: Value | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Value:
        way = geometry(weight.shape[2:], stride, padding, dilation, groups)
        _check(name, input, weight, bias, rank, groups, False)
        x = input if input.ndim == rank + 2 else b.reshape(input, (1, *input.shape))
        _check_size(x.shape[2:], weight.shape[2:], way)
        wide = opmath_dtype(x.dtype) if bias is not None else None
        made = _with_bias(forward(x, weight, way, wide), bias, x.dtype)
        return made if input.ndim == rank + 2 else b.reshape(made, made.shape[1:])

    body.__name__ = name
    body.__doc__ = f"""The {rank}-d cross-correlation of input and weight, plus bias.

    Shapes: input (N, C, spatial...) or (C, spatial...), weight (O, C / groups, kernel...), bias
    (O); each spatial length becomes (n + 2 padding - dilation (k - 1) - 1) // stride + 1. padding
    may be "same" (stride 1) or "valid". One dtype for all; float16 and bfloat16 are summed in
    float32 and rounded once. Errors: RuntimeError naming sizes or dtypes. Follows
    `torch.nn.functional.{name}`.

    >>> import rushlight as rl
    >>> x, weight = rl.ones(1, 2{", 5" * rank}), rl.ones(4, 2{", 3" * rank})
    >>> rl.nn.functional.{name}(x, weight).shape
    torch.Size([1, 4{", 3" * rank}])
    """
    row = op(
        "nn.functional torch",
        strides=result_strides,
        grad_name=grad_names.unbatched("ConvolutionBackward0", rank),
        guarded=("input", "weight"),
    )(body)

    @row.vjp("input")
    def _(g, input_layout, weight, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
        way = geometry(weight.shape[2:], stride, padding, dilation, groups)
        made = conv_input_gradient(
            _batched(g, rank), conjugate(weight), input_layout.shape[-rank:], way
        )
        return made.reshape(input_layout.shape)

    @row.vjp("weight")
    def _(g, input, weight_layout, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
        way = geometry(weight_layout.shape[2:], stride, padding, dilation, groups)
        return conv_weight_gradient(
            _batched(g, rank), conjugate(_batched(input, rank)), weight_layout.shape[2:], way
        )

    @row.vjp("bias")
    def _(g):  # type: ignore[no-untyped-def]
        return _bias_gradient(g, rank)

    return row


def _bias_gradient(g: Any, rank: int) -> Any:
    return g.sum(tuple(d for d in range(g.ndim) if d != g.ndim - rank - 1))


def _transposed_row(rank: int) -> Op:
    """conv_transpose1d, 2d or 3d: the input gradient of a convolution, as a function of its own."""
    name = f"conv_transpose{rank}d"

    def body(
        input: Value,
        weight: Value,
        bias: Value | None = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Value:
        kernel = tuple(weight.shape[2:])
        way = geometry(kernel, stride, padding, dilation, groups)
        _check(name, input, weight, bias, rank, groups, True)
        x = input if input.ndim == rank + 2 else b.reshape(input, (1, *input.shape))
        size = _transposed_size(
            x.shape[2:], kernel, way, spread(output_padding, rank, "output_padding")
        )
        wide = opmath_dtype(x.dtype) if bias is not None else None
        made = _with_bias(input_gradient(x, weight, size, way, wide), bias, x.dtype)
        return made if input.ndim == rank + 2 else b.reshape(made, made.shape[1:])

    body.__name__ = name
    body.__doc__ = f"""The {rank}-d transposed convolution: the gradient of `conv{rank}d` with
    respect to its input, plus bias.

    Shapes: input (N, C, spatial...) or (C, spatial...), weight (C, O / groups, kernel...), bias
    (O); each spatial length becomes (n - 1) stride - 2 padding + dilation (k - 1) + output_padding
    + 1. Follows `torch.nn.functional.{name}`.

    >>> import rushlight as rl
    >>> x, weight = rl.ones(1, 2{", 3" * rank}), rl.ones(2, 4{", 3" * rank})
    >>> rl.nn.functional.{name}(x, weight).shape
    torch.Size([1, 4{", 5" * rank}])
    """
    row = op(
        "nn.functional torch",
        strides=result_strides,
        grad_name=grad_names.unbatched("ConvolutionBackward0", rank),
        guarded=("input", "weight"),
    )(body)

    @row.vjp("input")
    def _(g, input_layout, weight, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
        way = geometry(weight.shape[2:], stride, padding, dilation, groups)
        made = conv_forward(_batched(g, rank), conjugate(weight), way, input_layout.shape[-rank:])
        return made.reshape(input_layout.shape)

    @row.vjp("weight")
    def _(g, input, weight_layout, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
        way = geometry(weight_layout.shape[2:], stride, padding, dilation, groups)
        return conv_weight_gradient(
            conjugate(_batched(input, rank)), _batched(g, rank), weight_layout.shape[2:], way
        )

    @row.vjp("bias")
    def _(g):  # type: ignore[no-untyped-def]
        return _bias_gradient(g, rank)

    return row


conv1d, conv2d, conv3d = map(_convolution_row, (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = map(_transposed_row, (1, 2, 3))


# --- references ---------------------------------------------------------------------------------


def _numpy_windows(x: np.ndarray, kernel: Sizes, way: Geometry) -> np.ndarray:
    """x padded, as [n, c, result..., kernel...]."""
    padded = np.pad(x, [(0, 0), (0, 0), *way.padding])
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, way.dilation)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, tuple(range(2, x.ndim)))
    steps = [slice(None, None, s) for s in way.stride] + [
        slice(None, None, d) for d in way.dilation
    ]
    return windows[(slice(None), slice(None), *steps)]


def _numpy_forward(x: np.ndarray, weight: np.ndarray, way: tuple) -> np.ndarray:
    way = Geometry(*way)
    rank = len(way.stride)
    windows = _numpy_windows(x, weight.shape[2:], way)
    parts = []
    for part, filters in zip(np.split(windows, way.groups, 1), np.split(weight, way.groups, 0)):
        axes = [1, *range(2 + rank, 2 + 2 * rank)]
        parts.append(
            np.moveaxis(np.tensordot(part, filters, (axes, [1, *range(2, 2 + rank)])), -1, 1)
        )
    return np.concatenate(parts, 1)


def _numpy_convolution(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> np.ndarray:
    rank = weight.ndim - 2
    way = geometry(weight.shape[2:], stride, padding, dilation, groups)
    made = _numpy_forward(x, weight, way)
    return made if bias is None else made + bias.reshape((-1,) + (1,) * rank)


def _numpy_input_gradient(g: np.ndarray, weight: np.ndarray, size: Sizes, way: tuple) -> np.ndarray:
    """By definition: every product is added where its pixel lies."""
    way = Geometry(*way)
    padded = [n + sum(p) for n, p in zip(size, way.padding)]
    made = np.zeros((g.shape[0], weight.shape[1] * way.groups, *padded), g.dtype)
    inner, filters = weight.shape[1], weight.shape[0] // way.groups
    for group, p, k in combinations(
        range(way.groups), np.ndindex(*g.shape[2:]), np.ndindex(*weight.shape[2:])
    ):
        at = tuple(i * s + t * d for i, s, t, d in zip(p, way.stride, k, way.dilation))
        own = slice(group * filters, (group + 1) * filters)
        made[(slice(None), slice(group * inner, (group + 1) * inner), *at)] += (
            g[(slice(None), own, *p)] @ weight[(own, slice(None), *k)]
        )
    return made[
        (slice(None), slice(None), *(slice(p[0], p[0] + n) for p, n in zip(way.padding, size)))
    ]


def _numpy_weight_gradient(g: np.ndarray, x: np.ndarray, kernel: Sizes, way: tuple) -> np.ndarray:
    way = Geometry(*way)
    rank = len(kernel)
    windows = _numpy_windows(x, kernel, way)[
        (slice(None), slice(None), *(slice(0, n) for n in g.shape[2:]))
    ]
    axes = [0, *range(2, 2 + rank)]
    parts = zip(np.split(g, way.groups, 1), np.split(windows, way.groups, 1))
    return np.concatenate([np.tensordot(part, window, (axes, axes)) for part, window in parts], 0)


def _numpy_transposed(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> np.ndarray:
    rank = weight.ndim - 2
    way = geometry(weight.shape[2:], stride, padding, dilation, groups)
    size = _transposed_size(
        x.shape[2:], weight.shape[2:], way, spread(output_padding, rank, "output_padding")
    )
    made = _numpy_input_gradient(x, weight, size, way)
    return made if bias is None else made + bias.reshape((-1,) + (1,) * rank)


_PLAIN = ((2, 1), ((1, 0), (1, 2)), (1, 2), 2)
conv_forward.test(lambda make: [((make(2, 4, 6, 7), make(6, 2, 3, 2), _PLAIN), {})], _numpy_forward)
conv_input_gradient.test(
    lambda make: [((make(2, 6, 3, 8), make(6, 2, 3, 2), (6, 7), _PLAIN), {})], _numpy_input_gradient
)
conv_weight_gradient.test(
    lambda make: [((make(2, 6, 3, 8), make(2, 4, 6, 7), (3, 2), _PLAIN), {})],
    _numpy_weight_gradient,
)
for _row, _shape in ((conv1d, (5,)), (conv2d, (5, 4)), (conv3d, (4, 5, 3))):
    _row.test(
        lambda make, own=_shape: [
            ((make(2, 4, *own), make(6, 4, *(3 for _ in own)), make(6)), {"padding": 1}),
            ((make(2, 4, *own), make(6, 2, *(2 for _ in own))), {"stride": 2, "groups": 2}),
        ],
        _numpy_convolution,
    )
for _row, _shape in (
    (conv_transpose1d, (4,)),
    (conv_transpose2d, (3, 4)),
    (conv_transpose3d, (2, 3, 2)),
):
    _row.test(
        lambda make, own=_shape: [
            (
                (make(2, 4, *own), make(4, 3, *(3 for _ in own)), make(3)),
                {"stride": 2, "padding": 1, "output_padding": 1},
            ),
            ((make(2, 4, *own), make(4, 3, *(2 for _ in own))), {"groups": 2, "dilation": 2}),
        ],
        _numpy_transposed,
    )
