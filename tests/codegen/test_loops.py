"""Compiled kernels against the interpreter.

Random ones, and the cases that the rules of IR 2 single out.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rushlight.codegen.compiler import cross_compile
from rushlight.codegen.isa import AVX2, AVX512, GENERIC128, NEON
from rushlight.codegen.loops import emit
from rushlight.kernel.convert import to_storage
from rushlight.kernel.ir import Affine, Carried, Kernel, Let, Load, Loop, Parameter, Store

from .kernels_strategy import elementwise, reductions
from .running import check, run, same_bits, task_count

ISAS = st.sampled_from([AVX512, AVX2, GENERIC128])
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@SETTINGS
@given(elementwise(), ISAS, st.data())
def test_random_elementwise(case, isa, data) -> None:  # type: ignore[no-untyped-def]
    kernel, inputs = case
    cuts = data.draw(st.lists(st.integers(0, task_count(kernel)), max_size=3))
    check(kernel, inputs, isa=isa, cuts=cuts)


@SETTINGS
@given(reductions(), ISAS, st.data())
def test_random_reductions(case, isa, data) -> None:  # type: ignore[no-untyped-def]
    kernel, inputs = case
    cuts = data.draw(st.lists(st.integers(0, task_count(kernel)), max_size=2))
    check(kernel, inputs, isa=isa, cuts=cuts)


def test_scatter_adds_repeated_addresses_in_order() -> None:
    at = Affine(0, (("i", 1),))
    body = (
        Load("n", "index", at, "int64"),
        Let("c", "check_index", ("n",), "int64", (10, 0)),
        Load("x", "x", at, "float32"),
        Store("y", Affine(), "x", "c", None, "sum"),
    )
    parameters = (
        Parameter("index", "int64", 100, "in"),
        Parameter("x", "float32", 100, "in"),
        Parameter("y", "float32", 10, "inout"),
    )
    random = np.random.default_rng(0)
    inputs = {
        "index": random.integers(-10, 10, 100),
        "x": random.normal(size=100).astype(np.float32),
        "y": np.ones(10, np.float32),
    }
    check(Kernel("k", parameters, (), (Loop("i", 100, body),), 0, 1), inputs)


def bad_index(lanes: bool) -> Kernel:
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
    return Kernel("k", parameters, (), (Loop("i", 37, body, vector=lanes),), 1, 64)


@pytest.mark.parametrize("lanes", [True, False])
@pytest.mark.parametrize(("place", "index"), [(3, 10), (36, -11), (20, 2**62), (5, 9)])
def test_bad_index_sets_status(lanes: bool, place: int, index: int) -> None:
    numbers = np.zeros(37, np.int64)
    numbers[place] = index
    check(bad_index(lanes), {"index": numbers, "x": np.arange(10, dtype=np.float32)})


def test_scalars_and_statements_before_the_nest() -> None:
    at = Affine(0, (("i", 1),))
    before = (
        Let("s", "scalar", (), "float32", (0,)),
        Let("n", "scalar", (), "int32", (1,)),
        Let("f", "cast", ("n",), "float32"),
        Let("factor", "div", ("s", "f"), "float32"),
    )
    body = (
        Load("x", "x", at, "float32"),
        Let("y", "mul", ("x", "factor"), "float32"),
        Store("y", at, "y"),
    )
    parameters = (Parameter("x", "float32", 77, "in"), Parameter("y", "float32", 77, "out"))
    kernel = Kernel(
        "k", parameters, ("float64", "int64"), (*before, Loop("i", 77, body, vector=True)), 1, 64
    )
    check(kernel, {"x": np.arange(77, dtype=np.float32)}, (0.1, -3))


@pytest.mark.parametrize("extent", [0, 1, 5])
def test_empty_and_single_loops(extent: int) -> None:
    inner = (
        Load("x", "x", Affine(0, (("j", 1),)), "float32"),
        Let("n", "add", ("t", "x"), "float32"),
    )
    carried = (Carried("t", "z", "n", "sum", "float32"),)
    for vector in (True, False):
        body = (
            Let("z", "const", (), "float32", (2.5,)),
            Loop("j", extent, inner, carried, vector),
            Store("y", Affine(0, (("i", 1),)), "t"),
        )
        parameters = (Parameter("x", "float32", 5, "in"), Parameter("y", "float32", 3, "out"))
        check(
            Kernel("k", parameters, (), (Loop("i", 3, body),), 1, 2),
            {"x": np.arange(5, dtype=np.float32)},
        )


def test_lanes_of_a_sum_join_the_same_way_for_any_cut() -> None:
    """A row sum is bit-identical however the rows are divided among calls."""
    inner = (
        Load("x", "x", Affine(0, (("i", 777), ("j", 1))), "float32"),
        Let("n", "add", ("t", "x"), "float32"),
    )
    body = (
        Let("z", "const", (), "float32", (0.0,)),
        Loop("j", 777, inner, (Carried("t", "z", "n", "sum", "float32"),), True),
        Store("y", Affine(0, (("i", 1),)), "t"),
    )
    parameters = (Parameter("x", "float32", 7770, "in"), Parameter("y", "float32", 10, "out"))
    kernel = Kernel("k", parameters, (), (Loop("i", 10, body),), 1, 1)
    x = np.random.default_rng(0).normal(size=7770).astype(np.float32)
    results = []
    for cuts in ([], [1, 2, 5], [9]):
        y = np.zeros(10, np.float32)
        run(kernel, [x.copy(), y], cuts=cuts)
        results.append(y)
    assert np.allclose(results[0], x.reshape(10, 777).sum(1), atol=1e-4)
    assert all(np.array_equal(results[0], r) for r in results)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_fused_and_unfused_are_bit_identical(dtype: str) -> None:
    """One kernel of many ops against one kernel for each op, with tails of different lengths."""
    count = 1003
    at = Affine(0, (("i", 1),))
    steps = [
        "mul x x",
        "neg r0",
        "exp r1",
        "add r2 x",
        "tanh r3",
        "div r4 x",
        "mul r5 r3",
        "sub r6 r2",
    ]
    lets = [
        Let(f"r{i}", s.split()[0], tuple(s.split()[1:]), dtype)
        for i, s in enumerate([*steps, "erf r7"])
    ]
    last = lets[-1].name

    def kernel(name: str, inputs: set[str], body: list[Let], output: str) -> Kernel:
        loads = tuple(Load(n, n, at, dtype) for n in sorted(inputs))
        given = [Parameter(n, dtype, count, "in") for n in sorted(inputs)]
        loop = Loop("i", count, (*loads, *body, Store("out", at, output)), vector=True)
        parameters = (*given, Parameter("out", dtype, count, "out"))
        return Kernel(name, parameters, (), (loop,), 1, 64)

    x = to_storage(np.random.default_rng(1).normal(0, 2, count), dtype)
    fused = [x.copy(), np.zeros_like(x)]
    run(kernel("fused", {"x"}, lets, last), fused)
    values = {"x": x}
    for let in lets:
        buffers = [values[n].copy() for n in sorted(set(let.arguments))] + [np.zeros_like(x)]
        run(kernel("single", set(let.arguments), [let], let.name), buffers)
        values[let.name] = buffers[-1]
    assert same_bits(fused[-1], values[last], dtype).all()


@pytest.mark.parametrize("triple", ["aarch64-linux-gnu", "x86_64-linux-gnu"])
def test_other_machines_accept_the_text(triple: str) -> None:
    """Plain x86-64 and ARM: the text is compiled, not run."""
    at = Affine(0, (("i", 1),))
    body = (
        Load("x", "x", at, "float32"),
        Let("e", "exp", ("x",), "float32"),
        Let("s", "sin", ("e",), "float32"),
        Let("p", "pow", ("s", "e"), "float32"),
        Store("y", at, "p"),
    )
    parameters = (Parameter("x", "float32", 77, "in"), Parameter("y", "float32", 77, "out"))
    kernel = Kernel("k", parameters, (), (Loop("i", 77, body, vector=True),), 1, 64)
    isa = NEON if triple.startswith("aarch64") else GENERIC128
    assert len(cross_compile(emit(kernel, isa), triple, "")) > 500
