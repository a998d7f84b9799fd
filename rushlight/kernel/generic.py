"""Kernels that differ in nothing but numbers share one skeleton.

In: a kernel of IR 2. Out: its skeleton, in which numbers that follow from the sizes of tensors are
`Symbol`s, and what these numbers are. Invariants: two kernels of one skeleton differ only in the
numbers; whatever decides in which order values are added (the lanes of a reduction) is part of the
skeleton; putting the numbers back gives the kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np

from .convert import register_type, round_to
from .ir import Affine, Kernel, Let, Loop, Statement

# Rows of one cache line, which the scheduler cuts to turn matrices in registers: a fixed structure.
FIXED_VECTOR = 16
# A vector loop of more than half of this runs all the lanes there are (analysis.MOST_LANES).
LANE_CLASSES = 64
# Windows step that far: pooling takes a tenth less time where its lanes' steps are constant.
FIXED_STEP = 4
# Constants that programs write rather than derive from sizes.
FIXED_CONSTANTS = frozenset({0, 1, -1, 2, 0.5})

Change = Callable[[str, Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Symbol:
    """The `number`-th of a skeleton's numbers.

    `typical` tells of an extent an example for which the same code would be chosen, at least 2; it
    is 0 for other numbers. An extent and a factor of an index are never -1, 0 or 1.
    """

    number: int
    typical: int = 0


def generalize(kernel: Kernel) -> tuple[Kernel, tuple[int, ...]]:
    """The skeleton of a kernel and its numbers, 64 bits each.

    for i in range(784): y[3*i] = x[i] * 0.25   ->   for i in range(n0): y[n1*i] = x[i] * n2
    """
    numbers: dict[tuple[str, Any, Any], int] = {}

    def change(kind: str, where: Any, value: Any) -> Any:
        if _fixed(kind, where, value):
            return value
        if kind == "extent":
            number = numbers.setdefault((kind, where.index, value), len(numbers))
            return Symbol(number, _typical(where))
        if kind == "const":
            value = _constant_bits(where)
            where = where.name
        return Symbol(numbers.setdefault((kind, where, value), len(numbers)))

    made = rebuilt(kernel, change)
    return made, tuple(_wrapped(value) for _, _, value in numbers)


def is_skeleton(kernel: Kernel) -> bool:
    """Whether numbers of a kernel are symbols: its block always is one then."""
    return isinstance(kernel.block, Symbol)


def rebuilt(kernel: Kernel, change: Change) -> Kernel:
    """The kernel with every number n replaced by change(kind, where, n).

    Kinds: "extent" (where = the loop), "step" (an index' factor; the index), "start" (a constant
    of an address; the parameter, or "" for an index' value), "size" (a parameter), "block", "limit"
    and "site" (of checks), "const" (the Let).
    """

    def affine(old: Affine, where: str) -> Affine:
        terms = tuple((name, change("step", name, c)) for name, c in old.terms)
        return Affine(change("start", where, old.constant), terms)

    def let(old: Let) -> Let:
        if old.op == "index":
            return replace(old, attributes=(affine(old.attributes[0], ""),))
        if old.op == "const":
            return replace(old, attributes=(change("const", old, old.attributes[0]),))
        if old.op == "check_index":
            size, site = old.attributes
            return replace(
                old, attributes=(change("limit", old.name, size), change("site", old.name, site))
            )
        if old.attributes and old.op in _DIVISIONS:
            return replace(old, attributes=(change("site", old.name, old.attributes[0]),))
        return old

    def statement(old: Statement) -> Statement:
        if isinstance(old, Let):
            return let(old)
        if isinstance(old, Loop):
            extent = change("extent", old, old.extent)
            return Loop(old.index, extent, body(old.body), old.carried, old.vector)
        return replace(old, address=affine(old.address, old.parameter))

    def body(old: tuple[Statement, ...]) -> tuple[Statement, ...]:
        return tuple(statement(s) for s in old)

    return replace(
        kernel,
        parameters=tuple(
            replace(p, size=change("size", p.name, p.size)) for p in kernel.parameters
        ),
        body=body(kernel.body),
        block=change("block", "", kernel.block),
    )


_DIVISIONS = frozenset({"floor_divide", "trunc_divide", "remainder", "fmod"})


def _fixed(kind: str, where: Any, value: Any) -> bool:
    """Whether a number stays in the skeleton."""
    if kind == "extent":
        return bool(value < 2 or (where.vector and not where.carried and value == FIXED_VECTOR))
    if kind == "const":
        return bool(where.dtype == "bool" or value in FIXED_CONSTANTS or not isfinite(value))
    if kind == "step":
        return bool(abs(value) <= FIXED_STEP)
    return kind == "start" and value in (-1, 0, 1)


def _typical(loop: Loop) -> int:
    """The largest extent that runs in as many lanes: powers of two, up to where all lanes run."""
    return min(LANE_CLASSES, 1 << (loop.extent - 1).bit_length()) if loop.vector else LANE_CLASSES


def _wrapped(value: int) -> int:
    """As 64 bits hold it. (Sizes beyond never run: there is no memory for them.)"""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def _constant_bits(let: Let) -> int:
    """An integer, or the bits of a float64 that holds the rounded float exactly."""
    value = let.attributes[0]
    if register_type(let.dtype).kind != "f":
        return int(value)
    with np.errstate(over="ignore"):
        narrow = register_type(let.dtype).type(float(value))
    rounded = float(round_to(np.asarray(narrow), let.dtype))
    return int.from_bytes(struct.pack("<d", rounded), "little", signed=True)
