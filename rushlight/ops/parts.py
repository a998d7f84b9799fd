"""Numbers taken apart and put together: mantissa and exponent, modulus and angle, the bits.

In: tensors of floats (for the hash, of any real dtype). Out: tensors of the same shape, or reduced.
Invariant: taking apart is exact: it moves bits and rounds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.dtype import TYPE_NAMES
from ..base.layout import normalize_axes
from ..graph import build as b
from ..graph.host import host_function
from ..graph.node import Node
from .arithmetic import sgn
from .common import conjugate, opmath, require_kind
from .core import complex as complex_
from .core import real_part
from .elementary import cos, exp2, sin
from .registry import TensorValue, Value, op

# of a format: the integers of its width, bits of the fraction, exponent of 1/2 as it is stored
_FORMATS = {
    dtypes.float32: (dtypes.int32, 23, 126),
    dtypes.float64: (dtypes.int64, 52, 1022),
}


@op("", elementwise=True)
def frexp(input: Value) -> tuple[Value, Value]:
    """The mantissa m with 1/2 <= |m| < 1 and the exponent e (int32) of input = m * 2^e.

    Zeros, infinities and NaN are their own mantissas, with the exponent 0.
    """
    if input.dtype.kind != "float":
        raise RuntimeError(
            f"torch.frexp() only supports floating-point dtypes, but got {input.dtype.name}"
        )
    x = opmath(input)
    integer, width, half = _FORMATS[x.dtype]
    fields = 2 * half + 3  # every bit of the exponent's field
    tiny = b.elementwise("abs", x) < 2.0 ** (1 - half)  # without a leading one: scaled up first
    bits = b.bitcast(b.where(tiny, x * 2.0 ** (width + 1), x), integer)
    stored = _bitwise("bitwise_and", _bitwise("shift_right", bits, width), fields)
    exponent = stored - half - b.where(tiny, b.const(width + 1, integer), b.const(0, integer))
    moved = _bitwise("bitwise_or", _bitwise("bitwise_and", bits, ~(fields << width)), half << width)
    ordinary = b.elementwise("isfinite", x) & b.elementwise("ne", x, b.const(0.0, x.dtype))
    mantissa = b.where(ordinary, b.bitcast(moved, x.dtype), x)
    zero = b.const(0, dtypes.int32)
    return (
        b.cast(mantissa, input.dtype),
        b.where(ordinary, b.cast(exponent, dtypes.int32), zero),
    )


def _bitwise(primitive: str, x: Node, number: int) -> Node:
    """A bitwise operation on integers and a number of their dtype."""
    return b.elementwise(primitive, x, b.cast(b.const(number), x.dtype))


@frexp.vjp("input")
def _(g0, out1):  # type: ignore[no-untyped-def]
    return g0 / exp2(out1)


def _between_powers(make: Callable) -> list:
    """Numbers of several exponents, none near a power of two, where the mantissa jumps."""
    scales = np.array([0.25, 1.0, 8.0, -2.0])
    return [((make(3, 4, low=1.1, high=1.9) * scales,), {}), ((make(low=1.1, high=1.9),), {})]


frexp.test(_between_powers, np.frexp)


@op("torch", elementwise=True)
def polar(abs: TensorValue, angle: TensorValue) -> Value:
    """The complex number of a modulus and an angle: abs * (cos(angle) + i sin(angle)).

    Both are float32, or both float64; they broadcast. RuntimeError otherwise. Follows
    `torch.polar`.

    >>> import rushlight as rl
    >>> rl.polar(rl.tensor([2.]), rl.tensor([0.]))
    tensor([2.+0.j])
    """
    if abs.dtype.kind != "float" or angle.dtype.kind != "float":
        raise RuntimeError(
            "Expected both inputs to be Half, Float or Double tensors but got "
            f"{TYPE_NAMES[abs.dtype.name]} and {TYPE_NAMES[angle.dtype.name]}"
        )
    if abs.dtype is not angle.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {TYPE_NAMES[abs.dtype.name]} but got scalar type "
            f"{TYPE_NAMES[angle.dtype.name]} for second argument"
        )
    if abs.dtype in b.NARROW:
        raise NotImplementedError(
            f"\"polar_cpu\" not implemented for '{TYPE_NAMES[abs.dtype.name]}'"
        )
    return complex_(abs * cos(angle), abs * sin(angle))


@polar.vjp("abs")
def _(g, out):  # type: ignore[no-untyped-def]
    return real_part(conjugate(g) * sgn(out))  # zero at the origin, as in PyTorch


@polar.vjp("angle")
def _(g, out):  # type: ignore[no-untyped-def]
    return real_part(conjugate(g) * (out * 1j))


polar.test(
    lambda make: [
        ((make(3, 4, low=0.5, high=2.0), make(3, 4)), {}),
        ((make(3, 1, low=0.5, high=2.0), make(4)), {}),
    ],
    lambda modulus, angle: modulus * np.exp(1j * angle),
)


# --- hashes -------------------------------------------------------------------------------------


@host_function
def exclusive_or(x: np.ndarray, axes: tuple[int, ...], keepdim: bool) -> tuple:
    return (np.bitwise_xor.reduce(x, axis=axes, keepdims=keepdim),)


@op("torch Tensor", differentiable=False)
def hash_tensor(
    input: Value, dim: int | tuple[int, ...] = (), *, keepdim: bool = False, mode: int = 0
) -> Value:
    """The exclusive or of the bits of all elements (or of those along `dim`), as uint64.

    Floats are hashed as float64, integers and bools as int64. `mode` 0 is the only one.
    RuntimeError for another mode, or for no elements and no `dim`; NotImplementedError for complex
    tensors. Follows `torch.hash_tensor`.

    >>> import rushlight as rl
    >>> rl.hash_tensor(rl.tensor([1, 2, 4]))
    tensor(7, dtype=torch.uint64)
    """
    if mode != 0:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    require_kind("xor_sum_cpu", input, ("bool", "int", "float"))
    axes = normalize_axes(None if dim == () else dim, input.ndim)
    if not input.numel:
        _require_elements(input, () if dim == () else axes)
    wide = b.cast(input, dtypes.float64 if input.dtype.kind == "float" else dtypes.int64)
    bits = b.bitcast(wide, dtypes.uint64)
    if not input.ndim:
        return bits
    shape = [1 if d in axes else n for d, n in enumerate(input.shape) if keepdim or d not in axes]
    return b.host("exclusive_or", [bits], [(shape, dtypes.uint64)], (tuple(axes), keepdim))[0]


def _require_elements(input: Node, axes: Any) -> None:
    """PyTorch's errors for a hash of nothing."""
    if not axes:
        raise RuntimeError(
            "hash_tensor: Expected reduction dim to be specified for input.numel() == 0. Specify "
            f"the reduction dim with the 'dim' argument; the shape is {list(input.shape)}."
        )
    for axis in axes:
        if not input.shape[axis]:
            raise IndexError(
                f"hash_tensor: Expected reduction dim {axis} to have non-zero size, but the shape "
                f"is {list(input.shape)}."
            )


def _numbers(make: Callable) -> list:
    return [
        ((make(3, 4),), {}),
        ((make(2, 3, 2), 1), {"keepdim": True}),
        ((make(3, 4, dtype="int64", low=-9, high=9), (0,)), {}),
    ]


def _hash_reference(x: np.ndarray, dim: Any = (), keepdim: bool = False) -> np.ndarray:
    bits = x.astype(np.float64 if x.dtype.kind == "f" else np.int64).view(np.uint64)
    axis = None if dim == () else dim
    return np.bitwise_xor.reduce(bits, axis=axis, keepdims=keepdim)


hash_tensor.test(_numbers, _hash_reference)
