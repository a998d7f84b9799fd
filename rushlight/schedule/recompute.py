"""Values made again instead of being kept from the forward to the backward pass.

A product reads its operands from memory. What gelu gives is one, twice: for the layer behind it,
and much later for that layer's weight gradient; until then it would lie beside the value that gelu
was given, which the backward pass keeps anyway.

In: the outputs of a graph. Out: the outputs of an equal graph in which such a value has a twin for
its late users. Invariant: a twin is computed from what is alive at that time in any case, by the
same operations, so bits stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..graph.node import Node, ordered

LARGE = 1 << 20  # bytes of a value that is worth it
FAR = 400  # nodes between users, from which on memory is worth more than work
NEAR = 200  # nodes before the late user in which something that is used lives on
MOST_NODES = 24  # that are computed again
_CHEAP = """
    add sub mul div fma neg abs sqrt rsqrt exp erf tanh sigmoid maximum minimum reciprocal square
    where cast eq ne lt le gt ge logical_and logical_or logical_not copy expand permute reshape
    slice
"""
CHEAP = frozenset(_CHEAP.split())


def recomputed(outputs: Sequence[Node]) -> tuple[list[Node], set[int]]:
    """The outputs of the graph with twins, and the ids of these: no kernel of the forward pass may
    make them.
    """
    nodes = ordered(outputs)
    place = {id(node): k for k, node in enumerate(nodes)}
    users: dict[int, list[Node]] = {id(node): [] for node in nodes}
    for node in nodes:
        for x in node.inputs:
            users[id(x)].append(node)
    wanted = {id(x) for x in outputs}
    late: dict[int, set[int]] = {}
    for node in nodes:
        if id(node) in wanted or node.numel * node.dtype.itemsize < LARGE or not node.inputs:
            continue
        there = {id(u) for u in users[id(node)] if place[id(u)] > place[id(node)] + FAR}
        if there and len(there) < len(users[id(node)]) and _suits(node, there, users, place):
            late[id(node)] = there
    return _with_twins(nodes, outputs, late) if late else (list(outputs), set())


def _suits(node: Node, late: set[int], users: dict[int, list[Node]], place: dict[int, int]) -> bool:
    """Whether only products use a node late, and it follows from what is alive then."""
    if node.op not in CHEAP or any(u.op != "contract" for u in users[id(node)] if id(u) in late):
        return False
    then = min(place[u] for u in late) - NEAR
    cone, stack = {id(node)}, list(node.inputs)
    while stack:
        x = stack.pop()
        if id(x) in cone or not x.inputs:
            continue
        if any(place[id(u)] >= then for u in users[id(x)] if id(u) not in cone):
            continue
        cone.add(id(x))
        stack.extend(x.inputs)
        if x.op not in CHEAP or len(cone) > MOST_NODES:
            return False
    return True


def _with_twins(
    nodes: Sequence[Node], outputs: Sequence[Node], late: dict[int, set[int]]
) -> tuple[list[Node], set[int]]:
    new: dict[int, Node] = {}
    twins: dict[int, Node] = {}
    for node in nodes:
        inputs = []
        for x in node.inputs:
            if id(node) in late.get(id(x), ()):
                twin = twins.get(id(x))
                if twin is None:
                    twin = twins[id(x)] = _again(x, [new[id(y)] for y in x.inputs])
                inputs.append(twin)
            else:
                inputs.append(new[id(x)])
        same = all(a is b for a, b in zip(inputs, node.inputs))
        new[id(node)] = node if same else _again(node, inputs)
    return [new[id(x)] for x in outputs], {id(twin) for twin in twins.values()}


def _again(node: Node, inputs: Sequence[Node]) -> Node:
    made = Node(node.op, tuple(inputs), node.shape, node.dtype, node.attributes)
    made.origin = node.origin
    return made
