"""Code of a skeleton against the interpreter and against code made for one set of numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rushlight.codegen.isa import AVX2, AVX512, GENERIC128
from rushlight.kernel.generic import Symbol, generalize, rebuilt
from rushlight.kernel.ir import Affine, Carried, Kernel, Let, Load, Loop, Parameter, Store
from rushlight.schedule.nests import map_kernel

from .kernels_strategy import elementwise, reductions
from .running import check, run, task_count

ISAS = st.sampled_from([AVX512, AVX2, GENERIC128])
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@SETTINGS
@given(elementwise(), ISAS, st.data())
def test_random_elementwise(case, isa, data) -> None:  # type: ignore[no-untyped-def]
    kernel, inputs = case
    cuts = data.draw(st.lists(st.integers(0, task_count(kernel)), max_size=3))
    check(kernel, inputs, isa=isa, cuts=cuts, generic=True)


@SETTINGS
@given(reductions(), ISAS, st.data())
def test_random_reductions(case, isa, data) -> None:  # type: ignore[no-untyped-def]
    kernel, inputs = case
    cuts = data.draw(st.lists(st.integers(0, task_count(kernel)), max_size=2))
    check(kernel, inputs, isa=isa, cuts=cuts, generic=True)


@settings(SETTINGS, max_examples=300)
@given(st.one_of(elementwise(), reductions()))
def test_numbers_put_back_give_the_kernel(case) -> None:  # type: ignore[no-untyped-def]
    kernel, _ = case
    skeleton, numbers = generalize(kernel)

    def back(kind, where, value):  # type: ignore[no-untyped-def]
        if not isinstance(value, Symbol):
            return value
        bits = numbers[value.number]
        floats = (
            kind == "const" and where.dtype.endswith(("16", "32", "64")) and "float" in where.dtype
        )
        return float(np.int64(bits).view(np.float64)) if floats else bits

    assert rebuilt(skeleton, back) == kernel


def row_sum(rows: int, columns: int, dtype: str = "float32") -> Kernel:
    inner = (
        Load("x", "x", Affine(0, (("i", columns), ("j", 1))), dtype),
        Let("n", "add", ("t", "x"), dtype),
    )
    body = (
        Let("z", "const", (), dtype, (0.1,)),
        Loop("j", columns, inner, (Carried("t", "z", "n", "sum", dtype),), True),
        Store("y", Affine(0, (("i", 1),)), "t"),
    )
    parameters = (Parameter("x", dtype, rows * columns, "in"), Parameter("y", dtype, rows, "out"))
    return Kernel("k", parameters, (), (Loop("i", rows, body),), 1, max(1, 100 // columns))


@pytest.mark.parametrize("isa", [AVX512, AVX2, GENERIC128])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_add_in_the_same_order(isa, dtype) -> None:  # type: ignore[no-untyped-def]
    """Sums that depend on their order, of all lengths around one and several vectors."""
    for columns in [*range(2, 40), 63, 64, 65, 100, 127, 128, 129, 257]:
        kernel = row_sum(3, columns, dtype)
        x = np.random.default_rng(columns).normal(size=3 * columns).astype(dtype)
        found = []
        for generic in (False, True):
            y = np.zeros(3, dtype)
            run(kernel, [x.copy(), y], isa=isa, generic=generic)
            found.append(y)
        assert np.array_equal(*found), columns


def test_kernels_of_other_sizes_share_a_skeleton() -> None:
    skeletons = {generalize(row_sum(rows, n))[0] for rows in range(2, 30) for n in range(33, 60)}
    assert len(skeletons) == 1
    assert generalize(row_sum(5, 40))[0] != generalize(row_sum(5, 20))[0]  # other lanes are joined


def test_a_turned_matrix() -> None:
    """Tiles that are transposed in registers, whose rows and strides are given at run time."""
    for rows, columns in [(64, 64), (80, 100), (48, 300)]:
        parameters = (
            Parameter("x", "float32", rows * columns, "in"),
            Parameter("y", "float32", rows * columns, "out"),
        )
        body = [
            Load("v", "x", Affine(0, (("i", 1), ("j", columns))), "float32"),
            Store("y", Affine(0, (("i", rows), ("j", 1))), "v"),
        ]
        kernel = map_kernel(body, ["i", "j"], {"i": columns, "j": rows}, parameters, ())
        kernel = Kernel("k", kernel.parameters, (), kernel.body, kernel.parallel, kernel.block)
        x = np.random.default_rng(0).normal(size=rows * columns).astype(np.float32)
        for generic in (False, True):
            check(kernel, {"x": x}, generic=generic, cuts=[1])


@pytest.mark.parametrize(("place", "index"), [(3, 10), (36, -11), (5, 9)])
@pytest.mark.parametrize("lanes", [True, False])
def test_bad_index_sets_status(lanes: bool, place: int, index: int) -> None:
    at = Affine(0, (("i", 1),))
    body = (
        Load("n", "index", at, "int64"),
        Let("c", "check_index", ("n",), "int64", (10, 6)),
        Load("x", "x", Affine(), "float32", "c"),
        Store("y", at, "x"),
    )
    parameters = (
        Parameter("index", "int64", 37, "in"),
        Parameter("x", "float32", 10, "in"),
        Parameter("y", "float32", 37, "out"),
    )
    kernel = Kernel("k", parameters, (), (Loop("i", 37, body, vector=lanes),), 1, 64)
    numbers = np.zeros(37, np.int64)
    numbers[place] = index
    check(kernel, {"index": numbers, "x": np.arange(10, dtype=np.float32)}, generic=True)
