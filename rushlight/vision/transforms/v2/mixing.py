"""Batches of which every image is mixed with another one.

In: a batch (N, C, H, W) and its labels (N,), alone or in a sample. Out: the same, the labels as
shares (N, classes). Each image is mixed with the one before it in the batch.
"""

from __future__ import annotations

import math
from typing import Any

import rushlight
from rushlight import Tensor, nn
from rushlight.nn.functional import one_hot
from rushlight.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["CutMix", "MixUp"]


class _Mixing(nn.Module):
    """What both share: finding batch and labels, drawing the share that is kept."""

    def __init__(
        self, *, alpha: float = 1.0, num_classes: int | None = None, labels_getter: Any = "default"
    ) -> None:
        super().__init__()
        self.alpha, self.num_classes, self.labels_getter = float(alpha), num_classes, labels_getter
        self._beta = rushlight.distributions.Beta(
            rushlight.tensor([self.alpha]), rushlight.tensor([self.alpha])
        )

    def _mixed(self, images: Tensor, share: float) -> tuple[Tensor, float]:
        """The mixed batch, and the share of itself that each image keeps."""
        raise NotImplementedError

    def _labels(self, sample: Any, leaves: list[Any]) -> Tensor:
        if callable(self.labels_getter):
            return self.labels_getter(sample)
        found = [x for x in leaves if isinstance(x, Tensor) and x.dim() < 3]
        if len(found) != 1:
            raise ValueError("the labels are not told from the rest; pass labels_getter")
        return found[0]

    def forward(self, *inputs: Any) -> Any:
        sample = inputs if len(inputs) > 1 else inputs[0]
        leaves, structure = tree_flatten(sample)
        labels = self._labels(sample, leaves)
        if labels.dim() == 1 and self.num_classes is None:
            raise ValueError("num_classes must be passed if the labels are index-based (1D)")
        share = float(self._beta.sample().item())
        images = next(k for k, x in enumerate(leaves) if isinstance(x, Tensor) and x.dim() == 4)
        place = next(k for k, x in enumerate(leaves) if x is labels)
        if leaves[images].shape[0] != labels.shape[0]:
            raise ValueError(
                f"{leaves[images].shape[0]} images and {labels.shape[0]} labels: expected as many"
            )
        leaves[images], share = self._mixed(leaves[images], share)
        shares = one_hot(labels, self.num_classes or -1) if labels.dim() == 1 else labels
        shares = shares if shares.is_floating_point() else shares.float()
        leaves[place] = shares.roll(1, 0) * (1.0 - share) + shares * share
        return tree_unflatten(leaves, structure)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alpha={self.alpha}, num_classes={self.num_classes})"


class MixUp(_Mixing):
    """share * image + (1 - share) * another (Zhang et al. 2017, "mixup")."""

    def _mixed(self, images: Tensor, share: float) -> tuple[Tensor, float]:
        return images.roll(1, 0) * (1.0 - share) + images * share, share


class CutMix(_Mixing):
    """A rectangle of the image replaced by that of another one (Yun et al. 2019, "CutMix")."""

    def _mixed(self, images: Tensor, share: float) -> tuple[Tensor, float]:
        height, width = images.shape[-2:]
        x = int(rushlight.randint(width, size=(1,)).item())
        y = int(rushlight.randint(height, size=(1,)).item())
        half = 0.5 * math.sqrt(1.0 - share)
        across, down = int(half * width), int(half * height)
        left, right = max(x - across, 0), min(x + across, width)
        top, bottom = max(y - down, 0), min(y + down, height)
        mixed = images.clone()
        mixed[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
        return mixed, 1.0 - (right - left) * (bottom - top) / (width * height)
