"""The worker process of a `DataLoader`; the protocol is described in multiprocess.py.

In: tasks from one socket: (epoch, number, index), a request to start over, or the end of the
stream.
Out: per task one frame (epoch, number, outcome) on the same socket.
Invariant: a worker leaves when its parent closes the socket or dies, whatever it is doing in
Python; everything that its data set raises becomes an outcome.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy

import rushlight

from . import transport
from .fetch import WHOLE_BATCH, IterableFetcher, MapFetcher, Progress, describe_place, make_fetcher

# How often a worker looks whether its parent still lives while it is loading (seconds).
_WATCH_INTERVAL = 1.0


class WorkerInfo(NamedTuple):
    """What `get_worker_info` returns: id, num_workers, seed, and this worker's copy of the data
    set.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process of a `DataLoader` its id, seed and data set; None in the main process.

    >>> get_worker_info() is None
    True
    """
    return _worker_info


class Settings(NamedTuple):
    """All that a worker has to know; the same for every worker but for its id."""

    dataset: Any
    batched: bool
    collate: Callable[[Any], Any]
    drop_last: bool
    base_seed: int
    init: Callable[[int], None] | None
    worker_id: int
    num_workers: int


class Task(NamedTuple):
    """Load the batch `index`.

    `epoch` tells tasks of an abandoned iteration apart; `taken` is how many of the worker's results
    the parent has copied, so that their memory can be used again.
    """

    epoch: int
    number: int
    index: Any
    taken: int


class StartOver(NamedTuple):
    """Begin a new iteration over the data set."""


class Batch(NamedTuple):
    """Outcome: the collated batch."""

    data: Any


class Exhausted(NamedTuple):
    """Outcome: this worker's copy of an iterable data set has ended."""


class Failure(NamedTuple):
    """Outcome: an exception, as text, with its class where that can be sent."""

    kind: type[BaseException] | None
    name: str
    text: str
    place: str


class Result(NamedTuple):
    """What a worker answers to a task."""

    epoch: int
    number: int
    outcome: Any


def _failure(settings: Settings, index: Any, progress: Progress) -> Failure:
    kind = sys.exc_info()[0] or RuntimeError
    importable = getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind
    place = describe_place(settings.dataset, index, progress.get())
    return Failure(kind if importable else None, kind.__qualname__, traceback.format_exc(), place)


def _watch_parent(first: int) -> None:
    """End this process as soon as its parent is gone: nobody is left to take a result.

    The sentinel may be held open by another child of the parent; the id of the direct parent, which
    under forkserver is the server's, then tells.
    """
    import multiprocessing
    from multiprocessing import connection

    process = multiprocessing.parent_process()
    while process is not None:
        gone = connection.wait([process.sentinel], timeout=_WATCH_INTERVAL)
        if gone or os.getppid() != first:
            os._exit(1)


def _seed_everything(base_seed: int, worker_id: int) -> int:
    """Seed Python, NumPy and our default generator for one worker; return base_seed + worker_id.

    NumPy's state comes from a mix of both numbers: neighbouring seeds of its old generator would
    give related streams.
    """
    seed = base_seed + worker_id
    random.seed(seed)
    rushlight.manual_seed(seed)
    words = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    numpy.random.seed(numpy.random.SeedSequence(words).generate_state(4))
    return seed


def run_worker(settings: Settings, connection: socket.socket, cell: Any) -> None:
    """The main function of a worker process: answer tasks until the socket ends."""
    global _worker_info
    # Ctrl-C reaches the whole process group; the parent decides what happens. Handlers that a
    # training program installed belong to the parent, and would make this process unstoppable.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    transport.close_inherited()
    threading.Thread(target=_watch_parent, args=(os.getppid(),), daemon=True).start()
    rushlight.set_num_threads(1)
    seed = _seed_everything(settings.base_seed, settings.worker_id)
    _worker_info = WorkerInfo(settings.worker_id, settings.num_workers, seed, settings.dataset)
    # The parent may close the socket while a result is on its way.
    with contextlib.suppress(OSError):
        _answer_tasks(settings, transport.Receiver(connection), Progress(cell))


def _answer_tasks(settings: Settings, tasks: transport.Receiver, progress: Progress) -> None:
    fetcher: MapFetcher | IterableFetcher | None = None
    initialized = settings.init is None
    sender = transport.Sender(tasks.connection)
    while (task := _next_task(tasks)) is not None:
        if isinstance(task, StartOver):
            fetcher = None
            continue
        sender.acknowledge(task.taken)
        outcome: Any
        try:
            if not initialized and settings.init is not None:
                initialized = True
                settings.init(settings.worker_id)
            if fetcher is None:
                fetcher = make_fetcher(
                    settings.dataset,
                    settings.batched,
                    settings.collate,
                    settings.drop_last,
                    progress,
                )
            outcome = Batch(fetcher.fetch(task.index))
        except StopIteration:
            ended = isinstance(fetcher, IterableFetcher)
            outcome = Exhausted() if ended else _failure(settings, task.index, progress)
        except Exception:
            outcome = _failure(settings, task.index, progress)
        _answer(settings, sender, task, outcome, progress)


def _next_task(tasks: transport.Receiver) -> Any:
    while not tasks.frames and not tasks.closed:
        tasks.read()
    return tasks.frames.popleft() if tasks.frames else None


def _answer(
    settings: Settings, sender: transport.Sender, task: Task, outcome: Any, progress: Progress
) -> None:
    """Send the outcome; one that cannot be pickled is replaced by the failure to pickle it."""
    try:
        packed = transport.pack(Result(task.epoch, task.number, outcome))
    except Exception:
        failure = _failure(settings, task.index, progress)
        packed = transport.pack(Result(task.epoch, task.number, failure))
    sender.send(packed)
    progress.set(WHOLE_BATCH)
