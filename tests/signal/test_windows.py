"""Windows of `rushlight.signal.windows` and `rushlight.hann_window` and its siblings against
PyTorch's: values, dtypes, errors.

In: every window, lengths 0, 1, even and odd, both kinds of symmetry. Each comparison runs the same
call in both libraries.
"""

from __future__ import annotations

import doctest
import io
from typing import Any

import numpy as np
import pytest

import rushlight as rl
from rushlight.signal import windows
from rushlight.tensor.functions import windows as functions

torch = pytest.importorskip("torch")

OWN: dict[str, list[dict[str, Any]]] = {
    "exponential": [{"tau": 2.5}, {"center": 1.0, "sym": False}],
    "gaussian": [{"std": 1.5}],
    "general_cosine": [{"a": [0.3, 0.5, 0.2, 0.1]}, {"a": (1.0,)}],
    "general_hamming": [{"alpha": 0.7}],
    "kaiser": [{"beta": 0.0}, {"beta": 3.5}],
}
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("hann", {"M": -1}),
    ("hann", {"M": 3, "dtype": "int64"}),
    ("hann", {"M": 3, "dtype": "float16"}),
    ("hann", {"M": 3.5}),
    ("exponential", {"M": 3, "tau": 0.0}),
    ("exponential", {"M": 3, "center": 1.0}),
    ("gaussian", {"M": 3, "std": -1.0}),
    ("general_cosine", {"M": 3, "a": []}),
    ("general_cosine", {"M": 3, "a": None}),
    ("kaiser", {"M": 3, "beta": -1.0}),
]
FUNCTIONS = [f.__name__ for f in functions.FUNCTIONS]


def same(ours: Any, theirs: Any) -> None:
    # PyTorch computes narrow floats in their own precision, so several roundings differ
    assert str(ours.dtype) == str(theirs.dtype)
    tolerance = {"float64": 1e-13, "float32": 2e-6}.get(str(theirs.dtype)[6:], 2e-2)
    np.testing.assert_allclose(ours.tolist(), theirs.tolist(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", windows.__all__)
@pytest.mark.parametrize("count", [0, 1, 2, 7, 10])
def test_every_window(name: str, count: int) -> None:
    for own in OWN.get(name, [{}]):
        for sym in (True, False):
            for dtype in ("float32", "float64"):
                call = {"sym": sym, **own}
                if call.get("center") is not None and call["sym"]:
                    continue
                ours = getattr(windows, name)(count, dtype=getattr(rl, dtype), **call)
                theirs = getattr(torch.signal.windows, name)(
                    count, dtype=getattr(torch, dtype), **call
                )
                same(ours, theirs)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_window_functions(name: str, dtype: str) -> None:
    for count in (0, 1, 6, 9):
        for periodic in (True, False):
            ours = getattr(rl, name)(count, periodic, dtype=getattr(rl, dtype))
            same(ours, getattr(torch, name)(count, periodic, dtype=getattr(torch, dtype)))


def test_numbers_of_the_shapes() -> None:
    same(rl.hamming_window(5, False, 0.6, 0.3), torch.hamming_window(5, False, 0.6, 0.3))
    same(rl.kaiser_window(5, True, 4.0), torch.kaiser_window(5, True, 4.0))
    assert rl.hann_window(5, requires_grad=True).requires_grad


@pytest.mark.parametrize(("name", "call"), WRONG, ids=[f"{n}-{k}" for n, k in WRONG])
def test_errors_have_the_same_type(name: str, call: dict[str, Any]) -> None:
    raised = []
    for library in (torch, rl):
        named = {k: getattr(library, v) if k == "dtype" else v for k, v in call.items()}
        with pytest.raises(Exception) as caught:
            getattr(library.signal.windows, name)(**named)
        raised.append(caught.type)
    assert raised[0] is raised[1]


def test_errors_of_window_functions() -> None:
    for library in (torch, rl):
        with pytest.raises(RuntimeError, match="non-negative"):
            library.hann_window(-1)
        with pytest.raises(RuntimeError, match="floating"):
            library.blackman_window(3, dtype=library.int64)
        with pytest.raises(TypeError, match="must be int"):
            library.bartlett_window(3.0)


@pytest.mark.parametrize("module", [windows, functions])
def test_examples(module: Any) -> None:
    report = io.StringIO()
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(verbose=False)
    found = [t for t in finder.find(module) if t.examples]
    assert len(found) >= 5
    for example in found:
        runner.run(example, out=report.write)
    assert not runner.failures, report.getvalue()
