"""Loading batches in worker processes: the parent's side, and the protocol.

    sampler -> task -> [socket 0] -> worker 0 -> [socket 0] -> results -> reordered -> user
                    -> [socket 1] -> worker 1 -> [socket 1] ->

In: a `DataLoader`. Out: its batches, in the sampler's order unless `in_order=False`.
Invariant: `__next__` returns a batch, ends the iteration, or raises an error that names the worker
and the item; it never waits for a process that cannot answer any more.

What is wanted. Workers leave when the iterator is dropped, when the parent dies in any way, and
when they fail themselves. A worker that dies, raises or stalls is reported within seconds, with the
item it was at and the item's file. Nothing is left behind: no process, no shared memory, no lock.

The picture. Each worker has one socket pair to itself. Over it the parent sends tasks (epoch,
number, index) and the worker answers each, in order, with a result of the same number. At most
prefetch_factor * num_workers tasks are sent and not yet delivered to the user, so memory is bounded
however slow the user is. Beside the socket there is one number in memory shared by both: the
position in the batch that the worker is loading, which survives the worker.

No queue is shared between workers, because a queue has a lock, and a process killed while it holds
a lock blocks all others for ever. A socket pair has no such state: when one side dies, in whatever
way, the kernel closes its end, the other side reads what was written before, and then the end of
the stream. The same happens the other way round: the parent is known to be gone when a worker reads
the end of its tasks, or cannot write a result. For this the parent must be the only holder of its
ends, so a forked child first closes all the ends it has inherited (`transport.close_inherited`). A
worker that is busy loading looks for its parent from a thread of its own, once a second.

The parent never blocks on a worker. It reads what has arrived and keeps incomplete frames; tasks
that the kernel has no room for wait in an outbox. It sleeps in `select` on all sockets, for a
second at most, and then looks whether every worker still lives: the end of a stream may be hidden
by a grandchild that has inherited the socket.

Errors. An exception of the data set travels as text with its class, and is raised as that class in
its batch's turn; the iteration can go on after it. A dead worker ends the iteration: its exit code
or signal is raised as RuntimeError. A worker that is merely silent may be slow or stuck, which
nobody can tell from outside: after `timeout` seconds RuntimeError is raised; without a timeout a
warning names the item after five seconds, once per batch.

Leaving. The parent closes the sockets; idle workers read the end and leave at once, busy ones at
their next answer. After a second of grace the rest are terminated, then killed. This runs when the
iteration is over, when the iterator is collected, and at exit (`weakref.finalize`), only in the
process that started the workers. With `persistent_workers` it runs when the loader is dropped; a
new iteration then raises the epoch, and results of an older epoch are thrown away.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
import warnings
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from . import transport
from .dataset import IterableDataset
from .fetch import WHOLE_BATCH, BaseIterator, describe_place
from .sampler import draw_seed
from .worker import Exhausted, Failure, Result, Settings, StartOver, Task, run_worker

if TYPE_CHECKING:
    from .dataloader import DataLoader

# Seconds: between two looks at the workers, until silence is warned of, for leaving without force.
_LOOK_INTERVAL = 1.0
_SILENCE = 5.0
_GRACE = 1.0

_SIGNAL_HINTS = {
    "SIGKILL": "the system may have run out of memory: use fewer workers or smaller batches",
    "SIGBUS": "memory shared with other processes or a mapped file may be exhausted or truncated",
    "SIGSEGV": "a native library that the data set uses has crashed",
}


class _Worker:
    """The parent's view of one worker: its process, its socket, its unanswered tasks."""

    def __init__(self, context: Any, settings: Settings) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.settings = settings
        self.receiver = transport.Receiver(ours)
        self.position = context.RawArray("q", [WHOLE_BATCH])
        self.tasks: dict[int, Any] = {}
        self.exhausted = False
        self._outbox = bytearray()
        self.process = context.Process(
            target=run_worker, args=(settings, theirs, self.position), daemon=True
        )
        self.process.start()
        theirs.close()

    def __str__(self) -> str:
        return f"DataLoader worker {self.settings.worker_id} (pid {self.process.pid})"

    def send(self, message: Any) -> None:
        self._outbox += transport.pack(message).frame()
        self.flush()

    def flush(self) -> bool:
        """Write what the kernel has room for; say whether something is left."""
        while self._outbox:
            try:
                sent = self.receiver.connection.send(self._outbox)
            except BlockingIOError:
                return True
            except OSError:
                # The worker is gone; reading will say so.
                self._outbox.clear()
                return False
            del self._outbox[:sent]
        return False

    def place(self) -> str:
        """What the worker is doing, in words."""
        if not self.tasks:
            return "waiting for work"
        index = next(iter(self.tasks.values()))
        return describe_place(self.settings.dataset, index, int(self.position[0]))

    def obituary(self) -> str:
        """How the worker ended and what it was doing."""
        self.process.join(_LOOK_INTERVAL)
        code = self.process.exitcode
        if code is None:
            end = "closed its connection"
        elif code >= 0:
            end = f"exited unexpectedly with code {code}"
        else:
            name = signal.Signals(-code).name
            hint = _SIGNAL_HINTS.get(name)
            end = f"was killed by signal {-code} ({name}{'; ' + hint if hint else ''})"
        return f"{self} {end} while {self.place()}"


def _shut_down(workers: list[_Worker], owner: int) -> None:
    """Let all workers leave, by force after a time of grace; see the head of this file."""
    if os.getpid() != owner:
        return
    for worker in workers:
        worker.receiver.close()
    deadline = time.monotonic() + _GRACE
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
    for force in ("terminate", "kill"):
        alive = [worker.process for worker in workers if worker.process.is_alive()]
        for process in alive:
            getattr(process, force)()
        for process in alive:
            process.join(_GRACE)
    workers.clear()


class MultiProcessIterator(BaseIterator):
    """Iterates over the batches of a `DataLoader` that worker processes load."""

    def __init__(self, loader: DataLoader) -> None:
        # Created and dropped, like PyTorch does: a sampler may draw when its iterator is made.
        iter(loader._index_sampler)
        self._loader_settings = loader
        self._in_order = loader.in_order
        self._timeout = loader.timeout
        self._iterable = isinstance(loader.dataset, IterableDataset)
        self._persistent = loader.persistent_workers
        self._limit = (loader.prefetch_factor or 0) * loader.num_workers
        base_seed = draw_seed(loader.generator)
        self._workers: list[_Worker] = []
        self._finalizer = weakref.finalize(self, _shut_down, self._workers, os.getpid())
        for worker_id in range(loader.num_workers):
            self._workers.append(_start_worker(loader, base_seed, worker_id))
        self._epoch = -1
        self.reset(loader)

    def reset(self, loader: DataLoader) -> None:
        """Begin an iteration: forget unfinished work of the one before and send the first tasks."""
        self._epoch += 1
        self._indices: Iterator[Any] = iter(loader._index_sampler)
        self._sent = 0
        self._turn = -1
        self._next = 0
        self._ready: dict[int, tuple[_Worker, Any]] = {}
        self._more = True
        for worker in self._workers:
            worker.tasks.clear()
            worker.exhausted = False
            if self._epoch > 0:
                worker.send(StartOver())
        for _ in range(self._limit):
            self._send_task()

    @property
    def closed(self) -> bool:
        """Whether the workers are gone."""
        return not self._finalizer.alive

    def close(self) -> None:
        """Let the workers leave now."""
        self._finalizer()

    def __len__(self) -> int:
        return len(self._loader_settings._index_sampler)

    def __next__(self) -> Any:
        waiting_since = time.monotonic()
        warned = False
        while True:
            arrived = self._take_ready()
            if arrived is not None:
                return self._deliver(*arrived)
            if not any(worker.tasks for worker in self._workers):
                if not self._persistent:
                    self.close()
                raise StopIteration
            if self._receive():
                waiting_since, warned = time.monotonic(), False
                continue
            warned = self._complain(time.monotonic() - waiting_since, warned)

    # ---- tasks

    def _send_task(self) -> None:
        """Give the next index to the next worker in turn that can take it."""
        worker = self._choose_worker() if self._more else None
        if worker is None:
            return
        try:
            index = next(self._indices)
        except StopIteration:
            self._more = False
            return
        worker.tasks[self._sent] = index
        worker.send(Task(self._epoch, self._sent, index, worker.receiver.taken))
        self._sent += 1

    def _choose_worker(self) -> _Worker | None:
        """In order: strictly by turns, so that each worker's share does not depend on timing."""
        able = [worker for worker in self._workers if not worker.exhausted]
        if not able:
            return None
        if self._in_order:
            count = len(self._workers)
            turn = next(
                turn
                for step in range(1, count + 1)
                if not self._workers[turn := (self._turn + step) % count].exhausted
            )
            self._turn = turn
            return self._workers[turn]
        return min(able, key=lambda worker: len(worker.tasks))

    # ---- results

    def _take_ready(self) -> tuple[_Worker, Any] | None:
        """The next result to deliver, if it is here; ends of single workers are skipped."""
        while self._ready:
            number = self._next if self._in_order else next(iter(self._ready))
            if number not in self._ready:
                return None
            worker, outcome = self._ready.pop(number)
            self._next += 1
            if not isinstance(outcome, Exhausted):
                return worker, outcome
            self._send_task()
        return None

    def _deliver(self, worker: _Worker, outcome: Any) -> Any:
        self._send_task()
        if isinstance(outcome, Failure):
            _raise_failure(worker, outcome)
        return outcome.data

    def _receive(self) -> bool:
        """Wait a moment for the workers; take what they have sent; say whether a result came."""
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                writing = selectors.EVENT_WRITE if worker.flush() else 0
                selector.register(
                    worker.receiver.connection, selectors.EVENT_READ | writing, worker
                )
            interval = min(_LOOK_INTERVAL, self._timeout or _LOOK_INTERVAL)
            active = [key.data for key, _ in selector.select(interval)]
        if not active:
            # A grandchild may hold a dead worker's socket open: ask for the process itself.
            active = [worker for worker in self._workers if not worker.process.is_alive()]
        try:
            results = sum(self._read(worker) for worker in active)
        except BaseException:
            # What arrived cannot be unpickled here, or we were interrupted half-way through it.
            self.close()
            raise
        for worker in active:
            worker.receiver.closed |= not worker.process.is_alive()
        dead = [worker for worker in self._workers if worker.receiver.closed]
        if dead and not results:
            message = "; ".join(worker.obituary() for worker in dead)
            self.close()
            raise RuntimeError(message)
        return results > 0

    def _read(self, worker: _Worker) -> int:
        """Take all results a worker has sent; return how many belong to this iteration."""
        while not worker.receiver.closed:
            try:
                worker.receiver.read()
            except BlockingIOError:
                break
        count = 0
        while worker.receiver.frames:
            result: Result = worker.receiver.frames.popleft()
            if result.epoch != self._epoch:
                continue
            count += 1
            del worker.tasks[result.number]
            self._ready[result.number] = (worker, result.outcome)
            worker.exhausted = worker.exhausted or isinstance(result.outcome, Exhausted)
        return count

    # ---- silence

    def _complain(self, silence: float, warned: bool) -> bool:
        """Raise after `timeout` seconds without a result, warn once after five; see the head."""
        limit = self._timeout or _SILENCE
        if silence < limit or warned:
            return warned
        busy = "; ".join(
            f"{worker} is {worker.place()}" for worker in self._workers if worker.tasks
        )
        if self._timeout:
            self.close()
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds: {busy}")
        warnings.warn(
            f"no batch has arrived for {silence:.0f} seconds: {busy}. It may only be slow; "
            "give DataLoader a timeout to make this an error",
            stacklevel=3,
        )
        return True


def _start_worker(loader: DataLoader, base_seed: int, worker_id: int) -> _Worker:
    settings = Settings(
        loader.dataset,
        loader._auto_collation,
        loader.collate_fn,
        loader.drop_last,
        base_seed,
        loader.worker_init_fn,
        worker_id,
        loader.num_workers,
    )
    context = loader.multiprocessing_context
    if context is None:
        import multiprocessing

        context = multiprocessing.get_context()
    return _Worker(context, settings)


class _Verbatim(str):
    """Text that shows its line breaks where `KeyError` prints the repr of its argument."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _raise_failure(worker: _Worker, failure: Failure) -> NoReturn:
    """Raise what a worker caught: the same class, place and traceback in the message."""
    text = (
        f"Caught {failure.name} in DataLoader worker process {worker.settings.worker_id} "
        f"while {failure.place}.\nOriginal {failure.text}"
    )
    try:
        error = (failure.kind or RuntimeError)(_Verbatim(text))
    except Exception:
        # The class wants other arguments than one message.
        error = RuntimeError(text)
    raise error
