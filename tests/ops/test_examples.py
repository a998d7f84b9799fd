"""The examples in the docstrings of rows and of public functions say what really comes out."""

from __future__ import annotations

import doctest
import io
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

import rushlight as rl
from rushlight.ops import load_families
from rushlight.ops.registry import TABLE

load_families()
MODULES = (
    "special",
    "tensor.functions.elementwise",
    "tensor.functions.normalization",
    "tensor.functions.reduction",
)


def documented() -> Iterator[tuple[str, str]]:
    """(name, docstring) of everything that shows an example."""
    for name, row in sorted(TABLE.items()):
        if row.__doc__ and ">>>" in row.__doc__:
            yield f"ops.{name}", row.__doc__
    for path in MODULES:
        module: Any = import_module(f"{rl.__name__}.{path}")
        for name, value in sorted(vars(module).items()):
            text = getattr(value, "__doc__", None) or ""
            if ">>>" in text and getattr(value, "__module__", "") == module.__name__:
                yield f"{path}.{name}", text


EXAMPLES = list(documented())


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_example(name: str, text: str) -> None:
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    report = io.StringIO()
    result = doctest.DocTestRunner(verbose=False).run(example, out=report.write)
    assert result.attempted
    assert not result.failed, report.getvalue()
