"""Elementwise functions with PyTorch's options: rounding modes, powers of numbers, optional bounds,
other names.

In: tensors and numbers. Out: tensors. Invariant: every function ends in rows of the op table; what
is decided here is only which.
"""

from __future__ import annotations

import math
from typing import Any

from ...autograd.names import titled
from ...base import dtype as dtypes
from ...ops import (
    arithmetic,
    comparison,
    core,
    elementary,
    extremes,
    namespace,
    pairs,
    parts,
    special,
)
from ..return_types import named
from ..tensor import Tensor

_ROUNDED = {
    None: core.div,
    "floor": arithmetic.floor_quotient,
    "trunc": arithmetic.trunc_divide,
}


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other; with rounding_mode "floor" or "trunc" the quotient is rounded.

    Follows `torch.div`.

    Without a mode integers become floats; with one they stay integers. RuntimeError for another
    mode.

    >>> import rushlight as rl
    >>> rl.div(rl.tensor([7, -7]), 2, rounding_mode="trunc")
    tensor([ 3, -3])
    """
    row = _ROUNDED.get(rounding_mode)
    if row is None:
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    return row(input, other)


@titled(lambda made, input, other, **_: f"RsubBackward{int(not isinstance(other, Tensor))}")
def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input. Follows `torch.rsub`.

    >>> import rushlight as rl
    >>> rl.rsub(rl.tensor([1.]), 3)
    tensor([2.])
    """
    if not isinstance(input, Tensor):
        raise TypeError(
            f"rsub(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    return core.sub(other, input) if alpha == 1 else core.sub(other, core.mul(input, alpha))


def _refuse_two_numbers(name: str, input: Any, other: Any) -> None:
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got "
            f"({type(input).__name__}, {type(other).__name__}), but one must be a Tensor"
        )


def pow(input: Any, exponent: Any) -> Tensor:
    """input to the power exponent; either may be a number. Follows `torch.pow`.

    The powers 2, 3, 1/2, -1/2, -1 and -2 of floats are products and roots. RuntimeError for a
    negative integer power of integers.

    >>> import rushlight as rl
    >>> rl.pow(rl.tensor([2., 3.]), 2)
    tensor([4., 9.])
    """
    if isinstance(exponent, (int, float)) and isinstance(input, Tensor):
        kind = input.dtype.kind
        if kind in ("float", "complex") and exponent in arithmetic.FIXED_POWERS:
            return arithmetic.pow_fixed(input, float(exponent))
        if kind in ("int", "bool") and isinstance(exponent, int) and exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        if kind == "bool" and exponent.__class__ is bool:  # the one power that bools have
            return core.clone(input) if exponent else core.fill(input, True)
    _refuse_two_numbers("pow", input, exponent)
    made = arithmetic.pow(input, exponent)
    return made if isinstance(input, Tensor) else made.contiguous()


def float_power(input: Any, exponent: Any) -> Tensor:
    """input to the power exponent, computed in float64 (complex128 if either is complex).

    Follows `torch.float_power`.

    >>> import rushlight as rl
    >>> rl.float_power(rl.tensor([2, 3]), 2)
    tensor([4., 9.], dtype=torch.float64)
    """
    _refuse_two_numbers("float_power", input, exponent)
    operands = (input, exponent)
    is_complex = any(
        isinstance(x, complex) or (isinstance(x, Tensor) and x.dtype.is_complex) for x in operands
    )
    wide = dtypes.complex128 if is_complex else dtypes.float64
    base, power = (
        core.cast(x, wide) if isinstance(x, Tensor) else complex(x) if is_complex else float(x)
        for x in operands
    )
    return pow(base, power)


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """min(max(x, min), max); bounds are numbers or tensors, at least one is given.

    Follows `torch.clamp`.

    NaN stays NaN, and `max` wins where min > max. RuntimeError without a bound.

    >>> import rushlight as rl
    >>> rl.clamp(rl.tensor([-2., 0.5, 3.]), 0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    return extremes.clamp(input, min, max)


@titled(lambda made, input, min: f"ClampMinBackward{int(isinstance(min, Tensor))}")
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """max(x, min). Follows `torch.clamp_min`."""
    return extremes.clamp(input, min, None)


@titled(lambda made, input, max: f"ClampMaxBackward{int(isinstance(max, Tensor))}")
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """min(x, max). Follows `torch.clamp_max`."""
    return extremes.clamp(input, None, max)


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds for all elements. Follows `torch.allclose`.

    >>> import rushlight as rl
    >>> rl.allclose(rl.ones(2), rl.ones(2) + 1e-7)
    True
    """
    return bool(namespace.all(comparison.isclose(input, other, rtol, atol, equal_nan), None, False))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape and equal elements. Follows `torch.equal`.

    >>> import rushlight as rl
    >>> rl.equal(rl.ones(2), rl.ones(2))
    True
    """
    if input.shape != other.shape:
        return False
    return bool(namespace.all(comparison.eq(input, other), None, False))


def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each element is one of the test elements. Follows `torch.isin`.

    >>> import rushlight as rl
    >>> rl.isin(rl.tensor([1, 2, 3]), rl.tensor([2, 5]))
    tensor([False,  True, False])
    """
    if isinstance(test_elements, Tensor):
        wide = elements.reshape((*elements.shape, 1)) if isinstance(elements, Tensor) else elements
        found = namespace.any(comparison.eq(wide, test_elements.reshape(-1)), -1, False)
    else:
        found = comparison.eq(elements, test_elements)
    return comparison.logical_not(found) if invert else found


def frexp(input: Tensor) -> Any:
    """(mantissa, exponent): input = mantissa * 2^exponent with 1/2 <= |mantissa| < 1, the exponent
    int32. RuntimeError for other dtypes than floats. Follows `torch.frexp`.

    >>> import rushlight as rl
    >>> rl.frexp(rl.tensor([6., -1.])).exponent
    tensor([3, 1], dtype=torch.int32)
    """
    return named("frexp", "mantissa", "exponent")(parts.frexp(input))


def positive(input: Tensor) -> Tensor:
    """The tensor itself; RuntimeError for bools, as `torch.positive`.

    >>> import rushlight as rl
    >>> rl.positive(rl.tensor([-1., 2.]))
    tensor([-1.,  2.])
    """
    if input.dtype is dtypes.bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@titled("MvlgammaBackward0")
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function (James, 1964) of dimension p, x > (p - 1)/2.

    p (p - 1) / 4 log(pi) + sum_{j < p} lgamma(x - j / 2). Follows `torch.mvlgamma`.

    >>> import rushlight as rl
    >>> rl.mvlgamma(rl.tensor([2.]), 2)
    tensor([0.4516])
    """
    if p < 1:
        raise RuntimeError(f"mvlgamma: p has to be greater than or equal to 1, but got {p}")
    total = elementary.lgamma(input)
    for j in range(1, p):
        total = total + elementary.lgamma(input - j / 2)
    return total + p * (p - 1) / 4 * math.log(math.pi)


def polygamma(input: Tensor, n: int) -> Tensor:
    """The method `x.polygamma(n)`: `torch.polygamma(n, x)`."""
    return namespace.polygamma(n, input)


FUNCTIONS = (
    frexp,
    positive,
    div,
    rsub,
    pow,
    float_power,
    clamp,
    clamp_min,
    clamp_max,
    allclose,
    equal,
    isin,
    mvlgamma,
)
METHODS = (
    frexp,
    positive,
    div,
    pow,
    float_power,
    clamp,
    clamp_min,
    clamp_max,
    allclose,
    equal,
    mvlgamma,
    polygamma,
)

# other names of the same functions, both at the top level and as methods
ALIASES = {
    "absolute": arithmetic.abs,
    "negative": core.neg,
    "multiply": core.mul,
    "divide": div,
    "true_divide": core.div,
    "clip": clamp,
    "fix": elementary.trunc,
    "arccos": elementary.acos,
    "arcsin": elementary.asin,
    "arctan": elementary.atan,
    "arccosh": elementary.acosh,
    "arcsinh": elementary.asinh,
    "arctanh": elementary.atanh,
    "arctan2": pairs.atan2,
    "greater": comparison.gt,
    "greater_equal": comparison.ge,
    "less": comparison.lt,
    "less_equal": comparison.le,
    "not_equal": comparison.ne,
    "igamma": special.gammainc,
    "igammac": special.gammaincc,
}

# functions and names that have an in-place form beside those of the rows themselves
IN_PLACE = (
    "float_power",
    "clamp_min",
    "clamp_max",
    "absolute",
    "negative",
    "multiply",
    "divide",
    "true_divide",
    "clip",
    "fix",
    "arccos",
    "arcsin",
    "arctan",
    "arccosh",
    "arcsinh",
    "arctanh",
    "arctan2",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "not_equal",
    "igamma",
    "igammac",
    "mvlgamma",
    "polygamma",
)
ALIAS_METHODS = ("igamma", "igammac")
