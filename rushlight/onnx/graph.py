"""A graph of ONNX operators while it is being made.

In: operators, one by one. Out: a list of `Operator`. Invariants: values are named in the order in
which they are made, so that two traces of one structure give the same names; numbers that describe
shapes are kept apart (`Numbers`), since they may differ between traces (see `dynamic.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy

# dtype -> the number that ONNX has for it
CODES = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9,
    "float16": 10, "float64": 11, "uint32": 12, "uint64": 13, "complex64": 14, "complex128": 15,
    "bfloat16": 16,
}  # fmt: skip


class OnnxExporterError(RuntimeError):
    """A model, or a part of it, that cannot be written as ONNX."""


@dataclass(frozen=True)
class Numbers:
    """An int64 vector that describes a shape (or, with `scalar`, one number)."""

    values: tuple[int, ...]
    scalar: bool = False


@dataclass(frozen=True, eq=False)
class Constant:
    """Elements that are part of the program; bfloat16 as its bits."""

    array: numpy.ndarray
    dtype: str


Reference = str | Numbers | Constant


@dataclass
class Value:
    """A tensor of the graph, with the shape it really has.

    That may be smaller than the shape it stands for: broadcasting makes up for it.
    """

    reference: Reference
    shape: tuple[int, ...]
    dtype: str


@dataclass
class Operator:
    """One node of the file."""

    kind: str
    inputs: list[Reference | None]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)


class Builder:
    """Appends operators and names their results."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.operators: list[Operator] = []
        self.where = ""  # the row being written, for errors

    def refuse(self, why: str) -> OnnxExporterError:
        """The error to raise about the row being written."""
        return OnnxExporterError(f"onnx.export: {self.where}: {why}")

    def make(
        self,
        kind: str,
        inputs: Sequence[Value | Numbers | None],
        shape: Sequence[int],
        dtype: str,
        outputs: int = 1,
        **attributes: Any,
    ) -> Value:
        """Append an operator; its first result."""
        references = [x.reference if isinstance(x, Value) else x for x in inputs]
        name = f"v{len(self.operators)}"
        names = [name, *(f"{name}_{k}" for k in range(1, outputs))]
        self.operators.append(Operator(kind, references, names, attributes))
        return Value(name, tuple(shape), dtype)

    # ---- movement

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """The same elements under another shape."""
        shape = tuple(shape)
        if x.shape == shape:
            return x
        if isinstance(x.reference, Constant) and x.reference.array.size == prod(shape):
            return Value(Constant(x.reference.array.reshape(shape), x.dtype), shape, x.dtype)
        return self.make("Reshape", [x, Numbers(shape)], shape, x.dtype)

    def full(self, x: Value, shape: Sequence[int]) -> Value:
        """A value in the whole of the shape that it stands for."""
        shape = tuple(shape)
        if x.shape == shape:
            return x
        return self.make("Expand", [x, Numbers(shape)], shape, x.dtype)

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        """Dimension i of the result is dimension order[i] of x."""
        order = list(order)
        if order == list(range(len(order))):
            return x
        return self.make("Transpose", [x], [x.shape[axis] for axis in order], x.dtype, perm=order)

    def slice(
        self, x: Value, starts: Sequence[int], lengths: Sequence[int], steps: Sequence[int]
    ) -> Value:
        """Element i of a dimension is element start + step * i of x's."""
        axes = [
            axis
            for axis, extent in enumerate(x.shape)
            if (starts[axis], lengths[axis], steps[axis]) != (0, extent, 1)
        ]
        if not axes:
            return x
        begin, end = [], []
        for axis in axes:
            last = starts[axis] + steps[axis] * lengths[axis]
            begin.append(starts[axis])
            end.append(last if last >= 0 or steps[axis] > 0 else -(2**62))
        numbers = (begin, end, axes, [steps[axis] for axis in axes])
        return self.make("Slice", [x, *(Numbers(tuple(n)) for n in numbers)], lengths, x.dtype)

    def cast(self, x: Value, dtype: str) -> Value:
        """Elements converted to a dtype."""
        if x.dtype == dtype:
            return x
        if isinstance(x.reference, Constant) and "bfloat16" not in (x.dtype, dtype):
            return constant(x.reference.array.astype(dtype), dtype)
        return self.make("Cast", [x], x.shape, dtype, to=CODES[dtype])


def constant(array: Any, dtype: str) -> Value:
    """A value that is part of the program."""
    made = numpy.asarray(array, "uint16" if dtype == "bfloat16" else dtype)
    return Value(Constant(made, dtype), made.shape, dtype)


def number(value: Any, dtype: str) -> Value:
    """A number, as a tensor without dimensions."""
    if dtype == "bfloat16":
        bits = numpy.asarray(value, "float32").view("uint32")
        return constant((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16, dtype)
    return constant(value, dtype)
