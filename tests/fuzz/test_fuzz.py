"""Random programs agree with PyTorch: values, dtypes, shapes, strides, gradients, error types.

A failure prints the smallest program that still fails; `pytest tests/fuzz --seed-base=N` starts at
another seed. `pytest -m nightly tests/fuzz` runs 10,000 programs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import rushlight
from rushlight.base.settings import SETTINGS

torch = pytest.importorskip("torch")

from fuzz.compare import compare_arrays, difference, shrink  # noqa: E402
from fuzz.generator import Generator  # noqa: E402
from fuzz.program import Outcome, Program, run  # noqa: E402
from fuzz.rows import ROWS, missing, names  # noqa: E402

LINES = 25
PROGRAMS = 240
NIGHTLY_PROGRAMS = 10_000
CHUNK = 20


def program(seed: int, lines: int = LINES) -> Program:
    return Generator(seed, torch, ROWS).program(lines)


def disagreement(subject: Program) -> str | None:
    """How rushlight's run of a program differs from PyTorch's; None where it does not."""
    try:
        theirs = run(subject, torch)
    except Exception:  # a shrunk program may fail where the whole one did not: not what we look for
        return None
    try:
        own = run(subject, rushlight)
    except Exception as error:
        return f"rushlight: {type(error).__name__}: {error}"
    return difference(subject, own, theirs)


def check(seed: int) -> None:
    subject = program(seed)
    if disagreement(subject) is not None:
        small = shrink(subject, lambda candidate: disagreement(candidate) is not None)
        pytest.fail(f"seed {seed}\n{small.source()}\n--> {disagreement(small)}", pytrace=False)


def test_the_rows_cover_the_library() -> None:
    assert len(names()) > 150
    assert missing(rushlight) == []
    assert missing(torch) == []


@pytest.mark.parametrize("first", range(0, PROGRAMS, CHUNK))
def test_programs_agree(first: int, seed_base: int) -> None:
    for seed in range(seed_base + first, seed_base + first + CHUNK):
        check(seed)


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(0, NIGHTLY_PROGRAMS, 100))
def test_ten_thousand_programs_agree(first: int, seed_base: int) -> None:
    for seed in range(seed_base + 10**6 + first, seed_base + 10**6 + first + 100):
        check(seed)


def test_the_same_seed_makes_the_same_program() -> None:
    assert program(3) == program(3)
    assert program(3) != program(4)


def test_a_difference_is_found_and_shrunk() -> None:
    """The comparison sees a wrong value, and what is left of the program is what makes it."""
    subject = program(5)
    theirs = run(subject, torch)
    name, array = next((n, a) for n, a in theirs.values.items() if a.size and a.dtype.kind == "f")
    changed = Outcome(theirs.lines, {}, theirs.observed, dict(theirs.values), theirs.gradients)
    changed.values[name] = array + 1
    found = difference(subject, changed, theirs)
    assert found is not None and name in found

    def makes_it(candidate: Program) -> bool:
        return any(name in statement.defines for statement in candidate.statements)

    small = shrink(subject, makes_it)
    assert makes_it(small) and len(small.statements) < len(subject.statements)


@contextmanager
def switched(**switches: Any) -> Iterator[None]:
    """Settings changed for a while."""
    before = {name: getattr(SETTINGS, name) for name in switches}
    for name, value in switches.items():
        setattr(SETTINGS, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(SETTINGS, name, value)


def results(subject: Program, before_line: Callable[[int], None] | None = None) -> Outcome:
    return run(subject, rushlight, before_line)


def same_bits(own: Outcome, other: Outcome) -> str | None:
    """The first value or gradient of which a bit differs."""
    for kind in ("values", "gradients"):
        for name, array in getattr(other, kind).items():
            mine = getattr(own, kind)[name]
            if (mine is None) != (array is None):
                return f"{kind} {name}: one is missing"
            if array is not None and mine.tobytes() != array.tobytes():
                return f"{kind} {name}: {compare_arrays(mine, array, 0.0)}"
    return None


@pytest.mark.parametrize("seed", range(24))
def test_the_interpreter_agrees(seed: int, seed_base: int) -> None:
    """Compiled programs against the NumPy meaning of their graphs."""
    subject = program(seed_base + 5000 + seed)
    own = results(subject)
    with switched(interpret=True):
        meaning = results(subject)
    assert difference(subject, own, meaning) is None, subject.source()


ELEMENTWISE = tuple(
    row
    for row in ROWS
    if not {"matmul", "sum", "var", "prod", "cumsum", "kron", "trace", "backward", "grad", "numpy"}
    & set(row.names)
    and not any(name.startswith("nn.functional.") for name in row.needs)
    and not any(name.startswith(("index_add", "scatter")) for name in row.names)
    and row.names
)


@pytest.mark.parametrize("seed", range(24))
def test_no_bit_depends_on_where_the_flush_falls(seed: int, seed_base: int) -> None:
    """Elementwise programs of all dtypes: fused, unfused, and flushed at random lines."""
    subject = Generator(seed_base + 7000 + seed, torch, ELEMENTWISE).program(LINES)
    whole = results(subject)
    with switched(eager=True):
        unfused = results(subject)
    assert same_bits(unfused, whole) is None, subject.source()
    chance = random.Random(seed)

    def sometimes(line: int) -> None:
        if chance.random() < 0.3:
            rushlight._step_boundary()

    assert same_bits(results(subject, sometimes), whole) is None, subject.source()


def test_low_precision_rounds_after_every_operation() -> None:
    """A chain that would differ if anything were kept in higher precision or contracted."""
    random_ = np.random.default_rng(0)
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        arrays = [random_.standard_normal(1000).astype(np.float32) for _ in range(3)]

        def chain(library: Any, dtype: str = dtype, arrays: list = arrays) -> Any:
            a, b, c = (library.tensor(x).to(getattr(library, dtype)) for x in arrays)
            return ((a * b + c) * a - b * c + a).double()

        assert np.array_equal(chain(rushlight).numpy(), chain(torch).numpy()), dtype
