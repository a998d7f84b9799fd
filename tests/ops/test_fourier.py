"""Fourier transforms against PyTorch: lengths, dimensions, norms, gradients twice over, and
errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ops.oracle import agree, fails_alike, normal


def signal(name: str, *shape: int) -> np.ndarray:
    real = name.startswith(("rfft", "ihfft"))
    return normal(*shape) if real else normal(*shape) + 1j * normal(*shape, seed=1)


@pytest.mark.parametrize("norm", [None, "ortho", "forward", "backward"])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_one_dimension(name: str, norm: str | None) -> None:
    for n, dim in ((None, -1), (4, 0), (7, 1), (6, -1)):
        agree(
            lambda lib, x, n=n, dim=dim: getattr(lib.fft, name)(x, n, dim, norm), signal(name, 5, 6)
        )


@pytest.mark.parametrize(
    "options", [{}, {"dim": (0, 2)}, {"s": (4, 3)}, {"s": (3, 5), "dim": (0, 1)}, {"norm": "ortho"}]
)
@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn", "hfftn", "ihfftn"])
def test_several_dimensions(name: str, options: dict) -> None:
    agree(lambda lib, x: getattr(lib.fft, name)(x, **options), signal(name, 3, 4, 5))


@pytest.mark.parametrize("name", ["fft2", "ifft2", "rfft2", "irfft2", "hfft2", "ihfft2"])
def test_two_dimensions(name: str) -> None:
    agree(lambda lib, x: getattr(lib.fft, name)(x), signal(name, 2, 3, 4))


@pytest.mark.parametrize("n", [1, 4, 5])
def test_frequencies(n: int) -> None:
    agree(lambda lib: (lib.fft.fftfreq(n, 0.5), lib.fft.rfftfreq(n, 2.0)), depth=0, tolerance=1e-6)
    agree(lambda lib, x: lib.fft.fftshift(x), normal(n, 3))
    agree(lambda lib, x: lib.fft.ifftshift(x, dim=0), normal(n, 3))


def test_dtypes() -> None:
    agree(lambda lib, x: lib.fft.fft(x), np.arange(4), depth=0, tolerance=1e-6)
    agree(lambda lib, x: lib.fft.rfft(x), normal(6), dtype="float32", depth=1, tolerance=1e-5)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (lambda lib: lib.fft.fft(lib.zeros(3), n=0), "Invalid number of data points (0) specified"),
        (lambda lib: lib.fft.fft(lib.zeros(())), "tensor has no dimensions"),
        (lambda lib: lib.fft.fft(lib.zeros(3), norm="foo"), 'Invalid normalization mode: "foo"'),
        (
            lambda lib: lib.fft.rfft(lib.zeros(3, dtype=lib.complex64)),
            "expects a real input tensor",
        ),
        (
            lambda lib: lib.fft.fftn(lib.zeros(3, 3), s=(2,), dim=(0, 1)),
            "must have the same length",
        ),
        (
            lambda lib: lib.fft.irfft(lib.zeros(1, dtype=lib.complex64)),
            "Invalid number of data points (0)",
        ),
        (lambda lib: lib.fft.fft(lib.zeros(3, dtype=lib.float16)), "Unsupported dtype Half"),
    ],
)
def test_errors(expression: Any, words: str) -> None:
    fails_alike(expression, words)


@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn", "hfftn", "ihfftn"])
@pytest.mark.parametrize("dims", [(0,), (1,), (0, 2), (2, 0), (1, 0), (2, 1, 0)])
def test_strides(name: str, dims: tuple) -> None:
    """The transformed dimensions come to lie innermost, as in PyTorch."""
    import rushlight

    torch = pytest.importorskip("torch")
    x = signal(name, 3, 4, 5).astype("complex64" if not name.startswith(("r", "ih")) else "float32")
    for turned in (False, True):
        made = []
        for lib in (rushlight, torch):
            tensor = lib.from_numpy(x.copy())
            tensor = tensor.transpose(0, 2) if turned else tensor
            made.append(tuple(getattr(lib.fft, name)(tensor, dim=dims).stride()))
        assert made[0] == made[1]


def test_out() -> None:
    import rushlight as rl

    out = rl.empty(0, dtype=rl.complex64)
    assert rl.fft.fft(rl.ones(4), out=out) is out
    assert out.tolist() == [4, 0, 0, 0]
    with pytest.raises(RuntimeError):
        rl.fft.fft(rl.ones(4), out=rl.empty(4))
