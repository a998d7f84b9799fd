"""Convolutions as contractions, against PyTorch's, in the NumPy interpreter."""

from __future__ import annotations

import numpy as np
import pytest

from rushlight.kernel.contraction import Contraction, interpret, reach
from rushlight.kernel.contraction_forms import (
    Convolution,
    Margin,
    covers_input,
    forward,
    gradient_margin,
    in_panels,
    input_gradient,
    weight_gradient,
)

SHAPES = [
    Convolution(2, 3, 4, (6, 7), (3, 3), (1, 1), (1, 1), (1, 1)),
    Convolution(2, 3, 4, (7, 6), (3, 3), (2, 2), (1, 1), (1, 1)),
    Convolution(1, 3, 4, (6, 6), (1, 1), (2, 2), (0, 0), (1, 1)),
    Convolution(2, 2, 4, (11, 10), (3, 4), (2, 3), (2, 1), (3, 2)),
    Convolution(2, 4, 4, (6, 5), (2, 3), (1, 2), (2, 1), (1, 1), groups=4),
    Convolution(2, 4, 8, (6, 5), (2, 3), (1, 2), (2, 1), (1, 1), groups=2),
    Convolution(2, 4, 8, (13,), (5,), (2,), (2,), (2,), groups=2),
    Convolution(1, 2, 4, (4, 5, 5), (3, 2, 3), (2, 1, 1), (1, 1, 0), (1, 1, 1)),
]


def padded(array: np.ndarray, margin: Margin) -> np.ndarray:
    return np.ascontiguousarray(np.pad(array, [(0, 0), *margin, (0, 0)]))


def run(spec: Contraction, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The contraction on whole arrays, after a check that it stays inside them."""
    for operand, array in enumerate((a, b, c)):
        low, high = reach(spec, operand)
        assert low >= 0 and high < array.size
    return interpret(spec, [a.ravel(), b.ravel(), c.ravel()]).reshape(c.shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("extra", [0, 1])
def test_convolution_and_gradients(shape: Convolution, extra: int) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    dimensions, groups = len(shape.size), shape.groups
    x = torch.randn(shape.batch, shape.channels, *shape.size, dtype=torch.float64)
    w = torch.randn(shape.filters, shape.channels // groups, *shape.kernel, dtype=torch.float64)
    x.requires_grad_()
    w.requires_grad_()
    convolve = getattr(torch.nn.functional, f"conv{dimensions}d")
    y = convolve(x, w, None, shape.stride, shape.padding, shape.dilation, groups)
    dy = torch.randn_like(y)
    y.backward(dy)

    def last(tensor: object) -> np.ndarray:
        array = tensor.detach().numpy().astype(np.float32)  # type: ignore[attr-defined]
        return np.ascontiguousarray(np.moveaxis(array, 1, -1))

    def weights(tensor: object) -> np.ndarray:
        array = tensor.detach().numpy().astype(np.float32)  # type: ignore[attr-defined]
        return np.ascontiguousarray(np.moveaxis(array, (0, 1), (-1, -2)))

    margin = tuple((before + extra, after + 2 * extra) for before, after in shape.margin)
    around = tuple((before + extra, after) for before, after in gradient_margin(shape))
    assert shape.result == tuple(y.shape[2:])
    got = run(forward(shape, margin), padded(last(x), margin), weights(w), np.zeros_like(last(y)))
    np.testing.assert_allclose(got, last(y), rtol=1e-4, atol=1e-4)

    spec = weight_gradient(shape, margin, around)
    blank = np.zeros_like(weights(w))
    got = run(spec, padded(last(x), margin), padded(last(dy), around), blank)
    np.testing.assert_allclose(got, weights(w.grad), rtol=1e-4, atol=1e-4)

    split = w.detach().numpy().reshape(groups, -1, shape.channels // groups, *shape.kernel)
    turned = np.moveaxis(split.astype(np.float32), (1, 0, 2), (-3, -2, -1))
    got = np.zeros_like(last(x))
    specs = input_gradient(shape, around)
    for spec in specs:
        got = run(spec, padded(last(dy), around), np.ascontiguousarray(turned), got)
    np.testing.assert_allclose(got, last(x.grad), rtol=1e-4, atol=1e-4)
    written = sum(spec.multiplications > 0 for spec in specs)
    assert covers_input(shape) == (written == np.prod(np.minimum(shape.stride, shape.size)))


def test_strided_gradient_in_panels() -> None:
    shape = Convolution(1, 32, 3, (6, 6), (3, 3), (2, 2), (1, 1), (1, 1))
    random = np.random.default_rng(0)
    around = gradient_margin(shape)
    dy = padded(random.standard_normal((1, 3, 3, 3)).astype(np.float32), around)
    wt = random.standard_normal((27, 32)).astype(np.float32)
    panels = np.ascontiguousarray(wt.reshape(27, 2, 16).transpose(1, 0, 2))
    dx = np.zeros((1, 6, 6, 32), np.float32)
    for spec in input_gradient(shape):
        plain = run(spec, dy, wt, dx)
        np.testing.assert_array_equal(run(in_panels(spec, 27, 16), dy, panels, dx), plain)
