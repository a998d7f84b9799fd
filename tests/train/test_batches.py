"""Batches depend on seed, epoch and number alone."""

import numpy
import pytest

import rushlight as rl
from rushlight.train.batches import Batches, mix
from rushlight.train.preprocessing import Preprocessing
from rushlight.train.problems import RunError
from rushlight.train.samples import Sample, list_samples
from rushlight.train.settings import DataSettings

SHAPE = Preprocessing(8, 1, (0.5,), (0.5,))


def _batches(count=21, size=5, **more):
    samples = list_samples(DataSettings()).samples[:count]
    return Batches(samples, SHAPE, size, max_pixels=10**9, **more)


def _arrays(batches, epoch=0, first=0):
    return [(images.numpy(), labels.numpy()) for images, labels in batches.of_epoch(epoch, first)]


def _same(one, two):
    return len(one) == len(two) and all(
        (a == c).all() and (b == d).all() for (a, b), (c, d) in zip(one, two, strict=True)
    )


def test_without_augmentation_samples_come_in_order():
    batches = _batches()
    read = _arrays(batches)
    assert [len(labels) for _, labels in read] == [5, 5, 5, 5, 1]
    stacked = numpy.concatenate([images for images, _ in read])[..., 0]
    assert (stacked == numpy.stack([s.pixels for s in batches.samples])).all()


def test_a_single_last_training_sample_joins_the_batch_before_it():
    read = _arrays(_batches(augment="none"))
    assert [len(labels) for _, labels in read] == [5, 5, 5, 6]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_can_be_entered_at_any_batch(workers):
    whole = _arrays(_batches(augment="affine", seed=1), epoch=2)
    batches = _batches(augment="affine", seed=1, workers=workers)
    for first in (0, 2, 3):
        assert _same(_arrays(batches, 2, first), whole[first:])


def test_epochs_and_seeds_differ():
    batches = _batches(augment="affine", seed=1)
    assert not _same(_arrays(batches, 0), _arrays(batches, 1))
    assert not _same(_arrays(batches, 0), _arrays(_batches(augment="affine", seed=2), 0))
    assert mix(1, 2) != mix(2, 1)


def test_reading_leaves_the_global_generator_alone():
    rl.manual_seed(4)
    expected = rl.rand(3)
    rl.manual_seed(4)
    _arrays(_batches(augment="affine"))
    assert rl.equal(rl.rand(3), expected)


def test_a_file_that_vanished_is_named(tmp_path):
    lost = Sample(str(tmp_path / "lost.png"), 0)
    with pytest.raises(RunError, match=r"lost.png: no such file"):
        list(Batches([lost], SHAPE, 2, max_pixels=100).of_epoch())


def test_normalising_shifts_and_scales_each_channel():
    shape = Preprocessing(1, 3, (0.0, 0.5, 1.0), (1.0, 0.5, 0.25))
    pixels = rl.tensor([[[[255, 255, 255]]], [[[0, 0, 0]]]], dtype=rl.uint8)
    assert shape.normalise(pixels).reshape(2, 3).tolist() == [[1, 1, 0], [0, -1, -4]]
