"""Random tensors: for a seed, PyTorch's numbers, whatever fills them; and the state afterwards."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from agreement import agree

import rushlight as rl

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")


def part_filled(t: Any) -> Any:
    whole = t.zeros(6, 8)
    whole[:, 1:5].normal_(2, 3)
    return whole


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "rand": lambda t: [
        t.rand(3, 4),
        t.rand([2, 2]),
        t.rand(size=(2,)),
        t.rand(40, dtype=t.float16),
    ],
    "randn": lambda t: [
        t.randn(5, 7),
        t.randn(3),
        t.randn(40, dtype=t.bfloat16),
        t.randn(40, dtype=t.float64),
    ],
    "complex": lambda t: [t.randn(4, 5, dtype=t.complex64), t.rand(4, 5, dtype=t.complex64)],
    "randint": lambda t: [
        t.randint(3, 9, (3, 4)),
        t.randint(high=9, size=(3, 4)),
        t.randint(10, (4,), dtype=t.float32),
        t.randint(0, 2, (4,), dtype=t.bool),
    ],
    "randperm": lambda t: [t.randperm(20), t.randperm(5, dtype=t.float32)],
    "like": lambda t: [
        t.rand_like(t.ones(3, 4).t()),
        t.randn_like(t.ones(2, 3, 4, 5).permute(0, 2, 3, 1)),
        t.randint_like(t.ones(3), 5),
        t.randint_like(t.ones(3), 3, 9),
    ],
    "uniform_": lambda t: [
        t.empty(3, 4).uniform_(-1, 2),
        t.zeros(3, 4).t().uniform_(-1, 2),
        t.zeros(3, 4)[:, 1:3].uniform_(),
    ],
    "part": part_filled,
    "normal_": lambda t: t.zeros(6, 8)[:, 1:5].normal_(2, 3),
    "bernoulli": lambda t: [
        t.bernoulli(t.full((3, 4), 0.3)),
        t.bernoulli(t.rand(3, 4).t()),
        t.bernoulli(t.ones(3), 0.5),
    ],
    "bernoulli_": lambda t: [
        t.empty(20).bernoulli_(0.3),
        t.empty(3, 4).bernoulli_(t.full((4,), 0.3)),
        t.empty(30, dtype=t.int64).bernoulli_(0.4),
    ],
    "others": lambda t: [
        t.empty(20).exponential_(2.0),
        t.empty(20).cauchy_(),
        t.empty(20).log_normal_(),
        t.empty(20).geometric_(0.3),
    ],
    "random_": lambda t: [
        t.empty(20).random_(),
        t.empty(20, dtype=t.int64).random_(),
        t.empty(20).random_(5),
        t.empty(20).random_(3, 5),
    ],
    "multinomial": lambda t: [
        t.multinomial(t.rand(4, 6), 3),
        t.multinomial(t.rand(6), 9, replacement=True),
    ],
    "counts": lambda t: [
        t.poisson(t.rand(4, 5) * 20),
        t.binomial(t.full((5,), 10.0), t.full((5,), 0.4)),
    ],
    "normal": lambda t: [
        t.normal(t.arange(5.0), 2.0),
        t.normal(1.0, t.arange(5.0)),
        t.normal(t.arange(5.0), t.ones(3, 1)),
        t.normal(1.0, 2.0, (30,)),
    ],
    "dropout": lambda t: [
        t.dropout(t.ones(30), 0.3, True),
        t.dropout(t.ones(3, 7).t(), 0.3, True),
        t.dropout_(t.ones(30), 0.3, True),
        t.dropout(t.ones(3), 1.0, True),
        t.dropout(t.ones(3), 0.5, False),
        t.dropout(t.ones(30, dtype=t.bfloat16), 0.3, True),
    ],
    "other dropouts": lambda t: [
        t.feature_dropout(t.ones(3, 4, 5), 0.5, True),
        t.alpha_dropout(t.ones(30), 0.3, True),
        t.feature_alpha_dropout(t.ones(3, 4, 5), 0.3, True),
    ],
    "own generator": lambda t: t.rand(3, generator=t.Generator().manual_seed(5)),
    "out": lambda t: t.randn(3, out=t.empty(3)),
    "a leaf": lambda t: t.ones(3, requires_grad=True).uniform_(),
    "negative std": lambda t: t.ones(3).normal_(std=-1),
    "rand of ints": lambda t: t.rand(2, dtype=t.int64),
    "randint without a size": lambda t: t.randint(5, 2),
    "an empty range": lambda t: t.randint(5, 5, (2,)),
    "dropout outside": lambda t: t.dropout(t.ones(3), 2, True),
    "no weights": lambda t: t.multinomial(t.zeros(3), 1),
    "not a state": lambda t: t.set_rng_state(t.zeros(4)),
    "bernoulli of ints": lambda t: t.bernoulli(t.tensor([1])),
    "bernoulli outside": lambda t: t.bernoulli(t.tensor([2.0])),
    "negative rate": lambda t: t.poisson(t.tensor([-1.0])),
    "not a seed": lambda t: t.manual_seed("a"),
    "read before": lambda t: (lambda z: (z + 1, z.uniform_()))(t.ones(3)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    for module in (torch, rl):
        module.manual_seed(3)
    agree(PROGRAMS[name], tolerance=1e-6 if name == "other dropouts" else 0.0)
    assert rl.get_rng_state().tolist() == torch.get_rng_state().tolist()


def test_gradients_of_draws_are_zero() -> None:
    def program(t: Any) -> Any:
        t.manual_seed(0)
        x = t.full((4,), 0.5, requires_grad=True)
        (t.bernoulli(x) + t.poisson(x)).sum().backward()
        y = x * 2
        y.normal_()
        y.sum().backward()
        return x.grad

    agree(program)


def test_gradient_of_dropout() -> None:
    def program(t: Any) -> Any:
        t.manual_seed(0)
        x = t.ones(20, requires_grad=True)
        (t.dropout(x, 0.4, True) * t.arange(20.0)).sum().backward()
        return x.grad

    agree(program)


def test_states_go_both_ways_and_through_pickle() -> None:
    torch.manual_seed(11)
    torch.rand(7)
    rl.set_rng_state(rl.tensor(torch.get_rng_state().tolist(), dtype=rl.uint8))
    generator = rl.random.default_generator.clone_state()
    copied = pickle.loads(pickle.dumps(generator))
    expected = torch.randn(5).tolist()
    for source in (None, generator, copied):
        assert rl.randn(5, generator=source).tolist() == expected


def test_fork_rng() -> None:
    rl.manual_seed(1)
    with rl.random.fork_rng():
        inside = rl.rand(2).tolist()
    assert rl.rand(2).tolist() == inside
    assert (rl.initial_seed(), rl.random.initial_seed()) == (1, 1)


def test_seeding_from_entropy() -> None:
    assert rl.seed() == rl.initial_seed()
    assert rl.seed() != rl.seed()
