"""Saving into a flat dictionary and loading back, with PyTorch's errors."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

import rushlight as rl
from rushlight import nn


def net() -> nn.Module:
    return nn.Sequential(OrderedDict(body=nn.Linear(2, 3), norm=nn.BatchNorm1d(3)))


def test_keys_metadata_and_sharing() -> None:
    module = net()
    state = module.state_dict()
    assert list(state) == [
        "body.weight",
        "body.bias",
        "norm.weight",
        "norm.bias",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    ]
    assert state._metadata[""] == {"version": 1}
    assert state._metadata["norm"] == {"version": 2}
    assert not state["body.weight"].requires_grad
    state["body.bias"].fill_(5.0)
    assert module.body.bias.tolist() == [5.0] * 3
    assert module.state_dict(keep_vars=True)["body.bias"] is module.body.bias
    assert next(iter(module.state_dict(prefix="net."))) == "net.body.weight"


def test_round_trip_copies_values() -> None:
    source, target = net(), net()
    result = target.load_state_dict(source.state_dict())
    assert str(result) == "<All keys matched successfully>"
    assert target.body.weight.tolist() == source.body.weight.tolist()
    with rl.no_grad():
        source.body.weight.zero_()
    assert float(target.body.weight.abs().sum()) > 0


def test_assign_replaces_tensors() -> None:
    target = net()
    state = {key: value.double() for key, value in net().state_dict().items()}
    target.body.weight.requires_grad_(False)
    target.load_state_dict(state, assign=True)
    assert target.body.weight.dtype == rl.float64
    assert isinstance(target.body.weight, nn.Parameter)
    assert not target.body.weight.requires_grad
    assert target.body.bias.requires_grad


def test_not_strict_reports_keys() -> None:
    state = net().state_dict()
    del state["body.bias"]
    state["other.weight"] = rl.ones(1)
    result = net().load_state_dict(state, strict=False)
    assert result.missing_keys == ["body.bias"]
    assert result.unexpected_keys == ["other.weight"]
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like"):
        net().load_state_dict(3)


def test_errors_read_like_the_original() -> None:
    torch = pytest.importorskip("torch")

    def message(library: Any) -> str:
        module = library.nn.Sequential(
            OrderedDict(body=library.nn.Linear(2, 3), norm=library.nn.BatchNorm1d(3))
        )
        state = module.state_dict()
        del state["body.bias"], state["norm.weight"]
        state["norm.running_mean"] = library.ones(7)
        state["body.weight"] = 3
        state["norm.other"] = library.ones(1)
        state["elsewhere.weight"] = library.ones(1)
        with pytest.raises(RuntimeError) as caught:
            module.load_state_dict(state)
        return str(caught.value)

    assert message(rl) == message(torch)


def test_old_batch_norm_files() -> None:
    state = dict(net().state_dict())
    del state["norm.num_batches_tracked"]
    net().load_state_dict(state)


def test_extra_state() -> None:
    class Counting(nn.Module):
        count = 0

        def get_extra_state(self) -> Any:
            return {"count": self.count}

        def set_extra_state(self, state: Any) -> None:
            self.count = state["count"]

    source, target = Counting(), Counting()
    source.count = 4
    assert list(source.state_dict()) == ["_extra_state"]
    target.load_state_dict(source.state_dict())
    assert target.count == 4
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "_extra_state"'):
        target.load_state_dict({})
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "_extra_state"'):
        nn.Module().load_state_dict(source.state_dict())


def test_hooks() -> None:
    module = net()
    log: list[str] = []
    module.register_state_dict_pre_hook(lambda m, prefix, keep: log.append("save"))
    module.register_state_dict_post_hook(lambda m, state, prefix, meta: state.update(extra=1))
    module.register_load_state_dict_pre_hook(lambda m, state, *rest: state.pop("extra", None))
    module.register_load_state_dict_post_hook(lambda m, keys: log.append("loaded"))
    state = module.state_dict()
    assert state["extra"] == 1
    module.load_state_dict(state)
    assert log == ["save", "loaded"]
    assert state["extra"] == 1  # hooks see a copy
