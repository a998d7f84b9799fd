"""DropBlock: squares (or cubes) of a feature map left out at random.

In: features (N, C, H, W) or (N, C, D, H, W). Out: the same, blocks of them zero, the rest scaled
up. Invariant: outside of training the input itself comes back.
"""

from __future__ import annotations

from rushlight import Tensor, nn
from rushlight.nn import functional

__all__ = ["DropBlock2d", "DropBlock3d", "drop_block2d", "drop_block3d"]


def _drop(
    input: Tensor, p: float, block_size: int, rank: int, inplace: bool, eps: float, training: bool
) -> Tensor:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}.")
    if input.ndim != rank + 2:
        raise ValueError(f"input should be {rank + 2} dimensional. Got {input.ndim} dimensions.")
    if not training or p == 0.0:
        return input
    extents = tuple(input.shape[2:])
    size = min(block_size, *extents)
    inner = tuple(n - size + 1 for n in extents)
    # how often a block begins, so that a share p of all places is covered
    rate = p
    for extent, places in zip(extents, inner, strict=True):
        rate = rate * extent / (size * places)
    begins = input.new_empty((*input.shape[:2], *inner)).bernoulli_(min(rate, 1.0))
    begins = functional.pad(begins, [size // 2] * (2 * rank), value=0)
    pool = functional.max_pool2d if rank == 2 else functional.max_pool3d
    kept = 1 - pool(begins, (size,) * rank, (1,) * rank, size // 2)
    kept = kept[(slice(None), slice(None), *(slice(0, n) for n in extents))]
    scale = kept.numel() / (eps + kept.sum())
    return input.mul_(kept).mul_(scale) if inplace else input * kept * scale


def drop_block2d(
    input: Tensor,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-06,
    training: bool = True,
) -> Tensor:
    """Squares of `block_size` set to zero, a share of about p of all places (Ghiasi et al. 2018).

    Errors: ValueError for p outside [0, 1] or another rank.
    """
    return _drop(input, p, block_size, 2, inplace, eps, training)


def drop_block3d(
    input: Tensor,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-06,
    training: bool = True,
) -> Tensor:
    """The same with cubes, for (N, C, D, H, W)."""
    return _drop(input, p, block_size, 3, inplace, eps, training)


class DropBlock2d(nn.Module):
    """`drop_block2d` as a module, off in eval mode."""

    rank = 2

    def __init__(
        self, p: float, block_size: int, inplace: bool = False, eps: float = 1e-06
    ) -> None:
        super().__init__()
        self.p, self.block_size, self.inplace, self.eps = p, block_size, inplace, eps

    def forward(self, input: Tensor) -> Tensor:
        """The input, with blocks set to zero."""
        return _drop(
            input, self.p, self.block_size, self.rank, self.inplace, self.eps, self.training
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(p={self.p}, block_size={self.block_size}, "
            f"inplace={self.inplace})"
        )


class DropBlock3d(DropBlock2d):
    """`drop_block3d` as a module, off in eval mode."""

    rank = 3
