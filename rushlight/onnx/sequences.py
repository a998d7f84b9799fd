"""What ONNX's recurrent operators mean: LSTM, GRU and RNN.

In: sequences (time, batch, features) and the operator's weights, whose gates stand in ONNX's order.
Out: all states (time, directions, batch, hidden), and the last ones. Invariant: rushlight's own
recurrent functions do the work, on the gates in their order; anything that these cannot do (other
activations, peepholes, clipping, lengths) is refused by its name.
"""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight import Tensor

from .operators import Attributes, Operation

__all__ = ["SEQUENCES"]

# Where each of PyTorch's gates stands among ONNX's: i o f c and z r h.
_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
_PLAIN = {
    "LSTM": [["Sigmoid", "Tanh", "Tanh"]],
    "GRU": [["Sigmoid", "Tanh"]],
    "RNN": [["Tanh"], ["Relu"]],
}


def _reordered(kind: str, weights: Tensor) -> Tensor:
    """The rows of the gates in PyTorch's order."""
    gates = _GATES[kind]
    parts = weights.chunk(len(gates), 0)
    return rushlight.cat([parts[gate] for gate in gates], 0)


def _function(kind: str, a: Attributes, directions: int) -> Any:
    """Which of rushlight's functions an operator is. Errors: NotImplementedError for none."""
    given = a.get("activations") or _PLAIN[kind][0] * directions
    names = [name.decode() if isinstance(name, bytes) else name for name in given]
    chosen = next((plain for plain in _PLAIN[kind] if names == plain * directions), None)
    if chosen is None or a.get("clip") or a.get("input_forget") or a.get("layout"):
        raise NotImplementedError(f"{kind} with other activations, clipping or layout")
    if kind == "GRU" and not a.get("linear_before_reset", 0):
        raise NotImplementedError("GRU with linear_before_reset 0")
    if kind == "RNN":
        return rushlight.rnn_tanh if chosen == ["Tanh"] else rushlight.rnn_relu
    return rushlight.lstm if kind == "LSTM" else rushlight.gru


def _recurrent(kind: str) -> Operation:
    def operation(
        a: Attributes,
        x: Tensor,
        weights: Tensor,
        recurrences: Tensor,
        biases: Tensor | None = None,
        lengths: Tensor | None = None,
        hidden: Tensor | None = None,
        cells: Tensor | None = None,
        peepholes: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        directions, hidden_size = weights.shape[0], recurrences.shape[-1]
        function = _function(kind, a, directions)
        if peepholes is not None or (lengths is not None and lengths.min().item() < x.shape[0]):
            raise NotImplementedError(f"{kind} with peepholes, or sequences of different lengths")
        flat: list[Tensor] = []
        for k in range(directions):
            flat += [_reordered(kind, weights[k]), _reordered(kind, recurrences[k])]
            if biases is not None:
                flat += [_reordered(kind, part) for part in biases[k].chunk(2, 0)]
        zeros = x.new_zeros(directions, x.shape[1], hidden_size)
        start = zeros if hidden is None else hidden
        state: Any = (start, zeros if cells is None else cells) if kind == "LSTM" else start
        backward = a.get("direction", "forward") == "reverse"
        source = x.flip(0) if backward else x
        made, *last = function(
            source, state, flat, biases is not None, 1, 0.0, False, directions == 2, False
        )
        made = made.flip(0) if backward else made
        apart = made.reshape(*made.shape[:2], directions, hidden_size).transpose(1, 2)
        return (apart, *last)

    return operation


SEQUENCES: dict[str, Operation] = {kind: _recurrent(kind) for kind in _GATES}
