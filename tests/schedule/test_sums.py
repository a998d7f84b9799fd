"""A weight that many steps use gets its gradient by one product over all of them."""

from __future__ import annotations

import numpy as np
import pytest

import rushlight as rl
from rushlight.engine import program as programs_
from rushlight.engine.program import Program
from rushlight.kernel.contraction import Contraction
from rushlight.kernel.printer import text

ROWS, WIDTH = 8, 96


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[Program]:
    """The programs that the test builds."""
    made: list[Program] = []
    usual = programs_.build

    def watched(entries: list, wanted: list) -> object:
        program = usual(entries, wanted)
        made.append(program)
        return program

    monkeypatch.setattr(programs_, "build", watched)
    return made


def gradients(steps: int, dtype: rl.dtype = rl.float32) -> tuple[list[np.ndarray], np.ndarray]:
    """(gradients of weight, bias and x, the same weight's gradient by NumPy) of a recurrence."""
    random = np.random.default_rng(steps)
    w0 = random.standard_normal((WIDTH, WIDTH)) / 10
    x0 = random.standard_normal((steps, ROWS, WIDTH))
    w, b, x = (
        rl.tensor(value, dtype=dtype, requires_grad=True) for value in (w0, np.zeros(WIDTH), x0)
    )
    rl._step_boundary()
    recurrence(w, b, x).square().sum().backward()
    got = [p.grad.double().numpy() for p in (w, b, x)]

    h = [np.zeros((ROWS, WIDTH))]
    for t in range(steps):
        h.append(np.tanh(h[-1] @ w0.T + x0[t]))
    back, total = np.zeros((ROWS, WIDTH)), np.zeros((WIDTH, WIDTH))
    for t in reversed(range(steps)):
        inside = (back + 2 * h[t + 1]) * (1 - h[t + 1] ** 2)
        total += inside.T @ h[t]
        back = inside @ w0
    return got, total


def recurrence(w: rl.Tensor, b: rl.Tensor, x: rl.Tensor) -> rl.Tensor:
    """All states of h' = tanh(w h + b + x); nobody holds a single one afterwards."""
    states = [rl.zeros(ROWS, WIDTH, dtype=w.dtype)]
    for row in x.unbind():
        states.append(rl.tanh(rl.nn.functional.linear(states[-1], w, b) + row))
    return rl.cat(states[1:])


def weight_sums(programs: list[Program]) -> list[Contraction]:
    """The contractions that sum over rows into something as large as the weight."""
    steps = [step.contraction for program in programs for step in program.plan.steps]
    return [
        spec
        for spec in steps
        if spec is not None and np.prod([a.extent for a in spec.axes if a.c]) == WIDTH * WIDTH
    ]


@pytest.mark.parametrize("dtype", [rl.float32, rl.float64])
def test_one_product_for_all_steps(dtype: rl.dtype, programs: list[Program]) -> None:
    (weight, _, _), want = gradients(12, dtype)
    assert np.allclose(weight, want, atol=1e-4)
    (spec,) = weight_sums(programs)
    assert spec.multiplications == 12 * ROWS * WIDTH * WIDTH


def test_few_products_stay_as_they_are(programs: list[Program]) -> None:
    (weight, _, _), want = gradients(3)
    assert np.allclose(weight, want, atol=1e-4)
    assert len(weight_sums(programs)) == 3


def test_narrow_sums_are_rounded_at_each_addition(programs: list[Program]) -> None:
    """In bfloat16 an addition rounds: joining would change what is meant."""
    gradients(6, rl.bfloat16)
    assert len(weight_sums(programs)) == 6


def test_pieces_are_computed_in_place(programs: list[Program]) -> None:
    """The states and their gradients are written where the products read them."""
    gradients(40)
    kernels = [
        text(step.kernel)
        for program in programs
        for step in program.plan.steps
        if step.kernel is not None and [node.op for node in step.nodes] == ["tanh"]
    ]
    # Each state is computed once, and copied once: the products read them a step apart.
    assert sum("tanh(" in kernel for kernel in kernels) == 40
    assert sum("tanh(" not in kernel for kernel in kernels) <= 40


def test_lengths_that_differ(programs: list[Program]) -> None:
    """Packed sequences: later steps have fewer rows."""
    random = np.random.default_rng(0)
    w = rl.tensor(random.standard_normal((WIDTH, WIDTH)), requires_grad=True)
    parts = [rl.tensor(random.standard_normal((n, WIDTH))) for n in (9, 7, 4, 4, 2, 1)]
    rl._step_boundary()
    total = sum((part @ w).square().sum() for part in parts)
    total.backward()
    want = sum(2 * p.numpy().T @ (p.numpy() @ w.detach().numpy()) for p in parts)
    assert np.allclose(w.grad.numpy(), want)
