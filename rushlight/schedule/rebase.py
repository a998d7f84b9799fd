"""Where a kernel starts in its buffers is taken out of the kernel.

In: a kernel with constant offsets in its addresses. Out: the kernel that starts at zero, and the
offsets, which travel with the step. Invariant: time step 3 of a recurrence and time step 4 are then
the very same kernel, compiled once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..base.settings import SETTINGS
from ..kernel.contraction import Contraction, extra_buffers
from ..kernel.ir import Affine, Kernel, Load, Loop, Parameter, Statement, Store


def rebase_kernel(kernel: Kernel) -> tuple[Kernel, list[int]]:
    """load x[4096 + i]  ->  load x[i], with 4096 as the offset of x.

    There is an offset for each parameter, in elements. Where accesses are checked nothing moves:
    sizes then say what the buffers hold, not how far addresses of masked-off accesses go.
    """
    if SETTINGS.bounds:
        return kernel, [0] * len(kernel.parameters)
    reach: dict[str, tuple[int, int]] = {}
    _collect(kernel.body, {}, reach)
    starts = {p.name: reach.get(p.name, (0, 0))[0] for p in kernel.parameters}
    parameters = tuple(
        Parameter(p.name, p.dtype, _size(p, reach, kernel.body), p.mode) for p in kernel.parameters
    )
    body = _moved(kernel.body, starts)
    made = Kernel(kernel.name, parameters, kernel.scalars, body, kernel.parallel, kernel.block)
    return made, [starts[p.name] for p in kernel.parameters]


def rebase_contraction(spec: Contraction) -> tuple[Contraction, list[int]]:
    """The contraction with all offsets zero, and the offsets of A, B, C and what is added."""
    offsets = [spec.a_offset, spec.b_offset, spec.c_offset]
    offsets += [step.offset for step in extra_buffers(spec)]
    epilogue = tuple(replace(step, offset=0) for step in spec.epilogue)
    return replace(spec, a_offset=0, b_offset=0, c_offset=0, epilogue=epilogue), offsets


def _size(
    parameter: Parameter, reach: dict[str, tuple[int, int]], body: Sequence[Statement]
) -> int:
    """Elements from the start to the last that static addresses name.

    The buffer's own size where addresses are computed.
    """
    if parameter.name not in reach or _dynamic(body, parameter.name):
        return parameter.size
    low, high = reach[parameter.name]
    return high - low + 1


def _dynamic(body: Sequence[Statement], name: str) -> bool:
    return any(
        _dynamic(s.body, name)
        if isinstance(s, Loop)
        else isinstance(s, (Load, Store)) and s.parameter == name and s.dynamic is not None
        for s in body
    )


def _collect(
    body: Sequence[Statement], extents: dict[str, int], reach: dict[str, tuple[int, int]]
) -> None:
    """For each parameter, the smallest constant of its addresses and the largest address."""
    for s in body:
        if isinstance(s, Loop):
            _collect(s.body, {**extents, s.index: s.extent}, reach)
        elif isinstance(s, (Load, Store)):
            low = high = s.address.constant
            for name, coefficient in s.address.terms:
                step = coefficient * max(extents[name] - 1, 0)
                low, high = low + min(step, 0), high + max(step, 0)
            have = reach.get(s.parameter, (low, high))
            reach[s.parameter] = (min(have[0], low), max(have[1], high))


def _moved(body: Sequence[Statement], starts: dict[str, int]) -> tuple[Statement, ...]:
    moved: list[Statement] = []
    for s in body:
        if isinstance(s, Loop):
            moved.append(Loop(s.index, s.extent, _moved(s.body, starts), s.carried, s.vector))
        elif isinstance(s, Load):
            address = _shifted(s.address, starts[s.parameter])
            moved.append(Load(s.name, s.parameter, address, s.dtype, s.dynamic, s.mask))
        elif isinstance(s, Store):
            address = _shifted(s.address, starts[s.parameter])
            moved.append(Store(s.parameter, address, s.value, s.dynamic, s.mask, s.combine))
        else:
            moved.append(s)
    return tuple(moved)


def _shifted(address: Affine, start: int) -> Affine:
    return Affine(address.constant - start, address.terms) if start else address
