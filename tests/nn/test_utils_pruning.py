"""Pruning against PyTorch's: the same masks for the same weights, seeds and amounts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import rushlight as rl

torch = pytest.importorskip("torch")
import torch.nn.utils.prune as theirs  # noqa: E402

ours = rl.nn.utils.prune

WAYS: dict[str, list[Callable[[Any, Any], Any]]] = {
    "identity": [lambda p, m: p.identity(m, "weight")],
    "random": [lambda p, m: p.random_unstructured(m, "weight", 0.4)],
    "l1_fraction": [lambda p, m: p.l1_unstructured(m, "weight", 0.3)],
    "l1_count": [lambda p, m: p.l1_unstructured(m, "weight", 5)],
    "nothing": [lambda p, m: p.l1_unstructured(m, "weight", 0)],
    "random_channels": [lambda p, m: p.random_structured(m, "weight", 2, 0)],
    "ln_channels": [lambda p, m: p.ln_structured(m, "weight", 0.5, 2, 1)],
    "ln_infinite": [lambda p, m: p.ln_structured(m, "weight", 1, float("inf"), -1)],
    "twice": [
        lambda p, m: p.l1_unstructured(m, "weight", 0.25),
        lambda p, m: p.l1_unstructured(m, "weight", 0.5),
    ],
    "channels_then_elements": [
        lambda p, m: p.ln_structured(m, "weight", 1, 1, 0),
        lambda p, m: p.random_unstructured(m, "weight", 3),
        lambda p, m: p.ln_structured(m, "weight", 1, 2, 0),
    ],
}


def layer(library: Any) -> Any:
    library.manual_seed(3)
    return library.nn.Linear(6, 4)


@pytest.mark.parametrize("way", sorted(WAYS))
def test_masks_are_pytorchs(way: str) -> None:
    mine, other = layer(rl), layer(torch)
    for library, module, place in ((rl, mine, ours), (torch, other, theirs)):
        library.manual_seed(7)
        for step in WAYS[way]:
            step(place, module)
    assert list(mine.state_dict()) == list(other.state_dict())
    assert mine.weight_mask.tolist() == other.weight_mask.tolist()
    assert (mine.weight == 0).tolist() == (other.weight == 0).tolist()


def test_forward_uses_the_mask_and_training_moves_the_original() -> None:
    module = ours.custom_from_mask(layer(rl), "weight", rl.ones(4, 6).tril())
    optimizer = rl.optim.SGD(module.parameters(), lr=0.5)
    module(rl.ones(2, 6)).sum().backward()
    assert module.weight_orig.grad.tolist() == (2 * rl.ones(4, 6).tril()).tolist()
    optimizer.step()
    module(rl.ones(2, 6))
    assert rl.equal(module.weight, module.weight_orig * module.weight_mask)
    kept = module.weight.tolist()
    assert ours.is_pruned(module)
    ours.remove(module, "weight")
    assert not ours.is_pruned(module)
    assert sorted(module.state_dict()) == ["bias", "weight"] and module.weight.tolist() == kept


def test_global_pruning() -> None:
    def masks(library: Any, place: Any) -> list[Any]:
        library.manual_seed(1)
        first, second = library.nn.Linear(3, 4), library.nn.Linear(4, 2)
        both = [(first, "weight"), (second, "weight"), (first, "bias")]
        place.global_unstructured(both, place.L1Unstructured, amount=0.4)
        return [getattr(m, name + "_mask").tolist() for m, name in both]

    assert masks(rl, ours) == masks(torch, theirs)


def test_a_method_of_ones_own() -> None:
    class EveryOther(ours.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t: Any, default_mask: Any) -> Any:
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    module = rl.nn.Linear(2, 2)
    EveryOther.apply(module, "bias")
    assert module.bias_mask.tolist() == [0.0, 1.0]
    EveryOther.apply(module, "bias")
    assert module.bias_mask.tolist() == [0.0, 0.0]
    assert len(next(iter(module._forward_pre_hooks.values()))) == 2


def test_errors_leave_the_module_alone() -> None:
    module = layer(rl)
    with pytest.raises(ValueError, match="should be smaller than the number of parameters"):
        ours.l1_unstructured(module, "weight", 100)
    with pytest.raises(ValueError, match="should either be a float in the range"):
        ours.l1_unstructured(module, "weight", 1.5)
    with pytest.raises(TypeError, match="Invalid type for amount"):
        ours.l1_unstructured(module, "weight", "half")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="multidimensional"):
        ours.random_structured(module, "bias", 1, 0)
    with pytest.raises(IndexError, match="Invalid index 2"):
        ours.random_structured(module, "weight", 1, 2)
    with pytest.raises(ValueError, match="has to be pruned before"):
        ours.remove(module, "weight")
    assert sorted(module.state_dict()) == ["bias", "weight"]
