"""Causal masks for queries and keys of different number, as `torch.nn.attention.bias`.

In: the numbers of queries and keys. Out: a mask for `scaled_dot_product_attention`, True where a
key is seen. Invariant: query i sees keys 0..i (upper left), or 0..i + keys - queries (lower right).
"""

from __future__ import annotations

from enum import IntEnum

import rushlight
from rushlight import Tensor
from rushlight.overrides import disabled

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]


class CausalVariant(IntEnum):
    """Which corner the diagonal of a mask that is not square starts from."""

    UPPER_LEFT = 1
    LOWER_RIGHT = 2


class CausalBias(Tensor):
    """A causal mask that remembers how it was made.

    Errors: TypeError for something that is no variant.
    """

    __torch_function__ = disabled
    variant: CausalVariant
    seq_len_q: int
    seq_len_kv: int

    def __new__(cls, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> CausalBias:
        if not isinstance(variant, CausalVariant):
            raise TypeError(f"variant must be a CausalVariant, but got {type(variant).__name__}")
        behind = seq_len_kv - seq_len_q if variant is CausalVariant.LOWER_RIGHT else 0
        seen = rushlight.ones(seq_len_q, seq_len_kv, dtype=rushlight.bool).tril(behind)
        mask = Tensor._make_subclass(cls, seen, False)
        mask.variant, mask.seq_len_q, mask.seq_len_kv = variant, seq_len_q, seq_len_kv
        return mask

    def __init__(self, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> None:
        """Everything happens in `__new__`."""


def causal_upper_left(*size: int) -> CausalBias:
    """The mask of (queries, keys) whose query i sees keys 0..i.

    >>> from rushlight.nn.attention.bias import causal_upper_left
    >>> causal_upper_left(2, 3).int().tolist()
    [[1, 0, 0], [1, 1, 0]]
    """
    return _of_size(CausalVariant.UPPER_LEFT, "causal_upper_left", size)


def causal_lower_right(*size: int) -> CausalBias:
    """The mask of (queries, keys) whose last query sees all keys.

    >>> from rushlight.nn.attention.bias import causal_lower_right
    >>> causal_lower_right(2, 3).int().tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    return _of_size(CausalVariant.LOWER_RIGHT, "causal_lower_right", size)


def _of_size(variant: CausalVariant, name: str, size: tuple[int, ...]) -> CausalBias:
    if len(size) != 2:
        raise AssertionError(f"{name} only supports 2D tensors, but got {len(size)} sizes")
    return CausalBias(variant, *size)
