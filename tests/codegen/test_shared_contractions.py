"""Contractions in pieces that other sizes share: the bits of the whole kernel, and few pieces."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from codegen.contraction_cases import Kernel, buffers_for, random_contraction

from rushlight.codegen.compiler import compile_module, host_features
from rushlight.codegen.contraction import emit_shared
from rushlight.codegen.isa import detect
from rushlight.kernel.contraction import Array, Axis, Contraction, extra_buffers
from rushlight.kernel.contraction_forms import Convolution, forward, matrix_product, weight_gradient

HOST = detect(host_features())
PROTOTYPE = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 2)


def run_shared(spec: Contraction, buffers: list[Array], scalars: Array) -> None:
    """Run the pieces of a contraction, in place, as the engine does."""
    made = emit_shared(spec, HOST)
    addresses = [compile_module(p.text, [p.name])[p.name] for p in (*made.pieces, made.driver)]
    table = np.array([*addresses[:-1], *made.numbers, 0], np.int64)
    order = [0, 1, 2, *(3 + step.buffer for step in extra_buffers(spec) if step.buffer is not None)]
    operands = dict(zip(order, buffers, strict=True))
    pointers = [operands[place].ctypes.data for place in sorted(operands)]
    pointers_array = np.array([*pointers, table.ctypes.data], np.uint64)
    call = PROTOTYPE(addresses[-1])
    call(pointers_array.ctypes.data, scalars.ctypes.data, None, 0, made.tasks)


def agree(spec: Contraction, random: np.random.Generator) -> None:
    buffers = buffers_for(spec, random)
    kernel = Kernel(spec, HOST)
    scalars = np.array([0.75, 2.0], kernel.slots)
    whole, shared = (
        [buffer.copy() if place == 2 else buffer for place, buffer in enumerate(buffers)]
        for _ in range(2)
    )
    kernel.run(whole, (0.75, 2.0), 0)
    run_shared(spec, shared, scalars)
    np.testing.assert_array_equal(whole[2].view(np.uint8), shared[2].view(np.uint8))


@pytest.mark.parametrize("seed", range(25))
def test_pieces_give_the_bits_of_the_whole(seed: int) -> None:
    random = np.random.default_rng(seed)
    agree(random_contraction(random), random)


@pytest.mark.parametrize("rows", [1, 7, 64, 203])
@pytest.mark.parametrize("turned", [False, True])
def test_products(rows: int, turned: bool) -> None:
    strides = (1, 600) if turned else (70, 1)
    axes = (
        Axis("m", rows, 600, 0, 70),
        Axis("n", 70, 0, strides[1], 1),
        Axis("k", 600, 1, strides[0], 0),
    )
    agree(Contraction(axes), np.random.default_rng(rows))


def test_convolutions() -> None:
    shape = Convolution(3, 8, 24, (9, 7), (3, 3), (1, 1), (1, 1), (1, 1))
    for form in (forward, weight_gradient):
        agree(form(shape), np.random.default_rng(0))


def names(spec: Contraction) -> set[str]:
    made = emit_shared(spec, HOST)
    return {made.driver.name, *(piece.name for piece in made.pieces)}


def test_products_of_many_sizes_consist_of_few_functions() -> None:
    known: set[str] = set()
    counts = []
    sizes = [*range(1, 130), *range(130, 400, 7)]
    for rows in sizes:
        known |= names(matrix_product(rows, 256, 512))
        counts.append(len(known))
    assert counts[-1] == counts[sizes.index(200)]
    assert counts[-1] < 100


def test_a_longer_sum_is_told_and_not_compiled() -> None:
    known: set[str] = set()
    counts = []
    for length in range(20, 300, 2):
        axes = (Axis("m", 64, 400, 0, 64), Axis("n", 64, 0, 1, 1), Axis("k", length, 1, 64, 0))
        known |= names(Contraction(axes))
        counts.append(len(known))
    assert counts[-1] == counts[50]
