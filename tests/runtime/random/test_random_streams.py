"""The random streams against PyTorch's, bit for bit, numbers and state."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from rushlight.base import dtype as dtypes
from rushlight.runtime import random as streams

torch = pytest.importorskip("torch")

SEEDS = (0, 1, 2**31 + 7, 2**64 - 1, -3)
SIZES = (*range(41), 1000, 100003)
FLOATS = ("float32", "float64", "bfloat16", "float16")


def bits(tensor: torch.Tensor) -> np.ndarray:
    """A tensor as our storage form: bfloat16 as its bits."""
    tensor = tensor.contiguous()
    return (
        tensor.view(torch.int16).numpy().view(np.uint16)
        if tensor.dtype == torch.bfloat16
        else tensor.numpy()
    )


class Pair:
    """Our generator and PyTorch's, in step."""

    def __init__(self, seed: int) -> None:
        self.ours = streams.Mt19937(seed)
        self.theirs = torch.Generator().manual_seed(seed)

    def check(self, ours: np.ndarray, theirs: torch.Tensor) -> None:
        expected = bits(theirs)
        assert ours.dtype == expected.dtype
        np.testing.assert_array_equal(ours, expected)
        np.testing.assert_array_equal(self.ours.get_state(), self.theirs.get_state().numpy())


@pytest.mark.parametrize("seed", [*SEEDS, 2**63, -(2**63)])
def test_seed(seed: int) -> None:
    pair = Pair(seed)
    assert pair.ours.initial_seed() == pair.theirs.initial_seed()
    pair.check(pair.ours.get_state(), pair.theirs.get_state())


@pytest.mark.parametrize(
    ("seed", "error"),
    [(2**64, ValueError), (-(2**63) - 1, ValueError), (1.0, RuntimeError), (True, RuntimeError)],
)
def test_bad_seed(seed: object, error: type[Exception]) -> None:
    for generator in (streams.Mt19937(), torch.Generator()):
        with pytest.raises(error):
            generator.manual_seed(seed)


def test_default_seed() -> None:
    assert torch.Generator().initial_seed() == streams.DEFAULT_SEED
    assert streams.Mt19937().seed() != streams.Mt19937().seed()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-2.5, 7.3), (-0.1, 0.1), (3.0, 3.0)])
def test_uniform(dtype: str, bounds: tuple[float, float]) -> None:
    for size in SIZES:
        pair = Pair(size)
        ours = streams.uniform(pair.ours, size, dtypes.named(dtype), *bounds)
        empty = torch.empty(size, dtype=getattr(torch, dtype))
        pair.check(ours, empty.uniform_(*bounds, generator=pair.theirs))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "parameters", [(0.0, 1.0), (1.3, 0.37), (-5.0, 0.0), (0.0, math.sqrt(2 / 9))]
)
def test_normal(dtype: str, parameters: tuple[float, float]) -> None:
    for size in SIZES:
        pair = Pair(size)
        for _ in range(2):
            ours = streams.normal(pair.ours, size, dtypes.named(dtype), *parameters)
            empty = torch.empty(size, dtype=getattr(torch, dtype))
            pair.check(ours, empty.normal_(*parameters, generator=pair.theirs))


def test_normal_many() -> None:
    pair = Pair(11)
    count = 1 << 21
    pair.check(streams.normal(pair.ours, count), torch.randn(count, generator=pair.theirs))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["exponential", "cauchy", "log_normal", "geometric"])
def test_other_continuous(dtype: str, name: str) -> None:
    parameters = {
        "exponential": (0.7,),
        "cauchy": (1.0, 2.5),
        "log_normal": (0.3, 1.2),
        "geometric": (0.2,),
    }[name]
    for size in (0, 1, 2, 7, 16, 33, 1000, 20011):
        pair = Pair(size)
        draw: Callable[..., np.ndarray] = getattr(streams, name)
        if name == "geometric":
            ours = streams.geometric(pair.ours, size, *parameters, dtypes.named(dtype))
        else:
            ours = draw(pair.ours, size, dtypes.named(dtype), *parameters)
        empty = torch.empty(size, dtype=getattr(torch, dtype))
        pair.check(ours, getattr(empty, f"{name}_")(*parameters, generator=pair.theirs))


RANGES = [
    ("int64", 0, 10), ("int64", -5, 2**28 - 6), ("int64", -5, 2**28), ("int64", 0, 2**32),
    ("int64", 0, 2**63 - 1), ("int64", -(2**63), 2**63 - 1), ("int32", -(2**31), 2**31 - 1),
    ("uint8", 3, 256), ("int8", -128, 128), ("int16", 0, 3), ("bool", 0, 2), ("float32", -7, 20),
    ("float32", 0, 2**24 + 1), ("float64", 0, 2**53), ("float16", 0, 2048), ("float16", 0, 65504),
    ("bfloat16", 0, 256), ("bfloat16", -1000, 1001),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("dtype", "low", "high"), RANGES)
def test_random_int(dtype: str, low: int, high: int) -> None:
    for size in (0, 1, 15, 1000, 100003):
        pair = Pair(size)
        ours = streams.random_int(pair.ours, size, low, high, dtypes.named(dtype))
        empty = torch.empty(size, dtype=getattr(torch, dtype))
        pair.check(ours, empty.random_(low, high, generator=pair.theirs))


ALL_INTEGER = ("bool", "uint8", "int8", "int16", "int32", "int64")


@pytest.mark.parametrize("dtype", [*ALL_INTEGER, *FLOATS])
def test_random_default(dtype: str) -> None:
    pair = Pair(5)
    empty = torch.empty(1001, dtype=getattr(torch, dtype))
    pair.check(
        streams.random_default(pair.ours, 1001, dtypes.named(dtype)),
        empty.random_(generator=pair.theirs),
    )
    ours = streams.random_from(pair.ours, 1001, 1, dtypes.named(dtype))
    pair.check(ours, empty.random_(1, None, generator=pair.theirs))


@pytest.mark.parametrize("dtype", ["int64", "float64", "float32", "bfloat16"])
def test_random_full_range(dtype: str) -> None:
    pair = Pair(5)
    empty = torch.empty(1001, dtype=getattr(torch, dtype))
    ours = streams.random_full_range(pair.ours, 1001, dtypes.named(dtype))
    pair.check(ours, empty.random_(-(2**63), None, generator=pair.theirs))


def test_permutation() -> None:
    for size in SIZES:
        pair = Pair(size)
        pair.check(
            streams.permutation(pair.ours, size), torch.randperm(size, generator=pair.theirs)
        )


def test_long_permutation() -> None:
    from rushlight.runtime.random.discrete import _long_permutation

    order = _long_permutation(streams.Mt19937(0), 1000)
    assert not np.array_equal(order, np.arange(1000))
    np.testing.assert_array_equal(np.sort(order), np.arange(1000))


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 1 / 3, 1.0])
def test_bernoulli(probability: float) -> None:
    for size in SIZES:
        pair = Pair(size)
        empty = torch.empty(size, dtype=torch.bool)
        pair.check(
            streams.bernoulli(pair.ours, size, probability),
            empty.bernoulli_(probability, generator=pair.theirs),
        )


@pytest.mark.parametrize("dtype", FLOATS)
def test_bernoulli_each(dtype: str) -> None:
    pair = Pair(3)
    probabilities = torch.linspace(0, 1, 1001).to(getattr(torch, dtype)).reshape(7, 143)
    values = probabilities.float().numpy() if dtype == "bfloat16" else probabilities.numpy()
    ours = streams.bernoulli(pair.ours, values.size, values)
    pair.check(ours, torch.bernoulli(probabilities, generator=pair.theirs).bool())


def test_dropout_mask_is_bernoulli() -> None:
    torch.manual_seed(9)
    kept = torch.nn.functional.dropout(torch.ones(1000), 0.3) != 0
    np.testing.assert_array_equal(streams.bernoulli(streams.Mt19937(9), 1000, 0.7), kept.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("shape", [(1,), (20,), (5, 30), (3, 1000)])
def test_multinomial(dtype: str, replacement: bool, shape: tuple[int, ...]) -> None:
    weights = (torch.rand(shape, generator=torch.Generator().manual_seed(1)) + 0.01).to(
        getattr(torch, dtype)
    )
    # bfloat16 quotients tie, and the order among ties is PyTorch's sorting's own business
    counts = (
        (1,) if dtype == "bfloat16" and not replacement else (1, max(1, shape[-1] // 2), shape[-1])
    )
    for count in counts:
        pair = Pair(count)
        ours = streams.multinomial(
            pair.ours, bits(weights), count, replacement, dtypes.named(dtype)
        )
        pair.check(ours, torch.multinomial(weights, count, replacement, generator=pair.theirs))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rejection(dtype: str) -> None:
    kind, of = getattr(torch, dtype), dtypes.named(dtype)
    source = torch.Generator().manual_seed(4)
    rates = torch.rand((30, 40), generator=source, dtype=kind) * 40
    rates[0, 0] = 0
    trials = torch.floor(torch.rand((30, 40), generator=source, dtype=kind) * 100)
    chances = torch.rand((30, 40), generator=source, dtype=kind)
    shapes = torch.rand((30, 40), generator=source, dtype=kind) * 3
    for seed in range(3):
        pair = Pair(seed)
        pair.check(streams.poisson(pair.ours, bits(rates), of), torch.poisson(rates, pair.theirs))
        ours = streams.binomial(pair.ours, bits(trials), bits(chances), of)
        pair.check(ours, torch.binomial(trials, chances, pair.theirs))
        ours = streams.gamma(pair.ours, bits(shapes), of)
        pair.check(ours, torch._standard_gamma(shapes, pair.theirs))
        ours = streams.dirichlet(pair.ours, bits(shapes + 0.1), of)
        theirs = torch._sample_dirichlet(shapes + 0.1, pair.theirs)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-6)
        np.testing.assert_array_equal(pair.ours.get_state(), pair.theirs.get_state().numpy())


def draw_mixed(pair: Pair, choice: int, size: int) -> tuple[np.ndarray, torch.Tensor]:
    """One draw of some kind from both generators."""
    ours, theirs = pair.ours, pair.theirs
    kinds: list[Callable[[], tuple[np.ndarray, torch.Tensor]]] = [
        lambda: (streams.uniform(ours, size), torch.rand(size, generator=theirs)),
        lambda: (streams.normal(ours, size), torch.randn(size, generator=theirs)),
        lambda: (streams.random_int(ours, size, 0, 7), torch.randint(7, (size,), generator=theirs)),
        lambda: (streams.permutation(ours, size), torch.randperm(size, generator=theirs)),
        lambda: (
            streams.bernoulli(ours, size, 0.4),
            torch.empty(size).bernoulli_(0.4, generator=theirs).bool(),
        ),
        lambda: (streams.exponential(ours, size), torch.empty(size).exponential_(generator=theirs)),
        lambda: (
            streams.poisson(ours, np.full(size, 2.0, np.float32)),
            torch.poisson(torch.full((size,), 2.0), theirs),
        ),
        lambda: (
            streams.gamma(ours, np.full(size, 0.5, np.float32)),
            torch._standard_gamma(torch.full((size,), 0.5), theirs),
        ),
    ]
    return kinds[choice % len(kinds)]()


@pytest.mark.parametrize("seed", SEEDS)
def test_mixed_sequence(seed: int) -> None:
    choices = np.random.default_rng(abs(seed) % 1000).integers(0, 1000, (60, 2))
    pair = Pair(seed)
    for choice, size in choices.tolist():
        pair.check(*draw_mixed(pair, choice, size % 41))


def test_all_words_used() -> None:
    pair = Pair(0)
    pair.check(streams.uniform(pair.ours, 624), torch.rand(624, generator=pair.theirs))
    pair.check(streams.uniform(pair.ours, 1), torch.rand(1, generator=pair.theirs))


@pytest.mark.parametrize("drawn", [0, 1, 100, 623, 624, 625])
def test_state_travels_both_ways(drawn: int) -> None:
    pair = Pair(8)
    torch.randn(3, generator=pair.theirs)
    torch.rand(drawn, generator=pair.theirs)
    pair.ours.set_state(pair.theirs.get_state().numpy())
    pair.check(pair.ours.get_state(), pair.theirs.get_state())
    pair.check(streams.normal(pair.ours, 5), torch.randn(5, generator=pair.theirs))
    pair.theirs.set_state(torch.from_numpy(pair.ours.clone().get_state()))
    pair.check(streams.normal(pair.ours, 5), torch.randn(5, generator=pair.theirs))


def test_bad_state() -> None:
    generator = streams.Mt19937()
    for state, error in (
        (np.zeros(streams.STATE_BYTES, np.uint8), RuntimeError),
        (np.zeros(100, np.uint8), RuntimeError),
        (np.zeros(streams.STATE_BYTES, np.float32), TypeError),
    ):
        with pytest.raises(error):
            generator.set_state(state)
        with pytest.raises(error):
            torch.Generator().set_state(torch.from_numpy(state))


LAYOUTS = [
    lambda: torch.empty(4, 8).t(),
    lambda: torch.empty(4, 8)[:, ::2],
    lambda: torch.empty(2, 3, 4, 5, memory_format=torch.channels_last),
    lambda: torch.empty(5, 3, 4).permute(2, 0, 1),
    lambda: torch.empty(6, 1, 6).permute(1, 2, 0)[:, 1:],
    lambda: torch.empty(20),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_other_layouts(layout: Callable[[], torch.Tensor]) -> None:
    tensor = layout()
    pair = Pair(2)
    shape, strides = tuple(tensor.shape), tensor.stride()
    ours = streams.arrange(streams.uniform(pair.ours, tensor.numel()), shape, strides)
    pair.check(ours, tensor.uniform_(generator=pair.theirs))
    drawn = streams.normal(pair.ours, tensor.numel(), contiguous=tensor.is_contiguous())
    pair.check(streams.arrange(drawn, shape, strides), tensor.normal_(generator=pair.theirs))


BAD_CALLS = [
    (
        lambda: streams.uniform(streams.Mt19937(), 3, dtypes.float32, 2, 1),
        lambda: torch.empty(3).uniform_(2, 1),
    ),
    (
        lambda: streams.uniform(streams.Mt19937(), 3, dtypes.int32),
        lambda: torch.empty(3).int().uniform_(),
    ),
    (
        lambda: streams.normal(streams.Mt19937(), 3, dtypes.float32, 0, -1),
        lambda: torch.empty(3).normal_(0, -1),
    ),
    (
        lambda: streams.normal(streams.Mt19937(), 3, dtypes.int32),
        lambda: torch.empty(3).int().normal_(),
    ),
    (lambda: streams.bernoulli(streams.Mt19937(), 3, 1.5), lambda: torch.empty(3).bernoulli_(1.5)),
    (
        lambda: streams.bernoulli(streams.Mt19937(), 1, np.array([1.5])),
        lambda: torch.bernoulli(torch.tensor([1.5])),
    ),
    (lambda: streams.random_int(streams.Mt19937(), 3, 5, 5), lambda: torch.randint(5, 5, (3,))),
    (
        lambda: streams.random_int(streams.Mt19937(), 3, 0, 300, dtypes.uint8),
        lambda: torch.randint(300, (3,), dtype=torch.uint8),
    ),
    (
        lambda: streams.random_default(streams.Mt19937(), 3, dtypes.uint16),
        lambda: torch.empty(3, dtype=torch.uint16).random_(),
    ),
    (lambda: streams.permutation(streams.Mt19937(), -1), lambda: torch.randperm(-1)),
    (
        lambda: streams.exponential(streams.Mt19937(), 3, rate=-1),
        lambda: torch.empty(3).exponential_(-1),
    ),
    (lambda: streams.cauchy(streams.Mt19937(), 3, sigma=-1), lambda: torch.empty(3).cauchy_(0, -1)),
    (
        lambda: streams.log_normal(streams.Mt19937(), 3, std=-1),
        lambda: torch.empty(3).log_normal_(0, -1),
    ),
    (lambda: streams.geometric(streams.Mt19937(), 3, 1.0), lambda: torch.empty(3).geometric_(1.0)),
    (
        lambda: streams.poisson(streams.Mt19937(), np.array([-1.0], np.float32)),
        lambda: torch.poisson(torch.tensor([-1.0])),
    ),
    (
        lambda: streams.gamma(streams.Mt19937(), np.array([1.0], np.float16), dtypes.float16),
        lambda: torch._standard_gamma(torch.tensor([1.0]).half()),
    ),
    (
        lambda: streams.multinomial(streams.Mt19937(), np.zeros(3, np.float32), 2),
        lambda: torch.multinomial(torch.zeros(3), 2),
    ),
    (
        lambda: streams.multinomial(streams.Mt19937(), np.ones(3, np.float32), 4),
        lambda: torch.multinomial(torch.ones(3), 4),
    ),
    (
        lambda: streams.multinomial(streams.Mt19937(), np.array([np.nan, 1], np.float32), 1),
        lambda: torch.multinomial(torch.tensor([torch.nan, 1]), 1),
    ),
]


@pytest.mark.parametrize(("ours", "theirs"), BAD_CALLS)
def test_errors(ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    with pytest.raises(Exception) as expected:
        theirs()
    with pytest.raises(expected.type):
        ours()
