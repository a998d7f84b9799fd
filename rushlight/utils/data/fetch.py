"""Loading one batch from a data set, the same in the main process and in a worker.

In: what the index sampler yields: a list of indices, or one index without batching.
Out: the collated batch.
Invariant: `progress` always tells which position of the batch is being loaded, so that whoever has
to report an error, a death or a stall can name the item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Self

import numpy

from .dataset import IterableDataset, describe_item, loads_batches

# Positions that stand for no single item.
WHOLE_BATCH = -1
COLLATING = -2


class Progress:
    """Which position of the batch is being loaded: one cell, which may be memory shared by
    processes.
    """

    def __init__(self, cell: Any = None) -> None:
        self.cell = [WHOLE_BATCH] if cell is None else cell

    def set(self, position: int) -> None:
        self.cell[0] = position

    def get(self) -> int:
        return int(self.cell[0])


class BaseIterator:
    """What iterators over the batches of a `DataLoader` share: they are walked once, where they
    are.
    """

    def __iter__(self) -> Self:
        return self

    def __getstate__(self) -> NoReturn:
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")


class MapFetcher:
    """Fetch by index."""

    def __init__(
        self, dataset: Any, batched: bool, collate: Callable[[Any], Any], progress: Progress
    ) -> None:
        self.dataset, self.batched = dataset, batched
        self.collate, self.progress = collate, progress
        self.at_once = loads_batches(dataset)

    def fetch(self, index: Any) -> Any:
        self.progress.set(WHOLE_BATCH)
        if not self.batched:
            data = self.dataset[index]
        elif self.at_once:
            data = self.dataset.__getitems__(index)
        else:
            data = [self._load(position, each) for position, each in enumerate(index)]
        self.progress.set(COLLATING)
        return self.collate(data)

    def _load(self, position: int, index: Any) -> Any:
        self.progress.set(position)
        return self.dataset[index]


class IterableFetcher:
    """Fetch what comes next; StopIteration when nothing is left, or not enough for `drop_last`."""

    def __init__(
        self,
        dataset: Any,
        batched: bool,
        collate: Callable[[Any], Any],
        progress: Progress,
        drop_last: bool,
    ) -> None:
        self.items: Iterator[Any] = iter(dataset)
        self.batched, self.collate, self.progress = batched, collate, progress
        self.drop_last = drop_last
        self.ended = False

    def fetch(self, index: Any) -> Any:
        if self.ended:
            raise StopIteration
        if not self.batched:
            self.progress.set(WHOLE_BATCH)
            return self.collate(next(self.items))
        data = []
        for position in range(len(index)):
            self.progress.set(position)
            try:
                data.append(next(self.items))
            except StopIteration:
                self.ended = True
                break
        if not data or (self.drop_last and len(data) < len(index)):
            raise StopIteration
        self.progress.set(COLLATING)
        return self.collate(data)


def make_fetcher(
    dataset: Any,
    batched: bool,
    collate: Callable[[Any], Any],
    drop_last: bool,
    progress: Progress,
) -> MapFetcher | IterableFetcher:
    """The fetcher for this kind of data set."""
    if isinstance(dataset, IterableDataset):
        return IterableFetcher(dataset, batched, collate, progress, drop_last)
    return MapFetcher(dataset, batched, collate, progress)


def describe_place(dataset: Any, index: Any, position: int) -> str:
    """Say in words what is being done at `position` of the batch `index`."""
    if isinstance(dataset, IterableDataset):
        return (
            "collating a batch"
            if position == COLLATING
            else f"reading item {max(position, 0)} of a batch"
        )
    if position == COLLATING:
        return f"collating items {_shorten(index)}"
    if position == WHOLE_BATCH:
        single = not isinstance(index, (list, tuple, numpy.ndarray))
        return f"loading {describe_item(dataset, index) if single else f'items {_shorten(index)}'}"
    return f"loading {describe_item(dataset, index[position])}"


def _shorten(indices: Any) -> str:
    if not isinstance(indices, (list, tuple)) or len(indices) <= 8:
        return repr(indices)
    return f"[{', '.join(map(repr, indices[:8]))}, ... {len(indices)} in all]"
