"""Normal values by the Box-Muller transform, in the two orders PyTorch's CPU kernels use.

In: a generator, a count, a floating dtype, mean and standard deviation. Out: an array of the dtype
as stored. Invariant: bit for bit what `torch.Tensor.normal_` writes. Contiguous tensors of 16
elements or more are filled in blocks of 16 (eight pairs, cosines first, sines second); others one
by one, keeping each pair's second value.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...base import dtype as dtypes
from .arithmetic import (
    double_fused_multiply_add,
    single_fused_multiply_add,
    single_round,
    through_c_library,
    to_storage,
)
from .generator import Mt19937

if TYPE_CHECKING:
    from collections.abc import Callable

    from .arithmetic import Doubles, Values

    # (uniforms in blocks, mean, std) -> normals
    Transform = Callable[[Values, float, float], Values | None]

BLOCK = 16
# blocks worked on together: few enough for all temporaries to stay in cache
_BLOCKS_PER_PASS = 1024


def _single(*values: float) -> tuple[float, ...]:
    return tuple(float(np.float32(value)) for value in values)


# Cephes logf: log(1 + x) = x - x^2/2 + x^3 P(x), and log 2 in two parts
_LOG_POLYNOMIAL = _single(
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_LOG_TWO_LOW, _LOG_TWO_HIGH = _single(-2.12194440e-4, 0.693359375)
(_SQRT_HALF,) = _single(math.sqrt(0.5))
# Cephes sinf and cosf: minus pi/4 in three parts, and the polynomials on [-pi/4, pi/4]
_MINUS_QUARTER_PI = _single(-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)
_SINE_POLYNOMIAL = _single(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COSINE_POLYNOMIAL = _single(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_FOUR_OVER_PI, _TWO_PI = _single(4.0 / math.pi, 2.0 * math.pi)


def normal(
    generator: Mt19937,
    count: int,
    dtype: dtypes.dtype = dtypes.float32,
    mean: float = 0.0,
    std: float = 1.0,
    *,
    contiguous: bool = True,
    transform: Transform | None = None,
) -> Values:
    """`count` values of the normal distribution N(mean, std^2), as `torch.Tensor.normal_` draws
    them.

    `contiguous` says whether the tensor to fill is; the values come in the order in which its
    memory is visited. `transform` does the arithmetic on blocks of float32 instead of NumPy, where
    it does not give None. Raises RuntimeError for std < 0 and NotImplementedError for a dtype that
    is not floating.

    >>> normal(Mt19937(0), 3)
    array([ 1.5409961, -0.2934289, -2.1787894], dtype=float32)
    """
    if not std >= 0.0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    if not dtype.is_floating_point:
        raise NotImplementedError(
            f'"normal_kernel_cpu" not implemented for {dtype}: it fills floating tensors'
        )
    if count < BLOCK or not contiguous:
        return to_storage(_one_by_one(generator, count, mean, std), dtype)
    if dtype is dtypes.float64:
        return _fill_blocks(generator, count, np.dtype(np.float64), mean, std, draw_first=True)
    single, draw_first = np.dtype(np.float32), dtype is dtypes.float32
    values = _fill_blocks(
        generator, count, single, mean, std, draw_first=draw_first, transform=transform
    )
    return to_storage(values, dtype)


def uniform_words(generator: Mt19937, count: int, computing: np.dtype) -> Values:
    """`count` values uniform on [0, 1) with all the bits of float32 or float64."""
    if computing == np.float64:
        return generator.doubles(count)
    values = (generator.words(count) & np.uint32((1 << 24) - 1)).astype(np.float32)
    values *= np.float32(2.0**-24)
    return values


def normal_doubles(generator: Mt19937, count: int) -> Doubles:
    """`count` standard normal values, one by one: the kept one first, then pairs; an odd last one's
    mate is kept.
    """
    if count == 0:
        return np.empty(0)
    kept = [] if generator.next_normal is None else [generator.next_normal]
    pair_count = (count - len(kept) + 1) // 2
    uniforms = generator.doubles(2 * pair_count)
    radius = np.sqrt(-2.0 * through_c_library(math.log1p, -uniforms[1::2]))
    angle = 2.0 * math.pi * uniforms[::2]
    values = np.empty(len(kept) + 2 * pair_count)
    values[: len(kept)] = kept
    values[len(kept) :: 2] = radius * through_c_library(math.cos, angle)
    values[len(kept) + 1 :: 2] = radius * through_c_library(math.sin, angle)
    generator.next_normal = float(values[count]) if values.size > count else None
    return values[:count]


def _one_by_one(generator: Mt19937, count: int, mean: float, std: float) -> Doubles:
    return double_fused_multiply_add(normal_doubles(generator, count), std, mean)


def _fill_blocks(
    generator: Mt19937,
    count: int,
    computing: np.dtype,
    mean: float,
    std: float,
    *,
    draw_first: bool,
    transform: Transform | None = None,
) -> Values:
    """Blocks of 16; where 16 does not divide `count`, the last 16 values are drawn again.

    With `draw_first` the uniforms of an incomplete last block are drawn too before they are
    replaced.
    """
    whole = count - count % BLOCK
    uniforms = uniform_words(generator, count if draw_first else whole, computing)
    values = np.empty(count, computing)
    values[:whole] = _box_muller(uniforms[:whole], mean, std, transform)
    if whole < count:
        last = uniform_words(generator, BLOCK, computing)
        values[-BLOCK:] = _box_muller(last, mean, std, transform)
    return values


def _box_muller(
    uniforms: Values, mean: float, std: float, transform: Transform | None = None
) -> Values:
    """Each 16 uniforms (eight u1, eight u2) -> eight r cos(2 pi u2), eight r sin(2 pi u2), r^2 = -2
    log(1 - u1).
    """
    in_single = uniforms.dtype == np.float32
    mean, std = _single(mean, std) if in_single else (mean, std)
    made = transform(uniforms, mean, std) if transform is not None and in_single else None
    if made is not None:
        return made
    blocks = uniforms.reshape(-1, 2, BLOCK // 2)
    values = np.empty_like(blocks)
    pairs = _single_pairs if in_single else _double_pairs
    for start in range(0, len(blocks), _BLOCKS_PER_PASS):
        part = blocks[start : start + _BLOCKS_PER_PASS].astype(np.float64)
        cosines, sines = pairs(1.0 - part[:, 0], part[:, 1], mean, std)
        values[start : start + _BLOCKS_PER_PASS, 0] = cosines
        values[start : start + _BLOCKS_PER_PASS, 1] = sines
    return values.reshape(-1)


def _double_pairs(
    first: Doubles, second: Doubles, mean: float, std: float
) -> tuple[Doubles, Doubles]:
    radius = np.sqrt(-2.0 * through_c_library(math.log, first))
    angle = 2.0 * math.pi * second
    cosines = radius * through_c_library(math.cos, angle)
    sines = radius * through_c_library(math.sin, angle)
    return double_fused_multiply_add(cosines, std, mean), double_fused_multiply_add(
        sines, std, mean
    )


def _single_pairs(
    first: Doubles, second: Doubles, mean: float, std: float
) -> tuple[Doubles, Doubles]:
    radius = single_round(np.sqrt(-2.0 * _single_log(first)))
    sine, cosine = _single_sine_cosine(single_round(_TWO_PI * second))
    return (
        single_fused_multiply_add(single_round(radius * cosine), std, mean),
        single_fused_multiply_add(single_round(radius * sine), std, mean),
    )


def _single_log(values: Doubles) -> Doubles:
    """Natural logarithm in float32 steps, for values in [2^-24, 1]."""
    mantissa, exponent = np.frexp(values)
    below = mantissa < _SQRT_HALF
    exponent = (exponent - below).astype(np.float64)
    x = np.where(below, mantissa + mantissa, mantissa) - 1.0
    square = single_round(x * x)
    y = single_fused_multiply_add(_LOG_POLYNOMIAL[0], x, _LOG_POLYNOMIAL[1])
    for coefficient in _LOG_POLYNOMIAL[2:]:
        y = single_fused_multiply_add(y, x, coefficient)
    y = single_fused_multiply_add(
        single_round(y * x), square, single_round(exponent * _LOG_TWO_LOW)
    )
    y = single_round(y - 0.5 * square)
    # this product has few bits, so that fusing it into the sum changes nothing
    return single_round(exponent * _LOG_TWO_HIGH + single_round(x + y))


def _single_sine_cosine(angles: Doubles) -> tuple[Doubles, Doubles]:
    """Sine and cosine in float32 steps, for angles in [0, 2 pi)."""
    octant = (single_round(angles * _FOUR_OVER_PI).astype(np.int64) + 1) & ~1
    turns = octant.astype(np.float64)
    # the products with the first two parts have few bits: fused or not is the same
    x = single_round(turns * _MINUS_QUARTER_PI[0] + angles)
    x = single_round(turns * _MINUS_QUARTER_PI[1] + x)
    x = single_fused_multiply_add(turns, _MINUS_QUARTER_PI[2], x)
    square = single_round(x * x)
    cosine = single_fused_multiply_add(_COSINE_POLYNOMIAL[0], square, _COSINE_POLYNOMIAL[1])
    cosine = single_round(single_fused_multiply_add(cosine, square, _COSINE_POLYNOMIAL[2]) * square)
    cosine = single_round(single_fused_multiply_add(cosine, square, -0.5 * square) + 1.0)
    sine = single_fused_multiply_add(_SINE_POLYNOMIAL[0], square, _SINE_POLYNOMIAL[1])
    sine = single_round(single_fused_multiply_add(sine, square, _SINE_POLYNOMIAL[2]) * square)
    sine = single_fused_multiply_add(sine, x, x)
    straight = (octant & 2) == 0
    sine, cosine = np.where(straight, sine, cosine), np.where(straight, cosine, sine)
    return (
        np.where(octant & 4, -sine, sine),
        np.where((octant + 2) & 4, -cosine, cosine),
    )
