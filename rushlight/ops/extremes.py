"""The larger and the smaller of two tensors, and tensors kept between bounds.

In: real tensors (and numbers) that broadcast. Out: a tensor of their common dtype and shape.
Invariant: where operands are equal, or a bound is met exactly, the gradient goes where PyTorch
sends it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import build as b
from . import grad_names
from .common import refuse_complex, two
from .core import where
from .registry import Op, TensorValue, Value, op


def _extreme(
    name: str,
    primitive: str,
    share: Callable,
    reference: Callable,
    words: str,
    example: str,
    equal: str,
) -> Op:
    """A row that chooses one of two operands; `share(x, y)` is the part of the gradient that x gets
    (y gets the rest).
    """

    def body(input: Value, other: Value) -> Value:
        refuse_complex(name, b.as_node(input), b.as_node(other))
        return b.binary(primitive, input, other)

    body.__name__ = name
    body.__annotations__ = {"input": "TensorValue", "other": "TensorValue", "return": "Value"}
    body.__doc__ = f"""{words} Follows `torch.{name}`.

    Where the operands are equal {equal}. RuntimeError for complex tensors.

    >>> import rushlight as rl
    >>> rl.{name}(rl.tensor([1., 5.]), rl.tensor([3., 4.]))
    tensor([{example}])
    """
    row = op("torch Tensor", elementwise=True)(body)

    @row.vjp("input")
    def _(g, input, other):  # type: ignore[no-untyped-def]
        return g * share(input, other)

    @row.vjp("other")
    def _(g, input, other):  # type: ignore[no-untyped-def]
        return g * (1.0 - share(input, other))

    row.test(two(), reference)
    return row


def _halved(x: Any, chosen: Any, y: Any) -> Any:
    """1 where x is chosen, 1/2 where both are equal, 0 elsewhere."""
    return where(x == y, 0.5, where(chosen, 1.0, 0.0))


def _first(chosen: Any, y: Any) -> Any:
    """1 where x is chosen or y is NaN, 0 elsewhere."""
    return where(chosen | (y != y), 1.0, 0.0)


_HALF, _FIRST = "each gets half of the gradient", "the first gets the gradient"
maximum = _extreme(
    "maximum",
    "maximum",
    lambda x, y: _halved(x, ~(x < y), y),
    np.maximum,
    "The larger of two numbers; NaN where either is.",
    "3., 5.",
    _HALF,
)
minimum = _extreme(
    "minimum",
    "minimum",
    lambda x, y: _halved(x, ~(x > y), y),
    np.minimum,
    "The smaller of two numbers; NaN where either is.",
    "1., 4.",
    _HALF,
)
fmax = _extreme(
    "fmax",
    "fmax",
    lambda x, y: _first(x >= y, y),
    np.fmax,
    "The larger of two numbers; a number where the other is NaN.",
    "3., 5.",
    _FIRST,
)
fmin = _extreme(
    "fmin",
    "fmin",
    lambda x, y: _first(x <= y, y),
    np.fmin,
    "The smaller of two numbers; a number where the other is NaN.",
    "1., 4.",
    _FIRST,
)


@op("", inplace=True, elementwise=True, grad_name=grad_names.clamped)
def clamp(input: TensorValue, min: Value | None = None, max: Value | None = None) -> Value:
    """min(max(x, min), max): `max` wins where min > max, and NaN stays NaN. Bounds are numbers or
    tensors.
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    bounds = [x for x in (min, max) if x is not None]
    if input.dtype.is_complex:
        raise NotImplementedError("clamp is not supported for complex types")
    result = b.cast(input, b.promoted_dtype(input, *bounds))
    if min is not None:
        result = b.binary("maximum", result, min)
    if max is not None:
        result = b.binary("minimum", result, max)
    return result


@clamp.vjp("input")
def _(g, input, min, max):  # type: ignore[no-untyped-def]
    if min is None:
        inside = input <= max
    elif max is None:
        inside = input >= min
    else:
        inside = (input >= min) & (input <= max)
    return where(inside, g, 0)


@clamp.vjp("min")
def _(g, input, min, max):  # type: ignore[no-untyped-def]
    below = input < min
    return where(below if max is None else below & (min < max), g, 0)


@clamp.vjp("max")
def _(g, input, min, max):  # type: ignore[no-untyped-def]
    above = input > max
    return where(above if min is None else above | (min > max), g, 0)


def _clamp_reference(x: np.ndarray, min: Any = None, max: Any = None) -> np.ndarray:
    return np.clip(x, min, max)


clamp.test(
    lambda make: [
        ((make(3, 4), -0.5, 1.0), {}),
        ((make(3, 4),), {"max": 0.3}),
        ((make(3, 4), make(4, low=-1, high=0), make(3, 1, low=0, high=1)), {}),
    ],
    _clamp_reference,
)
