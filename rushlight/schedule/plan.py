"""The plan of a program: its steps in order and the buffers between them.

In: the outputs of a graph with the layouts they must have. Out: a `Plan`: kernels (IR 2),
contractions and NumPy steps over numbered buffers. Invariants: a step reads only what earlier steps
wrote; a buffer is written by one step (its pieces by several); nothing here knows a machine except
through `target`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..base.dtype import dtype
from ..base.layout import Layout, contiguous_strides, ordered_strides
from ..base.settings import SETTINGS
from ..graph.node import Node, ordered
from ..kernel.contraction import Contraction
from ..kernel.ir import Kernel, Load
from .body import Body, Slot
from .choose import Choice, choose
from .index import CutLoop, term
from .recompute import recomputed
from .simplify import rewrite


class Target(Protocol):
    """What planning asks of a code generator."""

    def parts(self, spec: Contraction) -> tuple[int, int] | None:
        """(axis, parts) into which a long sum should be cut, if at all."""


@dataclass(slots=True)
class Memory:
    """A numbered buffer: `kind` "leaf" (`index` of the trace's leaves), "output" (`index` of the
    outputs), "temporary", or "one" (the number 1).
    """

    kind: str
    index: int
    size: int
    dtype: dtype

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize


@dataclass(slots=True)
class Step:
    """One step: a kernel, a contraction, or a node computed by NumPy.

    `places` are the buffers it is given; `scalars` the trace's numbers it reads; `nodes` what it
    makes, for people.
    """

    kind: str  # "kernel", "contract", "numpy"
    places: list[int]
    nodes: list[Node]
    kernel: Kernel | None = None
    contraction: Contraction | None = None
    scalars: list[int] = field(default_factory=list)
    # where in each place the step starts, in elements
    offsets: list[int] = field(default_factory=list)
    # numpy: windows, scalar positions, constants
    operands: list[tuple[int, Layout] | int | Node] = field(default_factory=list)
    # numpy: how the one result lies in places[0]
    result: Layout | None = None
    # a host function: (result number, layout) for each place
    picks: list[tuple[int, Layout]] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """Everything a program is made of, before any code exists."""

    memories: list[Memory]
    steps: list[Step]
    outputs: list[int]  # the buffer of each output
    sites: list[Node]  # gathers by the number that a failed check reports
    scalars: int = 0


class Planner:
    """Plans one graph."""

    def __init__(self, outputs: Sequence[tuple[Node, Layout]], target: Target) -> None:
        self.target = target
        nodes, self.twins = recomputed(rewrite([node for node, _ in outputs]))
        self.outputs = [(node, layout) for node, (_, layout) in zip(nodes, outputs)]
        self.nodes = ordered(nodes)
        self.choice: Choice = choose(self.nodes, nodes)
        self.memories: list[Memory] = []
        self.slots: dict[int, Slot] = {}
        self.leaf: dict[tuple[Any, ...], Slot] = {}
        self.leaf_places: dict[tuple[int, str], int] = {}
        self.copies: dict[tuple[Any, ...], Slot] = {}
        self.homes = homes(self.nodes, self.choice)
        self.sites: list[Node] = []
        self.steps: list[Any] = []  # Step, and Group until it is finished
        self.step_of: dict[int, int] = {}
        self.multi: dict[int, list[Slot]] = {}
        self.hosts: dict[int, Step] = {}
        self.ones: dict[str, int] = {}
        self.contractions_of = Counter(
            id(node.inputs[1]) for node in self.nodes if node.op == "contract"
        )
        self.kept: list[Node] = []  # nodes made while planning, alive so that their ids stay theirs

    # --- buffers ----------------------------------------------------------------------------------

    def memory(self, kind: str, index: int, size: int, type_: dtype) -> int:
        self.memories.append(Memory(kind, index, size, type_))
        return len(self.memories) - 1

    def temporary(self, node: Node, strides: Sequence[int]) -> Slot:
        """A dense buffer for a node."""
        place = self.memory("temporary", 0, max(node.numel, 1), node.dtype)
        return Slot(place, tuple(strides), max(node.numel, 1), node.dtype.name)

    def one(self, type_: dtype) -> int:
        """A buffer that holds the number 1."""
        if type_.name not in self.ones:
            self.ones[type_.name] = self.memory("one", 0, 1, type_)
        return self.ones[type_.name]

    def adopt_leaves(self) -> None:
        """A slot for every window on a leaf; windows of one leaf and dtype share a buffer."""
        reach: dict[tuple[int, str], int] = {}
        least = 0 if SETTINGS.bounds else 1  # what is empty may not be touched
        windows = [node for node in self.nodes if node.op == "input"]
        for node in windows:
            place, layout = node.attributes
            key = (place, layout.dtype.name)
            reach[key] = max(reach.get(key, least), layout.reach())
        for node in windows:
            position, layout = node.attributes
            key = (position, layout.dtype.name)
            if key not in self.leaf_places:
                self.leaf_places[key] = self.memory("leaf", position, reach[key], layout.dtype)
            slot = Slot(
                self.leaf_places[key], layout.strides, reach[key], layout.dtype.name, layout.offset
            )
            self.leaf[node.attributes] = slot

    def place_outputs(self) -> None:
        """A buffer for every output.

        The first output of a stored node is where the node itself is computed.
        """
        self.output_places = []
        for number, (node, layout) in enumerate(self.outputs):
            place = self.memory("output", number, max(layout.numel, 1), layout.dtype)
            self.output_places.append(place)
            slot = Slot(place, layout.strides, max(layout.numel, 1), layout.dtype.name)
            if (
                id(node) in self.choice.stored
                and node.op != "input"
                and id(node) not in self.slots
                and layout.numel
            ):
                self.slots[id(node)] = slot
            elif layout.numel:
                self.multi.setdefault(id(node), []).append(slot)

    # --- the walk ---------------------------------------------------------------------------------

    def plan(self) -> Plan:
        from .contractions import contraction_step
        from .groups import Groups
        from .in_order import scan_step, scatter_steps
        from .pieces import concat_steps, numpy_step, write_steps

        self.adopt_leaves()
        self.place_outputs()
        self.groups = Groups(self)
        named = {id(node) for node, _ in self.outputs}
        for node in self.nodes:
            stored = id(node) in self.choice.stored and node.op != "input" and node.numel
            if stored:
                if id(node) in self.choice.numpy:
                    numpy_step(self, node)
                elif id(node) in self.choice.chains:
                    chain = self.choice.chains[id(node)]
                    contraction_step(self, chain.product, node, chain.terms)
                elif node.op == "contract":
                    contraction_step(self, node, node)
                elif node.op == "reduce":
                    self.groups.reduce(node)
                elif node.op == "concat":
                    concat_steps(self, node)
                elif node.op == "write":
                    write_steps(self, node)
                elif node.op == "scatter":
                    scatter_steps(self, node)
                elif node.op == "scan":
                    scan_step(self, node)
                else:
                    self.groups.map(node)
            if id(node) in named:
                for slot in self.multi.get(id(node), ()):
                    self.groups.copy(node, slot)
        self.groups.finish()
        return Plan(self.memories, self.steps, self.output_places, self.sites)

    def slot_for(self, node: Node, fallback: Sequence[int] | None = None) -> Slot:
        """Where a stored node goes: its output buffer, or a temporary in the order its users ask
        for.
        """
        slot = self.slots.get(id(node))
        if slot is None:
            order = self.choice.orders.get(id(node))
            strides = (
                ordered_strides(node.shape, order)
                if order is not None
                else tuple(fallback or contiguous_strides(node.shape))
            )
            slot = self.slots[id(node)] = self.home(node, strides) or self.temporary(node, strides)
        return slot

    def home(self, node: Node, strides: Sequence[int]) -> Slot | None:
        """A node's window in the concatenation that it is a piece of, where it would lie as there;
        its own buffer else.
        """
        found = self.homes.get(id(node))
        if found is None or tuple(strides) != contiguous_strides(node.shape):
            return None
        whole, start = found
        wanted = contiguous_strides(whole.shape)
        slot = self.slots.get(id(whole))
        if slot is None:
            order = self.choice.orders.get(id(whole))
            if order is not None and order != tuple(range(whole.ndim)):
                return None
            slot = self.slots[id(whole)] = self.home(whole, wanted) or self.temporary(whole, wanted)
        if slot.strides != wanted:
            return None
        return Slot(slot.place, tuple(strides), slot.size, slot.dtype, slot.offset + start)

    # --- windows ----------------------------------------------------------------------------------

    def window(self, node: Node) -> Slot | None:
        """A node as a strided window on a stored one, where it is no more than that."""
        if id(node) in self.slots:
            return self.slots[id(node)]
        extents = {f"d{d}": n for d, n in enumerate(node.shape)}
        body = Body(self.slots, self.leaf, extents, [])
        try:
            body.value(
                node, [term(f"d{d}") if n > 1 else term("", 0) for d, n in enumerate(node.shape)]
            )
        except CutLoop:
            return None
        if len(body.statements) != 1 or not isinstance(body.statements[0], Load):
            return None
        load = body.statements[0]
        if load.dynamic is not None or load.mask is not None:
            return None
        strides = tuple(load.address.coefficient(f"d{d}") for d in range(node.ndim))
        place = body.places[0]
        return Slot(
            place, strides, self.memories[place].size, node.dtype.name, load.address.constant
        )

    def stored_as(self, node: Node, order: tuple[int, ...]) -> Slot:
        """A node in memory, densely, in an order of dimensions: where it is if that will do, else a
        copy.
        """
        wanted = ordered_strides(node.shape, order)
        have = self.window(node)
        if have is not None and all(
            n == 1 or a == b for n, a, b in zip(node.shape, have.strides, wanted)
        ):
            return have
        key = (id(node), order)
        if key not in self.copies:
            self.copies[key] = self.temporary(node, wanted)
            self.groups.copy(node, self.copies[key])
        return self.copies[key]


def homes(nodes: Sequence[Node], choice: Choice) -> dict[int, tuple[Node, int]]:
    """The concatenation that a stored node is a piece of, and where it starts there: of those in
    which pieces lie one behind the other.
    """
    found: dict[int, tuple[Node, int]] = {}
    for whole in nodes:
        if whole.op != "concat" or id(whole) in choice.numpy:
            continue
        if any(n > 1 for n in whole.shape[: whole.attributes[0]]):
            continue
        start = 0
        for x in whole.inputs:
            if id(x) in choice.stored and x.op != "input":
                found.setdefault(id(x), (whole, start))
            start += x.numel
    return found


def make_plan(outputs: Sequence[tuple[Node, Layout]], target: Target) -> Plan:
    """The plan of a graph."""
    return Planner(outputs, target).plan()
