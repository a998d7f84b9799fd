"""PyTorch's file names under `nn.modules` lead to the same classes."""

from __future__ import annotations

import importlib

import pytest

import rushlight as rl


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("conv", "Conv2d"),
        ("batchnorm", "_BatchNorm"),
        ("activation", "MultiheadAttention"),
        ("container", "Sequential"),
        ("module", "Module"),
        ("module", "register_module_forward_hook"),
        ("module", "_IncompatibleKeys"),
        ("rnn", "LSTM"),
        ("linear", "NonDynamicallyQuantizableLinear"),
    ],
)
def test_place(place: str, name: str) -> None:
    found = getattr(importlib.import_module(f"rushlight.nn.modules.{place}"), name)
    assert getattr(rl.nn, name, found) is found
    assert getattr(rl.nn.modules, name, found) is found


def test_tuples() -> None:
    from rushlight.nn.modules.utils import _pair, _triple

    assert _pair(3) == (3, 3)
    assert _triple([1, 2, 3]) == (1, 2, 3)


def test_every_module_is_listed() -> None:
    modules = {
        name
        for name, value in vars(rl.nn).items()
        if isinstance(value, type) and issubclass(value, rl.nn.Module)
    }
    assert modules <= set(rl.nn.__all__)
    assert modules <= set(rl.nn.modules.__all__)
