"""Discrete Fourier transforms: complex to complex, real to half spectrum, half spectrum to real.

In: tensors and dimensions. Out: unnormalized sums times a factor. Invariant: the transforms are
linear and the adjoint of each is made of the others, so that gradients need no other row. The sums
are NumPy's (pocketfft).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..base.dtype import dtype
from ..base.layout import Layout, ordered_strides
from ..graph import build as b
from ..graph.host import host_function
from ..graph.node import Node
from .core import cat
from .padding import constant_pad_nd
from .registry import Value, op
from .signature import reading


@host_function
def fourier_complex(x: np.ndarray, dims: tuple[int, ...], inverse: bool, factor: float) -> tuple:
    return (
        np.fft.ifftn(x, axes=dims, norm="forward") * factor
        if inverse
        else np.fft.fftn(x, axes=dims) * factor,
    )


@host_function
def fourier_real(x: np.ndarray, dims: tuple[int, ...], factor: float) -> tuple:
    return (np.fft.rfftn(x, axes=dims) * factor,)


@host_function
def fourier_half(x: np.ndarray, dim: int, length: int, factor: float) -> tuple:
    return (np.fft.irfft(x, length, axis=dim, norm="forward") * factor,)


def _host(name: str, x: Node, shape: tuple[int, ...], type: dtype, arguments: tuple) -> Node:
    return b.host(name, [x], [(shape, type)], arguments)[0]


@reading("dims")
def strides_of_transform(
    shape: tuple[int, ...], operands: list[Layout], dims: tuple[int, ...]
) -> tuple[int, ...]:
    """The transformed dimensions innermost, both they and the others in the order of memory."""
    return _transformed(shape, operands[0], dims, ())


@reading("dims")
def strides_of_half(
    shape: tuple[int, ...], operands: list[Layout], dims: tuple[int, ...]
) -> tuple[int, ...]:
    """As `strides_of_transform`, the halved dimension being the innermost one."""
    return _transformed(shape, operands[0], dims[:-1], dims[-1:])


def _transformed(
    shape: tuple[int, ...], x: Layout, dims: tuple[int, ...], last: tuple[int, ...]
) -> tuple[int, ...]:
    def by_memory(some: Iterable[int]) -> list[int]:
        return sorted(some, key=lambda d: -x.strides[d])

    others = (d for d in range(len(shape)) if d not in dims and d not in last)
    return ordered_strides(shape, (*by_memory(others), *by_memory(dims), *last))


@op("", grad_name="FftC2CBackward0", strides=strides_of_transform)
def fft_c2c(input: Value, dims: tuple, inverse: bool, factor: float) -> Value:
    """y[k] = factor * sum_n x[n] exp(-+ 2 pi i k n / N) over the dimensions (+ for inverse)."""
    return _host("fourier_complex", input, input.shape, input.dtype, (dims, inverse, factor))


@op("", grad_name="FftR2CBackward0", strides=strides_of_half, guarded=("input",))
def fft_r2c(input: Value, dims: tuple, factor: float) -> Value:
    """The transform of a real tensor, the first N // 2 + 1 frequencies of the last of `dims`."""
    shape = tuple(n // 2 + 1 if d == dims[-1] else n for d, n in enumerate(input.shape))
    return _host("fourier_real", input, shape, input.dtype.to_complex(), (dims, factor))


@op("", grad_name="FftC2RBackward0", strides=strides_of_half)
def fft_c2r(input: Value, dims: tuple, length: int, factor: float) -> Value:
    """The real tensor of `length` along the one dimension of `dims` whose inverse transform's first
    half of frequencies is given.
    """
    (dim,) = dims
    shape = tuple(length if d == dim else n for d, n in enumerate(input.shape))
    return _host("fourier_half", input, shape, input.dtype.real, (dim, length, factor))


@fft_c2c.vjp("input")
def _(g, dims, inverse, factor):  # type: ignore[no-untyped-def]
    return fft_c2c(g, dims, not inverse, factor)


@fft_r2c.vjp("input")
def _(g, input_layout, dims, factor):  # type: ignore[no-untyped-def]
    missing = input_layout.shape[dims[-1]] - g.shape[dims[-1]]
    widths = [0, 0] * (g.ndim - 1 - dims[-1]) + [0, missing]
    return fft_c2c(constant_pad_nd(g, tuple(widths)), dims, True, factor).real


@fft_c2r.vjp("input")
def _(g, dims, factor):  # type: ignore[no-untyped-def]
    (dim,) = dims
    half = fft_r2c(g, dims, factor)
    twice = g.shape[dim] - half.shape[dim]  # frequencies that also stand for their mirror images
    rest = half.shape[dim] - 1 - twice
    parts = [
        half.narrow(dim, 0, 1),
        half.narrow(dim, 1, twice) * 2,
        half.narrow(dim, 1 + twice, rest),
    ]
    return cat([part for part in parts if part.shape[dim]], dim)


def _numpy_c2c(x: np.ndarray, dims: tuple[int, ...], inverse: bool, factor: float) -> np.ndarray:
    for d in dims:
        n = x.shape[d]
        matrix = np.exp((2j if inverse else -2j) * np.pi * np.outer(np.arange(n), np.arange(n)) / n)
        x = np.moveaxis(np.tensordot(x, matrix, (d, 0)), -1, d)
    return x * factor


def _numpy_c2r(x: np.ndarray, dims: tuple[int], length: int, factor: float) -> np.ndarray:
    (dim,) = dims
    x = np.moveaxis(x, dim, -1)
    k, n = np.arange(x.shape[-1]), np.arange(length)
    weight = np.where((k == 0) | (2 * k == length), 1, 2)
    phase = np.exp(2j * np.pi * np.outer(k, n) / length)
    return np.moveaxis(((x * weight) @ phase).real, -1, dim) * factor


fft_c2c.test(
    lambda make: [
        ((make(3, 4) + 1j * make(3, 4), (0, 1), False, 0.5), {}),
        ((make(5) + 1j * make(5), (0,), True, 1.0), {}),
    ],
    _numpy_c2c,
)
fft_r2c.test(
    lambda make: [
        ((make(3, 4), (1,), 0.5), {}),
        ((make(5, 2), (0,), 1.0), {}),
        ((make(5, 2, 3), (0, 2), 1.0), {}),
    ],
    lambda x, dims, factor: np.take(
        _numpy_c2c(x, dims, False, factor), range(x.shape[dims[-1]] // 2 + 1), dims[-1]
    ),
)
fft_c2r.test(
    lambda make: [
        ((make(2, 3) + 1j * make(2, 3), (1,), 5, 0.5), {}),
        ((make(3) + 1j * make(3), (0,), 4, 1.0), {}),
    ],
    _numpy_c2r,
)
