"""The contraction as a value: checks, simplification, splitting, its meaning in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from codegen.contraction_cases import buffers_for, random_contraction

from rushlight.kernel.contraction import (
    Axis,
    Contraction,
    Step,
    decode_bfloat16,
    encode_bfloat16,
    interpret,
    reach,
    simplify,
    split_sum,
)
from rushlight.kernel.contraction_forms import (
    Convolution,
    forward,
    in_panels,
    matrix_product,
    panel_width,
)


def test_interpreter_is_the_matrix_product() -> None:
    random = np.random.default_rng(0)
    a, b = random.standard_normal((5, 7)), random.standard_normal((7, 3))
    spec = matrix_product(5, 3, 7, dtype="float64")
    got = interpret(spec, [a.ravel(), b.ravel(), np.zeros(15)])
    np.testing.assert_allclose(got.reshape(5, 3), a @ b)


def test_one_by_one_convolution_becomes_a_product() -> None:
    shape = Convolution(4, 8, 16, (5, 5), (1, 1), (1, 1), (0, 0), (1, 1))
    assert [axis.extent for axis in simplify(forward(shape)).axes] == [100, 8, 16]


def test_three_by_three_convolution_joins_columns_and_channels() -> None:
    shape = Convolution(4, 8, 16, (5, 5), (3, 3), (1, 1), (1, 1), (1, 1))
    extents = sorted(axis.extent for axis in simplify(forward(shape)).axes)
    assert extents == [3, 4, 5, 5, 16, 24]


@pytest.mark.parametrize("seed", range(40))
def test_simplify_keeps_the_meaning(seed: int) -> None:
    random = np.random.default_rng(seed)
    spec = random_contraction(random)
    buffers = buffers_for(spec, random)
    scalars = (0.75, -1.5)
    want = interpret(spec, buffers, scalars)
    got = interpret(simplify(spec), buffers, scalars)
    # The order of a sum may change, so the last bit may.
    np.testing.assert_allclose(_values(got, spec), _values(want, spec), rtol=1e-2, atol=1e-2)


def _values(buffer: np.ndarray, spec: Contraction) -> np.ndarray:
    return decode_bfloat16(buffer) if spec.dtype_c == "bfloat16" else buffer


@pytest.mark.parametrize("parts", [1, 2, 3, 6])
def test_split_sum_adds_up(parts: int) -> None:
    random = np.random.default_rng(parts)
    spec = matrix_product(4, 5, 6)
    bias = Step("add", buffer=0, strides=(0, 0, 1, 0), dtype="float32")
    spec = Contraction(spec.axes, accumulate=True, epilogue=(bias,))
    a, b, c, extra = buffers_for(spec, random)
    partial, total = split_sum(spec, 3, parts)
    room = np.zeros(reach(partial, 2)[1] + 1, np.float32)
    assert room.size == parts * 20
    room = interpret(partial, [a, b, room])
    got = interpret(total, [room, np.ones(1, np.float32), c, extra])
    np.testing.assert_allclose(got, interpret(spec, [a, b, c, extra]), rtol=1e-5)


def test_split_sum_refuses_unequal_parts() -> None:
    with pytest.raises(ValueError, match="4 parts do not divide"):
        split_sum(matrix_product(4, 5, 6), 3, 4)


def test_panels_hold_the_same_numbers() -> None:
    random = np.random.default_rng(0)
    spec = matrix_product(3, 64, 5, batch=2)
    a, b, c = buffers_for(spec, random)
    panels = b.reshape(2, 5, 2, 32).transpose(0, 2, 1, 3).ravel()
    got = interpret(in_panels(spec, 5, 32), [a, panels, c])
    np.testing.assert_allclose(got, interpret(spec, [a, b, c]), rtol=1e-5)
    assert panel_width(96) == 32


def test_reach_counts_negative_strides() -> None:
    spec = Contraction((Axis("i", 4, -2, 0, 1), Axis("k", 3, 5, 1, 0)), a_offset=6)
    assert reach(spec, 0) == (0, 16)
    assert reach(spec, 1) == (0, 2)
    assert reach(spec, 2) == (0, 3)


def test_bfloat16_rounds_to_even_and_keeps_nan() -> None:
    values = np.array([1.0, 1.00390625, 1.01171875, np.inf, -0.0, np.nan], np.float32)
    back = decode_bfloat16(encode_bfloat16(values))
    np.testing.assert_array_equal(back[:5], np.array([1.0, 1.0, 1.015625, np.inf, -0.0]))
    assert np.isnan(back[5])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Contraction((), dtype_a="complex64"), TypeError, "complex64"),
        (lambda: Contraction((), dtype_b="float64"), TypeError, "summed in different dtypes"),
        (lambda: Contraction((Axis("k", -1, 0, 0, 0),)), ValueError, "'k' has extent -1"),
        (lambda: Contraction((), epilogue=(Step("tan"),)), ValueError, "'tan'"),
        (lambda: Contraction((), epilogue=(Step("add"),)), ValueError, "takes 1 second input"),
        (lambda: Contraction((), epilogue=(Step("relu", scalar=0),)), ValueError, "takes 0"),
        (
            lambda: Contraction((), epilogue=(Step("add", buffer=0, strides=(1,)),)),
            ValueError,
            "needs its dtype and 0 strides, got 1",
        ),
    ],
)
def test_mistakes_are_named(make: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()  # type: ignore[operator]
