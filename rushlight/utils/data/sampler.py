"""Samplers: in which order a data set is read, after `torch.utils.data`.

In: a data set's length, or indices or weights. Out: an iterator over indices, or over lists of
them.
Invariant: for the same seed the drawn orders are PyTorch's; nothing is drawn before iteration
begins.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import rushlight

if TYPE_CHECKING:
    from rushlight import Generator

Index = TypeVar("Index", covariant=True)

# PyTorch draws indices with replacement in portions of this many; the stream depends on it.
_DRAWS_AT_ONCE = 32


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={value}")


def draw_seed(generator: Generator | None = None) -> int:
    """One 63-bit seed from a generator (the default one if None), as PyTorch's loaders draw it."""
    cell = rushlight.empty((), dtype=rushlight.int64).random_(generator=generator)
    return int(cell.item())


class Sampler(Generic[Index]):
    """Base of all samplers: subclasses define `__iter__`, and `__len__` where it is known."""

    def __iter__(self) -> Iterator[Index]:
        raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ... (`torch.utils.data.SequentialSampler`).

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """A random order (`torch.utils.data.RandomSampler`).

    Without replacement: permutations one after the other until `num_samples` indices (the length by
    default) are drawn. With replacement: independent draws. Without a `generator`, each iteration
    seeds a fresh one from the default generator.
    Errors: TypeError for a replacement that is not a bool, ValueError for num_samples < 1.

    >>> import rushlight as rl
    >>> order = list(RandomSampler(range(4), generator=rl.Generator().manual_seed(0)))
    >>> sorted(order)
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(
                f"replacement should be a boolean value, but got replacement={replacement}"
            )
        _check_count("num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        generator = self.generator
        if generator is None:
            generator = rushlight.Generator()
            generator.manual_seed(draw_seed())
        size = len(self.data_source)
        draw = self._independent if self.replacement else self._permutations
        yield from draw(size, generator)

    def _independent(self, size: int, generator: Generator) -> Iterator[int]:
        whole, rest = divmod(self.num_samples, _DRAWS_AT_ONCE)
        for count in [_DRAWS_AT_ONCE] * whole + [rest]:
            yield from rushlight.randint(
                high=size, size=(count,), dtype=rushlight.int64, generator=generator
            ).tolist()

    def _permutations(self, size: int, generator: Generator) -> Iterator[int]:
        whole, rest = divmod(self.num_samples, size)
        for count in [size] * whole + [rest]:
            yield from rushlight.randperm(size, generator=generator).tolist()[:count]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Given indices in random order (`torch.utils.data.SubsetRandomSampler`).

    >>> sorted(SubsetRandomSampler([3, 5]))
    [3, 5]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        order = rushlight.randperm(len(self.indices), generator=self.generator).tolist()
        yield from (self.indices[each] for each in order)

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices drawn with given relative weights (`torch.utils.data.WeightedRandomSampler`).

    Errors: ValueError for a bad num_samples or replacement, or weights that are not
    one-dimensional.

    >>> list(WeightedRandomSampler([0.0, 1.0], 3))
    [1, 1, 1]
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        _check_count("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(
                f"replacement should be a boolean value, but got replacement={replacement}"
            )
        self.weights = rushlight.as_tensor(weights, dtype=rushlight.float64)
        if self.weights.dim() != 1:
            raise ValueError(
                "weights should be a 1d sequence but given weights have shape "
                f"{tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        drawn = rushlight.multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        )
        yield from drawn.tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` indices of another sampler (`torch.utils.data.BatchSampler`).

    The last list may be shorter, or is left out with `drop_last`.
    Errors: ValueError for a bad batch_size or drop_last.

    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        _check_count("batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        total = len(self.sampler)  # type: ignore[arg-type]
        return total // self.batch_size if self.drop_last else -(-total // self.batch_size)


class DistributedSampler(Sampler[int]):
    """The share of one process out of several (`torch.utils.data.distributed.DistributedSampler`).

    Process `rank` of `num_replicas` gets every num_replicas-th index of an order that depends on
    `seed` and `set_epoch` only. All shares have the same length: indices are repeated from the
    start, or with `drop_last` left out at the end.
    Errors: RuntimeError unless num_replicas and rank are given; ValueError for a rank out of range.

    >>> list(DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False))
    [1, 3, 0]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None:  # what the default process group says
            num_replicas = rushlight.distributed.get_world_size()
        if rank is None:
            rank = rushlight.distributed.get_rank()
        if not 0 <= rank < num_replicas:
            raise ValueError(
                f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]"
            )
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        length = len(dataset)
        self.num_samples = length // num_replicas if drop_last else -(-length // num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        indices = list(range(len(self.dataset)))
        if self.shuffle:
            generator = rushlight.Generator()
            generator.manual_seed(self.seed + self.epoch)
            indices = rushlight.randperm(len(indices), generator=generator).tolist()
        padded = itertools.islice(itertools.cycle(indices), self.total_size)
        return itertools.islice(padded, self.rank, None, self.num_replicas)

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next iteration; every process has to set the same epoch."""
        self.epoch = epoch
