"""Scaled dot-product attention: arguments, grouped heads and dropout around the row that computes
it.

In: query, key, value and perhaps a mask. Out: weighted sums of the values. Invariant: what is
random is drawn here, as a mask; the row below is a pure function.
"""

from __future__ import annotations

import math

from ...base import dtype as dtypes
from ...base.layout import broadcast_shapes
from ...ops import attention as rows
from ..creation import ones
from ..tensor import Tensor
from .dropout import dropout


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(Q K^T * scale + mask) V, with dropout on the weights.

    Shapes: query (..., Hq, L, E), key (..., H, S, E), value (..., H, S, V), mask broadcastable to
    (..., Hq, L, S), result (..., Hq, L, V); leading dimensions broadcast, and with enable_gqa Hq /
    H queries share a key. attn_mask: True where a key is seen, or floats that are added. is_causal:
    query i sees keys 0..i. scale: 1 / sqrt(E) unless given. Errors: RuntimeError for ranks, dtypes
    and shapes that do not fit, and for a mask with is_causal. Follows
    `torch.nn.functional.scaled_dot_product_attention` (Vaswani et al., arXiv 1706.03762; recomputed
    in backward as in Dao et al., arXiv 2205.14135).

    >>> import rushlight as rl
    >>> x = rl.eye(2).reshape(1, 1, 2, 2)
    >>> rl.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
    tensor([[[[1.0000, 0.0000],
              [0.3302, 0.6698]]]])
    """
    _check(query, key, value, attn_mask, dropout_p, is_causal)
    grouped = enable_gqa and key.ndim > 2 and query.shape[-3] != key.shape[-3]
    if grouped:
        query, key, value, attn_mask = _grouped(query, key, value, attn_mask)
    kept = None
    if dropout_p > 0.0:
        lead = broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
        kept = (
            dropout(
                ones((*lead, query.shape[-2], key.shape[-2]), dtype=query.dtype), dropout_p, True
            )
            != 0
        )
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
    result, _ = rows.attention(
        query, key, value, attn_mask, kept, 1.0 - dropout_p, factor, is_causal
    )
    return result.flatten(-4, -3) if grouped else result


def _check(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout_p: float,
    is_causal: bool,
) -> None:
    if query.dtype is not key.dtype or query.dtype is not value.dtype:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{query.dtype} key.dtype: {key.dtype} and value.dtype: {value.dtype} instead."
        )
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead."
        )
    if query.dtype.kind != "float":
        raise RuntimeError(
            f"scaled_dot_product_attention: expected floating operands, but found {query.dtype}"
        )
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    if mask is None:
        return
    if is_causal:
        raise RuntimeError(
            "_scaled_dot_product_attention: Explicit attn_mask should not be set when "
            "is_causal=True"
        )
    if mask.dtype not in (dtypes.bool_, dtypes.float32, query.dtype):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
            "attn_mask.dtype: "
            f"{mask.dtype} and  query.dtype: {query.dtype} instead."
        )


def _grouped(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Every key's queries as a dimension of their own, along which keys and values broadcast."""
    heads, groups = query.shape[-3], key.shape[-3]
    if groups != value.shape[-3] or heads % groups:
        raise RuntimeError(
            "Number of heads in key and value must divide the number of heads in query: got "
            f"{heads} query heads, "
            f"{groups} key heads and {value.shape[-3]} value heads"
        )
    if mask is not None and mask.ndim > 2:
        mask = (
            mask.unflatten(-3, (groups, heads // groups))
            if mask.shape[-3] == heads
            else mask.unsqueeze(-3)
        )
    return (
        query.unflatten(-3, (groups, heads // groups)),
        key.unsqueeze(-3),
        value.unsqueeze(-3),
        mask,
    )


FUNCTIONS = (scaled_dot_product_attention,)
