"""Workers that raise, die, stall or lose their parent: always reported, never a hang."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from rushlight.utils.data import DataLoader, Dataset, IterableDataset, Subset

pytestmark = pytest.mark.filterwarnings(
    "ignore:This DataLoader will create", "ignore:.*multi-threaded.*fork:DeprecationWarning"
)


class Trouble(Dataset):
    """Items are their indices, except one, where `act` happens."""

    def __init__(self, act, at=5, count=8):
        self.act, self.at = act, at
        self.samples = [(f"folder/{index}.png", 0) for index in range(count)]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        if index == self.at:
            self.act()
        return index


class NeedsTwoArguments(Exception):
    def __init__(self, first, second):
        super().__init__(first, second)


def raise_value_error():
    raise ValueError("broken pixels")


def raise_key_error():
    raise KeyError("label")


def raise_local_error():
    class Local(Exception):
        pass

    raise Local("nobody can import me")


def raise_strange_error():
    raise NeedsTwoArguments(1, 2)


def die_hard():
    os.kill(os.getpid(), signal.SIGKILL)


def leave():
    os._exit(3)


def exit_python():
    sys.exit(4)


def stall():
    time.sleep(60)


def read(loader):
    return [value for batch in loader for value in batch.tolist()]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (raise_value_error, ValueError),
        (raise_key_error, KeyError),
        (raise_local_error, RuntimeError),
        (raise_strange_error, RuntimeError),
    ],
)
def test_exception_names_worker_item_and_file(workers, act, kind):
    """The class is kept where it can be; the text has place and traceback."""
    with pytest.raises(kind) as caught:
        read(DataLoader(Trouble(act), 2, num_workers=workers))
    text = str(caught.value)
    assert f"worker process {2 % workers} while loading item 5 (file folder/5.png)" in text
    assert f"in {act.__name__}\n" in text


def test_exception_in_the_main_process_gets_a_note():
    """Without workers the exception itself passes, with the item and file as a note."""
    with pytest.raises(ValueError, match="broken pixels") as caught:
        read(DataLoader(Trouble(raise_value_error), 2))
    assert caught.value.__notes__ == ["while loading item 5 (file folder/5.png)"]


def test_iteration_goes_on_after_an_exception():
    """An exception takes the place of its batch only."""
    iterator = iter(DataLoader(Trouble(raise_value_error), 1, num_workers=2))
    seen = []
    while True:
        try:
            seen.append(next(iterator).item())
        except ValueError:
            seen.append("error")
        except StopIteration:
            break
    assert seen == [0, 1, 2, 3, 4, "error", 6, 7]


def test_exception_while_collating_names_the_batch():
    """A batch that cannot be joined names its items."""

    class Uneven(Trouble):
        def __getitem__(self, index):
            return [0] * (index % 2)

    with pytest.raises(RuntimeError, match=r"while collating items \[0, 1\]"):
        list(DataLoader(Uneven(None), 2, num_workers=1))


def test_result_that_cannot_be_pickled():
    """The error of pickling is reported like any other."""

    class Unpicklable(Trouble):
        def __getitem__(self, index):
            return lambda: index

    loader = DataLoader(Unpicklable(None), None, num_workers=1)
    with pytest.raises(Exception, match="(?s)DataLoader worker process 0.*pickle"):
        list(loader)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("act", "how"),
    [
        (die_hard, r"was killed by signal 9 \(SIGKILL"),
        (leave, "exited unexpectedly with code 3"),
        (exit_python, "exited unexpectedly with code 4"),
    ],
)
def test_death_is_reported_within_seconds(workers, act, how):
    """How the worker ended, which worker, which item and file; nothing is left running."""
    started = time.monotonic()
    iterator = iter(DataLoader(Subset(Trouble(act, at=0), [7, 6, 0, 5]), 2, num_workers=workers))
    processes = [worker.process for worker in iterator._workers]
    with pytest.raises(RuntimeError, match=how) as caught:
        while True:
            next(iterator)
    assert f"worker {1 % workers} (pid {processes[1 % workers].pid})" in str(caught.value)
    assert "loading item 2 (file folder/0.png)" in str(caught.value)
    assert time.monotonic() - started < 20
    assert not any(process.is_alive() for process in processes)


def test_killed_while_idle():
    """A worker killed from outside between batches is noticed at the next one."""
    iterator = iter(DataLoader(Trouble(stall, at=3), 1, num_workers=1, prefetch_factor=1))
    assert next(iterator).item() == 0
    os.kill(iterator._workers[0].process.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="SIGKILL"):
        for _ in range(3):
            next(iterator)


def fork_and_die():
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
    die_hard()


def test_death_is_seen_although_a_grandchild_holds_the_socket():
    """The process itself is looked at, not only its socket."""
    started = time.monotonic()
    with pytest.raises(RuntimeError, match="SIGKILL"):
        read(DataLoader(Trouble(fork_and_die), 1, num_workers=1))
    assert time.monotonic() - started < 20


def test_timeout_names_the_stalled_item():
    """A stall longer than `timeout` is an error, and the stalled worker is ended."""
    iterator = iter(DataLoader(Trouble(stall), 1, num_workers=2, timeout=0.5))
    processes = [worker.process for worker in iterator._workers]
    with pytest.raises(RuntimeError, match=r"timed out after 0.5 seconds.*folder/5\.png"):
        while True:
            next(iterator)
    assert not any(process.is_alive() for process in processes)


def test_silence_warns_without_a_timeout(monkeypatch):
    """Without a timeout the same is a warning, once."""
    from rushlight.utils.data import multiprocess

    monkeypatch.setattr(multiprocess, "_SILENCE", 0.2)
    monkeypatch.setattr(multiprocess, "_LOOK_INTERVAL", 0.1)

    def nap():
        time.sleep(1)

    with pytest.warns(
        UserWarning, match=r"worker 0 .* loading item 5 \(file folder/5\.png\)"
    ) as seen:
        assert read(DataLoader(Trouble(nap), 1, num_workers=1)) == list(range(8))
    assert len(seen) == 1


def test_dead_iterable_worker():
    """Without indices the position in the batch is named."""

    class Stream(IterableDataset):
        def __iter__(self):
            yield from range(5)
            die_hard()

    with pytest.raises(RuntimeError, match="SIGKILL.*while reading item 1 of a batch"):
        read(DataLoader(Stream(), 4, num_workers=1))


def test_worker_init_fn_that_raises():
    """Its exception is raised for the first batch."""

    def init(worker_id):
        raise OSError(f"no disk for {worker_id}")

    with pytest.raises(OSError, match="no disk for 0"):
        read(DataLoader(Trouble(stall, at=-1), 2, num_workers=1, worker_init_fn=init))


PROGRAM = """
    import os, signal, sys, time
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    sys.path[:0] = {path!r}
    from rushlight.utils.data import DataLoader, Dataset

    class Slow(Dataset):
        def __len__(self):
            return 1000

        def __getitem__(self, index):
            time.sleep({delay})
            return index

    if __name__ == "__main__":
        iterator = iter(DataLoader(Slow(), 1, num_workers=2))
        next(iterator)
        print(*(worker.process.pid for worker in iterator._workers), flush=True)
        {then}
"""


def start_program(delay, then):
    code = textwrap.dedent(PROGRAM.format(path=sys.path, delay=delay, then=then))
    program = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    return program, [int(pid) for pid in program.stdout.readline().split()]


def running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids, seconds=5):
    deadline = time.monotonic() + seconds
    while any(map(running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(running, pids))


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="reads /proc")


@needs_proc
@pytest.mark.parametrize("delay", [0.001, 30])
def test_workers_leave_when_the_parent_is_killed(delay):
    """kill -9 on the parent ends idle and busy workers alike."""
    then = "time.sleep(60)" if delay < 1 else "pass"
    if delay > 1:
        # The first item is quick here, so that the workers are known; the rest take long.
        program, pids = start_program("0.001 if index < 2 else 30", "time.sleep(60)")
    else:
        program, pids = start_program(delay, then)
    assert len(pids) == 2
    assert all(map(running, pids))
    program.kill()
    program.wait()
    assert wait_until_gone(pids)


@needs_proc
def test_keyboard_interrupt_is_clean():
    """Ctrl-C reaches the whole group: one traceback, of the parent, and no process left."""
    then = "os.kill(os.getppid(), 0); next(iterator); time.sleep(60)"
    program, pids = start_program(0.001, then)
    for pid in [*pids, program.pid]:
        os.kill(pid, signal.SIGINT)
    _, errors = program.communicate(timeout=10)
    assert errors.count("Traceback") == 1
    assert "KeyboardInterrupt" in errors
    assert wait_until_gone(pids)


@needs_proc
def test_exit_with_a_live_iterator_is_clean():
    """A program that ends in the middle of a pass says nothing and leaves nothing."""
    program, pids = start_program(0.001, "pass")
    _, errors = program.communicate(timeout=10)
    assert program.returncode == 0
    assert errors == ""
    assert wait_until_gone(pids)
