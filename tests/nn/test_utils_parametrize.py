"""Parametrizations against PyTorch's: values, gradients, keys of the state_dict, errors."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rushlight as rl

torch = pytest.importorskip("torch")
pytest.importorskip("torch.nn.utils.parametrizations")

P = rl.nn.utils.parametrize

READY: dict[str, Callable[[Any, Any], Any]] = {
    "weight_norm": lambda t, m: t.nn.utils.parametrizations.weight_norm(m),
    "weight_norm_all": lambda t, m: t.nn.utils.parametrizations.weight_norm(m, dim=None),
    "weight_norm_last": lambda t, m: t.nn.utils.parametrizations.weight_norm(m, dim=1),
    "spectral_norm": lambda t, m: t.nn.utils.parametrizations.spectral_norm(m),
    "spectral_steps": lambda t, m: t.nn.utils.parametrizations.spectral_norm(m, "weight", 3),
    "spectral_bias": lambda t, m: t.nn.utils.parametrizations.spectral_norm(m, "bias"),
    "exponential": lambda t, m: t.nn.utils.parametrizations.orthogonal(
        m, orthogonal_map="matrix_exp", use_trivialization=False
    ),
    "cayley": lambda t, m: t.nn.utils.parametrizations.orthogonal(
        m, orthogonal_map="cayley", use_trivialization=False
    ),
    "householder": lambda t, m: t.nn.utils.parametrizations.orthogonal(m, use_trivialization=False),
    "old_weight_norm": lambda t, m: t.nn.utils.weight_norm(m),
    "old_spectral_norm": lambda t, m: t.nn.utils.spectral_norm(m),
}


def trained(library: Any, name: str) -> tuple[list[str], list[Any], Any]:
    """Keys, the weights after two steps, the last output."""
    library.manual_seed(5)
    module = library.nn.Linear(3, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = READY[name](library, module)
    optimizer = library.optim.SGD(module.parameters(), lr=0.125)
    x = library.arange(12.0).reshape(4, 3) / 12
    for _ in range(2):
        optimizer.zero_grad()
        out = module(x)
        (out * out).sum().backward()
        optimizer.step()
    module.eval()
    out = module(x).detach()
    return list(module.state_dict()), [p.detach() for p in module.parameters()], out


@pytest.mark.parametrize("name", sorted(READY))
def test_training_is_pytorchs(name: str) -> None:
    keys, parameters, out = trained(rl, name)
    their_keys, their_parameters, their_out = trained(torch, name)
    assert keys == their_keys
    np.testing.assert_allclose(out.numpy(), their_out.numpy(), rtol=2e-4, atol=2e-5)
    for mine, other in zip(parameters, their_parameters, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
@pytest.mark.parametrize("how", ["matrix_exp", "cayley", "householder"])
def test_orthogonal_matrices_can_be_assigned(shape: tuple[int, int], how: str) -> None:
    layer = rl.nn.utils.parametrizations.orthogonal(rl.nn.Linear(*shape), orthogonal_map=how)
    wanted = rl.nn.init.orthogonal_(rl.empty(shape[1], shape[0]))
    layer.weight = wanted
    assert rl.allclose(layer.weight, wanted, atol=1e-5)


def test_removal_keeps_or_drops_the_value() -> None:
    layer = rl.nn.utils.parametrizations.spectral_norm(rl.nn.Linear(3, 4)).eval()
    kind, weight = type(layer), layer.weight.detach().clone()
    P.remove_parametrizations(layer, "weight")
    assert type(layer) is rl.nn.Linear and kind.__name__ == "ParametrizedLinear"
    assert rl.equal(layer.weight, weight) and isinstance(layer.weight, rl.nn.Parameter)
    original = layer.weight.detach().clone()
    P.register_parametrization(layer, "weight", Doubled())
    P.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert rl.equal(layer.weight, original / 2)
    with pytest.raises(ValueError, match="does not have a parametrization on weight"):
        P.remove_parametrizations(layer, "weight")


class Doubled(rl.nn.Module):
    calls = 0

    def forward(self, x: Any) -> Any:
        Doubled.calls += 1
        return 2 * x

    def right_inverse(self, x: Any) -> Any:
        return x / 2


class Symmetric(rl.nn.Module):
    def forward(self, x: Any) -> Any:
        return x.triu() + x.triu(1).mT


def test_chains_assignments_and_the_cache() -> None:
    layer = rl.nn.Linear(3, 3)
    before = layer.weight.detach().clone()
    P.register_parametrization(layer, "weight", Doubled())
    assert rl.equal(layer.weight, before)  # through the right inverse
    P.register_parametrization(layer, "weight", Symmetric())
    assert rl.equal(layer.weight, layer.weight.mT) and len(layer.parametrizations.weight) == 2
    with pytest.raises(RuntimeError, match="Symmetric does not implement right_inverse"):
        layer.weight = before
    Doubled.calls = 0
    with P.cached():
        assert layer.weight is layer.weight
    assert Doubled.calls == 1
    assert layer.weight is not layer.weight
    assert P.is_parametrized(layer) and not P.is_parametrized(layer, "bias")
    assert P.type_before_parametrizations(layer) is rl.nn.Linear


def test_buffers_copies_and_files() -> None:
    module = rl.nn.BatchNorm1d(2)
    P.register_parametrization(module, "running_mean", Doubled())
    assert "parametrizations.running_mean.original" in module.state_dict()
    replica = copy.deepcopy(module)
    assert rl.equal(replica.running_mean, module.running_mean)
    replica.parametrizations.running_mean.original.fill_(4.0)
    assert module.running_mean.tolist() == [0.0, 0.0]
    with pytest.raises(RuntimeError, match=r"only supported through state_dict\(\)"):
        pickle.dumps(module)


def test_the_optimizers_tensor_is_kept() -> None:
    layer = rl.nn.Linear(2, 2)
    weight = layer.weight
    P.register_parametrization(layer, "weight", Doubled())
    assert layer.parametrizations.weight.original is weight


def test_old_files_load_into_the_new_form() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        older = rl.nn.utils.weight_norm(rl.nn.Linear(3, 2))
    newer = rl.nn.utils.parametrizations.weight_norm(rl.nn.Linear(3, 2))
    newer.load_state_dict(older.state_dict())
    assert rl.allclose(newer(rl.ones(1, 3)), older(rl.ones(1, 3)))


def test_removing_the_older_forms() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        normed = rl.nn.utils.weight_norm(rl.nn.Linear(3, 2))
    before = normed(rl.ones(1, 3)).detach()
    assert rl.allclose(rl.nn.utils.remove_weight_norm(normed)(rl.ones(1, 3)), before)
    assert sorted(normed.state_dict()) == ["bias", "weight"]
    spectral = rl.nn.utils.spectral_norm(rl.nn.Linear(3, 2)).eval()
    before = spectral(rl.ones(1, 3)).detach()
    assert rl.allclose(rl.nn.utils.remove_spectral_norm(spectral)(rl.ones(1, 3)), before)
    assert sorted(spectral.state_dict()) == ["bias", "weight"]
    for function in (rl.nn.utils.remove_weight_norm, rl.nn.utils.remove_spectral_norm):
        with pytest.raises(ValueError, match="not found in"):
            function(normed)


def test_transfer() -> None:
    source, target = rl.nn.Linear(2, 2), rl.nn.Linear(2, 2)
    P.register_parametrization(source, "weight", Doubled())
    P.transfer_parametrizations_and_params(source, target)
    assert rl.equal(source.weight, target.weight)
    assert target.parametrizations.weight.original is source.parametrizations.weight.original


class Reshaped(rl.nn.Module):
    def forward(self, x: Any) -> Any:
        return x.flatten()


class Widened(rl.nn.Module):
    def forward(self, x: Any) -> Any:
        return x.double()


@pytest.mark.parametrize(("made", "what"), [(Reshaped, "shape"), (Widened, "dtype")])
def test_a_change_of_kind_needs_unsafe(made: type, what: str) -> None:
    layer = rl.nn.Linear(2, 2)
    with pytest.raises(ValueError, match=f"may not change the {what}"):
        P.register_parametrization(layer, "weight", made())
    layer = rl.nn.Linear(2, 2)
    P.register_parametrization(layer, "weight", made(), unsafe=True)
    with pytest.raises(ValueError, match="does not have a parameter, a buffer"):
        P.register_parametrization(layer, "wait", made())


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda m: rl.nn.utils.parametrizations.orthogonal(m, "bias"), ValueError),
        (lambda m: rl.nn.utils.parametrizations.orthogonal(m, orthogonal_map="qr"), ValueError),
        (lambda m: rl.nn.utils.parametrizations.spectral_norm(m, dim=2), IndexError),
        (lambda m: rl.nn.utils.parametrizations.spectral_norm(m, "weight", 0), ValueError),
        (lambda m: rl.nn.utils.parametrizations.spectral_norm(m, "none"), ValueError),
    ],
)
def test_errors(call: Callable[[Any], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        call(rl.nn.Linear(3, 2))


def test_stateless_call() -> None:
    layer = rl.nn.Linear(2, 1, bias=False)
    with pytest.warns(FutureWarning, match="deprecated"):
        out = rl.nn.utils.stateless.functional_call(
            layer, {"weight": rl.tensor([[2.0, 3.0]])}, rl.ones(1, 2)
        )
    assert out.tolist() == [[5.0]]


def test_memory_format_of_weights() -> None:
    model = rl.nn.Sequential(rl.nn.Conv2d(8, 4, 3), rl.nn.ConvTranspose2d(4, 2, 3))
    rl.nn.utils.convert_conv2d_weight_memory_format(model, rl.channels_last)
    assert all(m.weight.is_contiguous(memory_format=rl.channels_last) for m in model)
