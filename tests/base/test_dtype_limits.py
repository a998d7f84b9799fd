"""`finfo` and `iinfo` against PyTorch's, in value and in print."""

from __future__ import annotations

import pytest

import rushlight as rl

torch = pytest.importorskip("torch")

FLOATS = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")
INTEGERS = ("uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64")


@pytest.mark.parametrize("name", FLOATS)
def test_limits_of_floats(name: str) -> None:
    ours, theirs = rl.finfo(getattr(rl, name)), torch.finfo(getattr(torch, name))
    assert repr(ours) == repr(theirs)
    for field in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"):
        assert getattr(ours, field) == getattr(theirs, field), field


@pytest.mark.parametrize("name", INTEGERS)
def test_limits_of_integers(name: str) -> None:
    ours, theirs = rl.iinfo(getattr(rl, name)), torch.iinfo(getattr(torch, name))
    assert repr(ours) == repr(theirs)
    for field in ("bits", "max", "min", "dtype"):
        assert getattr(ours, field) == getattr(theirs, field), field


def test_the_other_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="Use torch.iinfo"):
        rl.finfo(rl.int8)
    with pytest.raises(TypeError, match="Use torch.finfo"):
        rl.iinfo(rl.float32)
    with pytest.raises(TypeError, match="bool is not supported"):
        rl.iinfo(rl.bool)
