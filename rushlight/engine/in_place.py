"""Outputs computed in the memory of what they replace: an optimizer's new weights lie where the
old ones lay.

In: a plan; and, for each run, the trace's leaves and who holds them. Out: the leaf whose buffer an
output may take. Invariants: the step that writes such an output reads the leaf at the same elements
before, and no later step reads it; nobody but the storage that the output is for could ask for the
leaf's value; a run that has begun to overwrite ends, whatever signals arrive (`Program.run`), so
that nothing is half-written and Ctrl-C before that leaves everything as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from sys import getrefcount
from typing import TYPE_CHECKING, Any, NamedTuple

from ..kernel.ir import Kernel, Let, Load, Loop, Statement, Store
from ..runtime.buffer import Buffer
from .failure import touched, written

if TYPE_CHECKING:
    from ..schedule.plan import Plan, Step

SMALLEST = 1 << 14  # bytes: below, asking costs as much as memory


class Replacement(NamedTuple):
    """Output `output` may be written to the buffer of leaf `leaf`, from step `step` on."""

    output: int
    leaf: int
    step: int


def replacements(plan: Plan) -> list[Replacement]:
    """What may be overwritten in place: behind the last contraction, so that the part of a run that
    cannot be interrupted is short.
    """
    from_step = 1 + max(
        (n for n, step in enumerate(plan.steps) if step.kernel is None or may_fail(step.kernel)),
        default=-1,
    )
    last: dict[int, int] = {}
    writers: dict[int, int] = {}
    for number, step in enumerate(plan.steps):
        last.update(dict.fromkeys(touched(step), number))
        for place in written(step):
            writers[place] = writers.get(place, 0) + 1
    found = []
    for number in range(from_step, len(plan.steps)):
        for target, source in _pairs(plan, plan.steps[number]):
            if writers[target] == 1 and last[source] == number:
                output, leaf = (plan.memories[place].index for place in (target, source))
                found.append(Replacement(output, leaf, number))
    return found


def _pairs(plan: Plan, step: Step) -> Iterator[tuple[int, int]]:
    """(output, leaf) by their places: every element is read before its like is written."""
    assert step.kernel is not None
    places = {p.name: k for k, p in enumerate(step.kernel.parameters)}

    def of(kind: str, name: str) -> int | None:
        memory = plan.memories[step.places[places[name]]]
        return places[name] if memory.kind == kind and memory.nbytes >= SMALLEST else None

    loads = [(k, x, n) for k, n, x in _numbered(step.kernel) if isinstance(x, Load)]
    for inner, at, store in _numbered(step.kernel):
        target = of("output", store.parameter) if isinstance(store, Store) else None
        if target is None or not isinstance(store, Store) or store.combine or store.mask:
            continue
        for name in dict.fromkeys(load.parameter for _, load, _ in loads):
            source = of("leaf", name)
            if source is None or step.places.count(step.places[source]) > 1:
                continue
            like = (plan.memories[step.places[k]] for k in (target, source))
            sizes = {(memory.nbytes, memory.dtype) for memory in like}
            if len(sizes) == 1 and step.offsets[target] == step.offsets[source]:
                reads = [(k, load, n) for k, load, n in loads if load.parameter == name]
                if all(k == inner and n < at and _alike(load, store) for k, load, n in reads):
                    yield step.places[target], step.places[source]


def _alike(load: Load, store: Store) -> bool:
    same = load.address.constant == store.address.constant
    terms = sorted(load.address.terms) == sorted(store.address.terms)
    return same and terms and load.dynamic is None is store.dynamic and load.mask is None


def _numbered(kernel: Kernel) -> Iterator[tuple[int, int, Statement]]:
    """(which body, where in it, the statement) for all but loops."""
    bodies: list[Sequence[Statement]] = [kernel.body]
    for number, body in enumerate(bodies):
        for at, statement in enumerate(body):
            if isinstance(statement, Loop):
                bodies.append(statement.body)
            else:
                yield number, at, statement


def may_fail(kernel: Kernel) -> bool:
    """Whether a kernel checks indices or divisors, and so may stop half-way."""
    return any(isinstance(x, Let) and x.op in _CHECKED for _, _, x in _numbered(kernel))


_CHECKED = frozenset({"check_index", "floor_divide", "trunc_divide", "remainder", "fmod"})


def _references(leaves: Sequence[object], number: int) -> int:
    """References to a leaf, those of this call included (interpreters differ in their number)."""
    leaf = leaves[number]
    return getrefcount(leaf)


_UNSHARED = _references([object()], 0)


def taken(
    found: Sequence[Replacement], leaves: list[Buffer], holders: Sequence[Any], owners: list[Any]
) -> dict[int, Buffer]:
    """For one run, the buffer that each output takes over: `holders` are weak references to the
    storages of the leaves, `owners` the storages that each output is for.
    """
    chosen: dict[int, Buffer] = {}
    used: set[int] = set()
    for output, number, _ in found:
        if output in chosen or number in used or len(owners[output]) != 1:
            continue
        holder = holders[number]()
        if holder is not None and holder is not owners[output][0]:
            continue
        if _references(leaves, number) > _UNSHARED:
            continue
        buffer = leaves[number]
        if not buffer.foreign and not buffer.exported:
            buffer.layouts = None
            chosen[output] = buffer
            used.add(number)
    return chosen
