"""Softmax over very many classes, most of them rare.

In: hidden vectors and target classes sorted by frequency. Out: log-probabilities of the targets.
Invariant: the classes below the first cutoff are the head's own; every further cluster is one
entry of the head and a small network of its own.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn import functional as F
from rushlight.nn.containers import ModuleList, Sequential
from rushlight.nn.linear import Linear
from rushlight.nn.module import Module

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """Efficient softmax for a Zipf-like class distribution (Grave et al., arXiv 1609.04309).

    Args:
        cutoffs: increasing class numbers at which clusters begin.
        div_value: the width of each cluster's network shrinks by this factor.
        head_bias: whether the head has a bias.

    Returns (from a call): `(output, loss)`, the targets' log-probabilities and minus their mean.
    Follows `torch.nn.AdaptiveLogSoftmaxWithLoss`.

    >>> import rushlight as rl
    >>> layer = rl.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10])
    >>> layer(rl.zeros(2, 8), rl.tensor([1, 15])).output.shape
    torch.Size([2])
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        cutoffs = list(cutoffs)
        _check_cutoffs(cutoffs, n_classes)
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        place = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **place)
        self.tail = ModuleList()
        for cluster in range(self.n_clusters):
            width = int(in_features // (div_value ** (cluster + 1)))
            size = self.cutoffs[cluster + 1] - self.cutoffs[cluster]
            self.tail.append(
                Sequential(
                    Linear(in_features, width, bias=False, **place),
                    Linear(width, size, bias=False, **place),
                )
            )

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        self.head.reset_parameters()
        for narrow, wide in self.tail:
            narrow.reset_parameters()
            wide.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> Any:
        if input_.dim() - 1 != target_.dim():
            raise RuntimeError(
                "0D or 1D target tensor expected, multi-target not supported"
                if target_.dim() > 1
                else f"{target_.dim()}D target tensor expects {target_.dim() + 1}D input tensors, "
                f"but found input with size {list(input_.shape)}."
            )
        input = input_ if target_.dim() else input_.unsqueeze(0)
        target = target_ if target_.dim() else target_.unsqueeze(0)
        if input.size(0) != target.size(0):
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        if bool(((target < 0) | (target >= self.n_classes)).any()):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{int(target.min())}, {int(target.max())}] were found. "
            )
        scores = self.log_prob(input).gather(1, target.unsqueeze(1)).squeeze(1)
        output = scores if target_.dim() else scores.squeeze(0)
        return _ASMoutput(output, -scores.mean())

    def _cluster_log_probs(self, input: Tensor, head: Tensor, cluster: int) -> Tensor:
        inside = F.log_softmax(self.tail[cluster](input), 1)
        return inside + head[:, self.shortlist_size + cluster].unsqueeze(1)

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probability of every class: (N, in_features) -> (N, n_classes)."""
        head = F.log_softmax(self.head(input), 1)
        clusters = [
            self._cluster_log_probs(input, head, cluster) for cluster in range(self.n_clusters)
        ]
        return rushlight.cat([head[:, : self.shortlist_size], *clusters], 1)

    def predict(self, input: Tensor) -> Tensor:
        """The most likely class: (N, in_features) -> (N)."""
        return self.log_prob(input).argmax(1)


def _check_cutoffs(cutoffs: list[int], n_classes: int) -> None:
    if not cutoffs:
        raise ValueError("cutoffs should be a sequence of length larger than 0")
    increasing = all(a < b for a, b in pairwise(cutoffs))
    inside = min(cutoffs) > 0 and max(cutoffs) <= n_classes - 1
    whole = all(int(cutoff) == cutoff for cutoff in cutoffs)
    if not (increasing and inside and whole):
        raise ValueError(
            "cutoffs should be a sequence of unique, positive integers sorted in an increasing "
            "order, where each value is between 1 and n_classes-1"
        )
