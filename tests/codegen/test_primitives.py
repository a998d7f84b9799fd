"""Every primitive in every dtype.

Compiled code against the NumPy meaning, as vectors, in tails and as scalars.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from rushlight.base.dtype import named
from rushlight.codegen import vector_math
from rushlight.codegen.emit import ROWS
from rushlight.codegen.isa import AVX512, GENERIC128
from rushlight.kernel.convert import from_storage, to_storage
from rushlight.kernel.interpret import interpret
from rushlight.kernel.ir import Affine, Kernel, Let, Load, Loop, Parameter, Store
from rushlight.kernel.primitives import EVERY, FLOATS, INTEGERS, LIBM, PRIMITIVES

from .running import check, fresh, run

# Rows that are not required to give the interpreter's bits, but to be close: tested with their
# accuracy elsewhere.
ROUGH = {name for name, _ in vector_math.FUNCTIONS} | {"tan", "erfc", "lgamma", "hypot"}


def samples(dtype: str, count: int = 0) -> np.ndarray:
    """Ordinary and special values of a dtype, in storage form."""
    random = np.random.default_rng(7)
    if dtype == "bool":
        return np.array([False, True])
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        edges = [0, 1, 2, 3, 7, info.max, info.max - 1, info.max // 2, info.min, info.min + 1]
        edges += [-1, -2, -7, info.min // 2] if info.min else []
        return np.array(
            [*edges, *random.integers(info.min, info.max, 12, dtype, endpoint=True)], dtype
        )
    wide = np.float64 if dtype == "float64" else np.float32
    special = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        1.5,
        2.5,
        -2.5,
        3.0,
        -7.0,
        np.inf,
        -np.inf,
        np.nan,
        1e-40,
        3e38,
        -3e38,
        255.9,
    ]
    more = [
        65504.0,
        65520.0,
        1e-7,
        6e-8,
        2.0**31,
        -(2.0**31),
        2.0**63,
        -(2.0**63),
        1.5 * 2.0**63,
        1e19,
        70000.0,
    ]
    return to_storage(np.concatenate([special, more, random.normal(0, 3, 11)]).astype(wide), dtype)


def pairs(dtype: str, arity: int) -> list[np.ndarray]:
    """All combinations of the samples for up to two operands, one after the other for three."""
    values = samples(dtype)
    if arity < 3:
        return [
            np.array(column, values.dtype)
            for column in zip(*itertools.product(values, repeat=arity), strict=True)
        ]
    a, b = pairs(dtype, 2)
    return [a, b, np.roll(b, 3)]


def kernel_of(
    op: str, dtype: str, types: list[str], result: str, count: int, lanes: bool
) -> Kernel:
    """out[i] = op(a0[i], a1[i], ...)"""
    at = Affine(0, (("i", 1),))
    loads = [Load(f"v{i}", f"a{i}", at, t) for i, t in enumerate(types)]
    let = Let("r", op, tuple(v.name for v in loads), result)
    parameters = [Parameter(f"a{i}", t, count, "in") for i, t in enumerate(types)]
    parameters.append(Parameter("out", result, count, "out"))
    loop = Loop("i", count, (*loads, let, Store("out", at, "r")), vector=lanes)
    return Kernel("k", tuple(parameters), (), (loop,), 1, 64)


EXACT = sorted(n for n in ROWS if n not in ROUGH)


def test_every_primitive_has_an_emission() -> None:
    special = {"const", "scalar", "index", "cast", "bitcast", "check_index", "libm"}
    assert set(ROWS) | special == set(PRIMITIVES)


@pytest.mark.parametrize("op", EXACT)
def test_exact_rows(op: str) -> None:
    row = PRIMITIVES[op]
    for dtype in row.dtypes:
        if op == "pow" and dtype in FLOATS:
            continue
        columns = pairs(dtype, row.arity)
        types = [dtype] * row.arity
        if op == "where":
            types[0], columns[0] = "bool", np.arange(columns[0].size) % 3 == 0
        if op == "fma":
            columns = [c[:60] for c in columns]
        result = "bool" if row.result == "bool" else dtype
        inputs = {f"a{i}": c for i, c in enumerate(columns)}
        for lanes, isa in ((True, AVX512), (False, AVX512), (True, GENERIC128)):
            check(kernel_of(op, dtype, types, result, columns[0].size, lanes), inputs, isa=isa)


@pytest.mark.parametrize("source", EVERY)
def test_casts(source: str) -> None:
    values = samples(source)
    for target in EVERY:
        for lanes in (True, False):
            check(kernel_of("cast", source, [source], target, values.size, lanes), {"a0": values})
        if named(source).itemsize == named(target).itemsize and target != "bool":
            check(kernel_of("bitcast", source, [source], target, values.size, True), {"a0": values})


def unit(values: np.ndarray, dtype: str) -> np.ndarray:
    """The distance between neighbouring values of a dtype near `values` (at least the smallest
    number).
    """
    bits, least = {
        "float16": (10, -24),
        "bfloat16": (7, -133),
        "float32": (23, -149),
        "float64": (52, -1074),
    }[dtype]
    _, exponent = np.frexp(np.where(np.isfinite(values), values, 1.0).astype(np.float64))
    return np.ldexp(1.0, np.maximum(exponent - 1 - bits, least))


# Python's own lgamma, the reference here, is no better than this between -3 and 4.
UNITS = {("lgamma", "float64"): 12.0}
DOMAINS = {
    "acosh": (1.0, 50.0),
    "atanh": (-1.0, 1.0),
    "erfinv": (-1.0, 1.0),
    "asin": (-1.0, 1.0),
    "acos": (-1.0, 1.0),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op", sorted(ROUGH | {"pow"}))
def test_close_rows(op: str, dtype: str) -> None:
    """Within 2 units (digamma and lgamma.

    Near their roots, of the terms) of the float64 reference.
    """
    arity = PRIMITIVES[op].arity
    low, high = DOMAINS.get(op, (-20.0, 20.0))
    random = np.random.default_rng(3)
    wide = np.float64 if dtype == "float64" else np.float32
    columns = [to_storage(random.uniform(low, high, 500).astype(wide), dtype) for _ in range(arity)]
    columns = [np.concatenate([a, b]) for a, b in zip(columns, pairs(dtype, arity), strict=True)]
    kernel = kernel_of(op, dtype, [dtype] * arity, dtype, columns[0].size, True)
    inputs = {f"a{i}": c for i, c in enumerate(columns)}
    expected, got = fresh(kernel, inputs), fresh(kernel, inputs)
    interpret(kernel, expected)
    run(kernel, got)
    a, b = (from_storage(buffers[-1], dtype).astype(np.float64) for buffers in (expected, got))
    with np.errstate(all="ignore"):
        units = UNITS.get((op, dtype), 2.0)
        scale = np.maximum(np.abs(a), 1.0) if op in ("lgamma", "digamma") else a
        close = (
            (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= units * unit(scale, dtype))
        )
    x = [from_storage(c, dtype)[~close][:5] for c in columns]
    assert close.all(), f"{op} {dtype}: at {x}: {a[~close][:5]} expected, got {b[~close][:5]}"
    scalar = fresh(kernel, inputs)
    run(kernel_of(op, dtype, [dtype] * arity, dtype, columns[0].size, False), scalar)
    assert np.array_equal(scalar[-1], got[-1], equal_nan=dtype != "bfloat16"), (
        "scalars differ from lanes"
    )


@pytest.mark.parametrize("name", sorted(LIBM))
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_functions_of_the_c_library(name: str, dtype: str) -> None:
    arity = 2 if name == "fdim" else 1
    wide = np.float64 if dtype == "float64" else np.float32
    random = np.random.default_rng(5)
    columns = [to_storage(random.uniform(0.2, 9, 77).astype(wide), dtype) for _ in range(arity)]
    kernel = kernel_of("libm", dtype, [dtype] * arity, dtype, 77, True)
    kernel = with_attributes(kernel, (name,))
    inputs = {f"a{i}": c for i, c in enumerate(columns)}
    expected, got = fresh(kernel, inputs), fresh(kernel, inputs)
    interpret(kernel, expected)
    run(kernel, got)
    a, b = (from_storage(buffers[-1], dtype).astype(np.float64) for buffers in (expected, got))
    assert np.all(np.abs(a - b) <= 16.0 * unit(a, dtype))  # Python's own gamma is the reference


def with_attributes(kernel: Kernel, attributes: tuple[object, ...]) -> Kernel:
    """The kernel with its one Let's attributes replaced."""
    loop = kernel.body[0]
    assert isinstance(loop, Loop)
    body = tuple(replace(s, attributes=attributes) if isinstance(s, Let) else s for s in loop.body)
    return replace(kernel, body=(replace(loop, body=body),))
