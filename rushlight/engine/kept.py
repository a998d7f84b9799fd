"""Layout copies of leaves that did not change since the last run: made once, then kept.

A convolution wants its weight in panels, a linear layer its matrix turned. In training every step
has new weights and copies them anew, which is little beside the work of a batch. In inference the
weights stay, and for one image the copies would take as long as a third of the arithmetic.

In: a plan, and the buffers it is run with. Out: the same plan without the copies that are known,
and the copies. Invariants: a copy belongs to the Buffer it was made of and dies with it; only
buffers that nobody outside can write are trusted; a copy is kept from the second run on that meets
the same buffer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..kernel.ir import Kernel, Load, Loop, Statement, Store
from ..runtime.buffer import Buffer
from ..schedule.plan import Memory, Plan
from .failure import written
from .target import digest

SMALLEST = 1 << 16  # bytes: below, the copy costs as much as looking for it
PATIENCE = 8  # runs without a familiar buffer, or with other ones, until a program stops looking


class LayoutCopy(NamedTuple):
    """One step that does nothing but lay out a leaf: in what a copy is known by, the step's number,
    the leaf's index, and the place it is copied to.
    """

    key: str
    step: int
    leaf: int
    place: int


def layout_copies(plan: Plan) -> list[LayoutCopy]:
    """The steps of a plan that copy one leaf into a temporary that nothing else writes."""
    writers: dict[int, int] = {}
    for step in plan.steps:
        for place in written(step):
            writers[place] = writers.get(place, 0) + 1
    found = []
    for number, step in enumerate(plan.steps):
        if step.kernel is None or not _only_copies(step.kernel):
            continue
        source, target = (plan.memories[place] for place in step.places)
        if (
            source.kind == "leaf"
            and target.kind == "temporary"
            and target.nbytes >= SMALLEST
            and writers[step.places[1]] == 1
        ):
            key = digest(repr((step.kernel, step.offsets)))
            found.append(LayoutCopy(key, number, source.index, step.places[1]))
    return found


def _only_copies(kernel: Kernel) -> bool:
    modes = [parameter.mode for parameter in kernel.parameters]
    statements = list(_leaves(kernel.body))
    return (
        modes == ["in", "out"]
        and not kernel.scalars
        and len(statements) == 2
        and isinstance(statements[0], Load)
        and isinstance(statements[1], Store)
        and statements[0].dynamic is None
        and statements[0].mask is None
        and statements[1].mask is None
    )


def _leaves(body: Sequence[Statement]) -> Iterator[Statement]:
    for statement in body:
        if isinstance(statement, Loop):
            yield from _leaves(statement.body)
        else:
            yield statement


class KeptLayouts:
    """The layout copies of one program: which of them are kept now, and the plan without them."""

    def __init__(self, plan: Plan, leaves: int) -> None:
        self.plan = plan
        self.leaves = leaves
        self.copies = layout_copies(plan)
        self.chosen: list[LayoutCopy] = []
        self.patience = PATIENCE

    def choose(self, leaves: Sequence[Buffer]) -> list[LayoutCopy]:
        """Look at the leaves of a run: the copies that are worth keeping now."""
        if self.copies and self.patience:
            familiar = [copy for copy in self.copies if _familiar(leaves[copy.leaf], copy.key)]
            same = familiar and familiar == self.chosen
            self.patience = PATIENCE if same else self.patience - 1
            self.chosen = familiar if self.patience else []
        return self.chosen

    def missing(self, leaves: Sequence[Buffer]) -> bool:
        """Whether a chosen copy is still to be made."""
        return any(_known(leaves[copy.leaf], copy.key) is None for copy in self.chosen)

    def buffers(self, leaves: Sequence[Buffer]) -> list[Buffer]:
        """The chosen copies, which are all there."""
        found = [_known(leaves[copy.leaf], copy.key) for copy in self.chosen]
        return [buffer for buffer in found if buffer is not None]

    def keep(self, leaves: Sequence[Buffer], made: Sequence[Buffer]) -> None:
        """The chosen copies, fresh from `making`."""
        for copy, buffer in zip(self.chosen, made):
            layouts = leaves[copy.leaf].layouts
            if layouts is not None:
                layouts[copy.key] = buffer

    def making(self) -> Plan:
        """A plan of the chosen copies alone: its outputs."""
        memories = list(self.plan.memories)
        for number, copy in enumerate(self.chosen):
            memories[copy.place] = _as("output", number, memories[copy.place])
        steps = [self.plan.steps[copy.step] for copy in self.chosen]
        places = [copy.place for copy in self.chosen]
        return replace(self.plan, memories=memories, steps=steps, outputs=places)

    def using(self) -> Plan:
        """The plan in which the chosen copies are leaves, behind its own."""
        memories = list(self.plan.memories)
        for number, copy in enumerate(self.chosen):
            memories[copy.place] = _as("leaf", self.leaves + number, memories[copy.place])
        left_out = {copy.step for copy in self.chosen}
        steps = [step for n, step in enumerate(self.plan.steps) if n not in left_out]
        return replace(self.plan, memories=memories, steps=steps)


def _as(kind: str, index: int, memory: Memory) -> Memory:
    return Memory(kind, index, memory.size, memory.dtype)


def _familiar(buffer: Buffer, key: str) -> bool:
    """Whether an earlier run met this buffer with this copy to make; the next one will know."""
    if buffer.foreign or buffer.exported:
        return False
    layouts = buffer.layouts
    if layouts is None:
        layouts = buffer.layouts = {}
    if key in layouts:
        return True
    layouts[key] = None
    return False


def _known(buffer: Buffer, key: str) -> Buffer | None:
    return buffer.layouts.get(key) if buffer.layouts is not None else None
