"""What ONNX's operators mean, in public functions of rushlight.

In: an operator's inputs (None where left out) and attributes. Out: its result, or a tuple of them.
Invariant: an operator that is not in `OPERATORS` is refused when a file is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn import functional

from .graph import CODES

Attributes = dict[str, Any]
Operation = Callable[..., Any]
DTYPES = {code: name for name, code in CODES.items()}


def numbers(x: Tensor | None) -> list[int]:
    """A tensor that describes a shape, as Python numbers."""
    return [] if x is None else [int(n) for n in x.reshape(-1).tolist()]


def _plain(function: Operation) -> Operation:
    """An operator without attributes."""
    return lambda a, *inputs: function(*inputs)


def _folded(function: Operation) -> Operation:
    """An operator of two inputs that takes any number of them."""

    def operation(a: Attributes, first: Tensor, *rest: Tensor) -> Tensor:
        for x in rest:
            first = function(first, x)
        return first

    return operation


def _div(a: Attributes, x: Tensor, y: Tensor) -> Tensor:
    mode = None if x.dtype.is_floating_point else "trunc"
    return rushlight.div(x, y, rounding_mode=mode)


def _mod(a: Attributes, x: Tensor, y: Tensor) -> Tensor:
    return rushlight.fmod(x, y) if a.get("fmod", 0) else rushlight.remainder(x, y)


def _reshape(a: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    wanted = numbers(shape)
    if not a.get("allowzero", 0):
        wanted = [x.shape[k] if n == 0 else n for k, n in enumerate(wanted)]
    return x.reshape(wanted)


def _expand(a: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(rushlight.broadcast_shapes(tuple(x.shape), tuple(numbers(shape))))


def _slice(
    a: Attributes,
    x: Tensor,
    starts: Tensor,
    ends: Tensor,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    begin, end = numbers(starts), numbers(ends)
    along = numbers(axes) if axes is not None else list(range(len(begin)))
    by = numbers(steps) if steps is not None else [1] * len(begin)
    for first, last, axis, step in zip(begin, end, along, by, strict=True):
        places = range(x.shape[axis])[slice(first, last, step)]
        if step > 0:
            index: list[Any] = [slice(None)] * x.dim()
            index[axis] = slice(places.start, max(places.start, places.stop), step)
            x = x[tuple(index)]
        else:
            x = x.index_select(axis, rushlight.tensor(list(places), dtype=rushlight.int64))
    return x


def _pad(
    a: Attributes, x: Tensor, pads: Tensor, value: Tensor | None = None, axes: Tensor | None = None
) -> Tensor:
    widths = numbers(pads)
    half = len(widths) // 2
    along = numbers(axes) if axes is not None else list(range(x.dim()))
    order = [0] * (2 * x.dim())
    for k, axis in enumerate(along):
        place = 2 * (x.dim() - 1 - axis % x.dim())
        order[place], order[place + 1] = widths[k], widths[half + k]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[
        a.get("mode", "constant")
    ]
    filling = 0 if value is None or mode != "constant" else value.item()
    if mode != "constant":
        while len(order) > 4 and order[-2:] == [0, 0]:
            order = order[:-2]
        return functional.pad(x, order, mode)
    return functional.pad(x, order, mode, filling)


def _axes(a: Attributes, given: Tensor | None) -> list[int] | None:
    if given is not None:
        return numbers(given)
    return list(a["axes"]) if "axes" in a else None


def reduction(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operation:
    """An operator over axes, which are an attribute or, of newer opsets, an input."""

    def operation(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
        along = _axes(a, axes)
        if not along:
            if a.get("noop_with_empty_axes", 0):
                return x
            along = list(range(x.dim()))
        return function(x, along, bool(a.get("keepdims", 1)))

    return operation


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted((n % x.dim() for n in axes), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def _argument(name: str) -> Operation:
    def operation(a: Attributes, x: Tensor) -> Tensor:
        return getattr(x, name)(a.get("axis", 0), keepdim=bool(a.get("keepdims", 1)))

    return operation


def _squeeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    along = _axes(a, axes)
    return x.squeeze() if along is None else x.squeeze(tuple(along))


def _unsqueeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    along = _axes(a, axes) or []
    rank = x.dim() + len(along)
    for axis in sorted(n % rank for n in along):
        x = x.unsqueeze(axis)
    return x


def _flatten(a: Attributes, x: Tensor) -> Tensor:
    axis = a.get("axis", 1) % (x.dim() + 1)
    lead = 1
    for extent in x.shape[:axis]:
        lead *= extent
    return x.reshape(lead, -1) if x.numel() else x.reshape(lead, x[(0,) * axis].numel())


def _split(a: Attributes, x: Tensor, sizes: Tensor | None = None) -> Any:
    axis = a.get("axis", 0)
    if sizes is not None:
        return tuple(x.split(numbers(sizes), axis))
    given = a.get("split") or -(-x.shape[axis] // a.get("num_outputs", a["outputs"]))
    return tuple(x.split(given, axis))


def _gather(a: Attributes, x: Tensor, index: Tensor) -> Tensor:
    axis = a.get("axis", 0) % x.dim()
    flat = index.reshape(-1).long()
    flat = rushlight.where(flat < 0, flat + x.shape[axis], flat)
    found = x.index_select(axis, flat)
    return found.reshape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


def _scatter(a: Attributes, x: Tensor, index: Tensor, source: Tensor) -> Tensor:
    way = {"none": None, "add": "sum", "mul": "prod", "max": "amax", "min": "amin"}[
        a.get("reduction", "none")
    ]
    axis = a.get("axis", 0)
    index = rushlight.where(index < 0, index + x.shape[axis], index)
    if way is None:
        return x.scatter(axis, index, source)
    return x.scatter_reduce(axis, index, source, way)


def _gemm(a: Attributes, x: Tensor, y: Tensor, c: Tensor | None = None) -> Tensor:
    x = x.t() if a.get("transA", 0) else x
    y = y.t() if a.get("transB", 0) else y
    made = x @ y
    alpha, beta = a.get("alpha", 1.0), a.get("beta", 1.0)
    made = made if alpha == 1.0 else made * alpha
    return made if c is None else made + (c if beta == 1.0 else c * beta)


def _pads(a: Attributes, rank: int, x: Tensor, kernel: list[int]) -> tuple[list[int], list[int]]:
    """The padding before and behind each dimension."""
    way = a.get("auto_pad", "NOTSET")
    if way in ("NOTSET", ""):
        given = list(a.get("pads") or [0] * (2 * rank))
        return given[:rank], given[rank:]
    before, after = [], []
    steps, gaps = a.get("strides") or [1] * rank, a.get("dilations") or [1] * rank
    for n, k, step, gap in zip(x.shape[2:], kernel, steps, gaps):
        total = max(0, (-(-n // step) - 1) * step + (k - 1) * gap + 1 - n) if way != "VALID" else 0
        small, large = total // 2, total - total // 2
        before.append(small if way == "SAME_UPPER" else large)
        after.append(large if way == "SAME_UPPER" else small)
    return before, after


def _padded(x: Tensor, before: list[int], after: list[int], value: float) -> Tensor:
    widths = [n for pair in zip(reversed(before), reversed(after)) for n in pair]
    return functional.pad(x, widths, "constant", value)


def _convolution(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rank = weight.dim() - 2
    before, after = _pads(a, rank, x, list(weight.shape[2:]))
    if before != after:
        x, before = _padded(x, before, after, 0.0), [0] * rank
    function = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    steps, gaps = a.get("strides") or [1] * rank, a.get("dilations") or [1] * rank
    return function(x, weight, bias, tuple(steps), tuple(before), tuple(gaps), a.get("group", 1))


def _transposed(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rank = weight.dim() - 2
    if a.get("auto_pad", "NOTSET") not in ("NOTSET", "") or "output_shape" in a:
        raise NotImplementedError("ConvTranspose with auto_pad or output_shape")
    pads = a.get("pads") or [0] * (2 * rank)
    if pads[:rank] != pads[rank:]:
        raise NotImplementedError("ConvTranspose with different padding before and behind")
    functions = (
        functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d
    )  # fmt: skip
    ones = [1] * rank
    return functions[rank - 1](
        x,
        weight,
        bias,
        tuple(a.get("strides") or ones),
        tuple(pads[:rank]),
        tuple(a.get("output_padding") or [0] * rank),
        a.get("group", 1),
        tuple(a.get("dilations") or ones),
    )


def _max_pool(a: Attributes, x: Tensor) -> Tensor:
    kernel = list(a["kernel_shape"])
    rank = len(kernel)
    before, after = _pads(a, rank, x, kernel)
    if before != after or any(2 * n > k for n, k in zip(before, kernel)):
        x, before = _padded(x, before, after, float("-inf")), [0] * rank
    function = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[rank - 1]
    steps, gaps = a.get("strides") or [1] * rank, a.get("dilations") or [1] * rank
    return function(
        x, kernel, list(steps), list(before), list(gaps), ceil_mode=bool(a.get("ceil_mode", 0))
    )


def _average_pool(a: Attributes, x: Tensor) -> Tensor:
    kernel = list(a["kernel_shape"])
    rank = len(kernel)
    before, after = _pads(a, rank, x, kernel)
    counted = bool(a.get("count_include_pad", 0))
    if before != after:
        if not counted:
            raise NotImplementedError("AveragePool with uneven padding that is not counted")
        x, before = _padded(x, before, after, 0.0), [0] * rank
    function = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[rank - 1]
    steps = a.get("strides") or [1] * rank
    return function(x, kernel, list(steps), list(before), bool(a.get("ceil_mode", 0)), counted)


def _batch_norm(
    a: Attributes, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor
) -> Tensor:
    if a.get("training_mode", 0):
        raise NotImplementedError("BatchNormalization in training mode")
    return functional.batch_norm(x, mean, var, weight, bias, False, 0.0, a.get("epsilon", 1e-5))


def _layer_norm(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    shape = tuple(x.shape[a.get("axis", -1) % x.dim() :])
    return functional.layer_norm(x, shape, weight, bias, a.get("epsilon", 1e-5))


def _range(a: Attributes, start: Tensor, limit: Tensor, step: Tensor) -> Tensor:
    return rushlight.arange(start.item(), limit.item(), step.item(), dtype=start.dtype)


def _cumulative(a: Attributes, x: Tensor, axis: Tensor) -> Tensor:
    along = numbers(axis)[0]
    if a.get("reverse", 0) or a.get("exclusive", 0):
        raise NotImplementedError("CumSum in reverse or exclusive")
    return x.cumsum(along).to(x.dtype)


def _constant(a: Attributes) -> Tensor:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in a:
            return a[name] if isinstance(a[name], Tensor) else rushlight.tensor(a[name])
    raise NotImplementedError("a Constant of another kind")


def _filled(a: Attributes, shape: Tensor) -> Tensor:
    value = a.get("value")
    if value is None:
        return rushlight.zeros(numbers(shape))
    return rushlight.full(numbers(shape), value.item(), dtype=value.dtype)


def _clip(
    a: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None
) -> Tensor:
    x = x if low is None else rushlight.maximum(x, low)
    return x if high is None else rushlight.minimum(x, high)


def _cast(a: Attributes, x: Tensor) -> Tensor:
    return x.to(getattr(rushlight, DTYPES[a["to"]]))


def _bits(function: str) -> Operation:
    return lambda a, *inputs: getattr(rushlight, function)(*inputs)


_SIMPLE = (
    "abs acos acosh asin asinh atan atanh ceil cos cosh erf exp floor log neg reciprocal relu "
    "round sigmoid sign sin sinh sqrt tan tanh"
)
OPERATORS: dict[str, Operation] = {
    **{name.capitalize(): _plain(getattr(rushlight, name)) for name in _SIMPLE.split()},
    **{
        f"Bitwise{name.capitalize()}": _bits(f"bitwise_{name}")
        for name in ("and", "or", "xor", "not")
    },
    "Add": _plain(rushlight.add),
    "And": _plain(rushlight.logical_and),
    "ArgMax": _argument("argmax"),
    "ArgMin": _argument("argmin"),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda a, *inputs: rushlight.cat(list(inputs), a["axis"]),
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "CumSum": _cumulative,
    "Div": _div,
    "Dropout": lambda a, x, *ignored: x,
    "Einsum": lambda a, *inputs: rushlight.einsum(a["equation"], *inputs),
    "Elu": lambda a, x: functional.elu(x, a.get("alpha", 1.0)),
    "Equal": _plain(rushlight.eq),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": lambda a, x, index: x.gather(a.get("axis", 0), index.long()),
    "Gelu": lambda a, x: functional.gelu(x, approximate=a.get("approximate", "none")),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda a, x: x.mean(tuple(range(2, x.dim())), keepdim=True),
    "GlobalMaxPool": lambda a, x: x.amax(tuple(range(2, x.dim())), keepdim=True),
    "Greater": _plain(rushlight.gt),
    "GreaterOrEqual": _plain(rushlight.ge),
    "HardSigmoid": lambda a, x: (x * a.get("alpha", 0.2) + a.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": _plain(functional.hardswish),
    "Identity": lambda a, x: x,
    "IsInf": _plain(rushlight.isinf),
    "IsNaN": _plain(rushlight.isnan),
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda a, x: functional.leaky_relu(x, a.get("alpha", 0.01)),
    "Less": _plain(rushlight.lt),
    "LessOrEqual": _plain(rushlight.le),
    "LogSoftmax": lambda a, x: x.log_softmax(a.get("axis", -1)),
    "MatMul": _plain(rushlight.matmul),
    "Max": _folded(rushlight.maximum),
    "MaxPool": _max_pool,
    "Min": _folded(rushlight.minimum),
    "Mod": _mod,
    "Mul": _plain(rushlight.mul),
    "Not": _plain(rushlight.logical_not),
    "Or": _plain(rushlight.logical_or),
    "PRelu": lambda a, x, slope: rushlight.where(x < 0, x * slope, x),
    "Pad": _pad,
    "Pow": _plain(rushlight.pow),
    "Range": _range,
    "ReduceMax": reduction(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
    "ReduceMean": reduction(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
    "ReduceMin": reduction(lambda x, axes, keep: x.amin(axes, keepdim=keep)),
    "ReduceProd": reduction(_product),
    "ReduceSum": reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep).to(x.dtype)),
    "Reshape": _reshape,
    "ScatterElements": _scatter,
    "Shape": lambda a, x: rushlight.tensor(
        list(x.shape)[a.get("start", 0) : a.get("end")], dtype=rushlight.int64
    ),
    "Slice": _slice,
    "Softmax": lambda a, x: x.softmax(a.get("axis", -1)),
    "Softplus": _plain(functional.softplus),
    "Split": _split,
    "Squeeze": _squeeze,
    "Sub": _plain(rushlight.sub),
    "Sum": _folded(rushlight.add),
    "Tile": lambda a, x, counts: x.tile(tuple(numbers(counts))),
    "Transpose": lambda a, x: x.permute(a.get("perm", tuple(range(x.dim()))[::-1])),
    "Unsqueeze": _unsqueeze,
    "Where": lambda a, condition, x, y: rushlight.where(condition, x, y),
    "Xor": _plain(rushlight.logical_xor),
}
