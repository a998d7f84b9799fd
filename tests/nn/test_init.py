"""Initial values: the same seed gives PyTorch's numbers, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rushlight as rl

torch = pytest.importorskip("torch")

CASES = [
    ("uniform_", (), {"a": -2.0, "b": 0.5}, (5, 4)),
    ("normal_", (0.5, 2.0), {}, (7, 9)),
    ("normal_", (), {}, (3,)),
    ("trunc_normal_", (), {"std": 0.02}, (40, 5)),
    ("trunc_normal_", (0.0, 1.0, -0.5, 0.7), {}, (40, 5)),
    ("trunc_normal_", (0.0, 1.0, 1.0, 1.5), {}, (40, 5)),
    ("constant_", (0.3,), {}, (2, 3)),
    ("ones_", (), {}, (2, 3)),
    ("zeros_", (), {}, (2, 3)),
    ("eye_", (), {}, (3, 5)),
    ("dirac_", (2,), {}, (6, 3, 3, 3)),
    ("xavier_uniform_", (1.5,), {}, (6, 3, 3, 3)),
    ("xavier_normal_", (), {}, (6, 5)),
    ("kaiming_uniform_", (), {"mode": "fan_out", "nonlinearity": "relu"}, (6, 3, 3)),
    ("kaiming_normal_", (0.2,), {}, (6, 5)),
    ("sparse_", (0.4,), {}, (10, 4)),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), CASES)
def test_same_numbers(name: str, args: Any, kwargs: Any, shape: Any) -> None:
    torch.manual_seed(11)
    want = getattr(torch.nn.init, name)(torch.empty(shape), *args, **kwargs)
    rl.manual_seed(11)
    got = getattr(rl.nn.init, name)(rl.empty(shape), *args, **kwargs)
    np.testing.assert_array_equal(got.numpy(), want.numpy())


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 2, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    torch.manual_seed(11)
    want = torch.nn.init.orthogonal_(torch.empty(shape), gain=2.0).numpy()
    rl.manual_seed(11)
    got = rl.nn.init.orthogonal_(rl.empty(shape), gain=2.0).numpy()
    # Two LAPACKs round a QR decomposition differently.
    np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "conv2d", "sigmoid", "tanh", "relu", "selu"])
def test_gain(kind: str) -> None:
    assert rl.nn.init.calculate_gain(kind) == torch.nn.init.calculate_gain(kind)
    assert rl.nn.init.calculate_gain("leaky_relu", 0.3) == pytest.approx(
        torch.nn.init.calculate_gain("leaky_relu", 0.3)
    )


def test_fans_and_errors() -> None:
    init = rl.nn.init
    assert init._calculate_fan_in_and_fan_out(rl.empty(4, 3, 2, 5)) == (30, 40)
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init.xavier_uniform_(rl.empty(3))
    with pytest.raises(ValueError, match="Unsupported nonlinearity other"):
        init.calculate_gain("other")
    with pytest.raises(ValueError, match="Mode sideways not supported"):
        init.kaiming_normal_(rl.empty(3, 3), mode="sideways")
    with pytest.warns(FutureWarning, match="deprecated in favor of `nn.init.uniform_`"):
        init.uniform(rl.empty(2))


def test_parameters_may_need_gradients() -> None:
    weight = rl.nn.Parameter(rl.empty(3, 3))
    assert rl.nn.init.kaiming_uniform_(weight) is weight
    assert weight.requires_grad
    assert weight.is_leaf
