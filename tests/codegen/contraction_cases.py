"""Helpers shared by the contraction tests and the benchmark: build specs, run emitted kernels."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from rushlight.codegen.compiler import compile_module, host_features
from rushlight.codegen.contraction import emit
from rushlight.codegen.isa import Isa, detect
from rushlight.kernel.contraction import (
    STEPS,
    Array,
    Axis,
    Contraction,
    Step,
    encode_bfloat16,
    extra_buffers,
    reach,
)

_PROTOTYPE = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64
)
_numbers = itertools.count()


class Kernel:
    """A compiled contraction, called with flat NumPy buffers [A, B, C, extras...]."""

    def __init__(self, spec: Contraction, isa: Isa | None = None) -> None:
        # A name of its own for each kernel: all of them are linked into one process.
        name = f"contraction_test_{next(_numbers)}"
        self.emitted = emit(spec, isa or detect(host_features()), name)
        self.tasks = self.emitted.tasks
        self.slots = np.int64 if "int" in spec.accumulator else np.float64
        self._call = _PROTOTYPE(compile_module(self.emitted.text, [name])[name])

    def bind(self, buffers: Sequence[Array], scalars: Iterable[float] = ()) -> Bound:
        slots = np.array([*scalars, 0], np.float64).astype(self.slots)
        return Bound(self._call, buffers, slots)

    def run(self, buffers: Sequence[Array], scalars: Iterable[float] = (), order: int = 1) -> None:
        """Every task by itself, in rising (order 1) or falling (-1) order; 0: all in one call."""
        bound = self.bind(buffers, scalars)
        if order == 0:
            bound(0, self.tasks)
            return
        for task in range(self.tasks)[::order]:
            bound(task, task + 1)


class Bound:
    """A kernel with its buffers: call it with a range of tasks; the GIL is released."""

    def __init__(self, call: object, buffers: Sequence[Array], slots: Array) -> None:
        self._buffers = buffers
        self._pointers = np.array([buffer.ctypes.data for buffer in buffers], np.uint64)
        self._slots = slots
        self._call = call

    def __call__(self, begin: int, end: int) -> None:
        self._call(self._pointers.ctypes.data, self._slots.ctypes.data, None, begin, end)  # type: ignore[operator]


def buffers_for(spec: Contraction, random: np.random.Generator) -> list[Array]:
    """Random buffers exactly as long as the contraction reaches: [A, B, C, extras...]."""
    extras = extra_buffers(spec)
    dtypes = [spec.dtype_a, spec.dtype_b, spec.dtype_c, *(step.dtype for step in extras)]
    sizes = [reach(spec, operand)[1] + 1 for operand in range(len(dtypes))]
    return [random_values(random, size, dtype) for size, dtype in zip(sizes, dtypes, strict=True)]


def random_values(random: np.random.Generator, size: int, dtype: str) -> Array:
    """Normal numbers, or small whole ones for integer dtypes."""
    if "int" in dtype:
        low = 0 if dtype == "uint8" else -5
        return random.integers(low, 6, size).astype(dtype)
    values = random.standard_normal(size)
    if dtype == "bfloat16":
        return encode_bfloat16(values.astype(np.float32))
    return values.astype(dtype)


DTYPES = [
    ("float32", "float32", "float32"),
    ("float64", "float64", "float64"),
    ("bfloat16", "bfloat16", "bfloat16"),
    ("bfloat16", "bfloat16", "float32"),
    ("float16", "float16", "float16"),
    ("float32", "bfloat16", "float32"),
    ("int32", "int32", "int32"),
    ("int64", "int64", "int64"),
    ("uint8", "uint8", "uint8"),
    ("int8", "int8", "int8"),
]


def random_contraction(random: np.random.Generator) -> Contraction:
    """Any contraction: odd extents, gaps between rows, negative and zero strides, an epilogue."""
    dtypes = DTYPES[0] if random.random() < 0.5 else DTYPES[random.integers(len(DTYPES))]
    # C is laid out with gaps; the vector axis (contiguous in C) is its innermost.
    outer = [int(extent) for extent in random.integers(1, 9, random.integers(0, 4))]
    width = int(random.integers(1, 80)) if random.random() < 0.9 else 0
    sums = [int(extent) for extent in random.integers(1, 12, random.integers(0, 4))]
    axes: list[Axis] = []
    step = 1
    if width:
        a, b = [(0, 1), (1, 0), (1, 1), (0, 1), (0, 1)][random.integers(5)]
        axes.append(Axis("v", width, a, b, 1))
        step = width + int(random.integers(0, 3))
    for index, extent in enumerate(outer):
        moves_a, moves_b = [(1, 0), (0, 1), (1, 1), (1, 0)][random.integers(4)]
        a, b = (int(stride) for stride in random.integers(1, 90, 2))
        axes.append(Axis(f"o{index}", extent, a * moves_a, b * moves_b, step))
        step = step * extent + int(random.integers(0, 3))
    for index, extent in enumerate(sums):
        a, b = (int(stride) for stride in random.integers(-20, 90, 2))
        axes.append(Axis(f"s{index}", extent, a, b, 0))
    random.shuffle(axes)  # type: ignore[arg-type]
    spec = Contraction(tuple(axes), *dtypes, accumulate=bool(random.random() < 0.3))
    spec = replace(
        spec, a_offset=-reach(spec, 0)[0] + int(random.integers(3)), b_offset=-reach(spec, 1)[0]
    )
    steps = tuple(random_steps(random, spec)) if random.random() < 0.4 else ()
    return replace(spec, epilogue=steps)


def random_steps(random: np.random.Generator, spec: Contraction) -> Iterator[Step]:
    """A short epilogue: rows, vectors and scalars added, multiplied, cut off at zero."""
    buffer = 0
    for op in random.permutation([*STEPS])[: random.integers(1, 4)]:
        if STEPS[op][0] == 1:
            yield Step(str(op)) if spec.dtype_c != "uint8" else Step("relu")
        elif random.random() < 0.4:
            yield Step(str(op), scalar=int(random.integers(2)))
        else:
            present = int(random.random() < 0.7)
            strides = tuple(
                0 if axis.c == 0 else present if axis.c == 1 else int(random.integers(0, 50))
                for axis in spec.axes
            )
            yield Step(str(op), buffer=buffer, strides=strides, dtype=spec.dtype_c)
            buffer += 1
