"""Chi-squared distributions.

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rushlight import Tensor

from . import constraints
from .gamma import Gamma


class Chi2(Gamma):
    """The sum of the squares of `df` standard normal numbers: Gamma(df / 2, 1 / 2).

    Follows `torch.distributions.Chi2`.

    >>> import rushlight as rl
    >>> rl.distributions.Chi2(3.0).mean
    tensor(3.)
    """

    arg_constraints: ClassVar[Any] = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    def _expanded_part(self, name: str, value: Any, batch: Any) -> Any:
        return value.expand(batch) if isinstance(value, Tensor) else value

    @property
    def df(self) -> Tensor:
        """The degrees of freedom."""
        return self.concentration * 2
