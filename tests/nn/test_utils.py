"""Clipping, parameter vectors, packed sequences, fusion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rushlight as rl
from rushlight import nn
from rushlight.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
)


def with_gradient(*values: float) -> nn.Parameter:
    parameter = nn.Parameter(rl.zeros(len(values)))
    parameter.grad = rl.tensor(values)
    return parameter


def test_clip_norm_scales_all_gradients_together() -> None:
    parameters = [with_gradient(3.0), with_gradient(0.0, 4.0), nn.Parameter(rl.zeros(1))]
    total = nn.utils.clip_grad_norm_(parameters, 1.0)
    assert float(total) == pytest.approx(5.0)
    assert parameters[0].grad.tolist() == pytest.approx([0.6], abs=1e-5)
    assert parameters[1].grad.tolist() == pytest.approx([0.0, 0.8], abs=1e-5)
    nn.utils.clip_grad_norm_(parameters, 100.0)
    assert parameters[0].grad.tolist() == pytest.approx([0.6], abs=1e-5)
    assert float(nn.utils.clip_grad_norm_(parameters, 1.0, float("inf"))) == pytest.approx(0.8)


def test_clip_norm_of_infinities() -> None:
    parameter = with_gradient(float("inf"))
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(parameter, 1.0, error_if_nonfinite=True)


def test_clip_value() -> None:
    parameter = with_gradient(3.0, -4.0, 0.5)
    nn.utils.clip_grad_value_(parameter, 1.0)
    assert parameter.grad.tolist() == [1.0, -1.0, 0.5]


def test_parameter_vector_round_trip() -> None:
    layer = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(layer.parameters())
    assert vector.numel() == 9
    nn.utils.vector_to_parameters(rl.arange(9.0), layer.parameters())
    assert layer.bias.tolist() == [6.0, 7.0, 8.0]
    assert nn.utils.parameters_to_vector(layer.parameters()).tolist() == list(range(9))


def test_fused_batch_norm() -> None:
    conv, norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
    x = rl.randn(2, 2, 5, 5)
    norm(conv(x))
    conv.eval()
    norm.eval()
    fused = nn.utils.fuse_conv_bn_eval(conv, norm)
    np.testing.assert_allclose(fused(x).detach().numpy(), norm(conv(x)).detach().numpy(), atol=1e-5)


def test_packing_matches_the_original() -> None:
    torch = pytest.importorskip("torch")
    rows = [np.arange(2 * n, dtype=np.float32).reshape(n, 2) + n for n in (2, 4, 1)]
    want = torch.nn.utils.rnn.pack_sequence([torch.from_numpy(r) for r in rows], False)
    got = pack_sequence([rl.from_numpy(r) for r in rows], enforce_sorted=False)
    for theirs, mine in zip(want, got, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    padded, lengths = pad_packed_sequence(got, padding_value=-1.0, total_length=5)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(want, False, -1.0, 5)
    np.testing.assert_array_equal(padded.numpy(), expected.numpy())
    assert lengths.tolist() == [2, 4, 1]
    for original, back in zip(rows, unpack_sequence(got), strict=True):
        np.testing.assert_array_equal(back.numpy(), original)


def test_padding_sides_and_errors() -> None:
    rows = [rl.tensor([1.0, 2.0]), rl.tensor([3.0])]
    assert pad_sequence(rows, True, 9.0, "left").tolist() == [[1.0, 2.0], [9.0, 3.0]]
    assert pad_sequence(rows).shape == (2, 2)
    with pytest.raises(RuntimeError, match="padding_side"):
        pad_sequence(rows, padding_side="top")
    with pytest.raises(RuntimeError, match="sorted in decreasing order"):
        pack_padded_sequence(rl.zeros(3, 2), [1, 3])
    with pytest.raises(RuntimeError, match="greater than 0"):
        pack_padded_sequence(rl.zeros(3, 2), [1, 0])
    packed = pack_padded_sequence(rl.zeros(3, 2), [3, 1])
    with pytest.raises(ValueError, match="total_length to be at least"):
        pad_packed_sequence(packed, total_length=2)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_recurrent_layers_take_packed_sequences(kind: str, enforce_sorted: bool) -> None:
    torch = pytest.importorskip("torch")
    lengths = [4, 3, 1] if enforce_sorted else [3, 1, 4]
    values = np.random.default_rng(0).standard_normal((4, 3, 2)).astype(np.float32)

    def run(library: Any, pack: Any, unpack: Any) -> list[Any]:
        library.manual_seed(0)
        layer = getattr(library.nn, kind)(2, 3, num_layers=2, bidirectional=True)
        x = library.from_numpy(values.copy()).requires_grad_(True)
        output, state = layer(pack(x, lengths, enforce_sorted=enforce_sorted))
        padded, _ = unpack(output)
        states = state if isinstance(state, tuple) else (state,)
        (padded.sum() + sum((s * s).sum() for s in states)).backward()
        return [padded, *states, x.grad, layer.weight_hh_l0.grad]

    theirs = torch.nn.utils.rnn
    want = run(torch, theirs.pack_padded_sequence, theirs.pad_packed_sequence)
    got = run(rl, pack_padded_sequence, pad_packed_sequence)
    for expected, actual in zip(want, got, strict=True):
        np.testing.assert_allclose(
            actual.detach().numpy(), expected.detach().numpy(), atol=2e-5, rtol=1e-4
        )


def test_packed_sequence_converts() -> None:
    packed = pack_sequence([rl.tensor([1.0, 2.0])])
    assert isinstance(packed.double(), PackedSequence)
    assert packed.double().data.dtype == rl.float64
    assert packed.to("cpu") is packed or packed.to("cpu").data.dtype == rl.float32


def test_skip_init_draws_nothing() -> None:
    rl.manual_seed(5)
    expected = rl.rand(3).tolist()
    rl.manual_seed(5)
    layer = nn.utils.skip_init(nn.Linear, 3, 4)
    assert layer.weight.shape == (4, 3)
    assert rl.rand(3).tolist() == expected
