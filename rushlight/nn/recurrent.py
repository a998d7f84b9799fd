"""Recurrent layers: Elman networks, LSTM and GRU, as whole sequences and as single steps.

In: (T, N, input), (N, T, input) with `batch_first`, (T, input), or a `PackedSequence`; optionally
the initial state. Out: the outputs of the last layer in the same form, and the final state.
Invariant: every layout is turned into packed steps (all rows of step 0, then of step 1, ...) for
the one loop over time, in `rushlight.nn.functional.recurrent`.
"""

from __future__ import annotations

import math
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn import init
from rushlight.nn.functional.recurrent import MODES, State, Weights, run, run_cell
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter
from rushlight.nn.utils.rnn import PackedSequence

# The kinds of parameters, as they stand in `Weights`.
_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


class RNNBase(Module):
    """Parameters, checks and the loop over layers and time that all recurrent layers share.

    Follows `torch.nn.RNNBase`.

    >>> import rushlight as rl
    >>> rl.nn.RNNBase("GRU", 10, 20)(rl.zeros(5, 3, 10))[0].shape
    torch.Size([5, 3, 20])
    """

    mode: str
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        _check_flags(bias, batch_first, dropout, num_layers)
        _check_sizes(input_size, hidden_size, num_layers, proj_size)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._all_weights = [
            self._make_layer(layer, suffix, device, dtype)
            for layer in range(num_layers)
            for suffix in self._suffixes()
        ]
        self.reset_parameters()

    def _suffixes(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def _make_layer(self, layer: int, suffix: str, device: Any, dtype: Any) -> list[str]:
        """Register the parameters of one layer and direction; returns their names."""
        rows = MODES[self.mode].gates * self.hidden_size
        width = self.proj_size or self.hidden_size
        columns = width * len(self._suffixes()) if layer else self.input_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, columns),
            "weight_hh": (rows, width),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        names = []
        for kind, shape in shapes.items():
            name = f"{kind}_l{layer}{suffix}"
            self.register_parameter(
                name, Parameter(rushlight.empty(shape, device=device, dtype=dtype))
            )
            names.append(name)
        return names

    def reset_parameters(self) -> None:
        """Draw all parameters from U(-1 / sqrt(hidden_size), 1 / sqrt(hidden_size))."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Nothing to do: where parameters lie in memory is the memory plan's business."""

    def extra_repr(self) -> str:
        optional = (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
        )
        shown = [
            f", {name}={getattr(self, name)}"
            for name, usual in optional
            if getattr(self, name) != usual
        ]
        return f"{self.input_size}, {self.hidden_size}" + "".join(shown)

    # -- forward --------------------------------------------------------------------------

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """RuntimeError or ValueError for an input that does not fit."""
        dtype = getattr(self, self._all_weights[0][0]).dtype
        if input.dtype != dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). Convert "
                f"input: input.to({dtype}), or convert model: model.to({input.dtype})"
            )
        expected = 2 if batch_sizes is not None else 3
        if input.dim() != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.dim()}")
        if self.input_size != input.size(-1):
            raise RuntimeError(
                "input.size(-1) must be equal to input_size. Expected "
                f"{self.input_size}, got {input.size(-1)}"
            )

    def _state_widths(self) -> list[int]:
        """The last dimension of each state tensor: hidden, then cell."""
        widths = [self.proj_size or self.hidden_size, self.hidden_size]
        return widths[: MODES[self.mode].states]

    def _initial_state(self, given: Any, batch: int, like: Tensor) -> State:
        """`given`, checked, or zeros: tensors (layers * directions, N, width)."""
        count = self.num_layers * len(self._suffixes())
        shapes = [(count, batch, width) for width in self._state_widths()]
        if given is None:
            return tuple(
                rushlight.zeros(shape, dtype=like.dtype, device=like.device) for shape in shapes
            )
        states = (given,) if len(shapes) == 1 else tuple(given)
        for index, (state, shape) in enumerate(zip(states, shapes, strict=True)):
            name = "hidden" if len(shapes) == 1 else f"hidden[{index}]"
            self.check_hidden_size(state, shape, f"Expected {name} size {{}}, got {{}}")
        return states

    def get_expected_hidden_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """The shape of an initial state: (layers * directions, N, width)."""
        batch = input.size(0 if self.batch_first else 1)
        if batch_sizes is not None:
            batch = int(batch_sizes[0])
        return self.num_layers * len(self._suffixes()), batch, self._state_widths()[0]

    def check_hidden_size(
        self,
        hx: Tensor,
        expected_hidden_size: tuple[int, ...],
        msg: str = "Expected hidden size {}, got {}",
    ) -> None:
        """RuntimeError for a state of another shape."""
        if tuple(hx.shape) != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(tuple(expected_hidden_size), list(hx.shape)))

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(
                f"{self._get_name()}: Expected input to be 2D or 3D, got {input.dim()}D instead"
            )
        batched = input.dim() == 3
        batch_dim = 0 if self.batch_first else 1
        states = None if hx is None else hx if isinstance(hx, tuple) else (hx,)
        if not batched:
            input = input.unsqueeze(batch_dim)
        for state in states or ():
            if state.dim() != (3 if batched else 2):
                raise RuntimeError(
                    f"For {'batched 3-D' if batched else 'unbatched 2-D'} input, hx should also "
                    f"be {3 if batched else 2}-D but got {state.dim()}-D tensor"
                )
        if states is not None and not batched:
            states = tuple(state.unsqueeze(1) for state in states)
        self.check_input(input, None)
        steps = input.transpose(0, 1) if self.batch_first else input
        length, batch = steps.shape[:2]
        given = states[0] if states is not None and len(self._state_widths()) == 1 else states
        first = self._initial_state(given, batch, input)
        output, final = self._run(steps.flatten(0, 1), [batch] * length, first)
        output = output.unflatten(0, (length, batch))
        output = output.transpose(0, 1) if self.batch_first else output
        if not batched:
            output = output.squeeze(batch_dim)
            final = tuple(state.squeeze(1) for state in final)
        return output, final if len(final) > 1 else final[0]

    def _forward_packed(self, input: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        """Sequences of different lengths, longest first."""
        data, sizes, order, original = input
        self.check_input(data, sizes)
        counts = sizes.tolist()
        first = self._initial_state(hx, counts[0], data)
        if hx is not None and order is not None:
            first = tuple(state.index_select(1, order) for state in first)
        output, final = self._run(data, counts, first)
        if original is not None:
            final = tuple(state.index_select(1, original) for state in final)
        packed = PackedSequence(output, sizes, order, original)
        return packed, final if len(final) > 1 else final[0]

    def _run(self, data: Tensor, counts: list[int], first: State) -> tuple[Tensor, State]:
        """All layers over packed steps; `counts` is the number of rows of each step."""
        layers = [self._weights(names) for names in self._all_weights]
        chance = self.dropout if self.training else 0.0
        return run(self.mode, data, counts, first, layers, len(self._suffixes()), chance)

    def _weights(self, names: list[str]) -> Weights:
        given = {name.split("_l")[0]: getattr(self, name) for name in names}
        return Weights(*(given.get(kind) for kind in _KINDS))  # type: ignore[arg-type]


def _check_flags(bias: Any, batch_first: Any, dropout: Any, num_layers: int) -> None:
    number = isinstance(dropout, (int, float)) and not isinstance(dropout, bool)
    if not number or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element "
            "being zeroed"
        )
    for name, value in (("bias", bias), ("batch_first", batch_first)):
        if not isinstance(value, bool):
            raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")
    if dropout > 0 and num_layers == 1:
        import warnings

        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
            f"expects num_layers greater than 1, but got dropout={dropout} and "
            f"num_layers={num_layers}",
            stacklevel=3,
        )


def _check_sizes(input_size: Any, hidden_size: Any, num_layers: int, proj_size: int) -> None:
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size)):
        if not isinstance(value, int):
            raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


class RNN(RNNBase):
    """h_t = activate(W x_t + b + V h_(t-1) + c), activate = tanh or relu.

    Args: input_size, hidden_size, num_layers, nonlinearity ("tanh" or "relu"), bias,
    batch_first, dropout (between layers), bidirectional, device, dtype.
    Follows `torch.nn.RNN`.

    >>> import rushlight as rl
    >>> output, hidden = rl.nn.RNN(10, 20, 2)(rl.zeros(5, 3, 10))
    >>> output.shape, hidden.shape
    (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            self_nonlinearity, args = args[3], (*args[:3], *args[4:])
        else:
            self_nonlinearity = kwargs.pop("nonlinearity", "tanh")
        modes = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
        if self_nonlinearity not in modes:
            raise ValueError(
                f"Unknown nonlinearity '{self_nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(modes[self_nonlinearity], *args, **kwargs)
        self.nonlinearity = self_nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997).

    i, f, o = sigmoid, g = tanh of W x + b + V h + c; c' = f c + i g; h' = o tanh(c'), which
    `proj_size` maps to fewer features (arXiv 1402.1128).
    Args: input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
    proj_size, device, dtype. Follows `torch.nn.LSTM`.

    >>> import rushlight as rl
    >>> output, (hidden, cell) = rl.nn.LSTM(10, 20, batch_first=True)(rl.zeros(3, 5, 10))
    >>> output.shape, cell.shape
    (torch.Size([3, 5, 20]), torch.Size([1, 3, 20]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al., arXiv 1406.1078).

    r, z = sigmoid of their gates; n = tanh(W x + b + r (V h + c)); h' = (1 - z) n + z h.
    Args: input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
    device, dtype. Follows `torch.nn.GRU`.

    >>> import rushlight as rl
    >>> output, hidden = rl.nn.GRU(10, 20, bidirectional=True)(rl.zeros(5, 3, 10))
    >>> output.shape, hidden.shape
    (torch.Size([5, 3, 40]), torch.Size([2, 3, 20]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


class RNNCellBase(Module):
    """Parameters of a single step.

    >>> import rushlight as rl
    >>> list(rl.nn.RNNCellBase(2, 3, bias=False, num_chunks=4).state_dict())
    ['weight_ih', 'weight_hh']
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, input_size),
            "weight_hh": (rows, hidden_size),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
        for name, shape in shapes.items():
            if bias or name.startswith("weight"):
                values = rushlight.empty(shape, device=device, dtype=dtype)
                self.register_parameter(name, Parameter(values))
            else:
                self.register_parameter(name, None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters from U(-1 / sqrt(hidden_size), 1 / sqrt(hidden_size))."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text

    def _step(self, mode: str, input: Tensor, hx: Any) -> State:
        """One step of `mode`; unbatched inputs and states have no N."""
        name, count = self._get_name(), MODES[mode].states
        states = () if hx is None else hx if isinstance(hx, tuple) else (hx,)
        for what, tensor in [("input", input), *(("hidden", state) for state in states)]:
            if tensor.dim() not in (1, 2):
                raise ValueError(
                    f"{name}: Expected {what} to be 1D or 2D, got {tensor.dim()}D instead"
                )
        rows = input if input.dim() == 2 else input.unsqueeze(0)
        if hx is None:
            zeros = rushlight.zeros(
                rows.size(0), self.hidden_size, dtype=input.dtype, device=input.device
            )
            states = (zeros,) * count
        elif input.dim() == 1:
            states = tuple(state.unsqueeze(0) for state in states)
        self._check(rows, states)
        weights = Weights(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        result = run_cell(mode, rows, states, weights)
        return result if input.dim() == 2 else tuple(tensor.squeeze(0) for tensor in result)

    def _check(self, rows: Tensor, states: State) -> None:
        if rows.size(1) != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {rows.size(1)} expected {self.input_size}"
            )
        for state in states:
            if state.size(0) != rows.size(0):
                raise RuntimeError(
                    f"Input batch size {rows.size(0)} doesn't match hidden0 batch size "
                    f"{state.size(0)}"
                )
            if state.size(1) != self.hidden_size:
                raise RuntimeError(
                    f"hidden0 has inconsistent hidden_size: got {state.size(1)}, expected "
                    f"{self.hidden_size}"
                )


class RNNCell(RNNCellBase):
    """One step of an Elman network. Follows `torch.nn.RNNCell`.

    >>> import rushlight as rl
    >>> rl.nn.RNNCell(10, 20)(rl.zeros(3, 10)).shape
    torch.Size([3, 20])
    """

    nonlinearity: str

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step("RNN_" + self.nonlinearity.upper(), input, hx)[0]


class LSTMCell(RNNCellBase):
    """One step of an LSTM: (h, c) from x and (h, c). Follows `torch.nn.LSTMCell`.

    >>> import rushlight as rl
    >>> hidden, cell = rl.nn.LSTMCell(10, 20)(rl.zeros(3, 10))
    >>> hidden.shape
    torch.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        hidden, cell = self._step("LSTM", input, hx)
        return hidden, cell


class GRUCell(RNNCellBase):
    """One step of a GRU. Follows `torch.nn.GRUCell`.

    >>> import rushlight as rl
    >>> rl.nn.GRUCell(10, 20)(rl.zeros(3, 10)).shape
    torch.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step("GRU", input, hx)[0]
