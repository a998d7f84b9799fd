"""Running tables of steps: every task once, steps in order, whatever the number of threads."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from runtime.native import address_of, device, kernels, table

from rushlight.runtime import threads
from rushlight.runtime.cpu import StepTable


@pytest.fixture(autouse=True)
def restored_thread_count():
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
@pytest.mark.parametrize(("tasks", "grain"), [(1, 1), (2, 1), (7, 2), (64, 1), (1000, 3), (5, 9)])
def test_every_task_is_performed_once(count, tasks, grain):
    threads.set_num_threads(count)
    cells = np.zeros(tasks + 1, np.int64)
    program = table("add", tasks, grain)
    for _ in range(20):
        assert device.run(program, [address_of(cells)], [3]) is None
    assert cells[:tasks].tolist() == [60] * tasks
    assert cells[tasks] == 0


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_many_tiny_steps_keep_their_order(count):
    """Each step reads all that the step before wrote, so a missing barrier shows."""
    threads.set_num_threads(count)
    gather = kernels()["gather"]
    steps = [[gather, 2 * (number % 2), 2, 64, 1, 0] for number in range(9)]
    args = [[0, 0], [1, 0], [1, 0], [0, 0]]
    program = StepTable(steps, args, 2)
    expected = 0
    for _ in range(len(steps)):
        expected = 1 + 64 * expected
    for _ in range(100):
        first, second = np.zeros(64, np.int64), np.zeros(64, np.int64)
        assert device.run(program, [address_of(first), address_of(second)]) is None
        assert first.tolist() == [expected] * 64


def test_args_have_slots_and_byte_offsets():
    cells = np.zeros(10, np.int64)
    program = StepTable(
        [[kernels()["add"], 0, 1, 2, 1, 1], [kernels()["add"], 1, 1, 1, 1, 0]],
        [[1, 16], [0, 0]],
        2,
        "qq",
    )
    other = np.zeros(1, np.int64)
    assert device.run(program, [address_of(other), address_of(cells)], [5, 9]) is None
    assert cells.tolist() == [0, 0, 9, 9, 0, 0, 0, 0, 0, 0]
    assert other.tolist() == [5]


@pytest.mark.parametrize("count", [2, 4])
def test_all_threads_work_even_beyond_the_processors(count):
    threads.set_num_threads(count)
    cells = np.zeros(8 * count, np.int64)
    program = table("nap", 8 * count)
    device.run(program, [address_of(cells)], [1])
    before = threads.current_pool().tasks_done()
    cells[:] = 0
    device.run(program, [address_of(cells)], [5000])
    done = np.subtract(threads.current_pool().tasks_done(), before)
    assert len(done) == count
    assert sum(done) == 8 * count
    assert min(done) >= 1
    assert cells.all()


def test_a_step_of_one_chunk_starts_no_thread():
    program = """
import threading, numpy as np
from runtime.native import device, table, address_of
from rushlight.runtime import threads
threads.set_num_threads(4)
cells = np.zeros(8, np.int64)
device.run(table("add", 8, grain=8, steps=50), [address_of(cells)], [1])
assert threading.active_count() == 1 and threads.current_pool() is None
device.run(table("add", 8, grain=4), [address_of(cells)], [1])
assert threading.active_count() == 4
assert cells.tolist() == [51] * 8
"""
    run_python(program)


@pytest.mark.parametrize("count", [1, 3])
def test_a_failing_step_stops_the_run_and_the_next_run_is_whole(count):
    threads.set_num_threads(count)
    functions = kernels()
    steps = [
        [functions["add"], 0, 1, 4, 1, 0],
        [functions["fail"], 0, 1, 100, 1, 1],
        [functions["add"], 0, 1, 4, 1, 0],
    ]
    program = StepTable(steps, [[0, 0]], 1, "qq")
    cells = np.zeros(100, np.int64)
    failure = device.run(program, [address_of(cells)], [1, 42])
    assert (failure.step, failure.code, failure.words[0]) == (1, 7, 42)
    assert cells[:5].tolist() == [1, 1, 1, 1, 0]
    assert device.run(program, [address_of(cells)], [1, 1000]) is None
    assert cells[:5].tolist() == [3, 3, 3, 3, 0]


@pytest.mark.parametrize("count", [1, 2])
def test_a_long_step_returns_to_python_and_goes_on(count, monkeypatch):
    threads.set_num_threads(count)
    native = device.natives()
    states = []

    class Counting:
        def run_steps(self, pool, block):
            started = time.perf_counter()
            states.append((native.run_steps(pool, block), time.perf_counter() - started))
            return states[-1][0]

    monkeypatch.setattr(device, "_natives", Counting())
    threads.worker_pool(lambda: native)
    cells = np.zeros(40, np.int64)
    assert device.run(table("nap", 40), [address_of(cells)], [10_000]) is None
    assert len(states) >= 2
    assert [state for state, _ in states[:-1]] == [1] * (len(states) - 1)
    assert min(seconds for _, seconds in states[:-1]) >= 0.1
    assert cells.tolist() == [1] * 40


def test_ctrl_c_is_answered_within_a_step():
    program = """
import os, signal, threading, time, numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
from runtime.native import device, table, address_of
from rushlight.runtime import threads
threads.set_num_threads(2)
cells = np.zeros(4000, np.int64)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
started = time.perf_counter()
try:
    device.run(table("nap", 4000), [address_of(cells)], [5000])
except KeyboardInterrupt:
    pass
else:
    raise SystemExit("not interrupted")
assert time.perf_counter() - started < 30
settled = cells.copy()
time.sleep(0.05)
assert (cells == settled).all(), "a worker went on after the interruption"
cells[:] = 0
assert device.run(table("add", 4000), [address_of(cells)], [1]) is None
assert cells.all()
"""
    run_python(program)


def test_two_python_threads_run_at_the_same_time():
    threads.set_num_threads(4)
    program = table("slow", 16, steps=3)
    failures = []

    def work() -> None:
        for _ in range(100):
            cells = np.zeros(16, np.int64)
            device.run(program, [address_of(cells)], [200])
            if cells.tolist() != [3 * 199 * 100] * 16:
                failures.append(cells)

    callers = [threading.Thread(target=work) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert failures == []


def test_the_thread_count_may_change_while_another_thread_runs():
    program = table("slow", 64)
    stop = threading.Event()
    wrong = []

    def work() -> None:
        while not stop.is_set():
            cells = np.zeros(64, np.int64)
            device.run(program, [address_of(cells)], [100])
            if cells.tolist() != [99 * 50] * 64:
                wrong.append(cells)

    caller = threading.Thread(target=work)
    caller.start()
    for number in range(30):
        threads.set_num_threads(1 + number % 5)
        time.sleep(0.002)
    stop.set()
    caller.join()
    assert wrong == []
    threads.set_num_threads(1)
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("rushlight") for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "retired workers stay"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ([0, 0, 1, 1, 1, 0], "has no function"),
        ([1, 0, 2, 1, 1, 0], "args outside"),
        ([1, -1, 1, 1, 1, 0], "args outside"),
        ([1, 0, 1, 0, 1, 0], "tasks"),
        ([1, 0, 1, 2**31, 1, 0], "tasks"),
        ([1, 0, 1, 1, 0, 0], "grain"),
        ([1, 0, 1, 1, 1, 2], "outside the scalars"),
    ],
)
def test_a_wrong_table_is_refused(step, message):
    with pytest.raises(ValueError, match=message):
        StepTable([step], [[0, 0]], 1, "q")


def test_a_wrong_slot_is_refused():
    with pytest.raises(ValueError, match="slot 3 of 1"):
        StepTable([[1, 0, 1, 1, 1, 0]], [[3, 0]], 1)


def test_a_wrong_number_of_addresses_is_refused():
    with pytest.raises(Exception, match="1"):
        device.run(table("add", 1), [], [1])


def test_an_empty_table_runs():
    assert device.run(StepTable(np.zeros((0, 6)), np.zeros((0, 2)), 0), []) is None


def test_a_forked_child_gets_its_own_workers():
    program = """
import os, threading, numpy as np
from runtime.native import device, table, address_of
from rushlight.runtime import threads
threads.set_num_threads(3)
cells = np.zeros(30, np.int64)
program = table("nap", 30)
device.run(program, [address_of(cells)], [100])
children = []
for attempt in range(4):
    child = os.fork()
    if child == 0:
        assert threading.active_count() == 1 and threads.current_pool() is None
        if attempt % 2:
            threads.set_num_threads(1)
        cells[:] = 0
        device.run(program, [address_of(cells)], [1000])
        expected = 1 if attempt % 2 else 3
        assert threading.active_count() == expected, threading.active_count()
        os._exit(0 if cells.all() else 1)
    children.append(child)
device.run(program, [address_of(cells)], [100])
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
"""
    run_python(program)


def test_fork_while_another_thread_runs_and_resizes():
    program = """
import os, threading, numpy as np
from runtime.native import device, table, address_of
from rushlight.runtime import threads
program = table("slow", 64)
stop = False
def work():
    cells = np.zeros(64, np.int64)
    number = 0
    while not stop:
        number += 1
        threads.set_num_threads(2 + number % 3)
        device.run(program, [address_of(cells)], [50])
thread = threading.Thread(target=work)
thread.start()
for attempt in range(20):
    child = os.fork()
    if child == 0:
        cells = np.zeros(64, np.int64)
        device.run(program, [address_of(cells)], [50])
        os._exit(0 if (cells == 49 * 25).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
stop = True
thread.join()
"""
    run_python(program)


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "import sys; sys.exit(0)",
        "threading.Thread(target=lambda: device.run(program, [address_of(cells)], [3000])).start()",
        "daemon = threading.Thread(target=forever, daemon=True); daemon.start(); time.sleep(0.05)",
        "os.fork()",
        "import atexit; atexit.register(lambda: device.run(program, [address_of(cells)], [10]))",
    ],
)
def test_the_interpreter_exits(ending):
    program = f"""
import os, threading, time, numpy as np
from runtime.native import device, table, address_of
from rushlight.runtime import threads
def forever():
    while True:
        device.run(program, [address_of(cells)], [100])
threads.set_num_threads(4)
cells = np.zeros(40, np.int64)
program = table("nap", 40)
device.run(program, [address_of(cells)], [100])
{ending}
"""
    run_python(program)


def test_a_child_that_is_killed_in_a_run_leaves_the_parent_alone():
    program = """
import os, signal, time, numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
from runtime.native import device, table, address_of
from rushlight.runtime import threads
threads.set_num_threads(2)
cells = np.zeros(100, np.int64)
program = table("nap", 100)
child = os.fork()
if child == 0:
    while True:
        device.run(program, [address_of(cells)], [1000])
time.sleep(0.2)
os.kill(child, signal.SIGKILL)
assert os.waitpid(child, 0)[1] == signal.SIGKILL
device.run(program, [address_of(cells)], [10])
assert cells.all()
"""
    run_python(program)


@pytest.mark.nightly
def test_one_competing_process_does_not_stall_us():
    """On two processors: twice as slow is the fair share; OpenMP spinning made it 100 times."""
    processors = sorted(os.sched_getaffinity(0))[:2]
    if len(processors) < 2:
        pytest.skip("needs two processors")
    program = f"""
import os, subprocess, sys, time, numpy as np
os.sched_setaffinity(0, {processors})
from runtime.native import device, table, address_of
from rushlight.runtime import threads
threads.set_num_threads(2)
cells = np.zeros(16, np.int64)
program = table("slow", 16, steps=200)
def mean():
    started = time.perf_counter()
    for _ in range(100):
        device.run(program, [address_of(cells)], [400])
    return time.perf_counter() - started
quiet = min(mean() for _ in range(3))
busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
try:
    time.sleep(0.2)
    contended = min(mean() for _ in range(3))
finally:
    busy.kill()
print(contended / quiet)
"""
    ratio = float(run_python(program))
    assert ratio < 3.0, ratio


def run_python(program: str) -> str:
    """Run a program in a process of its own; its output. It must end by itself, without error."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", program],
        env=environment,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, (signal_name(process.returncode), process.stderr[-2000:])
    assert "Error" not in process.stderr, process.stderr[-2000:]
    return process.stdout


def signal_name(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else str(code)
