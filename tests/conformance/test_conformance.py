"""PyTorch's own databases, run against rushlight: what fails is known, and what is known fails.

`pytest -m conformance` runs them; known_failures.txt lists what does not agree, with the reason.
`python -m conformance` (with tests/ on the path) writes the table in docs/conformance.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance import measure

pytestmark = pytest.mark.conformance
pytest.importorskip("torch")
pytest.importorskip("expecttest")  # PyTorch's databases import it


@pytest.fixture(scope="module")
def run() -> Iterator[measure.Run]:
    """The children, which keep their compiled kernels from test to test."""
    with measure.Run() as started:
        yield started


def compare(rows: list[measure.Row]) -> None:
    """Fails where a failure is not known, or a known one is gone."""
    measured = {(row["name"], column) for row in rows for column in row["columns"]}
    found, listed = measure.failures(rows), measure.known()
    new = [f"{name} | {column} | {found[name, column]}" for name, column in found.keys() - listed]
    gone = [f"{name} | {column}" for name, column in measured & listed.keys() - found.keys()]
    assert not new, "these fail and are not known to:\n" + "\n".join(sorted(new))
    assert not gone, "these pass: take them out of known_failures.txt:\n" + "\n".join(sorted(gone))


def test_operators_whole(run: measure.Run) -> None:
    """Values, gradients, strides and errors in float32; random numbers after a seed."""
    compare(run.operators(("float32",), whole=True))


def test_operators_within_bounds() -> None:
    """With every access of every kernel checked nothing else fails, so no kernel leaves its
    buffers.
    """
    with measure.Run(environment={"RUSHLIGHT_BOUNDS": "1"}) as checked:
        compare(checked.operators(("float32",), whole=True))


@pytest.mark.parametrize("dtype", measure.DTYPES[1:])
def test_operators_in(dtype: str, run: measure.Run) -> None:
    compare(run.operators((dtype,)))


@pytest.mark.parametrize("kind", ["module", "optimizer"])
def test_classes(kind: str, run: measure.Run) -> None:
    compare(run.classes(kind))
