"""Dividing samples into training, validation and test.

What comes in: samples, some of which may name their split. What goes out: three lists of samples.
Invariant: the division depends on the samples, the shares and the seed alone; each class is
divided in the same shares; a class of few samples keeps at least one for training.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy

from .problems import RunError
from .samples import Sample

__all__ = ["Splits", "divide"]


class Splits(NamedTuple):
    """The three parts of a data set."""

    train: list[Sample]
    val: list[Sample]
    test: list[Sample]


def divide(
    samples: list[Sample], classes: int, val_fraction: float, test_fraction: float, seed: int
) -> Splits:
    """Give each sample its split.

    Samples that name a split stay there. A held-out split that no sample names is drawn, class by
    class, from those that are not held out. Totals are the shares of all samples rounded up.
    Raises `RunError` if a part would be empty.
    """
    if val_fraction + test_fraction >= 1:
        raise RunError(
            f"data.val_fraction + data.test_fraction: {val_fraction:g} + {test_fraction:g} "
            "leave nothing to train on"
        )
    parts: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    given = {sample.split for sample in samples}
    wanted = {"val": val_fraction, "test": test_fraction}
    drawn = [name for name in ("test", "val") if name not in given]
    pool = [sample for sample in samples if sample.split is None or sample.split == "train"]
    for name in ("val", "test"):
        parts[name] += [sample for sample in samples if sample.split == name]
    if not drawn:
        parts["train"] = pool
    else:
        totals = [math.ceil(wanted[name] * len(samples) - 1e-9) for name in drawn]
        for name, part in zip([*drawn, "train"], _draw(pool, classes, totals, seed), strict=True):
            parts[name] += part
    for name, part in parts.items():
        if not part:
            raise RunError(f"data.path: no sample is left for the {name} split of {len(samples)}")
    order = {id(sample): index for index, sample in enumerate(samples)}
    return Splits(*(sorted(parts[name], key=lambda s: order[id(s)]) for name in Splits._fields))


def _draw(pool: list[Sample], classes: int, totals: list[int], seed: int) -> list[list[Sample]]:
    """Draw parts of the given sizes with every class in its share; the rest comes last."""
    generator = numpy.random.Generator(numpy.random.PCG64(seed))
    by_class: list[list[Sample]] = [[] for _ in range(classes)]
    for sample in pool:
        by_class[sample.label].append(sample)
    for members in by_class:
        generator.shuffle(members)
    taken = [0] * classes
    parts: list[list[Sample]] = []
    for total in totals:
        part: list[Sample] = []
        for label, count in enumerate(_shares([len(m) for m in by_class], taken, total)):
            part += by_class[label][taken[label] : taken[label] + count]
            taken[label] += count
        parts.append(part)
    rest = [sample for label, m in enumerate(by_class) for sample in m[taken[label] :]]
    return [*parts, rest]


def _shares(sizes: list[int], taken: list[int], total: int) -> list[int]:
    """How many of each class make up `total`: proportional, by largest remainder.

    One sample of each class is always left for training, so small classes may give fewer.
    """
    everything = max(sum(sizes), 1)
    exact = [total * size / everything for size in sizes]
    free = [max(size - used - 1, 0) for size, used in zip(sizes, taken, strict=True)]
    counts = [min(math.floor(value), room) for value, room in zip(exact, free, strict=True)]
    by_remainder = sorted(range(len(sizes)), key=lambda label: counts[label] - exact[label])
    missing = total - sum(counts)
    while missing > 0 and any(free[label] > counts[label] for label in by_remainder):
        for label in by_remainder:
            if missing > 0 and free[label] > counts[label]:
                counts[label] += 1
                missing -= 1
    return counts
