"""What tells two calls, nodes or kernels apart: numbers that are equal and yet not the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import rushlight as rl
from rushlight.engine import flush
from rushlight.engine.target import code_key
from rushlight.kernel.ir import Kernel, Let, Loop
from rushlight.tensor.dispatch import SIGNATURES


def padded(value: float) -> rl.Tensor:
    return rl.nn.functional.pad(rl.ones(2), (1, 0), value=value)


def test_the_sign_of_a_static_zero_is_kept_within_one_program() -> None:
    plus, minus = padded(0.0), padded(-0.0)
    assert not np.signbit(plus.numpy()[0])
    assert np.signbit(minus.numpy()[0])


def test_the_sign_of_a_static_zero_is_kept_between_programs() -> None:
    assert [bool(np.signbit(padded(v).numpy()[0])) for v in (0.0, -0.0, 0.0)] == [
        False,
        True,
        False,
    ]


def test_kernels_that_differ_in_the_sign_of_a_zero_are_not_one() -> None:
    def kernel(number: float) -> Kernel:
        body = (Let("v1", "const", (), "float32", (number,)),)
        return Kernel("", (), (), (Loop("i", 4, body),), 1, 64)

    assert kernel(0.0) == kernel(-0.0)
    assert code_key(kernel(0.0)) != code_key(kernel(-0.0))


def test_a_static_nan_is_one_signature() -> None:
    padded(float("nan"))
    before = len(SIGNATURES)
    padded(float("nan"))
    assert len(SIGNATURES) == before


@pytest.mark.parametrize(
    "function",
    [
        lambda x, dim: x.sum(dim),
        lambda x, dim: x.softmax(dim),
        lambda x, dim: x.cumsum(dim),
        lambda x, dim: x.amax((dim,)),
    ],
)
def test_a_tensor_given_as_a_number_stands_for_what_it_holds_now(function: Callable) -> None:
    x, dim = rl.arange(12.0).reshape(3, 4), rl.tensor(0)
    for number in (0, 1):
        dim.fill_(number)
        assert function(x, dim).tolist() == function(x, number).tolist()


def test_programs_are_forgotten_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "PROGRAMS", {})
    monkeypatch.setattr(flush, "LIMIT_ENTRIES", 40)
    x = rl.ones(100)
    for length in range(1, 30):
        assert (x[:length] * 2).sum().item() == 2 * length
    assert 1 < len(flush.PROGRAMS) < 29
    assert sum(len(key[0]) for key in flush.PROGRAMS) <= 40
