"""Emitted contraction kernels against the NumPy interpreter, on every instruction set at hand."""

from __future__ import annotations

import ctypes
import mmap
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from codegen.contraction_cases import Kernel, buffers_for, random_contraction, random_values

from rushlight.codegen.compiler import assembly, cross_compile, host_features
from rushlight.codegen.contraction import emit, suggested_parts, tasks
from rushlight.codegen.contraction_plan import make_plan
from rushlight.codegen.isa import AVX2, AVX512, GENERIC128, NEON, Isa, detect
from rushlight.kernel.contraction import (
    Array,
    Axis,
    Contraction,
    Step,
    decode_bfloat16,
    encode_bfloat16,
    interpret,
    reach,
    split_sum,
)
from rushlight.kernel.contraction_forms import Convolution, forward, matrix_product, weight_gradient

# Vectors of any width run on any processor; multiply-add instructions must be there.
HOST = detect(host_features())
FMA = HOST.fma
ISAS = [isa for isa in (AVX512, AVX2, NEON, GENERIC128) if FMA or not isa.fma]
ISAS += [HOST] * HOST.bf16_dot
EVERY_ISA = pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name + "-bf16" * isa.bf16_dot)
GUARD = 64
TOLERANCE = {"float32": 2e-5, "float64": 1e-12, "float16": 2e-3, "bfloat16": 2e-2}


def values(buffer: Array, dtype: str) -> Array:
    return decode_bfloat16(buffer).astype(np.float64) if dtype == "bfloat16" else buffer


def check(spec: Contraction, isa: Isa, random: np.random.Generator) -> None:
    """The kernel gives what the interpreter gives, in any order of tasks, and no more."""
    buffers, scalars = buffers_for(spec, random), (0.75, 2.0)
    want = values(interpret(spec, buffers, scalars), spec.dtype_c)
    guarded = random_values(random, buffers[2].size + 2 * GUARD, spec.dtype_c)
    kernel = Kernel(spec, isa)
    results = []
    for order in (1, -1, 0):
        whole = guarded.copy()
        inside = whole[GUARD:-GUARD]
        inside[:] = buffers[2]
        kernel.run([*buffers[:2], inside, *buffers[3:]], scalars, order)
        np.testing.assert_array_equal(whole[:GUARD], guarded[:GUARD])
        np.testing.assert_array_equal(whole[-GUARD:], guarded[-GUARD:])
        results.append(inside.copy())
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    got = values(results[0], spec.dtype_c)
    if "int" in spec.dtype_c:
        np.testing.assert_array_equal(got, want)
        return
    tolerance = TOLERANCE[spec.dtype_c]
    # Terms of a sum cancel: errors are relative to their size, not to that of the result.
    length = np.sqrt(np.prod([axis.extent for axis in spec.axes if axis.c == 0]))
    scale = float(length) + np.abs(want)
    assert np.all(np.abs(got - want) <= tolerance * 10 * scale)


@EVERY_ISA
@pytest.mark.parametrize("seed", range(60))
def test_random_contractions(isa: Isa, seed: int) -> None:
    random = np.random.default_rng(1000 * ISAS.index(isa) + seed)
    check(random_contraction(random), isa, random)


@EVERY_ISA
@pytest.mark.parametrize("rows", [1, 7, 8, 9, 25, 64])
@pytest.mark.parametrize("columns", [1, 16, 23, 64, 70])
def test_every_edge_of_a_tile(isa: Isa, rows: int, columns: int) -> None:
    random = np.random.default_rng(rows * columns)
    check(matrix_product(rows, columns, 5), isa, random)


@EVERY_ISA
@pytest.mark.parametrize("accumulate", [False, True])
def test_long_sums_are_cut_and_panels_packed(isa: Isa, accumulate: bool) -> None:
    random = np.random.default_rng(0)
    bias = Step("add", buffer=0, strides=(0, 0, 1, 0), dtype="float32")
    spec = matrix_product(400, 300, 4500)
    steps = (bias, Step("relu"), Step("multiply", scalar=0))
    spec = replace(spec, accumulate=accumulate, epilogue=steps)
    plan = make_plan(spec, isa)
    assert plan.blocked and plan.packed and plan.block < 4500
    check(spec, isa, random)


def test_convolution_with_two_blocked_sums() -> None:
    random = np.random.default_rng(0)
    shape = Convolution(2, 600, 96, (6, 7), (3, 3), (1, 1), (1, 1), (1, 1))
    spec = forward(shape)
    assert make_plan(spec, AVX512).cut == 1
    check(spec, ISAS[0], random)


def test_weight_gradient_in_parts() -> None:
    random = np.random.default_rng(0)
    shape = Convolution(16, 3, 32, (40, 40), (3, 3), (1, 1), (1, 1), (1, 1))
    spec = weight_gradient(shape)
    split = suggested_parts(spec, AVX512)
    assert split is not None and spec.axes[split[0]].c == 0
    a, b, c = buffers_for(spec, random)
    partial, total = split_sum(spec, *split)
    room = np.zeros(reach(partial, 2)[1] + 1, np.float32)
    Kernel(partial).run([a, b, room])
    Kernel(total).run([room, np.ones(1, np.float32), c])
    want = interpret(spec, [a, b, np.zeros_like(c)])
    np.testing.assert_allclose(c, want, rtol=1e-3, atol=1e-3)


def test_no_parts_where_there_is_nothing_to_gain() -> None:
    assert suggested_parts(matrix_product(1024, 1024, 1024), AVX512) is None
    assert suggested_parts(matrix_product(8, 8, 8), AVX512) is None


def test_threads_give_the_same_bits() -> None:
    random = np.random.default_rng(0)
    spec = matrix_product(200, 200, 700)
    a, b, c = buffers_for(spec, random)
    kernel = Kernel(spec)
    kernel.run([a, b, c], order=0)
    assert kernel.tasks > 4
    for threads in (2, 3, 4):
        again = np.zeros_like(c)
        bound = kernel.bind([a, b, again])
        cuts = np.linspace(0, kernel.tasks, threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(bound, cuts[:-1].tolist(), cuts[1:].tolist()))
        np.testing.assert_array_equal(again, c)


@pytest.mark.parametrize("extents", [(0, 5, 3), (4, 0, 3), (4, 5, 0)])
def test_empty_loops(extents: tuple[int, int, int]) -> None:
    m, n, k = extents
    spec = matrix_product(m, n, k)
    if 0 in (m, n):
        assert tasks(spec, AVX512) == 0
    buffers = [np.ones(100, np.float32), np.ones(100, np.float32), np.full(100, 7, np.float32)]
    Kernel(spec).run(buffers, order=0)
    np.testing.assert_array_equal(buffers[2][: m * n], np.zeros(m * n))
    np.testing.assert_array_equal(buffers[2][m * n :], 7)


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
@EVERY_ISA
def test_nothing_is_read_past_the_end(isa: Isa) -> None:
    """The buffers end where a forbidden page begins: one lane too many would end the process."""
    spec = matrix_product(13, 21, 37)
    random = np.random.default_rng(0)
    sizes = [13 * 37, 37 * 21, 13 * 21]
    maps = [mmap.mmap(-1, 2 * mmap.PAGESIZE) for _ in sizes]
    buffers: list[Array] = []
    for room, size in zip(maps, sizes, strict=True):
        whole = np.frombuffer(room, np.float32)
        end = ctypes.c_void_p(whole.ctypes.data + mmap.PAGESIZE)
        assert ctypes.CDLL(None).mprotect(end, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
        inside = whole[: mmap.PAGESIZE // 4][-size:]
        inside[:] = random.standard_normal(size)
        buffers.append(inside)
    want = interpret(spec, buffers)
    Kernel(spec, isa).run(buffers)
    np.testing.assert_allclose(buffers[2], want, rtol=1e-4, atol=1e-5)


def test_not_a_number_passes_through_relu_and_maximum() -> None:
    spec = replace(matrix_product(1, 4, 1), epilogue=(Step("relu"), Step("maximum", scalar=0)))
    a, b = np.ones(1, np.float32), np.array([np.nan, -1, 2, np.inf], np.float32)
    c = np.zeros(4, np.float32)
    Kernel(spec).run([a, b, c], [0.5])
    np.testing.assert_array_equal(c, np.array([np.nan, 0.5, 2, np.inf], np.float32))


def test_every_step_rounds_to_the_result_dtype() -> None:
    """256 + 1 is 256 in bfloat16 (ties to even): a second + 1 must find 256 again."""
    one = Step("add", scalar=0)
    spec = Contraction(
        (Axis("n", 3, 0, 1, 1), Axis("k", 2, 1, 0, 0)), *["bfloat16"] * 3, epilogue=(one, one)
    )
    a, b = encode_bfloat16(np.ones(2, np.float32)), encode_bfloat16(np.full(3, 128, np.float32))
    c = np.zeros(3, np.uint16)
    Kernel(spec).run([a, b, c], [1.0])
    np.testing.assert_array_equal(decode_bfloat16(c), np.full(3, 256, np.float32))


@pytest.mark.parametrize(
    ("triple", "processor", "isa"),
    [
        ("x86_64-unknown-linux-gnu", "skylake-avx512", AVX512),
        ("x86_64-unknown-linux-gnu", "haswell", AVX2),
        ("x86_64-unknown-linux-gnu", "x86-64", GENERIC128),
        ("aarch64-unknown-linux-gnu", "neoverse-n1", NEON),
        ("arm64-apple-darwin", "apple-m1", NEON),
    ],
)
def test_other_machines(triple: str, processor: str, isa: Isa) -> None:
    text = emit(matrix_product(37, 70, 1000), isa, "kernel").text
    assert len(cross_compile(text, triple, processor)) > 500


@pytest.mark.skipif(not FMA, reason="no multiply-add instructions")
def test_sums_stay_in_registers() -> None:
    """No accumulator is spilled to the stack inside the tile of the widest unit at hand."""
    isa = HOST
    spec = forward(Convolution(16, 64, 64, (56, 56), (3, 3), (1, 1), (1, 1), (1, 1)))
    text = assembly(emit(spec, isa, "kernel").text)
    tile = text[text.index("kernel_tile") :].split("kernel:")[0]
    assert "(%rsp)" not in tile and "[sp" not in tile


def test_plans_do_not_depend_on_history() -> None:
    spec = matrix_product(100, 100, 100)
    before = emit(spec, AVX2, "kernel").text
    make_plan.cache_clear()
    emit(matrix_product(30, 30, 30), AVX2, "other")
    assert emit(spec, AVX2, "kernel").text == before


@EVERY_ISA
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int16"])
@pytest.mark.parametrize(("m", "n", "k"), [(5, 7, 3), (9, 70, 37), (1, 33, 64), (30, 16, 700)])
def test_second_operand_along_the_sum(isa: Isa, dtype: str, m: int, n: int, k: int) -> None:
    """x @ weight.T reads the weight as it lies; so do products of two transposes."""
    random = np.random.default_rng(m)
    for transposed_a in (False, True):
        spec = matrix_product(m, n, k, transposed_a=transposed_a, transposed_b=True, dtype=dtype)
        assert make_plan(spec, isa).turned
        check(spec, isa, random)
    # Neither along the sum nor along the columns: every element by itself.
    axes = [replace(axis, b=3 * axis.b) for axis in spec.axes]
    check(replace(spec, axes=tuple(axes)), isa, random)


@pytest.mark.skipif(not HOST.bf16_dot, reason="no bfloat16 dot products")
@pytest.mark.parametrize("result", ["float32", "bfloat16"])
@pytest.mark.parametrize("transposed_b", [False, True])
@pytest.mark.parametrize(("m", "n", "k"), [(5, 7, 2), (9, 70, 38), (1, 33, 64), (30, 200, 3000)])
def test_bfloat16_pairs(result: str, transposed_b: bool, m: int, n: int, k: int) -> None:
    random = np.random.default_rng(m)
    isa = HOST
    spec = matrix_product(m, n, k, transposed_b=transposed_b, dtype="bfloat16")
    spec = replace(spec, dtype_c=result)
    assert make_plan(spec, isa).paired
    assert "dpbf16ps" in emit(spec, isa, "kernel").text
    check(spec, isa, random)


@pytest.mark.skipif(not HOST.bf16_dot, reason="no bfloat16 dot products")
def test_bfloat16_convolution_in_pairs() -> None:
    random = np.random.default_rng(0)
    isa = HOST
    shape = Convolution(2, 6, 40, (9, 7), (3, 3), (1, 1), (1, 1), (1, 1))
    spec = replace(forward(shape), dtype_a="bfloat16", dtype_b="bfloat16")
    assert make_plan(spec, isa).paired
    check(spec, isa, random)
