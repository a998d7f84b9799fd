"""Programs that go on for long: memory stays flat, walks are iterative, caches are bounded."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import rushlight as rl
from rushlight.engine.flush import PROGRAMS
from rushlight.graph.trace import CURRENT, LIMIT_OUTPUTS

PAGE = resource.getpagesize()


def resident() -> int:
    """Bytes of memory that this process occupies now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * PAGE


needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


def chain(count: int) -> rl.Tensor:
    x = rl.ones(4)
    for _ in range(count):
        x = x + 1
    return x


def test_a_chain_of_100_000_nodes_completes() -> None:
    x = chain(100_000)
    assert len(CURRENT.trace.owners) <= LIMIT_OUTPUTS + 1
    assert x.tolist() == [100_001.0] * 4


@pytest.mark.nightly
def test_a_chain_of_1_000_000_nodes_completes() -> None:
    assert chain(1_000_000).tolist() == [1_000_001.0] * 4


def accumulate(steps: int) -> None:
    """total += loss.detach(), asked for only now and then."""
    weight = rl.ones(8, requires_grad=True)
    total = rl.zeros(())
    for step in range(steps):
        loss = (weight * (step % 7)).sum()
        total += loss.detach()
        if step % 5000 == 4999:
            total.item()
    expected = 8.0 * sum(step % 7 for step in range(steps))
    assert total.item() == pytest.approx(expected, rel=1e-4)


def check_flat(steps: int) -> None:
    accumulate(10_000)  # every structure that comes back has been met
    programs, before = len(PROGRAMS), resident()
    accumulate(steps)
    assert len(PROGRAMS) - programs <= 4
    assert resident() - before < 24 << 20


@needs_proc
def test_10_000_steps_of_accumulation_are_flat() -> None:
    check_flat(10_000)


@needs_proc
@pytest.mark.nightly
def test_100_000_steps_of_accumulation_are_flat() -> None:
    check_flat(100_000)


@needs_proc
def test_training_steps_are_flat() -> None:
    model = rl.nn.Sequential(rl.nn.Linear(16, 32), rl.nn.ReLU(), rl.nn.Linear(32, 4))
    optimizer = rl.optim.Adam(model.parameters(), lr=1e-3)
    x, y = rl.randn(8, 16), rl.randn(8, 4)
    total = rl.zeros(())

    def steps(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            loss = rl.nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            total.add_(loss.detach())

    steps(100)
    total.item()
    before, programs = resident(), len(PROGRAMS)
    steps(600)
    total.item()
    assert resident() - before < 16 << 20
    assert len(PROGRAMS) - programs <= 3


def test_a_tape_of_100_000_entries_runs_backwards_and_is_deleted() -> None:
    x = rl.ones(2, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]
    z = x
    for _ in range(100_000):
        z = z * 1
    del z  # nothing recursive in letting go of a tape that was never walked
    gc.collect()


def test_views_of_views_do_not_recurse() -> None:
    x = rl.arange(4.0).requires_grad_()
    y = x
    for _ in range(20_000):
        y = y.view(4)
    y.sum().backward()
    assert x.grad.tolist() == [1.0] * 4


@needs_proc
def test_ever_new_shapes_do_not_leak_without_bound() -> None:
    """What stays of a shape that never comes back is small: no buffers, no trace."""

    def use(first: int, last: int) -> None:
        for size in range(first, last):
            (rl.ones(size) + 1).sum().item()

    use(1000, 1100)
    begin, before = time.perf_counter(), resident()
    use(1100, 1300)
    assert resident() - before < 60 << 20
    assert time.perf_counter() - begin < 60


def run_program(text: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess:
    """A program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_ctrl_c_during_a_long_program_loses_nothing() -> None:
    done = run_program(
        """
        import os, signal, threading, time
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
        import rushlight as rl
        x = rl.randn(700, 700) * 0.01
        keep = rl.ones(3)
        y = x
        for _ in range(6):
            y = y @ x + x
        y.sum().item()  # compiled now: what is interrupted below is the run
        y = x
        for _ in range(400):
            y = y @ x + x
        other = keep * 2
        threading.Timer(0.25, os.kill, (os.getpid(), signal.SIGINT)).start()
        begin = time.perf_counter()
        try:
            for _ in range(100):
                z = y
                for _ in range(40):
                    z = z @ x + x
                z.sum().item()
            print("not interrupted")
        except KeyboardInterrupt:
            print("interrupted")
        print(other.tolist(), keep.tolist())
        print((x * 2 - x - x).abs().sum().item())
        w = x
        for _ in range(6):
            w = w @ x + x
        print(bool(rl.isfinite(w.sum())))
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "interrupted",
        "[2.0, 2.0, 2.0] [1.0, 1.0, 1.0]",
        "0.0",
        "True",
    ]


def test_a_fork_in_the_middle() -> None:
    """Parent and child both go on with what was pending and with what was computed."""
    done = run_program(
        """
        import os, sys
        import rushlight as rl
        rl.set_num_threads(2)
        x = rl.randn(256, 256)
        first = (x @ x).sum().item()
        pending = x * 2 + 1
        child = os.fork()
        good = abs(pending.sum().item() - (2 * x.sum().item() + 65536)) < 1.0
        again = (x @ x).sum().item() == first
        big = (rl.ones(1 << 20) * 3).sum().item() == 3.0 * (1 << 20)
        if not child:
            os._exit(0 if good and again and big else 7)
        _, status = os.waitpid(child, 0)
        print(good, again, big, os.waitstatus_to_exitcode(status))
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "True", "True", "0"]


def test_exit_with_work_pending_is_quiet() -> None:
    done = run_program("import rushlight as rl\nx = rl.ones(5) + 1\ny = x @ x\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_remembered_of_operations_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from rushlight.tensor import dispatch

    monkeypatch.setattr(dispatch, "LIMIT_SIGNATURES", 64)
    dispatch.SIGNATURES.clear()
    total = 0.0
    for size in range(1, 80):
        total += (rl.ones(size) * 2).sum().item()
        assert len(dispatch.SIGNATURES) <= 64
    assert total == 2 * sum(range(1, 80))
