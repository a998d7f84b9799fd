"""The arena: every temporary of a plan gets its place in one block of memory, ahead of time.

In: a plan. Out: byte offsets and the size of the block. Invariant: two temporaries overlap only if
the last step that reads one comes before the first step that writes the other; so the peak is known
before anything runs.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

from .plan import Plan

ALIGNMENT = 64


@dataclass(slots=True)
class Arena:
    """`offsets`: byte offset of each temporary buffer by its number. `size`: bytes in all."""

    offsets: dict[int, int]
    size: int


def lifetimes(plan: Plan) -> dict[int, tuple[int, int]]:
    """(first step, last step) that touches each temporary."""
    found: dict[int, tuple[int, int]] = {}
    for number, step in enumerate(plan.steps):
        places = list(step.places) + [x[0] for x in step.operands if isinstance(x, tuple)]
        for place in places:
            if plan.memories[place].kind == "temporary":
                first = found.get(place, (number, number))[0]
                found[place] = (first, number)
    return found


def lay_out(plan: Plan) -> Arena:
    """Large ones first, each at the lowest offset where nothing that lives at the same time
    lies.
    """
    lives = lifetimes(plan)
    order = sorted(lives, key=lambda p: (-plan.memories[p].nbytes, p))
    placed: list[tuple[int, int, int, int]] = []  # (offset, end, first, last), sorted by offset
    offsets: dict[int, int] = {}
    size = 0
    for place in order:
        first, last = lives[place]
        need = -(-plan.memories[place].nbytes // ALIGNMENT) * ALIGNMENT
        at = 0
        for offset, end, other_first, other_last in placed:
            if other_last < first or last < other_first:
                continue
            if offset - at >= need:
                break
            at = max(at, end)
        offsets[place] = at
        insort(placed, (at, at + need, first, last))
        size = max(size, at + need)
    return Arena(offsets, size)
