"""Data sets: what a `DataLoader` reads, after `torch.utils.data`.

In: tensors, other data sets, or whatever a subclass opens.
Out: items by index (`Dataset`) or one after the other (`IterableDataset`).
Invariant: combining data sets never copies items; an index is translated until it reaches the data
set that owns the item, and `describe_item` follows the same way to name an item in an error.
"""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import rushlight

if TYPE_CHECKING:
    from rushlight import Generator, Tensor

Item = TypeVar("Item", covariant=True)


class Dataset(Generic[Item]):
    """Items by index (`torch.utils.data.Dataset`): subclasses define `__getitem__` and `__len__`.

    A subclass may also define `__getitems__(indices) -> list` to load a whole batch at once, and
    `path(index)` or a list `samples` of (file, label) pairs, from which errors take the file name.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, index):
    ...         return index * index
    >>> (Squares() + Squares())[4]
    1
    """

    def __getitem__(self, index: Any) -> Item:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[Item], Iterable[Item]):
    """Items one after the other (`torch.utils.data.IterableDataset`): subclasses define `__iter__`.

    With several workers each of them iterates over its own copy; `get_worker_info()` tells the
    copies apart, so that each can yield its own share.
    """

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Slices along the first axis of one or more tensors (`torch.utils.data.TensorDataset`).

    Errors: AssertionError unless all tensors have the same first size.

    >>> import rushlight as rl
    >>> data = TensorDataset(rl.arange(3), rl.arange(3) * 10)
    >>> [part.item() for part in data[2]]
    [2, 20]
    """

    def __init__(self, *tensors: Tensor) -> None:
        sizes = [tensor.size(0) for tensor in tensors]
        if any(size != sizes[0] for size in sizes):
            raise AssertionError(f"Size mismatch between tensors: first sizes are {sizes}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].size(0)


def _items(dataset: Any, indices: Sequence[Any]) -> list[Any]:
    """The items at `indices`, loaded at once where the data set can do that."""
    load = getattr(dataset, "__getitems__", None)
    if not callable(load):
        return [dataset[index] for index in indices]
    items = load(indices)
    if len(items) != len(indices):
        raise ValueError(
            f"Nested dataset's output size mismatch. Expected {len(indices)}, got {len(items)}"
        )
    return list(items)


class StackDataset(Dataset[Any]):
    """Several data sets side by side: an item is the tuple, or dictionary, of their items.

    Positional arguments give tuples, keyword arguments dictionaries
    (`torch.utils.data.StackDataset`).
    Errors: ValueError for no data set, both kinds of arguments, or different lengths.

    >>> StackDataset(x=[1, 2], y=[3, 4])[1]
    {'x': 2, 'y': 4}
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError(
                "Supported either ``tuple``- (via ``args``) or ``dict``- (via ``kwargs``) like "
                "input/output, but both types are given."
            )
        self.datasets: tuple[Any, ...] | dict[str, Any] = args or kwargs
        parts = self._parts()
        if not parts:
            raise ValueError("At least one dataset should be passed")
        self._length = len(parts[0])
        if any(len(part) != self._length for part in parts):
            raise ValueError(
                f"Size mismatch between datasets: lengths are {[len(part) for part in parts]}"
            )

    def _parts(self) -> list[Any]:
        datasets = self.datasets
        return list(datasets.values() if isinstance(datasets, dict) else datasets)

    def _join(self, values: Sequence[Any]) -> Any:
        if isinstance(self.datasets, dict):
            return dict(zip(self.datasets, values, strict=True))
        return tuple(values)

    def __getitem__(self, index: Any) -> Any:
        return self._join([part[index] for part in self._parts()])

    def __getitems__(self, indices: list[Any]) -> list[Any]:
        columns = [_items(part, indices) for part in self._parts()]
        return [self._join(values) for values in zip(*columns, strict=True)]

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[Item]):
    """Data sets one behind the other (`torch.utils.data.ConcatDataset`).

    Errors: AssertionError for an empty list or an iterable data set; ValueError for an index beyond
    the start.

    >>> ConcatDataset(["ab", "cd"])[-1]
    'd'
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = self.cumsum(self.datasets)

    @staticmethod
    def cumsum(sequence: Iterable[Any]) -> list[int]:
        """Where each data set ends."""
        return list(itertools.accumulate(len(dataset) for dataset in sequence))

    def locate(self, index: int) -> tuple[Any, int]:
        """The data set that owns the item at `index`, and the item's index there."""
        if index < 0:
            if -index > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            index += len(self)
        which = bisect.bisect_right(self.cumulative_sizes, index)
        if which == len(self.datasets):
            raise IndexError(f"ConcatDataset index {index} is out of range: length {len(self)}")
        start = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which], index - start

    def __getitem__(self, index: int) -> Any:
        dataset, inner = self.locate(index)
        return dataset[inner]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[Item]):
    """Iterable data sets one behind the other (`torch.utils.data.ChainDataset`).

    Errors: AssertionError, while iterating, for a data set that is not iterable.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def _checked(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset")
            yield dataset

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self._checked())

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self._checked())


class Subset(Dataset[Item]):
    """The items of a data set at given indices (`torch.utils.data.Subset`).

    Errors: NotImplementedError for a subclass that overrides `__getitem__` alone, since a loader
    asks for whole batches.

    >>> list(Subset("abcd", [2, 0]))
    ['c', 'a']
    """

    def __init__(self, dataset: Any, indices: Sequence[Any]) -> None:
        self.dataset = dataset
        self.indices = indices
        kind = type(self)
        alone = kind.__getitem__ is not Subset.__getitem__
        if alone and kind.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{kind.__name__} overrides __getitem__ but not __getitems__, through which a "
                "DataLoader reads: define __getitems__(self, indices) as well, for example as "
                "[self[index] for index in indices]"
            )

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[each] for each in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[Any]) -> list[Any]:
        return _items(self.dataset, [self.indices[index] for index in indices])

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset[Any]]:
    """Cut a data set into disjoint random subsets (`torch.utils.data.random_split`).

    `lengths` are counts that sum to the length, or fractions that sum to 1, whose remainders go one
    by one to the first subsets. `generator` (the default one if None) draws one permutation, the
    same as PyTorch's for the same seed.
    Errors: ValueError for a fraction outside [0, 1] or a wrong sum.

    >>> import rushlight as rl
    >>> parts = random_split(range(10), [0.7, 0.3], rl.Generator().manual_seed(1))
    >>> [len(part) for part in parts]
    [7, 3]
    """
    total = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        lengths = _lengths_from_fractions(total, lengths)
    if sum(lengths) != total:
        raise ValueError(
            "Sum of input lengths does not equal the length of the input dataset! "
            f"{list(lengths)} sums to {sum(lengths)}, the dataset has {total} items"
        )
    order = rushlight.randperm(total, generator=generator).tolist()
    ends = list(itertools.accumulate(int(length) for length in lengths))
    return [
        Subset(dataset, order[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]


def _lengths_from_fractions(total: int, fractions: Sequence[float]) -> list[int]:
    for index, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ValueError(f"Fraction at index {index} is not between 0 and 1")
    lengths = [math.floor(total * fraction) for fraction in fractions]
    for index in range(total - sum(lengths)):
        lengths[index % len(lengths)] += 1
    for index, length in enumerate(lengths):
        if length == 0:
            warnings.warn(
                f"Length of split at index {index} is 0. This might result in an empty dataset.",
                stacklevel=3,
            )
    return lengths


def loads_batches(dataset: Any) -> bool:
    """Whether the data set has its own way to load a whole batch at once.

    `Subset` and `StackDataset` only pass batches on; unless what they hold has such a way, items
    are loaded one by one, so that an error can name its item.
    """
    load = getattr(type(dataset), "__getitems__", None)
    if load is Subset.__getitems__:
        return loads_batches(dataset.dataset)
    if load is StackDataset.__getitems__:
        return any(map(loads_batches, dataset._parts()))
    return callable(getattr(dataset, "__getitems__", None))


def describe_item(dataset: Any, index: Any) -> str:
    """Name an item for an error: its index and, where the data set can tell, its file.

    Looks through `Subset` and `ConcatDataset`; asks `dataset.path(index)`, then `dataset.samples`.
    """
    text = f"item {index!r}"
    try:
        while isinstance(dataset, (Subset, ConcatDataset)):
            if isinstance(dataset, Subset):
                dataset, index = dataset.dataset, dataset.indices[index]
            else:
                dataset, index = dataset.locate(index)
        if callable(getattr(dataset, "path", None)):
            return f"{text} (file {dataset.path(index)})"
        sample = dataset.samples[index]
        return f"{text} (file {sample[0] if isinstance(sample, (tuple, list)) else sample})"
    except Exception:
        # An error is being reported already; a data set that cannot name its files must not hide
        # it.
        return text
