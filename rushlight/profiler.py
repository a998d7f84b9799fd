"""`torch.profiler`: how long the marked parts of a program take, and what the engine did meanwhile.

In: a block of code, and parts of it marked by `record_function`. Out: a table, averages, a trace
for Chrome's viewer. Operations are recorded by the program and run together later, so the engine's
own work (flushes, programs, kernels) is counted for the whole, not listed by operation: `explain`
and RUSHLIGHT_LOG=time do that. Invariant: nothing is measured while no profile is on.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ContextDecorator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import rushlight

__all__ = [
    "EventList",
    "ProfilerAction",
    "ProfilerActivity",
    "emit_nvtx",
    "kineto_available",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]


class ProfilerActivity(Enum):
    """What is measured."""

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3
    HPU = 4
    PrivateUse1 = 5


class ProfilerAction(Enum):
    """What a profile does at a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def kineto_available() -> bool:
    """Whether PyTorch's tracing library is there: False, this is rushlight's own."""
    return False


def supported_activities() -> set[ProfilerActivity]:
    """What can be measured here: the CPU."""
    return {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, **ignored: Any
) -> Callable[[int], ProfilerAction]:
    """A plan by steps: skip some, then wait, warm up and record, over and over or `repeat` times.

    >>> import rushlight as rl
    >>> plan = rl.profiler.schedule(wait=1, warmup=1, active=2, repeat=1)
    >>> [plan(step).name for step in range(5)]
    ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active < 1:
        raise AssertionError("Invalid profiler schedule arguments")
    length = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        if step < skip_first or (repeat and (step - skip_first) // length >= repeat):
            return ProfilerAction.NONE
        place = (step - skip_first) % length
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        last = place == length - 1
        return ProfilerAction.RECORD_AND_SAVE if last else ProfilerAction.RECORD

    return action


@dataclass
class Event:
    """A marked part: its name, thread, and times in microseconds."""

    name: str
    thread: int
    start: float
    end: float = 0.0
    inner: float = 0.0  # spent in marked parts inside this one
    count: int = 1

    key = property(lambda self: self.name)
    cpu_time_total = property(lambda self: self.end - self.start)
    self_cpu_time_total = property(lambda self: self.end - self.start - self.inner)
    cpu_time = property(lambda self: (self.end - self.start) / self.count)
    device_time_total = self_device_time_total = cuda_time_total = property(lambda self: 0.0)


class EventList(list):
    """Events, with their sums by name and a table of them."""

    def key_averages(self, group_by_input_shape: bool = False, **ignored: Any) -> EventList:
        """One event for each name, its times summed."""
        sums: dict[str, Event] = {}
        for event in self:
            known = sums.get(event.name)
            if known is None:
                known = sums[event.name] = Event(event.name, event.thread, 0.0, 0.0, 0.0, 0)
            known.end += event.end - event.start
            known.inner += event.inner
            known.count += event.count
        return EventList(sums.values())

    def total_average(self) -> Event:
        """The sum of all, apart from what is inside others."""
        spent = sum(event.self_cpu_time_total for event in self)
        return Event("Total", 0, 0.0, spent, 0.0, sum(event.count for event in self))

    self_cpu_time_total = property(lambda self: sum(e.self_cpu_time_total for e in self))

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, header: str | None = None, **_: Any
    ) -> str:
        """The events as text, the greatest `sort_by` first."""
        events = list(self)
        if sort_by is not None:
            events.sort(key=lambda event: -getattr(event, sort_by))
        rows = [("Name", "Self CPU", "CPU total", "CPU time avg", "# of Calls")]
        for event in events[: row_limit if row_limit >= 0 else None]:
            times = (event.self_cpu_time_total, event.cpu_time_total, event.cpu_time)
            rows.append((event.name, *(f"{t / 1e3:.3f}ms" for t in times), str(event.count)))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        line = "  ".join("-" * width for width in widths)
        text = ["  ".join(c.rjust(w) for c, w in zip(row, widths)) for row in rows]
        head = [header] if header else []
        total = f"Self CPU time total: {self.self_cpu_time_total / 1e3:.3f}ms"
        return "\n".join([*head, line, text[0], line, *text[1:], line, total])

    def __str__(self) -> str:
        return self.table()

    def export_chrome_trace(self, path: str) -> None:
        """Write the events as JSON for Chrome's trace viewer."""
        events = [
            {
                "ph": "X",
                "cat": "user_annotation",
                "name": event.name,
                "pid": os.getpid(),
                "tid": event.thread,
                "ts": event.start,
                "dur": event.end - event.start,
            }
            for event in self
        ]
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": events}, file)


@dataclass
class _Recorder:
    """The events of the profile that is on; the parts that are open, for each thread."""

    events: list[Event] = field(default_factory=list)
    open: dict[int, list[Event]] = field(default_factory=dict)


_RECORDERS: list[_Recorder] = []  # of the profiles that record now


class record_function(ContextDecorator):
    """Mark a part of the program with a name, as a context or a decorator.

    What the part has recorded is computed before the mark ends while a profile is on, so that the
    time is that of the work.
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args
        self._started: list[tuple[_Recorder, Event]] = []

    def __enter__(self) -> record_function:
        thread = threading.get_ident()
        for recorder in _RECORDERS:
            event = Event(self.name, thread, time.perf_counter() * 1e6)
            recorder.open.setdefault(thread, []).append(event)
            self._started.append((recorder, event))
        return self

    def __exit__(self, *error: object) -> None:
        if not self._started:
            return
        rushlight._step_boundary()
        now = time.perf_counter() * 1e6
        while self._started:
            recorder, event = self._started.pop()
            event.end = now
            around = recorder.open[event.thread]
            around.pop()
            if around:
                around[-1].inner += event.end - event.start
            recorder.events.append(event)

    def _recreate_cm(self) -> record_function:
        return record_function(self.name, self.args)


class profile:
    """Measure a block of code, as `torch.profiler.profile`.

    `enabled` is that of the older `torch.autograd.profiler.profile`. `activities` other than the
    CPU are not there and measure nothing. `schedule` says at which
    steps (`step()`) is recorded; `on_trace_ready(profile)` is called when a recording is complete.

    >>> import rushlight as rl
    >>> with rl.profiler.profile() as p:
    ...     with rl.profiler.record_function("square"):
    ...         _ = rl.ones(8).square()
    >>> [event.key for event in p.key_averages()]
    ['square']
    """

    def __init__(
        self,
        enabled: bool = True,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[profile], Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        **ignored: Any,
    ) -> None:
        self.activities = set(activities) if activities else supported_activities()
        always = ProfilerAction.RECORD if enabled else ProfilerAction.NONE
        self._plan = schedule or (lambda step: always)
        self._ready = on_trace_ready
        self._recorder: _Recorder | None = None
        self._done: EventList = EventList()
        self._counted: dict[str, float] = {}
        self.step_num = 0
        self.current_action = ProfilerAction.NONE

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin, at the step that is due."""
        self.current_action = self._plan(self.step_num)
        self._follow()

    def stop(self) -> None:
        """End; a recording that is on is complete."""
        if self._recorder is not None:
            self._complete()
        self.current_action = ProfilerAction.NONE

    def step(self) -> None:
        """Say that a step of the program is over."""
        if self.current_action is ProfilerAction.RECORD_AND_SAVE:
            self._complete()
        self.step_num += 1
        self.current_action = self._plan(self.step_num)
        self._follow()

    def _follow(self) -> None:
        """Begin or end to record, as the action of this step says."""
        recording = self.current_action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        if recording and self._recorder is None:
            self._recorder = _Recorder()
            _RECORDERS.append(self._recorder)
            self._counted = _engine_counts()
        elif not recording and self._recorder is not None:
            self._complete()

    def _complete(self) -> None:
        rushlight._step_boundary()
        recorder = self._recorder
        assert recorder is not None
        _RECORDERS.remove(recorder)
        self._recorder = None
        before, now = self._counted, _engine_counts()
        self._counted = {name: now[name] - before[name] for name in now}
        self._done = EventList(recorder.events)
        if self._ready is not None:
            self._ready(self)

    def events(self) -> EventList:
        """The events of the last complete recording."""
        return self._done

    def key_averages(self, group_by_input_shape: bool = False, **ignored: Any) -> EventList:
        """Its events summed by name."""
        return self._done.key_averages()

    def engine_counts(self) -> dict[str, float]:
        """What the engine did during it: flushes, programs and kernels built, seconds spent."""
        return dict(self._counted)

    def export_chrome_trace(self, path: str) -> None:
        """Write it as JSON for Chrome's trace viewer."""
        self._done.export_chrome_trace(path)

    def add_metadata(self, key: str, value: str) -> None:
        """Note a text beside the events."""
        self.__dict__.setdefault("metadata", {})[key] = value


def _engine_counts() -> dict[str, float]:
    from rushlight.engine.profile import COUNTERS

    return {name: getattr(COUNTERS, name) for name in COUNTERS.__slots__}


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[profile], None]:
    """An `on_trace_ready` that writes each recording to a folder, for TensorBoard's plugin."""
    import socket

    worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"

    def write(done: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        path = os.path.join(dir_name, f"{worker}.{time.time_ns()}.pt.trace.json")
        done.export_chrome_trace(path)
        if use_gzip:
            import gzip

            with open(path, "rb") as plain, gzip.open(f"{path}.gz", "wb") as packed:
                packed.write(plain.read())
            os.unlink(path)

    return write


class emit_nvtx:
    """Marks for NVIDIA's profilers: refused when it is entered, there is no device."""

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled = enabled

    def __enter__(self) -> None:
        if self.enabled:
            raise RuntimeError("emit_nvtx: rushlight has no CUDA device here; use profile()")

    def __exit__(self, *error: object) -> None:
        return None
