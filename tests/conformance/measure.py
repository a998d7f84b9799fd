"""A whole run over the databases, and the failures that are known.

In: which databases and dtypes. Out: rows, as plain dicts `{"name", "columns", "reasons"}`, one for
each record; and the table of known failures, read from known_failures.txt.
"""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

from .pool import Pool, processors

DTYPES = ("float32", "float64", "int64", "bool", "bfloat16", "float16", "complex64")
KNOWN = Path(__file__).with_name("known_failures.txt")
# A record that gives no answer for so long hangs.
SECONDS = 240.0
Row = dict[str, Any]


class Run:
    """The children of one run; `environment` adds to theirs."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        self.pool = Pool(processors(), SECONDS, environment or {})

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.close()

    def operators(self, dtypes: tuple[str, ...], whole: bool = False) -> list[Row]:
        """All operators in some dtypes; `whole` adds gradient, strides and errors."""
        indices = self.pool.submit("conformance.work:operator_records").result()
        ask = "conformance.work:operator"
        return _rows({f"record {i}": self.pool.submit(ask, i, dtypes, whole) for i in indices})

    def classes(self, kind: str) -> list[Row]:
        """All modules, or all optimizers."""
        names = self.pool.submit("conformance.work:kinds").result()[kind]
        return _rows({n: self.pool.submit(f"conformance.work:{kind}", n) for n in names})


def _rows(futures: dict[str, Future[Any]]) -> list[Row]:
    """The answers; a record whose child died fails in a column of its own."""
    rows = []
    for name, future in futures.items():
        answer = future.result()
        if "crash" in answer:
            answer = {"name": name, "columns": {"crash": [0, 1]}, "reasons": dict(answer)}
        rows.append(answer)
    return rows


def failures(rows: list[Row]) -> dict[tuple[str, str], str]:
    """(name, column) -> the first reason, of every column in which a sample disagreed."""
    return {
        (row["name"], column): row["reasons"].get(column, "")
        for row in rows
        for column, (good, total) in row["columns"].items()
        if good < total
    }


def known() -> dict[tuple[str, str], str]:
    """(name, column) -> why it is not mended: one line each in known_failures.txt."""
    found = {}
    for line in KNOWN.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, columns, reason = (part.strip() for part in line.split("|"))
            found.update({(name, column): reason for column in columns.split()})
    return found
