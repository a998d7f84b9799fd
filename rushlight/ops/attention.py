"""Attention: softmax(Q K^T * scale + mask) V.

In: query (..., L, E), key (..., S, E), value (..., S, V), leading dimensions broadcasting. Out:
(..., L, V). Invariants: scores and their softmax are float32 for float16 and bfloat16; a query that
sees nothing gets zeros; the weights are worked out again for the gradient instead of being kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..graph import build as b
from ..graph.node import Node
from .common import opmath_dtype
from .dropout import apply_dropout
from .matmul import contract_labels, matmul_equation, product_gradient, require_one_dtype, terms
from .registry import Scalar, Value, op
from .softmax import softmax_backward


def _scores_equation(query: tuple[int, ...], key: tuple[int, ...]) -> str:
    """The equation of Q K^T: labels ...i and ...j."""
    left, right, out = terms(matmul_equation(tuple(query), (*key[:-2], key[-1], key[-2])))
    return f"{left},{right[:-2]}{right[-1]}{right[-2]}->{out}"


def _weights(query: Node, key: Node, mask: Node | None, scale: Node, is_causal: bool) -> Node:
    wide = opmath_dtype(query.dtype)
    scores = contract_labels(query, key, _scores_equation(query.shape, key.shape), wide)
    scores = b.mul(scores, b.cast(scale, wide))
    if is_causal:
        row, column = (b.iota(scores.shape, d) for d in (scores.ndim - 2, scores.ndim - 1))
        scores = b.where(b.binary("ge", row, column), scores, b.const(float("-inf"), wide))
    if mask is not None and mask.dtype is dtypes.bool_:
        scores = b.where(mask, scores, b.const(float("-inf"), wide))
    elif mask is not None:
        scores = b.add(scores, b.cast(mask, wide))
    if not scores.numel:
        return scores
    largest = b.reduce("max", scores, -1, True)
    seen = b.logical_not(b.binary("eq", largest, b.const(float("-inf"), wide)))
    powers = b.elementwise(
        "exp", b.binary("sub", scores, b.where(seen, largest, b.const(0.0, wide)))
    )
    total = b.reduce("sum", powers, -1, True)
    return b.div(powers, b.where(seen, total, b.const(1.0, wide)))


@op("", grad_name="SafeSoftmaxBackward0")
def attention_weights(
    query: Value, key: Value, attn_mask: Value | None, scale: Scalar, is_causal: bool
) -> Value:
    """softmax(Q K^T * scale + mask) over the keys, (..., L, S), in the dtype of the query."""
    return b.cast(_weights(query, key, attn_mask, scale, is_causal), query.dtype)


def _towards_scores(gs: Any, query: Any, key: Any, attn_mask: Any, scale: float) -> tuple:
    """The gradients of query, key and mask from that of the scores."""
    left, right, out = terms(_scores_equation(query.shape, key.shape))
    scaled = gs * scale
    to_mask = gs if attn_mask is not None and attn_mask.dtype.is_floating_point else None
    return (
        product_gradient(scaled, key, left, right, out, query.shape),
        product_gradient(scaled, query, right, left, out, key.shape),
        to_mask,
    )


@attention_weights.vjp("query", "key", "attn_mask")
def _(g, out, query, key, attn_mask, scale):  # type: ignore[no-untyped-def]
    return _towards_scores(softmax_backward(g, out, -1), query, key, attn_mask, scale)


@op("", grad_name="ScaledDotProductAttentionBackward0")
def attention(
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None,
    kept: Value | None,
    keep: Scalar,
    scale: Scalar,
    is_causal: bool,
) -> Value:
    """softmax(Q K^T * scale + mask) V; weights where `kept` (a dropout mask) is unset count
    nothing, the rest 1 / keep.
    """
    require_one_dtype("scaled_dot_product_attention", query, key)
    require_one_dtype("scaled_dot_product_attention", query, value)
    weights = b.cast(_weights(query, key, attn_mask, scale, is_causal), query.dtype)
    if kept is not None:
        weights = apply_dropout(weights, kept, keep)
    return contract_labels(weights, value, matmul_equation(weights.shape, tuple(value.shape)))


@attention.vjp("query", "key", "value", "attn_mask")
def _(g, query, key, value, attn_mask, kept, keep, scale, is_causal):  # type: ignore[no-untyped-def]
    weights = attention_weights(query, key, attn_mask, scale, is_causal)
    dropped = weights if kept is None else apply_dropout(weights, kept, keep)
    left, right, out = terms(matmul_equation(weights.shape, value.shape))
    to_value = product_gradient(g, dropped, right, left, out, value.shape)
    to_weights = product_gradient(g, value, left, right, out, weights.shape)
    if kept is not None:
        to_weights = apply_dropout(to_weights, kept, keep)
    to_query, to_key, to_mask = _towards_scores(
        softmax_backward(to_weights, weights, -1), query, key, attn_mask, scale
    )
    return to_query, to_key, to_value, to_mask


# --- references ---------------------------------------------------------------------------------


def _numpy_weights(
    q: np.ndarray, k: np.ndarray, mask: np.ndarray | None, scale: float, is_causal: bool
) -> np.ndarray:
    scores = q @ np.swapaxes(k, -1, -2) * scale
    if is_causal:
        scores = np.where(np.tri(*scores.shape[-2:]) > 0, scores, -np.inf)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    powers = np.exp(scores - np.maximum(scores.max(-1, keepdims=True), -1e30))
    return powers / np.maximum(powers.sum(-1, keepdims=True), 1e-300)


def _numpy_attention(
    q: Any, k: Any, v: Any, mask: Any, kept: Any, keep: float, scale: float, is_causal: bool
) -> np.ndarray:
    weights = _numpy_weights(q, k, mask, scale, is_causal)
    return (weights if kept is None else weights * kept / keep) @ v


attention_weights.test(
    lambda make: [
        ((make(2, 3, 4), make(2, 5, 4), None, 0.5, False), {}),
        ((make(3, 4), make(3, 4), make(3, 3), 0.7, True), {}),
        ((make(2, 3, 4), make(2, 5, 4), make(3, 5, dtype=bool), 0.5, False), {}),
    ],
    _numpy_weights,
)
attention.test(
    lambda make: [
        ((make(2, 3, 4), make(2, 5, 4), make(2, 5, 3), None, None, 1.0, 0.5, False), {}),
        (
            (
                make(2, 1, 3, 4),
                make(3, 5, 4),
                make(3, 5, 2),
                make(3, 5),
                make(2, 3, 3, 5, dtype=bool),
                0.7,
                0.5,
                False,
            ),
            {},
        ),
        ((make(3, 4), make(3, 4), make(3, 4), make(3, 3, dtype=bool), None, 1.0, 0.5, True), {}),
    ],
    _numpy_attention,
)
