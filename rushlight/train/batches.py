"""Batches of images in an order that can be found again.

What comes in: samples, a preprocessing, a seed. What goes out: for any epoch, and from any step of
it, batches `(N, H, W, C) bytes, labels`. Invariant: batch `b` of epoch `e` depends on the samples,
the seed, `e` and `b` alone: not on the batches before it, not on the number of worker processes.
That is what makes a run resumable at any step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy
from PIL import Image

import rushlight
from rushlight import Tensor
from rushlight.utils.data import DataLoader, Dataset
from rushlight.vision.images import ImageProblem

from .inspection import open_sample
from .preprocessing import AUGMENTATIONS, Preprocessing
from .problems import RunError
from .samples import Sample

__all__ = ["Batches", "mix"]


class _Request(NamedTuple):
    """Which samples a batch holds, and the seed of its random transforms (None: there are none)."""

    seed: int | None
    indices: list[int]


class _Refusal(NamedTuple):
    """Answer to a request for a file that can no longer be read; a message crosses processes."""

    message: str


def mix(*numbers: int) -> int:
    """One seed of several whole numbers, well spread (numpy's SeedSequence)."""
    return int(numpy.random.SeedSequence(numbers).generate_state(1, numpy.uint64)[0] >> 1)


class _Reader(Dataset["tuple[numpy.ndarray, numpy.ndarray] | _Refusal"]):
    """Reads whole batches: a request in, stacked bytes and labels out."""

    def __init__(
        self,
        samples: list[Sample],
        preprocessing: Preprocessing,
        transform: Callable[[Image.Image], Image.Image],
        max_pixels: int,
    ) -> None:
        self.samples = samples
        self.preprocessing = preprocessing
        self.transform = transform
        self.max_pixels = max_pixels

    def __getitem__(self, request: _Request) -> tuple[numpy.ndarray, numpy.ndarray] | _Refusal:
        if request.seed is None:
            return self._read(request.indices)
        # The transforms draw from the one global generator. Borrow it: dropout's place in the
        # stream must not depend on where images are read.
        state = rushlight.get_rng_state()
        rushlight.manual_seed(request.seed)
        try:
            return self._read(request.indices)
        finally:
            rushlight.set_rng_state(state)

    def _read(self, indices: list[int]) -> tuple[numpy.ndarray, numpy.ndarray] | _Refusal:
        chosen = [self.samples[index] for index in indices]
        shape = self.preprocessing
        try:
            images = [open_sample(sample, shape.channels, self.max_pixels) for sample in chosen]
        except ImageProblem as problem:
            return _Refusal(str(problem))
        arrays = [shape.to_array(self.transform(image)) for image in images]
        labels = numpy.array([sample.label for sample in chosen], dtype=numpy.int64)
        return numpy.stack(arrays), labels


class Batches:
    """The batches of one split; shuffled and augmented anew each epoch if `augment` is given."""

    def __init__(
        self,
        samples: list[Sample],
        preprocessing: Preprocessing,
        batch_size: int,
        *,
        seed: int = 0,
        augment: str | None = None,
        workers: int = 0,
        max_pixels: int,
    ) -> None:
        self.samples = samples
        self.batch_size = batch_size
        self.seed = seed
        self.shuffled = augment is not None
        self.random = augment not in (None, "none")
        self.workers = workers
        transform = AUGMENTATIONS[augment or "none"](preprocessing)
        self.reader = _Reader(samples, preprocessing, transform, max_pixels)

    def __len__(self) -> int:
        return len(self._slices())

    def _slices(self) -> list[slice]:
        """Where each batch begins and ends. A single last sample joins the batch before it:

        the statistics of a batch of one mean nothing, and batch norm refuses them.
        """
        count = len(self.samples)
        begins = list(range(0, count, self.batch_size))
        if self.shuffled and len(begins) > 1 and count - begins[-1] == 1:
            begins.pop()
        return [slice(a, b) for a, b in zip(begins, [*begins[1:], count], strict=True)]

    def _requests(self, epoch: int) -> list[_Request]:
        order = numpy.arange(len(self.samples))
        if self.shuffled:
            generator = rushlight.Generator()
            generator.manual_seed(mix(self.seed, epoch))
            order = rushlight.randperm(len(self.samples), generator=generator).numpy()
        return [
            _Request(
                mix(self.seed, epoch, number) if self.random else None,
                [int(index) for index in order[part]],
            )
            for number, part in enumerate(self._slices())
        ]

    def of_epoch(self, epoch: int = 0, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of `epoch`, beginning with number `first`."""
        requests = self._requests(epoch)[first:]
        # Each "sample" of the loader is a whole batch: its workers need no collation. A generator
        # of its own keeps the loader from drawing from the global stream whenever it starts.
        loader = DataLoader(
            self.reader,
            batch_size=None,
            sampler=requests,  # type: ignore[arg-type]
            num_workers=min(self.workers, len(requests)),
            generator=rushlight.Generator(),
        )
        for answer in loader:
            if isinstance(answer, _Refusal):
                raise RunError(answer.message)
            # Copies in memory of our own: what is lent (an array, a worker's shared memory) must be
            # read at once, and would split a step at another place for each way of reading.
            images, labels = answer
            yield images.clone(), labels.clone()
