"""A device that counts what it is asked for and computes nothing, to test scheduling and memory.

Comes in: what `CpuDevice` takes. Goes out: counts; buffers are as uninitialised as they come.
Invariant: the interface and the checks of step tables are the CPU's; only the work is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from rushlight.runtime.buffer import Buffer
from rushlight.runtime.cpu import Failure, StepTable


class NullDevice:
    """Counts compilations, allocations, runs, steps (kernel launches) and tasks.

    >>> from rushlight.runtime.null import NullDevice
    >>> device = NullDevice()
    >>> device.allocate(100).nbytes, device.bytes_allocated
    (100, 100)
    """

    __slots__ = ("allocations", "bytes_allocated", "modules", "runs", "steps", "tasks")

    name = "null"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start counting from zero."""
        self.modules = 0
        self.allocations = 0
        self.bytes_allocated = 0
        self.runs = 0
        self.steps = 0
        self.tasks = 0

    def compile_module(self, text: str, symbols: list[str]) -> dict[str, int]:
        """Addresses that nothing calls: 1, 2, ... in the order of `symbols`."""
        self.modules += 1
        return {symbol: number for number, symbol in enumerate(symbols, start=1)}

    def allocate(self, nbytes: int) -> Buffer:
        """A real buffer, since values may be put into it; its memory is touched by nobody else."""
        self.allocations += 1
        self.bytes_allocated += nbytes
        return Buffer(nbytes)

    def run(
        self, table: StepTable, addresses: Sequence[int], scalars: Sequence[float] = ()
    ) -> Failure | None:
        """Check the run's arguments as the CPU would, and count its steps and tasks."""
        table.give_block(table.take_block(addresses, scalars))
        self.runs += 1
        self.steps += len(table.steps)
        self.tasks += int(table.steps[:, 3].sum())
        return None
