"""Checked kernels: a wrong one touches nothing outside of its buffers and says which it left."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from codegen.contraction_cases import buffers_for, random_contraction
from codegen.running import run

from rushlight.base.settings import SETTINGS
from rushlight.codegen import contraction as contractions
from rushlight.codegen.bounds import OUTSIDE
from rushlight.codegen.compiler import compile_module, host_features
from rushlight.codegen.contraction_plan import Loop as PlanLoop
from rushlight.codegen.contraction_plan import Plan, make_plan
from rushlight.codegen.isa import AVX512, GENERIC128, Isa, detect
from rushlight.codegen.loops import emit
from rushlight.kernel.contraction import Axis, Contraction, interpret
from rushlight.kernel.ir import Affine, Kernel, Let, Load, Loop, Parameter, Statement, Store

HOST = detect(host_features())
GUARD = 512
_numbers = iter(range(10**6))


@pytest.fixture(autouse=True)
def bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SETTINGS, "bounds", True)


def at(constant: int = 0, **terms: int) -> Affine:
    return Affine(constant, tuple(terms.items()))


def copying(
    load: Affine, store: Affine, sizes: tuple[int, int], vector: bool, **options: str | None
) -> Kernel:
    """y[store] = x[load] for i < 16; what `dynamic` or `mask` name is made before."""
    made: tuple[Statement, ...] = (
        Let("step", "index", (), "int64", (at(0, i=3),)),
        Let("seven", "const", (), "int64", (7,)),
        Let("index", "index", (), "int64", (at(0, i=1),)),
        Let("early", "lt", ("index", "seven"), "bool"),
    )
    body = (*made, Load("v", "x", load, "float32", **options), Store("y", store, "v"))
    parameters = (
        Parameter("x", "float32", sizes[0], "in"),
        Parameter("y", "float32", sizes[1], "out"),
    )
    name = f"bounds_{next(_numbers)}"
    return Kernel(name, parameters, (), (Loop("i", 16, body, (), vector),), 1, 64)


def status_of(kernel: Kernel, isa: Isa = AVX512) -> int:
    """The status word; `run` itself sees to it that nothing around the buffers is written."""
    buffers = [np.ones(p.size, np.float32) for p in kernel.parameters]
    return run(kernel, buffers, isa=isa)


WAYS = {
    "forward": (at(0, i=1), {}),
    "backward": (at(15, i=-1), {}),
    "strided": (at(0, i=2), {}),
    "gathered": (at(0), {"dynamic": "step"}),
    "constant": (at(15), {}),
    "moved": (at(-3, i=1), {"dynamic": "seven"}),
}


@pytest.mark.parametrize("vector", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_a_load_that_leaves_its_buffer_is_reported(way: str, vector: bool) -> None:
    address, options = WAYS[way]
    size = {"forward": 16, "backward": 16, "strided": 31, "gathered": 46, "constant": 16}
    enough = size.get(way, 20)
    assert status_of(copying(address, at(0, i=1), (enough, 16), vector, **options)) == 0
    wrong = copying(address, at(0, i=1), (enough - 1, 16), vector, **options)
    assert status_of(wrong) == OUTSIDE
    below = replace(address, constant=address.constant - (5 if way == "moved" else 16))
    assert status_of(copying(below, at(0, i=1), (100, 16), vector, **options)) == OUTSIDE


@pytest.mark.parametrize("isa", [AVX512, GENERIC128], ids=lambda isa: isa.name)
@pytest.mark.parametrize("store", [at(0, i=1), at(15, i=-1), at(0, i=4), at(-1, i=1)], ids=str)
@pytest.mark.parametrize("vector", [True, False])
def test_a_store_that_leaves_its_buffer_is_reported(vector: bool, store: Affine, isa: Isa) -> None:
    kernel = copying(at(0, i=1), store, (16, 15), vector)
    assert status_of(kernel, isa) == OUTSIDE + 1


@pytest.mark.parametrize("vector", [True, False])
def test_masked_lanes_may_point_anywhere(vector: bool) -> None:
    """Seven lanes are active: seven elements are enough, six are not."""
    inside = copying(at(0, i=1), at(0, i=1), (7, 16), vector, mask="early")
    assert status_of(inside) == 0
    wrong = copying(at(0, i=1), at(0, i=1), (6, 16), vector, mask="early")
    assert status_of(wrong) == OUTSIDE


def test_nothing_is_written_where_bounds_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = copying(at(0, i=1), at(0, i=1), (16, 16), vector=True)
    checked = emit(kernel, AVX512)
    monkeypatch.setattr(SETTINGS, "bounds", False)
    plain = emit(kernel, AVX512)
    assert "icmp uge <16 x ptr>" in checked
    assert "ptr %status, ptr" not in plain and "x ptr>" not in plain


# --- contractions ---------------------------------------------------------------------------------


def contraction_status(
    spec: Contraction, isa: Isa, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Plan], Plan]
) -> tuple[int, list[np.ndarray], list[np.ndarray]]:
    """Run a contraction whose plan is spoilt: the status word, its buffers, its expected ones."""
    monkeypatch.setattr(contractions, "make_plan", lambda s, i: spoil(make_plan(s, i)))
    name = f"bounds_contraction_{next(_numbers)}"
    emitted = contractions.emit(spec, isa, name)
    address = compile_module(emitted.text, [name])[name]
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 2)(address)
    given = buffers_for(spec, np.random.default_rng(5))
    wide = [np.concatenate([np.full(GUARD, 77, b.dtype), b, np.full(GUARD, 77, b.dtype)])
            for b in given]  # fmt: skip
    pointers = np.array([w[GUARD:].ctypes.data for w in wide], np.uint64)
    kind = np.int64 if "int" in spec.accumulator else np.float64
    slots = np.array([0.75, 2.0, 0], np.float64).astype(kind)
    status = np.zeros(8, np.int64)
    call(pointers.ctypes.data, slots.ctypes.data, status.ctypes.data, 0, emitted.tasks)
    for w in wide:
        assert (w[:GUARD] == 77).all() and (w[-GUARD:] == 77).all(), "wrote outside of a buffer"
    inside = [w[GUARD:-GUARD] for w in wide]
    return int(status[0]), inside, given


def product(m: int, n: int, k: int, dtype: str = "float32", turned: bool = False) -> Contraction:
    """C[m, n] = A[m, k] * B[k, n], or B[n, k]."""
    right = (1, k) if turned else (n, 1)
    axes = Axis("m", m, k, 0, n), Axis("n", n, 0, right[1], 1), Axis("k", k, 1, right[0], 0)
    return Contraction(axes, dtype, dtype, "float32" if dtype == "bfloat16" else dtype)


def longer(loops: tuple[PlanLoop, ...]) -> tuple[PlanLoop, ...]:
    return (*loops[:-1], replace(loops[-1], extent=loops[-1].extent + 1))


SPOILT: dict[str, Callable[[Plan], Plan]] = {
    "one more row tile": lambda plan: replace(
        plan, rows=longer(plan.rows), grid=(1, plan.counts[1] + 1, plan.counts[2])
    ),
    "one more column tile": lambda plan: replace(
        plan, columns=longer(plan.columns), grid=(1, plan.counts[1], plan.counts[2] + 1)
    ),
    "one more step of the sum": lambda plan: replace(
        plan, sums=longer(plan.sums), block=plan.block + 1
    ),
    "no smaller tile at the right edge": lambda plan: replace(plan, edge_columns=0),
    "no smaller tile at the lower edge": lambda plan: replace(plan, edge_rows=0),
}
PRODUCTS = {
    "small": product(19, 21, 33),
    "turned": product(19, 21, 33, turned=True),
    "bfloat16": product(27, 133, 34, "bfloat16"),
}


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("shape", PRODUCTS)
def test_a_wrong_contraction_is_reported(
    shape: str, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = PRODUCTS[shape]
    plan = make_plan(spec, HOST)
    if SPOILT[spoil](plan) == plan:
        pytest.skip("the plan has no such edge")
    code, _, _ = contraction_status(spec, HOST, monkeypatch, SPOILT[spoil])
    assert code >= OUTSIDE


@pytest.mark.parametrize("seed", range(6))
def test_right_contractions_are_not(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = random_contraction(np.random.default_rng(700 + seed))
    code, found, given = contraction_status(spec, HOST, monkeypatch, lambda plan: plan)
    assert code == 0
    if "int" in spec.dtype_c:
        expected = interpret(spec, given, (0.75, 2.0))
        np.testing.assert_array_equal(found[2], expected)
