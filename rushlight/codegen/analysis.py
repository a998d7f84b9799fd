"""What the code generator asks of a loop before it writes it: what varies by lane, what is used,
how wide to run.

In: loops of IR 2. Out: sets of names and lane counts. Invariant: answers depend on the kernel and
the instruction set only, so that a kernel's results do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rushlight.base.dtype import DTYPES
from rushlight.kernel.ir import Let, Load, Loop, Statement, Store

from .given import is_given
from .isa import Isa

# Lanes are a power of two up to this, which divides every legal `block`.
MOST_LANES = 64

# From this many instructions on, roughly, a body is written once under a mask rather than twice.
_LONG_BODY = 40

# Ops that take tens of instructions: one register of lanes keeps enough of them in flight.
_LONG = frozenset(
    """exp exp2 expm1 log log2 log10 log1p pow sin cos tan asin acos atan atan2 sinh cosh tanh
    asinh acosh atanh erf erfc erfinv lgamma digamma sigmoid fmod remainder floor_divide libm
    """.split()  # noqa: SIM905 - a table of names
)


def walk(body: Sequence[Statement]) -> Iterator[Statement]:
    """All statements, loops before what stands in them, without loops that never run."""
    for statement in body:
        if isinstance(statement, Loop):
            if statement.extent > 0:
                yield statement
                yield from walk(statement.body)
        else:
            yield statement


def varying(loop: Loop) -> set[str]:
    """Values inside of a vector loop that differ by lane; all others stay scalar.

    Values carried around an inner loop may become varying by what is computed further down: hence
    the repetition.
    """
    found: set[str] = {c.name for c in loop.carried}
    while True:
        before = len(found)
        for statement in walk(loop.body):
            if isinstance(statement, Loop):
                found |= {
                    c.name for c in statement.carried if c.initial in found or c.next in found
                }
            elif not isinstance(statement, Store) and _varies(statement, loop.index, found):
                found.add(statement.name)
        if len(found) == before:
            return found


def _varies(statement: Let | Load, index: str, found: set[str]) -> bool:
    if isinstance(statement, Load):
        moves = statement.address.coefficient(index) != 0
        return moves or statement.dynamic in found or statement.mask in found
    if statement.op == "index":
        return bool(statement.attributes[0].coefficient(index))
    return any(a in found for a in statement.arguments)


def used_by_lanes(body: Sequence[Statement], lanes: set[str]) -> set[str]:
    """Names that varying statements of `body` read: scalars among them are wanted in every lane."""
    used: set[str] = set()
    for statement in walk(body):
        if isinstance(statement, Let):
            if statement.name in lanes:
                used.update(statement.arguments)
        elif isinstance(statement, Store):
            used.add(statement.value)
        elif isinstance(statement, Loop):
            used.update(
                name for c in statement.carried if c.name in lanes for name in (c.initial, c.next)
            )
    return used


def runs_masked(loop: Loop, isa: Isa) -> bool:
    """Whether one loop under a mask is better than whole vectors and a tail: long bodies are then
    compiled once.

    A mask costs next to nothing where the machine has masked memory for the element sizes at hand.
    """
    length, narrowest = 0, 8
    for statement in walk(loop.body):
        if isinstance(statement, Let):
            length += (
                25
                if statement.op in _LONG
                else 6
                if statement.dtype in ("float16", "bfloat16")
                else 1
            )
        elif isinstance(statement, Load):
            narrowest = min(narrowest, DTYPES[statement.dtype].itemsize)
        elif isinstance(statement, Store):
            length += 1
    return length >= _LONG_BODY and isa.masked and (isa.vector_bytes >= 64 or narrowest >= 4)


def lane_count(loop: Loop, isa: Isa) -> int:
    """How many lanes a vector loop runs.

    One register of the widest type, two for 8-byte types; up to four registers where values are
    carried and the body is short, since additions then wait for each other, as far as the carried
    values and a few more fit the register file; no more than the extent needs.
    """
    widest, long, carried, length = 1, False, len(loop.carried), 0
    for statement in walk(loop.body):
        if isinstance(statement, Loop):
            carried += len(statement.carried)
        elif isinstance(statement, (Let, Load)):
            widest = max(widest, _register_bytes(statement.dtype))
            length += isinstance(statement, Load) or bool(statement.arguments)
            long = long or (isinstance(statement, Let) and statement.op in _LONG)
    lanes = isa.vector_bytes // min(widest, 4)
    if carried and not long:
        needed = (carried + min(length, 4)) * (2 if widest > 4 else 1)
        lanes *= next((n for n in (4, 2) if n * needed <= isa.registers), 1)
    extent = loop.extent.typical if is_given(loop.extent) else loop.extent
    while lanes >= 2 * extent and lanes > 1:
        lanes //= 2
    return max(1, min(lanes, MOST_LANES))


def _register_bytes(dtype: str) -> int:
    return 4 if dtype in ("float16", "bfloat16") else DTYPES[dtype].itemsize
