"""Which element of a tensor gets which number of the stream.

In: a tensor's shape and strides. Out: its dimensions in the order in which kernels visit them, or
drawn values put into the tensor's logical shape. Invariant: numbers follow memory, not indices, as
in PyTorch's iterators.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .arithmetic import Values


def visiting_order(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    """The dimensions from the slowest to the fastest: larger strides first, ties by index or size.

    >>> visiting_order((2, 3, 4), (1, 8, 2))
    (1, 2, 0)
    """
    fastest_first = list(reversed(range(len(shape))))
    for start in range(1, len(fastest_first)):
        current = start
        for other in range(start - 1, -1, -1):
            before, after = fastest_first[other], fastest_first[current]
            if strides[before] == 0 or strides[after] == 0:
                continue
            if strides[before] < strides[after]:
                break
            if strides[before] > strides[after] or shape[before] > shape[after]:
                fastest_first[other], fastest_first[current] = after, before
                current = other
    return tuple(reversed(fastest_first))


def arrange(values: Values, shape: Sequence[int], strides: Sequence[int]) -> Values:
    """Values in drawing order -> an array of the logical shape (a view), for a tensor with these
    strides.
    """
    if values.size != math.prod(shape):
        raise ValueError(f"{values.size} values do not fill a tensor of shape {tuple(shape)}")
    order = visiting_order(shape, strides)
    return values.reshape([shape[dim] for dim in order]).transpose(np.argsort(order))
