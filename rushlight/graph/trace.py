"""The trace: what has been recorded and not yet run, as one flat list that is its own cache key.

In: the recording path appends (signature, operand indices). Out: the engine turns it into a
program. Invariants: value i of the trace is made by the i-th output recorded; negative indices name
leaves (buffers that exist), the k-th leaf being -1 - k; `owners[i]` is a weak reference to the
storage whose value is i, dead once nobody can reach it.

A storage belongs to the trace while `storage.epoch == trace.epoch`; `storage.index` is then its
value. An in-place operation gives a storage a new index: whoever read the old one has it written in
the list already.
"""

from __future__ import annotations

import threading
from typing import Any
from weakref import ref

LIMIT_OUTPUTS = 8192  # flush at the latest when so many values are pending
LIMIT_BYTES = 6 << 30  # or when their sizes add up to this
LIMIT_PINNED = 256 << 20  # or when so many bytes are kept by the trace alone


class Trace:
    """A run of recorded operations; `epoch` tells it from all earlier ones."""

    __slots__ = (
        "bytes",
        "entries",
        "epoch",
        "held",
        "leaf_owners",
        "leaves",
        "lines",
        "look_at",
        "owners",
        "pinned",
        "scalars",
    )

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.held = False  # while it is captured (engine/capture.py), nothing may run
        self.entries: list[Any] = []
        self.owners: list[Any] = []  # a weak reference, or a tuple of them
        self.leaves: list[Any] = []
        self.leaf_owners: list[ref[Any]] = []
        self.scalars: list[bool | int | float | complex] = []
        self.lines: list[Any] = []
        self.bytes = 0
        self.pinned = 0  # bytes of all leaves, and when to look again how many of them are dead
        self.look_at = LIMIT_PINNED

    def adopt(self, storage: Any) -> None:
        """Make a storage that holds a buffer a leaf of this trace."""
        if storage.buffer is None:
            raise RuntimeError(
                "the value of this tensor was lost: the program that should have made it failed"
                + (f" ({storage.error})" if storage.error is not None else "")
            )
        self.leaves.append(storage.buffer)
        self.leaf_owners.append(ref(storage))
        storage.index = -len(self.leaves)
        storage.epoch = self.epoch
        self.pinned += storage.buffer.nbytes
        if self.pinned > self.look_at:
            self._look()

    def _look(self) -> None:
        """Ask for a flush where leaves that nobody else can reach any more hold much memory."""
        dead = sum(b.nbytes for b, owner in zip(self.leaves, self.leaf_owners) if owner() is None)
        if dead > LIMIT_PINNED:
            self.bytes = LIMIT_BYTES + 1
        self.look_at = self.pinned + LIMIT_PINNED


LOCK = threading.RLock()


class _Current:
    """Holder of the pending trace of this process (one, guarded by LOCK)."""

    __slots__ = ("trace",)

    def __init__(self) -> None:
        self.trace = Trace(1)

    def take(self) -> Trace:
        """The pending trace; recording goes on in a fresh one."""
        taken = self.trace
        self.trace = Trace(taken.epoch + 1)
        return taken


CURRENT = _Current()
