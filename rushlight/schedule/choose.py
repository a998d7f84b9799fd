"""Which nodes are stored and which are computed where they are used.

In: the nodes of a graph in order. Out: a `Choice`: the set of stored nodes, the order of dimensions
that their users ask for, and which cannot be compiled. Invariant: the choice follows from the graph
alone. A cheap node is recomputed by each of its users, a dear one with several users is stored, and
so is what a broadcast would compute over and over.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..graph.node import ContractionMap, Node
from ..kernel.contraction import ACCUMULATORS
from .epilogues import Chain, chains

DEAR = 12.0  # work per element above which a node with several users is stored
FAR = 100  # stored nodes between two users from which on memory is worth more than work:
DEARER = 48.0  # what a node then costs that is kept, say from the forward to the backward pass
DEEP = 40  # nodes in a row that may be computed in one place
WINDOWED = 16  # how much larger than a window may be what is stored for its sake
WIDE = 120.0  # work per element that one kernel may hold

_COSTS = {
    "input": 2,
    "div": 3,
    "sqrt": 4,
    "rsqrt": 5,
    "exp": 8,
    "exp2": 8,
    "log": 10,
    "log2": 10,
    "pow": 20,
    "sin": 12,
    "cos": 12,
    "tanh": 12,
    "erf": 12,
    "sigmoid": 12,
    "expm1": 10,
    "log1p": 12,
    "gather": 8,
    "remainder": 6,
    "floor_divide": 6,
    "const": 0,
    "scalar": 0,
    "expand": 0,
    "permute": 0,
    "reshape": 0,
    "slice": 0,
    "strided": 0,
    "copy": 0,
    "iota": 0,
    "pad": 1,
    "erfinv": 30,
    "lgamma": 40,
    "digamma": 40,
    "atan2": 20,
    "asin": 20,
    "acos": 20,
    "atan": 15,
    "sinh": 15,
    "cosh": 15,
    "tan": 20,
}

# nodes that are always a step of their own
OWN_STEP = frozenset(
    {
        "reduce",
        "contract",
        "scatter",
        "write",
        "concat",
        "scan",
        "host",
        "pick",
        "complex",
        "real",
        "imag",
        "conj",
        "complex_abs",
    }
)
SCANS = frozenset({"sum", "prod", "max", "min"})
KERNEL_REDUCTIONS = frozenset({"sum", "prod", "max", "min", "any", "all"})


def by_numpy(node: Node) -> bool:
    """Whether a node has no kernel and is computed by its NumPy meaning."""
    if node.op in ("host", "pick", "real", "imag", "conj", "complex", "complex_abs"):
        return True
    if node.op == "scatter" and node.dtype.kind == "bool":
        return True
    if node.op == "scan" and node.attributes[0] not in SCANS:
        return True
    if node.dtype.is_complex or any(x.dtype.is_complex for x in node.inputs):
        return node.op not in ("input", "scalar")
    if node.op == "reduce":
        return node.attributes[0] not in KERNEL_REDUCTIONS
    if node.op == "contract":
        return node.inputs[0].dtype.name not in ACCUMULATORS or 0 in node.attributes[0].loops
    return False


class Choice:
    """What was chosen.

    `orders`: for a stored node, the order of dimensions (outermost first) its user asks for.
    """

    __slots__ = ("chains", "costs", "depths", "numpy", "orders", "stored")

    def __init__(self) -> None:
        self.stored: set[int] = set()
        self.orders: dict[int, tuple[int, ...]] = {}
        self.numpy: set[int] = set()
        self.costs: dict[int, float] = {}
        self.depths: dict[int, int] = {}
        self.chains: dict[int, Chain] = {}


def choose(nodes: Sequence[Node], outputs: Sequence[Node]) -> Choice:
    """Decide for every node of a graph given in topological order."""
    choice = Choice()
    consumers: dict[int, list[Node]] = {id(n): [] for n in nodes}
    for node in nodes:
        if by_numpy(node):
            choice.numpy.add(id(node))
        for x in node.inputs:
            consumers[id(x)].append(node)
    wanted = {id(x) for x in outputs}
    for node in nodes:
        if node.op in OWN_STEP or id(node) in choice.numpy or id(node) in wanted:
            choice.stored.add(id(node))
        _demand(node, choice)
    for node in nodes:
        _cost(node, choice)
    _store_shared(nodes, consumers, choice)
    choice.stored -= {
        id(n)
        for n in nodes
        if n.op in ("const", "scalar") or (n.op == "input" and id(n) not in wanted)
    }
    choice.chains = chains(nodes, consumers, wanted | choice.numpy, choice.stored)
    for end, chain in choice.chains.items():
        if id(chain.product) in choice.orders:
            choice.orders[end] = choice.orders[id(chain.product)]
    return choice


def _demand(node: Node, choice: Choice) -> None:
    """What a node needs to find stored, and how."""
    if id(node) in choice.numpy:
        choice.stored.update(id(x) for x in node.inputs)
    elif node.op == "contract":
        mapping: ContractionMap = node.attributes[0]
        for x, order in zip(node.inputs, mapping.orders):
            choice.stored.add(id(x if order is not None else _under_windows(x, choice)))
            if order is not None:
                choice.orders.setdefault(id(x), order)
        if mapping.orders[2] is not None:
            choice.orders[id(node)] = mapping.orders[2]
    elif node.op == "gather":
        x = node.inputs[0]
        if not (x.op == "input" and x.attributes[1].contiguous):
            choice.stored.add(id(x))
            choice.orders[id(x)] = tuple(range(x.ndim))
    elif node.op == "write":
        choice.stored.add(id(node.inputs[0]))


def _under_windows(x: Node, choice: Choice) -> Node:
    """What a product reads: where an operand is a window of good part of something (the queries of
    queries, keys and values), that is stored, in the order that the window was made for, and the
    product walks the window.
    """
    base, own = x, None
    while base.op in ("strided", "slice"):
        own = base.attributes[0] if base.op == "strided" else None
        base = base.inputs[0]
    if base.numel > WINDOWED * x.numel:
        return x
    if own is not None and base.op != "input":
        order = tuple(sorted(range(base.ndim), key=lambda d: -own[d]))
        choice.orders.setdefault(id(base), order)
    return base


def _cost(node: Node, choice: Choice) -> None:
    """Work per element to compute a node from what is stored; storing it where that grows out of
    hand.
    """
    own = float(_COSTS.get(node.op, 1))
    total, depth = own, 0
    for x in node.inputs:
        if id(x) in choice.stored and x.op not in ("const", "scalar"):
            total += 2.0 if x.numel * 8 >= node.numel else 0.5
            continue
        if node.op == "expand" and x.numel < node.numel and not _is_free(x):
            if choice.costs[id(x)] > 2.5:
                choice.stored.add(id(x))
                total += 0.5
                continue
            total += 0.5
            continue
        total += choice.costs[id(x)]
        depth = max(depth, choice.depths[id(x)] + 1)
    if (depth > DEEP or total > WIDE) and node.inputs:
        choice.stored.add(id(node))
    choice.costs[id(node)] = total
    choice.depths[id(node)] = 0 if id(node) in choice.stored else depth


def _is_free(node: Node) -> bool:
    """Whether a node is a number (or made of numbers alone): the same for every element."""
    return node.op in ("const", "scalar") or (
        not node.shape
        and all(_is_free(x) for x in node.inputs)
        and node.op != "input"
        and bool(node.inputs)
    )


def _store_shared(nodes: Sequence[Node], consumers: dict[int, list[Node]], choice: Choice) -> None:
    """Store what is dear and has users in several steps; dearer where the first two are far apart
    (a third, in the backward pass, changes nothing: what is stored for two serves it as well).
    """
    steps: dict[int, frozenset[int]] = {}
    places: dict[int, int] = {}  # of stored nodes, counted from the end
    for node in reversed(nodes):
        if id(node) in choice.stored:
            places[id(node)] = len(places)
        users: set[int] = set()
        for user in consumers[id(node)]:
            users |= {id(user)} if id(user) in choice.stored else steps[id(user)]
            if len(users) > 2:
                break
        if id(node) not in choice.stored and len(users) > 1 and node.inputs:
            first, second = sorted((places[u] for u in users), reverse=True)[:2]
            if choice.costs[id(node)] > (DEAR if first - second < FAR else DEARER):
                choice.stored.add(id(node))
                places[id(node)] = len(places)
        steps[id(node)] = frozenset(users)


__all__ = ["Choice", "by_numpy", "choose"]
