"""Groups: nodes that one kernel makes together.

In: stored nodes, operands first. Out: kernel steps. Invariants: a node joins an earlier kernel only
where everything it needs is made before that kernel, or in it at the very same element; the nodes
of a kernel share something they read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from ..base.layout import ordered_strides
from ..graph.node import Node
from ..kernel.ir import Affine, Kernel, Let
from .body import Body, Slot
from .index import CutLoop, combine, term
from .nests import COMBINES, INITIAL, KINDS, Reduction, dominant_steps, map_kernel, reduce_kernel
from .pieces import numpy_copy
from .rebase import rebase_kernel

if TYPE_CHECKING:
    from .plan import Planner

MOST_STATEMENTS = 160
LOOK_BACK = 12
BESIDE = 16  # steps within which a value that is made again may join a kernel
_POINTWISE_BREAKS = frozenset({"expand", "permute", "reshape", "slice", "strided", "pad", "gather"})


class Group:
    """One kernel being filled: loops over a shape, a body, what it stores."""

    def __init__(self, planner: Planner, shape: tuple[int, ...], step: int) -> None:
        self.planner = planner
        self.shape = shape
        self.step = step
        self.cuts: list[list[tuple[str, int, int]]] = [
            [(f"i{d}", n, 1)] for d, n in enumerate(shape)
        ]
        self.nodes: list[Node] = []
        self.reads: set[int] = set()
        self.strides: tuple[int, ...] = ()
        self.reductions: list[tuple[Reduction, Slot, Node]] = []
        self.begin()

    def begin(self) -> None:
        self.body = Body(self.planner.slots, self.planner.leaf, self.extents(), self.planner.sites)

    def extents(self) -> dict[str, int]:
        return {name: n for parts in self.cuts for name, n, _ in parts}

    def index(self) -> list[Affine]:
        """The position in the shape, in terms of the loops."""
        return [
            combine([(term(name), factor) for name, n, factor in parts if n > 1])
            for parts in self.cuts
        ]

    def cut(self, request: CutLoop) -> None:
        """Make one loop two."""
        for parts in self.cuts:
            for k, (name, extent, factor) in enumerate(parts):
                if name == request.name:
                    inner = request.inner
                    parts[k : k + 1] = [
                        (f"{name}o", extent // inner, factor * inner),
                        (f"{name}i", inner, factor),
                    ]
                    return
        raise request

    def loop_strides(self, strides: tuple[int, ...]) -> dict[str, int]:
        """How far each loop steps in a buffer of these strides."""
        return {
            name: strides[d] * factor
            for d, parts in enumerate(self.cuts)
            for name, _, factor in parts
        }


class Groups:
    """The open kernels of a plan."""

    def __init__(self, planner: Planner) -> None:
        self.planner = planner
        self.maps: dict[tuple[Any, ...], list[Group]] = {}
        self.reduces: dict[tuple[Any, ...], list[Group]] = {}
        self.all: list[Group] = []

    # --- elementwise ------------------------------------------------------------------------------

    def map(self, node: Node) -> None:
        """A stored elementwise node: into a kernel that fits, or one of its own."""
        needs = self.needs(node)
        # a twin made with what it is the twin of would be kept as long (recompute.py)
        since = len(self.planner.steps) - BESIDE if id(node) in self.planner.twins else 0
        for group in reversed(self.maps.get(node.shape, [])[-LOOK_BACK:]):
            if group.step >= since and self.fits(group, needs) and self.try_map(group, node, needs):
                return
        group = self.open(self.maps, node.shape, node.shape)
        self.fill(group, lambda: self.add_map(group, node))
        self.adopt(group, node, needs)

    def copy(self, node: Node, slot: Slot) -> None:
        """A kernel that stores a node (computed or loaded) in another place; complex numbers have
        none.
        """
        if node.dtype.is_complex:
            numpy_copy(self.planner, node, slot)
            return
        group = self.open(self.maps, ("copy", len(self.all)), node.shape)
        self.fill(group, lambda: self.add_copy(group, node, slot))
        group.strides = slot.strides
        group.nodes.append(node)

    def add_copy(self, group: Group, node: Node, slot: Slot) -> None:
        index = group.index()
        group.body.store(slot, index, group.body.value(node, index))

    def piece(self, node: Node, slot: Slot) -> int:
        """A node stored in a window of a larger buffer, by a kernel that fits or one of its own:
        which step that is.
        """
        if node.dtype.is_complex:
            numpy_copy(self.planner, node, slot)
            return len(self.planner.steps) - 1
        needs = self.needs(node, include=True)
        dense = ordered_strides(node.shape, by_distance(node.shape, slot.strides))
        fitting = (
            group
            for group in reversed(self.maps.get(node.shape, [])[-LOOK_BACK:])
            if group.strides == dense
            and self.fits(group, needs)
            and self.try_copy(group, node, slot)
        )
        group = next(fitting, None) or self.open(self.maps, node.shape, node.shape)
        if not group.strides:
            self.fill(group, lambda: self.add_copy(group, node, slot))
            group.strides = dense
        group.nodes.append(node)
        group.reads.update(needs)
        return group.step

    def try_copy(self, group: Group, node: Node, slot: Slot) -> bool:
        before = group.body.state()
        try:
            self.add_copy(group, node, slot)
        except CutLoop:
            group.body.restore(before)
            return False
        return True

    def open(
        self,
        table: dict[tuple[Any, ...], list[Group]],
        key: tuple[Any, ...],
        shape: tuple[int, ...],
    ) -> Group:
        group = Group(self.planner, shape, len(self.planner.steps))
        self.planner.steps.append(group)
        table.setdefault(key, []).append(group)
        self.all.append(group)
        return group

    def fill(self, group: Group, lower: Callable[[], object]) -> None:
        """Lower into a fresh group, cutting loops as lowering asks for."""
        while True:
            try:
                lower()
                return
            except CutLoop as request:
                group.cut(request)
                group.begin()

    def add_map(self, group: Group, node: Node) -> None:
        planner, body = self.planner, group.body
        index = group.index()
        value = body.value(node, index, compute=True)
        if id(node) not in planner.slots:
            fallback = (
                ordered_strides(node.shape, self.order(group))
                if not group.strides
                else group.strides
            )
            planner.slot_for(node, fallback)
        slot = planner.slots[id(node)]
        body.store(slot, index, value)
        if not group.strides:
            group.strides = slot.strides
        body.known[(id(node), tuple(index), None)] = value

    def natural_order(self, node: Node) -> tuple[int, ...]:
        """The order of dimensions in which computing a node would like to store it."""
        if id(node) in self.planner.slots:
            return by_distance(node.shape, self.planner.slots[id(node)].strides)
        group = Group(self.planner, node.shape, 0)
        self.fill(group, lambda: group.body.value(node, group.index()))
        return self.order(group)

    def order(self, group: Group) -> tuple[int, ...]:
        """The order of dimensions in which the dominant operand lies."""
        names = list(group.extents())
        steps = dominant_steps(
            group.body.statements, {p.name: p for p in group.body.parameters.values()}, names
        )
        farthest = [
            max((steps[name] for name, n, _ in parts if n > 1), default=0) for parts in group.cuts
        ]
        if any(n > 1 and not f for n, f in zip(group.shape, farthest)):
            return tuple(range(len(group.shape)))  # broadcast along a dimension: row-major
        if interleaved(group.cuts, steps):
            return tuple(range(len(group.shape)))
        return by_distance(group.shape, farthest)

    def try_map(self, group: Group, node: Node, needs: dict[int, bool]) -> bool:
        declared = self.planner.slots.get(id(node))
        order = self.planner.choice.orders.get(id(node))
        wanted = (
            declared.strides
            if declared
            else ordered_strides(node.shape, order)
            if order
            else group.strides
        )
        if any(n > 1 and a != b for n, a, b in zip(node.shape, wanted, group.strides)):
            return False
        body = group.body
        before = body.state()
        try:
            self.add_map(group, node)
        except CutLoop:
            body.restore(before)
            return False
        self.adopt(group, node, needs)
        return True

    def adopt(self, group: Group, node: Node, needs: dict[int, bool]) -> None:
        group.nodes.append(node)
        group.reads.update(needs)
        self.planner.step_of[id(node)] = group.step

    # --- reductions -------------------------------------------------------------------------------

    def reduce(self, node: Node) -> None:
        """A reduction: beside another one over the same dimensions of the same shape, or in a
        kernel of its own.
        """
        _, axes = node.attributes
        x = node.inputs[0]
        key = (x.shape, axes)
        needs = self.needs(x, include=True)
        for group in reversed(self.reduces.get(key, [])[-LOOK_BACK:]):
            if self.fits(group, needs, own=False) and self.try_reduce(group, node, needs):
                return
        group = self.open(self.reduces, key, x.shape)
        self.fill(group, lambda: self.add_reduce(group, node))
        self.adopt(group, node, needs)

    def try_reduce(self, group: Group, node: Node, needs: dict[int, bool]) -> bool:
        body = group.body
        before = body.state()
        count = len(group.reductions)
        try:
            self.add_reduce(group, node)
        except CutLoop:
            body.restore(before)
            del group.reductions[count:]
            return False
        self.adopt(group, node, needs)
        return True

    def add_reduce(self, group: Group, node: Node) -> None:
        kind, _ = node.attributes
        x = node.inputs[0]
        body = group.body
        index = group.index()
        value = body.value(x, index)
        if kind in ("any", "all") and x.dtype.name != "bool":
            value = body.let("cast", (value,), "bool")
        combine_kind = KINDS[kind]
        number = len(group.reductions)
        if number == 0 or not group.reductions:
            group.reductions = []
            number = 0
        name, following, initial = f"r{number}", f"n{number}", f"s{number}"
        body.statements.append(
            Let(following, COMBINES[combine_kind], (name, value), node.dtype.name)
        )
        reduction = Reduction(name, initial, value, following, combine_kind, node.dtype.name)
        group.reductions.append((reduction, self.planner.slot_for(node), node))

    # --- what may join ----------------------------------------------------------------------------

    def needs(self, node: Node, include: bool = False) -> dict[int, bool]:
        """The stored nodes and leaf buffers under a node: id (or ~place of a leaf) -> read at the
        same element only.
        """
        stored, slots = self.planner.choice.stored, self.planner
        found: dict[int, bool] = {}
        seen: dict[int, bool] = {}
        stack: list[tuple[Node, bool]] = (
            [(node, True)]
            if include
            else [(x, node.op not in _POINTWISE_BREAKS) for x in node.inputs]
        )
        while stack:
            x, same = stack.pop()
            if seen.get(id(x)) is False or seen.get(id(x)) == same:
                continue
            seen[id(x)] = same and seen.get(id(x), True)
            if x.op == "input":
                place = slots.leaf[x.attributes].place
                found[~place] = True
            elif id(x) in stored and x.op not in ("const", "scalar"):
                found[id(x)] = same and found.get(id(x), True)
            else:
                below = same and x.op not in _POINTWISE_BREAKS
                stack.extend((y, below) for y in x.inputs)
        return found

    def fits(self, group: Group, needs: dict[int, bool], own: bool = True) -> bool:
        """Whether a node with these needs may be made in a group."""
        if len(group.body.statements) > MOST_STATEMENTS:
            return False
        made = {id(n) for n in group.nodes}
        shares = False
        for key, same in needs.items():
            if key in made:
                if not (own and same):
                    return False
                shares = True
            else:
                if key >= 0 and self.planner.step_of.get(key, -1) >= group.step:
                    return False
                shares = shares or key in group.reads
        return shares

    # --- the end ----------------------------------------------------------------------------------

    def finish(self) -> None:
        """Turn every group into its kernel step."""
        from .plan import Step

        for group in self.all:
            whole = self.reduce_kernel(group) if group.reductions else self.map_kernel(group)
            kernel, offsets = rebase_kernel(whole)
            body = group.body
            self.planner.steps[group.step] = Step(
                "kernel",
                body.places,
                group.nodes,
                kernel=kernel,
                scalars=body.scalars,
                offsets=offsets,
            )

    def map_kernel(self, group: Group) -> Kernel:
        body = group.body
        extents = group.extents()
        steps = group.loop_strides(group.strides)
        order = sorted(extents, key=lambda name: -steps[name])
        arithmetic = sum(1 for s in body.statements if isinstance(s, Let))
        return map_kernel(
            body.statements,
            order,
            extents,
            tuple(body.parameters[p] for p in body.places),
            tuple(body.scalar_types),
            weight=1 + arithmetic // 24,
        )

    def reduce_kernel(self, group: Group) -> Kernel:
        body = group.body
        axes = set(group.nodes[0].attributes[1])
        names = {d: [name for name, _, _ in parts] for d, parts in enumerate(group.cuts)}
        kept = [name for d, parts in names.items() if d not in axes for name in parts]
        reduced = [name for d, parts in names.items() if d in axes for name in parts]
        index = [i for d, i in enumerate(group.index()) if d not in axes]
        statements = body.statements
        body.statements = []
        for reduction, slot, _ in group.reductions:
            body.store(slot, index, reduction.name)
        stores, body.statements = body.statements, statements
        initials = [
            Let(r.initial, "const", (), r.dtype, (initial_value(r.combine, r.dtype),))
            for r, _, _ in group.reductions
        ]
        return reduce_kernel(
            statements,
            kept,
            reduced,
            group.extents(),
            [r for r, _, _ in group.reductions],
            stores,
            tuple(body.parameters[p] for p in body.places),
            tuple(body.scalar_types),
            list(initials),
        )


def initial_value(combine_kind: str, dtype: str) -> float | int | bool:
    """What a reduction of a dtype starts from."""
    if combine_kind in INITIAL:
        start = INITIAL[combine_kind]
        return float(start) if "float" in dtype else start
    from ..kernel.primitives import neutral

    return neutral(combine_kind, dtype)


def interleaved(cuts: Sequence[Sequence[tuple[str, int, int]]], steps: dict[str, int]) -> bool:
    """Whether, by falling step, loops of another dimension come between those of one: then no order
    of the dimensions is the operand's.
    """
    loops = sorted(
        (-steps[name], d) for d, parts in enumerate(cuts) for name, n, _ in parts if n > 1
    )
    dims = [d for k, (_, d) in enumerate(loops) if k == 0 or loops[k - 1][1] != d]
    return len(dims) > len(set(dims))


def by_distance(shape: Sequence[int], steps: Sequence[int]) -> tuple[int, ...]:
    """Dimensions by falling step. One of length one, whose step says nothing, stays behind the one
    before it; leading ones stay in front.
    """
    ranks: list[float] = []
    for extent, step in zip(shape, steps):
        ranks.append(step if extent > 1 else ranks[-1] if ranks else inf)
    return tuple(sorted(range(len(shape)), key=lambda d: -ranks[d]))
