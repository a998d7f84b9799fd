"""Helpers shared by the contraction tests and the benchmark: build specs, run emitted kernels."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from rushlight.codegen.compiler import compile_module, host_features
from rushlight.codegen.contraction import emit
from rushlight.codegen.isa import Isa, detect
from rushlight.kernel.contraction import Array, Axis, Contraction

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
        self._call = _PROTOTYPE(compile_module(self.emitted.text, [name])[name])

    def bind(self, buffers: Sequence[Array], scalars: Iterable[float] = ()) -> Bound:
        return Bound(self._call, buffers, scalars)

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

    def __init__(self, call: object, buffers: Sequence[Array], scalars: Iterable[float]) -> None:
        self._buffers = buffers
        self._pointers = np.array([buffer.ctypes.data for buffer in buffers], np.uint64)
        self._scalars = np.array([*scalars, 0.0], np.float64)
        self._call = call

    def __call__(self, begin: int, end: int) -> None:
        self._call(self._pointers.ctypes.data, self._scalars.ctypes.data, None, begin, end)  # type: ignore[operator]


def product(m: int, n: int, k: int, **options: object) -> Contraction:
    """C[m, n] = A[m, k] B[k, n], all row-major."""
    axes = (Axis("m", m, k, 0, n), Axis("n", n, 0, 1, 1), Axis("k", k, 1, n, 0))
    return Contraction(axes, **options)  # type: ignore[arg-type]
