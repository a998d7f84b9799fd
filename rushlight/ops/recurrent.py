"""The elementwise part of a recurrent cell's step, as one node instead of a dozen.

In: the gates before their activations, side by side along the last dimension, and the state. Out:
the new state. Invariant: gates are computed again in the backward pass, where they cost less than
the memory to keep them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import build as b
from ..graph.node import Node
from .activation import sigmoid
from .common import opmath
from .core import cat
from .elementary import tanh
from .registry import Value, op


def _parts(gates: Any, count: int) -> list[Node]:
    """The gates in the precision they are computed in."""
    width = gates.shape[-1] // count
    lengths = (*gates.shape[:-1], width)
    lead = (0,) * (gates.ndim - 1)
    return [opmath(b.slice_(gates, (*lead, k * width), lengths)) for k in range(count)]


@op("", grad_name="ThnnFusedLstmCellBackward0")
def lstm_gates(gates: Value, cell: Value) -> tuple[Value, Value]:
    """(o tanh(c'), c') with c' = f c + i n: i, f, o = sigmoid, n = tanh of the four gates.

    gates: (..., 4 H) in the order i, f, n, o; cell: (..., H). Hochreiter and Schmidhuber, Long
    short-term memory, 1997, as `torch.nn.LSTM` states it.
    """
    enter, forget, new, leave = _parts(gates, 4)
    following = sigmoid(forget) * opmath(cell) + sigmoid(enter) * tanh(new)
    hidden = sigmoid(leave) * tanh(following)
    return b.cast(hidden, gates.dtype), b.cast(following, cell.dtype)


@op("", grad_name="ThnnFusedLstmCellBackwardBackward0")
def lstm_gates_backward(
    to_hidden: Value | None, to_cell: Value | None, gates: Value, cell: Value
) -> tuple[Value, Value]:
    """The gradients of `lstm_gates` with respect to gates and cell."""
    enter, forget, new, leave = _parts(gates, 4)
    i, f, n, o, c = sigmoid(enter), sigmoid(forget), tanh(new), sigmoid(leave), opmath(cell)
    t = tanh(f * c + i * n)
    g = b.const(0, c.dtype) if to_cell is None else opmath(to_cell)
    out = b.expand(b.const(0, c.dtype), c.shape)
    if to_hidden is not None:
        h = opmath(to_hidden)
        g = g + h * o * (1 - t * t)
        out = h * t * (o * (1 - o))
    pieces = [g * n * (i * (1 - i)), g * c * (f * (1 - f)), g * i * (1 - n * n), out]
    made = b.concat([b.cast(piece, gates.dtype) for piece in pieces], gates.ndim - 1)
    return made, b.cast(g * f, cell.dtype)


@lstm_gates.vjp("gates", "cell")
def _(grads, gates, cell):  # type: ignore[no-untyped-def]
    return lstm_gates_backward(grads[0], grads[1], gates, cell)


@lstm_gates_backward.vjp("to_hidden", "to_cell", "gates", "cell")
def _(grads, to_hidden, to_cell, gates, cell):  # type: ignore[no-untyped-def]
    """By the chain rule over the statements of `lstm_gates_backward`; u is the gradient of g."""
    enter, forget, new, leave = gates.chunk(4, -1)
    i, f, n, o = sigmoid(enter), sigmoid(forget), tanh(new), sigmoid(leave)
    t = tanh(f * cell + i * n)
    di, df, dn, do = i * (1 - i), f * (1 - f), 1 - n * n, o * (1 - o)
    dt = 1 - t * t
    h = to_hidden if to_hidden is not None else t * 0
    g = h * o * dt if to_cell is None else to_cell + h * o * dt
    a, e, m, w = (t * 0,) * 4 if grads[0] is None else grads[0].chunk(4, -1)
    z = t * 0 if grads[1] is None else grads[1]
    u = a * n * di + e * cell * df + m * i * dn + z * f
    to_t = w * h * do - 2 * u * h * o * t
    to_c = to_t * dt
    to_gates = [
        di * (a * g * n * (1 - 2 * i) + m * g * dn + to_c * n),
        df * (e * g * cell * (1 - 2 * f) + z * g + to_c * cell),
        dn * (a * g * di - 2 * m * g * i * n + to_c * i),
        do * (w * h * t * (1 - 2 * o) + u * h * dt),
    ]
    return (
        u * o * dt + w * t * do,
        u,
        cat(to_gates, -1),
        e * g * df + to_c * f,
    )


def _squash(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _reference(gates: Any, cell: Any) -> Any:
    i, f, n, o = np.split(gates, 4, -1)
    following = _squash(f) * cell + _squash(i) * np.tanh(n)
    return _squash(o) * np.tanh(following), following


def _backward_reference(to_hidden: Any, to_cell: Any, gates: Any, cell: Any) -> Any:
    """The slope of the reference by a complex step, which cancels nothing: Im f(x + ih) / h."""
    step, slopes = 1e-30, []
    for k in range(5):
        parts = [part.astype(complex) for part in (*np.split(gates, 4, -1), cell)]
        parts[k] = parts[k] + 1j * step
        hidden, following = _reference(np.concatenate(parts[:4], -1), parts[4])
        slopes.append((hidden * to_hidden + following * to_cell).imag / step)
    return np.concatenate(slopes[:4], -1), slopes[4]


lstm_gates.test(lambda make: [((make(3, 8), make(3, 2)), {})], reference=_reference)
lstm_gates_backward.test(
    lambda make: [((make(3, 2), make(3, 2), make(3, 8), make(3, 2)), {})],
    reference=_backward_reference,
)
