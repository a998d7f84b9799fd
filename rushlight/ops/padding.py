"""Constant borders around a tensor.

In: a tensor and two widths (before, after) per padded dimension, the last dimension first. Out: the
longer tensor, or the shorter one for negative widths. Invariant: padding by the negated widths is
the gradient, so one row is all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..graph import build as b
from .registry import Value, op
from .signature import strides_as_suggested


@op("torch nn.functional", strides=strides_as_suggested, grad_name="ConstantPadNdBackward0")
def constant_pad_nd(input: Value, pad: tuple, value: float = 0) -> Value:
    """input with borders of `value`; negative widths crop.

    pad: (before, after) of the last dimension, then of the one before it, and so on. Errors:
    RuntimeError for an odd number of widths, more than there are dimensions, or crops that leave
    less than nothing. Follows `torch.constant_pad_nd`.

    >>> import rushlight as rl
    >>> rl.constant_pad_nd(rl.tensor([1., 2., 3.]), (1, -1), 9)
    tensor([9., 1., 2.])
    """
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) > 2 * input.ndim:
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. "
            f"Pad length is {len(pad)} while the input has {input.ndim} dimensions."
        )
    rest = [0] * (input.ndim - len(pad) // 2)
    before, after = [*rest, *pad[-2::-2]], [*rest, *pad[::-2]]
    for d, (n, first, last) in enumerate(zip(input.shape, before, after)):
        if n + first + last < 0 or n + min(first, 0) + min(last, 0) < 0:
            raise RuntimeError(
                f"The input size {n}, plus negative padding {first} and {last}, resulted in a "
                "negative output size, which is "
                f"invalid. Check dimension {d} of your input (narrow(): length must be "
                "non-negative)."
            )
    return b.pad(input, before, after, value)


@constant_pad_nd.vjp("input")
def _(g, pad):  # type: ignore[no-untyped-def]
    return constant_pad_nd(g, tuple(-n for n in pad), 0)


def _numpy_pad(x: np.ndarray, pad: Sequence[int], value: float = 0) -> np.ndarray:
    widths = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[-2::-2], pad[::-2]))
    made = np.pad(x, [(max(p, 0), max(q, 0)) for p, q in widths], constant_values=value)
    return made[tuple(slice(max(-p, 0), n - max(-q, 0)) for n, (p, q) in zip(made.shape, widths))]


constant_pad_nd.test(
    lambda make: [
        ((make(2, 3), (1, 2)), {}),
        ((make(2, 3, 4), (-1, 2, 3, -1), 1.5), {}),
        ((make(4), (-2, -1)), {}),
    ],
    _numpy_pad,
)
