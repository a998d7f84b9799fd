"""Exporting: a model and example arguments to an ONNX file.

In: the arguments of `torch.onnx.export`. Out: a file, and the program that it holds. Invariant: the
model is called as it would be otherwise, on copies of the arguments, and left as it was.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rushlight
from rushlight import Tensor

from ..engine.capture import Captured, capture
from .document import Described, document
from .dynamic import Axis, Merger
from .graph import OnnxExporterError, Operator, Value
from .translate import Known, Translated, Translator

OPSETS = range(17, 22)
DEFAULT_OPSET = 18


class ONNXProgram:
    """An exported model: `model_bytes` is the file, `save(path)` writes it, calling it runs it."""

    def __init__(self, content: bytes) -> None:
        self.model_bytes = content

    def save(self, destination: str | os.PathLike[str]) -> None:
        """Write the file; a path is replaced as a whole."""
        from rushlight.serialization.files import replaced

        with replaced(destination) as file:
            file.write(self.model_bytes)

    def __call__(self, *args: Any) -> Any:
        """The results of the exported model for other arguments, by rushlight's own reader."""
        from .imported import load

        return load(self.model_bytes)(*args)


class Exporter:
    """One export: the model, its arguments flattened to tensors, the names."""

    def __init__(
        self,
        model: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        input_names: Sequence[str],
        output_names: Sequence[str],
        opset: int,
    ) -> None:
        self.model, self.opset = model, opset
        from rushlight.utils._pytree import tree_flatten, tree_unflatten

        flat, structure = tree_flatten((args, kwargs))
        self._flatten = tree_flatten
        self.examples = [x for x in flat if isinstance(x, Tensor)]
        self._rebuild = lambda given: tree_unflatten(
            [next(given) if isinstance(x, Tensor) else x for x in flat], structure
        )
        defaults = _parameter_names(model, args, kwargs)
        self.names = [
            input_names[k] if k < len(input_names) else _default(defaults, k, len(self.examples))
            for k in range(len(self.examples))
        ]
        self.output_names = list(output_names)
        self.weights = _named_weights(model)

    def translate(self, inputs: list[Tensor]) -> tuple[Translated, Captured]:
        """One call of the model on these inputs, as operators."""
        inputs = [x.detach().contiguous().clone() for x in inputs]
        known = {id(x._storage): Known(n, x._layout, False) for n, x in self.weights.items()}
        for name, x in zip(self.names, inputs):
            known[id(x._storage)] = Known(name, x._layout, True)

        def call() -> list[Tensor]:
            args, kwargs = self._rebuild(iter(inputs))
            results = self._flatten(self.model(*args, **kwargs))[0]
            return [x for x in results if isinstance(x, Tensor)]

        with rushlight.no_grad():
            captured = capture(call)
        if not captured.results:
            raise OnnxExporterError("onnx.export: the model returns no tensor")
        return Translator(captured, known, self.opset).run(), captured

    def with_sizes(self, axes: Sequence[Axis], sizes: Sequence[int]) -> list[Tensor]:
        """The examples, their named axes repeated or cut to other sizes."""
        made = list(self.examples)
        for axis, size in zip(axes, sizes):
            for name, dimension in axis.places:
                k = self.names.index(name)
                order = rushlight.arange(size) % made[k].shape[dimension]
                made[k] = made[k].index_select(dimension, order)
        return made

    def run(self, axes: Sequence[Axis], weights_are_inputs: bool = False) -> ONNXProgram:
        """The file."""
        sizes = [[self._extent(axis) for axis in axes]]
        sizes[0] = [max(n, 2) for n in sizes[0]]
        for k in range(len(axes)):
            sizes.append([2 * n if j == k else n for j, n in enumerate(sizes[0])])
        if len(axes) > 1:
            sizes.append([2 * n for n in sizes[0]])
        traces = [self.translate(self.with_sizes(axes, each)) for each in sizes]
        first = traces[0][0]
        operators = first.operators
        if axes:
            operators = Merger(axes, sizes).merge([trace.operators for trace, _ in traces])
        operators, outputs = self._outputs(operators, first.results, [c for _, c in traces], axes)
        weights = {name: (array, first.kinds[name]) for name, array in first.weights.items()}
        content = document(
            operators,
            weights,
            [self._input(k, axes) for k in range(len(self.names))],
            outputs,
            self.opset,
            rushlight.__version__,
            weights_are_inputs,
        )
        return ONNXProgram(content)

    def _extent(self, axis: Axis) -> int:
        name, dimension = axis.places[0]
        return int(self.examples[self.names.index(name)].shape[dimension])

    def _input(self, k: int, axes: Sequence[Axis]) -> Described:
        shape: list[int | str] = list(self.examples[k].shape)
        for axis in axes:
            for name, dimension in axis.places:
                if name == self.names[k]:
                    shape[dimension] = axis.name
        return Described(self.names[k], _dtype(self.examples[k]), tuple(shape))

    def _outputs(
        self,
        operators: list[Operator],
        results: list[Value],
        captured: Sequence[Captured],
        axes: Sequence[Axis],
    ) -> tuple[list[Operator], list[Described]]:
        """The operators with one more for each result, which gives it its name."""
        described = []
        operators = list(operators)
        for k, result in enumerate(results):
            name = self.output_names[k] if k < len(self.output_names) else f"output_{k}"
            operators.append(Operator("Identity", [result.reference], [name]))
            shape: list[int | str] = list(result.shape)
            for j in range(len(shape)):
                extents = {int(c.results[k][1].shape[j]) for c in captured}
                if len(extents) > 1:
                    same = [
                        axis.name
                        for number, axis in enumerate(axes)
                        if captured[1 + number].results[k][1].shape[j] != shape[j]
                    ]
                    exact = len(same) == 1 and shape[j] == max(self._extent(axes[0]), 2)
                    shape[j] = same[0] if exact and len(axes) == 1 else f"{name}_dim_{j}"
            described.append(Described(name, result.dtype, tuple(shape)))
        return operators, described


def _dtype(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def _default(names: Sequence[str], k: int, count: int) -> str:
    return names[k] if len(names) == count else f"input_{k}"


def _parameter_names(
    model: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[str]:
    """What the model calls its tensor arguments; nothing where that cannot be told."""
    function = getattr(model, "forward", model)
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return []
    return [name for name, value in bound.arguments.items() if isinstance(value, Tensor)]


def _named_weights(model: Any) -> dict[str, Tensor]:
    """Parameters and buffers by name, those that share memory once."""
    if not isinstance(model, rushlight.nn.Module):
        return {}
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, x in (*model.named_parameters(), *model.named_buffers()):
        if id(x._storage) not in seen and x._layout.dense():
            seen.add(id(x._storage))
            found[name] = x
    return found


def named_axes(
    names: Sequence[str], dynamic_axes: Mapping[str, Any], outputs: Sequence[str] = ()
) -> list[Axis]:
    """`{"x": {0: "batch"}}` or `{"x": [0]}` -> axes; equal names are one axis.

    Errors: ValueError for a name that no input has (names of outputs are told by the model).
    """
    found: dict[str, list[tuple[str, int]]] = {}
    for name, axes in dynamic_axes.items():
        if name not in names:
            if name in outputs:
                continue
            raise ValueError(
                f"onnx.export: dynamic_axes names {name!r}, and the inputs are {', '.join(names)}"
            )
        given = axes if isinstance(axes, Mapping) else {n: f"{name}_dynamic_axes_{n}" for n in axes}
        for dimension, title in given.items():
            if title is not None:
                title = title if isinstance(title, str) else getattr(title, "__name__", str(title))
                found.setdefault(title, []).append((name, int(dimension)))
    return [Axis(title, tuple(places)) for title, places in found.items()]


@contextmanager
def in_mode(model: Any, training: bool | None) -> Iterator[None]:
    """A module in evaluation (or training) mode for a while; None leaves it as it is."""
    if training is None or not isinstance(model, rushlight.nn.Module):
        yield
        return
    modes = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def write(program: ONNXProgram, file: Any) -> None:
    """To a path or an open binary file."""
    if hasattr(file, "write"):
        file.write(program.model_bytes)
    else:
        program.save(Path(file))
