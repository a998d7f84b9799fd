"""Loop nests: from a flat body to a kernel, its loops ordered, joined and cut into tasks.

In: the statements of one body over named loops, and which of them are summed away. Out: a `Kernel`.
Invariants: loops are ordered by how far they step in memory, neighbours that step as one become
one, the innermost runs in vectors; the number of tasks follows from the problem alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ..kernel.ir import Affine, Carried, Kernel, Let, Load, Loop, Parameter, Statement, Store, Value

TASK_ELEMENTS = 16384  # elements of work in one task: some 10-20 us


@dataclass(frozen=True, slots=True)
class Reduction:
    """A carried value: `value` of each iteration is combined into `name`."""

    name: Value
    initial: Value
    value: Value
    next: Value
    combine: str
    dtype: str


def rename(affine: Affine, old: str, new: Sequence[tuple[str, int]]) -> Affine:
    """`old` replaced by a sum of loop * factor."""
    coefficient = affine.coefficient(old)
    terms = {n: c for n, c in affine.terms if n != old}
    for name, factor in new:
        terms[name] = terms.get(name, 0) + coefficient * factor
    return Affine(affine.constant, tuple(sorted((n, c) for n, c in terms.items() if c)))


def affines(statements: Sequence[Statement]) -> list[Affine]:
    """Every affine expression in a body."""
    found = []
    for s in statements:
        if isinstance(s, (Load, Store)):
            found.append(s.address)
        elif isinstance(s, Let) and s.op == "index":
            found.append(s.attributes[0])
    return found


def replaced(
    statements: Sequence[Statement], old: str, new: Sequence[tuple[str, int]]
) -> list[Statement]:
    """The body with a loop index replaced everywhere."""
    result: list[Statement] = []
    for s in statements:
        if isinstance(s, Load):
            s = Load(s.name, s.parameter, rename(s.address, old, new), s.dtype, s.dynamic, s.mask)
        elif isinstance(s, Store):
            s = Store(
                s.parameter, rename(s.address, old, new), s.value, s.dynamic, s.mask, s.combine
            )
        elif isinstance(s, Let) and s.op == "index":
            s = Let(s.name, s.op, s.arguments, s.dtype, (rename(s.attributes[0], old, new),))
        result.append(s)
    return result


def join(
    statements: list[Statement], order: list[str], extents: dict[str, int]
) -> tuple[list[Statement], list[str]]:
    """Neighbouring loops that every address steps through as one become one.

    for i < 4: for j < 8: x[8*i + j]    ->    for j < 32: x[j]
    """
    at = len(order) - 1
    while at > 0:
        outer, inner = order[at - 1], order[at]
        n = extents[inner]
        if all(a.coefficient(outer) == n * a.coefficient(inner) for a in affines(statements)):
            statements = replaced(statements, outer, ())
            extents[inner] *= extents.pop(outer)
            del order[at - 1]
        at -= 1
    return statements, order


def dominant_steps(
    statements: Sequence[Statement], parameters: Mapping[str, Parameter], names: Sequence[str]
) -> dict[str, int]:
    """How far each loop steps in the load that varies with most loops (the largest buffer of
    these).
    """
    best: tuple[int, int] | None = None
    steps: dict[str, int] = dict.fromkeys(names, 0)
    for s in statements:
        if isinstance(s, Load):
            touched = sum(1 for n in names if s.address.coefficient(n))
            rank = (touched, parameters[s.parameter].size)
            if touched and (best is None or rank > best):
                best = rank
                steps = {n: abs(s.address.coefficient(n)) for n in names}
    return steps


TILE = 16  # elements of four bytes in a cache line


def tile_transpose(
    statements: list[Statement],
    order: list[str],
    extents: dict[str, int],
    parameters: Mapping[str, Parameter],
) -> tuple[list[Statement], list[str]]:
    """Where a large operand is read across the direction of the stores, walk it in tiles that stay
    in cache.

    for i: for j (vector): out[i, j] = x[j, i]
    ->  for j by 16: for i: for 16 of j (vector): out[i, j] = x[j, i]
    """
    last = order[-1]
    across = [
        s
        for s in statements
        if isinstance(s, Load)
        and abs(s.address.coefficient(last)) > 1
        and parameters[s.parameter].size >= 4096
        and any(
            abs(s.address.coefficient(n)) < abs(s.address.coefficient(last))
            and s.address.coefficient(n)
            for n in order[:-1]
        )
    ]
    if not across or extents[last] % TILE or extents[last] < 2 * TILE or len(order) < 2:
        return statements, order
    load = max(across, key=lambda s: parameters[s.parameter].size)
    outer, inner = f"{last}t", f"{last}v"
    statements = replaced(statements, last, ((outer, TILE), (inner, 1)))
    extents[outer], extents[inner] = extents.pop(last) // TILE, TILE
    rest = sorted(order[:-1], key=lambda n: -abs(load.address.coefficient(n)))
    return statements, [outer, *rest, inner]


def _wrap(
    name: str,
    extent: int,
    body: Sequence[Statement],
    vector: bool = False,
    carried: tuple[Carried, ...] = (),
) -> Loop:
    return Loop(name, extent, tuple(body), carried, vector)


def map_kernel(
    statements: list[Statement],
    order: list[str],
    extents: dict[str, int],
    parameters: tuple[Parameter, ...],
    scalars: tuple[str, ...],
    weight: int = 1,
) -> Kernel:
    """A kernel that does the body once for every setting of the loops, all of them parallel."""
    extents = {n: extents[n] for n in order}
    unit = [n for n in order if extents[n] == 1]
    for n in unit:
        statements = replaced(statements, n, ())
    order = [n for n in order if extents[n] != 1]
    extents = {n: extents[n] for n in order}
    statements, order = join(statements, order, extents)
    if not order:
        return Kernel("", parameters, scalars, tuple(statements), 0, 1)
    statements, order = tile_transpose(statements, order, extents, {p.name: p for p in parameters})
    body: Sequence[Statement] = statements
    for depth, name in enumerate(reversed(order)):
        body = (_wrap(name, extents[name], body, vector=depth == 0 and extents[name] > 1),)
    elements = max(TASK_ELEMENTS // max(weight, 1), 1024)
    block = max(64, -(-elements // 64) * 64)
    return Kernel("", parameters, scalars, tuple(body), len(order), block)


def reduce_kernel(
    statements: list[Statement],
    kept: list[str],
    reduced: list[str],
    extents: dict[str, int],
    reductions: Sequence[Reduction],
    stores: list[Statement],
    parameters: tuple[Parameter, ...],
    scalars: tuple[str, ...],
    initials: list[Statement],
) -> Kernel:
    """A kernel that combines the body's values over the reduced loops for every setting of the kept
    ones.

    The loop that steps least in the dominant load runs in vectors: if it is a kept one, each lane
    has a sum of its own.
    """
    steps = dominant_steps(statements, {p.name: p for p in parameters}, [*kept, *reduced])
    for names in (kept, reduced):
        names[:] = [n for n in names if extents[n] != 1]
        names.sort(key=lambda n: -steps[n])
    for n in [n for n in extents if extents[n] == 1]:
        statements, stores = replaced(statements, n, ()), replaced(stores, n, ())
    everything = statements + stores
    everything, kept = join(everything, kept, extents)
    everything, reduced = join(everything, reduced, extents)
    statements, stores = everything[: len(statements)], everything[len(statements) :]
    moving = [n for n in kept + reduced if steps.get(n)]
    nearest = min(moving, key=lambda n: steps[n], default=None)
    lanes_kept = (
        nearest is not None and nearest in kept and steps[nearest] == 1 and extents[nearest] >= 8
    )
    if lanes_kept:
        kept.remove(nearest)  # type: ignore[arg-type]
        kept.append(nearest)  # type: ignore[arg-type]
    final = {r.name: final_name(r, len(reduced)) for r in reductions}
    stores = [
        Store(s.parameter, s.address, final[s.value], s.dynamic)
        for s in stores
        if isinstance(s, Store)
    ]
    body = nested(statements, reduced, extents, reductions, vector=not lanes_kept)
    inner: Sequence[Statement] = [*initials, *body, *stores]
    for depth, name in enumerate(reversed(kept)):
        inner = (_wrap(name, extents[name], inner, vector=lanes_kept and depth == 0),)
    per_output = prod(extents[n] for n in reduced)
    block = max(1, TASK_ELEMENTS // max(per_output, 1))
    if lanes_kept:
        block = max(64, block // 64 * 64)
    return Kernel("", parameters, scalars, tuple(inner), len(kept), block)


def nested(
    statements: Sequence[Statement],
    reduced: Sequence[str],
    extents: Mapping[str, int],
    reductions: Sequence[Reduction],
    vector: bool,
) -> list[Statement]:
    """The nest of loops in order; each level carries its own copy of every running value."""
    depth = len(reduced)
    if not depth:
        raise ValueError("a reduction without loops is a map")

    def level(k: int) -> Statement:
        carried = []
        for r in reductions:
            inside = r.name if k == depth - 1 else f"{r.name}_{k}"
            outside = r.initial if k == 0 else f"{r.name}_{k - 1}"
            following = (
                r.next if k == depth - 1 else f"{r.name}_{k + 1}" if k + 1 < depth - 1 else r.name
            )
            carried.append(Carried(inside, outside, following, r.combine, r.dtype))
        body = list(statements) if k == depth - 1 else [level(k + 1)]
        return _wrap(
            reduced[k], extents[reduced[k]], body, vector and k == depth - 1, tuple(carried)
        )

    return [level(0)]


def final_name(reduction: Reduction, reduced: int) -> Value:
    """The name under which the result stands after a nest of that many reduced loops."""
    return reduction.name if reduced == 1 else f"{reduction.name}_0"


# a combine's primitive; a reduction kind's combine; what it starts from
COMBINES = {
    "sum": "add",
    "prod": "mul",
    "max": "maximum",
    "min": "minimum",
    "and": "logical_and",
    "or": "logical_or",
}
KINDS = {"sum": "sum", "prod": "prod", "max": "max", "min": "min", "any": "or", "all": "and"}
INITIAL = {"sum": 0, "prod": 1, "or": False, "and": True}
__all__ = ["COMBINES", "INITIAL", "KINDS", "Reduction", "final_name", "map_kernel", "reduce_kernel"]
