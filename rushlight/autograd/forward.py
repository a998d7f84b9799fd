"""Forward mode: tangents pushed along the tape, and where on it a transform starts and ends.

In: sources (aliases with a place of their own on the tape) with their tangents, and outputs made of
them. Out: the outputs' tangents, or tensors that depend on nothing but the sources any more.
Invariant: an entry's rule is linear in the cotangent, so the tangent is the rule's transpose: there
is no second rule per operation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .entries import TAPE_HOOKS, GradFn, SourceGradFn, fit_to, gradient_edge
from .modes import MODE, enable_grad
from .walk import grad

Tangents = dict[GradFn, list]  # for each entry the tangents of its outputs, None for zero


def transposed(function: GradFn, tangents: list, create_graph: bool) -> Sequence:
    """The tangents of an entry's outputs, from those of its edges.

    A cotangent is pulled back through the entry, then each tangent along that pull to it. Its value
    does not matter where the rule is linear; ones, since a rule may take logarithms of it.
    """
    with enable_grad():
        cotangents = [
            SourceGradFn.alias(TAPE_HOOKS.ones(layout))
            if layout.dtype.kind in ("float", "complex")
            else None
            for layout in function.layouts
        ]
        pulled = function.apply(list(cotangents))
        outputs, weights = [], []
        for edge, back, tangent in zip(function.edges, pulled, tangents):
            if edge is None or back is None or tangent is None:
                continue
            if back._layout.batch:
                back = TAPE_HOOKS.leave(back, edge.function)
            back = fit_to(back, tangent._layout)
            if back.requires_grad:
                outputs.append(back)
                weights.append(tangent)
    known = [c for c in cotangents if c is not None]
    if not outputs or not known:
        return [None] * len(cotangents)
    found = iter(grad(outputs, known, weights, create_graph=create_graph, allow_unused=True))
    return [None if c is None else next(found) for c in cotangents]


def reaching(outputs: Iterable, sources: Tangents) -> list[GradFn]:
    """The entries on a way from the sources to the outputs, in order of recording."""
    users: dict[GradFn, list[GradFn]] = {}
    stack = [t for t in (_entry(x) for x in outputs) if t is not None]
    seen = set(stack)
    met = [f for f in stack if f in sources]
    while stack:
        function = stack.pop()
        if function in sources:
            continue
        for edge in function.edges:
            if edge is None:
                continue
            users.setdefault(edge.function, []).append(function)
            if edge.function not in seen:
                seen.add(edge.function)
                stack.append(edge.function)
                if edge.function in sources:
                    met.append(edge.function)
    found = set(met)
    while met:
        for user in users.get(met.pop(), ()):
            if user not in found:
                found.add(user)
                met.append(user)
    return sorted(found, key=lambda f: f.sequence)


def _entry(x: Any) -> GradFn | None:
    return gradient_edge(x).function if x.requires_grad else None


def push(outputs: Sequence, known: Tangents, create_graph: bool) -> list:
    """The tangents of the outputs (None where they do not depend on the sources).

    `known` holds the tangents of the sources, and is given those of every entry on the way.
    """
    for function in reaching(outputs, known):
        if function in known:
            continue
        arriving = [
            None if e is None or e.function not in known else known[e.function][e.number]
            for e in function.edges
        ]
        known[function] = list(function.push(arriving, create_graph))
    found = []
    for x in outputs:
        edge = gradient_edge(x) if x.requires_grad else None
        found.append(known[edge.function][edge.number] if edge and edge.function in known else None)
    return found


def is_foreign(outputs: Iterable, sources: Iterable[GradFn]) -> bool:
    """Whether outputs depend on anything on the tape beside these sources: on a leaf, on a source
    of another transform, on what one of these sources is an alias of.
    """
    own = set(sources)
    stack = [t for t in (_entry(x) for x in outputs) if t is not None]
    seen = set(stack)
    while stack:
        function = stack.pop()
        edges = [e for e in function.edges if e is not None]
        if function in own:
            if edges:
                return True
            continue
        if not function.edges or (isinstance(function, SourceGradFn) and not edges):
            return True
        for edge in edges:
            if edge.function not in seen:
                seen.add(edge.function)
                stack.append(edge.function)
    return False


def settled(outputs: Sequence, foreign: bool) -> list:
    """What leaves a transform: on the tape only where somebody outside can ask for a gradient."""
    return list(outputs) if foreign else [_detached(x) for x in outputs]


def _detached(x: Any) -> Any:
    return x.detach() if hasattr(x, "_layout") and x.requires_grad else x


class sources:
    """Aliases of tensors as the sources of a transform, with the tape on inside the block."""

    def __init__(self, tensors: Sequence) -> None:
        self.outer = MODE.grad
        self.tensors = [
            SourceGradFn.alias(x) if x._layout.dtype.kind in ("float", "complex") else x
            for x in tensors
        ]
        self.entries = [x._grad_fn for x in self.tensors if x._grad_fn is not None]

    def __enter__(self) -> sources:
        MODE.grad = True
        return self

    def __exit__(self, *exception: object) -> None:
        MODE.grad = self.outer

    def foreign(self, outputs: Iterable) -> bool:
        """Whether somebody outside can ask for a derivative of outputs made in the block."""
        return self.outer and is_foreign(
            [x for x in outputs if hasattr(x, "_layout")], self.entries
        )


class pushing:
    """Inside, backward walks are kept and put on the tape: tangents are pushed along them later."""

    def __enter__(self) -> None:
        MODE.forward += 1

    def __exit__(self, *exception: object) -> None:
        MODE.forward -= 1
