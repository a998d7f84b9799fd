"""Dropout of a mask that was already drawn (the draws themselves are random.py's).

In: a tensor and a mask of its shape. Out: the tensor where the mask is set, scaled up. Invariant:
the scale is rounded to the tensor's dtype before it multiplies, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..graph import build as b
from .common import require_kind
from .registry import Scalar, Value, op


@op("", grad_name="MulBackward0", elementwise=True)
def apply_dropout(input: Value, mask: Value, keep: Scalar) -> Value:
    """input * mask / keep: `mask` says what stays, `keep` is the probability of that."""
    require_kind("dropout", input, ("float", "complex"))
    scale = b.cast(b.div(1.0, keep), input.dtype)
    return b.elementwise("mul", input, b.elementwise("mul", b.cast(mask, input.dtype), scale))


@apply_dropout.vjp("input")
def _(g, mask, keep):  # type: ignore[no-untyped-def]
    return apply_dropout(g, mask, keep)


def _masked(make: Callable) -> list:
    return [((make(3, 4), make(3, 4, dtype=bool), 0.7), {})]


apply_dropout.test(_masked, lambda x, mask, keep: np.where(mask, x / keep, 0))
