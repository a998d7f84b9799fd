"""Copies that turn rows into columns, against the interpreter: any extents, dtypes and tasks."""

from __future__ import annotations

import numpy as np
import pytest

from rushlight.codegen.isa import AVX2, AVX512, GENERIC128
from rushlight.codegen.loops import emit
from rushlight.kernel.convert import to_storage
from rushlight.kernel.ir import Affine, Kernel, Let, Load, Loop, Parameter, Store

from .running import check, task_count


def turning(dtype: str, rows: int, columns: int, block: int, groups: int = 2) -> Kernel:
    """out[g, u, v] = x[g, v, u] + y[g, u, v]: x lies along u, all else along v."""
    turned = Affine(0, (("g", rows * columns), ("u", 1), ("v", rows)))
    plain = Affine(0, (("g", rows * columns), ("u", columns), ("v", 1)))
    body = (
        Load("a", "x", turned, dtype),
        Load("b", "y", plain, dtype),
        Let("c", "add", ("a", "b"), dtype),
        Store("out", plain, "c"),
    )
    nest = Loop("v", columns, body, vector=True)
    for index, extent in (("u", rows), ("g", groups)):
        nest = Loop(index, extent, (nest,))
    size = groups * rows * columns
    parameters = (
        Parameter("x", dtype, size, "in"),
        Parameter("y", dtype, size, "in"),
        Parameter("out", dtype, size, "out"),
    )
    return Kernel("k", parameters, (), (nest,), 3, block)


@pytest.mark.parametrize("isa", [AVX512, AVX2, GENERIC128], ids=["avx512", "avx2", "sse"])
@pytest.mark.parametrize("rows", [3, 8, 16, 17, 45])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int8", "int64"])
def test_turned_rows(dtype: str, rows: int, isa: object) -> None:
    random = np.random.default_rng(rows)
    for columns, block in ((16, 64), (16, 320), (32, 192), (48, 64)):
        kernel = turning(dtype, rows, columns, block)
        size = kernel.parameters[0].size
        inputs = {n: to_storage(random.integers(-50, 50, size), dtype) for n in ("x", "y")}
        check(kernel, inputs, isa=isa, cuts=[1, task_count(kernel) // 2])


def test_rows_are_transposed_in_registers() -> None:
    text = emit(turning("float32", 64, 16, 1024), AVX512)
    assert "gather" not in text.split("single")[0]
    assert text.count("shufflevector") >= 64
