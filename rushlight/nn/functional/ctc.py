"""Connectionist temporal classification (Graves et al., ICML 2006).

In: log-probabilities over time, and for each sample a shorter sequence of labels. Out: minus the
log-probability of all alignments together.
Invariant: forward and backward walk time once each over the same lattice of label positions, in
which a blank stands before, between and after the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn.functional.reduction import reduced

_NEVER = float("-inf")


class _Lattice:
    """The positions of one batch: labels with blanks around, and which steps are allowed."""

    def __init__(self, labels: Tensor, input_lengths: Tensor, label_lengths: Tensor, blank: int):
        batch, longest = labels.shape
        self.input_lengths = input_lengths
        self.ends = 2 * label_lengths
        self.symbols = rushlight.full((batch, 2 * longest + 1), blank, dtype=rushlight.int64)
        self.symbols[:, 1::2] = labels
        place = rushlight.arange(2 * longest + 1)
        two_back = self.symbols.roll(2, 1)
        self.may_skip = (self.symbols != blank) & (self.symbols != two_back) & (place >= 2)
        self.is_first = (place < 2) & (place <= self.ends.unsqueeze(1))
        last = self.ends.unsqueeze(1)
        self.is_last = (place <= last) & (place >= (last - 1).clamp(min=0))

    def emissions(self, log_probs: Tensor) -> Tensor:
        """(T, N, positions): the log-probability of each position's symbol."""
        index = self.symbols.unsqueeze(0).expand(log_probs.size(0), -1, -1)
        return log_probs.gather(2, index)


def _log_sum(*terms: Tensor) -> Tensor:
    """log(sum exp), minus infinity where all terms are."""
    stacked = rushlight.stack(terms)
    largest = stacked.amax(0)
    shift = largest.masked_fill(largest == _NEVER, 0.0)
    return (stacked - shift).exp().sum(0).log() + shift


def _shifted(values: Tensor, steps: int) -> Tensor:
    """Row entries moved right by `steps` (left if negative), minus infinity where none was."""
    moved = values.roll(steps, 1)
    place = rushlight.arange(values.size(1))
    outside = place < steps if steps > 0 else place >= values.size(1) + steps
    return moved.masked_fill(outside, _NEVER)


def _forward_variables(lattice: _Lattice, emissions: Tensor) -> Tensor:
    """alpha[t, n, s]: log-probability of all beginnings that stand on s at time t."""
    alpha = emissions[0].masked_fill(~lattice.is_first, _NEVER)
    alphas = [alpha]
    for emission in emissions[1:].unbind(0):
        skipped = _shifted(alpha, 2).masked_fill(~lattice.may_skip, _NEVER)
        alpha = _log_sum(alpha, _shifted(alpha, 1), skipped) + emission
        alphas.append(alpha)
    return rushlight.stack(alphas)


def _backward_variables(lattice: _Lattice, emissions: Tensor) -> Tensor:
    """beta[t, n, s]: log-probability of all endings that stand on s at time t."""
    last = (lattice.input_lengths - 1).unsqueeze(1)
    # One may leave s towards s + 2 where s + 2 may be reached by skipping.
    may_skip = lattice.may_skip.roll(-2, 1)
    beta = rushlight.full_like(emissions[0], _NEVER)
    betas = []
    for time in range(emissions.size(0) - 1, -1, -1):
        skipped = _shifted(beta, -2).masked_fill(~may_skip, _NEVER)
        going_on = _log_sum(beta, _shifted(beta, -1), skipped)
        ending = rushlight.zeros_like(beta).masked_fill(~lattice.is_last, _NEVER)
        beta = rushlight.where(last == time, ending, going_on) + emissions[time]
        beta = beta.masked_fill(last < time, _NEVER)
        betas.append(beta)
    return rushlight.stack(betas[::-1])


class _ConnectionistLoss(rushlight.autograd.Function):
    """The loss of each sample, with PyTorch's gradient.

    That gradient, exp(log_probs) - posterior, is the one with respect to the scores before
    log_softmax; log_softmax passes it on unchanged, because its rows sum to zero.
    """

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, lattice: _Lattice) -> Tensor:
        emissions = lattice.emissions(log_probs)
        alphas = _forward_variables(lattice, emissions)
        samples = rushlight.arange(log_probs.size(1))
        at_end = alphas[lattice.input_lengths.clamp(min=1) - 1, samples]
        at_end = at_end.masked_fill(~lattice.is_last, _NEVER)
        loss = -_log_sum(*at_end.unbind(1))
        empty = rushlight.where(lattice.ends == 0, 0.0, float("inf")).to(loss.dtype)
        loss = rushlight.where(lattice.input_lengths == 0, empty, loss)
        ctx.save_for_backward(log_probs, alphas, loss)
        ctx.lattice = lattice
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        log_probs, alphas, loss = ctx.saved_tensors
        lattice = ctx.lattice
        emissions = lattice.emissions(log_probs)
        both = alphas + _backward_variables(lattice, emissions)
        share = (both - emissions + loss.unsqueeze(1)).exp().masked_fill(both == _NEVER, 0.0)
        index = lattice.symbols.unsqueeze(0).expand(share.shape)
        posterior = rushlight.zeros_like(log_probs).scatter_add(2, index, share)
        time = rushlight.arange(log_probs.size(0)).unsqueeze(1)
        running = (time < lattice.input_lengths).unsqueeze(2)
        full = (log_probs.exp() - posterior) * gradient.unsqueeze(1)
        return full.masked_fill(~running, 0.0), None


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the total probability of all alignments of `targets` with the time steps.

    Args:
        log_probs: (T, N, C) or (T, C), log-softmax over classes.
        targets: (N, S) padded, or all targets one after the other; no blanks.
        input_lengths, target_lengths: (N), or one number each for an unbatched input.
        blank: the class that stands for "no label".
        reduction: 'mean' divides each loss by its target length first.
        zero_infinity: losses (and gradients) of impossible targets become zero.

    Follows `torch.nn.functional.ctc_loss`.

    >>> import rushlight as rl
    >>> scores = rl.zeros(4, 1, 3).log_softmax(2)
    >>> rl.nn.functional.ctc_loss(scores, rl.tensor([[1, 2]]), [4], [2], reduction="sum")
    tensor(1.6864)
    """
    batched = log_probs.dim() == 3
    log_probs = log_probs if batched else log_probs.unsqueeze(1)
    steps, batch, classes = log_probs.shape
    input_lengths, target_lengths = _lengths(input_lengths), _lengths(target_lengths)
    _check_lengths(input_lengths, target_lengths, steps, batch)
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    labels = _padded_labels(targets, target_lengths, batch)
    lattice = _Lattice(labels, input_lengths, target_lengths, blank)
    values = _ConnectionistLoss.apply(log_probs, lattice)
    if zero_infinity:
        values = rushlight.where(values == float("inf"), 0.0, values)
    if reduction == "mean":
        return (values / target_lengths.clamp(min=1).to(values.dtype)).mean()
    return reduced(values if batched else values.squeeze(0), reduction)


def _lengths(lengths: Any) -> Tensor:
    return rushlight.as_tensor(lengths, dtype=rushlight.int64).reshape(-1)


def _check_lengths(inputs: Tensor, targets: Tensor, steps: int, batch: int) -> None:
    for name, lengths in (("input", inputs), ("target", targets)):
        if lengths.numel() != batch:
            raise RuntimeError(f"{name}_lengths must be of size batch_size")
        if batch and int(lengths.min()) < 0:
            raise RuntimeError(
                f"Expected {name}_lengths to have value at least 0, but got value "
                f"{int(lengths.min())}"
            )
    if batch and int(inputs.max()) > steps:
        raise RuntimeError(
            f"Expected input_lengths to have value at most {steps}, but got value "
            f"{int(inputs.max())}"
        )


def _padded_labels(targets: Tensor, lengths: Tensor, batch: int) -> Tensor:
    """(N, S) labels, whatever form they came in; what lies behind a target's end becomes 0."""
    targets = targets.to(rushlight.int64)
    longest = int(lengths.max()) if batch else 0
    place = rushlight.arange(longest)
    if targets.dim() == 2:
        if targets.size(0) != batch or targets.size(1) < longest:
            raise RuntimeError(
                f"Expected tensor to have size {batch} x at least {longest}, but got targets of "
                f"size {list(targets.shape)}"
            )
        labels = targets[:, :longest]
    else:
        total = int(lengths.sum())
        if targets.numel() < total:
            raise RuntimeError(
                f"Expected targets to have {total} elements (the sum of target_lengths), "
                f"but got {targets.numel()}"
            )
        starts = (lengths.cumsum(0) - lengths).unsqueeze(1)
        labels = targets[(starts + place).clamp(max=max(targets.numel() - 1, 0))]
    return labels.masked_fill(place >= lengths.unsqueeze(1), 0)
