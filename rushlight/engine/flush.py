"""Flush: the pending trace becomes a program (found in the cache or built), runs, and its values
become buffers.

In: the trace. Out: a buffer in every storage that is still alive. Invariants: live means realized,
everything else is never stored; after an error every tensor is still usable except those whose
value depends on what failed.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..base.errors import OutOfMemoryError
from ..base.settings import SETTINGS
from ..graph.trace import CURRENT, LOCK, Trace
from ..runtime.cpu import Ended
from .log import log
from .profile import COUNTERS

if TYPE_CHECKING:
    from ..runtime.buffer import Buffer
    from .interpreted import Checked, Interpreted
    from .program import Program

PROGRAMS: dict[tuple[Any, ...], Program | Interpreted | Checked] = {}
LIMIT_PROGRAMS = 4096
LIMIT_ENTRIES = 1 << 18  # of all programs together, at one to three KiB each


def flush() -> None:
    """Compute every pending value that somebody can still reach.

    Where a step fails, all that does not depend on it is computed; a tensor that was to be
    overwritten by what failed keeps the value it had, other tensors that depend on it raise the
    error when they are read. Ctrl-C leaves everything pending.
    """
    with LOCK:
        if not CURRENT.trace.entries:
            return
        if CURRENT.trace.held:
            raise RuntimeError(
                "the value of a tensor is asked for while the program is being captured: what is "
                "exported cannot depend on values (on an `if`, `int()` or `.item()` of a tensor)"
            )
        trace = CURRENT.take()
        owners, wanted = living(trace)
        if not wanted:
            return
        try:
            run(trace, owners, wanted)
        except Ended as ended:  # all there; the interrupt was to wait
            raise ended.cause from None
        except KeyboardInterrupt:
            CURRENT.trace = trace
            raise
        except Exception as error:
            told = told_to_user(error, trace)
            give_up(trace, owners, told)
            raise told from (None if told is not error else error.__cause__)


def told_to_user(error: Exception, trace: Trace) -> Exception:
    """The exception as it should reach the user."""
    from .failure import Incomplete, explained

    return explained(error, trace) if isinstance(error, Incomplete) else error


def give_up(trace: Trace, owners: list[list[Any]], error: Exception) -> None:
    """Storages whose value could not be made get back what they held before, or the error."""
    before = {id(owner()): buffer for owner, buffer in zip(trace.leaf_owners, trace.leaves)}
    for storage in (s for storages in owners for s in storages if s.epoch == trace.epoch):
        storage.buffer = before.get(id(storage))
        storage.error = None if storage.buffer is not None else error
        storage.epoch = -1


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


def program_key(trace: Trace, wanted: list[int]) -> tuple[Any, ...]:
    """What two flushes must have in common to run the same program."""
    return tuple(trace.entries), tuple(wanted), SETTINGS.interpret, SETTINGS.check


def run(trace: Trace, owners: list[list[Any]], wanted: list[int]) -> None:
    """Find or build the program, run it, hand out its buffers."""
    key = program_key(trace, wanted)
    program = PROGRAMS.get(key)
    if program is None:
        from .program import build  # the compiler is loaded when there is something to compile

        begin = time.perf_counter()
        with collector_at_rest():
            program = build(trace.entries, wanted)
        log(
            "recompile",
            lambda: (
                f"a program of {len(trace.owners)} values, {len(wanted)} wanted, built in "
                f"{time.perf_counter() - begin:.3f} s"
            ),
        )
        COUNTERS.built(time.perf_counter() - begin, len(trace.owners))
        make_room(len(trace.entries))
        PROGRAMS[key] = program
    COUNTERS.flushes += 1
    try:
        hand_out(owners, _ran(program, trace, owners))
    except OutOfMemoryError:
        if len(wanted) == 1:
            raise
        _in_halves(trace, owners, wanted)
        raise
    except Exception as error:
        hand_out(owners, getattr(error, "buffers", ()))  # engine/failure.py: what could be made
        raise
    except BaseException as error:
        hand_out(owners, getattr(error, "buffers", ()))  # runtime/cpu.py: Ended
        raise


def _ran(
    program: Program | Interpreted | Checked, trace: Trace, owners: list[list[Any]]
) -> Sequence[Buffer]:
    """What a program makes of a trace; written over what it replaces where nobody could tell."""
    if not program.replacements:
        return program.run(trace.leaves, trace.scalars)
    from .in_place import taken

    replaced = taken(program.replacements, trace.leaves, trace.leaf_owners, owners)
    return program.run(trace.leaves, trace.scalars, replaced)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """While a program is built: so many objects are made, and kept, that Python would look several
    times through all there are for cycles (a fifth of the time).
    """
    working = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if working:
            gc.enable()


def make_room(entries: int) -> None:
    """Forget the oldest programs where a new one of that many entries would be too much."""
    held = sum(len(key[0]) for key in PROGRAMS)
    while PROGRAMS and (len(PROGRAMS) >= LIMIT_PROGRAMS or held + entries > LIMIT_ENTRIES):
        oldest = next(iter(PROGRAMS))
        held -= len(oldest[0])
        del PROGRAMS[oldest]


def _in_halves(trace: Trace, owners: list[list[Any]], wanted: list[int]) -> None:
    """Compute of what does not fit in memory together those values that fit alone."""
    middle = len(wanted) // 2
    for part in (slice(0, middle), slice(middle, None)):
        with suppress(Exception):
            run(trace, owners[part], wanted[part])


def hand_out(owners: list[list[Any]], buffers: Sequence[Buffer | None]) -> None:
    """Every value's storages get its buffer; None where there is none."""
    for storages, buffer in zip(owners, buffers):
        if buffer is None:
            continue
        for storage in storages[1:]:
            storage.buffer = buffer.copy()
            storage.epoch = -1
        storages[0].buffer = buffer
        storages[0].epoch = -1
