"""Bodies of kernels: from the nodes of one group to statements of the kernel IR, at given loop
indices.

In: nodes, the places where stored nodes lie (`Slot`), loops. Out: `Let`, `Load`, `Store`
statements. Invariants: a node that has a slot is loaded, every other one is computed where it is
needed; equal nodes at equal indices are computed once; an index that is not affine becomes an int64
value (slow, but always right).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..base.layout import Layout, contiguous_strides
from ..graph.node import Node
from ..kernel.ir import Affine, Let, Load, Parameter, Statement, Store, Value
from .index import ZERO, bounds, combine, split

MOVES = ("copy", "expand", "permute", "slice", "reshape")
Index = Affine | str  # an affine expression, or the name of a computed int64 value


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a stored node lies: a buffer (a place in the program's list) and the strides of its
    dimensions.
    """

    place: int
    strides: tuple[int, ...]
    size: int
    dtype: str
    offset: int = 0


class Body:
    """The statements of one kernel under construction."""

    def __init__(
        self,
        slots: dict[int, Slot],
        leaf: dict[tuple[Any, ...], Slot],
        extents: dict[str, int],
        sites: list[Node],
    ) -> None:
        self.slots = slots
        self.leaf = leaf
        self.extents = extents
        self.sites = sites
        self.statements: list[Statement] = []
        self.parameters: dict[int, Parameter] = {}
        self.places: list[int] = []
        self.scalars: list[int] = []
        self.scalar_types: list[str] = []
        self.known: dict[tuple[Any, ...], Value] = {}
        self.count = 0

    def state(self) -> tuple[Any, ...]:
        """What lowering changes, for `restore` when it has to be given up."""
        return (
            list(self.statements),
            dict(self.parameters),
            list(self.places),
            list(self.scalars),
            list(self.scalar_types),
            dict(self.known),
            self.count,
        )

    def restore(self, state: tuple[Any, ...]) -> None:
        (
            self.statements,
            self.parameters,
            self.places,
            self.scalars,
            self.scalar_types,
            self.known,
            self.count,
        ) = state

    # --- statements -------------------------------------------------------------------------------

    def name(self) -> Value:
        self.count += 1
        return f"v{self.count}"

    def let(
        self, op: str, arguments: Sequence[Value], dtype: str, attributes: tuple[Any, ...] = ()
    ) -> Value:
        """name = op(arguments), one name for equal facts."""
        key = (op, tuple(arguments), dtype, tuple(map(repr, attributes)))
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self.name()
            self.statements.append(Let(found, op, tuple(arguments), dtype, attributes))
        return found

    def parameter(self, slot: Slot, mode: str) -> str:
        """The kernel's name of a buffer; used both ways it is "inout"."""
        have = self.parameters.get(slot.place)
        if have is None:
            name = f"p{len(self.places)}"
            self.places.append(slot.place)
            self.parameters[slot.place] = Parameter(name, slot.dtype, slot.size, mode)
            return name
        if have.mode != mode:
            self.parameters[slot.place] = Parameter(have.name, have.dtype, have.size, "inout")
        return have.name

    def load(
        self, slot: Slot, address: Affine, dynamic: Value | None = None, mask: Value | None = None
    ) -> Value:
        key = ("load", slot.place, address, dynamic, mask)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self.name()
            self.statements.append(
                Load(found, self.parameter(slot, "in"), address, slot.dtype, dynamic, mask)
            )
        return found

    def store(self, slot: Slot, index: Sequence[Index], value: Value) -> None:
        address, dynamic = self.address(slot.strides, index, slot.offset)
        self.statements.append(Store(self.parameter(slot, "out"), address, value, dynamic))

    # --- indices ----------------------------------------------------------------------------------

    def number(self, value: int) -> Value:
        return self.let("const", (), "int64", (value,))

    def as_value(self, index: Index) -> Value:
        """An index as an int64 value."""
        if isinstance(index, str):
            return index
        return (
            self.let("index", (), "int64", (index,)) if index.terms else self.number(index.constant)
        )

    def address(
        self, strides: Sequence[int], index: Sequence[Index], offset: int
    ) -> tuple[Affine, Value | None]:
        """offset + sum of stride * index, its affine part and its computed part."""
        affine = combine([(i, s) for i, s in zip(index, strides) if isinstance(i, Affine)], offset)
        dynamic: Value | None = None
        for i, s in zip(index, strides):
            if isinstance(i, str) and s:
                scaled = i if s == 1 else self.let("mul", (i, self.number(s)), "int64")
                dynamic = scaled if dynamic is None else self.let("add", (dynamic, scaled), "int64")
        return affine, dynamic

    def flat(self, strides: Sequence[int], index: Sequence[Index], offset: int = 0) -> Index:
        """The address as one index."""
        affine, dynamic = self.address(strides, index, offset)
        if dynamic is None:
            return affine
        return (
            dynamic
            if affine == ZERO
            else self.let("add", (dynamic, self.as_value(affine)), "int64")
        )

    def position(self, flat: Index, strides: Sequence[int], shape: Sequence[int]) -> list[Index]:
        """The index in a dense array that a flat address means."""
        if isinstance(flat, Affine):
            found = split(flat, strides, shape, self.extents)
            if found is not None:
                return list(found)
        rest = self.as_value(flat)
        index: list[Index] = [ZERO] * len(shape)
        for d in sorted((d for d in range(len(shape)) if shape[d] > 1), key=lambda d: -strides[d]):
            step = self.number(strides[d])
            index[d] = self.let("trunc_divide", (rest, step), "int64") if strides[d] > 1 else rest
            if strides[d] > 1:
                rest = self.let("fmod", (rest, step), "int64")
        return index

    def scaled(self, index: Index, factor: int, constant: int) -> Index:
        """factor * index + constant."""
        return self.flat((factor,), (index,), constant)

    def outside(self, index: Affine, extent: int) -> bool:
        """Whether no setting of the loops gives 0 <= index < extent."""
        low, high = bounds(index, self.extents)
        return high < 0 or low >= extent

    def inside(self, index: Index, extent: int) -> Value | None:
        """Whether 0 <= index < extent, as a bool value; None where it always is."""
        low, high = bounds(index, self.extents) if isinstance(index, Affine) else (-1, extent)
        test: Value | None = None
        if low < 0:
            test = self.let("ge", (self.as_value(index), self.number(0)), "bool")
        if high >= extent:
            upper = self.let("lt", (self.as_value(index), self.number(extent)), "bool")
            test = upper if test is None else self.let("logical_and", (test, upper), "bool")
        return test

    # --- values -----------------------------------------------------------------------------------

    def value(
        self, node: Node, index: Sequence[Index], mask: Value | None = None, compute: bool = False
    ) -> Value:
        """The value of a node's element.

        Where `mask` is false memory is not read and the value is arbitrary.

        `compute`: the node's own slot is what is being filled, so do not read it.
        """
        key = (id(node), tuple(index), mask)
        found = self.known.get(key)
        if found is None:
            slot = None if compute else self.slots.get(id(node))
            if slot is not None:
                address, dynamic = self.address(slot.strides, index, slot.offset)
                found = self.load(slot, address, dynamic, mask)
            else:
                found = self._LOWER.get(node.op, Body._elementwise)(self, node, index, mask)
            self.known[key] = found
        return found

    def _elementwise(self, node: Node, index: Sequence[Index], mask: Value | None) -> Value:
        values = [self.value(x, index, mask) for x in node.inputs]
        return self.let(node.op, values, node.dtype.name)

    def _input(self, node: Node, index: Sequence[Index], mask: Value | None) -> Value:
        place, layout = node.attributes
        slot = self.leaf[(place, layout)]
        address, dynamic = self.address(slot.strides, index, slot.offset)
        return self.load(slot, address, dynamic, mask)

    def _scalar(self, node: Node, index: Sequence[Index], mask: Value | None) -> Value:
        kind = "float64" if node.dtype.kind == "float" else "int64"
        position = node.attributes[0]
        if position not in self.scalars:
            self.scalars.append(position)
            self.scalar_types.append(kind)
        value = self.let("scalar", (), kind, (self.scalars.index(position),))
        return value if node.dtype.name == kind else self.let("cast", (value,), node.dtype.name)

    def _const(self, node: Node, index: Sequence[Index], mask: Value | None) -> Value:
        return self.let("const", (), node.dtype.name, node.attributes)

    def _iota(self, node: Node, index: Sequence[Index], mask: Value | None) -> Value:
        return self.as_value(index[node.attributes[0]])

    def _moved(self, node: Node, index: Sequence[Index], mask: Value | None) -> Value:
        return self.value(node.inputs[0], self.origin(node, index), mask)

    def origin(self, node: Node, index: Sequence[Index]) -> list[Index]:
        """Where in its operand the element of a movement (`MOVES`) comes from."""
        x = node.inputs[0]
        if node.op == "expand":
            tail = index[len(index) - x.ndim :]
            return [ZERO if n == 1 else i for n, i in zip(x.shape, tail)]
        if node.op == "permute":
            order = node.attributes[0]
            return [index[order.index(d)] for d in range(len(order))]
        if node.op == "slice":
            return [self.scaled(i, st, s) for i, s, st in zip(index, *node.attributes)]
        if node.op == "reshape":
            flat = self.flat(contiguous_strides(node.shape), index)
            return self.position(flat, contiguous_strides(x.shape), x.shape)
        return list(index)

    def parted(self, node: Node, index: Sequence[Index]) -> tuple[Affine, Value | None]:
        """An integer node as what follows from the loops alone, and the computed rest."""
        if id(node) not in self.slots:
            if node.op in MOVES:
                return self.parted(node.inputs[0], self.origin(node, index))
            if node.op == "iota":
                at = index[node.attributes[0]]
                return (at, None) if isinstance(at, Affine) else (ZERO, at)
            if node.op == "const":
                return Affine(int(node.attributes[0])), None
            if node.op == "add":
                (a, x), (c, y) = (self.parted(each, index) for each in node.inputs)
                both = self.let("add", (x, y), "int64") if x and y else x or y
                return combine([(a, 1), (c, 1)]), both
            if node.op == "mul":
                return self._scaled_parts(node, index)
        return ZERO, self.value(node, index)

    def _scaled_parts(self, node: Node, index: Sequence[Index]) -> tuple[Affine, Value | None]:
        """`parted` of a product, of which one factor is a number."""
        parts = [self.parted(each, index) for each in node.inputs]
        for (factor, computed), (affine, rest) in (parts, parts[::-1]):
            if computed is None and not factor.terms:
                step = factor.constant
                scaled = self.let("mul", (rest, self.number(step)), "int64") if rest else None
                return combine([(affine, step)]), scaled
        return ZERO, self.value(node, index)

    def _strided(self, node: Node, index: Sequence[Index], mask: Value | None) -> Value:
        own, strides, offset = node.attributes
        x = node.inputs[0]
        slot = self.slots.get(id(x))
        if slot is not None and all(
            n == 1 or have == want for n, have, want in zip(x.shape, slot.strides, own)
        ):  # it lies as the view takes it to lie
            address, dynamic = self.address(strides, index, slot.offset + offset)
            return self.load(slot, address, dynamic, mask)
        return self.value(x, self.position(self.flat(strides, index, offset), own, x.shape), mask)

    def _pad(self, node: Node, index: Sequence[Index], mask: Value | None) -> Value:
        before, _, fill = node.attributes
        x = node.inputs[0]
        there = [self.scaled(i, 1, -b) if b else i for i, b in zip(index, before)]
        other = self.let("const", (), node.dtype.name, (fill,))
        if not x.numel:
            return other
        test = None
        for i, n in zip(there, x.shape):
            if isinstance(i, Affine) and self.outside(i, n):
                return other
            one = self.inside(i, n)
            if one is not None:
                test = one if test is None else self.let("logical_and", (test, one), "bool")
        if test is None:
            return self.value(x, there, mask)
        guard = test if mask is None else self.let("logical_and", (test, mask), "bool")
        value = self.value(x, there, guard)
        return self.let("where", (test, value, other), node.dtype.name)

    def _gather(self, node: Node, index: Sequence[Index], mask: Value | None) -> Value:
        x, where = node.inputs
        if mask is None:
            affine, wanted = self.parted(where, index)
        else:  # what is masked off may hold anything
            affine, wanted = ZERO, self.value(where, index, mask)
            wanted = self.let("where", (mask, wanted, self.number(0)), "int64")
        affine, checked = self.checked(node, x.numel, affine, wanted)
        slot = self.slots.get(id(x)) or self.leaf.get(x.attributes if x.op == "input" else ())
        dense = contiguous_strides(x.shape)
        if slot is not None and all(
            n == 1 or have == want for n, have, want in zip(x.shape, slot.strides, dense)
        ):
            return self.load(slot, combine([(affine, 1)], slot.offset), checked, mask)
        # x lies in another order, or is a view
        flat = affine if checked is None else self.flat((1, 1), (affine, checked))
        return self.value(x, self.position(flat, dense, x.shape), mask)

    def checked(
        self, node: Node, size: int, affine: Affine, wanted: Value | None
    ) -> tuple[Affine, Value | None]:
        """The parts of an address such that their sum lies in [0, size); a wrong one is reported
        with the node. Checked is the computed part, against what the loops add at most.
        """
        low, high = bounds(affine, self.extents)
        if low < 0 or (high >= size and wanted is None):
            wanted = self.as_value(
                affine if wanted is None else self.flat((1, 1), (affine, wanted))
            )
            affine, high = ZERO, 0
        if wanted is None:
            return affine, None
        if node not in self.sites:
            self.sites.append(node)
        facts = (max(size - high, 0), self.sites.index(node))
        return affine, self.let("check_index", (wanted,), "int64", facts)

    _LOWER: ClassVar[dict[str, Callable[..., Value]]] = {
        "input": _input,
        "scalar": _scalar,
        "const": _const,
        "iota": _iota,
        **dict.fromkeys(MOVES, _moved),
        "strided": _strided,
        "pad": _pad,
        "gather": _gather,
    }


def leaf_slot(place: int, layout: Layout, size: int) -> Slot:
    """Where the window of an `input` node lies."""
    return Slot(place, layout.strides, size, layout.dtype.name, layout.offset)
