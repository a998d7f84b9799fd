"""Storage: the cell that holds the current value of a flat buffer.

Aliasing and in-place live here and nowhere else.

In: the recording path and in-place writes. Out: a realized `Buffer` on demand. Invariants: a value
is either pending (`epoch` is the current trace's and `index` >= 0), a leaf of the current trace
(`index` < 0), or just a buffer; `version` grows with every in-place write; no two storages ever
share a buffer, so a storage that lets go of its buffer lets go of the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import CodeType
from typing import Any
from weakref import ref

from ..base.dtype import dtype
from ..engine.flush import flush
from ..graph.trace import CURRENT, LOCK
from ..runtime.buffer import Buffer


class Storage:
    """Flat memory of `numel` elements of `dtype`, perhaps still to be computed."""

    __slots__ = (
        "__weakref__",
        "buffer",
        "dtype",
        "epoch",
        "error",
        "index",
        "numel",
        "rebased",
        "savers",
        "shared",
        "version",
        "writer",
    )

    def __init__(self, epoch: int, index: int, numel: int, type_: dtype) -> None:
        self.epoch = epoch
        self.index = index
        self.numel = numel
        self.dtype = type_
        self.buffer: Buffer | None = None
        self.version = 0
        # how often the tape of the tensors on this memory was rewritten by an in-place operation
        self.rebased = 0
        self.shared = False
        self.error: BaseException | None = None
        self.writer: tuple[CodeType, int] | None = None  # the user's line of the last write
        self.savers: Sequence = ()  # weak references to what must keep the value of now

    @staticmethod
    def of(buffer: Buffer, numel: int, type_: dtype) -> Storage:
        """A storage over bytes that exist."""
        made = Storage(-1, 0, numel, type_)
        made.buffer = buffer
        made.shared = buffer.foreign
        return made

    def pending(self) -> bool:
        return self.index >= 0 and self.epoch == CURRENT.trace.epoch

    def realize(self) -> Buffer:
        """The buffer, computed now if it has not been."""
        buffer = self.buffer
        if buffer is None or self.pending():
            with LOCK:  # so that no other thread overwrites it between the flush and the look
                flush()
                buffer = self.buffer
            if buffer is None:
                raise self.error or RuntimeError("the value of this tensor was lost")
        return buffer

    def settle(self) -> Buffer:
        """The buffer, with nothing recorded left that has still to read it: for bytes that are
        handed out.
        """
        if self.epoch == CURRENT.trace.epoch:
            flush()
        return self.realize()

    def take(self, other: Storage) -> None:
        """Become the value of another storage: a pending one (the other gets bytes of its own if it
        is still held at the flush), or the buffer of a temporary that nobody else holds.
        """
        self.error = None
        if not other.pending():
            self.buffer, self.epoch = other.buffer, -1
            return
        if self.buffer is not None and self.epoch != CURRENT.trace.epoch:
            CURRENT.trace.adopt(self)  # what it holds now comes back if the program fails
        owners = CURRENT.trace.owners
        before = owners[other.index]
        owners[other.index] = (
            (*before, ref(self)) if isinstance(before, tuple) else (before, ref(self))
        )
        self.index, self.epoch = other.index, other.epoch
        self.buffer = None

    def outside(self) -> bool:
        """Whether somebody outside can see the bytes now, so that reads and writes must happen at
        the call.
        """
        return self.shared or (self.buffer is not None and bool(self.buffer.exported))

    def nbytes(self) -> int:
        return self.numel * self.dtype.itemsize

    def __repr__(self) -> str:
        state = "pending" if self.pending() else "ready"
        return f"<storage of {self.numel} {self.dtype.name}, {state}, version {self.version}>"


def numpy_bytes(storage: Storage) -> Any:
    """The storage's bytes as a flat NumPy array of its stored type."""
    return storage.realize().numpy(storage.dtype.numpy)[: storage.numel]
