"""`torch.onnx`: models out to ONNX files, and in from them.

In: a model and example arguments, or a file. Out: a file, or a module that runs it. Invariant: no
other package is needed; what cannot be said is refused by name, never written wrongly.
"""

from __future__ import annotations

import enum
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from rushlight import nn

from .exported import (
    DEFAULT_OPSET,
    OPSETS,
    Exporter,
    ONNXProgram,
    in_mode,
    named_axes,
    write,
)
from .graph import OnnxExporterError
from .imported import OnnxModel, load

__all__ = [
    "ONNXProgram",
    "OnnxExporterError",
    "OnnxModel",
    "OperatorExportTypes",
    "TrainingMode",
    "export",
    "is_in_onnx_export",
    "load",
]

REFUSED = {
    "register_custom_op_symbolic": "rushlight exports what is recorded, not what is registered",
}


class TrainingMode(enum.Enum):
    """In which mode a model is exported."""

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


class OperatorExportTypes(enum.Enum):
    """Which operators may be written: ONNX's own only."""

    ONNX = 0


_exporting: list[bool] = []
_MODES = {TrainingMode.EVAL: False, TrainingMode.PRESERVE: None, TrainingMode.TRAINING: True}


def is_in_onnx_export() -> bool:
    """Whether this code is being exported to ONNX."""
    return bool(_exporting)


def export(
    model: Any,
    args: tuple[Any, ...] | Any = (),
    f: str | os.PathLike[str] | Any = None,
    *,
    kwargs: dict[str, Any] | None = None,
    verbose: bool | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset_version: int | None = None,
    dynamo: bool = True,
    external_data: bool = True,
    dynamic_shapes: Any = None,
    custom_translation_table: Any = None,
    report: bool = False,
    optimize: bool = True,
    verify: bool = False,
    profile: bool = False,
    dump_exported_program: bool = False,
    artifacts_dir: str | os.PathLike[str] = ".",
    export_params: bool = True,
    keep_initializers_as_inputs: bool = False,
    dynamic_axes: Mapping[str, Any] | None = None,
    training: TrainingMode = TrainingMode.EVAL,
    operator_export_type: Any = OperatorExportTypes.ONNX,
    do_constant_folding: bool = True,
    custom_opsets: Mapping[str, int] | None = None,
    export_modules_as_functions: Any = False,
    autograd_inlining: bool = True,
) -> ONNXProgram:
    """Write a model as an ONNX file (`torch.onnx.export`).

    `args` are example arguments (with which the model is called once, and once more for every
    dynamic axis), `f` a path, an open binary file, or None. `dynamic_axes` is `{input: {dimension:
    name}}` or `{input: [dimensions]}`; `dynamic_shapes` the same, or given in the order of the
    arguments. Equal names are one extent. Weights are stored in the file. `opset_version` is 17 to
    21, by default 18. Modules are exported in evaluation mode unless `training` says otherwise.
    The remaining arguments of PyTorch's function steer its own exporter and change nothing here.
    Errors: OnnxExporterError naming what ONNX cannot say, RuntimeError where the model depends on
    the value of a tensor, ValueError for another opset or an unknown input.

    >>> import rushlight as rl
    >>> program = rl.onnx.export(rl.nn.Linear(2, 1), (rl.ones(3, 2),), dynamic_axes={"input": [0]})
    >>> program(rl.zeros(5, 2)).shape
    torch.Size([5, 1])
    """
    opset = DEFAULT_OPSET if opset_version is None else opset_version
    if opset not in OPSETS:
        raise ValueError(f"onnx.export: opset {opset} is not one of {OPSETS[0]} to {OPSETS[-1]}")
    if custom_translation_table or custom_opsets or not export_params:
        warnings.warn(
            "onnx.export: custom translations and export_params=False are ignored", stacklevel=2
        )
    arguments = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    named = dict(kwargs or {})
    if arguments and isinstance(arguments[-1], dict) and isinstance(model, nn.Module) and not named:
        named, arguments = dict(arguments[-1]), arguments[:-1]
    outputs = list(output_names or ())
    _exporting.append(True)
    try:
        with in_mode(model, _MODES[TrainingMode(getattr(training, "value", training))]):
            exporter = Exporter(model, arguments, named, list(input_names or ()), outputs, opset)
            axes = named_axes(
                exporter.names, _axes(dynamic_axes, dynamic_shapes, exporter), outputs
            )
            program = exporter.run(axes, keep_initializers_as_inputs)
    finally:
        _exporting.pop()
    if f is not None:
        write(program, f)
    return program


def _axes(dynamic_axes: Any, dynamic_shapes: Any, exporter: Exporter) -> Mapping[str, Any]:
    """Both ways of naming axes as one: by input."""
    if dynamic_shapes is None:
        return dynamic_axes or {}
    if isinstance(dynamic_shapes, Mapping):
        return {name: axes for name, axes in dynamic_shapes.items() if axes}
    return {name: axes for name, axes in zip(exporter.names, dynamic_shapes) if axes}
