"""What `print` shows of whole tensors and results, character for character as PyTorch's: values
from both sides' own memory, views, tape entries, parameters, subclasses, named results.

(The text of arrays alone is tested in test_printing.py.)
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rushlight as rl

torch = pytest.importorskip("torch")

DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool")
COMPLEX = ("complex64", "complex128")
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-7, -1e9, 12345.678])


@pytest.fixture(autouse=True)
def default_options() -> Iterator[None]:
    yield
    for module in (torch, rl):
        module.set_printoptions(profile="default")


def alike(program: Callable[[Any], Any]) -> None:
    """The same program prints the same on both sides."""
    assert repr(program(rl)) == repr(program(torch))


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(DTYPES + COMPLEX),
    st.lists(st.integers(0, 5), max_size=3),
    st.integers(0, 2**32),
    st.sampled_from(["plain", "transposed", "sliced", "leaf", "taped"]),
)
def test_random_tensors(dtype: str, shape: list[int], seed: int, form: str) -> None:
    source = np.random.default_rng(seed)
    values = source.standard_normal(shape) * 10.0 ** source.integers(-4, 8)
    values = np.where(source.random(shape) < 0.2, source.choice(SPECIAL, shape), values)
    if dtype in ("int64", "int32", "uint8", "bool"):
        values = source.integers(0, 100, shape).astype(float)

    def program(module: Any) -> Any:
        x = module.tensor(values.tolist()).reshape(shape).to(getattr(module, dtype))
        if form == "transposed" and x.ndim > 1:
            return x.transpose(0, 1)
        if form == "sliced" and x.ndim:
            return x[::2]
        if form in ("leaf", "taped") and (x.is_floating_point() or x.is_complex()):
            x.requires_grad_()
            return x if form == "leaf" else x + 1
        return x

    alike(program)


@pytest.mark.parametrize(
    "options",
    [
        {"precision": 2, "sci_mode": True},
        {"edgeitems": 1, "threshold": 4},
        {"linewidth": 30},
        {"profile": "short"},
        {"sci_mode": False},
    ],
)
def test_options(options: dict[str, Any]) -> None:
    for module in (torch, rl):
        module.set_printoptions(**options)
    alike(lambda m: m.arange(60).reshape(3, 20) / 7)
    alike(lambda m: m.tensor([[1e-9, 2.0], [float("nan"), -1e12]], requires_grad=True))


class Labelled(rl.Tensor):
    """A subclass on our side."""


class TheirLabelled(torch.Tensor):
    """The same on PyTorch's."""


TheirLabelled.__name__ = "Labelled"


def test_classes() -> None:
    alike(lambda m: m.nn.Parameter(m.ones(2)))
    alike(lambda m: m.nn.Parameter(m.ones(2, 3, dtype=m.float64), requires_grad=False))
    alike(lambda m: m.nn.Buffer(m.ones(2)))
    for ours, theirs in ((rl.ones(2), torch.ones(2)), (rl.ones(0, 3), torch.ones(0, 3))):
        assert repr(ours.as_subclass(Labelled)) == repr(theirs.as_subclass(TheirLabelled))


@pytest.mark.parametrize(
    "program",
    [
        lambda m: m.max(m.tensor([[1.0, 2.0]]), 1),
        lambda m: m.sort(m.tensor([2.0, 1.0, 3.0])),
        lambda m: m.topk(m.tensor([2.0, 1.0]), 1),
        lambda m: m.linalg.slogdet(m.eye(2)),
        lambda m: m.aminmax(m.tensor([1.0, 2.0])),
        lambda m: m.Size([2, 3, 4])[1:],
        lambda m: m.Size([2]) + m.Size([3]),
        lambda m: m.Size([2, 3]).numel(),
        lambda m: m.empty(0, 3, dtype=m.int64),
        lambda m: m.tensor([2**63 + 5], dtype=m.uint64),
        lambda m: f"{m.tensor(1.5):.3f}",
    ],
)
def test_results(program: Callable[[Any], Any]) -> None:
    alike(program)


def test_named_results_are_tuples_that_can_be_copied() -> None:
    result, expected = rl.max(rl.tensor([[1.0, 2.0]]), 1), torch.max(torch.ones(1, 2), 1)
    assert repr(type(result)) == repr(type(expected))
    assert (result.n_fields, result.__match_args__) == (expected.n_fields, ("values", "indices"))
    assert not hasattr(result, "_fields")
    for other in (copy.copy(result), pickle.loads(pickle.dumps(result))):
        assert type(other) is type(result)
        assert other.values.tolist() == [2.0]
        assert other.indices.tolist() == [1]
    doubled = rl.utils._pytree.tree_map(lambda x: x * 2, result)
    assert repr(type(doubled)) == repr(type(expected))
    assert doubled.values.tolist() == [4.0]
