"""`rushlight.masked` against `torch.masked`: values, dtypes, gradients and types of errors.

In: a table of calls on a small matrix whose mask leaves one row out entirely. Each call runs in
both libraries.
"""

from __future__ import annotations

import doctest
import io
from typing import Any

import numpy as np
import pytest

import rushlight as rl
from rushlight.masked import normalizations, reductions

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")

VALUES = [[3.0, -1.5, 2.0], [0.5, 5.0, 1.0], [2.0, 2.0, -4.0]]
MASK = [[True, False, True], [False, False, False], [True, True, True]]
LENGTHENED = ("sum", "prod", "amax", "amin", "mean", "norm", "var", "std", "logsumexp")
CALLS = [
    *(f"m.{name}(x, mask=k)" for name in LENGTHENED),
    *(f"m.{name}(x, dim=1, mask=k)" for name in LENGTHENED),
    *(f"m.{name}(x, dim=(0, 1), keepdim=True, mask=k)" for name in LENGTHENED),
    *(f"m.{name}(x, dim=-1, keepdim=True)" for name in LENGTHENED),
    *(f"m.{name}(x, 1, mask=k)" for name in ("softmax", "log_softmax", "softmin")),
    *(f"m.{name}(x, 0, mask=k[0])" for name in ("softmax", "log_softmax", "softmin")),
    *("m.cumsum(x, 1, mask=k)", "m.cumprod(x, 0, mask=k)", "m.cumsum(x, -1)"),
    *("m.median(x, 1, mask=k)", "m.median(x, mask=k, keepdim=True)", "m.median(x, 0)"),
    *("m.var(x, 1, False, mask=k)", "m.std(x, 1, correction=2, mask=k)", "m.var(x, (), True)"),
    *("m.norm(x, 1.0, 1, mask=k)", "m.norm(x, 3.0, 0, mask=k)"),
    *("m.norm(x, t.inf, 1, mask=k)", "m.norm(x, -t.inf, 1, mask=k)", "m.norm(x, -2.0, 1)"),
    *("m.normalize(x, 2.0, 1, mask=k)", "m.normalize(x, 1.0, 0, eps=9.0)"),
    *("m.logaddexp(x, x * 2)", "m.logaddexp(x, x * 2, input_mask=k, other_mask=k.T)"),
    *("m.sum(x, mask=k.int())", "m.sum(x, 1, dtype=t.float32, mask=k)", "m.softmax(x, 0)"),
]
INTEGERS = [
    *(f"m.{name}(n, 1, mask=k)" for name in ("sum", "prod", "amax", "amin", "argmax", "argmin")),
    *(f"m.{name}(n.to(t.int8), 1, mask=k)" for name in ("sum", "prod", "amax", "argmin", "cumsum")),
    *("m.argmax(x, mask=k)", "m.argmin(x, 0, keepdim=True, mask=k)", "m.argmax(x, 1)"),
    *("m.norm(x, 0.0, 1, mask=k)", "m.amax(k, 1)", "m.amin(k)"),
    *("m.argmax(x, 1, dtype=t.int32, mask=k)", "m.sum(k, 1)", "m.sum(k, 1, mask=k)"),
    *("m.var(n, 1, mask=k)", "m.std(n, 1, dtype=t.float64)", "m.logsumexp(n, 1, mask=k)"),
    *("m.mean(n, 1, mask=k, dtype=t.float64)", "m.median(n, 1)", "m.var(n * (1 + 2j), 1, mask=k)"),
]
ERRORS = [
    *("m.sum(x, 5)", "m.sum(x, (0, 0))", "m.sum(x, mask=k[None])", "m.sum(x, mask=k[0, :2])"),
    *("m.mean(n)", "m.mean(x, dtype=t.int64)", "m.amax(k, mask=k)", "m.median(n, 1, mask=k)"),
    *("m.norm(n)", "m.normalize(n, 2.0, 1)", "m.softmax(n, 1)", "m.logaddexp(n, n)"),
    *("m.cumsum(k, 1)", "m.amin(x[:0], 0)", "m.var(x, 1, True, correction=1)"),
    "m.softmax(x, 4)",
]


def evaluated(call: str, library: Any, gradient: bool) -> tuple[Any, Any]:
    x = library.tensor(VALUES, dtype=library.float64, requires_grad=gradient)
    n = library.tensor(VALUES).to(library.int64)
    k = library.tensor(MASK)
    made = eval(call, {"m": library.masked, "t": library, "x": x, "n": n, "k": k})
    if not gradient:
        return made, None
    weights = library.arange(made.numel(), dtype=made.dtype).reshape(made.shape) + 1.0
    (made * weights).sum().backward()
    return made.detach(), x.grad


def same(ours: Any, theirs: Any) -> None:
    assert str(ours.dtype) == str(theirs.dtype)
    assert tuple(ours.shape) == tuple(theirs.shape)
    tolerance = 1e-10 if ours.dtype in (rl.float64, rl.complex128) else 1e-5
    np.testing.assert_allclose(ours.tolist(), theirs.tolist(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("call", CALLS)
def test_values_and_gradients(call: str) -> None:
    ours, theirs = (evaluated(call, library, True) for library in (rl, torch))
    same(ours[0], theirs[0])
    same(ours[1], theirs[1])


@pytest.mark.parametrize("call", INTEGERS)
def test_values_of_integers_and_places(call: str) -> None:
    same(*(evaluated(call, library, False)[0] for library in (rl, torch)))


@pytest.mark.parametrize("call", ERRORS)
def test_errors_have_the_same_type(call: str) -> None:
    raised = []
    for library in (torch, rl):
        with pytest.raises(Exception) as caught:
            evaluated(call, library, False)[0].tolist()
        raised.append(caught.value)
    assert isinstance(raised[1], type(raised[0])), raised


def test_what_is_masked_out_has_no_say() -> None:
    """NaN and infinities behind the mask change neither value nor gradient."""
    mask = rl.tensor([True, False, True])
    clean, spoilt = (
        rl.tensor([1.0, hole, 2.0], requires_grad=True) for hole in (0.0, float("nan"))
    )
    for x in (clean, spoilt):
        rl.masked.mean(x * 3.0, mask=mask).backward()
    assert spoilt.grad is not None and clean.grad is not None
    assert spoilt.grad[0].item() == clean.grad[0].item() == 1.5
    assert spoilt.grad[1].item() == 0.0


@pytest.mark.parametrize("module", [reductions, normalizations])
def test_examples(module: Any) -> None:
    report = io.StringIO()
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(verbose=False)
    found = [t for t in finder.find(module) if t.examples]
    assert len(found) >= 5
    for example in found:
        runner.run(example, out=report.write)
    assert not runner.failures, report.getvalue()
