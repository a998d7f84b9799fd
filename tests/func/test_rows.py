"""Every row of the op table under vmap and jvp: the batching rules work on the nodes of a body and
the tangents are transposed gradients, so a new row is checked by being registered.

In: the rows with their samples. Examples are made by scaling a sample's tensors; what the mapped
row gives is compared with the row called for each example.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import rushlight as rl
from rushlight.autograd.forward import push
from rushlight.autograd.forward import sources as on_tape
from rushlight.base.pytree import tree_flatten, tree_unflatten
from rushlight.base.settings import SETTINGS
from rushlight.ops import load_families
from rushlight.ops.registry import TABLE, Op

load_families()
SAMPLED = [
    row for name, row in sorted(TABLE.items()) if row.samples and not name.startswith("restride_")
]
REFUSING = frozenset({"floor_divide", "heaviside"})  # their rule is a refusal, as in PyTorch
SMOOTH = [
    row
    for row in SAMPLED
    if row.rules and not row.nondifferentiable and row.__name__ not in REFUSING
]
EXAMPLES = 3


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meaning, not code: nothing is compiled (tests/func/test_vmap.py runs compiled programs)."""
    monkeypatch.setattr(SETTINGS, "interpret", True)


def maker(name: str) -> Callable[..., np.ndarray]:
    """Seeded random arrays: floats and integers in [low, high), fair bools."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))

    def make(
        *shape: int, dtype: Any = "float64", low: float = -2.0, high: float = 2.0
    ) -> np.ndarray:
        kind = np.dtype(dtype)
        if kind.kind == "b":
            return np.asarray(generator.random(shape) < 0.5)
        if kind.kind in "iu":
            return np.asarray(generator.integers(int(low), int(high), shape)).astype(kind)
        return np.asarray(generator.uniform(low, high, shape)).astype(kind)

    return make


def calls(row: Op) -> Iterator[tuple[Callable, list, list[str]]]:
    """(a function of the sample's tensors alone, these tensors, their parameters' names) for each
    sample of a row.
    """
    assert row.samples is not None
    for args, kwargs in row.samples(maker(row.__name__)):
        bound = row.bind(tuple(args), kwargs)
        leaves, spec = tree_flatten(bound)
        owners = [name for name, x in zip(row.names, bound) for _ in tree_flatten(x)[0]]
        places = [k for k, x in enumerate(leaves) if isinstance(x, np.ndarray)]

        def call(
            *tensors: Any, leaves: Any = leaves, spec: Any = spec, places: Any = places
        ) -> Any:
            filled = list(leaves)
            for k, x in zip(places, tensors):
                filled[k] = x
            return row(*tree_unflatten(filled, spec))

        yield call, [rl.tensor(leaves[k].copy()) for k in places], [owners[k] for k in places]


def several(x: Any) -> Any:
    """Different examples of a tensor: floats scaled a little, others as they are or turned."""
    if not x.dtype.is_floating_point:
        return rl.stack([x, x, x])
    return rl.stack([x * (1 - 0.125 * k) for k in range(EXAMPLES)])


def outputs(made: Any) -> list:
    return [x for x in (made if isinstance(made, tuple) else (made,)) if x is not None]


def agree(found: Any, wanted: Any, what: str) -> None:
    assert found.shape == wanted.shape, what
    assert found.dtype is wanted.dtype, what
    np.testing.assert_allclose(
        np.asarray(found.detach()), np.asarray(wanted.detach()), rtol=1e-9, atol=1e-9, err_msg=what
    )


@pytest.mark.parametrize("row", SAMPLED, ids=lambda row: row.__name__)
def test_vmap_is_a_loop(row: Op) -> None:
    for call, tensors, _ in calls(row):
        for mapped in {1, len(tensors)} - {0}:
            if not tensors:
                continue
            many = [several(x) for x in tensors[:mapped]]
            dims = (0,) * mapped + (None,) * (len(tensors) - mapped)
            found = outputs(rl.vmap(call, in_dims=dims)(*many, *tensors[mapped:]))
            loop = [
                outputs(call(*(m[k] for m in many), *tensors[mapped:])) for k in range(EXAMPLES)
            ]
            for number, (x, each) in enumerate(zip(found, zip(*loop))):
                agree(x, rl.stack(list(each)), f"output {number}, {mapped} mapped")


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.__name__)
def test_tangents_are_transposed_gradients(row: Op) -> None:
    """Re <u, J t> = Re <J* u, t> for each sample."""
    targets = {name for rule in row.rules for name in rule.targets}
    for call, tensors, names in calls(row):
        chosen = [k for k, name in enumerate(names) if name in targets]
        start = on_tape([tensors[k] for k in chosen])
        with start:
            given = list(tensors)
            for k, x in zip(chosen, start.tensors):
                given[k] = x
            made = [x for x in outputs(call(*given)) if x.requires_grad]
            floats = [x for x in start.tensors if x.requires_grad]
            if not made or not floats:
                continue
            tangents = [waves(x, 7) for x in floats]
            weights = [waves(x, 3) for x in made]
            try:
                pulled = rl.autograd.grad(
                    made, floats, weights, allow_unused=True, retain_graph=True
                )
            except NotImplementedError:
                pytest.skip("neither PyTorch nor we have a gradient of it")
            pushed = push(made, {x._grad_fn: [t] for x, t in zip(floats, tangents)}, False)
        np.testing.assert_allclose(
            products(weights, pushed), products(pulled, tangents), rtol=1e-7, atol=1e-9
        )


def waves(like: Any, frequency: int) -> Any:
    """Numbers without a pattern in the shape and dtype of a tensor."""
    at = rl.arange(like.numel(), dtype=rl.float64) * frequency
    return rl.sin(at + 1).reshape(like.shape).to(like.dtype)


def products(some: Any, others: Any) -> float:
    """The real inner product of two lists of tensors, None being zero."""
    pairs = [(a, b) for a, b in zip(some, others) if a is not None and b is not None]
    return sum(float(rl.real((a * b.conj()).sum()).detach()) for a, b in pairs)
