"""How many threads work, and the pool of native workers that they form.

Comes in: the machine's allowance (affinity, cgroup, environment) or the user's `set_num_threads`,
and the native functions of `launch`. Goes out: a WorkerPool to run step tables with.
Invariants: no thread exists before the first step that can use one; a forked child has no pool
until it needs its own; at exit the workers have left native code before Python's threads are torn
down; the number of threads never decides a result, only who performs which task.

Workers are Python threads that spend their life in one ctypes call, without the GIL.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from collections.abc import Callable

from rushlight.runtime import launch
from rushlight.runtime.limits import available_processors

CACHE_LINE = 64
# A worker that does not leave within this time at exit is abandoned (it is a daemon thread).
EXIT_TIMEOUT_SECONDS = 2.0
# The first of these that holds a positive number wins; OpenMP's is what PyTorch's users know.
COUNT_VARIABLES = ("RUSHLIGHT_NUM_THREADS", "OMP_NUM_THREADS")


class NativeFunctions:
    """The functions of `launch.runtime_text` as callables that release the GIL."""

    __slots__ = ("dismiss_workers", "prepare_pool", "run_steps", "worker_loop")

    def __init__(self, addresses: dict[str, int]) -> None:
        pointer, integer = ctypes.c_void_p, ctypes.c_int64
        self.prepare_pool = ctypes.CFUNCTYPE(None, pointer, integer)(addresses["prepare_pool"])
        self.worker_loop = ctypes.CFUNCTYPE(None, pointer, integer)(addresses["worker_loop"])
        self.run_steps = ctypes.CFUNCTYPE(integer, pointer, pointer)(addresses["run_steps"])
        self.dismiss_workers = ctypes.CFUNCTYPE(None, pointer)(addresses["dismiss_workers"])


def aligned_memory(size: int) -> tuple[ctypes.Array[ctypes.c_char], int]:
    """Zeroed memory whose returned address is on a cache line; it lives as long as the array."""
    memory = ctypes.create_string_buffer(size + CACHE_LINE)
    address = ctypes.addressof(memory)
    return memory, address + (-address) % CACHE_LINE


class WorkerPool:
    """`workers` parked threads beside the thread that calls; see `launch` for how they share."""

    __slots__ = ("_memory", "_native", "address", "threads")

    def __init__(self, native: NativeFunctions, workers: int) -> None:
        self._native = native
        self._memory, self.address = aligned_memory(launch.pool_bytes(workers))
        native.prepare_pool(self.address, 0)
        self.threads: list[threading.Thread] = []
        for index in range(1, workers + 1):
            thread = threading.Thread(
                target=_work,
                args=(native, self._memory, self.address, index),
                name=f"rushlight-worker-{index}",
                daemon=True,
            )
            try:
                thread.start()
            except RuntimeError:
                # The system grants no more threads; fewer workers only take longer.
                break
            self.threads.append(thread)
        self._word(launch.WORKERS).value = len(self.threads)

    def _word(self, offset: int) -> ctypes.c_int64:
        return ctypes.c_int64.from_address(self.address + offset)

    def tasks_done(self) -> list[int]:
        """Tasks performed so far by the caller (first) and by each worker."""
        return [
            self._word(launch.COUNTERS + launch.COUNTER_STRIDE * index).value
            for index in range(len(self.threads) + 1)
        ]

    def dismiss(self) -> None:
        """Tell the workers to leave; a run in progress is finished by its caller."""
        self._native.dismiss_workers(self.address)


def _work(
    native: NativeFunctions, memory: ctypes.Array[ctypes.c_char], address: int, index: int
) -> None:
    """A worker's life; the argument `memory` keeps the pool's memory as long as that lasts."""
    native.worker_loop(address, index)


class _Crew:
    """This process's thread count, its pool once there is one, and workers told to leave."""

    __slots__ = ("count", "departing", "lock", "pool")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count: int | None = None
        self.pool: WorkerPool | None = None
        self.departing: list[threading.Thread] = []

    def retire_pool(self) -> None:
        """Send the present workers home; the caller holds the lock."""
        if self.pool is not None:
            self.pool.dismiss()
            alive = [thread for thread in self.departing if thread.is_alive()]
            self.departing = alive + self.pool.threads
            self.pool = None


_crew = _Crew()


def worker_pool(natives: Callable[[], NativeFunctions]) -> WorkerPool | None:
    """The pool for the present thread count, started now if need be; None for one thread."""
    pool = _crew.pool
    if pool is not None:
        return pool
    if get_num_threads() == 1:
        return None
    # Compiled outside the lock: compiling takes a lock of its own, and fork takes both.
    native = natives()
    with _crew.lock:
        if _crew.pool is None and get_num_threads() > 1:
            _crew.pool = WorkerPool(native, get_num_threads() - 1)
        return _crew.pool


def current_pool() -> WorkerPool | None:
    """The pool if one has been started for the present thread count."""
    return _crew.pool


def get_num_threads() -> int:
    """Threads that share the tasks of a step, the calling one included (`torch.get_num_threads`).

    >>> import rushlight as rl
    >>> rl.get_num_threads() >= 1
    True
    """
    if _crew.count is None:
        _crew.count = default_thread_count()
    return _crew.count


def set_num_threads(count: int) -> None:
    """Use `count` threads from the next step on (`torch.set_num_threads`); results do not change.

    More threads than processors are allowed and really work. 1 starts no thread at all.

    Raises:
        RuntimeError: `count` is not a positive int.

    >>> import rushlight as rl
    >>> rl.set_num_threads(2)
    >>> rl.get_num_threads()
    2
    """
    if isinstance(count, bool) or not hasattr(count, "__index__"):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(count).__name__}")
    wanted = count.__index__()
    if wanted <= 0:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {wanted}")
    with _crew.lock:
        if wanted != _crew.count:
            _crew.retire_pool()
        _crew.count = wanted


def default_thread_count() -> int:
    """What the environment says, else the processors that this process may use."""
    for variable in COUNT_VARIABLES:
        # OpenMP allows a list, one count for each nesting level: the first is meant.
        text = os.environ.get(variable, "").split(",")[0].strip()
        if text.isdecimal() and int(text) > 0:
            return int(text)
    return available_processors()


def _forget_pool() -> None:
    """In a forked child the parent's workers do not exist; the thread count is inherited."""
    _crew.pool = None
    _crew.departing = []
    _crew.lock.release()


def _leave() -> None:
    """At exit: Python must not tear down threads that are still in native code."""
    with _crew.lock:
        _crew.count = 1
        _crew.retire_pool()
        departing = _crew.departing
    for thread in departing:
        thread.join(EXIT_TIMEOUT_SECONDS)


os.register_at_fork(
    before=_crew.lock.acquire,
    after_in_parent=_crew.lock.release,
    after_in_child=_forget_pool,
)
atexit.register(_leave)
