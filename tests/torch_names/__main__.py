"""Run every program under PyTorch and the alias, and write docs/torch_names.md."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import torch

import rushlight

from . import page, programs


def passes(row: programs.Name) -> bool:
    """Whether a row's program agrees; what differs is printed."""
    try:
        if not programs.spells(row):
            raise AssertionError("the program does not spell the name")
        programs.check(programs.run(row, rushlight.torch), programs.run(row, torch))
    except Exception as error:
        first = str(error).partition("\n")[0]
        print(f"{row.name}: {type(error).__name__}: {first}", file=sys.stderr)
        return False
    return True


def main() -> int:
    """Returns how many programs failed, at most 1."""
    warnings.simplefilter("ignore")
    rows = programs.read()
    run = [row for row in rows if row.program]
    working = {row.name for row in run if passes(row)}
    text = page.render(rows, working)
    target = Path(__file__).parents[2] / "docs" / "torch_names.md"
    target.write_text(text, encoding="utf-8")
    print(f"{target}: {len(working)} of {len(run)} programs agree")
    return int(len(working) < len(run))


if __name__ == "__main__":
    sys.exit(main())
