"""From a captured trace to a graph of operators.

In: what `engine/capture.py` gives, and names for inputs and weights. Out: operators, the values of
the results, the weights that are used. Invariant: only what the results need is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy

from ..engine.capture import Captured, Step
from .graph import Builder, Operator, Value, constant
from .primitives import translate
from .rows import FORMS
from .views import view


@dataclass
class Translated:
    """The operators in order, the results, and the weights by name."""

    operators: list[Operator]
    results: list[Value]
    weights: dict[str, numpy.ndarray] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """A leaf that has a name: its shape and strides, and whether it is an input."""

    name: str
    layout: Any
    is_input: bool


class Translator:
    """Walks the steps of a trace."""

    def __init__(self, captured: Captured, known: Mapping[int, Known], opset: int) -> None:
        self.captured, self.known = captured, known
        self.build = Builder(opset)
        self.values: list[tuple[Value, Any] | None] = []
        self.weights: dict[str, numpy.ndarray] = {}
        self.kinds: dict[str, str] = {}
        self.leaves: dict[int, tuple[Value, tuple[int, ...]]] = {}

    def run(self) -> Translated:
        """Translate everything that the results need."""
        needed = self._needed()
        for step in self.captured.steps:
            count = step.signature.count
            first = len(self.values)
            wanted = [k for k in range(count) if first + k in needed]
            self.values.extend([None] * count)
            if wanted:
                self._step(step, first, wanted)
        results = [self._operand(place, layout) for place, layout in self.captured.results]
        results = [
            self.build.full(x, layout.shape)
            for x, (_, layout) in zip(results, self.captured.results)
        ]
        return Translated(self.build.operators, results, self.weights, self.kinds)

    def _needed(self) -> set[int]:
        starts, count = [], 0
        for step in self.captured.steps:
            starts.append(count)
            count += step.signature.count
        needed = {place for place, _ in self.captured.results}
        for step, first in zip(reversed(self.captured.steps), reversed(starts)):
            if any(first + k in needed for k in range(step.signature.count)):
                needed.update(step.places)
        return needed

    def _operand(self, place: int, layout: Any) -> Value:
        """A value of the trace or a leaf, seen through a layout."""
        if place < 0:
            x, own = self._leaf(-1 - place, layout)
        else:
            found = self.values[place]
            assert found is not None
            x, whole = found
            if whole is layout:
                return x
            own = whole.strides
            x = self.build.full(x, whole.shape)
        if x.dtype != layout.dtype.name:
            raise self.build.refuse(f"{x.dtype} memory read as {layout.dtype.name}")
        return view(self.build, x, own, layout.shape, layout.strides, layout.offset)

    def _leaf(self, number: int, layout: Any) -> tuple[Value, tuple[int, ...]]:
        """Memory that existed before: an input, a weight by its name, or a constant."""
        if number in self.leaves:
            return self.leaves[number]
        flat = self.captured.leaves[number]
        owner = self.captured.owners[number]
        known = self.known.get(id(owner)) if owner is not None else None
        if known is not None and known.is_input:
            made = Value(known.name, tuple(known.layout.shape), known.layout.dtype.name)
            self.leaves[number] = made, tuple(known.layout.strides)
            return self.leaves[number]
        if known is not None:
            layout = known.layout
        elif layout.offset or not layout.dense():
            count = owner.numel if owner is not None else flat.size
            self.leaves[number] = constant(flat[:count].copy(), layout.dtype.name), (1,)
            return self.leaves[number]
        array = numpy.lib.stride_tricks.as_strided(
            flat, layout.shape, [step * flat.itemsize for step in layout.strides]
        ).copy()
        if known is None:
            made = constant(array, layout.dtype.name)
        else:
            made = Value(known.name, tuple(layout.shape), layout.dtype.name)
            self.weights[known.name] = array
            self.kinds[known.name] = layout.dtype.name
        self.leaves[number] = made, tuple(layout.strides)
        return self.leaves[number]

    def _step(self, step: Step, first: int, wanted: list[int]) -> None:
        signature = step.signature
        self.build.where = signature.op.__name__
        operands = [
            self._operand(place, placeholder.attributes[1])
            for placeholder, place in zip(signature.inputs, step.places)
        ]
        made = self._row(step, operands) if wanted == [0] else None
        if made is not None:
            self.values[first] = made, signature.layouts[0].whole
            return
        there: dict[int, Value] = {}
        for placeholder, x in zip(signature.inputs, operands):
            there[id(placeholder)] = x
        for placeholder, value in zip(signature.scalars, step.scalars):
            there[id(placeholder)] = constant(value, placeholder.dtype.name)
        for node in self._inside(signature, wanted):
            there[id(node)] = translate(self.build, node, [there[id(x)] for x in node.inputs])
        for k in wanted:
            self.values[first + k] = there[id(signature.outputs[k])], signature.layouts[k].whole

    @staticmethod
    def _inside(signature: Any, wanted: list[int]) -> list[Any]:
        """The nodes that the wanted results are made of, operands first."""
        needed = {id(signature.outputs[k]) for k in wanted}
        for node in reversed(signature.inside):
            if id(node) in needed:
                needed.update(id(x) for x in node.inputs)
        return [node for node in signature.inside if id(node) in needed]

    def _row(self, step: Step, operands: list[Value]) -> Value | None:
        """The row as one operator, where ONNX has it."""
        signature = step.signature
        row = signature.op
        form = FORMS.get(row.__name__)
        if form is None or any(layout.batch for layout in signature.layouts):
            return None
        tensors, scalars = iter(operands), iter(step.scalars)
        layouts = iter(signature.inputs)
        arguments: dict[str, Any] = {}
        for name, value in zip(row.names, signature.arguments):
            if isinstance(value, type):
                arguments[name] = next(scalars)
            elif value is not None and hasattr(value, "strides"):
                arguments[name] = self.build.full(next(tensors), next(layouts).shape)
            else:
                arguments[name] = value
        return form(self.build, arguments, tuple(signature.layouts[0].shape))


__all__ = ["Known", "Translated", "Translator"]
