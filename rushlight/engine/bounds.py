"""Whether steps stay in their buffers: what `SETTINGS.bounds` asks for, beside the checks that the
kernels make themselves (codegen/bounds.py).

In: a plan and its buffers, or a failure. Out: `InternalError` that names the kernel and the buffer.
Invariant: a kernel checks itself against what it was told of its buffers; here is checked that it
was told the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..base.dtype import DTYPES
from ..base.errors import InternalError
from ..codegen.bounds import OUTSIDE
from ..kernel.contraction import extra_buffers, touched
from ..runtime.buffer import Buffer
from ..runtime.cpu import Failure
from ..schedule.plan import Memory, Plan, Step


def check_step(plan: Plan, step: Step) -> None:
    """Raise InternalError if what a step is told of a buffer does not fit into the buffer."""
    for number, (place, (first, end)) in enumerate(zip(step.places, _reaches(plan, step))):
        memory = plan.memories[place]
        if first < 0 or end > memory.nbytes:
            raise InternalError(
                f"{_title(step)}: buffer {number} ({_words(memory)}) is taken for bytes "
                f"{first} to {end}"
            )


def check_leaves(memories: Iterable[Memory], leaves: Sequence[Buffer]) -> None:
    """Raise InternalError if a program is given less memory than it was made for."""
    for memory in memories:
        if memory.kind == "leaf" and leaves[memory.index].nbytes < memory.nbytes:
            raise InternalError(
                f"leaf {memory.index} ({_words(memory)}) is given "
                f"{leaves[memory.index].nbytes} bytes"
            )


def outside(failure: Failure, plan: Plan, step: Step) -> InternalError | None:
    """What a kernel found out about itself; None where it failed for another reason."""
    if failure.code < OUTSIDE:
        return None
    number = failure.code - OUTSIDE
    buffer = "its packed panel"
    if number < len(step.places):
        buffer = f"buffer {number} ({_words(plan.memories[step.places[number]])})"
    return InternalError(f"{_title(step)} reads or writes outside of {buffer}")


def _reaches(plan: Plan, step: Step) -> list[tuple[int, int]]:
    """The first byte and the end of what a step may touch, for each of its places."""
    starts = [
        offset * plan.memories[place].dtype.itemsize
        for place, offset in zip(step.places, step.offsets)
    ]
    if step.kernel is not None:
        sizes = [p.size * DTYPES[p.dtype].itemsize for p in step.kernel.parameters]
        return [(start, start + size) for start, size in zip(starts, sizes)]
    spec = step.contraction
    if spec is None:
        return []
    dtypes = [spec.dtype_a, spec.dtype_b, spec.dtype_c, *(x.dtype for x in extra_buffers(spec))]
    found = []
    for operand, (start, dtype) in enumerate(zip(starts, dtypes)):
        low, high = touched(spec, operand)
        item = DTYPES[dtype].itemsize
        found.append((start + low * item, start + (high + 1) * item))
    return found


def _title(step: Step) -> str:
    kind = "contraction" if step.contraction is not None else "kernel"
    return f"{kind} of {', '.join(dict.fromkeys(node.op for node in step.nodes))}"


def _words(memory: Memory) -> str:
    return f"{memory.kind} of {memory.size} x {memory.dtype.name}"
