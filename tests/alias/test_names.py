"""Every torch name that two packages use, run: its program under PyTorch and under the alias.

In: the rows of `torch_names/names.tsv`. Out: a failed test names the row. An eighth of the rows
runs in every session, all of them in the nightly group.
"""

from __future__ import annotations

import warnings

import pytest
from torch_names import programs
from torch_names.page import shares, working_of

import rushlight
from rushlight.alias.surface import reason_left_out

ROWS = programs.read()
RUN = [row for row in ROWS if row.program]


def test_each_name_once_and_each_program_spells_its_name() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert [row.name for row in RUN if not programs.spells(row)] == []


def test_enough_names_have_a_program() -> None:
    found = shares(ROWS, working_of(RUN))
    assert found.symbols[0] / found.symbols[1] >= 0.95
    assert found.uses[0] / found.uses[1] >= 0.985


def test_a_program_of_another_name_is_found_out() -> None:
    row = programs.Name("torch.Tensor.abs", 2, 2, "x.absolute()")
    assert not programs.spells(row)
    assert not programs.spells(programs.Name("torch.relu", 2, 2, "F.torch.relu6(x)"))
    with pytest.raises(AssertionError, match="against"):
        programs.check(1, 2)
    with pytest.raises(AssertionError, match="no error"):
        programs.raises(lambda: 1)


def test_left_out_names_are_few() -> None:
    assert sum(reason_left_out(row.name) is not None for row in ROWS) < 100


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=() if place % 8 == 0 else pytest.mark.nightly)
        for place, row in enumerate(RUN)
    ],
)
def test_name(row: programs.Name) -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = programs.run(row, torch)
        programs.check(programs.run(row, rushlight.torch), theirs, row.name)
