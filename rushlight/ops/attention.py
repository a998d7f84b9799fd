"""Attention: softmax(Q K^T * scale + mask) V.

In: query (..., L, E), key (..., S, E), value (..., S, V), leading dimensions broadcasting. Out:
(..., L, V), and for the gradient the logarithm of each query's sum of powers. Invariants: scores
and their softmax are float32 for float16 and bfloat16; a query that sees nothing gets zeros; the
gradient works the weights out again, in one step from scores and logarithms, so that nothing of
size L x S outlives its layer (Dao et al., arXiv 2205.14135); of a causal triangle only blocks that
hold something seen are computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.layout import Layout, contiguous_strides, ordered_strides
from ..graph import build as b
from ..graph.node import Node
from . import grad_names
from .common import opmath_dtype
from .core import cat, restride, slice_backward, sum_to
from .dropout import apply_dropout
from .matmul import contract_labels, matmul_equation, product_gradient, require_one_dtype, terms
from .registry import Scalar, Value, op
from .signature import strides_of_first

BLOCK = 64  # queries that a block of a causal triangle has at least
MOST_BLOCKS = 4  # 4 do 5/8 of the square, 8 would do 9/16 in twice as many kernels
KEPT = 4  # scores of so many keys for each feature are as large as query, key, value and result


def _blocks(queries: int, keys: int, parted: bool) -> list[tuple[int, int, int]]:
    """(first query, number of queries, number of keys that they see) for each block."""
    parts = min(MOST_BLOCKS, queries // BLOCK) if parted else 1
    if parts < 2:
        return [(0, queries, keys)]
    size = -(-queries // parts)
    starts = range(0, queries, size)
    return [
        (first, min(size, queries - first), min(keys, first + size, queries)) for first in starts
    ]


def _scores_equation(query: tuple[int, ...], key: tuple[int, ...]) -> str:
    """The equation of Q K^T: labels ...i and ...j."""
    left, right, out = terms(matmul_equation(tuple(query), (*key[:-2], key[-1], key[-2])))
    return f"{left},{right[:-2]}{right[-1]}{right[-2]}->{out}"


def _scores(
    query: Node,
    key: Node,
    mask: Node | None,
    scale: Node,
    is_causal: bool,
    first: int,
    again: bool = False,
) -> Node:
    """Q K^T * scale + mask, -inf for what is not seen; `first` counts the queries before these.

    `again`: once more for the gradient. Where scores outweigh queries and keys their product is
    then written the other way round, since an equal node would be kept from the first time.
    """
    wide = opmath_dtype(query.dtype)
    equation = _scores_equation(query.shape, key.shape)
    if again and key.shape[-2] > KEPT * key.shape[-1]:
        left, right, out = terms(equation)
        scores = contract_labels(key, query, f"{right},{left}->{out}", wide)
    else:
        scores = contract_labels(query, key, equation, wide)
    scores = b.mul(scores, b.cast(scale, wide))
    if is_causal:
        row, column = (b.iota(scores.shape, d) for d in (scores.ndim - 2, scores.ndim - 1))
        seen = b.binary("ge", b.add(row, first) if first else row, column)
        scores = b.where(seen, scores, b.const(float("-inf"), wide))
    if mask is not None and mask.dtype is dtypes.bool_:
        scores = b.where(mask, scores, b.const(float("-inf"), wide))
    elif mask is not None:
        scores = b.add(scores, b.cast(mask, wide))
    return scores


@op("", grad_name="SafeSoftmaxBackward0")
def attention_weights(
    query: Value,
    key: Value,
    attn_mask: Value | None,
    logsum: Value,
    scale: Scalar,
    is_causal: bool,
    first: int = 0,
) -> Value:
    """exp(Q K^T * scale + mask - logsum), (..., L, S), in the dtype of the query."""
    scores = _scores(query, key, attn_mask, scale, is_causal, first, True)
    return b.cast(b.elementwise("exp", b.binary("sub", scores, logsum)), query.dtype)


def _towards_scores(gs: Any, query: Any, key: Any, scale: float) -> tuple:
    """The gradients of query and key from that of the scores."""
    left, right, out = terms(_scores_equation(query.shape, key.shape))
    scaled = (gs * scale).to(query.dtype)
    return (
        product_gradient(scaled, key, left, right, out, query.shape),
        product_gradient(scaled, query, right, left, out, key.shape),
    )


def _towards_mask(gs: Any, mask: Any) -> Any:
    return gs if mask is not None and mask.dtype.is_floating_point else None


@attention_weights.vjp("query", "key", "attn_mask", "logsum")
def _(g, out, query, key, attn_mask, logsum_layout, scale):  # type: ignore[no-untyped-def]
    gs = g * out
    return (
        *_towards_scores(gs, query, key, scale),
        _towards_mask(gs, attn_mask),
        -sum_to(gs, logsum_layout.shape),
    )


def _strides(shape: tuple[int, ...], operands: list[Layout]) -> tuple[int, ...]:
    """As the query lies, where PyTorch has a kernel for it all; row-major where it has not:
    broadcasting, dropout, rows that are not contiguous.
    """
    query, key, value = operands[:3]
    equal = query.shape == shape and key.shape[:-2] == value.shape[:-2] == shape[:-2]
    dropped = any(x.dtype is dtypes.bool_ and x.shape[:-2] == shape[:-2] for x in operands[3:])
    if len(shape) != 4 or not equal or dropped or query.strides[-1] != 1:
        return contiguous_strides(shape)
    return strides_of_first(shape, operands)


@op("", grad_name=grad_names.attention, strides=(_strides, None))
def attention(
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None,
    kept: Value | None,
    keep: Scalar,
    scale: Scalar,
    is_causal: bool,
) -> tuple[Value, Value]:
    """softmax(Q K^T * scale + mask) V; weights where `kept` (a dropout mask) is unset count
    nothing, the rest 1 / keep. Then, (..., L, 1), log(sum(exp(scores))) of each query.
    """
    require_one_dtype("scaled_dot_product_attention", query, key)
    require_one_dtype("scaled_dot_product_attention", query, value)
    made = []
    parted = is_causal and attn_mask is None
    for first, queries, keys in _blocks(query.shape[-2], key.shape[-2], parted):
        q = b.narrow(query, -2, first, queries)
        k, v = (b.narrow(x, -2, 0, keys) for x in (key, value))
        scores = _scores(q, k, attn_mask, scale, is_causal, first)
        if kept is None:
            made.append(_weighted(scores, v, None, keep))
        else:
            here = b.narrow(b.narrow(kept, -2, first, queries), -1, 0, keys)
            made.append(_weighted(scores, v, here, keep))
    return b.concat([x for x, _ in made], -2 % made[0][0].ndim), b.concat(
        [x for _, x in made], -2 % made[0][1].ndim
    )


def _weighted(scores: Node, value: Node, kept: Node | None, keep: Node) -> tuple[Node, Node]:
    """softmax(scores) V, divided after the product (there is less to divide); log(sum(exp))."""
    wide = scores.dtype
    zero, one = b.const(0.0, wide), b.const(1.0, wide)
    equation = matmul_equation(scores.shape, tuple(value.shape))
    if not scores.numel:
        nothing = contract_labels(scores, b.cast(value, wide), equation)
        return b.cast(nothing, value.dtype), b.expand(zero, (*scores.shape[:-1], 1))
    largest = b.reduce("max", scores, -1, True)
    seen = b.logical_not(b.binary("eq", largest, b.const(float("-inf"), wide)))
    largest = b.where(seen, largest, zero)
    powers = b.elementwise("exp", b.binary("sub", scores, largest))
    total = b.where(seen, b.reduce("sum", powers, -1, True), one)
    weights = b.cast(powers, value.dtype)
    if kept is not None:
        weights = apply_dropout(weights, kept, keep)
    mixed = b.div(contract_labels(weights, value, equation, wide), total)
    return b.cast(mixed, value.dtype), b.add(largest, b.elementwise("log", total))


@attention.vjp("query", "key", "value", "attn_mask")
def _(g0, grads, out0, out1, query, key, value, attn_mask, kept, keep, scale, is_causal):  # type: ignore[no-untyped-def]
    """With weights P = exp(scores - log-sum), D = sum(g out): scores get P (g V^T - D)."""
    # of the same sums over the queries' values, the part that normalising takes back
    back = sum_to((g0 * out0).to(out1.dtype).sum(-1, True), out1.shape)
    if grads[1] is not None:
        back = back - grads[1]
    made = []
    parted = is_causal and attn_mask is None
    blocks = _blocks(query.shape[-2], key.shape[-2], parted)
    for first, queries, keys in blocks:
        q, g, logsum, rest = (x.narrow(-2, first, queries) for x in (query, g0, out1, back))
        k, v = key.narrow(-2, 0, keys), value.narrow(-2, 0, keys)
        here = None if kept is None else kept.narrow(-2, first, queries).narrow(-1, 0, keys)
        weights = attention_weights(q, k, attn_mask, logsum, scale, is_causal, first)
        dropped = weights if here is None else apply_dropout(weights, here, keep)
        left, right, out = terms(matmul_equation(weights.shape, v.shape))
        to_value = product_gradient(g, dropped, right, left, out, v.shape)
        to_weights = product_gradient(g, v, left, right, out, weights.shape)
        if here is not None:
            to_weights = apply_dropout(to_weights, here, keep)
        gs = weights * (to_weights - rest)
        made.append((*_towards_scores(gs, q, k, scale), to_value, gs))
    if len(made) == 1:
        *to_inputs, gs = made[0]
        to_mask = _towards_mask(gs, attn_mask)
    else:
        to_query = cat([x[0] for x in made], -2)
        to_inputs = [to_query, _stacked(made, 1, key.shape), _stacked(made, 2, value.shape)]
        to_mask = None
    if grad_names.fuses_attention(query, key, value, attn_mask, kept):
        to_inputs = [_laid(x, (0, 2, 1, 3)) for x in to_inputs]
    else:  # K^T is what PyTorch multiplies with there, and what gets the gradient
        leading = range(key.ndim - 2)
        to_inputs[1] = _laid(to_inputs[1], (*leading, key.ndim - 1, key.ndim - 2))
    return *to_inputs, to_mask


def _laid(x: Any, order: tuple[int, ...]) -> Any:
    """As PyTorch lays a gradient out: heads within rows, as they are before they are parted."""
    return restride(x, ordered_strides(x.shape, order))


def _stacked(made: list[tuple], place: int, shape: tuple[int, ...]) -> Any:
    """The sum of gradients of the first keys, each for as many keys as its block saw."""
    total = None
    for parts in reversed(made):
        x = parts[place]
        if x.shape[-2] < shape[-2]:
            x = slice_backward(x, tuple(shape), (0,) * x.ndim, (1,) * x.ndim)
        total = x if total is None else total + x
    return total


# --- references ---------------------------------------------------------------------------------


def _numpy_scores(
    q: np.ndarray,
    k: np.ndarray,
    mask: np.ndarray | None,
    scale: float,
    is_causal: bool,
    first: int = 0,
) -> np.ndarray:
    scores = q @ np.swapaxes(k, -1, -2) * scale
    if is_causal:
        scores = np.where(np.tri(*scores.shape[-2:], first) > 0, scores, -np.inf)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    return scores


def _numpy_weights(
    q: Any, k: Any, mask: Any, logsum: Any, scale: float, is_causal: bool, first: int = 0
) -> np.ndarray:
    return np.exp(_numpy_scores(q, k, mask, scale, is_causal, first) - logsum)


def _numpy_attention(
    q: Any, k: Any, v: Any, mask: Any, kept: Any, keep: float, scale: float, is_causal: bool
) -> tuple[np.ndarray, np.ndarray]:
    scores = _numpy_scores(q, k, mask, scale, is_causal)
    total = np.exp(scores).sum(-1, keepdims=True)
    total = np.where(total == 0, 1, total)
    weights = np.exp(scores) / total
    return (weights if kept is None else weights * kept / keep) @ v, np.log(total)


attention_weights.test(
    lambda make: [
        ((make(2, 3, 4), make(2, 5, 4), None, make(2, 3, 1), 0.5, False), {}),
        ((make(3, 4), make(3, 4), make(3, 3), make(3, 1), 0.7, True), {}),
        ((make(2, 4), make(5, 4), None, make(2, 1), 0.7, True, 2), {}),
        (
            (make(2, 3, 4), make(2, 5, 4), make(3, 5, dtype=bool), make(2, 3, 1), 0.5, False),
            {},
        ),
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
        ((make(131, 2), make(137, 2), make(137, 2), None, None, 1.0, 0.5, True), {}),
    ],
    _numpy_attention,
)
