"""Looking up rows of a table, and the gradient of the table.

In: a table (rows, width) and integer indices of any shape. Out: (*indices, width). Invariants: an
index outside [0, rows) is an IndexError when the program runs; the table's gradient is summed in
the order of the indices.
"""

from __future__ import annotations

import numpy as np

from ..base import dtype as dtypes
from ..graph import build as b
from ..graph.node import Node
from .common import TYPE_NAMES, opmath
from .registry import Value, op


def _places(indices: Node, rows: int, width: int) -> Node:
    """The flat place in (rows, width) of every element that is looked up; negative indices lie
    outside.
    """
    index = b.cast(indices, dtypes.int64)
    index = b.where(index < 0, b.const(rows, dtypes.int64), index)
    index = b.reshape(index, (*indices.shape, 1))
    column = b.iota((*(1,) * indices.ndim, width), indices.ndim)
    return b.add(b.mul(index, b.const(width, dtypes.int64)), column)


def _factor(
    indices: Node, rows: int, padding_idx: int, scale_grad_by_freq: bool, like: Node
) -> Node | None:
    """What a looked-up row's gradient counts: nothing for the padding row, less for a frequent
    one.
    """
    factor: Node | None = None
    if scale_grad_by_freq:
        index = b.cast(indices, dtypes.int64)
        counts = b.scatter(
            b.expand(b.const(0, like.dtype), (rows,)), index, b.const(1, like.dtype), "sum"
        )
        factor = b.div(b.const(1.0, like.dtype), b.gather(counts, index))
    if padding_idx >= 0:
        kept = b.cast(
            b.logical_not(b.binary("eq", indices, b.const(padding_idx, indices.dtype))), like.dtype
        )
        factor = kept if factor is None else b.mul(factor, kept)
    return None if factor is None else b.reshape(factor, (*indices.shape, 1))


def _check(weight: Node, indices: Node) -> None:
    if weight.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, but it has shape {list(weight.shape)}")
    if indices.dtype not in (dtypes.int32, dtypes.int64):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            "Long, Int; but got "
            f"{TYPE_NAMES[indices.dtype.name]}Tensor instead (while checking arguments for "
            "embedding)"
        )


@op("torch", grad_name="EmbeddingBackward0")
def embedding(
    weight: Value,
    indices: Value,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Value:
    """weight[indices]: row by row.

    Shapes: weight (rows, width), indices (*) of int32 or int64, result (*, width). The row
    `padding_idx` (-1: none) gets no gradient; with scale_grad_by_freq a row's gradient is divided
    by how often it was looked up; gradients are dense whatever `sparse` says. Errors: RuntimeError
    for ranks and dtypes, IndexError for an index outside the table. Follows `torch.embedding`.

    >>> import rushlight as rl
    >>> rl.embedding(rl.tensor([[1., 2.], [3., 4.]]), rl.tensor([1, 0, 1]))
    tensor([[3., 4.],
            [1., 2.],
            [3., 4.]])
    """
    _check(weight, indices)
    return b.gather(weight, _places(indices, *weight.shape))


@op("", grad_name="EmbeddingDenseBackward0")
def embedding_dense_backward(
    grad: Value, indices: Value, rows: int, padding_idx: int, scale_grad_by_freq: bool
) -> Value:
    """The gradient of the table: every row of grad added to the row it was looked up from."""
    wide = opmath(grad)
    factor = _factor(indices, rows, padding_idx, scale_grad_by_freq, wide)
    wide = wide if factor is None else b.mul(wide, factor)
    width = grad.shape[-1]
    table = b.expand(b.const(0, wide.dtype), (rows, width))
    places = _places(indices, rows, width)
    return b.cast(b.scatter(table, places, wide, "sum", (indices.ndim,)), grad.dtype)


@op("", grad_name="EmbeddingBackward0")
def embedding_forward(
    tangent: Value, indices: Value, padding_idx: int, scale_grad_by_freq: bool
) -> Value:
    """The rows of tangent at the indices, weighted as `embedding_dense_backward` weighs them."""
    found = b.gather(tangent, _places(indices, *tangent.shape))
    factor = _factor(indices, tangent.shape[0], padding_idx, scale_grad_by_freq, found)
    return found if factor is None else b.mul(found, factor)


@embedding.vjp("weight")
def _(g, weight_layout, indices, padding_idx, scale_grad_by_freq):  # type: ignore[no-untyped-def]
    return embedding_dense_backward(
        g, indices, weight_layout.shape[0], padding_idx, scale_grad_by_freq
    )


@embedding_dense_backward.vjp("grad")
def _(g, indices, padding_idx, scale_grad_by_freq):  # type: ignore[no-untyped-def]
    return embedding_forward(g, indices, padding_idx, scale_grad_by_freq)


@embedding_forward.vjp("tangent")
def _(g, tangent_layout, indices, padding_idx, scale_grad_by_freq):  # type: ignore[no-untyped-def]
    return embedding_dense_backward(
        g, indices, tangent_layout.shape[0], padding_idx, scale_grad_by_freq
    )


def _numpy_weights(indices: np.ndarray, padding_idx: int, scale: bool) -> np.ndarray:
    counts = np.array([(indices == i).sum() for i in indices.reshape(-1)]).reshape(indices.shape)
    return np.where(indices == padding_idx, 0.0, 1.0) / (counts if scale else 1)


def _numpy_backward(
    g: np.ndarray, indices: np.ndarray, rows: int, padding_idx: int, scale: bool
) -> np.ndarray:
    made = np.zeros((rows, g.shape[-1]))
    np.add.at(made, indices, g * _numpy_weights(indices, padding_idx, scale)[..., None])
    return made


embedding.test(
    lambda make: [
        ((make(5, 3), make(2, 4, dtype="int64", low=0, high=5)), {}),
        ((make(5, 3), make(dtype="int64", low=0, high=5)), {}),
    ],
    lambda weight, indices, *_: weight[indices],
)
embedding_dense_backward.test(
    lambda make: [((make(2, 4, 3), make(2, 4, dtype="int64", low=0, high=5), 5, 1, True), {})],
    _numpy_backward,
)
embedding_forward.test(
    lambda make: [((make(5, 3), make(2, 4, dtype="int64", low=0, high=5), 1, True), {})],
    lambda t, indices, padding_idx, scale: (
        t[indices] * _numpy_weights(indices, padding_idx, scale)[..., None]
    ),
)
