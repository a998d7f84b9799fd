"""Comparisons, logic and bits.

In: tensors (and numbers) that broadcast. Out: bools, or for bit operations the operands' common
integer dtype. Invariant: operands are brought to their common dtype first, a number rounding as the
tensor it meets; nothing here has a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..graph import build as b
from ..graph.node import Node
from .common import absolute, integers, require_kind, require_same_dtype
from .registry import Op, TensorValue, Value, op


def _pair(
    name: str,
    words: str,
    body: Callable,
    samples: Callable,
    reference: Callable,
    example: tuple[str, str, str],
    tensors: int = 0,
) -> Op:
    """A row of two operands without a gradient; `example` is the inside of both arguments and of
    the result, `tensors` how many of the operands, from the first, cannot be Python numbers.
    """

    def function(input: Value, other: Value) -> Value:
        return body(name, *b.promote(input, other))

    function.__name__ = name
    kinds = (["TensorValue"] * tensors + ["Value"] * 2)[:2]
    function.__annotations__ = {"input": kinds[0], "other": kinds[1], "return": "Value"}
    function.__doc__ = f"""{words}, element by element; operands broadcast. Follows `torch.{name}`.

    >>> import rushlight as rl
    >>> rl.{name}(rl.tensor([{example[0]}]), rl.tensor([{example[1]}]))
    tensor([{example[2]}])
    """
    row = op("torch Tensor", inplace=True, elementwise=True, differentiable=False)(function)
    row.test(samples, reference)
    return row


# --- comparisons --------------------------------------------------------------------------------


def _ordered(name: str, x: Node, y: Node) -> Node:
    require_kind(f"{name}_cpu", x, ("bool", "int", "float"))
    return b.elementwise(name, x, y)


def _close_values(make: Callable) -> list:
    """Operands of which some are equal."""
    x = np.round(make(3, 4) * 2) / 2
    return [((x, np.round(make(4) * 2) / 2), {}), ((x, x.copy()), {}), ((x, 0.5), {})]


eq = _pair(
    "eq",
    "input == other",
    b.elementwise,
    _close_values,
    np.equal,
    ("1, 2", "1, 3", " True, False"),
    1,
)
ne = _pair(
    "ne",
    "input != other",
    b.elementwise,
    _close_values,
    np.not_equal,
    ("1, 2", "1, 3", "False,  True"),
    1,
)
lt = _pair(
    "lt", "input < other", _ordered, _close_values, np.less, ("1, 2", "1, 3", "False,  True"), 1
)
le = _pair(
    "le",
    "input <= other",
    _ordered,
    _close_values,
    np.less_equal,
    ("1, 4", "1, 3", " True, False"),
    1,
)
gt = _pair(
    "gt", "input > other", _ordered, _close_values, np.greater, ("1, 4", "1, 3", "False,  True"), 1
)
ge = _pair(
    "ge",
    "input >= other",
    _ordered,
    _close_values,
    np.greater_equal,
    ("1, 2", "1, 3", " True, False"),
    1,
)

# --- logic --------------------------------------------------------------------------------------


def _truth(name: str, x: Node, y: Node) -> Node:
    return b.elementwise(name, b.cast(x, dtypes.bool_), b.cast(y, dtypes.bool_))


def _equal_tensors(make: Callable) -> list:
    """The samples without Python numbers, which logic does not take."""
    return _close_values(make)[:2]


logical_and = _pair(
    "logical_and",
    "Whether both are non-zero",
    _truth,
    _equal_tensors,
    np.logical_and,
    ("0, 2", "1, 3", "False,  True"),
    2,
)
logical_or = _pair(
    "logical_or",
    "Whether one is non-zero",
    _truth,
    _equal_tensors,
    np.logical_or,
    ("0, 2", "0, 3", "False,  True"),
    2,
)
logical_xor = _pair(
    "logical_xor",
    "Whether just one is non-zero",
    _truth,
    _equal_tensors,
    np.logical_xor,
    ("0, 2", "1, 3", " True, False"),
    2,
)


@op("torch Tensor", inplace=True, elementwise=True, differentiable=False)
def logical_not(input: Value) -> Value:
    """Whether an element is zero (or False). Follows `torch.logical_not`.

    >>> import rushlight as rl
    >>> rl.logical_not(rl.tensor([0, 2]))
    tensor([ True, False])
    """
    return b.logical_not(input)


logical_not.test(lambda make: [((make(3, 4, dtype="int64", low=-1, high=2),), {})], np.logical_not)

# --- bits ---------------------------------------------------------------------------------------


def _bits(name: str, x: Node, y: Node) -> Node:
    require_kind(f"{name}_cpu", x, ("bool", "int"))
    return b.elementwise(name, x, y)


def _shift(name: str, x: Node, y: Node) -> Node:
    short, primitive = ("lshift", "shift_left") if "left" in name else ("rshift", "shift_right")
    require_kind(f"{short}_cpu", x, ("int",))
    return b.elementwise(primitive, x, y)


def _shifts(make: Callable) -> list:
    return [
        ((make(3, 4, dtype="int64", low=-99, high=99), make(4, dtype="int64", low=0, high=5)), {})
    ]


bitwise_and = _pair(
    "bitwise_and", "The bits set in both", _bits, integers(), np.bitwise_and, ("6", "3", "2")
)
bitwise_or = _pair(
    "bitwise_or", "The bits set in either", _bits, integers(), np.bitwise_or, ("6", "3", "7")
)
bitwise_xor = _pair(
    "bitwise_xor", "The bits set in just one", _bits, integers(), np.bitwise_xor, ("6", "3", "5")
)
bitwise_left_shift = _pair(
    "bitwise_left_shift",
    "input * 2**other modulo 2**bits",
    _shift,
    _shifts,
    np.left_shift,
    ("6", "3", "48"),
)
bitwise_right_shift = _pair(
    "bitwise_right_shift",
    "floor(input / 2**other)",
    _shift,
    _shifts,
    np.right_shift,
    ("6", "1", "3"),
)


@op("torch Tensor", inplace=True, elementwise=True, differentiable=False)
def bitwise_not(input: Value) -> Value:
    """Every bit reversed (of bools: `not`). NotImplementedError for floats.

    Follows `torch.bitwise_not`.

    >>> import rushlight as rl
    >>> rl.bitwise_not(rl.tensor([0, 5]))
    tensor([-1, -6])
    """
    require_kind("bitwise_not_cpu", input, ("bool", "int"))
    return b.elementwise("bitwise_not", input)


bitwise_not.test(lambda make: [((make(3, 4, dtype="int64", low=-9, high=9),), {})], np.invert)

# --- classes of numbers -------------------------------------------------------------------------


def _class(
    name: str,
    words: str,
    body: Callable[[Node], Node],
    reference: Callable,
    example: tuple[str, str],
) -> Op:
    """A row that says of each element what kind of number it is."""

    def function(input: Value) -> Value:
        return body(input)

    function.__name__ = name
    function.__annotations__ = {"input": "Value", "return": "Value"}
    function.__doc__ = f"""Whether each element is {words}. Follows `torch.{name}`.

    >>> import rushlight as rl
    >>> rl.{name}(rl.tensor([{example[0]}]))
    tensor([{example[1]}])
    """
    row = op("torch Tensor", elementwise=True, differentiable=False)(function)
    row.test(_unusual, reference)
    return row


def _unusual(make: Callable) -> list:
    x = make(2, 5)
    x[0, :4] = (np.nan, np.inf, -np.inf, -0.0)
    return [((x,), {})]


def _parts(x: Node) -> tuple[Node, ...]:
    """A number's real parts: itself, or both parts of a complex one."""
    if not x.dtype.is_complex:
        return (x,)
    return tuple(Node(part, (x,), x.shape, x.dtype.real) for part in ("real", "imag"))


def _float_class(primitive: str, of_integers: bool, join: str) -> Callable[[Node], Node]:
    """A class that holds for all integers or for none; of complex numbers both parts count."""

    def body(x: Node) -> Node:
        if x.dtype.kind in ("bool", "int"):
            return b.expand(b.const(of_integers, dtypes.bool_), x.shape)
        first, *rest = (b.elementwise(primitive, part) for part in _parts(x))
        return b.elementwise(join, first, rest[0]) if rest else first

    return body


def _infinity(name: str, sign: float) -> Callable[[Node], Node]:
    def body(x: Node) -> Node:
        if x.dtype.is_complex:
            raise RuntimeError(f"{name} does not support complex inputs.")
        if x.dtype.kind != "float":
            return b.expand(b.const(False, dtypes.bool_), x.shape)
        return b.elementwise("eq", x, b.const(sign * float("inf"), x.dtype))

    return body


def _signbit(x: Node) -> Node:
    if x.dtype.is_complex:
        raise NotImplementedError("signbit is not implemented for complex tensors.")
    if x.dtype.kind == "bool":
        return b.expand(b.const(False, dtypes.bool_), x.shape)
    return b.elementwise("signbit", x)


def _isreal(x: Node) -> Node:
    if not x.dtype.is_complex:
        return b.expand(b.const(True, dtypes.bool_), x.shape)
    return b.binary("eq", _parts(x)[1], 0)


_three = "1., float('inf'), float('nan')"
isnan = _class(
    "isnan",
    "NaN",
    _float_class("isnan", False, "logical_or"),
    np.isnan,
    (_three, "False, False,  True"),
)
isinf = _class(
    "isinf",
    "infinite",
    _float_class("isinf", False, "logical_or"),
    np.isinf,
    (_three, "False,  True, False"),
)
isfinite = _class(
    "isfinite",
    "neither infinite nor NaN",
    _float_class("isfinite", True, "logical_and"),
    np.isfinite,
    (_three, " True, False, False"),
)
isposinf = _class(
    "isposinf",
    "plus infinity",
    _infinity("isposinf", 1.0),
    np.isposinf,
    (_three, "False,  True, False"),
)
isneginf = _class(
    "isneginf",
    "minus infinity",
    _infinity("isneginf", -1.0),
    np.isneginf,
    (_three, "False, False, False"),
)
isreal = _class(
    "isreal", "real (its imaginary part is zero)", _isreal, np.isreal, (_three, "True, True, True")
)
signbit = _class("signbit", "negative (-0.0 is)", _signbit, np.signbit, ("-0., 1.", " True, False"))


@op("torch Tensor", elementwise=True, differentiable=False)
def isclose(
    input: TensorValue,
    other: TensorValue,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> Value:
    """|input - other| <= atol + rtol * |other|, or equal; with equal_nan NaN is equal to NaN.

    RuntimeError where the dtypes differ or a tolerance is negative. Follows `torch.isclose`.

    >>> import rushlight as rl
    >>> rl.isclose(rl.tensor([1., 2.]), rl.tensor([1. + 1e-7, 2.1]))
    tensor([ True, False])
    """
    require_same_dtype("isclose", input, other=other)
    for role, tolerance in (("rtol", rtol), ("atol", atol)):
        if tolerance < 0:
            raise RuntimeError(f"{role} must be greater than or equal to zero, but got {tolerance}")
    close = b.binary("eq", input, other)
    if input.dtype.kind in ("float", "complex") and equal_nan:
        both = _float_class("isnan", False, "logical_or")
        close = close | (both(input) & both(other))
    if input.dtype.kind == "bool" or (rtol == 0 and atol == 0):
        return close
    distance = absolute(b.binary("sub", input, other))
    allowed = b.add(b.mul(absolute(b.to_float(other)), rtol), atol)
    finite = _float_class("isfinite", True, "logical_and")(distance)
    return close | (finite & b.binary("le", distance, allowed))


def _isclose_samples(make: Callable) -> list[Any]:
    x = make(3, 4)
    y = x.copy()
    y[0] += 1e-6 * np.abs(y[0])
    y[1] += 1e-3
    return [((x, y), {}), ((x, y), {"rtol": 1e-2})]


isclose.test(_isclose_samples, np.isclose)
