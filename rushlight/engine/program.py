"""A program: what a trace of one structure compiles to.

In: a trace's entries and the values wanted. Out: an object whose `run(leaves, scalars)` gives a
buffer for each of them. Invariant: a program keeps no state between runs but its tables; it may run
in several threads at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.errors import OutOfMemoryError
from ..base.layout import Layout
from ..base.settings import SETTINGS
from ..graph.node import Node, ordered
from ..graph.printer import to_text
from ..kernel import convert
from ..runtime.buffer import Buffer
from ..runtime.cpu import CpuDevice, Ended, Failure, StepTable
from ..schedule.assemble import assemble
from ..schedule.memory import lay_out
from ..schedule.plan import Plan, Step, make_plan
from . import interpret
from .bounds import check_leaves, check_step, outside
from .explain import step_lines
from .failure import Incomplete, touched, written
from .in_place import replacements
from .interpreted import Checked, Interpreted
from .kept import KeptLayouts, LayoutCopy
from .log import log
from .target import Code, CpuTarget


class _Machine:
    """The device and its code, made when the first program is built."""

    def __init__(self) -> None:
        self._target: CpuTarget | None = None
        self._device: CpuDevice | None = None

    @property
    def target(self) -> CpuTarget:
        if self._target is None:
            self._target = CpuTarget()
        return self._target

    @property
    def device(self) -> CpuDevice:
        if self._device is None:
            from ..codegen.compiler import compile_module

            self._device = CpuDevice(compile_module)
        return self._device


# Runs of a program after which code for its own sizes is worth compiling.
OFTEN = 64

MACHINE = _Machine()
_ONES: dict[str, Buffer] = {}


class _Native:
    """A run of steps that are machine code: one table, one call.

    A program that runs often gets code for its own sizes in the place of code for any size.
    """

    __slots__ = ("base", "generic", "place", "runs", "scalars", "state", "steps")

    def __init__(
        self,
        plan: Plan,
        pointers: int,
        base: int,
        steps: Sequence[Step],
        slots: dict[int, tuple[int, int]],
    ) -> None:
        self.base = base
        self.steps = steps
        for step in steps if SETTINGS.bounds else ():
            check_step(plan, step)
        self.scalars = [scalar for step in steps for scalar in step.scalars]
        self.place = plan, pointers, slots
        self.runs = 0
        self.state = self._table(MACHINE.target.resolve(steps))

    def _table(self, codes: Sequence[Code]) -> tuple[StepTable, np.ndarray, int]:
        """The table of steps, and the numbers that code is given: the address of these is the last
        of the table's pointers (0 where there are none).
        """
        plan, pointers, slots = self.place
        numbers = np.array([n for code in codes for n in code.numbers], np.int64)
        rows: list[tuple[int, ...]] = []
        args: list[tuple[int, int]] = []
        formats: list[str] = []
        given = 0
        for step, code in zip(self.steps, codes):
            count = len(step.places) + bool(code.numbers)
            rows.append((code.address, len(args), count, code.tasks, 1, len(formats)))
            for place, offset in zip(step.places, step.offsets):
                slot, start = slots[place]
                args.append((slot, start + offset * plan.memories[place].dtype.itemsize))
            if code.numbers:
                args.append((pointers, given * numbers.itemsize))
                given += len(code.numbers)
            formats.extend(
                "d" if kind == "float64" else "q"
                for kind in (step.kernel.scalars if step.kernel else ())
            )
        pointers += bool(given)
        self.generic = any(code.numbers and step.kernel for step, code in zip(self.steps, codes))
        table = StepTable(np.array(rows), np.array(args), pointers, "".join(formats))
        return table, numbers, numbers.ctypes.data if given else 0

    def run(
        self, addresses: list[int], scalars: list[Any], environment: Any, whole: bool = False
    ) -> Failure | None:
        table, _, numbers = self.state
        if numbers:
            addresses = [*addresses, numbers]
        if self.generic:
            self.runs += 1
            if self.runs == OFTEN and MACHINE.target.may_specialise(self.steps):
                self.state = self._table(MACHINE.target.resolve(self.steps, special=True))
        return MACHINE.device.run(table, addresses, [scalars[k] for k in self.scalars], whole)


class _Numpy:
    """One step computed by NumPy."""

    __slots__ = ("base", "step")

    def __init__(self, base: int, step: Step) -> None:
        self.base = base
        self.step = step

    def run(
        self, addresses: list[int], scalars: list[Any], environment: Any, whole: bool = False
    ) -> None:
        step = self.step
        node = step.nodes[0]
        values = [
            self._operand(x, kind, scalars, environment)
            for x, kind in zip(step.operands, node.inputs)
        ]
        result = interpret.evaluate(node, values)
        if step.picks:
            for place, (number, layout) in zip(step.places, step.picks):
                interpret.store(result[number], layout, environment(place))
        else:
            assert step.result is not None
            interpret.store(result, step.result, environment(step.places[0]))

    def _operand(
        self,
        operand: tuple[int, Layout] | int | Node,
        node: Node,
        scalars: list[Any],
        environment: Any,
    ) -> np.ndarray:
        if isinstance(operand, tuple):
            place, layout = operand
            return interpret.load(environment(place), layout)
        if isinstance(operand, int):
            return np.asarray(scalars[operand]).astype(convert.register_type(node.dtype.name))
        if operand.op == "const":
            return interpret.evaluate(operand, [])
        return np.zeros(operand.shape, convert.register_type(operand.dtype.name))


class Program:
    """A plan with code: segments of native steps and NumPy steps in between."""

    __slots__ = (
        "arena",
        "kept",
        "leaf_places",
        "left_out",
        "ones",
        "outputs",
        "plan",
        "pointers",
        "replacements",
        "segments",
        "sizes",
        "slots",
        "swift",
    )

    def __init__(self, plan: Plan, leaves: int = 0) -> None:
        """`leaves` is how many buffers a run is given, where layout copies of them may be kept."""
        self.plan = plan
        self.arena = lay_out(plan)
        self.outputs = [plan.memories[place] for place in plan.outputs]
        self.sizes = [memory.nbytes for memory in self.outputs]
        self.leaf_places = sorted({m.index for m in plan.memories if m.kind == "leaf"})
        self.ones = sorted({m.dtype.name for m in plan.memories if m.kind == "one"})
        self.slots = self._slots()
        self.kept = KeptLayouts(plan, leaves) if leaves else None
        # the program without the copies that are kept, and which these are
        self.swift: Program | None = None
        self.left_out: list[LayoutCopy] = []
        self.replacements = replacements(plan)
        overwriting = min((each.step for each in self.replacements), default=-1)
        self.segments: list[_Native | _Numpy] = []
        run: list[Step] = []
        for number, step in enumerate(plan.steps):
            if number == overwriting:
                self._close(run, number)
                run = []
            if step.kind == "numpy":
                self._close(run, number)
                run = []
                self.segments.append(_Numpy(number, step))
            else:
                run.append(step)
        self._close(run, len(plan.steps))

    @classmethod
    def of(cls, outputs: list[tuple[Node, Layout]], leaves: int) -> Program:
        """The program that computes the outputs of a graph."""
        plan = make_plan(outputs, MACHINE.target)
        program = cls(plan, leaves)
        log("graph", lambda: to_text([node for node, _ in outputs]))
        log("schedule", lambda: step_lines(plan))
        log("memory", lambda: f"arena of {program.arena.size} bytes")
        return program

    def _close(self, run: list[Step], end: int) -> None:
        if run:
            self.segments.append(_Native(self.plan, self.pointers, end - len(run), run, self.slots))

    def _slots(self) -> dict[int, tuple[int, int]]:
        """(place in the list of addresses, byte offset) of every buffer: leaves, then outputs, then
        the number 1, then the arena.
        """
        leaves = {index: k for k, index in enumerate(self.leaf_places)}
        slots: dict[int, tuple[int, int]] = {}
        arena_slot = len(leaves) + len(self.plan.outputs) + len(self.ones)
        self.pointers = arena_slot + 1
        for place, memory in enumerate(self.plan.memories):
            if memory.kind == "leaf":
                slots[place] = (leaves[memory.index], 0)
            elif memory.kind == "output":
                slots[place] = (len(leaves) + memory.index, 0)
            elif memory.kind == "one":
                slots[place] = (
                    len(leaves) + len(self.plan.outputs) + self.ones.index(memory.dtype.name),
                    0,
                )
            else:
                slots[place] = (arena_slot, self.arena.offsets.get(place, 0))
        return slots

    def environment(
        self, leaves: list[Buffer], replaced: dict[int, Buffer] | None = None
    ) -> tuple[list[Buffer], list[int], Any]:
        """Outputs, fresh where they replace nothing, and arena for one run: (everything that must
        stay alive, addresses, place -> flat array).
        """
        over = replaced or {}
        made = [over.get(k) or Buffer(size) for k, size in enumerate(self.sizes)]
        ones = [_one(name) for name in self.ones]
        holders = [*(leaves[k] for k in self.leaf_places), *made, *ones, Buffer(self.arena.size)]

        def flat(place: int) -> np.ndarray:
            slot, offset = self.slots[place]
            kind = self.plan.memories[place].dtype.numpy
            whole = holders[slot].numpy()[offset:]
            return whole[: len(whole) // kind.itemsize * kind.itemsize].view(kind)

        return holders, [b.address for b in holders], flat

    def run(
        self, leaves: list[Buffer], scalars: list[Any], replaced: dict[int, Buffer] | None = None
    ) -> list[Buffer]:
        """A buffer for each output, fresh but where it takes over that of a leaf (in_place.py)."""
        if self.kept is not None and self._prepared(self.kept, leaves):
            assert self.swift is not None
            return self.swift.run([*leaves, *self.kept.buffers(leaves)], scalars, replaced)
        if SETTINGS.bounds:
            check_leaves(self.plan.memories, leaves)
        holders, addresses, flat = self.environment(leaves, replaced)
        first = len(self.leaf_places)
        made = holders[first : first + len(self.sizes)]
        for segment in self.segments:
            whole = bool(replaced) and segment is self.segments[-1]
            try:
                error, step, node = self._attempt(segment, addresses, scalars, flat, whole)
            except Ended as ended:
                ended.buffers = made
                raise
            if error is not None:
                spoilt = self._without(step, addresses, scalars, flat)
                kept = [None if p in spoilt else b for p, b in zip(self.plan.outputs, made)]
                raise Incomplete(kept, error, node)
        return made

    def _prepared(self, kept: KeptLayouts, leaves: list[Buffer]) -> bool:
        """Whether layout copies of some leaves can be used; made here where they are new."""
        if not kept.choose(leaves):
            return False
        if self.swift is None or kept.chosen != self.left_out:
            self.swift, self.left_out = Program(kept.using()), kept.chosen
        if kept.missing(leaves):
            kept.keep(leaves, Program(kept.making()).run(leaves, []))
        return True

    def _attempt(
        self,
        segment: _Native | _Numpy,
        addresses: list[int],
        scalars: list[Any],
        flat: Any,
        whole: bool = False,
    ) -> tuple[Exception | None, int, Node | None]:
        """Run a segment: (None, ...), or (what went wrong, the step, the node to blame)."""
        try:
            failure = segment.run(addresses, scalars, flat, whole)
        except Exception as raised:
            if isinstance(raised, MemoryError) and not isinstance(raised, OutOfMemoryError):
                raised = OutOfMemoryError(*raised.args)  # NumPy's
            return raised, segment.base, self.plan.steps[segment.base].nodes[0]
        if failure is None:
            return None, -1, None
        step = segment.base + failure.step
        if 0 < failure.code <= len(self.plan.sites):
            return IndexError("index out of bounds"), step, self.plan.sites[failure.code - 1]
        if (error := outside(failure, self.plan, self.plan.steps[step])) is not None:
            return error, step, self.plan.steps[step].nodes[0]
        return RuntimeError("ZeroDivisionError"), step, self.plan.steps[step].nodes[0]

    def _without(
        self, failed: int, addresses: list[int], scalars: list[Any], flat: Any
    ) -> set[int]:
        """Go on behind a failed step, leaving out all that needs it.

        The buffers that lack values.
        """
        spoilt = written(self.plan.steps[failed])
        for number in range(failed + 1, len(self.plan.steps)):
            step = self.plan.steps[number]
            if not spoilt.isdisjoint(touched(step)):
                spoilt |= written(step)
                continue
            single: _Native | _Numpy
            if step.kind == "numpy":
                single = _Numpy(number, step)
            else:
                single = _Native(self.plan, self.pointers, number, [step], self.slots)
            if self._attempt(single, addresses, scalars, flat)[0] is not None:
                spoilt |= written(step)
        return spoilt


def _one(name: str) -> Buffer:
    """A buffer that holds the number 1 of a dtype."""
    from ..base.dtype import DTYPES

    if name not in _ONES:
        _ONES[name] = Buffer(8)
        _ONES[name].numpy(DTYPES[name].numpy)[0] = 1
    return _ONES[name]


def build(entries: list[Any], wanted: list[int]) -> Program | Interpreted | Checked:
    """The program of a trace, as the switches ask for it."""
    values = assemble(entries)
    outputs = [values[k] for k in wanted]
    if SETTINGS.interpret:
        return Interpreted(outputs)
    leaves = 1 + max(
        (node.attributes[0] for node in ordered([n for n, _ in outputs]) if node.op == "input"),
        default=-1,
    )
    program = Program.of(outputs, leaves)
    return Checked(program, outputs) if SETTINGS.check else program
