"""Primitive nodes of the graph, as ONNX operators.

In: a node and the values of its operands. Out: its value. Invariants: elementwise operators take
operands of any shape that broadcasts to the node's, everything else takes them in full; a node that
ONNX cannot say is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy

from .graph import Builder, Numbers, Value, constant, number
from .views import flat_places, view

Form = Callable[[Builder, Any, list[Value]], Value]


def _shape_of(values: list[Value]) -> tuple[int, ...]:
    return tuple(numpy.broadcast_shapes(*(x.shape for x in values)))


def call(
    build: Builder, kind: str, *values: Value, dtype: str | None = None, **attributes: Any
) -> Value:
    """An elementwise operator over operands that broadcast."""
    return build.make(
        kind, values, _shape_of(list(values)), dtype or values[-1].dtype, **attributes
    )


# primitive -> the operator of the same meaning
_SAME = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "add": "Add", "asin": "Asin", "asinh": "Asinh",
    "atan": "Atan", "atanh": "Atanh", "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "div": "Div",
    "erf": "Erf", "exp": "Exp", "floor": "Floor", "log": "Log", "maximum": "Max", "minimum": "Min",
    "mul": "Mul", "neg": "Neg", "pow": "Pow", "reciprocal": "Reciprocal", "round": "Round",
    "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt",
    "sub": "Sub", "tan": "Tan", "tanh": "Tanh", "where": "Where", "trunc_divide": "Div",
    "bitwise_and": "BitwiseAnd", "bitwise_or": "BitwiseOr", "bitwise_xor": "BitwiseXor",
    "bitwise_not": "BitwiseNot",
}  # fmt: skip
_TESTS = {
    "eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual",
    "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor", "logical_not": "Not",
    "isnan": "IsNaN", "isinf": "IsInf",
}  # fmt: skip


def _floor_divide(build: Builder, a: Value, b: Value) -> Value:
    if a.dtype.startswith(("float", "bfloat")):
        return call(build, "Floor", call(build, "Div", a, b))
    return call(build, "Div", call(build, "Sub", a, call(build, "Mod", a, b)), b)


def _remainder(build: Builder, a: Value, b: Value) -> Value:
    if a.dtype.startswith(("float", "bfloat")):
        return call(build, "Sub", a, call(build, "Mul", b, _floor_divide(build, a, b)))
    return call(build, "Mod", a, b)


def _finite(build: Builder, x: Value) -> Value:
    strange = call(
        build, "Or", call(build, "IsNaN", x, dtype="bool"), call(build, "IsInf", x, dtype="bool")
    )
    return call(build, "Not", strange)


def _logarithm(base: float) -> Callable[[Builder, Value], Value]:
    def made(build: Builder, x: Value) -> Value:
        return call(build, "Div", call(build, "Log", x), number(math.log(base), x.dtype))

    return made


# primitive -> a formula in operators
_FORMULAS: dict[str, Callable[..., Value]] = {
    "copy": lambda build, x: x,
    "erfc": lambda build, x: call(build, "Sub", number(1, x.dtype), call(build, "Erf", x)),
    "exp2": lambda build, x: call(build, "Pow", number(2, x.dtype), x),
    "expm1": lambda build, x: call(build, "Sub", call(build, "Exp", x), number(1, x.dtype)),
    "fma": lambda build, a, b, c: call(build, "Add", call(build, "Mul", a, b), c),
    "fmod": lambda build, a, b: call(build, "Mod", a, b, fmod=1),
    "floor_divide": _floor_divide,
    "isfinite": _finite,
    "log10": _logarithm(10.0),
    "log1p": lambda build, x: call(build, "Log", call(build, "Add", x, number(1, x.dtype))),
    "log2": _logarithm(2.0),
    "ne": lambda build, a, b: call(build, "Not", call(build, "Equal", a, b, dtype="bool")),
    "remainder": _remainder,
    "rsqrt": lambda build, x: call(build, "Reciprocal", call(build, "Sqrt", x)),
    "trunc": lambda build, x: call(
        build, "Mul", call(build, "Sign", x), call(build, "Floor", call(build, "Abs", x))
    ),
}


def translate(build: Builder, node: Any, values: list[Value]) -> Value:
    """The value of one node."""
    kind = node.op
    if kind in _SAME:
        return call(build, _SAME[kind], *values)
    if kind in _TESTS:
        return call(build, _TESTS[kind], *values, dtype="bool")
    if kind in _FORMULAS:
        return _FORMULAS[kind](build, *values)
    if kind not in _STRUCTURAL:
        raise build.refuse(f"ONNX has no operator for its primitive {kind!r}")
    if kind not in ("expand", "cast"):
        values = [build.full(x, each.shape) for x, each in zip(values, node.inputs)]
    return _STRUCTURAL[kind](build, node, values)


# ---- movement


def _const(build: Builder, node: Any, values: list[Value]) -> Value:
    return number(node.attributes[0], node.dtype.name)


def _iota(build: Builder, node: Any, values: list[Value]) -> Value:
    axis = node.attributes[0]
    shape = [n if k == axis else 1 for k, n in enumerate(node.shape)]
    parts = [Numbers((0,), True), Numbers((node.shape[axis],), True), Numbers((1,), True)]
    along = build.make("Range", parts, [node.shape[axis]], "int64")
    return build.reshape(along, shape)


def _expand(build: Builder, node: Any, values: list[Value]) -> Value:
    return values[0]  # broadcasting makes up for it where it is used


def _slice(build: Builder, node: Any, values: list[Value]) -> Value:
    starts, steps = node.attributes
    return build.slice(values[0], starts, node.shape, steps)


def _pad(build: Builder, node: Any, values: list[Value]) -> Value:
    before, after, value = node.attributes
    filling = number(value, node.dtype.name)
    if node.dtype.name == "bool":  # which runtimes do not pad
        x = build.cast(values[0], "int32")
        filling = number(int(value), "int32")
    else:
        x = values[0]
    widths = Numbers((*before, *after))
    made = build.make("Pad", [x, widths, filling], node.shape, x.dtype, mode="constant")
    return build.cast(made, node.dtype.name)


def _strided(build: Builder, node: Any, values: list[Value]) -> Value:
    own, strides, offset = node.attributes
    return view(build, values[0], own, node.shape, strides, offset)


def _write(build: Builder, node: Any, values: list[Value]) -> Value:
    strides, offset = node.attributes
    stored = node.inputs[1].shape
    if tuple(strides) == (1,) and (offset, *stored) == (0, *node.shape):
        return values[1]
    places = flat_places(stored, strides, offset).reshape(-1)
    source = build.reshape(values[1], [places.size])
    inputs = [values[0], constant(places, "int64"), source]
    return build.make("ScatterElements", inputs, node.shape, node.dtype.name, axis=0)


# ---- reductions, contractions, indices

_REDUCTIONS = {"sum": "ReduceSum", "prod": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin"}
_ARGUMENTS = {"argmax": "ArgMax", "argmin": "ArgMin"}


def reduction(
    build: Builder, kind: str, x: Value, axes: tuple[int, ...], keep: bool = False
) -> Value:
    """One of the Reduce operators, in the form that the opset has it."""
    shape = [1 if axis in axes else n for axis, n in enumerate(x.shape) if keep or axis not in axes]
    if kind == "ReduceSum" or build.opset >= 18:
        return build.make(kind, [x, Numbers(axes)], shape, x.dtype, keepdims=int(keep))
    return build.make(kind, [x], shape, x.dtype, axes=list(axes), keepdims=int(keep))


def _reduce(build: Builder, node: Any, values: list[Value]) -> Value:
    kind, axes = node.attributes
    x = values[0]
    if kind in _ARGUMENTS:
        if len(axes) > 1:
            if len(axes) < len(x.shape):
                raise build.refuse("the place of an extreme along several dimensions")
            x, axes = build.reshape(x, [math.prod(x.shape)]), (0,)
        return build.make(_ARGUMENTS[kind], [x], node.shape, "int64", axis=axes[0], keepdims=0)
    if kind in ("any", "all"):
        wide = build.cast(build.cast(x, "bool"), "int32")
        found = reduction(build, "ReduceMax" if kind == "any" else "ReduceMin", wide, axes)
        return build.cast(found, "bool")
    return reduction(build, _REDUCTIONS[kind], x, axes)


def _scan(build: Builder, node: Any, values: list[Value]) -> Value:
    kind, axis = node.attributes
    if kind != "sum":
        raise build.refuse(f"ONNX has no cumulative {kind}")
    return build.make("CumSum", [values[0], Numbers((axis,), True)], node.shape, node.dtype.name)


def _contract(build: Builder, node: Any, values: list[Value]) -> Value:
    """An einsum, where every dimension of the operands is one loop."""
    mapping = node.attributes[0]
    letters = [chr(ord("a") + k) if k < 26 else chr(ord("A") + k - 26) for k in range(52)]
    terms = []
    operands = []
    for x, operand in zip(values, (mapping.a, mapping.b)):
        term, kept = "", []
        for axis, (start, loops) in enumerate(operand):
            if not loops and not start and x.shape[axis] == 1:
                continue
            if start or len(loops) != 1 or loops[0][1] != 1:
                raise build.refuse("a sum of products over shifted indices")
            term += letters[loops[0][0]]
            kept.append(x.shape[axis])
        terms.append(term)
        operands.append(build.cast(build.reshape(x, kept), node.dtype.name))
    result = "".join(letters[: mapping.rank])
    used = "".join(terms)
    if not all(letter in used for letter in result):
        raise build.refuse("a sum of products with a dimension that no operand has")
    equation = f"{terms[0]},{terms[1]}->{result}"
    return build.make("Einsum", operands, node.shape, node.dtype.name, equation=equation)


def _gather(build: Builder, node: Any, values: list[Value]) -> Value:
    flat = build.reshape(values[0], [math.prod(values[0].shape)])
    return build.make("Gather", [flat, values[1]], node.shape, node.dtype.name, axis=0)


_COMBINATIONS = {"set": None, "sum": "add", "prod": "mul", "max": "max", "min": "min"}


def _scatter(build: Builder, node: Any, values: list[Value]) -> Value:
    way = _COMBINATIONS[node.attributes[0]]
    base, index, source = (build.reshape(x, [math.prod(x.shape)]) for x in values)
    attributes = {"axis": 0} if way is None else {"axis": 0, "reduction": way}
    flat = build.make(
        "ScatterElements", [base, index, source], base.shape, node.dtype.name, **attributes
    )
    return build.reshape(flat, node.shape)


def _concat(build: Builder, node: Any, values: list[Value]) -> Value:
    return build.make("Concat", values, node.shape, node.dtype.name, axis=node.attributes[0])


_STRUCTURAL: dict[str, Form] = {
    "const": _const,
    "iota": _iota,
    "cast": lambda build, node, values: build.cast(values[0], node.dtype.name),
    "expand": _expand,
    "reshape": lambda build, node, values: build.reshape(values[0], node.shape),
    "permute": lambda build, node, values: build.transpose(values[0], node.attributes[0]),
    "slice": _slice,
    "pad": _pad,
    "concat": _concat,
    "strided": _strided,
    "write": _write,
    "reduce": _reduce,
    "scan": _scan,
    "contract": _contract,
    "gather": _gather,
    "scatter": _scatter,
}
