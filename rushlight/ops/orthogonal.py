"""Orthogonal polynomials of a degree that is data: Chebyshev's four kinds (also shifted to
[0, 1]), Hermite's two, Laguerre's and Legendre's.

In: arguments and degrees that broadcast, tensors or numbers (not both numbers); a fractional
degree counts as its whole part, a negative one gives 0. Out: a tensor of their common float dtype,
float32 or float64. Invariant: the recurrence of three terms (Abramowitz and Stegun 1964, 22.7) runs
in the dtype of the result; Chebyshev's polynomials of a higher degree inside their interval are
found by their sines and cosines (22.3.15 to 22.3.16). As in PyTorch, none of these has a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..graph import build as b
from ..graph.host import host_function
from .common import require_kind
from .registry import Value, op

Array = np.ndarray
_RECURRED = 6  # up to this degree Chebyshev's polynomials are exact by recurrence


class Family(NamedTuple):
    """What tells one family from another: its first polynomial, its recurrence, its limits.

    `step(k, x, q, p)` is the polynomial of degree k from those of degrees k - 1 and k - 2;
    `closed(n, angle)` the value at cos(angle) inside (-1, 1); `ends(n)` the values at 1 and at -1;
    `limit` the degrees from which float32 and float64 give NaN, as PyTorch states them.
    """

    symbol: str
    formula: str
    first: Callable[[Array], Array]
    step: Callable[[int, Array, Array, Array], Array]
    closed: Callable[[Array, Array], Array] | None = None
    ends: tuple[Callable[[Array], Array], Callable[[Array], Array]] | None = None
    limit: tuple[int, int] | None = None


def _doubling(k: int, x: Array, q: Array, p: Array) -> Array:
    return (x + x) * q - p


def _alternating(n: Array) -> Array:
    return np.where(n % 2 == 0, 1.0, -1.0)


FAMILIES: dict[str, Family] = {
    "chebyshev_polynomial_t": Family(
        "T",
        "T_n(cos t) = cos(n t)",
        lambda x: x,
        _doubling,
        lambda n, t: np.cos(n * t),
        (np.ones_like, _alternating),
    ),
    "chebyshev_polynomial_u": Family(
        "U",
        "U_n(cos t) = sin((n + 1) t) / sin(t)",
        lambda x: x + x,
        _doubling,
        lambda n, t: np.sin((n + 1) * t) / np.sin(t),
        (lambda n: n + 1, lambda n: (n + 1) * _alternating(n)),
    ),
    "chebyshev_polynomial_v": Family(
        "V",
        "V_n(cos t) = cos((n + 1/2) t) / cos(t / 2)",
        lambda x: x + x - 1,
        _doubling,
        lambda n, t: np.cos((n + 0.5) * t) / np.cos(t / 2),
        (np.ones_like, lambda n: (n + n + 1) * _alternating(n)),
    ),
    "chebyshev_polynomial_w": Family(
        "W",
        "W_n(cos t) = sin((n + 1/2) t) / sin(t / 2)",
        lambda x: x + x + 1,
        _doubling,
        lambda n, t: np.sin((n + 0.5) * t) / np.sin(t / 2),
        (lambda n: n + n + 1, _alternating),
    ),
    "hermite_polynomial_h": Family(
        "H",
        "H_n = 2 x H_(n-1) - 2 (n - 1) H_(n-2)",
        lambda x: x + x,
        lambda k, x, q, p: (x + x) * q - (k + k - 2) * p,
        limit=(128, 512),
    ),
    "hermite_polynomial_he": Family(
        "He",
        "He_n = x He_(n-1) - (n - 1) He_(n-2)",
        lambda x: x,
        lambda k, x, q, p: x * q - (k - 1) * p,
        limit=(128, 512),
    ),
    "laguerre_polynomial_l": Family(
        "L",
        "n L_n = (2 n - 1 - x) L_(n-1) - (n - 1) L_(n-2)",
        lambda x: 1 - x,
        lambda k, x, q, p: ((k + k - 1 - x) * q - (k - 1) * p) / k,
    ),
    "legendre_polynomial_p": Family(
        "P",
        "n P_n = (2 n - 1) x P_(n-1) - (n - 1) P_(n-2)",
        lambda x: x,
        lambda k, x, q, p: ((k + k - 1) * x * q - (k - 1) * p) / k,
    ),
}


# --- values on the host -------------------------------------------------------------------------


def _recurred(family: Family, x: Array, n: Array) -> Array:
    """Values by recurrence; it stops at the highest degree that is asked of a finite number."""
    before, now = np.ones_like(x), family.first(x)
    result = np.where(n == 0, before, np.where(n == 1, now, 0)).astype(x.dtype)
    k = 1
    while k < int(n.max(initial=0)):
        k += 1
        now, before = family.step(k, x, now, before).astype(x.dtype), now
        result = np.where(n == k, now, result)
        lost = np.isnan(now) & (n > k)
        if lost.any():  # it stays NaN: these need no more steps
            result = np.where(lost, np.nan, result).astype(x.dtype)
            n = np.where(lost, k, n)
    return result


@host_function
def orthogonal_polynomial(x: Array, degree: Array, name: str, shifted: bool) -> tuple[Array]:
    """The polynomials of one family at x, each of its own degree."""
    family = FAMILIES[name]
    with np.errstate(all="ignore"):
        x = np.asarray(x + x - 1 if shifted else x)
        n = np.clip(np.nan_to_num(np.trunc(degree)), -1, 2**62).astype(np.int64)
        direct = n
        closed = np.zeros(x.shape, bool)
        if family.closed is not None:
            closed = (np.abs(x) <= 1) & (n > _RECURRED)
            direct = np.where(closed, 0, direct)
        if family.limit is not None:
            over = n >= family.limit[x.dtype.itemsize // 8]
            direct = np.where(over, 0, direct)
        result = _recurred(family, x, direct)
        if closed.any():
            result[closed] = _closed(family, x[closed], n[closed])
        if family.limit is not None:
            result[over] = np.nan
    return (result,)


def _closed(family: Family, x: Array, n: Array) -> Array:
    """Values of a Chebyshev family inside its interval, and at its ends."""
    assert family.closed is not None and family.ends is not None
    degree = n.astype(x.dtype)
    inside = family.closed(degree, np.arccos(x))
    right, left = (end(degree) for end in family.ends)
    return np.where(x == 1, right, np.where(x == -1, left, inside))


# --- rows ---------------------------------------------------------------------------------------


def _row(name: str, shifted: bool, example: str) -> Any:
    family = FAMILIES[name]
    public = f"shifted_{name}" if shifted else name

    def row(input: Value, n: Value) -> Value:
        x, degree = b.broadcast(*b.promote(b.to_float(input), b.to_float(n)))
        if x.dtype in b.NARROW:
            raise NotImplementedError(
                f"\"{public}_cpu\" not implemented for '{x.dtype.name}': it takes float32 and "
                "float64"
            )
        require_kind(f"{public}_cpu", x)
        outputs = [(x.shape, x.dtype)]
        return b.host("orthogonal_polynomial", [x, degree], outputs, (name, shifted))[0]

    row.__name__ = public
    row.__annotations__ = {"input": "Value", "n": "Value", "return": "Value"}
    where = f"{family.symbol}_n(2 x - 1)" if shifted else f"{family.symbol}_n(x)"
    row.__doc__ = f"""The polynomials {where}, {family.formula}. Follows `torch.special.{public}`.

    x and n broadcast; of two numbers neither being a tensor a TypeError. No gradient.

    >>> import rushlight as rl
    >>> rl.special.{public}(rl.tensor([0.5, 2.0]), 3)
    tensor([{example}])
    """
    made = op("special", elementwise=True, differentiable=False)(row)
    made.test(_samples, _reference(family.symbol, shifted))
    return made


def _samples(make: Callable) -> list:
    degrees = make(4, dtype="int64", low=0, high=7).astype(np.float64)
    return [((make(3, 4), degrees), {}), ((make(5, low=0, high=0.9), np.asarray(9.0)), {})]


def _reference(symbol: str, shifted: bool) -> Callable:
    """NumPy's own polynomial classes; the other kinds of Chebyshev as sums of the first."""
    from numpy import polynomial as known

    bases = {
        "T": known.Chebyshev,
        "H": known.Hermite,
        "He": known.HermiteE,
        "L": known.Laguerre,
        "P": known.Legendre,
    }

    def coefficients(n: int) -> Any:
        """U, V and W as sums of the T_k of the degrees up to n."""
        k = np.arange(n + 1)
        if symbol == "U":
            return np.where((n - k) % 2 == 0, np.where(k == 0, 1, 2), 0)
        signs = (-1.0) ** (n - k) if symbol == "V" else np.ones(n + 1)
        return signs * np.where(k == 0, 1, 2)

    def one(x: float, n: float) -> float:
        degree = int(n)
        if symbol in bases:
            return float(bases[symbol].basis(degree)(2 * x - 1 if shifted else x))
        return float(known.Chebyshev(coefficients(degree))(2 * x - 1 if shifted else x))

    return np.vectorize(one, otypes=[np.float64])


for _name, _shifted, _example in (
    ("chebyshev_polynomial_t", False, "-1., 26."),
    ("chebyshev_polynomial_u", False, "-1., 56."),
    ("chebyshev_polynomial_v", False, "-1., 41."),
    ("chebyshev_polynomial_w", False, "-1., 71."),
    ("chebyshev_polynomial_t", True, "-0., 99."),
    ("chebyshev_polynomial_u", True, " -0., 204."),
    ("chebyshev_polynomial_v", True, "  1., 169."),
    ("chebyshev_polynomial_w", True, " -1., 239."),
    ("hermite_polynomial_h", False, "-5., 40."),
    ("hermite_polynomial_he", False, "-1.3750,  2.0000"),
    ("laguerre_polynomial_l", False, "-0.1458, -0.3333"),
    ("legendre_polynomial_p", False, "-0.4375, 17.0000"),
):
    _row(_name, _shifted, _example)
