"""Elements chosen by a mask of bools: replaced, filled from a list, taken out, counted.

In: a tensor and a mask that broadcasts with it. Out: tensors of static shape. Invariant: what has
a shape that depends on the mask's values (`masked_select`, `nonzero`) is no row; see
tensor/functions/selection.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..graph import build as b
from . import grad_names
from .common import TYPE_NAMES
from .core import full, where
from .core import sum as sum_
from .registry import Value, op


def require_mask(name: str, mask: Any) -> None:
    """RuntimeError unless the mask is one of bools."""
    if mask.dtype is not dtypes.bool_:
        raise RuntimeError(
            f"{name} only supports boolean masks, but got mask with dtype {mask.dtype.name}: "
            "compare it with 0 to make one"
        )


@op(
    "torch Tensor",
    inplace=True,
    grad_name=grad_names.numbered("MaskedFill", by="value", tensor=1, number=0),
)
def masked_fill(input: Value, mask: Value, value: Value) -> Value:
    """value where the mask holds, else input; value is a number or a 0-d tensor. Follows
    `torch.Tensor.masked_fill`.

    RuntimeError for a mask that is not bool or a value with dimensions.

    >>> import rushlight as rl
    >>> rl.masked_fill(rl.zeros(3), rl.tensor([True, False, True]), 2)
    tensor([2., 0., 2.])
    """
    require_mask("masked_fill", mask)
    if value.ndim:
        raise RuntimeError(
            "masked_fill only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    if value.dtype.is_complex and not input.dtype.is_complex:
        raise RuntimeError(
            f"value cannot be converted to type {TYPE_NAMES[input.dtype.name].lower()} without "
            "overflow: it is complex"
        )
    return b.where(mask, b.cast(value, input.dtype), input)


@masked_fill.vjp("input")
def _(g, mask):  # type: ignore[no-untyped-def]
    return where(mask, 0, g)


@masked_fill.vjp("value")
def _(g, mask):  # type: ignore[no-untyped-def]
    return sum_(where(mask, g, 0), None, False)


masked_fill.test(
    lambda make: [
        ((make(3, 4), make(4, dtype=bool), make()), {}),
        ((make(3, 1), make(3, 4, dtype=bool), 1.5), {}),
    ],
    lambda x, mask, value: np.where(mask, value, x),
)


@op("torch Tensor", inplace=True)
def masked_scatter(input: Value, mask: Value, source: Value) -> Value:
    """input, its masked elements replaced by those of source in order. Follows
    `torch.Tensor.masked_scatter`.

    Both dtypes must be equal. When the program runs, IndexError if source has fewer elements than
    the mask selects.

    >>> import rushlight as rl
    >>> rl.zeros(3).masked_scatter(rl.tensor([True, False, True]), rl.tensor([1., 2.]))
    tensor([1., 0., 2.])
    """
    require_mask("masked_scatter_", mask)
    if source.dtype is not input.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got "
            f"{TYPE_NAMES[input.dtype.name]} and {TYPE_NAMES[source.dtype.name]}"
        )
    mask, x = b.broadcast(mask, input)
    if not source.numel:
        return x
    return b.where(mask, b.gather(source, _ranks(mask)), x)


def _ranks(mask: Value) -> Value:
    """How many earlier elements the mask selects; 0 where it does not hold."""
    flat = b.cast(b.reshape(mask, (mask.numel,)), dtypes.int64)
    count = b.binary("sub", b.scan("sum", flat, 0), flat)
    return b.reshape(
        b.where(b.reshape(mask, (mask.numel,)), count, b.const(0, dtypes.int64)), mask.shape
    )


@masked_scatter.vjp("input")
def _(g, mask):  # type: ignore[no-untyped-def]
    return where(mask, 0, g)


@masked_scatter.vjp("source")
def _(g, mask, source_layout):  # type: ignore[no-untyped-def]
    return masked_gather_back(g, mask, tuple(source_layout.shape))


@op("")
def masked_gather_back(grad: Value, mask: Value, size: tuple) -> Value:
    """The masked elements of grad in order, at the front of zeros of shape `size`."""
    mask, grad = b.broadcast(mask, grad)
    base = b.expand(b.const(0, grad.dtype), size)
    if not base.numel:
        return base
    return b.scatter(base, _ranks(mask), b.where(mask, grad, b.const(0, grad.dtype)), "sum")


@masked_gather_back.vjp("grad")
def _(g, mask, grad_layout):  # type: ignore[no-untyped-def]
    return masked_scatter(full(tuple(grad_layout.shape), 0, g.dtype), mask, g)


def _masked_scatter_reference(x: np.ndarray, mask: np.ndarray, source: np.ndarray) -> np.ndarray:
    result = x.copy()
    result[mask] = source.reshape(-1)[: mask.sum()]
    return result


def _masked_gather_back_reference(grad: np.ndarray, mask: np.ndarray, size: tuple) -> np.ndarray:
    result = np.zeros(size)
    result.reshape(-1)[: mask.sum()] = grad[mask]
    return result


masked_scatter.test(
    lambda make: [((make(3, 4), make(3, 4, dtype=bool), make(3, 5)), {})], _masked_scatter_reference
)
masked_gather_back.test(
    lambda make: [((make(3, 4), make(3, 4, dtype=bool), (3, 5)), {})], _masked_gather_back_reference
)
