"""Importing: an ONNX file as a module that runs.

In: a path or bytes. Out: `OnnxModel`. Invariants: nothing outside the file is read, nothing in it
is executed but operators of `operators.py`; sizes are checked against the file before memory is
taken; damaged files end in `FileFormatError` naming them.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

import rushlight
from rushlight import Tensor, nn
from rushlight.serialization import FileFormatError

from .arrangements import ARRANGEMENTS
from .operators import DTYPES, OPERATORS
from .sequences import SEQUENCES
from .wire import Message

MAX_DIMENSIONS = 64
_TYPED = {1: (4, "f"), 11: (10, "d")}  # dtype code -> (field, how it is packed)
_MOST_OPSET, _LEAST_OPSET = 22, 13


@dataclass(frozen=True)
class Node:
    """One operator of the file, its attributes read."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Program:
    """What a file holds."""

    nodes: list[Node]
    weights: dict[str, Tensor]
    inputs: list[str]
    outputs: list[str]


# Every operator that is read.
KNOWN = OPERATORS | ARRANGEMENTS | SEQUENCES


class OnnxModel(nn.Module):
    """A module that runs an ONNX file; its floating-point weights are its parameters.

    Parameters are numbered, since names in the file may hold dots; `weight_names` tells them.
    """

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        self.weight_names: list[str] = list(program.weights)
        statistics = {
            name
            for node in program.nodes
            if node.kind == "BatchNormalization"
            for name in node.inputs[3:]
        }
        for k, (name, value) in enumerate(program.weights.items()):
            if value.dtype.is_floating_point and value.dim() and name not in statistics:
                self.register_parameter(f"weight_{k}", nn.Parameter(value))
            else:
                self.register_buffer(f"weight_{k}", value)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """The file's results: a tensor, or a tuple of them.

        Errors: TypeError for other inputs than the file's, RuntimeError naming the operator that
        failed.
        """
        names = self.program.inputs
        values: dict[str, Any] = dict(zip(names, inputs)) | named
        if len(inputs) > len(names) or set(values) != set(names):
            raise TypeError(f"the model takes {', '.join(names)}; got {', '.join(values)}")
        for k, name in enumerate(self.weight_names):
            values.setdefault(name, getattr(self, f"weight_{k}"))
        for node in self.program.nodes:
            self._run(node, values)
        found = tuple(values[name] for name in self.program.outputs)
        return found[0] if len(found) == 1 else found

    @staticmethod
    def _run(node: Node, values: dict[str, Any]) -> None:
        inputs = [values[name] if name else None for name in node.inputs]
        try:
            made = KNOWN[node.kind](node.attributes, *inputs)
        except Exception as error:
            raise RuntimeError(f"ONNX operator {node.kind} ({node.outputs[0]}): {error}") from error
        results = made if isinstance(made, tuple) else (made,)
        values.update(zip(node.outputs, results))


def load(file: str | os.PathLike[str] | bytes) -> OnnxModel:
    """An ONNX file, or its bytes, as a module.

    Opsets 13 to 22 of ONNX's own domain; tensors must be stored in the file.
    Errors: FileFormatError for damaged files and for operators that are not known, OSError when the
    file cannot be read.

    >>> import rushlight as rl
    >>> program = rl.onnx.export(rl.nn.ReLU(), (rl.ones(2),))
    >>> rl.onnx.load(program.model_bytes)(rl.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    name = "<bytes>" if isinstance(file, bytes) else os.fspath(file)
    content = file if isinstance(file, bytes) else Path(file).read_bytes()
    try:
        return OnnxModel(_program(Message(memoryview(content))))
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RuntimeError) as error:
        raise FileFormatError(f"{name}: {error}") from error


def _program(model: Message) -> Program:
    for imported in model.messages(8):
        domain, version = imported.text(1), imported.integer(2)
        if domain not in ("", "ai.onnx"):
            continue  # an operator of it is refused by its name
        if not _LEAST_OPSET <= version <= _MOST_OPSET:
            raise ValueError(f"opset {version} is not one of {_LEAST_OPSET} to {_MOST_OPSET}")
    graph = model.message(7)
    weights: dict[str, Tensor] = {}
    for part in graph.messages(5):
        weights[part.text(8)] = read_tensor(part)
    nodes = [_node(part) for part in graph.messages(1)]
    inputs = [part.text(1) for part in graph.messages(11)]
    outputs = [part.text(1) for part in graph.messages(12)]
    program = Program(nodes, weights, [name for name in inputs if name not in weights], outputs)
    _check(program)
    return program


def _check(program: Program) -> None:
    """Every operator is known, and every value is made before it is used, once."""
    if not program.outputs:
        raise ValueError("not an ONNX model: it has no outputs")
    known = {"", *program.inputs, *program.weights}
    for node in program.nodes:
        if node.kind not in KNOWN:
            raise ValueError(f"the operator {node.kind} is not known")
        for name in node.inputs:
            if name not in known:
                raise ValueError(f"{node.kind} uses {name[:100]!r}, which nothing before it makes")
        if not node.outputs or any(name in known and name for name in node.outputs):
            raise ValueError(f"{node.kind} makes a value that exists already, or none")
        known.update(node.outputs)
    for name in program.outputs:
        if name not in known:
            raise ValueError(f"nothing makes the output {name[:100]!r}")


def _node(part: Message) -> Node:
    domain = part.text(7)
    if domain not in ("", "ai.onnx"):
        raise ValueError(f"the operator {domain}.{part.text(4)} is not ONNX's own")
    attributes = dict(map(_attribute, part.messages(5)))
    outputs = tuple(part.texts(2))
    attributes["outputs"] = len(outputs)
    return Node(part.text(4), tuple(part.texts(1)), outputs, attributes)


def _attribute(part: Message) -> tuple[str, Any]:
    """The name and value of an attribute; its kind is told by which field it has."""
    readers: dict[int, Any] = {
        1: lambda: part.reals(2)[-1] if part.all(2) else 0.0,
        2: lambda: part.integer(3),
        3: lambda: str(part.raw(4), "utf-8"),
        4: lambda: read_tensor(part.message(5)),
        6: lambda: part.reals(7),
        7: lambda: part.integers(8),
        8: lambda: part.texts(9),
    }
    name, kind = part.text(1), part.integer(20)
    if kind not in readers:
        raise ValueError(f"attribute {name[:100]!r} is of the kind {kind}, which is not known")
    return name, readers[kind]()


def read_tensor(part: Message) -> Tensor:
    """A TensorProto as a tensor.

    Errors: ValueError where its data are not in the file, or not as many as its shape says.
    """
    name, code = part.text(8)[:100], part.integer(2)
    if part.integer(14) or part.all(13):
        raise ValueError(f"the data of tensor {name!r} are in another file")
    if code not in DTYPES:
        raise ValueError(f"tensor {name!r} has the unknown dtype {code}")
    shape = part.integers(1)
    if len(shape) > MAX_DIMENSIONS or any(not 0 <= n < 2**40 for n in shape):
        raise ValueError(f"tensor {name!r} has no possible shape")
    dtype = DTYPES[code]
    bits = "uint16" if dtype == "bfloat16" else dtype
    array = _elements(part, code, bits)
    if array.size != math.prod(shape):
        raise ValueError(f"tensor {name!r} has {array.size} elements, its shape {shape} others")
    made = rushlight.from_numpy(array.reshape(shape).copy())
    if dtype == "bfloat16":
        return made.view(rushlight.bfloat16).clone()
    return made.clone()


def _elements(part: Message, code: int, bits: str) -> numpy.ndarray:
    kind = numpy.dtype(bits)
    raw = part.raw(9)
    if len(raw):
        if len(raw) % kind.itemsize:
            raise ValueError("a tensor does not have whole elements")
        return numpy.frombuffer(raw, kind.newbyteorder("<")).astype(kind)
    if code in _TYPED:
        field, packed = _TYPED[code]
        return numpy.array(part.reals(field, packed), kind)
    if code in (12, 13):
        return numpy.array([n & ((1 << 64) - 1) for n in part.integers(11)], "uint64").astype(kind)
    values = numpy.array(part.integers(7 if code == 7 else 5), "int64")
    if code == 10:  # the bits of float16
        return values.astype("uint16").view(kind)
    return values.astype(kind)
