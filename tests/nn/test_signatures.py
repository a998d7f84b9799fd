"""Names, argument names, order, kinds and defaults are PyTorch's."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import rushlight as rl

torch = pytest.importorskip("torch")

# Names of PyTorch that are not modules, functions or initialisers of this library.
NOT_MODULES = {"Container", "CrossMapLRN2d", "DataParallel", "LinearCrossEntropyOptions"}
NOT_FUNCTIONS = {
    "Callable",
    "DType",
    "Optional",
    "ScalingType",
    "SwizzleType",
    "Tensor",
    "assert_int_or_pair",
    "boolean_dispatch",
    "grouped_mm",
    "handle_torch_function",
    "has_torch_function",
    "has_torch_function_unary",
    "has_torch_function_variadic",
    "scaled_grouped_mm",
    "scaled_mm",
}


def public(namespace: Any) -> list[str]:
    return [name for name in dir(namespace) if not name.startswith("_")]


MODULES = [n for n in public(torch.nn) if isinstance(getattr(torch.nn, n), type)]
FUNCTIONS = [n for n in public(torch.nn.functional) if callable(getattr(torch.nn.functional, n))]


def shape_of(function: Any) -> list[tuple[str, Any, Any]] | None:
    """(name, kind, default) of every parameter, None where the oracle does not say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    described = [(p.name, p.kind, p.default) for p in parameters]
    return None if any("VAR" in kind.name for _, kind, _ in described) else described


@pytest.mark.parametrize("name", sorted(set(MODULES) - NOT_MODULES))
def test_module_constructor(name: str) -> None:
    want = shape_of(getattr(torch.nn, name))
    got = shape_of(getattr(rl.nn, name))
    if want is not None and got is not None:
        simple = [
            (n, k, d if isinstance(d, (int, float, str, type(None))) else "") for n, k, d in want
        ]
        mine = [
            (n, k, d if isinstance(d, (int, float, str, type(None))) else "") for n, k, d in got
        ]
        # A default of `inspect.Parameter.empty` is a class and so compared as "".
        assert mine == simple


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - NOT_FUNCTIONS))
def test_function(name: str) -> None:
    mine = getattr(rl.nn.functional, name)
    want = shape_of(getattr(torch.nn.functional, name))
    if want is None or not inspect.isfunction(mine):
        assert callable(mine)
        return
    names = [n for n, _, _ in want]
    got = inspect.signature(mine).parameters
    if list(got) == ["args", "kwargs"]:
        return
    assert list(got) == names
    for parameter, _, default in want:
        if isinstance(default, (int, float, str, type(None))):
            assert got[parameter].default == default, parameter


@pytest.mark.parametrize("name", [n for n in public(torch.nn.init) if n.endswith("_")])
def test_initialiser(name: str) -> None:
    want = shape_of(getattr(torch.nn.init, name))
    assert shape_of(getattr(rl.nn.init, name)) == want


def test_module_methods() -> None:
    hardware = {"ipu", "xpu", "mtia"}  # accelerators that this library does not drive
    missing = [n for n in public(torch.nn.Module) if not hasattr(rl.nn.Module, n)]
    assert set(missing) <= hardware | {"T_destination"}
