"""DataLoader: batches of a data set, loaded here or in worker processes, after `torch.utils.data`.

In: a data set, and how to order, group and join its items.
Out: an iterable over batches; each `iter()` is one pass.
Invariant: for a seed, order and batches are PyTorch's and do not depend on `num_workers`.
"""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .fetch import BaseIterator, Progress, describe_place, make_fetcher
from .multiprocess import MultiProcessIterator
from .sampler import BatchSampler, RandomSampler, SequentialSampler, draw_seed

if TYPE_CHECKING:
    from rushlight import Generator

# What may not be replaced once the loader is made: samplers were derived from it.
_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader:
    """Iterates over batches of a data set (`torch.utils.data.DataLoader`).

    `shuffle` draws a new permutation for each pass, from `generator` or the default one; `sampler`
    gives the indices instead, `batch_sampler` whole lists of them. `batch_size=None` yields single
    items. `collate_fn` joins a list of items; by default tensors, arrays and numbers are stacked.

    With `num_workers` > 0 that many processes load up to `prefetch_factor` batches each ahead of
    the user, started anew for each pass unless `persistent_workers`. Worker i is seeded with base +
    i, runs `worker_init_fn(i)` first, and may use one thread. A worker that dies, or is silent for
    `timeout` seconds, raises RuntimeError naming its item and file; an exception of the data set is
    raised here as the same class. `in_order=False` delivers batches as they arrive.
    `pin_memory` and `pin_memory_device` are accepted and have no effect on CPU memory.

    Errors: ValueError for options that exclude each other or are out of range.

    >>> import rushlight as rl
    >>> from rushlight.utils.data import DataLoader, TensorDataset
    >>> [batch[0].tolist() for batch in DataLoader(TensorDataset(rl.arange(5)), batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    _initialized = False

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_worker_options(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers > 0 and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        _check_order_options(dataset, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size = None
        if sampler is None:
            sampler = self._default_sampler(bool(shuffle), generator)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        default = default_collate if self._auto_collation else default_convert
        self.collate_fn: Callable[[Any], Any] = default if collate_fn is None else collate_fn
        self.persistent_workers = persistent_workers
        self._iterator: MultiProcessIterator | None = None
        self._initialized = True
        _warn_of_too_many_workers(num_workers)

    def _default_sampler(self, shuffle: bool, generator: Generator | None) -> Iterable[Any]:
        if isinstance(self.dataset, IterableDataset):
            return _Endless()
        if shuffle:
            return RandomSampler(self.dataset, generator=generator)
        return SequentialSampler(self.dataset)

    @property
    def multiprocessing_context(self) -> Any:
        """How worker processes are started: None (the platform's way), or a context."""
        return self._multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, value: Any) -> None:
        self._multiprocessing_context = None if value is None else self._context(value)

    def _context(self, value: Any) -> Any:
        if self.num_workers == 0:
            raise ValueError(
                "multiprocessing_context can only be used with multi-process loading "
                f"(num_workers > 0), but got num_workers={self.num_workers}"
            )
        import multiprocessing
        from multiprocessing.context import BaseContext

        if isinstance(value, str):
            methods = multiprocessing.get_all_start_methods()
            if value not in methods:
                raise ValueError(
                    "multiprocessing_context option should specify a valid start method in "
                    f"{methods!r}, but got multiprocessing_context={value!r}"
                )
            return multiprocessing.get_context(value)
        if not isinstance(value, BaseContext):
            raise TypeError(
                "multiprocessing_context option should be a valid context object or a string "
                f"specifying the start method, but got multiprocessing_context={value}"
            )
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if self._initialized and name in _FIXED:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        super().__setattr__(name, value)

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self._auto_collation else self.sampler

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers == 0:
            return _SingleProcessIterator(self)
        if not self.persistent_workers:
            return MultiProcessIterator(self)
        if self._iterator is None or self._iterator.closed:
            self._iterator = MultiProcessIterator(self)
        else:
            self._iterator.reset(self)
        return self._iterator

    def __len__(self) -> int:
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_sampler)
        length = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)


class _Endless:
    """The index sampler of a data set without indices: None for ever."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


class _SingleProcessIterator(BaseIterator):
    """Loads each batch when it is asked for; a note in an exception names the item and its file."""

    def __init__(self, loader: DataLoader) -> None:
        self._loader = loader
        self._indices = iter(loader._index_sampler)
        # Not used here, but drawn as PyTorch does: the default generator goes on from the same
        # place.
        draw_seed(loader.generator)
        self._progress = Progress()
        self._fetcher = make_fetcher(
            loader.dataset,
            loader._auto_collation,
            loader.collate_fn,
            loader.drop_last,
            self._progress,
        )

    def __len__(self) -> int:
        return len(self._loader._index_sampler)

    def __next__(self) -> Any:
        index = next(self._indices)
        try:
            return self._fetcher.fetch(index)
        except StopIteration:
            raise
        except Exception as error:
            place = describe_place(self._loader.dataset, index, self._progress.get())
            error.add_note(f"while {place}")
            raise


def _check_worker_options(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; "
            "use num_workers=0 to disable multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if timeout and num_workers == 0:
        raise ValueError(
            "timeout option could only be specified in multiprocessing: num_workers > 0"
        )
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing: "
            "let num_workers > 0, or leave prefetch_factor None"
        )
    if prefetch_factor is not None and prefetch_factor <= 0:
        raise ValueError(
            f"prefetch_factor option should be non-negative and not zero, but got {prefetch_factor}"
        )
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_order_options(
    dataset: Any,
    batch_size: int | None,
    shuffle: Any,
    sampler: Any,
    batch_sampler: Any,
    drop_last: bool,
) -> None:
    if isinstance(dataset, IterableDataset):
        given = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
        for name, value in given.items():
            if value is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, "
                    f"but got {name}={value}"
                )
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None and (
        batch_size != 1 or shuffle or sampler is not None or drop_last
    ):
        raise ValueError(
            "batch_sampler option is mutually exclusive with "
            "batch_size, shuffle, sampler, and drop_last"
        )
    if batch_sampler is None and batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
        )


def _warn_of_too_many_workers(num_workers: int) -> None:
    affinity = getattr(os, "sched_getaffinity", None)
    available = len(affinity(0)) if affinity else os.cpu_count() or 1
    if num_workers > available:
        warnings.warn(
            f"This DataLoader will create {num_workers} worker processes, but this process may use "
            f"{available} processors: loading may become slower, not faster.",
            stacklevel=3,
        )


# The iterators by PyTorch's names, which packages ask about with isinstance.
_BaseDataLoaderIter = BaseIterator
_SingleProcessDataLoaderIter = _SingleProcessIterator
_MultiProcessingDataLoaderIter = MultiProcessIterator
