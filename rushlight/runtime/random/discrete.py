"""Integers, permutations, coin tosses and draws from categories.

In: a generator, a count and the distribution's parameters. Out: NumPy arrays, of the dtype as
stored where a dtype is given. Invariant: bit for bit what PyTorch's function of that purpose draws
on a CPU, and the same state afterwards.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...base import dtype as dtypes
from .arithmetic import from_storage, through_c_library, to_storage
from .continuous import exponential
from .generator import Mt19937

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .arithmetic import Values

# from this width on an integer takes two words: with one, the remainder would favour small values
# by over 5 %
_TWO_WORD_WIDTH = 1 << 28
# from this length on PyTorch shuffles with 64-bit integers
_LONG_PERMUTATION = ((1 << 32) - 1) // 20
_LONGEST_INT = (1 << 63) - 1
_MOST_CATEGORIES = 1 << 24
# significant bits of the floating dtypes: all integers up to 2**bits are exact
_SIGNIFICANT_BITS = {dtypes.float16: 11, dtypes.bfloat16: 8, dtypes.float32: 24, dtypes.float64: 53}


def random_int(
    generator: Mt19937, count: int, low: int, high: int, dtype: dtypes.dtype = dtypes.int64
) -> Values:
    """`count` integers of [low, high), as `torch.randint` and `torch.Tensor.random_(low, high)`.

    Raises RuntimeError for an empty range or one that the dtype cannot hold.

    >>> random_int(Mt19937(0), 5, 0, 10)
    array([4, 9, 3, 0, 3])
    """
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    if dtype.is_floating_point:
        low, high = _first_held(low, dtype), _end_held(high, dtype)
        if low >= high:
            raise RuntimeError(
                "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, "
                f"but got from={low} >= to={high}"
            )
    _check_bounds(low, high - 1, dtype)
    return _remainders(generator, count, low, high - low, dtype)


def random_from(
    generator: Mt19937, count: int, low: int, dtype: dtypes.dtype = dtypes.int64
) -> Values:
    """`count` integers from `low` to the largest exact one of the dtype, as
    `torch.Tensor.random_(low, None)`.
    """
    highest = _largest_exact(dtype)
    if dtype.is_floating_point:
        low = _first_held(low, dtype)
    _check_bounds(low, highest, dtype)
    return _remainders(generator, count, low, highest - low + 1, dtype)


def random_default(generator: Mt19937, count: int, dtype: dtypes.dtype) -> Values:
    """`count` integers from 0 to the largest exact one of the dtype: `torch.Tensor.random_()`."""
    if dtype.is_complex or dtype in (dtypes.uint16, dtypes.uint32, dtypes.uint64):
        raise NotImplementedError(f'"random_kernel_cpu" not implemented for {dtype}')
    draw = generator.long_words if dtype in (dtypes.int64, dtypes.float64) else generator.words
    words = draw(count)
    return to_storage(words % words.dtype.type(_largest_exact(dtype) + 1), dtype)


def random_full_range(generator: Mt19937, count: int, dtype: dtypes.dtype = dtypes.int64) -> Values:
    """`count` integers of all 64 bits, as `torch.Tensor.random_(-2**63, None)`."""
    if dtype not in (dtypes.int64, dtypes.float64, dtypes.float32, dtypes.bfloat16):
        raise RuntimeError(
            "random_full_64_bits_range_kernel_cpu handles only int64, double, float and bfloat16, "
            f"not {dtype}"
        )
    return to_storage(generator.long_words(count).view(np.int64), dtype)


def permutation(generator: Mt19937, count: int) -> NDArray[np.int64]:
    """The integers 0 to count - 1 in random order, as `torch.randperm`.

    >>> permutation(Mt19937(0), 5)
    array([4, 0, 1, 3, 2])
    """
    if count < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {count}: [{count}]")
    if count >= _LONG_PERMUTATION:
        return _long_permutation(generator, count)
    numbers = np.arange(count)
    if count < 2:
        return numbers
    words = generator.words(count - 1)
    offsets = words % (count - numbers[:-1]).astype(np.uint32)
    return _exchanged(numbers + np.append(offsets, np.uint32(0)))


def _exchanged(targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Exchange element i with element targets[i] >= i for i = 0, 1, ... and return the order.

    Step i fixes element i to what place targets[i] holds: what the last earlier step of the same
    target put there, or the place's own number. A step puts into its target what its own place
    holds, which an earlier step may have put there: chains of steps that end in an untouched place.
    Sorting finds the links, pointer doubling the ends.
    """
    numbers = np.arange(targets.size)
    shift = targets.size.bit_length()
    keys = np.sort((targets << shift) | numbers)
    places, steps = keys >> shift, keys & ((1 << shift) - 1)
    repeats = places[1:] == places[:-1]
    earlier = np.full_like(numbers, -1)
    earlier[steps[1:][repeats]] = steps[:-1][repeats]
    lasts = np.append(~repeats, True)
    link = numbers.copy()
    link[places[lasts]] = steps[lasts]
    # exchanging an element with itself changes nothing: the step before it counts
    own = np.flatnonzero(targets == numbers)
    link[own] = np.where(earlier[own] >= 0, earlier[own], own)
    ends = link[link]
    while not np.array_equal(ends, link):
        link, ends = ends, ends[ends]
    return np.where(earlier >= 0, ends[earlier], targets)


def _long_permutation(generator: Mt19937, count: int) -> NDArray[np.int64]:
    """Put each number in a random place of those before it, whose owner moves to the end."""
    order = np.arange(count)
    for start in range(0, count, 1 << 20):
        stop = min(start + (1 << 20), count)
        places = generator.long_words(stop - start) % np.arange(
            start + 1, stop + 1, dtype=np.uint64
        )
        for number, place in enumerate(places.tolist(), start):
            order[number], order[place] = order[place], number
    return order


def bernoulli(
    generator: Mt19937, count: int, probability: float | NDArray[np.floating]
) -> NDArray[np.bool_]:
    """`count` coin tosses, true with the given probability: one for all, or an array with one for
    each.

    As `torch.Tensor.bernoulli_`, `torch.bernoulli` and the mask of `dropout`. One probability or
    float64 ones take 53 random bits each, shorter floats 24. Raises RuntimeError unless all are in
    [0, 1].
    """
    if isinstance(probability, np.ndarray):
        return _bernoulli_each(generator, probability)
    if not 0.0 <= probability <= 1.0:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={probability:g}")
    # u < p for u = k / 2**53 is k < p * 2**53, which is exact in integers
    threshold = np.uint64(math.ceil(math.ldexp(probability, 53)))
    low_bits = generator.long_words(count)
    low_bits &= np.uint64((1 << 53) - 1)
    return low_bits < threshold


def _bernoulli_each(generator: Mt19937, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
    inside = (probabilities >= 0) & (probabilities <= 1)
    if not inside.all():
        worst = probabilities[~inside][0]
        raise RuntimeError(
            f"Expected p_in >= 0 && p_in <= 1 to be true, but got false: a probability is {worst}"
        )
    if probabilities.dtype == np.float64:
        return generator.doubles(probabilities.size).reshape(probabilities.shape) < probabilities
    words = generator.words(probabilities.size).reshape(probabilities.shape) & np.uint32(
        (1 << 24) - 1
    )
    return words.astype(np.float32) * np.float32(2.0**-24) < probabilities.astype(np.float32)


def geometric(
    generator: Mt19937, count: int, probability: float, dtype: dtypes.dtype = dtypes.float32
) -> Values:
    """`count` numbers of tosses up to the first success, ceil(log u / log(1 - p)), as
    `torch.Tensor.geometric_`.
    """
    if not 0.0 < probability < 1.0:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={probability:g}")
    logarithms = through_c_library(_log_or_minus_infinity, generator.doubles(count))
    return to_storage(np.ceil(logarithms / math.log1p(-probability)), dtype)


def _log_or_minus_infinity(value: float) -> float:
    return math.log(value) if value else -math.inf


def multinomial(
    generator: Mt19937,
    weights: Values,
    count: int,
    replacement: bool = False,
    dtype: dtypes.dtype = dtypes.float32,
) -> NDArray[np.int64]:
    """`count` categories of each row of weights, as `torch.multinomial`.

    `weights` is (categories) or (rows, categories), as `dtype` is stored; the result is (count) or
    (rows, count). Raises RuntimeError for weights that are negative, infinite, NaN or all zero, and
    for more draws than categories.
    """
    _check_multinomial(weights, count, replacement, dtype)
    values = from_storage(weights, dtype)
    _check_weights(values)
    if replacement and count > 1:
        return _with_replacement(generator, values, count)
    quotients = values / from_storage(exponential(generator, values.size, dtype), dtype).reshape(
        values.shape
    )
    if dtype is dtypes.bfloat16:
        quotients = from_storage(to_storage(quotients, dtype), dtype)
    # the largest weight / Exp(1) wins: the first of an exponential race (one draw needs no
    # replacement)
    return np.argsort(-quotients, axis=-1, kind="stable")[..., :count]


def _with_replacement(generator: Mt19937, weights: Values, count: int) -> NDArray[np.int64]:
    in_double = weights.dtype == np.float64
    sums: Values = np.cumsum(weights, axis=-1, dtype=np.float64 if in_double else np.float32)
    sums /= sums[..., -1:].copy()
    sums[..., -1] = 1.0
    points = generator.doubles(count * (weights.size // weights.shape[-1]))
    if weights.ndim == 1:
        return np.searchsorted(sums, points)
    rows = points.reshape(-1, count)
    return np.stack(
        [np.searchsorted(row, row_points) for row, row_points in zip(sums, rows, strict=True)]
    )


def _check_multinomial(weights: Values, count: int, replacement: bool, dtype: dtypes.dtype) -> None:
    categories = weights.shape[-1] if weights.ndim else 0
    problems = (
        (weights.ndim not in (1, 2), f"prob_dist must be 1 or 2 dim, not {weights.ndim}"),
        (
            not dtype.is_floating_point,
            f"multinomial only supports floating-point dtypes for input, got: {dtype}",
        ),
        (count <= 0, f"cannot sample n_sample <= 0 samples: n_sample is {count}"),
        (
            not replacement and count > categories,
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement: "
            f"{count} > {categories}",
        ),
        (
            categories > _MOST_CATEGORIES,
            f"number of categories cannot exceed 2^24: there are {categories}",
        ),
    )
    for failed, message in problems:
        if failed:
            raise RuntimeError(message)


def _check_weights(weights: Values) -> None:
    if not ((weights >= 0) & (weights < np.inf)).all():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (weights.sum(axis=-1) == 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")


def _remainders(
    generator: Mt19937, count: int, low: int, width: int, dtype: dtypes.dtype
) -> Values:
    if width < _TWO_WORD_WIDTH:
        offsets = (generator.words(count) % np.uint32(width)).astype(np.uint64)
    else:
        offsets = generator.long_words(count) % np.uint64(width)
    # unsigned addition wraps as the kernel's does, so that a negative `low` comes out right
    offsets += np.uint64(low % (1 << 64))
    return to_storage(offsets.view(np.int64), dtype)


def _largest_exact(dtype: dtypes.dtype) -> int:
    """The largest integer up to which the dtype holds all, within int64."""
    if dtype.is_floating_point:
        return 1 << _SIGNIFICANT_BITS[dtype]
    return 1 if dtype is dtypes.bool_ else min(dtypes.iinfo(dtype).max, _LONGEST_INT)


def _check_bounds(low: int, highest: int, dtype: dtypes.dtype) -> None:
    if dtype.is_complex:
        raise RuntimeError(
            f"random_ handles only integral, floating-point and boolean types, not {dtype}"
        )
    if dtype is dtypes.bool_:
        least, most = 0, 1
    elif dtype.is_floating_point:
        most = int(dtypes.finfo(dtype).max)
        least = -most
    else:
        info = dtypes.iinfo(dtype)
        least, most = info.min, min(info.max, _LONGEST_INT)
    for name, bound in (("from", low), ("to - 1", highest)):
        if not least <= bound <= most:
            raise RuntimeError(
                f"{name} is out of bounds for {dtype}: {bound} is not in [{least}, {most}]"
            )


def _as_held(value: int, dtype: dtypes.dtype) -> float:
    return float(from_storage(to_storage(np.array([value]), dtype), dtype)[0])


def _spacing(value: int, dtype: dtypes.dtype) -> int:
    return 1 << max(abs(value).bit_length() - _SIGNIFICANT_BITS[dtype], 0)


def _first_held(low: int, dtype: dtypes.dtype) -> int:
    """The lower bound moved right where rounding to the dtype could bring a value below it."""
    held = _as_held(low + 1, dtype)
    return int(held) + _spacing(low + 1, dtype) if -math.inf < held < low else low


def _end_held(high: int, dtype: dtypes.dtype) -> int:
    """The upper bound moved left where rounding to the dtype could bring a value up to it."""
    held = _as_held(high - 1, dtype)
    return int(held) - _spacing(high - 1, dtype) if high <= held < math.inf else high
