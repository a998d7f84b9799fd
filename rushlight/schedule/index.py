"""Index arithmetic: how a position in one shape becomes a position in another, in terms of loop
indices.

In: affine expressions over loops. Out: affine expressions. Invariant: `split` answers exactly or
not at all; where the answer would need a loop cut in two it says which one and by how much
(`CutLoop`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..kernel.ir import Affine


class CutLoop(Exception):
    """Lowering can go on once loop `name` is two loops, the inner of extent `inner`."""

    def __init__(self, name: str, inner: int) -> None:
        self.name = name
        self.inner = inner


ZERO = Affine()


def term(name: str, coefficient: int = 1) -> Affine:
    """coefficient * loop index."""
    return Affine(0, ((name, coefficient),)) if coefficient else ZERO


def combine(parts: Sequence[tuple[Affine, int]], constant: int = 0) -> Affine:
    """constant + the sum of expression * factor."""
    total: dict[str, int] = {}
    for expression, factor in parts:
        constant += expression.constant * factor
        for name, coefficient in expression.terms:
            total[name] = total.get(name, 0) + coefficient * factor
    return Affine(constant, tuple(sorted((n, c) for n, c in total.items() if c)))


def bounds(expression: Affine, extents: Mapping[str, int]) -> tuple[int, int]:
    """The smallest and the largest value."""
    low = high = expression.constant
    for name, coefficient in expression.terms:
        reach = coefficient * (extents[name] - 1)
        if reach < 0:
            low += reach
        else:
            high += reach
    return low, high


def divide(
    expression: Affine, divisor: int, extents: Mapping[str, int]
) -> tuple[Affine, Affine] | None:
    """(quotient, remainder) with 0 <= remainder < divisor, both affine; None where they are not.

    CutLoop where a loop runs across multiples of the divisor that it could be cut at.
    """
    if divisor == 1:
        return expression, ZERO
    low, high = bounds(expression, extents)
    if low >= 0 and high < divisor:
        return ZERO, expression
    over = tuple((n, c // divisor) for n, c in expression.terms if c % divisor == 0)
    rest = Affine(expression.constant, tuple((n, c) for n, c in expression.terms if c % divisor))
    low, high = bounds(rest, extents)
    whole = low // divisor
    if high - whole * divisor < divisor:
        return Affine(whole, over), Affine(rest.constant - whole * divisor, rest.terms)
    for name, coefficient in rest.terms:
        if coefficient > 0 and divisor % coefficient == 0:
            inner = divisor // coefficient
            if 1 < inner < extents[name] and extents[name] % inner == 0:
                raise CutLoop(name, inner)
    return None


def split(
    expression: Affine, steps: Sequence[int], shape: Sequence[int], extents: Mapping[str, int]
) -> list[Affine] | None:
    """The position in a dense array of strides `steps` that a flat address means.

    None where it is not affine.
    """
    order = sorted((d for d in range(len(shape)) if shape[d] > 1), key=lambda d: -steps[d])
    found = [ZERO] * len(shape)
    for d in order:
        divided = divide(expression, steps[d], extents)
        if divided is None:
            return None
        found[d], expression = divided
    return found
