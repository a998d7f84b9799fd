"""The Python array API standard through `array_api_compat`, with rushlight in PyTorch's place."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rushlight as rl

PROGRAM = Path(__file__).with_name("array_api_program.py")
PAGE = Path(__file__).parents[2] / "docs" / "array_api.md"
# PyTorch's meaning, which is not the standard's; docs/array_api.md says why for each.
APART = {"eye", "fftfreq", "linspace", "rfftfreq", "unique_all int64"}


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    pytest.importorskip("array_api_compat")
    pytest.importorskip("array_api_strict")
    done = subprocess.run(
        [sys.executable, str(PROGRAM)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_wrapper_takes_our_tensors_for_arrays(answer: dict[str, Any]) -> None:
    assert answer["recognised"]


def test_tensors_name_no_namespace(answer: dict[str, Any]) -> None:
    """As PyTorch's: a namespace of our own would promise what PyTorch's functions do not keep."""
    assert not answer["method"] and not hasattr(rl.ones(2), "__array_namespace__")


def test_no_function_of_the_standard_is_missing(answer: dict[str, Any]) -> None:
    assert answer["missing"] == []


def test_results_are_the_standards_except_where_pytorch_differs(answer: dict[str, Any]) -> None:
    assert answer["compared"] > 150
    assert set(answer["wrong"]) == APART, answer["wrong"]


def test_the_page_names_what_only_the_wrapper_has(answer: dict[str, Any]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    listed = re.search(r"<!-- only in the wrapper -->(.*?)<!-- end -->", text, re.DOTALL)
    assert listed is not None
    assert sorted(re.findall(r"`([\w.]+)`", listed[1])) == answer["plain"]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: (x.sum(axis=1, keepdims=True), x.sum(dim=1, keepdim=True)),
        lambda x: (x.cumsum(axis=0), x.cumsum(dim=0)),
        lambda x: (x.std(axis=0), x.std(dim=0)),
        lambda x: (x.unsqueeze(axis=1), x.unsqueeze(1)),
        lambda x: (x.squeeze(axis=0), x.squeeze(0)),
        lambda x: (rl.stack([x, x], axis=1), rl.stack([x, x], dim=1)),
        lambda x: (rl.cat([x, x], axis=1), rl.cat([x, x], dim=1)),
        lambda x: (rl.amax(x, axis=1, keepdims=True), rl.amax(x, 1, True)),
        lambda x: (rl.add(x1=x, x2=x), x + x),
        lambda x: (rl.roll(x, 2, None), rl.roll(x, 2)),
    ],
)
def test_numpys_names_of_parameters_are_taken(call: Any) -> None:
    found, wanted = call(rl.arange(6.0).reshape(2, 3))
    assert rl.equal(found, wanted)


def test_unknown_names_are_still_refused() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'achse'"):
        rl.ones(2).sum(achse=0)
    with pytest.raises(TypeError):
        rl.ones(2).sum(dim=0, axis=0, keepdims=1, other=2)
