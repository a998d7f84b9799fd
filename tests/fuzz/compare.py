"""Whether two runs of a program agree, and the smallest program on which they do not.

In: a program and outcomes. Out: the first difference as text, or None. Invariant: what is exact
(noise 0.0) is compared number for number, NaN equal to NaN (the sign of a zero is nobody's promise:
which of -0.0 and 0.0 is the maximum?).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from fuzz.program import Facts, Outcome, Program, Statement


def difference(program: Program, own: Outcome, other: Outcome) -> str | None:
    """The first difference between two outcomes, as text."""
    failed_backward = False
    for statement, mine, theirs in zip(program.statements, own.lines, other.lines, strict=True):
        if mine != theirs and _is_own_affair(statement, own, other):
            return None
        if mine != theirs:
            said = [
                _told(line, out.messages.get(statement.text))
                for line, out in ((mine, own), (theirs, other))
            ]
            return f"{statement.text}\n    rushlight: {said[0]}\n    oracle:    {said[1]}"
        if isinstance(mine, str) and mine != "skipped" and "backward" in statement.text:
            failed_backward = True
    scale = _scale(other)
    for number, (x, y) in enumerate(zip(own.observed, other.observed, strict=True)):
        problem = compare_arrays(x, y, max(program.noise.values(), default=0.0) * scale)
        if problem:
            return f"observation {number}: {problem}"
    for name, y in other.values.items():
        problem = compare_arrays(own.values[name], y, program.noise.get(name, 0.0) * scale)
        if problem:
            return f"value of {name}: {problem}"
    if failed_backward:  # which leaves had their share already is nobody's promise
        return None
    for name, gradient in other.gradients.items():
        mine = own.gradients[name]
        if (mine is None) != (gradient is None):
            return f"{name}.grad is {'None' if mine is None else 'there'}, the oracle's is not so"
        if gradient is not None and mine is not None:
            problem = compare_arrays(mine, gradient, program.gradient_noise * scale)
            if problem:
                return f"{name}.grad: {problem}"
    return None


# what a function saves for backward, and so what may be overwritten or walked twice
_SAVED = ("modified by an inplace operation", "backward through the graph a second time")
_LACKING = ("derivative for", "not implemented for")  # what the oracle cannot do


def _is_own_affair(statement: Statement, own: Outcome, other: Outcome) -> bool:
    """Whether a line may fail under one library alone: what comes after cannot be compared."""
    mine, theirs = (outcome.messages.get(statement.text, "") for outcome in (own, other))
    return any(word in mine + theirs for word in _SAVED) or any(word in theirs for word in _LACKING)


def _told(line: tuple[Facts | None, ...] | str, message: str | None) -> str:
    return f"{line}: {message}" if isinstance(line, str) else ", ".join(map(str, line))


def _scale(outcome: Outcome) -> float:
    """The largest finite magnitude met: rounding errors of intermediate values are relative to
    it.
    """
    largest = 1.0
    for array in (*outcome.values.values(), *outcome.gradients.values(), *outcome.observed):
        if array is not None and array.size and array.dtype.kind in "fc":
            finite = np.abs(array[np.isfinite(array)])
            largest = max(largest, float(finite.max())) if finite.size else largest
    return largest


def compare_arrays(x: np.ndarray, y: np.ndarray, noise: float) -> str | None:
    """What differs between an array and the oracle's, or None."""
    if x.shape != y.shape or x.dtype != y.dtype:
        return f"{x.dtype}{list(x.shape)} instead of {y.dtype}{list(y.shape)}"
    if y.dtype.kind not in "fc":
        same = x == y
    elif noise == 0.0:
        same = (x == y) | ((x != x) & (y != y))
    else:
        with np.errstate(all="ignore"):
            same = np.isclose(x, y, rtol=noise, atol=noise, equal_nan=True)
    if np.all(same):
        return None
    at = tuple(int(k) for k in np.argwhere(~np.atleast_1d(same))[0])
    mine, theirs = np.atleast_1d(x)[at], np.atleast_1d(y)[at]
    what = f"{list(at)} of {y.dtype}{list(y.shape)}"
    return f"{mine!r} instead of {theirs!r} at {what} (tolerance {noise:.3g})"


def shrink(program: Program, fails: Callable[[Program], bool], rounds: int = 12) -> Program:
    """A small program that still fails: statements are dropped, in halves at first, one by one at
    last.
    """
    for _ in range(rounds):
        before = len(program.statements)
        width = max(1, before // 2)
        while width:
            at = 0
            while at < len(program.statements):
                candidate = program.without(range(at, at + width))
                if len(candidate.statements) < len(program.statements) and fails(candidate):
                    program = candidate
                else:
                    at += width
            width //= 2
        if len(program.statements) == before:
            break
    return program
