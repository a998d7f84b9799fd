"""Box and Muller's transform on graph nodes: what runtime/random/box_muller.py says, compiled.

In: float32 uniforms on [0, 1) in blocks of 16 (eight u1, eight u2). Out: blocks of eight
r cos(2 pi u2), eight r sin(2 pi u2) with r^2 = -2 log(1 - u1), times a deviation, plus a mean.
Invariant: every step rounds to float32 as the reference does, so that both give the same bits.
"""

from __future__ import annotations

from ..base import dtype as dtypes
from ..graph import build as b
from ..graph.node import Node
from ..runtime.random import box_muller as reference

HALF = reference.BLOCK // 2
_MANTISSA = (1 << 23) - 1
_MIDDLE = 126 << 23  # the exponent's field of numbers in [1/2, 1)


def normals(uniforms: Node, mean: Node, std: Node) -> Node:
    """(count,) uniforms -> (count,) normals; count is a multiple of 16."""
    blocks = b.reshape(uniforms, (uniforms.numel // (2 * HALF), 2, HALF))
    first, second = (b.slice_(blocks, (0, k, 0), (blocks.shape[0], 1, HALF)) for k in range(2))
    radius = b.elementwise("sqrt", _log(1.0 - first) * -2.0)
    sine, cosine = _sine_and_cosine(second * reference._TWO_PI)
    pair = [b.fma(radius * each, std, mean) for each in (cosine, sine)]
    return b.reshape(b.concat(pair, 1), (uniforms.numel,))


def _polynomial(x: Node, coefficients: tuple[float, ...]) -> Node:
    total: Node = b.const(coefficients[0], dtypes.float32)
    for coefficient in coefficients[1:]:
        total = b.fma(total, x, b.const(coefficient, dtypes.float32))
    return total


def _integer(x: Node) -> Node:
    return b.bitcast(x, dtypes.int32)


def _bits(op: str, x: Node, number: int) -> Node:
    return b.elementwise(op, x, b.const(number, dtypes.int32))


def _log(x: Node) -> Node:
    """The natural logarithm of numbers in [2^-24, 1]."""
    bits = _integer(x)
    exponent = b.cast(_bits("shift_right", bits, 23) - 126, dtypes.float32)
    field = _bits("bitwise_or", _bits("bitwise_and", bits, _MANTISSA), _MIDDLE)
    mantissa = b.bitcast(field, dtypes.float32)
    below = mantissa < reference._SQRT_HALF
    exponent = b.where(below, exponent - 1.0, exponent)
    x = b.where(below, mantissa + mantissa, mantissa) - 1.0
    square = x * x
    y = _polynomial(x, reference._LOG_POLYNOMIAL) * x
    y = b.fma(y, square, exponent * reference._LOG_TWO_LOW) - square * 0.5
    return b.fma(exponent, b.const(reference._LOG_TWO_HIGH, dtypes.float32), x + y)


def _sine_and_cosine(angle: Node) -> tuple[Node, Node]:
    """Of angles in [0, 2 pi)."""
    octant = _bits("bitwise_and", b.cast(angle * reference._FOUR_OVER_PI, dtypes.int32) + 1, ~1)
    turns = b.cast(octant, dtypes.float32)
    x = angle
    for part in reference._MINUS_QUARTER_PI:
        x = b.fma(turns, b.const(part, dtypes.float32), x)
    square = x * x
    cosine = _polynomial(square, reference._COSINE_POLYNOMIAL) * square
    cosine = b.fma(cosine, square, square * -0.5) + 1.0
    sine = _polynomial(square, reference._SINE_POLYNOMIAL) * square
    sine = b.fma(sine, x, x)
    straight = b.elementwise("eq", _bits("bitwise_and", octant, 2), b.const(0, dtypes.int32))
    sine, cosine = b.where(straight, sine, cosine), b.where(straight, cosine, sine)
    return _signed(sine, octant), _signed(cosine, octant + 2)


def _signed(x: Node, octant: Node) -> Node:
    turned = b.elementwise("ne", _bits("bitwise_and", octant, 4), b.const(0, dtypes.int32))
    return b.where(turned, b.negative(x), x)
