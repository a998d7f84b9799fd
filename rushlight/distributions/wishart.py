"""Wishart distributions: covariance matrices of normal samples.

In: parameters. Out: a distribution. Invariant: see `distribution.py`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import rushlight
from rushlight import Tensor

from . import constraints
from .chi2 import Chi2
from .distribution import Distribution
from .multivariate_normal import _factor_of_inverse
from .utils import lazy_property


def multidigamma(x: Tensor, dimensions: int) -> Tensor:
    """The derivative of log multivariate gamma: the sum of digamma(x - i / 2), i < dimensions."""
    offsets = rushlight.arange(dimensions, dtype=x.dtype, device=x.device) / 2
    return (x.unsqueeze(-1) - offsets).digamma().sum(-1)


class Wishart(Distribution):
    """The distribution of sums of `df` outer products of normal vectors, of one of
    `covariance_matrix`, `precision_matrix` (its inverse) and `scale_tril` (its lower Cholesky
    factor), (..., p, p).

    Event shape (p, p); df > p - 1. ValueError unless exactly one matrix is given. Samples come by
    Bartlett's decomposition. Follows `torch.distributions.Wishart`.

    >>> import rushlight as rl
    >>> rl.distributions.Wishart(rl.tensor(4.0), rl.eye(2)).mean
    tensor([[4., 0.],
            [0., 4.]])
    """

    arg_constraints: ClassVar[Any] = {
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
        "df": constraints.greater_than(0),
    }
    support = constraints.positive_definite
    has_rsample = True

    def __init__(
        self,
        df: Any,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        matrices = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        given = [(name, matrix) for name, matrix in matrices.items() if matrix is not None]
        if len(given) != 1:
            raise ValueError(
                "Expected exactly one of covariance_matrix or precision_matrix or scale_tril to be "
                "specified."
            )
        ((name, matrix),) = given
        if matrix.dim() < 2:
            raise ValueError(
                "scale_tril must be at least two-dimensional, with optional leading "
                "batch dimensions"
            )
        if not isinstance(df, Tensor):
            df = rushlight.tensor(df, dtype=matrix.dtype, device=matrix.device)
        batch = rushlight.broadcast_shapes(matrix.shape[:-2], df.shape)
        size = matrix.shape[-1]
        self.df = df.expand(batch)
        setattr(self, name, matrix.expand(*batch, -1, -1))
        if bool((self.df <= size - 1).any()):
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {size - 1}.")
        self._factor = _factor_of(name, matrix)
        super().__init__(batch, matrix.shape[-2:], validate_args=validate_args)
        if bool((self.df < size).any()):
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for "
                "ndim - 1 < df < ndim.",
                stacklevel=2,
            )

    def _whole(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower Cholesky factor of the scale matrix."""
        return self._whole(self._factor)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The scale matrix V."""
        return self._whole(self._factor @ self._factor.mT)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the scale matrix."""
        return self._whole(rushlight.cholesky_inverse(self._factor))

    @property
    def mean(self) -> Tensor:
        return self.df[..., None, None] * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self.df - self._event_shape[-1] - 1
        factor = factor.masked_fill(factor <= 0, math.nan)
        return factor[..., None, None] * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        scale = self.covariance_matrix
        diagonal = scale.diagonal(dim1=-2, dim2=-1)
        products = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self.df[..., None, None] * (scale.square() + products)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Samples that are positive definite, or the tenth try at it.

        PyTorch draws every sample twice and returns the second; to give its numbers, so do we.
        """
        self._drawn(sample_shape)
        sample = self._drawn((math.prod(sample_shape),))
        for _ in range(9):
            sound = constraints.positive_definite.check(sample.detach())
            wrong = ~sound.flatten(1).all(1) if self._batch_shape else ~sound
            if not bool(wrong.any()):
                break
            sample[wrong] = self._drawn((int(wrong.sum()),))
        return sample.reshape(self._extended_shape(sample_shape))

    def _drawn(self, sample_shape: Sequence[int]) -> Tensor:
        """L A (L A)^T, A lower triangular: chi-distributed on its diagonal, normal below it."""
        size, options = self._event_shape[-1], {"dtype": self.df.dtype, "device": self.df.device}
        degrees = self.df.unsqueeze(-1) - rushlight.arange(size, **options)
        lengths = Chi2(degrees).rsample(sample_shape).sqrt()
        noise = lengths.clamp(min=rushlight.finfo(lengths.dtype).eps).diag_embed()
        row, column = rushlight.tril_indices(size, size, offset=-1)
        count = size * (size - 1) // 2
        shape = (*sample_shape, *self._batch_shape, count)
        noise[..., row, column] = rushlight.randn(shape, **options)
        factor = self._factor @ noise
        return factor @ factor.mT

    def _half_log_det(self) -> Tensor:
        return self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        value, size = self._checked(value).to(self.df.dtype), self._event_shape[-1]
        log_norm = self.df * (0.5 * size * math.log(2) + self._half_log_det())
        log_norm = log_norm + rushlight.mvlgamma(self.df / 2, size)
        solved = rushlight.cholesky_solve(value, self._factor)
        trace = solved.diagonal(dim1=-2, dim2=-1).sum(-1)
        log_det = rushlight.linalg.slogdet(value).logabsdet
        return (self.df - size - 1) / 2 * log_det - trace / 2 - log_norm

    def entropy(self) -> Tensor:
        size, half = self._event_shape[-1], self.df / 2
        scale = (size + 1) * (0.5 * size * math.log(2) + self._half_log_det())
        shape = (self.df - size - 1) / 2 * multidigamma(half, size)
        return scale + rushlight.mvlgamma(half, size) - shape + half * size


def _factor_of(name: str, matrix: Tensor) -> Tensor:
    """The lower Cholesky factor of the scale matrix, from the form that is given."""
    if name == "scale_tril":
        return matrix
    if name == "covariance_matrix":
        return rushlight.linalg.cholesky(matrix)
    return _factor_of_inverse(matrix)
