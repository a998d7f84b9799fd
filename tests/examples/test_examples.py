"""The programs in examples/, unchanged, under PyTorch and under the alias: same curves, same
weights.

In: a program and small sizes. Out: nothing, or an assertion that names the step. Each runs in
processes of its own, since a process has one `torch`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
# program -> (arguments for a quick run, arguments for a long one)
PROGRAMS: dict[str, tuple[str, str]] = {
    "char_gpt": (
        "--steps 30 --batch 8 --context 24 --width 32 --heads 2 --layers 2 --write 10 --lr 3e-3",
        "--steps 120",
    ),
    "mnist_conv": ("--steps 40 --width 8 --epochs 2", "--epochs 3"),
    "dcgan": ("--steps 40 --batch 32 --width 32 --lr 1e-3", "--steps 80 --lr 1e-3"),
    "vae": ("--steps 40 --hidden 32", "--steps 200"),
    "word_lstm": ("--steps 60 --width 32", "--steps 150"),
    "policy_gradient": ("--steps 20", "--steps 40"),
    "replay_dqn": ("--steps 60", "--steps 400"),
    "unet": ("--steps 15 --size 20 --width 4", "--steps 40 --bilinear"),
    "vision_transformer": (
        "--steps 40 --patch 4 --width 32 --heads 2 --layers 2 --lr 4e-3",
        "--steps 150 --patch 4",
    ),
    "gcn": ("--steps 60 --nodes 80", "--steps 200"),
}
# the quickest are compared in every run, all of them every night
QUICK = ("char_gpt", "gcn", "mnist_conv")
# what falls as the program learns, where that is not its loss
FALLING = {"policy_gradient": "episode"}
_LINE = re.compile(r"^step \d+ (.*)$", re.MULTILINE)


def start(command: list[str], name: str, arguments: str, saved: Path) -> subprocess.Popen[str]:
    """Start a program that keeps its weights in `saved`."""
    return subprocess.Popen(
        [*command, str(EXAMPLES / f"{name}.py"), *arguments.split(), "--save", str(saved)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def printed(program: subprocess.Popen[str]) -> dict[str, np.ndarray]:
    """What a program prints at every step, by name."""
    output, errors = program.communicate(timeout=600)
    assert program.returncode == 0, errors
    rows = [line.split() for line in _LINE.findall(output)]
    names = rows[0][::2]
    return {name: np.array([float(row[2 * i + 1]) for row in rows]) for i, name in enumerate(names)}


def weights(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint by their names, nested dictionaries joined by dots."""
    torch = pytest.importorskip("torch")
    found: dict[str, np.ndarray] = {}

    def add(prefix: str, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                add(f"{prefix}.{key}" if prefix else key, inner)
        else:
            found[prefix] = value.double().numpy()  # type: ignore[attr-defined]

    add("", torch.load(path, weights_only=True))
    return found


def compare(name: str, arguments: str, folder: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    paths = folder / "theirs.pt", folder / "ours.pt"
    commands = [sys.executable], [sys.executable, "-m", "rushlight", "run"]
    programs = [start(c, name, arguments, p) for c, p in zip(commands, paths, strict=True)]
    theirs, ours = (printed(program) for program in programs)
    falling = theirs[FALLING.get(name, "loss")]
    head, least = falling[:3].mean(), np.convolve(falling, np.ones(5) / 5, "valid").min()
    assert least < 0.8 * head, f"from {head} to {least} at best: nothing has been learnt"
    for column in theirs:
        np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-3, atol=1e-3)
    expected, made = weights(paths[0]), weights(paths[1])
    assert list(made) == list(expected)
    for key in expected:
        np.testing.assert_allclose(made[key], expected[key], rtol=1e-2, atol=2e-3, err_msg=key)


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.nightly) for n in PROGRAMS],
)
def test_same_curve_and_weights(name: str, tmp_path: Path) -> None:
    compare(name, PROGRAMS[name][0], tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("name", PROGRAMS)
def test_same_curve_and_weights_at_length(name: str, tmp_path: Path) -> None:
    compare(name, PROGRAMS[name][1], tmp_path)


def test_every_program_is_compared() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(PROGRAMS)
