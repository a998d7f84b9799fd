"""Names of the torch namespace that stand on other functions and on methods, against PyTorch."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import agree

import rushlight as rl
from rushlight.tensor.functions.methods import NAMES

torch = pytest.importorskip("torch")


def wave(t: Any, *shape: int) -> Any:
    count = int(np.prod(shape))
    return (t.arange(float(count)) * 1.7).sin().reshape(shape)


def scores(t: Any) -> Any:
    return wave(t, 5, 2, 4).log_softmax(2)


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "losses": lambda t: [
        function(*tensors, reduction=reduction)
        for reduction in (0, 1, 2)
        for function, tensors in (
            (t.kl_div, (wave(t, 2, 3), wave(t, 2, 3).abs())),
            (t.binary_cross_entropy_with_logits, (wave(t, 4), wave(t, 4).abs())),
            (t.hinge_embedding_loss, (wave(t, 4), t.tensor([1, -1, 1, -1]))),
            (t.margin_ranking_loss, (wave(t, 2), t.ones(2), t.tensor([1, -1]))),
            (t.cosine_embedding_loss, (wave(t, 2, 3), t.ones(2, 3), t.tensor([1, -1]))),
            (t.triplet_margin_loss, (wave(t, 2, 3), t.ones(2, 3), t.zeros(2, 3))),
        )
    ],
    "losses by place": lambda t: [
        t.hinge_embedding_loss(wave(t, 4), t.tensor([1, -1, 1, -1]), 0.5, 2),
        t.triplet_margin_loss(wave(t, 2, 3), t.ones(2, 3), t.zeros(2, 3), 2.0, 1.0, 1e-6, True, 0),
        t.poisson_nll_loss(wave(t, 4), t.ones(4), True, False, 1e-8, 2),
        t.ctc_loss(scores(t), t.tensor([[1, 2], [3, 1]]), [5, 4], [2, 1], 0, 2),
    ],
    "loss by word": lambda t: t.kl_div(t.ones(2), t.ones(2), "sum"),
    "grid_sampler": lambda t: [
        t.grid_sampler(wave(t, 1, 1, 3, 3), wave(t, 1, 2, 2, 2), mode, padding, align)
        for mode, padding, align in ((0, 1, False), (1, 0, True), (2, 2, False))
    ],
    "grid_sampler_3d": lambda t: t.grid_sampler_3d(
        wave(t, 1, 1, 2, 2, 2), wave(t, 1, 2, 1, 1, 3), 0, 0, True
    ),
    "grid_sampler_2d of volumes": lambda t: t.grid_sampler_2d(
        wave(t, 1, 1, 2, 2, 2), wave(t, 1, 2, 1, 1, 3), 0, 0, True
    ),
    "affine_grid_generator": lambda t: t.affine_grid_generator(
        wave(t, 1, 2, 3), [1, 1, 2, 2], True
    ),
    "convolution": lambda t: [
        t.convolution(wave(t, 1, 2, 6), wave(t, 4, 1, 3), None, [2], [1], [1], False, [0], 2),
        t.convolution(
            wave(t, 1, 2, 3, 3), wave(t, 2, 1, 2, 2), wave(t, 1), [2, 2], [0], [1], True, [1, 1], 1
        ),
    ],
    "convolution of matrices": lambda t: t.convolution(
        t.ones(1, 1), t.ones(1, 1), None, [1], [0], [1], False, [0], 1
    ),
    "embedding_bag": lambda t: [
        part
        for mode in (1, 2)
        for padding in (None, 1)
        for part in t.embedding_bag(
            wave(t, 4, 3),
            t.tensor([0, 1, 2, 3]),
            t.tensor([0, 3]),
            False,
            mode,
            False,
            None,
            False,
            padding,
        )[: 3 if mode == 1 else 4]
    ],
    "embedding_renorm_": lambda t: t.embedding_renorm_(
        wave(t, 3, 2), t.tensor([2, 0, 2]), 0.5, 2.0
    ),
    "norm_except_dim": lambda t: [
        t.norm_except_dim(wave(t, 2, 3, 2), p, dim) for p in (1, 2) for dim in (0, 1, -1)
    ],
    "native_dropout": lambda t: [
        t.native_dropout(t.ones(3), 0.5, False),
        t.native_dropout(t.ones(3), 1.0, True),
    ],
    "of nn.functional": lambda t: [
        t.pdist(wave(t, 3, 2)),
        t.pairwise_distance(wave(t, 3, 2), t.ones(3, 2)),
        t.cosine_similarity(wave(t, 3, 2), t.ones(3, 2)),
        t.pixel_unshuffle(t.pixel_shuffle(wave(t, 1, 4, 2, 2), 2), 2),
        t.bilinear(wave(t, 2, 3), wave(t, 2, 2), wave(t, 4, 3, 2)),
    ],
    "range": lambda t: [
        t.range(1, 4),
        t.range(0, 1, 0.3),
        t.range(4, 1, -1),
        t.range(0, 3, dtype=t.int64),
    ],
    "range step": lambda t: t.range(0, 1, 0),
    "range sign": lambda t: t.range(1, 0),
    "range end": lambda t: t.range(3),
    "vander": lambda t: [
        t.vander(t.tensor([1, 2, 3]), N=count, increasing=increasing)
        for count in (None, 0, 1, 5)
        for increasing in (False, True)
    ],
    "vander of floats": lambda t: t.vander(t.tensor([1.5, 2.0]), 3),
    "vander of a matrix": lambda t: t.vander(t.ones(2, 2)),
    "vander below zero": lambda t: t.vander(t.ones(2), -1),
    "norms": lambda t: [
        t.frobenius_norm(wave(t, 2, 3), [0, 1]),
        t.frobenius_norm(wave(t, 2, 3), 1, True),
        t.nuclear_norm(wave(t, 2, 3)),
        t.nuclear_norm(wave(t, 2, 3, 2), [0, 2], True),
    ],
    "nuclear_norm of a stack": lambda t: t.nuclear_norm(t.ones(2, 2, 2)),
    "adjoint": lambda t: [
        t.adjoint(t.tensor([[1 + 2j, 3.0]])).resolve_conj(),
        t.tensor(1.0).adjoint(),
    ],
    "adjoint of a vector": lambda t: t.adjoint(t.ones(2)),
    "numbers": lambda t: [
        t.sym_int(-2.7),
        t.sym_float(2),
        t.sym_not(True),
        t.sym_max(1, 2.0),
        t.sym_min(1, 2.0),
        t.sym_sqrt(4),
        t.sym_sum([1, 2]),
        t.sym_ite(False, 1, 2),
    ],
    "elements": lambda t: [
        t.tensor([1.0, 2.0]).apply_(lambda v: v * 3),
        t.ones(2, 2).t().map_(t.arange(4.0).reshape(2, 2), lambda a, b: a - b),
        t.tensor([1, 2]).map2_(t.tensor([3, 4]), t.tensor([5, 6]), lambda a, b, c: a * b + c),
    ],
    "elements of a leaf": lambda t: t.ones(2, requires_grad=True).apply_(lambda v: v),
    "frombuffer": lambda t: [
        t.frombuffer(bytearray(range(8)), dtype=t.int16),
        t.frombuffer(bytearray(range(8)), dtype=t.int32, count=1, offset=4),
        t.frombuffer(bytearray(range(8)), dtype=t.bfloat16),
    ],
    **{
        f"frombuffer {case}": lambda t, case=case: t.frombuffer(
            case.get("buffer", bytearray(8)),
            dtype=t.int32,
            **{k: v for k, v in case.items() if k != "buffer"},
        )
        for case in (
            {"offset": 3},
            {"offset": 8},
            {"count": 0},
            {"count": 3},
            {"buffer": 5},
            {"buffer": b""},
        )
    },
    "asarray": lambda t: [
        t.asarray([1, 2], dtype=t.float32),
        t.asarray(np.arange(3.0)),
        t.asarray(bytearray([1, 0, 0, 0]), dtype=t.int32),
        t.asarray(t.ones(2, requires_grad=True) * 2).requires_grad,
        t.asarray(t.ones(2), requires_grad=True).requires_grad,
        t.asarray(t.arange(6, dtype=t.uint8).untyped_storage()[1:5], dtype=t.uint8),
        t.asarray(t.arange(3).untyped_storage()),
    ],
    "asarray must copy": lambda t: t.asarray([1, 2], copy=False),
    "methods": lambda t: [
        t.fill_(t.zeros(2), 3),
        t.clamp_(t.tensor([-1.0, 2.0]), 0, 1),
        t.index_put_(t.zeros(3), (t.tensor([1]),), t.tensor(4.0)),
        t.resize_as_(t.ones(4), t.ones(2)),
        t.as_strided_(t.arange(4.0), (2,), (2,)),
        t.conj_physical_(t.tensor([1 + 2j])),
        t.i0_(t.tensor([0.0])),
        t.is_signed(t.ones(1)),
        t.is_same_size(t.ones(1), t.ones(2)),
        t.get_device(t.ones(1)),
        t.detach(t.ones(1, requires_grad=True)).requires_grad,
        t.ones(2, 3).swapaxes_(0, 1),
        t.is_storage(t.ones(1).untyped_storage()),
        t.is_storage(t.ones(1)),
    ],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_agrees(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree(PROGRAMS[name], tolerance=2e-6, strides=name != "embedding_bag")


@pytest.mark.parametrize("name", NAMES)
def test_functions_of_methods_are_there_in_both(name: str) -> None:
    assert callable(getattr(torch, name)) and callable(getattr(rl, name))
    with pytest.raises(TypeError, match=name):
        getattr(rl, name)(3)


def test_memory_is_shared(tmp_path: Path) -> None:
    buffer = bytearray(8)
    rl.frombuffer(buffer, dtype=rl.int32)[1] = 257
    assert bytes(buffer) == bytes([0, 0, 0, 0, 1, 1, 0, 0])
    array = np.zeros(2)
    rl.asarray(array)[0] = 5.0
    assert array[0] == 5
    assert rl.asarray(array, copy=True).fill_(9).sum() == 18 and array[1] == 0
    numbers = rl.arange(4, dtype=rl.uint8)
    rl.asarray(numbers.untyped_storage()[1:3], dtype=rl.uint8)[0] = 7
    assert numbers.tolist() == [0, 7, 2, 3]
    path = tmp_path / "numbers"
    shared = rl.from_file(str(path), shared=True, size=3, dtype=rl.int16)
    shared.copy_(rl.tensor([1, 2, 3]))
    again = rl.from_file(str(path), size=2, dtype=rl.int16)
    assert again.tolist() == [1, 2]
    again.fill_(0)
    assert rl.from_file(str(path), size=3, dtype=rl.int16).tolist() == [1, 2, 3]
    with pytest.raises(RuntimeError, match="unable to map"):
        rl.from_file(str(path), size=9, dtype=rl.int16)


def test_operators_by_name() -> None:
    x = rl.tensor([[1.0, 2.0]])
    for found in (rl.ops.aten, rl.torch.ops.aten):
        assert found.add.Tensor(x, x, alpha=2).tolist() == [[3.0, 6.0]]
        assert found._safe_softmax.default(x, 1).sum().item() == pytest.approx(1)
        assert found.add is not None and found.add == found.add and found.add != found.mul
        with pytest.raises(AttributeError):
            found.no_such_operator
    assert rl.torch.Tensor is rl.Tensor


def test_functions_find_their_rows_in_a_fresh_process() -> None:
    """Families of rows are loaded when they are first needed, whoever needs them first."""
    program = (
        "import rushlight as rl\n"
        "x = rl.ones(3)\n"
        "assert rl.allclose(x, x) and rl.equal(x, x)\n"
        "assert rl.isin(x, x).all()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
