"""All rows of the fuzzer, and those that a library can run."""

from __future__ import annotations

from types import ModuleType

from fuzz import rows_effects, rows_elementwise, rows_reduce, rows_shape
from fuzz.generator import Row, has

ROWS: tuple[Row, ...] = (
    *rows_elementwise.ROWS,
    *rows_shape.ROWS,
    *rows_reduce.ROWS,
    *rows_effects.ROWS,
)


def missing(library: ModuleType) -> list[str]:
    """The names that rows need and a library lacks."""
    return sorted({name for row in ROWS for name in row.needs if not has(library, name)})


def names() -> set[str]:
    """The public names that the rows exercise."""
    return {name for row in ROWS for name in row.names}
