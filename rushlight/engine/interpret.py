"""The meaning of graph nodes in NumPy: what a program computes when nothing is compiled.

In: nodes and the arrays of their operands. Out: arrays. It is the second oracle of the tests, and
it runs what has no kernel: complex arithmetic and `host` functions. Invariant: arrays are in
register form (kernel/convert.py: float16 and bfloat16 widened to float32, rounded after every
node), indexed logically.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base.layout import Layout
from ..graph.host import HOST_FUNCTIONS
from ..graph.node import ContractionMap, Node
from ..kernel import convert
from ..kernel.primitives import PRIMITIVES

Arrays = list[np.ndarray]
Meaning = Callable[..., Any]


def load(flat: np.ndarray, layout: Layout) -> np.ndarray:
    """The register array of a window on stored elements."""
    if layout.numel == 0:
        return np.zeros(layout.shape, convert.register_type(layout.dtype.name))
    item = flat.itemsize
    window = np.lib.stride_tricks.as_strided(
        flat[layout.offset :], layout.shape, [s * item for s in layout.strides]
    )
    return convert.from_storage(
        np.ascontiguousarray(window).reshape(layout.shape), layout.dtype.name
    )


def store(values: np.ndarray, layout: Layout, flat: np.ndarray) -> None:
    """Put register values into stored memory in a layout's order."""
    if layout.numel == 0:
        return
    item = flat.itemsize
    window = np.lib.stride_tricks.as_strided(
        flat[layout.offset :], layout.shape, [s * item for s in layout.strides]
    )
    window[...] = convert.to_storage(np.broadcast_to(values, layout.shape), layout.dtype.name)


def evaluate(node: Node, operands: Arrays) -> np.ndarray:
    """The array of a node, given those of its inputs."""
    with np.errstate(all="ignore"):
        meaning = _MEANINGS.get(node.op)
        if meaning is not None:
            made: np.ndarray = meaning(node, *operands)
            return made
        result = _elementwise(node, operands)
    if node.dtype.name in convert.NARROW:
        return convert.round_to(result, node.dtype.name)
    return np.asarray(result, convert.register_type(node.dtype.name))


_COMPLEX: dict[str, Callable[..., np.ndarray]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "sign": lambda x: np.where(x == 0, 0, x / np.where(x == 0, 1, np.abs(x))),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "exp2": np.exp2,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "pow": np.power,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
}


def _elementwise(node: Node, operands: Arrays) -> np.ndarray:
    if node.inputs and node.inputs[-1].dtype.is_complex and node.op in _COMPLEX:
        return _COMPLEX[node.op](*operands)
    row = PRIMITIVES[node.op]
    assert row.meaning is not None
    if row.divides and node.dtype.kind == "int" and not np.all(operands[1]):
        raise RuntimeError("ZeroDivisionError")
    return row.meaning(*operands)


def _cast(node: Node, x: np.ndarray) -> np.ndarray:
    source, target = node.inputs[0].dtype, node.dtype
    if target.is_complex:
        return x.astype(target.numpy)
    if source.is_complex:
        if target.kind == "bool":
            return np.asarray(x != 0)
        x, source = x.real, source.real
    return convert.cast(x, source.name, target.name)


def _slice(node: Node, x: np.ndarray) -> np.ndarray:
    starts, steps = node.attributes
    grid = tuple(start + step * np.arange(n) for start, step, n in zip(starts, steps, node.shape))
    return x[np.ix_(*grid)] if grid else x


def _pad(node: Node, x: np.ndarray) -> np.ndarray:
    before, after, value = node.attributes
    return np.pad(x, list(zip(before, after)), constant_values=value)


def _flat(x: np.ndarray, strides: tuple[int, ...]) -> np.ndarray:
    """The memory of an array laid out with dense strides."""
    order = sorted(range(x.ndim), key=lambda d: (-strides[d], d))
    return np.ascontiguousarray(np.transpose(x, order)).reshape(-1)


def _strided(node: Node, x: np.ndarray) -> np.ndarray:
    own, strides, offset = node.attributes
    if 0 in node.shape:
        return np.zeros(node.shape, x.dtype)
    flat = _flat(x, own)
    return np.lib.stride_tricks.as_strided(
        flat[offset:], node.shape, [s * flat.itemsize for s in strides]
    ).copy()


def _write(node: Node, flat: np.ndarray, value: np.ndarray) -> np.ndarray:
    strides, offset = node.attributes
    result = flat.copy()
    if value.size:
        np.lib.stride_tricks.as_strided(
            result[offset:], value.shape, [s * result.itemsize for s in strides]
        )[...] = value
    return result


_REDUCTIONS: dict[str, Meaning] = {
    "sum": np.add.reduce,
    "prod": np.multiply.reduce,
    "max": np.maximum.reduce,
    "min": np.minimum.reduce,
    "any": np.logical_or.reduce,
    "all": np.logical_and.reduce,
}


def _arg(node: Node, x: np.ndarray, axes: tuple[int, ...], kind: str) -> np.ndarray:
    """The first index of the extreme element over axes seen as one; NaN counts as the extreme."""
    kept = [d for d in range(x.ndim) if d not in axes]
    rows = np.transpose(x, kept + list(axes)).reshape([x.shape[d] for d in kept] + [-1])
    found: np.ndarray = (np.argmax if kind == "argmax" else np.argmin)(rows, -1)
    return found.astype(np.int64)


def _reduce(node: Node, x: np.ndarray) -> np.ndarray:
    kind, axes = node.attributes
    if kind.startswith("arg"):
        return _arg(node, x, axes, kind)
    result = _REDUCTIONS[kind](x, axis=axes)
    return (
        convert.round_to(result, node.dtype.name)
        if not node.dtype.is_complex
        else np.asarray(result, x.dtype)
    )


def _scan(node: Node, x: np.ndarray) -> np.ndarray:
    kind, axis = node.attributes
    if kind == "logaddexp" and node.dtype.is_complex:
        return _complex_logcumsumexp(x, axis)
    function = {
        "sum": np.add,
        "prod": np.multiply,
        "max": np.maximum,
        "min": np.minimum,
        "logaddexp": np.logaddexp,
    }[kind]
    wide = x.astype(np.float64) if x.dtype == np.float32 else x
    return function.accumulate(wide, axis=axis).astype(x.dtype)


def _complex_logcumsumexp(x: np.ndarray, axis: int) -> np.ndarray:
    """log of the running sums of exp, the term of larger real part taken out of each sum."""
    result = np.array(x)
    lines = np.moveaxis(result, axis, 0)
    for k in range(1, len(lines)):
        before, here = lines[k - 1], lines[k]
        first = before.real >= here.real
        larger, smaller = np.where(first, before, here), np.where(first, here, before)
        both = (before.real == here.real) & np.isneginf(here.real)
        lines[k] = np.where(both, before, larger + np.log1p(np.exp(smaller - larger)))
    return result


def _contract(node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    mapping: ContractionMap = node.attributes[0]
    wide = np.float64 if a.dtype == np.float32 else a.dtype

    def window(x: np.ndarray, dims: tuple[Any, ...]) -> tuple[np.ndarray, list[int]]:
        """x indexed by the loops it depends on."""
        used = sorted({loop for _, terms in dims for loop, _ in terms})
        start = tuple(slice(constant, None) for constant, _ in dims)
        strides = dict.fromkeys(used, 0)
        for stride, (_, terms) in zip(x.strides, dims):
            for loop, coefficient in terms:
                strides[loop] += stride * coefficient
        shape = [mapping.loops[loop] for loop in used]
        return np.lib.stride_tricks.as_strided(
            x[start], shape, [strides[loop] for loop in used]
        ), used

    if 0 in mapping.loops:
        return np.zeros(node.shape, a.dtype)
    left, right = window(a.astype(wide), mapping.a), window(b.astype(wide), mapping.b)
    result = np.einsum(
        left[0], left[1], right[0], right[1], list(range(mapping.rank)), optimize=True
    )
    return (
        convert.round_to(np.asarray(result).astype(a.dtype), node.dtype.name)
        if not node.dtype.is_complex
        else result
    )


def _checked(index: np.ndarray, size: int) -> np.ndarray:
    if ((index < 0) | (index >= size)).any():
        raise IndexError("index out of bounds")  # engine/failure.py says which and where
    return index


def _gather(node: Node, x: np.ndarray, index: np.ndarray) -> np.ndarray:
    found: np.ndarray = x.reshape(-1)[_checked(index, x.size)]
    return found


def _scatter(node: Node, base: np.ndarray, index: np.ndarray, source: np.ndarray) -> np.ndarray:
    combine = node.attributes[0]
    result = base.reshape(-1).copy()
    index = _checked(index, result.size).reshape(-1)
    source = source.reshape(-1)
    if combine == "set":
        result[index] = source
    else:
        {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}[combine].at(
            result, index, source
        )
    return result.reshape(base.shape)


def _host(node: Node, *operands: np.ndarray) -> tuple[np.ndarray, ...]:
    name, facts, arguments = node.attributes
    results = HOST_FUNCTIONS[name](*operands, *arguments)
    made = []
    for value, (shape, type_) in zip(results, facts):
        value = np.asarray(value)
        if value.shape != shape:
            raise RuntimeError(f"host function {name} gave shape {value.shape}, not {shape}")
        if type_.is_complex:
            made.append(value.astype(type_.numpy))
        else:
            made.append(
                convert.round_to(value, type_.name)
                if type_.kind == "float"
                else value.astype(type_.numpy)
            )
    return tuple(made)


def _iota(node: Node) -> np.ndarray:
    axis = node.attributes[0]
    line = np.arange(node.shape[axis], dtype=np.int64)
    return np.broadcast_to(
        line.reshape([-1 if d == axis else 1 for d in range(node.ndim)]), node.shape
    )


def _const(node: Node) -> np.ndarray:
    return np.asarray(node.attributes[0]).astype(convert.register_type(node.dtype.name))


def _bitcast(node: Node, x: np.ndarray) -> np.ndarray:
    made = convert.bitcast(x, node.inputs[0].dtype.name, node.dtype.name)
    return np.asarray(made).reshape(node.shape)


def _real_or_complex(node: Node, x: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(x))


def _joined(real: np.ndarray, imag: np.ndarray, dtype: Any) -> np.ndarray:
    """Complex numbers of two parts, which a sum would not give where one is infinite."""
    made = np.empty(np.broadcast_shapes(real.shape, imag.shape), dtype)
    made.real, made.imag = real, imag
    return made


_MEANINGS: dict[str, Meaning] = {
    "const": _const,
    "iota": _iota,
    "cast": _cast,
    "bitcast": _bitcast,
    "slice": _slice,
    "pad": _pad,
    "strided": _strided,
    "write": _write,
    "reduce": _reduce,
    "scan": _scan,
    "contract": _contract,
    "gather": _gather,
    "scatter": _scatter,
    "host": _host,
    "copy": lambda node, x: x,
    "real": lambda node, x: np.ascontiguousarray(x.real).reshape(node.shape),
    "imag": lambda node, x: np.ascontiguousarray(x.imag).reshape(node.shape),
    "conj": lambda node, x: np.conj(x),
    "complex": lambda node, a, b: _joined(a, b, node.dtype.numpy),
    "complex_abs": _real_or_complex,
    "pick": lambda node, results: results[node.attributes[0]],
    "expand": lambda node, x: np.broadcast_to(x, node.shape),
    "reshape": lambda node, x: np.reshape(x, node.shape),
    "permute": lambda node, x: np.transpose(x, node.attributes[0]),
    "concat": lambda node, *xs: np.concatenate(xs, node.attributes[0]),
    "where": lambda node, c, a, b: np.where(c, a, b),
    "eq": lambda node, a, b: a == b,
    "ne": lambda node, a, b: a != b,
}
