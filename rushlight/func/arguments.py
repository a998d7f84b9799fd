"""The arguments of a transformed function: which ones are differentiated, and their tensors.

In: positional arguments, argnums. Out: the leaves of what is differentiated, and a way to call the
function with others in their place. Invariant: errors name the transform that was called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..autograd.forward import sources
from ..base.pytree import TreeSpec, tree_flatten, tree_unflatten
from ..tensor.tensor import Tensor

Argnums = int | tuple[int, ...]


class Differentiated:
    """The arguments named by argnums: their tensors, and what they are nested in."""

    def __init__(self, name: str, args: tuple, argnums: Argnums) -> None:
        self.args = args
        self.several = not isinstance(argnums, int)
        listed = list(argnums) if isinstance(argnums, (tuple, list)) else [argnums]
        if not listed:
            raise RuntimeError(f"{name}: argnums must be non-empty")
        for k in listed:
            if not isinstance(k, int):
                raise RuntimeError(f"{name}: argnums must be int or a tuple of ints, got {argnums}")
            if not -len(args) <= k < len(args):
                raise RuntimeError(
                    f"{name}: Got argnum={k}, but only {len(args)} positional inputs"
                )
        self.places = [k % len(args) for k in listed]
        if len(set(self.places)) != len(self.places):
            raise RuntimeError(f"{name}: argnums elements must be unique, got {argnums}")
        chosen = tuple(args[k] for k in self.places)
        self.leaves, self.spec = tree_flatten(chosen)
        require_tensors(name, self.leaves, "inputs")

    def require_floating(self) -> Differentiated:
        """These arguments; RuntimeError where one has no gradient."""
        if any(leaf.dtype.kind not in ("float", "complex") for leaf in self.leaves):
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        return self

    def with_leaves(self, leaves: Sequence) -> tuple:
        """All arguments, with others in place of the differentiated tensors."""
        args = list(self.args)
        for place, value in zip(self.places, tree_unflatten(leaves, self.spec)):
            args[place] = value
        return tuple(args)

    def shaped(self, leaves: Sequence) -> Any:
        """One value for each differentiated tensor, nested as they are."""
        nested = tree_unflatten(leaves, self.spec)
        return nested if self.several else nested[0]


def require_tensors(name: str, leaves: Sequence, what: str) -> None:
    """RuntimeError for a leaf that is no tensor."""
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(
                f"{name}: Expected all {what} to be Tensors, but got an element of type "
                f"{type(leaf)}"
            )


class Traced:
    """A function run once on sources: its outputs, and whether their derivatives matter outside."""

    def __init__(
        self, name: str, func: Callable, given: Differentiated, kwargs: dict, has_aux: bool
    ) -> None:
        start = sources(given.leaves)
        with start:
            made = func(*given.with_leaves(start.tensors), **kwargs)
        aux: Any = ()
        if has_aux:
            if not (isinstance(made, tuple) and len(made) == 2):
                raise RuntimeError(
                    f"{name}: output of function f should be a tuple: (output, aux) if has_aux is "
                    f"True, but got {type(made)}"
                )
            made, aux = made
        self.inputs = start.tensors
        self.outputs, self.spec = tree_flatten(made)
        extra, aux_spec = tree_flatten(aux)
        self.foreign = start.foreign([*self.outputs, *extra])
        self.aux = tree_unflatten(_settled(extra, self.foreign), aux_spec)
        require_tensors(name, self.outputs, "outputs")

    def settled(self, leaves: Sequence) -> list:
        """Values as they leave the transform."""
        return _settled(leaves, self.foreign)

    def result(self) -> Any:
        """What the function returned."""
        return tree_unflatten(self.settled(self.outputs), self.spec)


def _settled(leaves: Sequence, foreign: bool) -> list:
    from ..autograd.forward import settled

    return settled(leaves, foreign)


def matching(name: str, given: Any, spec: TreeSpec, like: Sequence, what: str) -> list:
    """The leaves of a tree that must be nested as `spec` says, tensors of the same shapes as
    `like`.
    """
    leaves, its = tree_flatten(given)
    if its != spec:
        raise RuntimeError(
            f"{name}: Expected {what} to have the same structure as what they belong to: got "
            f"{its}, expected {spec}"
        )
    require_tensors(name, leaves, what)
    for leaf, x in zip(leaves, like):
        if leaf.shape != x.shape:
            raise RuntimeError(
                f"{name}: Expected {what} of the shape of what they belong to: got "
                f"{list(leaf.shape)}, expected {list(x.shape)}"
            )
    return leaves
