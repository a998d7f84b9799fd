"""Copies that turn rows into columns: square tiles are transposed in registers.

In: the two innermost loops of a nest, where results lie along the inner (vector) loop while some
loads lie along the outer one. Out: those loads as vectors of the inner loop, for as many iterations
of the outer one as a vector has lanes. A gather would touch a cache line for each lane and use one
element of it; rows a power of two apart then push each other out of the cache before the next
iteration comes back for the second. Invariant: every element is loaded once, and only elements that
the loops reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rushlight.kernel.ir import Affine, Let, Load, Loop, Statement, Store

from .builder import Builder, Number
from .given import is_given

# The body is written once for each lane: longer ones would take long to compile.
LONGEST_BODY = 6


def turned_loads(row: Loop, outer: Loop, lanes: int) -> list[Load]:
    """The loads to transpose; empty where the nest is not worth it, or not of this kind."""
    plain = all(isinstance(s, (Let, Load, Store)) for s in row.body)
    if not plain or is_given(row.extent) or row.extent % lanes or len(row.body) > LONGEST_BODY:
        return []
    if not is_given(outer.extent) and outer.extent < lanes:
        return []
    return [
        s
        for s in row.body
        if isinstance(s, Load)
        and s.dynamic is None
        and s.mask is None
        and s.address.coefficient(outer.index) == 1
        and s.address.coefficient(row.index) not in (-1, 0, 1)
    ]


def later(body: Sequence[Statement], index: str, steps: int) -> tuple[Statement, ...]:
    """The statements of a loop's body `steps` iterations further on."""

    def moved(address: Affine) -> Affine:
        return Affine(address.constant + steps * address.coefficient(index), address.terms)

    made: list[Statement] = []
    for s in body:
        if isinstance(s, (Load, Store)):
            made.append(replace(s, address=moved(s.address)))
        elif isinstance(s, Let) and s.op == "index":
            made.append(replace(s, attributes=(moved(s.attributes[0]),)))
        else:
            made.append(s)
    return tuple(made)


def transpose(builder: Builder, lines: Sequence[Number]) -> list[Number]:
    """Lane i of line j becomes lane j of line i, for as many lines as lanes (a power of two).

    Blocks off the diagonal change places: halves, then quarters within them, and so on.
    """
    found, count = list(lines), len(lines)
    half = count // 2
    while half:
        for i in (i for i in range(count) if not i & half):
            upper, lower = found[i], found[i + half]
            here = range(count)
            found[i] = builder.merge(
                upper, lower, [k if not k & half else count + k - half for k in here]
            )
            found[i + half] = builder.merge(
                upper, lower, [k + half if not k & half else count + k for k in here]
            )
        half //= 2
    return found
