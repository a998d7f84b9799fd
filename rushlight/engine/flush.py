"""Flush: the pending trace becomes a program (found in the cache or built), runs, and its values
become buffers.

In: the trace. Out: a buffer in every storage that is still alive. Invariants: live means realized,
everything else is never stored; after an error every tensor is still usable except those whose
value it was.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..graph.trace import CURRENT, LOCK, Trace
from .log import log
from .profile import COUNTERS

if TYPE_CHECKING:
    from .program import Program

PROGRAMS: dict[tuple[Any, ...], Program] = {}
LIMIT_PROGRAMS = 4096


def flush() -> None:
    """Compute every pending value that somebody can still reach."""
    with LOCK:
        if not CURRENT.trace.entries:
            return
        trace = CURRENT.take()
        owners, wanted = living(trace)
        if not wanted:
            return
        try:
            run(trace, owners, wanted)
        except BaseException as error:
            for storages in owners:
                for storage in storages:
                    if storage.buffer is None:
                        storage.error = error
                        storage.epoch = -1
            raise


def living(trace: Trace) -> tuple[list[list[Any]], list[int]]:
    """The storages whose value is still the trace's, grouped by value, and the indices of those
    values.
    """
    epoch = trace.epoch
    owners, wanted = [], []
    for index, owner in enumerate(trace.owners):
        if owner.__class__ is tuple:
            storages = [
                s
                for s in (r() for r in owner)
                if s is not None and s.index == index and s.epoch == epoch
            ]
            if storages:
                owners.append(storages)
                wanted.append(index)
        else:
            storage = owner()
            if storage is not None and storage.index == index and storage.epoch == epoch:
                owners.append([storage])
                wanted.append(index)
    return owners, wanted


def run(trace: Trace, owners: list[list[Any]], wanted: list[int]) -> None:
    """Find or build the program, run it, hand out its buffers."""
    key = (tuple(trace.entries), tuple(wanted))
    program = PROGRAMS.get(key)
    if program is None:
        from .program import build  # the compiler is loaded when there is something to compile

        begin = time.perf_counter()
        program = build(trace.entries, wanted)
        log(
            "recompile",
            lambda: (
                f"a program of {len(trace.owners)} values, {len(wanted)} wanted, built in "
                f"{time.perf_counter() - begin:.3f} s"
            ),
        )
        COUNTERS.built(time.perf_counter() - begin, len(trace.owners))
        if len(PROGRAMS) >= LIMIT_PROGRAMS:
            PROGRAMS.clear()
        PROGRAMS[key] = program
    COUNTERS.flushes += 1
    buffers = program.run(trace.leaves, trace.scalars)
    for storages, buffer in zip(owners, buffers):
        for storage in storages[1:]:
            storage.buffer = buffer.copy()
            storage.epoch = -1
        storages[0].buffer = buffer
        storages[0].epoch = -1
