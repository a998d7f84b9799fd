"""Axes whose extent is chosen when the file is run.

In: the same model, translated for several sizes of its named axes. Out: one list of operators in
which each number that differs between them is computed from the inputs' shapes. Invariant: a number
is written only as a function that gives what every one of the traces had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from .graph import CODES, Constant, Numbers, OnnxExporterError, Operator, Reference


@dataclass(frozen=True)
class Axis:
    """A named axis: the input and dimension that tell its extent, and all that have it."""

    name: str
    places: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Affine:
    """constant + sum of factors times the extents of the axes."""

    constant: int
    factors: tuple[int, ...]


class Merger:
    """Joins translations for several sizes; `sizes[t][k]` is axis k's extent in trace t.

    Trace 0 is the base, trace 1 + k differs from it in axis k; a last one, where there are several
    axes, in all of them.
    """

    def __init__(self, axes: Sequence[Axis], sizes: Sequence[Sequence[int]]) -> None:
        self.axes, self.sizes = axes, sizes
        self.operators: list[Operator] = []
        self._extents: dict[int, str] = {}
        self._count = 0

    def merge(self, traces: Sequence[list[Operator]]) -> list[Operator]:
        """One list of operators. Errors: OnnxExporterError where the traces differ otherwise."""
        if len({len(trace) for trace in traces}) > 1:
            raise OnnxExporterError(
                "onnx.export: the model does something else for other sizes of its dynamic axes"
            )
        for alike in zip(*traces):
            self._operator(alike)
        return self.operators

    def _operator(self, alike: tuple[Operator, ...]) -> None:
        first = alike[0]
        if any(
            (other.kind, other.outputs, other.attributes)
            != (first.kind, first.outputs, first.attributes)
            for other in alike
        ):
            raise OnnxExporterError(
                f"onnx.export: the operator {first.kind} changes with a dynamic axis"
            )
        inputs = [
            self._reference(first, place, [each.inputs[place] for each in alike])
            for place in range(len(first.inputs))
        ]
        self.operators.append(Operator(first.kind, inputs, first.outputs, first.attributes))

    def _reference(
        self, operator: Operator, place: int, alike: list[Reference | None]
    ) -> Reference | None:
        first = alike[0]
        if isinstance(first, Numbers) and all(isinstance(x, Numbers) for x in alike):
            return self._numbers(operator, first, [x.values for x in alike])  # type: ignore[union-attr]
        if isinstance(first, Constant) and all(isinstance(x, Constant) for x in alike):
            arrays = [x.array for x in alike]  # type: ignore[union-attr]
            if all(_same(arrays[0], array) for array in arrays[1:]):
                return first
            if all(array.size == 1 for array in arrays):
                values = [(float(array.reshape(-1)[0]),) for array in arrays]
                if all(value.is_integer() for (value,) in values):
                    whole: list[tuple[int, ...]] = [(int(value),) for (value,) in values]
                    extent = self._computed(operator, Numbers(whole[0], arrays[0].ndim == 0), whole)
                    return self._make("Cast", [extent], to=CODES[first.dtype])
            raise self._refused(operator)
        if any(x != first for x in alike):
            raise self._refused(operator)
        return first

    def _refused(self, operator: Operator) -> OnnxExporterError:
        names = ", ".join(axis.name for axis in self.axes)
        return OnnxExporterError(
            f"onnx.export: an operand of {operator.kind} changes with the dynamic axes ({names}) "
            "in a way that is not written; export with fixed sizes"
        )

    def _numbers(
        self, operator: Operator, first: Numbers, alike: list[tuple[int, ...]]
    ) -> Reference:
        if all(values == first.values for values in alike):
            return first
        if len({len(values) for values in alike}) > 1:
            raise self._refused(operator)
        moving = [k for k in range(len(first.values)) if len({v[k] for v in alike}) > 1]
        if operator.kind == "Reshape" and len(moving) == 1:
            return Numbers(tuple(-1 if k in moving else n for k, n in enumerate(first.values)))
        return self._computed(operator, first, alike)

    def _solved(self, operator: Operator, values: list[int]) -> Affine:
        """The function of the axes that gives these values for the sizes of the traces."""
        factors = []
        for k in range(len(self.axes)):
            change = self.sizes[1 + k][k] - self.sizes[0][k]
            factor, rest = divmod(values[1 + k] - values[0], change)
            if rest:
                raise self._refused(operator)
            factors.append(factor)
        start = values[0] - sum(f * n for f, n in zip(factors, self.sizes[0]))
        for sizes, value in zip(self.sizes, values):
            if start + sum(f * n for f, n in zip(factors, sizes)) != value:
                raise self._refused(operator)
        return Affine(start, tuple(factors))

    def _computed(
        self, operator: Operator, first: Numbers, alike: list[tuple[int, ...]]
    ) -> Reference:
        """A vector of numbers, computed from the shapes of the inputs."""
        parts: list[Reference | None] = []
        for k in range(len(first.values)):
            affine = self._solved(operator, [values[k] for values in alike])
            parts.append(self._value(affine))
        whole = parts[0] if len(parts) == 1 else self._make("Concat", parts, axis=0)
        if first.scalar:
            return self._make("Reshape", [whole, Numbers(())])
        assert whole is not None
        return whole

    def _value(self, affine: Affine) -> Reference:
        total: Reference = Numbers((affine.constant,))
        for k, factor in enumerate(affine.factors):
            if not factor:
                continue
            term = self._extent(k)
            if factor != 1:
                term = self._make("Mul", [term, Numbers((factor,))])
            empty = isinstance(total, Numbers) and total.values == (0,)
            total = term if empty else self._make("Add", [total, term])
        return total

    def _extent(self, axis: int) -> str:
        """The extent of an axis, as a vector of one number."""
        if axis not in self._extents:
            name, dimension = self.axes[axis].places[0]
            shape = self._make("Shape", [name])
            self._extents[axis] = self._make("Gather", [shape, Numbers((dimension,))], axis=0)
        return self._extents[axis]

    def _make(self, kind: str, inputs: list[Reference | None], **attributes: Any) -> str:
        name = f"size{self._count}"
        self._count += 1
        self.operators.append(Operator(kind, inputs, [name], attributes))
        return name


def _same(a: numpy.ndarray, b: numpy.ndarray) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()
