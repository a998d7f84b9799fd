"""Dropout layers: random zeros in training mode, the identity in evaluation mode.

In: any tensor (channel-wise forms: (N, C, *)). Out: the same shape.
Invariant: 0 <= p <= 1.
"""

from __future__ import annotations

from rushlight import Tensor
from rushlight.nn import functional as F
from rushlight.nn.module import Module


class _DropoutNd(Module):
    """The probability and the in-place flag all forms share."""

    p: float
    inplace: bool

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """Zeroes elements with probability p, scales the rest by 1 / (1 - p) (JMLR 15, 2014).

    Follows `torch.nn.Dropout`.

    >>> import rushlight as rl
    >>> rl.nn.Dropout(0.2).eval()(rl.ones(2))
    tensor([1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_DropoutNd):
    """Zeroes whole channels of (N, C, L) or (C, L). Follows `torch.nn.Dropout1d`.

    >>> import rushlight as rl
    >>> rl.nn.Dropout1d(0.5)(rl.ones(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    """Zeroes whole channels of (N, C, H, W) (arXiv 1411.4280). Follows `torch.nn.Dropout2d`.

    >>> import rushlight as rl
    >>> rl.nn.Dropout2d(0.5)(rl.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    """Zeroes whole channels of (N, C, D, H, W) or (C, D, H, W). Follows `torch.nn.Dropout3d`.

    >>> import rushlight as rl
    >>> rl.nn.Dropout3d(0.5)(rl.ones(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    """Dropout that keeps mean and variance of selu activations (arXiv 1706.02515).

    Follows `torch.nn.AlphaDropout`.

    >>> import rushlight as rl
    >>> rl.nn.AlphaDropout().eval()(rl.ones(1, 2))
    tensor([[1., 1.]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """`AlphaDropout` of whole channels. Follows `torch.nn.FeatureAlphaDropout`.

    >>> import rushlight as rl
    >>> rl.nn.FeatureAlphaDropout().eval()(rl.ones(1, 2))
    tensor([[1., 1.]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training)
