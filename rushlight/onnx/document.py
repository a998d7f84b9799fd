"""The file: operators, weights, inputs and outputs as ONNX's messages.

In: a graph. Out: bytes. Invariant: every value is defined before it is used, as the format asks.
Field numbers are those of `onnx.proto3`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from .graph import CODES, Constant, Numbers, Operator, Reference
from .wire import block, blocks, integer, real

IR_VERSION = 8


@dataclass(frozen=True)
class Described:
    """An input or output: its name, dtype, and extents (names where they are dynamic)."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


def document(
    operators: Sequence[Operator],
    weights: dict[str, tuple[numpy.ndarray, str]],
    inputs: Sequence[Described],
    outputs: Sequence[Described],
    opset: int,
    version: str,
    weights_are_inputs: bool = False,
) -> bytes:
    """The bytes of a model."""
    pieces: list[bytes] = []
    constants: dict[Any, str] = {}
    initializers: list[bytes] = []

    def named(reference: Reference | None) -> str:
        if reference is None:
            return ""
        if isinstance(reference, str):
            return reference
        key: Any = reference if isinstance(reference, Numbers) else _key(reference)
        if key not in constants:
            constants[key] = f"c{len(constants)}"
            initializers.append(_constant(constants[key], reference))
        return constants[key]

    for place, operator in enumerate(operators):
        pieces.append(
            blocks(1, map(named, operator.inputs))
            + blocks(2, operator.outputs)
            + block(3, f"{operator.kind}_{place}")
            + block(4, operator.kind)
            + blocks(5, (_attribute(*item) for item in sorted(operator.attributes.items())))
        )
    extra = [
        Described(name, kind, array.shape) for name, (array, kind) in weights.items()
    ] if weights_are_inputs else []  # fmt: skip
    graph = (
        blocks(1, pieces)
        + block(2, "main_graph")
        + blocks(5, (tensor(name, array, kind) for name, (array, kind) in weights.items()))
        + blocks(5, initializers)
        + blocks(11, map(_value, (*inputs, *extra)))
        + blocks(12, map(_value, outputs))
    )
    return (
        integer(1, IR_VERSION)
        + block(2, "rushlight")
        + block(3, version)
        + block(7, graph)
        + block(8, block(1, "") + integer(2, opset))
    )


def _key(constant: Constant) -> Any:
    array = constant.array
    return (constant.dtype, array.shape, array.tobytes()) if array.size < 1024 else id(constant)


def _constant(name: str, reference: Numbers | Constant) -> bytes:
    if isinstance(reference, Constant):
        return tensor(name, reference.array, reference.dtype)
    array = numpy.array(reference.values, "int64")
    return tensor(name, array.reshape(()) if reference.scalar else array, "int64")


def tensor(name: str, array: numpy.ndarray, dtype: str) -> bytes:
    """A TensorProto; bfloat16 is given as its bits."""
    raw = numpy.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
    dims = b"".join(integer(1, extent) for extent in array.shape)
    return dims + integer(2, CODES[dtype]) + block(8, name) + block(9, raw)


def _attribute(name: str, value: Any) -> bytes:
    """An AttributeProto: its name, its kind, its value."""
    head = block(1, name)
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], str):
        return head + b"".join(block(9, text) for text in value) + integer(20, 8)
    if isinstance(value, (list, tuple)):
        return head + b"".join(integer(8, n) for n in value) + integer(20, 7)
    if isinstance(value, float):
        return head + real(2, value) + integer(20, 1)
    if isinstance(value, str):
        return head + block(4, value) + integer(20, 3)
    return head + integer(3, int(value)) + integer(20, 2)


def _value(described: Described) -> bytes:
    """A ValueInfoProto."""
    extents: Iterable[bytes] = (
        block(2, extent) if isinstance(extent, str) else integer(1, extent)
        for extent in described.shape
    )
    tensor_type = integer(1, CODES[described.dtype]) + block(2, blocks(1, extents))
    return block(1, described.name) + block(2, block(1, tensor_type))
