"""Normalisations of the elements that a mask lets through, `torch.masked`.

In: a tensor, a dimension, and a bool mask that broadcasts to it, true where an element counts. Out:
a tensor of its shape; elements that do not count are 0, or NaN in a row where none does. Invariant:
what does not count is replaced by a number that leaves the others alone, and the ordinary function
does the rest, gradients included.
"""

from __future__ import annotations

import math
from typing import Any

import rushlight
from rushlight import Tensor

from .masks import filled
from .reductions import norm


def softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """exp(x) over its sum along `dim`, of what counts. Follows `torch.masked.softmax`.

    >>> import rushlight as rl
    >>> rl.masked.softmax(rl.tensor([1., 5., 1.]), 0, mask=rl.tensor([True, False, True]))
    tensor([0.5000, 0.0000, 0.5000])
    """
    return rushlight.softmax(_floating("softmax", input, dtype, mask, -math.inf), dim)


def log_softmax(
    input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The logarithm of `softmax`, -inf for what does not count. Follows `torch.masked.log_softmax`.

    >>> import rushlight as rl
    >>> rl.masked.log_softmax(rl.tensor([1., 5., 1.]), 0, mask=rl.tensor([True, False, True]))
    tensor([-0.6931,    -inf, -0.6931])
    """
    return rushlight.log_softmax(_floating("log_softmax", input, dtype, mask, -math.inf), dim)


def softmin(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """`softmax` of the negated input. Follows `torch.masked.softmin`.

    >>> import rushlight as rl
    >>> rl.masked.softmin(rl.tensor([1., 5., 1.]), 0, mask=rl.tensor([True, False, True]))
    tensor([0.5000, 0.0000, 0.5000])
    """
    return rushlight.softmax(-_floating("softmin", input, dtype, mask, math.inf), dim)


def _floating(name: str, input: Tensor, dtype: Any, mask: Tensor | None, number: float) -> Tensor:
    """The input in the dtype asked for and filled; NotImplementedError unless that is floating."""
    values = input.to(dtype or input.dtype)
    if not values.dtype.is_floating_point:
        raise NotImplementedError(
            f"\"{name}\" not implemented for '{values.dtype}': give floats or a floating dtype"
        )
    return filled(values, mask, number)


def normalize(
    input: Tensor,
    ord: float,
    dim: int,
    *,
    eps: float = 1e-12,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """x over the larger of its norm along `dim` and `eps`, of what counts.

    Follows `torch.masked.normalize`.

    >>> import rushlight as rl
    >>> rl.masked.normalize(rl.tensor([3., 9., 4.]), 2.0, 0, mask=rl.tensor([True, False, True]))
    tensor([0.6000, 0.0000, 0.8000])
    """
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    values = filled(input.to(dtype or input.dtype), mask, 0)
    return values / rushlight.maximum(length, length.new_full((), eps))


def logaddexp(
    input: Tensor,
    other: Tensor,
    *,
    dtype: Any = None,
    input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:
    """log(exp(input) + exp(other)), each of them -inf where its mask is false.

    Follows `torch.masked.logaddexp`.

    >>> import rushlight as rl
    >>> x = rl.tensor([0., 0.])
    >>> rl.masked.logaddexp(x, x, other_mask=rl.tensor([True, False]))
    tensor([0.6931, 0.0000])
    """
    left = filled(input, input_mask, -math.inf)
    right = filled(other, other_mask, -math.inf)
    return rushlight.logaddexp(left, right).to(dtype or input.dtype)
