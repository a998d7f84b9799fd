"""Graphs as text: one line a node, operands by number.

In: output nodes. Out: text such as `%3 = add f32[4,8] (%1, %2)`.
"""

from __future__ import annotations

from collections.abc import Sequence

from .node import Node, ordered

SHORT = {
    "float32": "f32",
    "float64": "f64",
    "float16": "f16",
    "bfloat16": "bf16",
    "complex64": "c64",
    "complex128": "c128",
    "int64": "i64",
    "int32": "i32",
    "int16": "i16",
    "int8": "i8",
    "uint8": "u8",
    "bool": "bool",
}


def to_text(outputs: Sequence[Node]) -> str:
    """The nodes that the outputs need, operands first."""
    numbers: dict[int, int] = {}
    lines = []
    for node in ordered(outputs):
        numbers[id(node)] = len(numbers)
        kind = f"{SHORT.get(node.dtype.name, node.dtype.name)}[{','.join(map(str, node.shape))}]"
        operands = ", ".join(f"%{numbers[id(x)]}" for x in node.inputs)
        extra = f" {node.attributes}" if node.attributes else ""
        lines.append(f"%{numbers[id(node)]} = {node.op} {kind} ({operands}){extra}")
    lines.append("return " + ", ".join(f"%{numbers[id(x)]}" for x in outputs))
    return "\n".join(lines)
