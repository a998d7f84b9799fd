"""Additions that a contraction ends with: a bias, a residual.

In: the nodes of a graph and what is stored of them. Out: for the last of a chain of additions on a
product, the product and what is added to it. Invariants: nobody else uses the product or a sum
within the chain; what is added is a window of something stored; each sum rounds to its dtype, as in
a kernel of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..graph.node import Node
from ..kernel.contraction import ACCUMULATORS, Contraction, Step
from .body import Slot

if TYPE_CHECKING:
    from .plan import Planner

MOST_TERMS = 3
_VIEWS = frozenset({"expand", "permute", "reshape", "slice", "strided", "copy"})


@dataclass(frozen=True, slots=True)
class Chain:
    """`product` plus each of `terms` in turn."""

    product: Node
    terms: tuple[Node, ...]


def chains(
    nodes: Sequence[Node], consumers: dict[int, list[Node]], wanted: set[int], stored: set[int]
) -> dict[int, Chain]:
    """Every chain by the id of its last sum, which is stored in place of the product."""
    found: dict[int, Chain] = {}
    taken: set[int] = set()
    for node in nodes:
        if node.op != "contract" or ACCUMULATORS.get(node.dtype.name) != node.dtype.name:
            continue
        terms: list[Node] = []
        end = node
        while len(terms) < MOST_TERMS and id(end) not in wanted:
            users = consumers[id(end)]
            term = _term(users[0], end, stored) if len(users) == 1 else None
            if term is None or id(users[0]) in taken:
                break
            terms.append(term)
            end = users[0]
            taken.add(id(end))
        if terms:
            found[id(end)] = Chain(node, tuple(terms))
            stored.discard(id(node))
            stored.add(id(end))
    return found


def _term(user: Node, product: Node, stored: set[int]) -> Node | None:
    """What `user` adds to a product, where that can be read from memory."""
    if user.op != "add" or user.shape != product.shape or user.dtype is not product.dtype:
        return None
    term = user.inputs[1] if user.inputs[0] is product else user.inputs[0]
    base = term
    while base.op in _VIEWS and id(base) not in stored:
        base = base.inputs[0]
    readable = base.op == "input" or (id(base) in stored and base.op not in ("const", "scalar"))
    return term if readable and term is not product and term.dtype is product.dtype else None


def with_terms(
    planner: Planner, spec: Contraction, out: Slot, terms: Sequence[Node]
) -> tuple[Contraction, list[int]]:
    """A contraction that adds the terms before it stores; the buffers they lie in.

    Its first loops are the dimensions of the result, the others are summed.
    """
    steps, places = [], []
    for number, term in enumerate(terms):
        slot = planner.window(term)
        near = [d for d, n in enumerate(term.shape) if n > 1 and out.strides[d] == 1]
        if slot is None or any(slot.strides[d] not in (0, 1) for d in near):
            order = sorted(range(term.ndim), key=lambda d: -out.strides[d])
            slot = planner.stored_as(term, tuple(order))
        strides = (*slot.strides, *[0] * (len(spec.axes) - term.ndim))
        steps.append(Step("add", number, strides, slot.offset, slot.dtype))
        places.append(slot.place)
    return replace(spec, epilogue=tuple(steps)), places
