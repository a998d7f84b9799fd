"""`torch.multiprocessing`: Python's `multiprocessing`, and a way to start several at once.

In: functions and arguments. Out: processes. Tensors travel by value, as pickles do. Invariant: a
process that fails makes the whole group fail, with the traceback of the first that did.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing import *  # noqa: F403
from multiprocessing import connection
from typing import Any

__all__ = [
    *multiprocessing.__all__,
    "ProcessContext",
    "ProcessExitedException",
    "ProcessRaisedException",
    "SpawnContext",
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    "spawn",
    "start_processes",
]


class ProcessException(Exception):
    """A process of a group has failed."""

    def __init__(self, msg: str, error_index: int, pid: int) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, pid


class ProcessRaisedException(ProcessException):
    """A process of a group has ended in an exception."""


class ProcessExitedException(ProcessException):
    """A process of a group has ended by a signal, or with an exit code other than 0."""

    def __init__(
        self, msg: str, error_index: int, error_pid: int, exit_code: int, signal_name: str | None
    ) -> None:
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name


def _run(function: Callable[..., Any], index: int, args: tuple, report: str) -> None:
    """In the child: call; leave the traceback of a failure in the file `report`."""
    try:
        function(index, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        with open(report, "w", encoding="utf-8") as file:
            file.write(traceback.format_exc())
        sys.exit(1)


class ProcessContext:
    """A group of processes that `start_processes` has started."""

    def __init__(self, processes: list[Any], reports: list[str]) -> None:
        self.processes, self._reports = processes, reports

    def pids(self) -> list[int | None]:
        """Their process ids."""
        return [process.pid for process in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait until one of them ends; True when all have ended well.

        Errors: ProcessRaisedException or ProcessExitedException for one that has not; the others
        are told to end.
        """
        running = [p for p in self.processes if p.exitcode is None]
        if running:  # waiting for nobody would never end
            connection.wait([p.sentinel for p in running], timeout)
        for index, process in enumerate(self.processes):
            if process.exitcode not in (None, 0):
                self._fail(index, grace_period)
        if any(process.exitcode is None for process in self.processes):
            return False
        self._forget()
        return True

    def _fail(self, index: int, grace_period: float | None) -> None:
        for process in self.processes:
            if process.is_alive():
                process.terminate()
        for process in self.processes:
            process.join(grace_period)
            if process.is_alive():
                process.kill()
                process.join()
        with open(self._reports[index], encoding="utf-8") as file:
            report = file.read()
        self._forget()
        failed = self.processes[index]
        if report:
            raise ProcessRaisedException(
                f"\n\n-- Process {index} terminated with the following error:\n{report}",
                index,
                failed.pid,
            )
        code = failed.exitcode
        name = signal.Signals(-code).name if code < 0 else None
        how = f"signal {name}" if name else f"exit code {code}"
        raise ProcessExitedException(
            f"process {index} terminated with {how}", index, failed.pid, code, name
        )

    def _forget(self) -> None:
        for report in self._reports:
            if os.path.exists(report):
                os.unlink(report)


SpawnContext = ProcessContext


def start_processes(
    fn: Callable[..., Any],
    args: tuple = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Start `nprocs` processes that call `fn(index, *args)`; with `join` wait for all of them.

    Errors: as `ProcessContext.join`.
    """
    context: Any = multiprocessing.get_context(start_method)
    processes, reports = [], []
    for index in range(nprocs):
        handle, report = tempfile.mkstemp(prefix="rushlight-", suffix=".traceback")
        os.close(handle)
        process = context.Process(target=_run, args=(fn, index, args, report), daemon=daemon)
        process.start()
        processes.append(process)
        reports.append(report)
    group = ProcessContext(processes, reports)
    if not join:
        return group
    while not group.join():
        pass
    return None


def spawn(
    fn: Callable[..., Any],
    args: tuple = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """`start_processes`, by fresh interpreters."""
    return start_processes(fn, args, nprocs, join, daemon, start_method)


_STRATEGIES = {"file_descriptor"}


def get_all_sharing_strategies() -> set[str]:
    """How tensors may travel between processes: by memory files that both sides hold open."""
    return set(_STRATEGIES)


def get_sharing_strategy() -> str:
    """How tensors travel between processes."""
    return "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Choose how tensors travel. Errors: ValueError for a way that there is not."""
    if new_strategy not in _STRATEGIES:
        raise ValueError(
            f"set_sharing_strategy: {new_strategy!r} is not one of {sorted(_STRATEGIES)}"
        )
