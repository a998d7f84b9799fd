"""Samplers: the same orders as torch.utils.data for the same seeds."""

import pytest

import rushlight as rl
from rushlight.utils import data

torch = pytest.importorskip("torch")
theirs = torch.utils.data


def generators(seed):
    return rl.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_samples": 25},
        {"num_samples": 20},
        {"replacement": True},
        {"replacement": True, "num_samples": 70},
        {"replacement": True, "num_samples": 64},
    ],
)
def test_random_sampler_draws_like_torch(options):
    """Permutations and draws with replacement, over two passes of one generator."""
    mine, other = generators(11)
    ours = data.RandomSampler(range(10), generator=mine, **options)
    expected = theirs.RandomSampler(range(10), generator=other, **options)
    assert len(ours) == len(expected)
    for _ in range(2):
        assert list(ours) == list(expected)


def test_random_sampler_seeds_itself_from_the_default_generator():
    """Without a generator the order follows manual_seed."""
    rl.manual_seed(5)
    ours = list(data.RandomSampler(range(30)))
    torch.manual_seed(5)
    assert ours == list(theirs.RandomSampler(range(30)))


def test_subset_and_weighted_samplers_draw_like_torch():
    """Permuted indices, and multinomial draws with and without replacement."""
    mine, other = generators(2)
    indices = [3, 1, 4, 1, 5, 9, 2, 6]
    ours = list(data.SubsetRandomSampler(indices, mine))
    assert ours == list(theirs.SubsetRandomSampler(indices, other))
    weights = [0.1, 0.2, 0.3, 4.0, 0.5]
    for count, replacement in ((12, True), (4, False)):
        ours = data.WeightedRandomSampler(weights, count, replacement, mine)
        expected = theirs.WeightedRandomSampler(weights, count, replacement, other)
        assert list(ours) == list(expected)
        assert len(ours) == count


def test_nothing_is_drawn_before_iteration():
    """Making a sampler's iterator leaves the generator alone."""
    mine = rl.Generator().manual_seed(1)
    before = mine.get_state().tolist()
    for sampler in (
        data.RandomSampler(range(4), generator=mine),
        data.SubsetRandomSampler([1], mine),
    ):
        iter(sampler)
    assert mine.get_state().tolist() == before


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("count", [0, 4, 5])
def test_batch_sampler(drop_last, count):
    """Full batches, and the rest unless dropped."""
    ours = data.BatchSampler(range(count), 2, drop_last)
    expected = theirs.BatchSampler(range(count), 2, drop_last)
    assert list(ours) == list(expected)
    assert len(ours) == len(expected)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 16])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_distributed_sampler_shares_like_torch(length, drop_last, shuffle):
    """Every rank's share, for two epochs."""
    for rank in range(4):
        options = {"num_replicas": 4, "rank": rank, "shuffle": shuffle, "drop_last": drop_last}
        ours = data.DistributedSampler(range(length), seed=3, **options)
        expected = theirs.distributed.DistributedSampler(range(length), seed=3, **options)
        for epoch in range(2):
            ours.set_epoch(epoch)
            expected.set_epoch(epoch)
            assert list(ours) == list(expected)
            assert len(ours) == len(expected)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda m: m.RandomSampler(range(3), replacement=1), TypeError),
        (lambda m: m.RandomSampler(range(3), num_samples=0), ValueError),
        (lambda m: m.RandomSampler([]), ValueError),
        (lambda m: m.WeightedRandomSampler([[1.0]], 1), ValueError),
        (lambda m: m.WeightedRandomSampler([1.0], True), ValueError),
        (lambda m: m.WeightedRandomSampler([1.0], 1, 0), ValueError),
        (lambda m: m.BatchSampler([1], 0, False), ValueError),
        (lambda m: m.BatchSampler([1], 1, 0), ValueError),
        (lambda m: m.DistributedSampler([1], 2, 2), ValueError),
    ],
)
def test_bad_options_raise_like_torch(make, error):
    """The same error types for the same mistakes."""
    for module in (data, theirs):
        with pytest.raises(error):
            make(module)


def test_distributed_sampler_needs_its_rank():
    """There is no process group to ask."""
    with pytest.raises(ValueError, match="process group has not been initialized"):
        data.DistributedSampler(range(3))
