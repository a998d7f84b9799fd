"""DataLoader: order, batches and options, with and without worker processes, against torch."""

import gc
import random
import time
import warnings

import numpy
import pytest

import rushlight as rl
from rushlight.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    TensorDataset,
    get_worker_info,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:This DataLoader will create", "ignore:.*multi-threaded.*fork:DeprecationWarning"
)


class Rows(Dataset):
    """Row i is (i, [i, i, ...]); a large width makes batches travel in memory files."""

    def __init__(self, count=10, width=3):
        self.count, self.width = count, width

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        return index, numpy.full(self.width, index, numpy.float32)


class Shares(IterableDataset):
    """Numbers below `count`; each of several workers yields its own share."""

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        info = get_worker_info()
        start, step = (info.id, info.num_workers) if info else (0, 1)
        return iter(range(start, self.count, step))

    def __len__(self):
        return self.count


class Draws(Dataset):
    """What the worker's three generators draw for each item."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        info = get_worker_info()
        return (
            info.id if info else -1,
            info.seed if info else -1,
            random.random(),
            numpy.random.rand(),
            rl.rand(1).item(),
        )


def flat(loader):
    return [row for batch in loader for row in batch[0].tolist()]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("options", [{}, {"batch_size": 3}, {"batch_size": 4, "drop_last": True}])
def test_batches_in_order(workers, options):
    """Batches, their number and the length of the loader."""
    loader = DataLoader(Rows(), num_workers=workers, **options)
    size = options.get("batch_size", 1)
    full = 10 // size if options.get("drop_last") else -(-10 // size)
    batches = list(loader)
    assert len(batches) == len(loader) == full
    assert [row for batch in batches for row in batch[0].tolist()] == list(range(10))[: full * size]
    assert all(numbers.shape == (len(indices), 3) for indices, numbers in batches)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("seeded", ["default", "own"])
def test_shuffle_follows_torch(workers, seeded):
    """The same permutations as torch for the same seed, over two passes."""
    torch = pytest.importorskip("torch")
    orders = []
    for module, loader_class in ((rl, DataLoader), (torch, torch.utils.data.DataLoader)):
        generator = module.Generator().manual_seed(4) if seeded == "own" else None
        module.manual_seed(4)
        loader = loader_class(
            range(20), batch_size=3, shuffle=True, num_workers=workers, generator=generator
        )
        orders.append([batch.tolist() for _ in range(2) for batch in loader])
    assert orders[0] == orders[1]


def test_worker_count_does_not_change_the_batches():
    """The same shuffled batches from 0, 1 and 3 workers."""
    results = []
    for workers in (0, 1, 3):
        generator = rl.Generator().manual_seed(9)
        loader = DataLoader(Rows(31), 4, shuffle=True, num_workers=workers, generator=generator)
        results.append([[part.tolist() for part in batch] for batch in loader])
    assert results[0] == results[1] == results[2]


def test_large_batches_arrive_intact():
    """Arrays that travel in memory files, and views of them, are equal to what was sent."""
    loader = DataLoader(Rows(6, width=100_000), batch_size=2, num_workers=2)
    for indices, numbers in loader:
        assert numbers.shape == (2, 100_000)
        assert (numbers == indices.reshape(2, 1)).all()
        numbers += 1


@pytest.mark.parametrize("workers", [0, 2])
def test_no_batching_and_batch_sampler(workers):
    """batch_size=None yields items; a batch_sampler gives whole lists of indices."""
    single = [index for index, _ in DataLoader(Rows(), batch_size=None, num_workers=workers)]
    assert single == list(range(10))
    sampler = BatchSampler(SequentialSampler(range(5)), 2, False)
    loader = DataLoader(Rows(), batch_sampler=sampler, num_workers=workers)
    assert [batch[0].tolist() for batch in loader] == [[0, 1], [2, 3], [4]]
    assert len(loader) == 3


def test_tensor_dataset_in_workers():
    """Tensors are read in a forked worker and come back as tensors."""
    dataset = TensorDataset(rl.arange(12.0).reshape(6, 2), rl.arange(6))
    rows, labels = zip(*DataLoader(dataset, batch_size=4, num_workers=1), strict=True)
    assert rl.cat(rows).tolist() == dataset.tensors[0].tolist()
    assert rl.cat(labels).tolist() == list(range(6))


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_iterable_dataset(workers, drop_last):
    """Each worker batches its own share; short shares end early without losing others' items."""
    torch = pytest.importorskip("torch")
    options = {"batch_size": 2, "num_workers": workers, "drop_last": drop_last}
    ours = [batch.tolist() for batch in DataLoader(Shares(11), **options)]

    class TorchShares(torch.utils.data.IterableDataset):
        def __iter__(self):
            info = torch.utils.data.get_worker_info()
            start, step = (info.id, info.num_workers) if info else (0, 1)
            return iter(range(start, 11, step))

    theirs = torch.utils.data.DataLoader(TorchShares(), **options)
    assert ours == [batch.tolist() for batch in theirs]


def test_workers_are_seeded_apart():
    """Seeds are base + id; Python, NumPy and our generator differ by worker and follow the seed."""
    runs = []
    for seed in (1, 1, 2):
        rl.manual_seed(seed)
        loader = DataLoader(Draws(), batch_size=None, num_workers=2)
        runs.append([tuple(item) for item in loader])
    assert runs[0] == runs[1] != runs[2]
    seeds = {item[0]: item[1] for item in runs[0]}
    assert seeds[1] == seeds[0] + 1
    for column in (2, 3, 4):
        assert len({item[column] for item in runs[0]}) == len(runs[0])


def test_numpy_seed_is_torchs():
    """NumPy's stream in a worker is the one torch's workers have for the same base seed."""
    torch = pytest.importorskip("torch")
    from torch.utils.data._utils.worker import _generate_state

    rl.manual_seed(1)
    items = list(DataLoader(Draws(), batch_size=None, num_workers=2))
    for worker_id, seed, _, drawn, _ in items[:2]:
        expected = numpy.random.RandomState(_generate_state(seed - worker_id, worker_id)).rand()
        assert drawn == expected
    torch.manual_seed(1)
    base = torch.empty((), dtype=torch.int64).random_().item()
    assert items[0][1] == base


def set_marker(worker_id):
    get_worker_info().dataset.width = worker_id + 1


def test_worker_init_fn_runs_first():
    """It sees its id and this worker's copy of the data set."""
    loader = DataLoader(Rows(), 5, num_workers=2, worker_init_fn=set_marker)
    assert [batch[1].shape[1] for batch in loader] == [1, 2]


def test_persistent_workers_keep_their_processes():
    """The same processes serve every pass, also after one that was left early."""
    import os

    class Pids(Rows):
        def __getitem__(self, index):
            return os.getpid(), index

    loader = DataLoader(Pids(), 1, num_workers=2, persistent_workers=True)
    first = [(batch[0].item(), batch[1].item()) for batch in loader]
    for batch in loader:
        assert batch[1].item() == 0
        break
    second = [(batch[0].item(), batch[1].item()) for batch in loader]
    assert first == second
    assert [index for _, index in first] == list(range(10))
    assert len({pid for pid, _ in first}) == 2


def test_persistent_workers_restart_an_iterable():
    """A second pass over an iterable data set begins anew."""
    loader = DataLoader(Shares(7), 2, num_workers=2, persistent_workers=True)
    assert [batch.tolist() for batch in loader] == [batch.tolist() for batch in loader]


class SlowFirst(Rows):
    def __getitem__(self, index):
        time.sleep(0.5 if index == 0 else 0)
        return index


def test_out_of_order_delivery():
    """in_order=False does not wait for a slow batch."""
    loader = DataLoader(SlowFirst(), 1, num_workers=2, in_order=False)
    order = [batch.item() for batch in loader]
    assert sorted(order) == list(range(10))
    assert order[0] != 0


def test_spawned_workers():
    """Workers can be started afresh instead of forked; they import what they are sent by name."""
    loader = DataLoader(range(4), 2, num_workers=1, multiprocessing_context="spawn")
    assert [batch.tolist() for batch in loader] == [[0, 1], [2, 3]]


def test_leaving_early_ends_the_workers():
    """Dropping the iterator ends its processes at once."""
    iterator = iter(DataLoader(Rows(1000, 10_000), 4, num_workers=2))
    next(iterator)
    processes = [worker.process for worker in iterator._workers]
    assert all(process.is_alive() for process in processes)
    started = time.monotonic()
    del iterator
    gc.collect()
    assert not any(process.is_alive() for process in processes)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": -1},
        {"timeout": -1},
        {"prefetch_factor": 2},
        {"num_workers": 1, "prefetch_factor": 0},
        {"persistent_workers": True},
        {"shuffle": True, "sampler": [0]},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_sampler": [[0]], "shuffle": True},
        {"batch_size": None, "drop_last": True},
        {"batch_size": 0},
        {"multiprocessing_context": "fork"},
        {"num_workers": 1, "multiprocessing_context": "teleport"},
    ],
)
def test_options_that_exclude_each_other(options):
    """ValueError, before anything is loaded."""
    with pytest.raises(ValueError):
        DataLoader(Rows(), **options)


@pytest.mark.parametrize("options", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}])
def test_iterable_dataset_takes_no_order(options):
    """An iterable data set has no indices to order."""
    with pytest.raises(ValueError, match="IterableDataset"):
        DataLoader(Shares(3), **options)


def test_fixed_attributes():
    """What samplers were derived from cannot be replaced."""
    loader = DataLoader(Rows())
    with pytest.raises(ValueError, match="batch_size attribute"):
        loader.batch_size = 2


def test_more_workers_than_processors_warns():
    """The number is allowed, but said to be doubtful."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="512"):
            DataLoader(Rows(), num_workers=512)
