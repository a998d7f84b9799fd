"""Compile a kernel, run it on copies of buffers, and compare with the interpreter."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from rushlight.base.dtype import named
from rushlight.codegen.compiler import compile_module
from rushlight.codegen.isa import AVX512, Isa
from rushlight.codegen.loops import emit
from rushlight.kernel.convert import from_storage
from rushlight.kernel.generic import generalize
from rushlight.kernel.interpret import interpret
from rushlight.kernel.ir import Kernel, Loop
from rushlight.kernel.printer import text
from rushlight.kernel.verify import verify

GUARD = 64  # elements before and after a buffer that must keep their bytes


def task_count(kernel: Kernel) -> int:
    """Number of tasks of a kernel."""
    total, body = 1, kernel.body
    for _ in range(kernel.parallel):
        loop = body[-1]
        assert isinstance(loop, Loop)
        total, body = total * loop.extent, loop.body
    return -(-total // kernel.block)


def run(
    kernel: Kernel,
    buffers: Sequence[np.ndarray],
    scalars: Sequence[float | int] = (),
    isa: Isa = AVX512,
    cuts: Sequence[int] = (),
    generic: bool = False,
) -> int:
    """Run compiled code on the buffers, in place, in one call or cut into several.

    `generic`: the code of the kernel's skeleton. Returns the status word.
    """
    written, numbers = generalize(kernel) if generic else (kernel, ())
    address = compile_module(emit(written, isa), [kernel.name])[kernel.name]
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 2)(address)
    guarded = [np.full(b.size + 2 * GUARD, 0x5A, b.dtype) for b in buffers]
    for wide, buffer in zip(guarded, buffers, strict=True):
        wide[GUARD : GUARD + buffer.size] = buffer
    table = np.array(numbers, np.int64)
    pointers = np.array([g[GUARD:].ctypes.data for g in guarded] + [table.ctypes.data], np.int64)
    slots = np.zeros(len(scalars) + 1, np.int64)
    for i, value in enumerate(scalars):
        slots[i] = np.float64(value).view(np.int64) if kernel.scalars[i] == "float64" else value
    status = np.zeros(1, np.int64)
    stops = sorted({0, *cuts, task_count(kernel)})
    for begin, end in pairwise(stops):
        function(pointers.ctypes.data, slots.ctypes.data, status.ctypes.data, begin, end)
    for wide, buffer in zip(guarded, buffers, strict=True):
        outside = np.concatenate([wide[:GUARD], wide[GUARD + buffer.size :]])
        assert np.array_equal(outside, np.full(2 * GUARD, 0x5A, wide.dtype)), (
            "wrote outside of a buffer"
        )
        buffer[:] = wide[GUARD : GUARD + buffer.size]
    return int(status[0])


def fresh(kernel: Kernel, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Copies of the inputs, zeros for what is not given."""
    zeros = {p.name: np.zeros(p.size, named(p.dtype).numpy) for p in kernel.parameters}
    return [inputs.get(name, zero).copy() for name, zero in zeros.items()]


def same_bits(a: np.ndarray, b: np.ndarray, dtype: str) -> np.ndarray:
    """Elementwise: equal bits, or both NaN."""
    x, y = from_storage(a, dtype), from_storage(b, dtype)
    equal = x == y
    if x.dtype.kind == "f":
        equal = (equal & (np.signbit(x) == np.signbit(y))) | (np.isnan(x) & np.isnan(y))
    return equal


def check(
    kernel: Kernel,
    inputs: dict[str, np.ndarray],
    scalars: Sequence[float | int] = (),
    isa: Isa = AVX512,
    cuts: Sequence[int] = (),
    generic: bool = False,
) -> None:
    """Compiled code and the interpreter leave the same bits in every buffer and the same status."""
    verify(kernel)
    expected, got = fresh(kernel, inputs), fresh(kernel, inputs)
    status = interpret(kernel, expected, scalars)
    assert run(kernel, got, scalars, isa, cuts, generic) == status, text(kernel)
    for parameter, a, b in zip(kernel.parameters, expected, got, strict=True):
        equal = same_bits(a, b, parameter.dtype)
        wrong = np.flatnonzero(~equal)[:5]
        assert equal.all(), (
            f"{text(kernel)}\n{parameter.name}[{wrong}]: {a[wrong]} expected, got {b[wrong]}"
        )
