"""Modules that hold modules or parameters."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

import rushlight as rl
from rushlight import nn


def test_sequential_is_a_list_of_modules() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(net) == 3
    assert net[-1] is net[2]
    assert isinstance(net[:2], nn.Sequential)
    assert [type(m) for m in net[1:]] == [nn.ReLU, nn.Linear]
    net[1] = nn.Tanh()
    assert isinstance(net[1], nn.Tanh)
    del net[0]
    assert list(net._modules) == ["0", "1"]
    net.append(nn.ReLU()).insert(0, nn.Identity()).extend([nn.Tanh()])
    assert [type(m).__name__ for m in net] == ["Identity", "Tanh", "Linear", "ReLU", "Tanh"]
    assert type(net.pop(0)) is nn.Identity
    assert len(net + nn.Sequential(nn.ReLU())) == 5
    assert len(net * 2) == 8
    with pytest.raises(IndexError, match="out of range"):
        _ = net[9]


def test_sequential_from_names() -> None:
    net = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), second=nn.ReLU()))
    assert list(net.state_dict()) == ["first.weight", "first.bias"]
    assert net.first is net[0]


def test_module_list() -> None:
    layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    layers += [nn.ReLU()]
    layers.insert(1, nn.Tanh())
    assert [type(m).__name__ for m in layers] == ["Linear", "Tanh", "Linear", "Linear", "ReLU"]
    assert isinstance(layers[1:3], nn.ModuleList)
    assert len(list(layers.parameters())) == 6
    del layers[1:4]
    assert [type(m).__name__ for m in layers] == ["Linear", "ReLU"]
    with pytest.raises(TypeError, match="extend should be called with an iterable"):
        layers.extend(3)
    with pytest.raises(TypeError, match="is not a Module subclass"):
        layers.append(3)


def test_module_dict() -> None:
    choice = nn.ModuleDict({"relu": nn.ReLU()})
    choice.update([("tanh", nn.Tanh())])
    choice["linear"] = nn.Linear(1, 1)
    assert list(choice) == ["relu", "tanh", "linear"]
    assert list(choice.keys()) == list(choice)
    assert isinstance(choice.pop("relu"), nn.ReLU)
    assert "relu" not in choice
    with pytest.raises(ValueError, match="element #0 has length 1; 2 is required"):
        choice.update([(nn.Tanh(),)])


def test_parameter_list() -> None:
    values = nn.ParameterList([nn.Parameter(rl.ones(1)), rl.zeros(2), "text"])
    assert isinstance(values[1], nn.Parameter)
    assert values[2] == "text"
    assert len(list(values.parameters())) == 2
    values.append(rl.ones(3)).extend([rl.ones(4)])
    values[0] = nn.Parameter(rl.ones(5))
    assert [v.numel() for v in values if isinstance(v, rl.Tensor)] == [5, 2, 3, 4]
    assert len(values[1:3]) == 2
    assert list(values.state_dict()) == ["0", "1", "3", "4"]
    with pytest.raises(RuntimeError, match="should not be called"):
        values()


def test_parameter_dict() -> None:
    table = nn.ParameterDict({"right": rl.ones(1), "left": rl.zeros(2)})
    assert list(table) == ["left", "right"]  # a plain dictionary is taken in sorted order
    table["other"] = 3
    assert table.get("nothing", 5) == 5
    assert table.setdefault("left").numel() == 2
    assert list((table | nn.ParameterDict({"more": rl.ones(1)})).keys()) == [
        "left",
        "right",
        "other",
        "more",
    ]
    assert table.popitem() == ("other", 3)
    assert len(list(table.parameters())) == 2
    del table["left"]
    assert "left" not in table
    table.clear()
    assert len(table) == 0


def test_printed_forms() -> None:
    torch = pytest.importorskip("torch")

    def forms(library: Any) -> list[str]:
        modules = library.nn
        layers = modules.ModuleList([modules.Linear(1, 2), modules.Linear(1, 2), modules.ReLU()])
        return [
            repr(layers),
            repr(modules.ModuleList()),
            repr(modules.Sequential(layers, modules.Sequential())),
            repr(modules.ModuleDict({"a": layers, "b": modules.Tanh()})),
            repr(modules.ParameterList([library.ones(2, 3), library.ones(1), "x"])),
            repr(modules.ParameterDict({"a": library.ones(2, 3), "b": 3})),
            repr(modules.Transformer(4, 2, 2, 2, 8)),
        ]

    for mine, theirs in zip(forms(rl), forms(torch), strict=True):
        assert mine == theirs
