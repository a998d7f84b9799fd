"""Special functions under PyTorch's names, `torch.special`.

In: the rows of the op table that say they are special. Out: this namespace. Invariant: nothing is
computed here; a name is a row, another name of one (`ALIASES`), or a short composition of them.
"""

from __future__ import annotations

import math
from typing import Any

from .ops import namespace
from .tensor.tensor import Tensor

# names here -> rows of the op table
ALIASES = {"expit": "sigmoid", "gammaln": "lgamma", "psi": "digamma"}
_ROWS = frozenset(
    {
        "digamma",
        "entr",
        "erf",
        "erfc",
        "erfcx",
        "erfinv",
        "exp2",
        "expm1",
        "gammainc",
        "gammaincc",
        "i0",
        "i0e",
        "i1",
        "i1e",
        "log1p",
        "log_ndtr",
        "log_softmax",
        "logit",
        "logsumexp",
        "ndtr",
        "ndtri",
        "polygamma",
        "round",
        "sinc",
        "softmax",
        "xlog1py",
        "xlogy",
        "zeta",
    }
)


def multigammaln(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p, x > (p - 1) / 2 (James,
    1964).

    p (p - 1) / 4 log(pi) + sum_{j < p} lgamma(x - j / 2). Follows `torch.special.multigammaln`.

    >>> import rushlight as rl
    >>> rl.special.multigammaln(rl.tensor([2.]), 2)
    tensor([0.4516])
    """
    if p < 1:
        raise RuntimeError(f"multigammaln: p must be at least 1, but got {p}")
    total = namespace.lgamma(input)
    for j in range(1, p):
        total = total + namespace.lgamma(input - j / 2)
    return total + p * (p - 1) / 4 * math.log(math.pi)


def __getattr__(name: str) -> Any:
    if name not in _ROWS and name not in ALIASES:
        raise AttributeError(f"module 'rushlight.special' has no attribute {name!r}")
    row = getattr(namespace, ALIASES.get(name, name))
    globals()[name] = row
    return row


def __dir__() -> list[str]:
    return sorted({*_ROWS, *ALIASES, "multigammaln"})
