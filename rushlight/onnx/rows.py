"""Rows that ONNX has as one operator.

In: a row's arguments by name, tensors as values. Out: its value, or None where this call means
something that the operator does not (its primitives are then written instead). Invariant: a row
without an entry here is no less exportable, only longer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from .graph import Builder, Value
from .primitives import call

Arguments = dict[str, Any]
RowForm = Callable[[Builder, Arguments, tuple[int, ...]], Value | None]
_FLOATS = ("float32", "float64", "float16")


def _each(value: Any, rank: int) -> list[int]:
    """A number for each dimension."""
    return [int(n) for n in value] if isinstance(value, (tuple, list)) else [int(value)] * rank


def _spread(value: Any, rank: int) -> list[int]:
    given = _each(value, rank)
    return given * rank if len(given) == 1 else given


def _linear(build: Builder, a: Arguments, shape: tuple[int, ...]) -> Value | None:
    x, weight, bias = a["input"], a["weight"], a["bias"]
    if len(weight.shape) != 2:
        return None
    if len(x.shape) == 2:
        inputs = [x, weight] if bias is None else [x, weight, bias]
        return build.make("Gemm", inputs, shape, x.dtype, transB=1)
    made = build.make("MatMul", [x, build.transpose(weight, [1, 0])], shape, x.dtype)
    return made if bias is None else call(build, "Add", made, bias)


def _matmul(build: Builder, a: Arguments, shape: tuple[int, ...]) -> Value | None:
    x, other = a["input"], a["other"]
    return build.make("MatMul", [x, other], shape, x.dtype)


def _convolution(rank: int) -> RowForm:
    def form(build: Builder, a: Arguments, shape: tuple[int, ...]) -> Value | None:
        x, weight = a["input"], a["weight"]
        if len(x.shape) != rank + 2:
            return None
        attributes: dict[str, Any] = {
            "strides": _spread(a["stride"], rank),
            "dilations": _spread(a["dilation"], rank),
            "group": int(a["groups"]),
        }
        if a["padding"] == "same":
            reach = [(n - 1) * step for n, step in zip(weight.shape[2:], attributes["dilations"])]
            attributes["pads"] = [*(n // 2 for n in reach), *(n - n // 2 for n in reach)]
        elif a["padding"] == "valid":
            attributes["pads"] = [0] * (2 * rank)
        else:
            attributes["pads"] = _spread(a["padding"], rank) * 2
        inputs = [x, weight] if a["bias"] is None else [x, weight, a["bias"]]
        return build.make("Conv", inputs, shape, x.dtype, **attributes)

    return form


def _transposed_convolution(rank: int) -> RowForm:
    def form(build: Builder, a: Arguments, shape: tuple[int, ...]) -> Value | None:
        x = a["input"]
        if len(x.shape) != rank + 2:
            return None
        inputs = [x, a["weight"]] if a["bias"] is None else [x, a["weight"], a["bias"]]
        return build.make(
            "ConvTranspose",
            inputs,
            shape,
            x.dtype,
            strides=_spread(a["stride"], rank),
            dilations=_spread(a["dilation"], rank),
            group=int(a["groups"]),
            pads=_spread(a["padding"], rank) * 2,
            output_padding=_spread(a["output_padding"], rank),
        )

    return form


def _pooling(rank: int, kind: str) -> RowForm:
    def form(build: Builder, a: Arguments, shape: tuple[int, ...]) -> Value | None:
        x = a["input"]
        # ceil_mode means different last windows in different runtimes
        if len(x.shape) != rank + 2 or x.dtype not in _FLOATS or a["ceil_mode"]:
            return None
        kernel = _spread(a["kernel_size"], rank)
        step = a["stride"]
        attributes: dict[str, Any] = {
            "kernel_shape": kernel,
            "strides": kernel if step in (None, ()) else _spread(step, rank),
            "pads": _spread(a["padding"], rank) * 2,
        }
        if kind == "MaxPool":
            attributes["dilations"] = _spread(a["dilation"], rank)
        elif a.get("divisor_override") is not None:
            return None
        else:
            attributes["count_include_pad"] = int(bool(a["count_include_pad"]))
        return build.make(kind, [x], shape, x.dtype, **attributes)

    return form


def _global_mean(rank: int) -> RowForm:
    def form(build: Builder, a: Arguments, shape: tuple[int, ...]) -> Value | None:
        x = a["input"]
        if len(x.shape) != rank + 2 or shape[2:] != (1,) * rank or x.dtype not in _FLOATS:
            return None
        return build.make("GlobalAveragePool", [x], shape, x.dtype)

    return form


def _batch_norm(build: Builder, a: Arguments, shape: tuple[int, ...]) -> Value | None:
    parts = [a["input"], a["weight"], a["bias"], a["running_mean"], a["running_var"]]
    if any(part is None for part in parts) or len({part.dtype for part in parts}) > 1:
        return None
    return build.make("BatchNormalization", parts, shape, a["input"].dtype, epsilon=float(a["eps"]))


def _layer_norm(build: Builder, a: Arguments, shape: tuple[int, ...]) -> Value | None:
    x, weight = a["input"], a["weight"]
    if weight is None or not a["centered"] or x.dtype != "float32":
        return None
    rank = len(weight.shape)
    last = x.shape[len(x.shape) - rank :]
    inside = tuple(a["shape"])[1:] if a["axes"] == (1,) else None
    if last != weight.shape or inside is None or numpy.prod(inside) != numpy.prod(last):
        return None
    inputs = [x, weight] if a["bias"] is None else [x, weight, a["bias"]]
    return build.make(
        "LayerNormalization", inputs, shape, x.dtype, axis=-rank, epsilon=float(a["eps"])
    )


def _along(kind: str) -> RowForm:
    def form(build: Builder, a: Arguments, shape: tuple[int, ...]) -> Value | None:
        x = a["input"]
        if a["dtype"] is not None or x.dtype not in _FLOATS or not x.shape:
            return None
        return build.make(kind, [x], shape, x.dtype, axis=int(a["dim"]))

    return form


def _embedding(build: Builder, a: Arguments, shape: tuple[int, ...]) -> Value | None:
    weight = a["weight"]
    return build.make("Gather", [weight, a["indices"]], shape, weight.dtype, axis=0)


def _single(kind: str) -> RowForm:
    def form(build: Builder, a: Arguments, shape: tuple[int, ...]) -> Value | None:
        x = a["input"]
        return build.make(kind, [x], shape, x.dtype) if x.dtype in _FLOATS else None

    return form


FORMS: dict[str, RowForm] = {
    "batch_norm_evaluation": _batch_norm,
    "bmm": _matmul,
    "clone": lambda build, a, shape: a["input"],
    "embedding": _embedding,
    "linear": _linear,
    "log_softmax": _along("LogSoftmax"),
    "matmul": _matmul,
    "mm": _matmul,
    "normalize_layer": _layer_norm,
    "relu": _single("Relu"),
    "sigmoid": _single("Sigmoid"),
    "softmax": _along("Softmax"),
    **{f"conv{rank}d": _convolution(rank) for rank in (1, 2, 3)},
    **{f"conv_transpose{rank}d": _transposed_convolution(rank) for rank in (1, 2, 3)},
    **{f"max_pool{rank}d": _pooling(rank, "MaxPool") for rank in (1, 2, 3)},
    **{f"avg_pool{rank}d": _pooling(rank, "AveragePool") for rank in (1, 2, 3)},
    **{f"adaptive_avg_pool{rank}d": _global_mean(rank) for rank in (1, 2, 3)},
}
