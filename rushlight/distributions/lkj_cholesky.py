"""The LKJ distribution of correlation matrices, by their Cholesky factors.

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import rushlight
from rushlight import Tensor

from . import constraints
from .beta import Beta
from .distribution import Distribution
from .utils import as_parameter


class LKJCholesky(Distribution):
    """Lower Cholesky factors L (dim, dim) of correlation matrices M, of density proportional to
    |M|^(concentration - 1) in M.

    `concentration` 1 makes all correlation matrices equally likely. Event shape (dim, dim).
    ValueError for dim < 2. Samples come by the onion method (Lewandowski, Kurowicka and Joe,
    2009). Follows `torch.distributions.LKJCholesky`.

    >>> import rushlight as rl
    >>> factor = rl.distributions.LKJCholesky(3, 0.5).sample()
    >>> bool(((factor @ factor.T).diagonal() - 1).abs().max() < 1e-5)
    True
    """

    arg_constraints: ClassVar[Any] = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(
        self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None
    ) -> None:
        if dim < 2:
            raise ValueError(
                f"Expected dim to be an integer greater than or equal to 2. Found {dim=}."
            )
        self.dim = dim
        self.concentration = as_parameter(concentration)
        super().__init__(self.concentration.shape, (dim, dim), validate_args=validate_args)

    def _options(self) -> dict[str, Any]:
        return {"dtype": self.concentration.dtype, "device": self.concentration.device}

    def _rows(self) -> Beta:
        """The distribution of the squared length of each row beside its diagonal element."""
        before = rushlight.arange(self.dim - 1, **self._options())
        before = rushlight.cat([before.new_zeros(1), before])
        base = (self.concentration + 0.5 * (self.dim - 2)).unsqueeze(-1)
        return Beta(before + 0.5, base - 0.5 * before)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with rushlight.no_grad():
            lengths = self._rows().sample(sample_shape).unsqueeze(-1)
            normal = rushlight.randn(self._extended_shape(sample_shape), **self._options()).tril(-1)
            below = normal / normal.norm(dim=-1, keepdim=True)
            below[..., 0, :] = 0.0  # the first row has nothing beside its diagonal
            below = lengths.sqrt() * below
            rest = 1 - below.square().sum(-1)
            least = rushlight.finfo(below.dtype).tiny
            return below + rest.clamp(min=least).sqrt().diag_embed()

    def log_prob(self, value: Tensor) -> Tensor:
        logs = self._checked(value).diagonal(dim1=-1, dim2=-2)[..., 1:].log()
        order = rushlight.arange(2, self.dim + 1, device=self.concentration.device)
        powers = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - order
        return (powers * logs).sum(-1) - self._log_norm()

    def _log_norm(self) -> Tensor:
        """The logarithm of the integral over all factors (page 1999 of the paper)."""
        below = self.dim - 1
        alpha = self.concentration + 0.5 * below
        volume = 0.5 * below * math.log(math.pi) + rushlight.mvlgamma(alpha - 0.5, below)
        return volume - rushlight.lgamma(alpha) * below
