"""Response normalisation with Caffe's windows.

In: (N, C, H, W). Out: the same shape. Invariant: a sum over a window is divided by the full size,
also where the window is cut off at the first or the last channel.
"""

from __future__ import annotations

import rushlight
from rushlight import Tensor
from rushlight.nn import functional as F
from rushlight.nn.module import Module


class CrossMapLRN2d(Module):
    """x / (k + alpha / size * sum of x^2 over neighbouring channels)^beta.

    The window reaches (size - 1) // 2 channels to either side (an even size loses one, the factor
    keeps it), and as in PyTorch channel 0 stays in the window of every channel. The gradient is
    that of this formula. Follows `torch.nn.CrossMapLRN2d` (Krizhevsky et al., 2012).

    >>> import rushlight as rl
    >>> rl.nn.CrossMapLRN2d(5)(rl.ones(1, 4, 2, 2)).shape
    torch.Size([1, 4, 2, 2])
    """

    size: int
    alpha: float
    beta: float
    k: float

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.dim()}D instead")
        reach = (self.size - 1) // 2
        squares = F.pad(input.square(), (0, 0, 0, 0, reach, reach))
        channels = input.size(1)
        window = [squares.narrow(1, start, channels) for start in range(2 * reach + 1)]
        far = max(channels - reach - 1, 0)  # how many windows have left channel 0 behind
        first = input[:, :1].square().expand(-1, far, -1, -1)
        total = rushlight.stack(window).sum(0)
        total = total + F.pad(first, (0, 0, 0, 0, channels - far, 0))
        return input * (total * (self.alpha / self.size) + self.k).pow(-self.beta)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
