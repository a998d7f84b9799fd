"""The division of samples: whole, stratified, repeatable."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushlight.train.problems import RunError
from rushlight.train.samples import Sample, list_samples
from rushlight.train.settings import DataSettings
from rushlight.train.splits import divide


def _samples(sizes, split=None):
    return [
        Sample(f"{label}/{index}", label, split)
        for label, size in enumerate(sizes)
        for index in range(size)
    ]


@given(
    st.lists(st.integers(3, 60), min_size=2, max_size=6),
    st.floats(0.05, 0.4),
    st.floats(0.05, 0.4),
    st.integers(0, 5),
)
def test_every_sample_stands_once_and_classes_keep_their_shares(sizes, val, test, seed):
    samples = _samples(sizes)
    splits = divide(samples, len(sizes), val, test, seed)
    together = [sample.name for part in splits for sample in part]
    assert sorted(together) == sorted(sample.name for sample in samples)
    counts = Counter(sample.label for sample in splits.test)
    for label, size in enumerate(sizes):
        share = size * math.ceil(test * len(samples)) / len(samples)
        assert abs(counts[label] - share) <= 1 or counts[label] >= size - 2
    assert {sample.label for sample in splits.train} == set(range(len(sizes)))


def test_the_digits_give_360_test_images():
    listing = list_samples(DataSettings())
    splits = divide(listing.samples, 10, 0.1, 0.2, 0)
    assert [len(part) for part in splits] == [1257, 180, 360]


def test_the_seed_decides():
    samples = _samples([30, 30])
    assert divide(samples, 2, 0.1, 0.2, 3) == divide(samples, 2, 0.1, 0.2, 3)
    assert divide(samples, 2, 0.1, 0.2, 3) != divide(samples, 2, 0.1, 0.2, 4)


def test_given_splits_are_kept_and_missing_ones_drawn_from_training():
    samples = _samples([20, 20], "train") + _samples([3, 3], "test")
    splits = divide(samples, 2, 0.1, 0.2, 0)
    assert [sample.split for sample in splits.test] == ["test"] * 6
    assert len(splits.val) == math.ceil(0.1 * 46)
    assert {sample.split for sample in splits.val} == {"train"}


def test_parts_that_would_be_empty_are_refused():
    with pytest.raises(RunError, match="no sample is left for the val split"):
        divide(_samples([2, 2]), 2, 0.0, 0.3, 0)
    with pytest.raises(RunError, match="leave nothing to train on"):
        divide(_samples([9, 9]), 2, 0.5, 0.5, 0)
