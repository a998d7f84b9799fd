"""Python numbers becoming tensors: what a dtype cannot hold is refused as PyTorch refuses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import agree

import rushlight as rl

BIG = 2**63

PROGRAMS: list[Callable[[Any], Any]] = [
    lambda m: m.tensor([300], dtype=m.uint8),
    lambda m: m.tensor([-1], dtype=m.uint8),
    lambda m: m.tensor([-256], dtype=m.uint8),
    lambda m: m.tensor([2**40], dtype=m.int32),
    lambda m: m.tensor(1e10, dtype=m.int32),
    lambda m: m.tensor([float("nan")], dtype=m.int64),
    lambda m: m.tensor([1.5, -1.5], dtype=m.int8),
    lambda m: m.tensor([1j], dtype=m.float32),
    lambda m: m.tensor([1j], dtype=m.int32),
    lambda m: m.tensor(BIG),
    lambda m: m.tensor([BIG, 1]),
    lambda m: m.tensor([BIG + 5], dtype=m.uint64).tolist(),
    lambda m: m.tensor([2**64], dtype=m.uint64),
    lambda m: m.tensor([-1], dtype=m.uint64),
    lambda m: m.tensor([2**70], dtype=m.float32),
    lambda m: m.tensor([70000.0], dtype=m.float16),
    lambda m: m.tensor([300, 0], dtype=m.bool),
    lambda m: m.full((2,), 300, dtype=m.uint8),
    lambda m: m.full((2,), -3, dtype=m.int8),
    lambda m: m.zeros(2, dtype=m.uint8).fill_(300),
    lambda m: m.zeros(2, dtype=m.int32).fill_(2.7),
    lambda m: m.zeros(2, dtype=m.int32).copy_(2.7),
    lambda m: m.zeros(2).copy_(True),
    lambda m: m.ones(2, dtype=m.bool) ** True,
    lambda m: m.zeros(2, dtype=m.bool) ** False,
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_numbers(program: Callable[[Any], Any]) -> None:
    agree(program)


def test_sizes_hold_integers_only() -> None:
    assert repr(rl.Size([True, rl.tensor(2), np.int64(3)])) == "torch.Size([1, 2, 3])"
    for wrong, kind in ([1, 1.5], "item 1 is 'float'"), ("ab", "item 0 is 'str'"):
        with pytest.raises(TypeError, match=f"iterable of 'int'.*{kind}"):
            rl.Size(wrong)


def test_factors_of_a_kind_above_the_result_are_refused() -> None:
    whole, mask = rl.ones(2, dtype=rl.int64), rl.tensor([True, False])
    for call, words in [
        (lambda: rl.add(whole, 1, alpha=2.0), "must not be a floating point number"),
        (lambda: rl.sub(whole, whole, alpha=1.0), "must not be a floating point number"),
        (lambda: rl.add(rl.ones(2), 1, alpha=1j), "must not be a complex number"),
        (lambda: whole.add_(1, alpha=True), "Boolean alpha only supported"),
    ]:
        with pytest.raises(RuntimeError, match=words):
            call()
    assert rl.add(mask, mask, alpha=2).tolist() == [True, False]
    assert rl.add(whole, 1.5, alpha=2.5).tolist() == [4.75, 4.75]


def test_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="too many dimensions 'str'"):
        rl.tensor(["a"])
    with pytest.raises(RuntimeError, match="Could not infer dtype of NoneType"):
        rl.tensor([None])
    assert float(rl.tensor(1 + 0j)) == 1.0
    with pytest.raises(RuntimeError, match="cannot be converted to type double"):
        float(rl.tensor(1j))
