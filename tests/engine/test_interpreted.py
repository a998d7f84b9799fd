"""The second opinion: programs by the NumPy meaning of their graphs, and programs checked by it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import rushlight as rl
from rushlight.base.errors import InternalError
from rushlight.base.settings import SETTINGS
from rushlight.engine.interpreted import Checked, Interpreted
from rushlight.engine.profile import COUNTERS
from rushlight.engine.program import Program
from rushlight.runtime.buffer import Buffer


@pytest.fixture
def checking() -> Iterator[None]:
    SETTINGS.check = "interp"
    yield
    SETTINGS.check = ""


@pytest.fixture
def interpreting() -> Iterator[None]:
    SETTINGS.interpret = True
    yield
    SETTINGS.interpret = False


def step() -> list[np.ndarray]:
    """A training step of a small convolutional net."""
    rl.manual_seed(1)
    net = rl.nn.Sequential(
        rl.nn.Conv2d(2, 5, 3),
        rl.nn.BatchNorm2d(5),
        rl.nn.ReLU(),
        rl.nn.Flatten(),
        rl.nn.Linear(45, 3),
    )
    optimizer = rl.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    loss = rl.nn.functional.cross_entropy(net(rl.randn(4, 2, 5, 5)), rl.tensor([0, 1, 2, 1]))
    loss.backward()
    optimizer.step()
    return [value.detach().numpy().copy() for value in net.state_dict().values()]


def test_the_interpreter_compiles_nothing(interpreting: None) -> None:
    before = COUNTERS.kernels
    x = rl.arange(37.0) * 1.25
    assert (x - 1).sum().item() == 37 * 36 / 2 * 1.25 - 37
    assert COUNTERS.kernels == before


def test_a_training_step_means_the_same() -> None:
    compiled = step()
    SETTINGS.interpret = True
    try:
        meant = step()
    finally:
        SETTINGS.interpret = False
    for x, y in zip(compiled, meant, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def test_a_checked_training_step_passes(checking: None) -> None:
    step()


def test_a_wrong_program_is_found(checking: None, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Program.run

    def wrong(self: Program, leaves: list[Buffer], scalars: list) -> list[Buffer]:
        made = honest(self, leaves, scalars)
        made[0].numpy("float32")[3] += 0.5
        return made

    monkeypatch.setattr(Program, "run", wrong)
    x = rl.ones(11) * 3
    with pytest.raises(InternalError) as caught:
        x.tolist()
    message = str(caught.value)
    assert "3.5 instead of 3.0 at [3]" in message and "1. kernel" in message


def test_each_switch_has_programs_of_its_own(checking: None) -> None:
    from rushlight.engine.flush import PROGRAMS

    def compute() -> list:
        return (rl.ones(13) * 7 - 2).tolist()

    compute()
    SETTINGS.check, SETTINGS.interpret = "", True
    try:
        compute()
    finally:
        SETTINGS.interpret = False
    compute()
    kinds = {type(program) for program in PROGRAMS.values()}
    assert kinds >= {Checked, Interpreted, Program}
