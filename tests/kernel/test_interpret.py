"""The interpreter on kernels whose results are plain NumPy one-liners."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from rushlight.kernel import convert, primitives, printer
from rushlight.kernel.interpret import interpret
from rushlight.kernel.ir import Affine, Carried, Kernel, Let, Load, Loop, Parameter, Store

ROWS, COLUMNS = 5, 7
AT = Affine(0, (("i", COLUMNS), ("j", 1)))


def buffers(*rows: tuple[str, str, int, str]) -> tuple[Parameter, ...]:
    return tuple(Parameter(*row) for row in rows)


def row_reduction(combine: str, op: str, start: float, vector: bool) -> Kernel:
    inner = (Load("x", "x", AT, "float32"), Let("n", op, ("t", "x"), "float32"))
    body = (
        Let("z", "const", (), "float32", (start,)),
        Loop("j", COLUMNS, inner, (Carried("t", "z", "n", combine, "float32"),), vector),
        Store("y", Affine(0, (("i", 1),)), "t"),
    )
    both = buffers(("x", "float32", ROWS * COLUMNS, "in"), ("y", "float32", ROWS, "out"))
    return Kernel("k", both, (), (Loop("i", ROWS, body),), 1, 1)


@pytest.mark.parametrize("vector", [True, False])
def test_row_reductions(vector: bool) -> None:
    x = np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).astype(np.float32)
    y = np.zeros(ROWS, np.float32)
    interpret(row_reduction("sum", "add", 10.0, vector), [x.ravel(), y])
    assert np.allclose(y, 10 + x.sum(1))
    interpret(row_reduction("max", "maximum", -np.inf, vector), [x.ravel(), y])
    assert np.array_equal(y, x.max(1))


def test_out_of_bounds_is_an_error() -> None:
    body = (
        Load("x", "x", Affine(0, (("i", 2),)), "float32"),
        Store("y", Affine(0, (("i", 1),)), "x"),
    )
    both = buffers(("x", "float32", 10, "in"), ("y", "float32", 6, "out"))
    kernel = Kernel("k", both, (), (Loop("i", 6, body),), 1, 1)
    with pytest.raises(IndexError, match=r"0\.\.10 of 'x' reach outside of its 10"):
        interpret(kernel, [np.zeros(10, np.float32), np.zeros(6, np.float32)])


def test_masked_loads_are_zero_and_touch_nothing() -> None:
    at = Affine(0, (("i", 1),))
    body = (
        Let("n", "index", (), "int64", (at,)),
        Let("three", "const", (), "int64", (3,)),
        Let("low", "lt", ("n", "three"), "bool"),
        Load("x", "x", at, "float32", None, "low"),
        Store("y", at, "x"),
    )
    both = buffers(("x", "float32", 3, "in"), ("y", "float32", 6, "out"))
    y = np.ones(6, np.float32)
    interpret(Kernel("k", both, (), (Loop("i", 6, body),), 1, 1), [np.array([1, 2, 3], "f"), y])
    assert y.tolist() == [1, 2, 3, 0, 0, 0]


def test_status_tells_bad_indices_from_zero_divisors() -> None:
    at = Affine(0, (("i", 1),))
    both = buffers(("x", "int64", 4, "in"), ("y", "int64", 4, "out"))

    def run(let: Let, x: list[int]) -> tuple[int, list[int]]:
        y = np.zeros(4, np.int64)
        body = (Load("x", "x", at, "int64"), let, Store("y", at, "r"))
        kernel = Kernel("k", both, (), (Loop("i", 4, body),), 1, 1)
        return interpret(kernel, [np.array(x), y]), y.tolist()

    check = Let("r", "check_index", ("x",), "int64", (3, 5))
    assert run(check, [0, -1, 2, -3]) == (0, [0, 2, 2, 0])
    assert run(check, [0, 3, 1, 1]) == (6, [0, 0, 1, 1])
    divide = Let("r", "floor_divide", ("x", "x"), "int64", (4,))
    assert run(divide, [1, 2, 0, 5]) == (-5, [1, 1, 0, 1])


def test_bfloat16_rounds_to_nearest_even() -> None:
    values = np.array([1.0, 1.00390625, 1.01171875, 3e38, np.inf, np.nan, -0.0], np.float32)
    rounded = convert.round_to(values, "bfloat16")
    assert rounded[:3].tolist() == [1.0, 1.0, 1.015625]
    assert np.isnan(rounded[5])
    assert np.signbit(rounded[6])


def test_casts_agree_with_the_reference() -> None:
    torch = pytest.importorskip("torch")
    x = np.array([0.0, -1.5, 300.7, 1e10, -3e9, np.nan, np.inf, -np.inf, 2.0**63], np.float32)
    for target in ("uint8", "int8", "int16", "int32", "int64", "bool", "float16", "float64"):
        expected = torch.from_numpy(x).to(getattr(torch, target)).numpy()
        got = convert.to_storage(convert.cast(x, "float32", target), target)
        assert np.array_equal(got, expected, equal_nan=target.startswith("float")), target


def test_integer_rows_agree_with_the_reference() -> None:
    torch = pytest.importorskip("torch")
    a = np.array([7, -7, 7, -7, 0, 127, -128], np.int8)
    b = np.array([3, 3, -3, -3, 5, -1, -1], np.int8)
    names = {
        "remainder": torch.remainder,
        "fmod": torch.fmod,
        "shift_left": torch.bitwise_left_shift,
        "shift_right": torch.bitwise_right_shift,
        "pow": torch.pow,
    }
    for name, function in names.items():
        meaning = primitives.PRIMITIVES[name].meaning
        assert meaning is not None
        with np.errstate(all="ignore"):
            got = meaning(a, b)
        assert np.array_equal(got, function(torch.from_numpy(a), torch.from_numpy(b)).numpy()), name


@pytest.mark.parametrize("module", [printer, primitives])
def test_examples(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
