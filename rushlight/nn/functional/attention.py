"""Attention: softmax(Q K^T / sqrt(E)) V, with one head or many.

In: queries, keys, values, and masks of what must not be seen. Out: weighted sums of the values.
Invariant: a boolean mask of the multi-head form marks what is hidden; it becomes a float mask of
zeros and minus infinities that is added to the scores.
"""

from __future__ import annotations

import math
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.ops import namespace as _ops


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
    """softmax(Q K^T scale + mask) V.

    Shapes: query (*, H, L, E), key (*, H, S, E), value (*, H, S, Ev), result (*, H, L, Ev).

    Args:
        attn_mask: boolean, True where a key is seen, or floats that are added to the scores.
        dropout_p: probability of dropping a weight; applied whether training or not.
        is_causal: query i sees the keys 0 to i.
        scale: default 1 / sqrt(E).
        enable_gqa: keys and values have fewer heads, each shared by several queries.

    Follows `torch.nn.functional.scaled_dot_product_attention`.

    >>> import rushlight as rl
    >>> x = rl.ones(1, 2, 3, 4)
    >>> rl.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True).shape
    torch.Size([1, 2, 3, 4])
    """
    return _ops.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
    )


def canonical_mask(
    mask: Tensor | None,
    mask_name: str,
    other_type: Any,
    other_name: str,
    target_type: Any,
    check_other: bool = True,
) -> Tensor | None:
    """`mask` as a float mask to be added to scores; AssertionError for other kinds of masks.

    >>> import rushlight as rl
    >>> from rushlight.nn.functional.attention import canonical_mask
    >>> canonical_mask(rl.tensor([True, False]), "mask", None, "", rl.float32)
    tensor([-inf, 0.])
    """
    if mask is None:
        return None
    if mask.dtype != rushlight.bool and not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {mask_name} are supported")
    if check_other and other_type is not None and mask.dtype != other_type:
        import warnings

        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for "
            "both instead.",
            stacklevel=3,
        )
    if mask.is_floating_point():
        return mask
    zeros = rushlight.zeros(mask.shape, dtype=target_type, device=mask.device)
    return zeros.masked_fill(mask, float("-inf"))


def _check_shapes(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None,
    attn_mask: Tensor | None,
    num_heads: int,
) -> bool:
    """Whether the input is batched; AssertionError naming the operand that does not fit."""
    kinds = {2: "unbatched (2-D)", 3: "batched (3-D)"}
    if query.dim() not in kinds:
        raise AssertionError(
            "query should be unbatched 2D or batched 3D tensor but received "
            f"{query.dim()}-D query tensor"
        )
    kind = kinds[query.dim()]
    if key.dim() != query.dim() or value.dim() != query.dim():
        raise AssertionError(
            f"For {kind} `query`, expected `key` and `value` to be {query.dim()}-D but found "
            f"{key.dim()}-D and {value.dim()}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.dim() != query.dim() - 1:
        raise AssertionError(
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {query.dim() - 1}-D "
            f"but found {key_padding_mask.dim()}-D tensor instead"
        )
    if attn_mask is not None and attn_mask.dim() not in (2, 3):
        raise AssertionError(
            f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
            f"{attn_mask.dim()}-D tensor instead"
        )
    if query.dim() == 2 and attn_mask is not None and attn_mask.dim() == 3:
        expected = (num_heads, query.shape[0], key.shape[0])
        if tuple(attn_mask.shape) != expected:
            raise AssertionError(
                f"Expected `attn_mask` shape to be {expected} but got {tuple(attn_mask.shape)}"
            )
    return query.dim() == 3


def _project(
    query: Tensor, key: Tensor, value: Tensor, weights: Any, bias: Tensor | None
) -> tuple[Tensor, ...]:
    """The three projections; operands that are the same tensor share one contraction."""
    if isinstance(weights, Tensor):
        if query is key and key is value:
            return _ops.linear(query, weights, bias).chunk(3, -1)
        weights = weights.chunk(3)
    biases = (None, None, None) if bias is None else bias.chunk(3)
    operands = zip((query, key, value), weights, biases, strict=True)
    return tuple(_ops.linear(x, w, b) for x, w, b in operands)


def _attention_mask(mask: Tensor, expected: tuple[int, int, int]) -> Tensor:
    """`attn_mask` as (1 or batch * heads, targets, sources)."""
    rows = mask.unsqueeze(0) if mask.dim() == 2 else mask
    wanted = expected[1:] if mask.dim() == 2 else expected
    if tuple(mask.shape) != wanted:
        raise RuntimeError(
            f"The shape of the {mask.dim()}D attn_mask is {tuple(mask.shape)}, "
            f"but should be {wanted}."
        )
    return rows


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of `num_heads` heads on projected inputs (Vaswani et al., arXiv 1706.03762).

    Shapes: query (L, N, E), key (S, N, Ek), value (S, N, Ev), or all without N; result (L, N, E)
    and, with `need_weights`, weights (N, L, S) or per head (N, heads, L, S).
    Follows `torch.nn.functional.multi_head_attention_forward`.

    >>> import rushlight as rl
    >>> x, weight = rl.zeros(5, 1, 4), rl.zeros(12, 4)
    >>> result, _ = rl.nn.functional.multi_head_attention_forward(
    ... x, x, x, 4, 2, weight, None, None, None, False, 0.0, rl.eye(4), None
    ... )
    >>> result.shape
    torch.Size([5, 1, 4])
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = _unsqueezed(query, key, value)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    targets, batch, width = query.shape
    _check_widths(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    _check_hint(is_causal, attn_mask)
    # The hint replaces the mask where nothing else needs it.
    is_causal = is_causal and key_padding_mask is None and not need_weights
    sizes = (batch, num_heads, targets, key.shape[0])
    mask = _merged_mask(None if is_causal else attn_mask, key_padding_mask, sizes, query.dtype)
    separate = (q_proj_weight, k_proj_weight, v_proj_weight)
    weights = separate if use_separate_proj_weight else in_proj_weight
    q, k, v = _project(query, key, value, weights, in_proj_bias)
    q = _split_heads(q, batch, num_heads)
    k = _rows_seen(k, bias_k, static_k, add_zero_attn, (batch, num_heads))
    v = _rows_seen(v, bias_v, static_v, add_zero_attn, (batch, num_heads))
    attend = _explicit_attention if need_weights else _implicit_attention
    output, attention = attend(q, k, v, _widened(mask, k), dropout_p * training, is_causal)
    output = output.permute(2, 0, 1, 3).reshape(targets, batch, width)
    output = _ops.linear(output, out_proj_weight, out_proj_bias)
    if attention is not None and average_attn_weights:
        attention = attention.mean(dim=1)
    return (output, attention) if batched else _squeezed(output, attention)


def _unsqueezed(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All three with a batch dimension; what was one tensor stays one."""
    new_query = query.unsqueeze(1)
    new_key = new_query if key is query else key.unsqueeze(1)
    return new_query, new_key, new_key if value is key else value.unsqueeze(1)


def _squeezed(output: Tensor, attention: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Both results without their batch dimension."""
    return output.squeeze(1), None if attention is None else attention.squeeze(0)


def _check_hint(is_causal: bool, attn_mask: Tensor | None) -> None:
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )


def _widened(mask: Tensor | None, keys: Tensor) -> Tensor | None:
    """`mask` with columns for the rows that were added to the keys: they are always visible."""
    if mask is None or mask.size(-1) == keys.size(2):
        return mask
    return _ops.constant_pad_nd(mask, (0, keys.size(2) - mask.size(-1)))


def _check_widths(
    query: Tensor, key: Tensor, value: Tensor, embed_dim: int, num_heads: int, separate: bool
) -> None:
    width = query.shape[-1]
    if width != embed_dim:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim}, but got {width}")
    if width % num_heads:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")
    if separate and key.shape[:2] != value.shape[:2]:
        raise AssertionError(
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
        )
    if not separate and key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")


def _merged_mask(
    attn_mask: Tensor | None,
    key_padding_mask: Tensor | None,
    sizes: tuple[int, int, int, int],
    dtype: Any,
) -> Tensor | None:
    """Both masks added, as (1 or batch, 1 or heads, 1 or targets, sources)."""
    batch, heads, targets, sources = sizes
    other = None if attn_mask is None else attn_mask.dtype
    padding = canonical_mask(key_padding_mask, "key_padding_mask", other, "attn_mask", dtype)
    mask = canonical_mask(attn_mask, "attn_mask", None, "", dtype, check_other=False)
    if mask is not None:
        mask = _attention_mask(mask, (batch * heads, targets, sources))
        whole = mask.size(0) == batch * heads and mask.size(0) != 1
        mask = mask.unflatten(0, (batch, heads)) if whole else mask.unsqueeze(0)
    if padding is None:
        return mask
    if tuple(padding.shape) != (batch, sources):
        raise AssertionError(
            f"expected key_padding_mask of shape {(batch, sources)}, got {tuple(padding.shape)}"
        )
    padding = padding.reshape(batch, 1, 1, sources)
    return padding if mask is None else mask + padding


def _rows_seen(
    rows: Tensor,
    bias: Tensor | None,
    static: Tensor | None,
    zero: bool,
    sizes: tuple[int, int],
) -> Tensor:
    """Keys or values per head, with the learned row and the row of zeros at the end."""
    if bias is not None:
        rows = rushlight.cat([rows, bias.repeat(1, sizes[0], 1)])
    rows = _split_heads(rows, *sizes) if static is None else static.unflatten(0, sizes)
    return _ops.constant_pad_nd(rows, (0, 0, 0, 1)) if zero else rows


def _split_heads(rows: Tensor, batch: int, heads: int) -> Tensor:
    """(T, N, E) -> (N, heads, T, E / heads)."""
    return rows.reshape(rows.size(0), batch, heads, -1).permute(1, 2, 0, 3)


def _implicit_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float, is_causal: bool
) -> tuple[Tensor, None]:
    """(result, None): the weights are never written to memory."""
    return scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal), None


def _explicit_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float, is_causal: bool
) -> tuple[Tensor, Tensor]:
    """(result, weights), for callers that want to see the weights."""
    scores = rushlight.matmul(q * math.sqrt(1.0 / q.size(-1)), k.transpose(-2, -1))
    if mask is not None:
        scores = scores + mask
    weights = _ops.softmax(scores, -1)
    if dropout_p > 0.0:
        weights = _ops.dropout(weights, dropout_p, True)
    return rushlight.matmul(weights, v), weights
