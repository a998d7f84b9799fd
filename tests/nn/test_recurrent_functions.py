"""torch.lstm, gru, rnn_tanh, rnn_relu and their cells against PyTorch: values and gradients."""

from __future__ import annotations

import numpy as np
import pytest

import rushlight as rl

torch = pytest.importorskip("torch")
GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
RNG = np.random.default_rng(0)


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [RNG.normal(size=shape).astype(np.float32) * 0.5 for shape in shapes]


def parameters(gates: int, layers: int, directions: int, biases: bool, shrink: int = 0) -> list:
    shapes: list[tuple[int, ...]] = []
    width = shrink or 5
    for layer in range(layers):
        for _ in range(directions):
            shapes += [(gates * 5, width * directions if layer else 4), (gates * 5, width)]
            shapes += [(gates * 5,)] * 2 if biases else []
            shapes += [(shrink, 5)] if shrink else []
    return arrays(*shapes)


def both(call, *values):
    """call(lib, tensors...) in each library: the results and the gradients of their sum."""
    found = []
    for lib in (rl, torch):
        tensors = [lib.tensor(value, requires_grad=True) for value in values]
        out = call(lib, *tensors)
        out = out if isinstance(out, tuple) else (out,)
        sum((o * o).sum() for o in out).backward()
        found.append([o.detach().numpy() for o in out] + [t.grad.numpy() for t in tensors])
    assert len(found[0]) == len(found[1])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize(
    ("layers", "bidirectional", "biases", "batch_first"),
    [(1, False, True, False), (2, True, True, True), (2, False, False, False)],
)
def test_padded(name, layers, bidirectional, biases, batch_first) -> None:
    directions = 2 if bidirectional else 1
    (x,) = arrays((2, 3, 4))
    states = arrays(*[(layers * directions, 2 if batch_first else 3, 5)] * (1 + (name == "lstm")))
    weights = parameters(GATES[name], layers, directions, biases)
    count = len(states)

    def call(lib, x, *rest):
        state = rest[:count] if count > 1 else rest[0]
        flags = (biases, layers, 0.0, False, bidirectional, batch_first)
        return getattr(lib, name)(x, state, list(rest[count:]), *flags)

    both(call, x, *states, *weights)


@pytest.mark.parametrize("name", GATES)
def test_packed(name) -> None:
    (data,) = arrays((6, 4))
    states = arrays(*[(2, 3, 5)] * (1 + (name == "lstm")))
    count = len(states)

    def call(lib, data, *rest):
        state = rest[:count] if count > 1 else rest[0]
        sizes = lib.tensor([3, 2, 1])
        flags = (True, 1, 0.0, False, True)
        return getattr(lib, name)(data, sizes, state, list(rest[count:]), *flags)

    both(call, data, *states, *parameters(GATES[name], 1, 2, True))


def test_projection() -> None:
    x, h, c = arrays((2, 3, 4), (1, 3, 2), (1, 3, 5))

    def call(lib, x, h, c, *weights):
        return lib.lstm(x, (h, c), list(weights), True, 1, 0.0, False, False, False)

    both(call, x, h, c, *parameters(4, 1, 1, True, shrink=2))


@pytest.mark.parametrize("name", GATES)
def test_cells(name) -> None:
    x, h, c = arrays((3, 4), (3, 5), (3, 5))

    def call(lib, x, h, *rest):
        if name == "lstm":
            return lib.lstm_cell(x, (h, rest[0]), *rest[1:])
        return getattr(lib, name + "_cell")(x, h, *rest)

    weights = parameters(GATES[name], 1, 1, True)
    both(call, x, h, *([c] if name == "lstm" else []), *weights)


def test_modules_run_the_functions() -> None:
    module = rl.nn.LSTM(4, 5, 2, bidirectional=True)
    x, h = rl.randn(3, 2, 4), rl.zeros(4, 2, 5)
    weights = [weight for layer in module.all_weights for weight in layer]
    made = rl.lstm(x, (h, h), weights, True, 2, 0.0, False, True, False)
    output, (hidden, cell) = module(x)
    for mine, theirs in zip(made, (output, hidden, cell), strict=True):
        assert (mine == theirs).all()


def test_dropout_between_layers_in_training_only() -> None:
    x, h = rl.randn(3, 2, 4), rl.zeros(2, 2, 5)
    weights = [rl.tensor(w) for w in parameters(3, 2, 1, True)]
    outputs = [rl.gru(x, h, weights, True, 2, 0.5, train, False, False)[0] for train in (0, 0, 1)]
    assert (outputs[0] == outputs[1]).all() and not (outputs[0] == outputs[2]).all()


def test_errors() -> None:
    x, h = rl.zeros(3, 2, 4), rl.zeros(1, 2, 5)
    weights = [rl.tensor(w) for w in parameters(4, 1, 1, True)]
    flags = (True, 1, 0.0, False, False, False)
    with pytest.raises(RuntimeError, match="lstm expects two hidden states"):
        rl.lstm(x, (h,), weights, *flags)
    with pytest.raises(RuntimeError, match="4 or 5 parameters, but got 3"):
        rl.lstm(x, (h, h), weights[:3], *flags)
    with pytest.raises(RuntimeError, match="Expected hidden size"):
        rl.lstm(x, (h[:, :1], h), weights, *flags)
    with pytest.raises(RuntimeError, match="3 gates"):
        rl.gru_cell(x[0], h[0], *weights)
    with pytest.raises(RuntimeError, match="inconsistent input_size"):
        rl.lstm_cell(x[0, :, :3], (h[0], h[0]), *weights)
