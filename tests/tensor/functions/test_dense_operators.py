"""Numbers taken apart, bounds on norms, slopes, histograms, segments, short-time spectra,
statistics beside normalised values: against PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import agree, gradients_agree

pytest.importorskip("torch")

INF, NAN = float("inf"), float("nan")


def wave(t: Any, *shape: int) -> Any:
    count = int(np.prod(shape))
    return (t.arange(float(count)) * 1.7).sin().reshape(shape)


EXACT: dict[str, Callable[[Any], Any]] = {
    "frexp": lambda t: tuple(t.frexp(t.tensor([0.0, -0.0, INF, -INF, 1e-45, 6.0, -0.1]))),
    "frexp of doubles": lambda t: tuple(t.frexp(t.tensor([5e-324, -3.0], dtype=t.float64))),
    "frexp of halves": lambda t: tuple(t.frexp(t.tensor([6e-8, 2.5], dtype=t.float16))),
    "frexp of ints": lambda t: t.frexp(t.tensor([1])),
    "hash": lambda t: [
        t.hash_tensor(t.arange(6.0)) == t.hash_tensor(t.arange(6.0).flip(0)),
        t.hash_tensor(t.tensor([[1, 2], [4, 4]]), dim=1, keepdim=True).to(t.int64),
        t.hash_tensor(t.tensor([True, True, True])).to(t.int64),
        t.hash_tensor(t.tensor(3.0)).to(t.int64),
    ],
    "hash of nothing": lambda t: t.hash_tensor(t.zeros(0)),
    "hash along nothing": lambda t: t.hash_tensor(t.zeros(0, 3), dim=0),
    "hash mode": lambda t: t.hash_tensor(t.ones(2), mode=1),
    "hash of complex": lambda t: t.hash_tensor(t.ones(2) * 1j),
    "polar dtypes": lambda t: t.polar(t.ones(2), t.ones(2, dtype=t.float64)),
    "polar of ints": lambda t: t.polar(t.tensor([1]), t.tensor([1])),
    "polar of halves": lambda t: t.polar(t.ones(2).half(), t.ones(2).half()),
    "renorm of a vector": lambda t: t.renorm(t.ones(3), 1, 0, 1),
    "renorm p": lambda t: t.renorm(t.ones(3, 3), 0, 0, 1),
    "renorm maxnorm": lambda t: t.renorm(t.ones(3, 3), 1, 0, -1),
    "renorm of ints": lambda t: t.renorm(t.ones(3, 3, dtype=t.int64), 1, 0, 1),
    "empty_permuted": lambda t: t.empty_permuted((2, 3, 5), (1, 0, 2)).stride()[0],
    "empty_permuted length": lambda t: t.empty_permuted((2, 3), (0,)),
    "empty_permuted twice": lambda t: t.empty_permuted((2, 3), (0, 0)),
    "empty_permuted range": lambda t: t.empty_permuted((2, 3), (0, -1)),
    "resize_as_": lambda t: t.zeros(2, 3).resize_as_(t.ones(3, 2)).shape[0],
    "nonzero_static": lambda t: [
        t.nonzero_static(t.tensor([[1, 0], [1, 1]]), size=size, fill_value=7) for size in (0, 2, 5)
    ],
    "nonzero_static size": lambda t: t.nonzero_static(t.ones(2), size=-1),
    "_chunk_cat": lambda t: t._chunk_cat([t.arange(5.0), t.arange(4.0)], 0, 2),
    "_chunk_cat inside": lambda t: t._chunk_cat([t.ones(2, 3, 2), t.zeros(2, 2)], 1, 2),
    "_chunk_cat shapes": lambda t: t._chunk_cat([t.ones(2, 3), t.zeros(3, 2)], 1, 2),
    "_chunk_cat count": lambda t: t._chunk_cat([t.ones(2)], 0, 0),
    "_chunk_cat of nothing": lambda t: t._chunk_cat([], 0, 1),
    "histogram": lambda t: [
        tuple(t.histogram(wave(t, 4, 5), 7)),
        tuple(t.histogram(wave(t, 20), 7, range=(-0.5, 0.5), weight=t.arange(20.0))),
        tuple(t.histogram(t.ones(3), 2, range=(0.0, 0.0))),
        tuple(t.histogram(t.zeros(0), 2)),
        tuple(t.histogram(t.tensor([INF, NAN, 1.0]), t.tensor([0.0, 1.0, 2.0]))),
    ],
    "histogram edges and range": lambda t: t.histogram(
        t.ones(3), t.tensor([0.0, 1.0]), range=(0.0, 1.0)
    ),
    "histogram range": lambda t: t.histogram(t.ones(3), 2, range=(1.0, 0.0)),
    "histogram of infinities": lambda t: t.histogram(t.tensor([1.0, INF]), 2),
    "histogram of nothing between": lambda t: t.histogram(t.ones(3), 0),
    "histogram of ints": lambda t: t.histogram(t.tensor([1]), 2),
    "histogram weight": lambda t: t.histogram(t.ones(3), 2, weight=t.ones(2)),
    "histogram dtypes": lambda t: t.histogram(t.ones(3), t.tensor([0.0, 1.0], dtype=t.float64)),
    "histogramdd": lambda t: [
        tuple(t.histogramdd(wave(t, 9, 2), [2, 3])),
        tuple(t.histogramdd(wave(t, 3, 3, 2), 2, weight=t.arange(9.0).reshape(3, 3))),
        tuple(t.histogramdd(wave(t, 9, 2), [2, 3], range=[0.0, 1.0, 0.0, 0.5])),
        tuple(t.histogramdd(wave(t, 9, 2), [t.tensor([-1.0, 0, 1]), t.tensor([0.0, 1])])),
    ],
    "histogramdd of a vector": lambda t: t.histogramdd(t.ones(3), [2]),
    "histogramdd bins": lambda t: t.histogramdd(t.ones(3, 2), [2]),
    "histogramdd range": lambda t: t.histogramdd(t.ones(3, 2), [2, 2], range=[0.0, 1.0]),
    "segments of nothing": lambda t: t.segment_reduce(t.ones(3), "sum"),
    "segments by indices": lambda t: t.segment_reduce(t.ones(3), "sum", indices=t.tensor([0])),
    "segment name": lambda t: t.segment_reduce(t.ones(3), "any", lengths=t.tensor([3])),
    "segments too short": lambda t: t.segment_reduce(t.ones(3), "sum", lengths=t.tensor([2])),
    "segments below zero": lambda t: t.segment_reduce(t.ones(3), "sum", lengths=t.tensor([-1, 4])),
    "segments of ints": lambda t: t.segment_reduce(t.tensor([1]), "sum", lengths=t.tensor([1])),
    "segment axis": lambda t: t.segment_reduce(t.ones(2, 3), "sum", lengths=t.tensor([3]), axis=1),
    "gradient order": lambda t: t.gradient(t.ones(3), edge_order=3),
    "gradient twice": lambda t: t.gradient(t.ones(3, 3), dim=(0, 0)),
    "gradient short": lambda t: t.gradient(t.ones(2), edge_order=2),
    "gradient spacings": lambda t: t.gradient(t.ones(3, 3), spacing=[1.0]),
    "gradient of bytes": lambda t: t.gradient(t.ones(3, dtype=t.uint8)),
    "gradient dim": lambda t: t.gradient(t.ones(3), dim=1),
    "batch_norm of nothing": lambda t: t.nn.functional.batch_norm(
        t.zeros(0), t.ones(1), t.ones(1), t.ones(1), t.ones(1)
    ),
    "stft needs": lambda t: t.stft(t.ones(9), 4),
    "stft frame": lambda t: t.stft(t.ones(9), 10, center=False, return_complex=True),
    "stft hop": lambda t: t.stft(t.ones(9), 4, hop_length=0, return_complex=True),
    "stft window": lambda t: t.stft(t.ones(9), 4, window=t.ones(3), return_complex=True),
    "stft sides": lambda t: t.stft(t.ones(9) * 1j, 4, onesided=True),
    "stft padding": lambda t: t.stft(t.ones(9), 4, pad_mode="none", return_complex=True),
    "stft too much padding": lambda t: t.stft(t.ones(3), 8, return_complex=True),
    "stft aligned": lambda t: t.stft(t.ones(9), 4, align_to_window=True, return_complex=True),
    "istft of reals": lambda t: t.istft(t.ones(3, 4), 4),
    "istft of a vector": lambda t: t.istft(t.ones(3) * 1j, 4),
    "istft frequencies": lambda t: t.istft(t.ones(3, 4) * 1j, 8),
    "istft hop": lambda t: t.istft(t.ones(3, 4) * 1j, 4, hop_length=5),
    "istft of nothing": lambda t: t.istft(t.ones(3, 0) * 1j, 4),
    "istft without overlap": lambda t: t.istft(t.ones(3, 4) * 1j, 4, window=t.zeros(4)),
    "scatter of a window": lambda t: t.as_strided_scatter(
        t.zeros(2, 3).t(), t.ones(2), (2,), (2,), 1
    ),
    "scatter of a window with a gradient": lambda t: t.as_strided_scatter(
        t.zeros(2, 3, requires_grad=True).t(), t.ones(2), (2,), (2,), 1
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact(name: str) -> None:
    agree(EXACT[name])


def _window(t: Any) -> Any:
    return t.tensor([0.5, 1.0, 0.25])


CLOSE: dict[str, Callable[[Any], Any]] = {
    "polar": lambda t: t.polar(t.tensor([[1.0], [0.0]]), t.tensor([0.5, -2.0])),
    "renorm": lambda t: [
        t.renorm(wave(t, 3, 4), p, dim, 0.5) for p in (0.5, 1, 2, INF) for dim in (0, -1)
    ],
    "renorm in place": lambda t: (wave(t, 3, 4) * (1 + 1j)).renorm_(2, 1, 0.5),
    "igamma": lambda t: [
        t.igamma(t.tensor([1.0, 4.0]), t.tensor([2.0, 1.0])),
        t.tensor([1.0, 4.0]).igammac_(t.tensor([2.0, 1.0])),
    ],
    "histogram densities": lambda t: tuple(t.histogram(wave(t, 20), 3, density=True)),
    "histogramdd densities": lambda t: t.histogramdd(wave(t, 9, 2), 2, density=True).hist,
    "segments": lambda t: [
        t.segment_reduce(wave(t, 6, 2), name, lengths=t.tensor([2, 0, 4]), initial=initial)
        for name in ("sum", "mean", "prod", "max", "min")
        for initial in (None, 0.25)
    ],
    "segments within": lambda t: t.segment_reduce(
        wave(t, 2, 3, 2), "mean", lengths=t.tensor([[1, 2], [3, 0]]), axis=1
    ),
    "segments from offsets": lambda t: t.segment_reduce(
        wave(t, 6), "sum", offsets=t.tensor([1, 2, 5])
    ),
    "gradient": lambda t: [
        t.gradient(wave(t, 4, 5)),
        t.gradient(wave(t, 4, 5), spacing=0.5, dim=1, edge_order=2),
        t.gradient(wave(t, 4, 5), spacing=[2.0, 0.25], edge_order=2),
        t.gradient(wave(t, 4, 5), spacing=[t.tensor([0.0, 1, 3, 4]), t.arange(5.0) ** 2]),
        t.gradient(wave(t, 4), spacing=[t.tensor([0.0, 1, 3, 4])], edge_order=2),
        t.gradient(t.tensor([1, 4, 9, 25])),
    ],
    "native norms": lambda t: [
        t.native_layer_norm(wave(t, 2, 3, 4), [3, 4], None, None, 0.1),
        t.native_group_norm(wave(t, 2, 4, 3), t.arange(4.0), None, 2, 4, 3, 2, 0.1),
        t.native_batch_norm(wave(t, 3, 2), None, None, None, None, True, 0.1, 0.1),
        t.native_batch_norm(wave(t, 3, 2), None, None, t.zeros(2), t.ones(2), False, 0.1, 0.1),
    ],
    "native norms of halves": lambda t: [
        x.float()
        for x in t.native_layer_norm(wave(t, 2, 4).bfloat16(), [4], t.ones(4), t.ones(4), 0.1)[1:]
    ],
    "softmax of masked rows": lambda t: t._safe_softmax(t.tensor([[1.0, 2.0], [-INF, -INF]]), 1),
    "softmax backward": lambda t: t._softmax_backward_data(
        wave(t, 2, 3), wave(t, 2, 3).softmax(1), 1, t.float32
    ),
    "stft": lambda t: [
        t.stft(wave(t, 2, 12), 6, return_complex=True),
        t.stft(wave(t, 12), 5, 2, 3, _window(t), return_complex=True),
        t.stft(wave(t, 12), 6, 2, center=False, normalized=True, return_complex=False),
        t.stft(wave(t, 12) * 1j, 6, onesided=False),
        t.stft(wave(t, 12), 6, 2, 3, center=False, align_to_window=True, return_complex=True),
        *[
            t.stft(wave(t, 12), 6, 2, 3, _window(t), pad_mode=mode, return_complex=True)
            for mode in ("constant", "replicate", "circular")
        ],
    ],
    "istft": lambda t: [
        t.istft(t.stft(wave(t, 2, 12), 6, return_complex=True), 6),
        t.istft(t.complex(wave(t, 4, 5), wave(t, 4, 5)), 6, 2, 5, t.arange(1.0, 6), length=7),
        t.istft(t.complex(wave(t, 4, 5), wave(t, 4, 5)), 6, 2, normalized=True, center=False),
        t.istft(t.stft(wave(t, 12) * 1j, 6), 6, return_complex=True),
    ],
}


@pytest.mark.parametrize("name", CLOSE)
def test_close(name: str) -> None:
    agree(CLOSE[name], tolerance=3e-6)


DIFFERENTIABLE: dict[str, Callable[[Any, Any], Any]] = {
    "frexp": lambda t, x: t.frexp(x).mantissa,
    "polar": lambda t, x: t.view_as_real(t.polar(x, x * 2)),
    "renorm": lambda t, x: t.renorm(x, 3, 0, 1.0),
    "gradient": lambda t, x: t.gradient(x, spacing=0.5, edge_order=2),
    "segments": lambda t, x: [
        t.segment_reduce(x, name, lengths=t.tensor([1, 3]), initial=initial)
        for name in ("sum", "mean", "prod", "max", "min")
        for initial in (None, 0.25)
    ],
    "native_group_norm": lambda t, x: t.native_group_norm(x, None, None, 2, 6, 1, 2, 0.1),
    "native_layer_norm": lambda t, x: t.native_layer_norm(x, [3], None, None, 0.1)[0],
    "stft": lambda t, x: t.view_as_real(t.stft(x, 2, 1, return_complex=True)),
    "istft": lambda t, x: t.istft(t.complex(x[:3], x[:3]), 4, window=x[0].abs().sum() + x[:, 0]),
    "masked index": lambda t, x: t._unsafe_masked_index(
        x, t.tensor([True, False]), [t.tensor([1, 9]), t.tensor([2, 0])], 5.0
    ),
    "masked index added": lambda t, x: t._unsafe_masked_index_put_accumulate(
        x, t.tensor([True, False, True]), [t.tensor([1, 9, 1]), t.tensor([0, 0, 0])], x[0]
    ),
    "safe softmax": lambda t, x: t._safe_softmax(
        t.where(t.tensor([[True], [False], [True], [False]]), x, -INF), 1
    ),
    "scatter of a window": lambda t, x: t.as_strided_scatter(x, x[0, :2] * 3, (2,), (2,), 1),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient(name: str) -> None:
    array = np.cos(np.arange(12.0) * 1.3).reshape(4, 3)
    gradients_agree(DIFFERENTIABLE[name], array, tolerance=1e-9)


def test_gradients_of_gradients() -> None:
    """The second derivative of a sum of squared frames is exact: the transforms are linear."""
    import rushlight as rl
    from rushlight.autograd import gradcheck, gradgradcheck

    x = rl.tensor(np.cos(np.arange(8.0)).tolist(), dtype=rl.float64).requires_grad_()
    lengths = rl.tensor([3, 5])
    for function in (
        lambda v: rl.view_as_real(rl.stft(v, 4, return_complex=True)).square(),
        lambda v: rl.segment_reduce(v, "prod", lengths=lengths),
        lambda v: rl.renorm(v.reshape(2, 4), 2, 0, 0.5),
        lambda v: rl.gradient(v * v, edge_order=2)[0],
    ):
        assert gradcheck(function, (x,)) and gradgradcheck(function, (x,))
