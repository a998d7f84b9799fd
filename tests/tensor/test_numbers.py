"""Python numbers becoming tensors: what a dtype cannot hold is refused as PyTorch refuses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from agreement import agree

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
