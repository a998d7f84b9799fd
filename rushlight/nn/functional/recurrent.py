"""Recurrent networks as functions: `torch.lstm`, `torch.gru`, `torch.rnn_tanh`, their cells.

In: packed steps (all rows of step 0, then of step 1, ...), the initial state, the weights of each
layer and direction. Out: the outputs of the last layer, packed alike, and the final state.
Invariant: there is one loop over time, `run`; the functions here and the layers of
`rushlight.nn.recurrent` bring their inputs into its form. A step's state has as many rows as
sequences are still running.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import rushlight
from rushlight import Tensor
from rushlight.ops import namespace as _ops

from .dropout import dropout as _dropout
from .linear import linear

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State, Tensor, Tensor | None], State]


class Mode(NamedTuple):
    """A kind of recurrence: rows of a weight per hidden feature, tensors of a state, one step."""

    gates: int
    states: int
    step: Step


class Weights(NamedTuple):
    """The parameters of one layer in one direction, in PyTorch's order."""

    input: Tensor
    hidden: Tensor
    input_bias: Tensor | None = None
    hidden_bias: Tensor | None = None
    projection: Tensor | None = None


def _elman_step(activate: Callable[[Tensor], Tensor]) -> Step:
    def step(projected: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
        """h' = activate(W x + b + V h + c), W x + b given as `projected`."""
        return (activate(projected + linear(state[0], weight, bias)),)

    return step


def _lstm_step(projected: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """c' = f c + i g, h' = o tanh(c'), with i, f, o = sigmoid and g = tanh of the four gates."""
    hidden, cell = state
    return _ops.lstm_gates(projected + linear(hidden, weight, bias), cell)


def _gru_step(projected: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """h' = n + z (h - n), n = tanh(x_n + r h_n), with r, z = sigmoid of the first two gates."""
    (hidden,) = state
    reset_x, update_x, new_x = projected.chunk(3, -1)
    reset_h, update_h, new_h = linear(hidden, weight, bias).chunk(3, -1)
    reset = (reset_x + reset_h).sigmoid()
    update = (update_x + update_h).sigmoid()
    new = (new_x + reset * new_h).tanh()
    return (new + update * (hidden - new),)


MODES: dict[str, Mode] = {
    "RNN_TANH": Mode(1, 1, _elman_step(rushlight.tanh)),
    "RNN_RELU": Mode(1, 1, _elman_step(rushlight.relu)),
    "LSTM": Mode(4, 2, _lstm_step),
    "GRU": Mode(3, 1, _gru_step),
}


def run(
    mode: str,
    data: Tensor,
    counts: list[int],
    first: State,
    layers: Sequence[Weights],
    directions: int,
    dropout: float = 0.0,
) -> tuple[Tensor, State]:
    """All layers over packed steps.

    `counts` is the number of rows of each step, `first` holds tensors (layers * directions, N,
    width), `layers` the weights in the same order; between layers elements are dropped with
    probability `dropout`.
    """
    finals: list[State] = []
    for start in range(0, len(layers), directions):
        if start and dropout:
            data = _dropout(data, dropout, True)
        outputs = []
        for place in range(start, start + directions):
            state = tuple(tensor[place] for tensor in first)
            output, final = _direction(mode, data, counts, state, layers[place], place > start)
            outputs.append(output)
            finals.append(final)
        data = outputs[0] if directions == 1 else rushlight.cat(outputs, -1)
    return data, tuple(rushlight.stack(states) for states in zip(*finals, strict=True))


def _direction(
    mode: str, data: Tensor, counts: list[int], first: State, weights: Weights, backwards: bool
) -> tuple[Tensor, State]:
    """One layer in one direction: (output of every packed row, final state)."""
    step = MODES[mode].step
    projected = linear(data, weights.input, weights.input_bias)
    pieces = list(projected.split(counts))
    state = tuple(tensor[: counts[-1] if backwards else counts[0]] for tensor in first)
    outputs: list[Tensor] = []
    finished: list[State] = []
    for piece in reversed(pieces) if backwards else pieces:
        rows, running = piece.size(0), state[0].size(0)
        if rows > running:  # walking backwards, longer sequences come in
            state = tuple(
                rushlight.cat([old, new[running:rows]])
                for old, new in zip(state, first, strict=True)
            )
        elif rows < running:  # walking forwards, the shortest sequences end
            finished.append(tuple(tensor[rows:] for tensor in state))
            state = tuple(tensor[:rows] for tensor in state)
        state = step(piece, state, weights.hidden, weights.hidden_bias)
        if weights.projection is not None:
            state = (linear(state[0], weights.projection), *state[1:])
        outputs.append(state[0])
    if finished:
        ends = [state, *reversed(finished)]
        state = tuple(rushlight.cat(parts) for parts in zip(*ends, strict=True))
    return rushlight.cat(outputs[::-1] if backwards else outputs), state


def run_cell(mode: str, rows: Tensor, state: State, weights: Weights) -> State:
    """One step of rows (N, input) from a state of tensors (N, hidden)."""
    projected = linear(rows, weights.input, weights.input_bias)
    return MODES[mode].step(projected, state, weights.hidden, weights.hidden_bias)


def _layers(
    name: str, mode: str, params: Sequence[Tensor], has_biases: bool, count: int
) -> list[Weights]:
    """The flat list of parameters as one entry a layer and direction; RuntimeError where the
    number of parameters does not fit.
    """
    plain = 4 if has_biases else 2
    allowed = (plain, plain + 1) if mode == "LSTM" else (plain,)
    each, rest = divmod(len(params), count)
    if rest or each not in allowed:
        raise RuntimeError(
            f"{name}: {count} layers times directions with has_biases={has_biases} take "
            f"{' or '.join(str(count * size) for size in allowed)} parameters, but got "
            f"{len(params)}"
        )
    groups = [params[start : start + each] for start in range(0, len(params), each)]
    if each == plain:
        return [Weights(*group) for group in groups]
    return [Weights(*group[:-1], projection=group[-1]) for group in groups]  # type: ignore[misc]


def _checked_state(name: str, mode: str, hx: Any, count: int, batch: int) -> State:
    """The initial state as a tuple; RuntimeError where it does not fit the input."""
    if mode == "LSTM":
        if isinstance(hx, Tensor) or len(hx) != 2:
            raise RuntimeError(f"{name} expects two hidden states")
        states = tuple(hx)
    else:
        if not isinstance(hx, Tensor):
            raise TypeError(f"{name}(): argument 'hx' must be Tensor, not {type(hx).__name__}")
        states = (hx,)
    for state in states:
        if state.dim() != 3 or tuple(state.shape[:2]) != (count, batch):
            raise RuntimeError(
                f"{name}: Expected hidden size ({count}, {batch}, hidden), got {list(state.shape)}"
            )
    return states


def _sequence(name: str, mode: str) -> Callable[..., State]:
    """torch.<name>, of a padded batch or, with `batch_sizes`, of packed steps."""

    def padded(
        input: Tensor,
        hx: Any,
        params: Sequence[Tensor],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> State:
        if input.dim() != 3:
            raise RuntimeError(f"{name}: input must have 3 dimensions, got {input.dim()}")
        steps = input.transpose(0, 1) if batch_first else input
        length, batch = steps.shape[:2]
        directions = 2 if bidirectional else 1
        layers = _layers(name, mode, params, has_biases, num_layers * directions)
        first = _checked_state(name, mode, hx, len(layers), batch)
        chance = dropout if train else 0.0
        rows = steps.flatten(0, 1)
        output, final = run(mode, rows, [batch] * length, first, layers, directions, chance)
        output = output.unflatten(0, (length, batch))
        return (output.transpose(0, 1) if batch_first else output, *final)

    def packed(
        data: Tensor,
        batch_sizes: Tensor,
        hx: Any,
        params: Sequence[Tensor],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
    ) -> State:
        counts = batch_sizes.tolist()
        directions = 2 if bidirectional else 1
        layers = _layers(name, mode, params, has_biases, num_layers * directions)
        first = _checked_state(name, mode, hx, len(layers), counts[0])
        chance = dropout if train else 0.0
        output, final = run(mode, data, counts, first, layers, directions, chance)
        return (output, *final)

    def function(*args: Any, **kwargs: Any) -> State:
        # Packed steps have the parameters one place later: behind the sizes and the state.
        lists = "batch_sizes" in kwargs or (len(args) > 3 and isinstance(args[3], (list, tuple)))
        return (packed if lists else padded)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"A recurrent network of kind {mode} from a flat list of parameters.\n\n"
        f"    {name}(input, hx, params, has_biases, num_layers, dropout, train, bidirectional,"
        " batch_first)\n"
        f"    {name}(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train,"
        " bidirectional)\n\n"
        "    Returns the outputs and the final state (two tensors for an LSTM). Follows\n"
        f"    `torch.{name}`; `nn.{mode[:3] if mode[0] == 'R' else mode}` runs the same loop.\n"
    )
    return function


lstm = _sequence("lstm", "LSTM")
gru = _sequence("gru", "GRU")
rnn_tanh = _sequence("rnn_tanh", "RNN_TANH")
rnn_relu = _sequence("rnn_relu", "RNN_RELU")


def _check_cell(name: str, mode: str, rows: Tensor, state: State, weights: Weights) -> None:
    """RuntimeError where rows, state and weights of one step do not fit."""
    hidden = weights.hidden.size(1)
    if rows.size(-1) != weights.input.size(1):
        raise RuntimeError(
            f"{name}: input has inconsistent input_size: got {rows.size(-1)}, expected "
            f"{weights.input.size(1)}"
        )
    if weights.input.size(0) != MODES[mode].gates * hidden:
        raise RuntimeError(
            f"{name}: weights of {MODES[mode].gates} gates with hidden_size {hidden} have "
            f"{MODES[mode].gates * hidden} rows, but got {weights.input.size(0)}"
        )
    for tensor in state:
        if tensor.shape != (*rows.shape[:-1], hidden):
            raise RuntimeError(
                f"{name}: hidden has inconsistent hidden_size: got {tuple(tensor.shape)}, "
                f"expected {(*rows.shape[:-1], hidden)}"
            )


def _one_step(
    name: str, mode: str, input: Tensor, state: State, w_ih: Tensor, w_hh: Tensor, *biases: Any
) -> State:
    weights = Weights(w_ih, w_hh, *biases)
    _check_cell(name, mode, input, state, weights)
    return run_cell(mode, input, state, weights)


def lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM: (h, c) from x (N, input) and (h, c) of (N, hidden).

    Follows `torch.lstm_cell`.

    >>> import rushlight as rl
    >>> h = rl.zeros(2, 3)
    >>> rl.lstm_cell(rl.ones(2, 4), (h, h), rl.ones(12, 4), rl.ones(12, 3))[0].shape
    torch.Size([2, 3])
    """
    if len(hx) != 2:
        raise RuntimeError("lstm_cell expects two hidden states")
    hidden, cell = _one_step("lstm_cell", "LSTM", input, tuple(hx), w_ih, w_hh, b_ih, b_hh)
    return hidden, cell


def _cell(name: str, mode: str) -> Callable[..., Tensor]:
    """torch.<name>: one step of a recurrence whose state is one tensor."""

    def function(
        input: Tensor,
        hx: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None = None,
        b_hh: Tensor | None = None,
    ) -> Tensor:
        return _one_step(name, mode, input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"One step of kind {mode}: h (N, hidden) from x (N, input) and h. Follows `torch.{name}`."
    )
    return function


gru_cell = _cell("gru_cell", "GRU")
rnn_tanh_cell = _cell("rnn_tanh_cell", "RNN_TANH")
rnn_relu_cell = _cell("rnn_relu_cell", "RNN_RELU")
