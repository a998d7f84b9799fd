"""What the planner makes of graphs: the values stay, the steps are the ones meant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import rushlight
from rushlight.engine import program as programs_
from rushlight.engine.program import Program


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


def kinds(programs: list[Program]) -> list[str]:
    return [step.kind for program in programs for step in program.plan.steps]


def computed(expression: Callable[[], rushlight.Tensor]) -> np.ndarray:
    return expression().detach().float().numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_a_matrix_times_a_vector_reads_the_matrix_as_it_lies(
    dtype: str, programs: list[Program]
) -> None:
    random = np.random.default_rng(0)
    matrix, vector = random.standard_normal((90, 133)), random.standard_normal(133)
    w = rushlight.tensor(matrix).to(getattr(rushlight, dtype)).clone()
    x = rushlight.tensor(vector).to(getattr(rushlight, dtype)).clone()
    rushlight._step_boundary()
    programs.clear()
    bound = 5e-2 if dtype == "bfloat16" else 1e-4
    for expression in (lambda: w @ x, lambda: x @ w.t(), lambda: x[None] @ w.t()):
        got = computed(expression).reshape(-1)
        assert np.allclose(got, matrix @ vector, atol=bound * 20, rtol=bound)
    assert "contract" not in kinds(programs)


@pytest.mark.parametrize(("rows", "thin"), [(2, True), (4, True), (5, False)])
def test_few_rows_read_the_matrix_as_it_lies(
    rows: int, thin: bool, programs: list[Program]
) -> None:
    x, w = rushlight.randn(rows, 133), rushlight.randn(90, 133)
    rushlight._step_boundary()
    programs.clear()
    assert np.allclose((x @ w.t()).numpy(), x.numpy() @ w.numpy().T, atol=1e-4)
    assert ("contract" not in kinds(programs)) == thin


@pytest.mark.parametrize(
    ("image", "kernel", "stride", "padding"),
    [(3, 2, 2, 0), (2, 2, 3, 1), (1, 1, 3, 1), (4, 3, 3, 0), (2, 2, 1, 0), (1, 1, 1, 0)],
)
def test_a_kernel_that_meets_one_window_reads_that_window_only(
    image: int, kernel: int, stride: int, padding: int
) -> None:
    """The weight's every element is used once or twice, but of the image only a part is read."""
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(2, 256, image, image))
    weight = numbers.normal(size=(48, 256, kernel, kernel))
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    expected = np.einsum("ncij,ocij->no", padded[:, :, :kernel, :kernel], weight)
    made = rushlight.nn.functional.conv2d(
        rushlight.tensor(x), rushlight.tensor(weight), stride=stride, padding=padding
    )
    assert made.shape == (2, 48, 1, 1)
    np.testing.assert_allclose(made.numpy().reshape(2, 48), expected, rtol=1e-10, atol=1e-10)


def test_a_sum_across_rows_stays_a_contraction(programs: list[Program]) -> None:
    x, w = rushlight.randn(1, 100), rushlight.randn(100, 200)
    rushlight._step_boundary()
    programs.clear()
    assert np.allclose((x @ w).numpy(), x.numpy() @ w.numpy(), atol=1e-4)
    assert "contract" in kinds(programs)


def test_the_operand_of_many_products_is_laid_out_once(programs: list[Program]) -> None:
    """A recurrent weight: one copy in panels, and no product packs it again."""
    weight = rushlight.randn(256, 256) / 16
    state = start = rushlight.randn(8, 256)
    rushlight._step_boundary()
    programs.clear()
    for _ in range(6):
        state = (state @ weight.t()).tanh()
    expected = start.numpy()
    for _ in range(6):
        expected = np.tanh(expected @ weight.numpy().T)
    assert np.allclose(state.numpy(), expected, atol=1e-4)
    copies = [
        step
        for program in programs
        for step in program.plan.steps
        if step.kernel is not None and step.kernel.parameters[0].size == weight.numel()
    ]
    assert len(copies) == 1


def test_stacked_gradients_lie_one_behind_the_other(programs: list[Program]) -> None:
    """The parts of a stack are written in runs, not element by element between each other."""
    a, b, c = (rushlight.randn(4, 8, 16) for _ in range(3))
    rushlight._step_boundary()
    programs.clear()
    stacked = rushlight.stack([a, b, c]).permute(1, 2, 0, 3).reshape(4, 8, 48)
    wanted = np.stack([a.numpy(), b.numpy(), c.numpy()]).transpose(1, 2, 0, 3).reshape(4, 8, 48)
    assert np.array_equal(stacked.numpy(), wanted)
    for program in programs:
        for step in program.plan.steps:
            assert step.kernel is None or "3*" not in str(step.kernel.body)
