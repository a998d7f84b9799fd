"""Nested containers taken apart and put together again, as `torch.utils._pytree`.

In: lists, tuples, named tuples, dicts, deques, nested; anything else (None too) is a leaf. Out: the
leaves in order, and a TreeSpec that makes the same nesting around others. Invariant:
`tree_unflatten(*tree_flatten(tree))` equals the tree.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TreeSpec:
    """A nesting: the container's type (None for a leaf), what else it takes to make one, and the
    nestings inside.
    """

    type: Any
    context: Any
    children: tuple[TreeSpec, ...]

    @property
    def num_leaves(self) -> int:
        return 1 if self.type is None else sum(child.num_leaves for child in self.children)


LEAF = TreeSpec(None, None, ())


@dataclass(frozen=True)
class Node:
    """How containers of one type come apart (children, context) and are put together again."""

    flatten: Callable[[Any], tuple[Iterable[Any], Any]]
    unflatten: Callable[[list[Any], Any], Any]


def _dictionary(kind: Callable[..., Any]) -> Node:
    return Node(
        lambda tree: (tree.values(), tuple(tree)),
        lambda children, keys: kind(zip(keys, children)),
    )


NODES: dict[type, Node] = {
    list: Node(lambda tree: (tree, None), lambda children, _: children),
    tuple: Node(lambda tree: (tree, None), lambda children, _: tuple(children)),
    dict: _dictionary(dict),
    OrderedDict: _dictionary(OrderedDict),
    defaultdict: Node(
        lambda tree: (tree.values(), (tree.default_factory, tuple(tree))),
        lambda children, context: defaultdict(context[0], zip(context[1], children)),
    ),
    deque: Node(lambda tree: (tree, tree.maxlen), lambda children, length: deque(children, length)),
}


def node_of(tree: Any) -> tuple[type, Node] | None:
    """How a container comes apart; None for a leaf. Named tuples do without an entry."""
    kind = type(tree)
    node = NODES.get(kind)
    if (
        node is None
        and isinstance(tree, tuple)
        and (hasattr(kind, "_fields") or hasattr(kind, "n_fields"))
    ):
        return kind, _named(kind)
    return None if node is None else (kind, node)


def _named(kind: type) -> Node:
    made = getattr(kind, "_make", kind)  # the results of functions are made from one tuple
    return Node(lambda tree: (tree, kind), lambda children, _: made(children))


def _opened(tree: Any) -> tuple[Any, Any, list[Any]] | None:
    """(type, context, children) of a container; None for a leaf."""
    found = node_of(tree)
    if found is None:
        return None
    kind, node = found
    children, context = node.flatten(tree)
    return kind, context, list(children)


def _closed(spec: TreeSpec, children: list[Any]) -> Any:
    """The container of a spec around its children."""
    node = NODES.get(spec.type)
    return (node or _named(spec.type)).unflatten(children, spec.context)


def tree_flatten(tree: Any) -> tuple[list[Any], TreeSpec]:
    """The leaves of a tree, and its nesting."""
    opened = _opened(tree)
    if opened is None:
        return [tree], LEAF
    leaves: list[Any] = []
    specs = []
    for child in opened[2]:
        inner, spec = tree_flatten(child)
        leaves.extend(inner)
        specs.append(spec)
    return leaves, TreeSpec(opened[0], opened[1], tuple(specs))


def tree_unflatten(leaves: Iterable[Any], spec: TreeSpec) -> Any:
    """Leaves put into a nesting; ValueError where their number does not fit."""
    given = list(leaves)
    if len(given) != spec.num_leaves:
        raise ValueError(
            f"tree_unflatten: {len(given)} leaves were given for a tree of {spec.num_leaves}"
        )
    return _filled(iter(given), spec)


def _filled(leaves: Any, spec: TreeSpec) -> Any:
    if spec.type is None:
        return next(leaves)
    return _closed(spec, [_filled(leaves, child) for child in spec.children])


def tree_map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """The tree with function(leaf, ...) in place of each leaf; others are trees of the same
    nesting.
    """
    leaves, spec = tree_flatten(tree)
    columns = [leaves]
    for other in others:
        more, its = tree_flatten(other)
        if its != spec:
            raise ValueError("tree_map: the trees are nested differently")
        columns.append(more)
    return tree_unflatten([function(*row) for row in zip(*columns)], spec)


def tree_leaves(tree: Any) -> list[Any]:
    """The leaves of a tree."""
    return tree_flatten(tree)[0]


def broadcast_prefix(prefix: Any, spec: TreeSpec) -> list[Any] | None:
    """For each leaf of a nesting, the leaf of `prefix` that stands at it or above it; None where
    the prefix is nested otherwise. A list may stand for a tuple.
    """
    opened = _opened(prefix)
    if opened is None:
        return [prefix] * spec.num_leaves
    kind, context, children = opened
    sequences = (list, tuple)
    same = kind is spec.type or (kind in sequences and spec.type in sequences)
    if not same or context != spec.context or len(children) != len(spec.children):
        return None
    found: list[Any] = []
    for child, its in zip(children, spec.children):
        inner = broadcast_prefix(child, its)
        if inner is None:
            return None
        found.extend(inner)
    return found
