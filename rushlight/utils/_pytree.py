"""`torch.utils._pytree`: nested containers taken apart, mapped, and put together again.

In: lists, tuples, named tuples, dicts, deques and registered types, nested. Out: leaves and a
TreeSpec, or a tree of the same nesting. Invariant: `tree_unflatten(*tree_flatten(tree))` equals the
tree. PyTorch calls this module private; many packages use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from rushlight.base.pytree import (
    LEAF,
    NODES,
    Node,
    TreeSpec,
    broadcast_prefix,
    node_of,
)
from rushlight.base.pytree import tree_flatten as _flatten
from rushlight.base.pytree import tree_map as _map
from rushlight.base.pytree import tree_unflatten as _unflatten

__all__ = [
    "SUPPORTED_NODES",
    "LeafSpec",
    "PyTree",
    "TreeSpec",
    "register_pytree_node",
    "tree_all",
    "tree_any",
    "tree_flatten",
    "tree_iter",
    "tree_leaves",
    "tree_map",
    "tree_map_",
    "tree_map_only",
    "tree_structure",
    "tree_unflatten",
]

PyTree: TypeAlias = Any
Predicate: TypeAlias = Callable[[Any], bool]
SUPPORTED_NODES = NODES


def LeafSpec() -> TreeSpec:
    """The nesting of a leaf."""
    return LEAF


def _get_node_type(tree: Any) -> Any:
    """The type under which a tree's outermost container is known; its own type for a leaf."""
    from collections import namedtuple

    if isinstance(tree, tuple) and hasattr(type(tree), "_fields") and type(tree) not in NODES:
        return namedtuple
    return type(tree)


def register_pytree_node(
    cls: type,
    flatten_fn: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten_fn: Callable[[Iterable[Any], Any], Any],
    **ignored: Any,
) -> None:
    """From now on instances of `cls` are containers: `flatten_fn(x)` gives (children, context),
    `unflatten_fn(children, context)` makes one.

    The names for serialised trees that PyTorch also takes are not used: trees are not serialised.
    Errors: ValueError for a type that is registered already.

    >>> from rushlight.utils import _pytree
    >>> class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    >>> _pytree.register_pytree_node(Pair, lambda p: ((p.a, p.b), None), lambda c, _: Pair(*c))
    >>> _pytree.tree_map(lambda x: x + 1, Pair(1, 2)).b
    3
    """
    if cls in NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    NODES[cls] = Node(flatten_fn, unflatten_fn)


_register_pytree_node = register_pytree_node


def _deregister_pytree_node(cls: type) -> None:
    """Instances of `cls` are leaves again."""
    del NODES[cls]


def _dict_flatten_with_keys(d: dict) -> tuple[list[tuple[Any, Any]], list]:
    """The items of a dict with their keys as paths, and the keys in order."""
    return [(MappingKey(key), value) for key, value in d.items()], list(d)


class MappingKey:
    """The step into a mapping, in the path to a leaf."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping: Any) -> Any:
        return mapping[self.key]


def tree_flatten(tree: PyTree, is_leaf: Predicate | None = None) -> tuple[list, TreeSpec]:
    """The leaves of a tree in order, and its nesting; where `is_leaf(x)` it is not opened."""
    if is_leaf is None:
        return _flatten(tree)
    found = None if is_leaf(tree) else node_of(tree)
    if found is None:
        return [tree], LEAF
    kind, node = found
    children, context = node.flatten(tree)
    leaves: list = []
    specs = []
    for child in children:
        inner, spec = tree_flatten(child, is_leaf)
        leaves.extend(inner)
        specs.append(spec)
    return leaves, TreeSpec(kind, context, tuple(specs))


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> PyTree:
    """The tree of a nesting with these leaves. Errors: TypeError where `treespec` is none,
    ValueError where the number of leaves does not fit.
    """
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            "tree_unflatten(leaves, treespec): Expected `treespec` to be instance of TreeSpec but "
            f"got item of type {type(treespec)}."
        )
    return _unflatten(leaves, treespec)


def tree_leaves(tree: PyTree, is_leaf: Predicate | None = None) -> list:
    """The leaves of a tree in order."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree: PyTree, is_leaf: Predicate | None = None) -> Iterable[Any]:
    """The leaves of a tree, one by one."""
    yield from tree_leaves(tree, is_leaf)


def tree_structure(tree: PyTree, is_leaf: Predicate | None = None) -> TreeSpec:
    """The nesting of a tree."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(
    func: Callable[..., Any], tree: PyTree, *rests: PyTree, is_leaf: Predicate | None = None
) -> PyTree:
    """The tree with `func(leaf, ...)` in place of each leaf; `rests` are nested the same way."""
    if is_leaf is None:
        return _map(func, tree, *rests)
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves, *(tree_leaves(rest, is_leaf) for rest in rests)]
    return tree_unflatten([func(*row) for row in zip(*columns, strict=True)], spec)


def tree_map_(func: Callable[..., Any], tree: PyTree, *rests: PyTree) -> PyTree:
    """Call `func` on each leaf; return the tree as it was."""
    tree_map(func, tree, *rests)
    return tree


def _chosen(types: Any) -> Predicate:
    if isinstance(types, (type, tuple)) or hasattr(types, "__args__"):
        return lambda leaf: isinstance(leaf, types)
    return types


def tree_map_only(types: Any, func: Callable[..., Any] | None = None, tree: PyTree = None) -> Any:
    """The tree with `func(leaf)` in place of the leaves of those types (a type, several, or a
    predicate); the others stay.
    """
    chosen = _chosen(types)
    return tree_map(lambda leaf: func(leaf) if chosen(leaf) else leaf, tree)  # type: ignore[misc]


def tree_all(pred: Predicate, tree: PyTree) -> bool:
    """Whether `pred` holds for every leaf."""
    return all(map(pred, tree_leaves(tree)))


def tree_any(pred: Predicate, tree: PyTree) -> bool:
    """Whether `pred` holds for some leaf."""
    return any(map(pred, tree_leaves(tree)))


def _broadcast_to_and_flatten(tree: PyTree, treespec: TreeSpec) -> list | None:
    """The leaf of `tree` that stands at or above each leaf of a nesting; None where they differ."""
    return broadcast_prefix(tree, treespec)
