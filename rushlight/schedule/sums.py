"""Sums of many small products become one product over all of them.

The gradient of a weight that every time step uses is a sum of outer products with few rows each,
every one of them as large as the weight. In: the outputs of a graph. Out: for each such sum the
parts that are joined, and how to write them as one product (or one sum over rows) of
concatenations, whose pieces the steps write in place (schedule/plan.py). Invariants: only sums in
the accumulator's own dtype are joined, so that nothing is rounded that was not; the order of the
parts follows from the graph alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..graph.node import ContractionMap, Node
from ..kernel.contraction import ACCUMULATORS

FEWEST = 4  # products for which one product is worth its concatenations
Make = Callable[[Node], Node]
Pieces = tuple[Node, ...]


class Sums:
    """The sums of products in a graph given in topological order."""

    def __init__(self, nodes: Sequence[Node], outputs: Sequence[Node]) -> None:
        self.users: dict[int, list[Node]] = {id(node): [] for node in nodes}
        for node in nodes:
            for x in node.inputs:
                self.users[id(x)].append(node)
        self.wanted = {id(x) for x in outputs}
        # the order in which pieces that are concatenated anyway lie
        self.lying: dict[frozenset[int], Pieces] = {
            frozenset(map(id, node.inputs)): node.inputs
            for node in nodes
            if node.op == "concat" and node.attributes == (0,)
        }
        roots = [node for node in nodes if node.op == "add" and not self._inner(node)]
        leaves = {id(root): self._leaves(root) for root in roots}
        self.products: dict[int, tuple[list[Node], list[Node]]] = {}
        for root, parts in ((root, leaves[id(root)]) for root in roots):
            joined = _alike(parts, self._product_key)
            if joined:
                self.products[id(root)] = self._in_order(joined), _without(parts, joined)
        for root, parts in ((root, leaves[id(root)]) for root in roots):
            joined = _alike(parts, self._row_key)
            order = self.lying.get(frozenset(id(x.inputs[0]) for x in joined))
            if joined and order is not None and id(root) not in self.products:
                by_piece = {id(x.inputs[0]): x for x in joined}
                in_order = [by_piece[id(x)] for x in order]
                self.products[id(root)] = in_order, _without(parts, joined)

    def _single(self, node: Node) -> bool:
        return len(self.users[id(node)]) == 1 and id(node) not in self.wanted

    def _inner(self, node: Node) -> bool:
        return self._single(node) and self.users[id(node)][0].op == "add"

    def _leaves(self, root: Node) -> list[Node]:
        """What a tree of additions adds, from left to right."""
        found, stack = [], list(reversed(root.inputs))
        while stack:
            x = stack.pop()
            if x.op == "add" and self._inner(x):
                stack.extend(reversed(x.inputs))
            else:
                found.append(x)
        return found

    def _product_key(self, node: Node) -> tuple[Any, ...] | None:
        """What products that may be joined have in common."""
        if node.op != "contract" or not self._single(node):
            return None
        a, b = node.inputs
        if ACCUMULATORS.get(a.dtype.name) != node.dtype.name or b.dtype is not a.dtype:
            return None
        loop = _rows(node)
        if loop is None or a.numel + b.numel >= node.numel:
            return None
        mapping = node.attributes[0]
        loops = (*mapping.loops[:loop], 0, *mapping.loops[loop + 1 :])
        return replace(mapping, loops=loops), loop, a.dtype, a.shape[1:], b.shape[1:]

    def _row_key(self, node: Node) -> tuple[Any, ...] | None:
        """What sums over rows that may be joined have in common."""
        if node.op != "reduce" or node.attributes != ("sum", (0,)) or not self._single(node):
            return None
        x = node.inputs[0]
        return (node.shape, x.dtype) if x.dtype is node.dtype else None

    def _in_order(self, products: list[Node]) -> list[Node]:
        """The products in the order in which pieces of an operand lie anyway."""
        for side in (0, 1):
            order = self.lying.get(frozenset(id(x.inputs[side]) for x in products))
            if order is not None:
                by_piece = {id(x.inputs[side]): x for x in products}
                products = [by_piece[id(piece)] for piece in order]
                break
        for side in (0, 1):
            pieces = tuple(x.inputs[side] for x in products)
            self.lying.setdefault(frozenset(map(id, pieces)), pieces)
        return products

    def joined(self, root: Node, new: dict[int, Node], make: Make) -> Node | None:
        """a1 b1 + a2 b2 + ... + c  ->  cat(a1, a2, ...) cat(b1, b2, ...) + c, where worth it."""
        found = self.products.get(id(root))
        if found is None:
            return None
        parts, rest = [new[id(x)] for x in found[0]], found[1]
        if any(not _same(x, original, new) for x, original in zip(parts, found[0])):
            return None
        total = _one_product(parts, make) if parts[0].op == "contract" else _one_sum(parts, make)
        for x in rest:
            total = Node("add", (make(total), new[id(x)]), root.shape, root.dtype)
        total.origin = root.origin
        return total


def _rows(node: Node) -> int | None:
    """The loop of the sum that walks along the first dimension of both operands, and nothing
    else.
    """
    mapping: ContractionMap = node.attributes[0]
    if mapping.orders != (None, None, None) or not mapping.a or not mapping.b:
        return None
    constant, terms = mapping.a[0]
    if mapping.b[0] != (constant, terms) or constant or len(terms) != 1 or terms[0][1] != 1:
        return None
    loop = terms[0][0]
    elsewhere = [name for _, each in (*mapping.a[1:], *mapping.b[1:]) for name, _ in each]
    whole = all(x.shape[0] == mapping.loops[loop] for x in node.inputs)
    return loop if loop >= mapping.rank and loop not in elsewhere and whole else None


def _alike(parts: Sequence[Node], key: Callable[[Node], tuple[Any, ...] | None]) -> list[Node]:
    """The largest set of parts with one key, of different operands; empty where it is small."""
    sets: dict[tuple[Any, ...], list[Node]] = {}
    for x in parts:
        found = key(x)
        if found is not None:
            sets.setdefault(found, []).append(x)
    best = max(sets.values(), key=len, default=[])
    sides = range(len(best[0].inputs)) if best else ()
    different = all(len({id(x.inputs[side]) for x in best}) == len(best) for side in sides)
    return best if len(best) >= FEWEST and different else []


def _without(parts: Sequence[Node], joined: Sequence[Node]) -> list[Node]:
    left_out = {id(x) for x in joined}
    return [x for x in parts if id(x) not in left_out]


def _same(node: Node, original: Node, new: dict[int, Node]) -> bool:
    """Whether a part is still what it was, over new operands."""
    return (node.op, node.attributes) == (original.op, original.attributes) and all(
        a is new[id(b)] for a, b in zip(node.inputs, original.inputs)
    )


def _stacked(pieces: Pieces, make: Make) -> Node:
    first = pieces[0]
    shape = (sum(x.shape[0] for x in pieces), *first.shape[1:])
    return make(Node("concat", pieces, shape, first.dtype, (0,)))


def _one_product(products: list[Node], make: Make) -> Node:
    a, b = (_stacked(tuple(x.inputs[side] for x in products), make) for side in (0, 1))
    node = products[0]
    mapping: ContractionMap = node.attributes[0]
    loop = mapping.a[0][1][0][0]
    loops = (*mapping.loops[:loop], a.shape[0], *mapping.loops[loop + 1 :])
    return Node("contract", (a, b), node.shape, node.dtype, (replace(mapping, loops=loops),))


def _one_sum(sums: list[Node], make: Make) -> Node:
    node = sums[0]
    stacked = _stacked(tuple(x.inputs[0] for x in sums), make)
    return Node("reduce", (stacked,), node.shape, node.dtype, node.attributes)


__all__ = ["Sums"]
