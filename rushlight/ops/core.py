"""The rows everything else stands on: arithmetic, casts, copies, sums to a shape, fills.

In: nodes. Out: rows. They are here, and few, because the tape itself uses them.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.dtype import dtype
from ..base.layout import Layout, normalize_axes, ordered_strides
from ..graph import build as b
from ..graph.node import Node
from . import grad_names
from .registry import Scalar, TensorValue, Value, Values, op
from .signature import strides_of_all, strides_of_first


@op("", inplace=True, elementwise=True)
def add(input: Value, other: Value) -> Value:
    """input + other."""
    return b.add(input, other)


@add.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


@add.vjp("other")
def _(g):  # type: ignore[no-untyped-def]
    return g


@op("", inplace=True, elementwise=True, grad_name="AddBackward0")
def add_scaled(input: Value, other: Value, alpha: Scalar) -> Value:
    """input + alpha * other."""
    x, y = b.promote(input, other)
    if x.dtype.kind not in ("float", "complex"):
        return b.add(x, b.mul(y, alpha))
    wide = dtypes.float32 if x.dtype in b.NARROW else x.dtype
    scale = b.cast(b.cast(alpha, x.dtype), wide)
    return b.cast(b.fma(scale, b.cast(y, wide), b.cast(x, wide)), x.dtype)


@add_scaled.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


@add_scaled.vjp("other")
def _(g, alpha):  # type: ignore[no-untyped-def]
    return mul(g, _conjugate(alpha))


def _refuse_bool(word: str, *operands: Any) -> None:
    bools = [b.as_node(x).dtype is dtypes.bool_ for x in operands]
    if any(bools):
        if all(bools):
            raise RuntimeError(
                f"Subtraction, the `{word}` operator, with two bool tensors is not supported. Use "
                "the `^` or `logical_xor()` operator instead."
            )
        raise RuntimeError(
            f"Subtraction, the `{word}` operator, with a bool tensor is not supported. If you are "
            "trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )


@op("", inplace=True, elementwise=True, grad_name=grad_names.subtracted)
def sub(input: Value, other: Value) -> Value:
    """input - other."""
    _refuse_bool("-", input, other)
    return b.binary("sub", input, other)


@sub.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


@sub.vjp("other")
def _(g):  # type: ignore[no-untyped-def]
    return neg(g)


@op("", inplace=True, elementwise=True)
def mul(input: Value, other: Value) -> Value:
    """input * other."""
    return b.mul(input, other)


@mul.vjp("input")
def _(g, other):  # type: ignore[no-untyped-def]
    return mul(g, _conjugate(other))


@mul.vjp("other")
def _(g, input):  # type: ignore[no-untyped-def]
    return mul(g, _conjugate(input))


@op("", inplace=True, elementwise=True)
def div(input: Value, other: Value) -> Value:
    """input / other; integers become floats."""
    return b.div(input, other)


@div.vjp("input")
def _(g, other):  # type: ignore[no-untyped-def]
    return div(g, _conjugate(other))


@div.vjp("other")
def _(g, input, other):  # type: ignore[no-untyped-def]
    return neg(mul(g, _conjugate(div(div(input, other), other))))


def _conjugate(x: Any) -> Any:
    """The complex conjugate of a tensor or number; real ones stay."""
    if isinstance(x, builtins.complex):
        return x.conjugate()
    return conj(x) if hasattr(x, "_layout") and x._layout.dtype.is_complex else x


@op("torch Tensor", inplace=True, elementwise=True)
def neg(input: Value) -> Value:
    """-input.

    >>> import rushlight as rl
    >>> rl.neg(rl.tensor([1., -2.]))
    tensor([-1.,  2.])
    """
    if input.dtype is dtypes.bool_:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
            "invert a mask, use the `~` or `logical_not()` operator instead."
        )
    return b.elementwise("neg", input)


@neg.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return neg(g)


@op("", strides=strides_of_first, grad_name="ToCopyBackward0")
def cast(input: Value, dtype: dtype) -> Value:
    """input converted to a dtype."""
    return b.cast(input, dtype)


@cast.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


@op("", strides=strides_of_first, grad_name="CloneBackward0")
def clone(input: Value) -> Value:
    """A copy in memory of its own, in the operand's order of dimensions where it is dense."""
    return Node("copy", (input,), input.shape, input.dtype)


@clone.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


@op("", strides=None, grad_name="CloneBackward0")
def contiguous(input: Value) -> Value:
    """A row-major copy."""
    return Node("copy", (input,), input.shape, input.dtype)


@contiguous.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


_restride_cache: dict[tuple, Any] = {}


def restride(input: Any, strides: tuple[int, ...]) -> Any:
    """A copy of a tensor with given dense strides (a row is made for each order of dimensions that
    is asked for).
    """
    shape = input.shape  # of equal strides, that of a dimension of length one is the inner one
    order = tuple(sorted(range(len(strides)), key=lambda d: (-strides[d], shape[d] == 1, d)))
    row = _restride_cache.get(order)
    if row is None:

        @op(
            "",
            name="restride_" + "_".join(map(str, order)),
            grad_name="CloneBackward0",
            strides=lambda shape, operands: ordered_strides(shape, order),
        )
        def copied(input: Value) -> Value:
            return Node("copy", (input,), input.shape, input.dtype)

        copied.vjp("input")(lambda g: g)
        row = _restride_cache[order] = copied
    return row(input)


def zeros_like(g: Any) -> Any:
    """The gradient of a function that is constant almost everywhere."""
    return full(tuple(g.shape), 0, g.dtype)


@op("", elementwise=True, grad_name="CopyBackwards")
def copy(input: Value, source: Value) -> Value:
    """source, broadcast and converted to the shape and dtype of input (what `input.copy_(source)`
    stores).
    """
    return Node(
        "copy", (b.expand(b.cast(source, input.dtype), input.shape),), input.shape, input.dtype
    )


@copy.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return zeros_like(g)


@copy.vjp("source")
def _(g):  # type: ignore[no-untyped-def]
    return g


@op("torch", elementwise=True, grad_name="FillBackward0")
def fill(input: Value, value: Value) -> Value:
    """value everywhere, in the shape and dtype of input.

    >>> import rushlight as rl
    >>> rl.fill(rl.zeros(2), 3)
    tensor([3., 3.])
    """
    if value.ndim:
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} "
            "dimensions."
        )
    return b.expand(b.cast(value, input.dtype), input.shape)


@fill.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return zeros_like(g)


@fill.vjp("value")
def _(g):  # type: ignore[no-untyped-def]
    return sum(g, None, False)


@op("", differentiable=False)
def full(size: tuple, value: Scalar, dtype: dtype, strides: tuple | None = None) -> Value:
    """A tensor of one value."""
    return b.expand(b.cast(value, dtype), size)


@op("", grad_name="SumBackward1")
def sum_to(input: Value, size: tuple) -> Value:
    """input summed over the dimensions along which `size` was broadcast to its shape."""
    lead = input.ndim - len(size)
    axes = [
        d for d in range(input.ndim) if d < lead or (size[d - lead] == 1 and input.shape[d] != 1)
    ]
    return b.reshape(reduce_sum(input, axes), size) if axes else b.reshape(input, size)


@sum_to.vjp("input")
def _(g, input_layout):  # type: ignore[no-untyped-def]
    return g.expand(input_layout.shape)


def reduce_sum(x: Node, axes: Sequence[int] | None, keepdim: bool = False) -> Node:
    """A sum that float16 and bfloat16 take in float32."""
    wide = b.cast(x, dtypes.float32) if x.dtype in b.NARROW else x
    return b.cast(b.reduce("sum", wide, axes, keepdim), x.dtype)


@op("", grad_name=grad_names.reduced("Sum"))
def sum(
    input: Value, dim: tuple | int | None = None, keepdim: bool = False, dtype: dtype | None = None
) -> Value:
    """The sum over dimensions; integers and bools are summed in int64."""
    if dtype is None and input.dtype.kind in ("bool", "int"):
        dtype = dtypes.int64
    x = b.cast(input, dtype) if dtype is not None else input
    return reduce_sum(x, normalize_axes(dim, input.ndim), keepdim)


@sum.vjp("input")
def _(g, input_layout, dim, keepdim):  # type: ignore[no-untyped-def]
    return unreduce(g, input_layout, dim, keepdim)


def unreduce(g: Any, layout: Layout, dim: Any, keepdim: bool) -> Any:
    """The gradient of a reduced tensor spread back over the reduced dimensions."""
    if not keepdim and layout.ndim:
        axes = normalize_axes(dim, layout.ndim)
        g = g.reshape([1 if d in axes else n for d, n in enumerate(layout.shape)])
    return g.expand(layout.shape)


@op("", elementwise=True)
def where(condition: Value, input: Value, other: Value) -> Value:
    """input where condition holds, else other."""
    if condition.dtype not in (dtypes.bool_, dtypes.uint8):
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{condition.dtype}"
        )
    return b.where(condition, input, other)


@where.vjp("input")
def _(g, condition):  # type: ignore[no-untyped-def]
    return where(condition, g, 0)


@where.vjp("other")
def _(g, condition):  # type: ignore[no-untyped-def]
    return where(condition, 0, g)


@op("")
def slice_backward(grad: Value, size: tuple, starts: tuple, steps: tuple) -> Value:
    """Zeros of shape `size` with grad in the slice (starts, steps): the gradient of select, slice
    and narrow.
    """
    before, after = [], []
    x = grad
    for d, (n, start, step) in enumerate(zip(size, starts, steps)):
        length = x.shape[d]
        # spread out: [.., n, ..] -> [.., n, step, ..] -> [.., n * step, ..]
        if step > 1 and length > 1:
            shape = [*x.shape[: d + 1], 1, *x.shape[d + 1 :]]
            wide = b.pad(
                b.reshape(x, shape),
                [0] * len(shape),
                [step - 1 if k == d + 1 else 0 for k in range(len(shape))],
            )
            x = b.reshape(wide, [*x.shape[:d], length * step, *x.shape[d + 1 :]])
            x = b.narrow(x, d, 0, (length - 1) * step + 1)
        before.append(start)
        after.append(n - start - x.shape[d])
    return b.pad(x, before, after)


@slice_backward.vjp("grad")
def _(g, grad_layout, starts, steps):  # type: ignore[no-untyped-def]
    index = tuple(
        slice(s, s + (n - 1) * st + 1 if n else s, st)
        for s, st, n in zip(starts, steps, grad_layout.shape)
    )
    return g[index]


@op("", grad_name="CopySlices", strides=lambda shape, operands: operands[0].strides)
def write_slice(input: Value, value: Value, strides: tuple, offset: int) -> Value:
    """Memory (input, one-dimensional) after value was stored through the view (value's shape,
    strides, offset).
    """
    return b.write(input, b.cast(value, input.dtype), strides, offset)


@write_slice.vjp("input")
def _(g, value_layout, strides, offset):  # type: ignore[no-untyped-def]
    return write_slice(g, full(tuple(value_layout.shape), 0, g.dtype), strides, offset)


@write_slice.vjp("value")
def _(g, value_layout, strides, offset):  # type: ignore[no-untyped-def]
    return restride(g, (1,)).as_strided(value_layout.shape, strides, offset)


@op("")
def strided_backward(grad: Value, numel: int, strides: tuple, offset: int) -> Value:
    """Flat memory of `numel` elements with grad summed in at the addresses of a view (views may
    overlap).
    """
    address = b.const(offset, dtypes.int64)
    for d, stride in enumerate(strides):
        address = b.add(address, b.mul(b.iota(grad.shape, d), b.const(stride, dtypes.int64)))
    base = b.expand(b.const(0, grad.dtype), (numel,))
    return b.scatter(base, b.expand(address, grad.shape), grad, "sum")


@strided_backward.vjp("grad")
def _(g, grad_layout, strides, offset):  # type: ignore[no-untyped-def]
    return restride(g, (1,)).as_strided(grad_layout.shape, strides, offset)


@op("", grad_name="UnsafeViewBackward0")
def reshape_copy(input: Value, size: tuple) -> Value:
    """The elements in row-major order under another shape (what `reshape` does where no view
    can).
    """
    return Node("copy", (b.reshape(input, size),), size, input.dtype)


@reshape_copy.vjp("input")
def _(g, input_layout):  # type: ignore[no-untyped-def]
    return g.reshape(input_layout.shape)


@op("", elementwise=True)
def real_part(input: Value) -> Value:
    """The real part, as values of their own."""
    return (
        Node("real", (input,), input.shape, input.dtype.real) if input.dtype.is_complex else input
    )


@real_part.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return g


@op("", elementwise=True)
def imag_part(input: Value) -> Value:
    """The imaginary part, as values of their own."""
    return Node("imag", (input,), input.shape, input.dtype.real)


@imag_part.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return mul(g, 1j)


@op("torch Tensor", inplace=True, elementwise=True)
def conj_physical(input: Value) -> Value:
    """The complex conjugate."""
    return Node("conj", (input,), input.shape, input.dtype) if input.dtype.is_complex else input


@conj_physical.vjp("input")
def _(g):  # type: ignore[no-untyped-def]
    return conj_physical(g)


conj = conj_physical


@op("torch", elementwise=True, guarded=("real", "imag"))
def complex(real: TensorValue, imag: TensorValue) -> Value:
    """real + 1j * imag."""
    if real.dtype is not imag.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {real.dtype.name} but got scalar type "
            f"{imag.dtype.name} for second argument"
        )
    if real.dtype.kind != "float":
        raise RuntimeError(
            "Expected both inputs to be Half, Float or Double tensors but got "
            f"{real.dtype.name} and {imag.dtype.name}"
        )
    real, imag = b.broadcast(real, imag)
    return Node("complex", (real, imag), real.shape, real.dtype.to_complex())


@complex.vjp("real")
def _(g):  # type: ignore[no-untyped-def]
    return real_part(g)


@complex.vjp("imag")
def _(g):  # type: ignore[no-untyped-def]
    return imag_part(g)


@op("", differentiable=False)
def arange_row(start: Scalar, step: Scalar, length: int, dtype: dtype) -> Value:
    """start + step * i for i in range(length)."""
    index = b.iota((length,), 0)
    if dtype.kind == "int":
        return b.cast(b.add(start, b.mul(index, step)), dtype)
    wide = b.cast(index, dtypes.float64)
    return b.cast(
        b.binary(
            "add",
            b.cast(start, dtypes.float64),
            b.binary("mul", b.cast(step, dtypes.float64), wide),
        ),
        dtype,
    )


@op("")
def stack(tensors: Values, dim: int = 0) -> Value:
    """Tensors of one shape along a new dimension."""
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    for k, x in enumerate(tensors):
        if x.shape != tensors[0].shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(tensors[0].shape)} at "
                f"entry 0 and {list(x.shape)} at entry {k}"
            )
    axis = b.normalize_axis(dim, tensors[0].ndim + 1)
    shape = [*tensors[0].shape[:axis], 1, *tensors[0].shape[axis:]]
    return b.concat([b.reshape(x, shape) for x in b.promote(*tensors)], axis)


@stack.vjp("tensors")
def _(g, dim):  # type: ignore[no-untyped-def]
    return g.unbind(dim)


@op("", strides=strides_of_all)
def cat(tensors: Values, dim: int = 0) -> Value:
    """Tensors one after the other along a dimension; sizes of the other dimensions must match."""
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    nodes = b.promote(*tensors)
    kept = [x for x in nodes if x.shape != (0,)]
    if not kept:
        return nodes[0]
    if any(x.ndim == 0 for x in kept):
        raise RuntimeError(
            f"zero-dimensional tensor (at position {[x.ndim for x in nodes].index(0)}) cannot be "
            "concatenated"
        )
    axis = b.normalize_axis(dim, kept[0].ndim)
    for k, x in enumerate(kept):
        if x.ndim != kept[0].ndim:
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {kept[0].ndim} and {x.ndim}"
            )
        for d, (n, m) in enumerate(zip(kept[0].shape, x.shape)):
            if d != axis and n != m:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size {n} "
                    f"but got size {m} for tensor number {k} in the list (dimension {d}: "
                    f"{list(kept[0].shape)} and {list(x.shape)})."
                )
    return b.concat(kept, axis)


@cat.vjp("tensors")
def _(g, tensors_layout, dim):  # type: ignore[no-untyped-def]
    axis = dim % max(g.ndim, 1)
    parts: list[Any] = []
    at = 0
    for layout in tensors_layout:
        if layout.shape == (0,):
            parts.append(None)
            continue
        length = layout.shape[axis]
        parts.append(g.narrow(axis, at, length))
        at += length
    return parts


def _pair(make: Callable) -> list:
    return [((make(3, 4), make(4)), {}), ((make(2, 1, 3), make(5, 1)), {})]


def _one(make: Callable) -> list:
    return [((make(3, 4),), {}), ((make(),), {})]


add.test(_pair, np.add)
add_scaled.test(lambda make: [((make(3, 4), make(4), 2.5), {})], lambda x, y, alpha: x + alpha * y)
sub.test(_pair, np.subtract)
mul.test(_pair, np.multiply)
div.test(lambda make: [((make(3, 4), make(4, low=0.5, high=2.0)), {})], np.true_divide)
neg.test(_one, np.negative)
cast.test(lambda make: [((make(3), dtypes.float64), {})], lambda x, dtype: x.astype(dtype.numpy))
clone.test(_one, np.copy)
contiguous.test(_one, np.copy)
copy.test(
    lambda make: [((make(3, 4), make(4)), {})], lambda x, y: np.broadcast_to(y, x.shape).copy()
)
fill.test(lambda make: [((make(3, 4), make()), {})], lambda x, v: np.full(x.shape, v))
full.test(
    lambda make: [(((2, 3), 1.5, dtypes.float64), {})],
    lambda size, value, dtype: np.full(size, value, dtype.numpy),
)
sum_to.test(
    lambda make: [((make(4, 3, 2), (3, 1)), {})], lambda x, size: x.sum(0).sum(-1, keepdims=True)
)
sum.test(
    lambda make: [((make(4, 3, 2), (0, 2), True), {}), ((make(5),), {})],
    lambda x, dim=None, keepdim=False: x.sum(dim, keepdims=keepdim),
)
where.test(lambda make: [((make(3, 4, dtype=bool), make(3, 4), make(4)), {})], np.where)
stack.test(lambda make: [(([make(3, 2), make(3, 2)], 1), {})], np.stack)
cat.test(lambda make: [(([make(3, 2), make(3, 5)], 1), {})], np.concatenate)
