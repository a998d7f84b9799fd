"""Averages of weights over training, after `torch.optim.swa_utils`.

In: a model, again and again during training. Out: a second model whose weights are an average.
Invariant: the first update copies; later ones mix in place, so the average's tensors stay the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import rushlight

from ..nn import Module
from .lr_scheduler import LRScheduler
from .lr_scheduler.base import one_per_group
from .optimizer import Optimizer

if TYPE_CHECKING:
    from rushlight import Tensor

Average = Callable[[Any, Any, Any], Any]
ListAverage = Callable[[Sequence[Any], Sequence[Any], Any], None]

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The exponential moving average: decay * average + (1 - decay) * current.

    Errors: ValueError for a decay outside [0, 1].
    """
    if not 0.0 <= decay <= 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )

    def average(ema_param: Any, current_param: Any, num_averaged: Any) -> Any:
        with rushlight.no_grad():
            return decay * ema_param + (1 - decay) * current_param

    return average


def get_swa_avg_fn() -> Average:
    """The mean of all updates: average + (current - average) / (count + 1)."""

    def average(averaged_param: Any, current_param: Any, num_averaged: Any) -> Any:
        with rushlight.no_grad():
            return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return average


def _over_lists(average: Average) -> ListAverage:
    """average of one tensor -> the same for lists of tensors, in place."""

    def average_lists(
        averaged: Sequence[Tensor], current: Sequence[Tensor], num_averaged: Any
    ) -> None:
        with rushlight.no_grad():
            for target, value in zip(averaged, current, strict=True):
                target.copy_(average(target, value, num_averaged))

    return average_lists


def get_ema_multi_avg_fn(decay: float = 0.999) -> ListAverage:
    """`get_ema_avg_fn` for lists of tensors, in place."""
    return _over_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> ListAverage:
    """`get_swa_avg_fn` for lists of tensors, in place."""
    return _over_lists(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of a model that holds the average of its weights (`AveragedModel` of PyTorch).

    `avg_fn(average, current, count)` gives one averaged tensor, `multi_avg_fn` changes lists in
    place; by default the plain mean. With `use_buffers` buffers are averaged too, else copied.

    >>> import rushlight as rl
    >>> from rushlight.optim.swa_utils import AveragedModel
    >>> model = rl.nn.Linear(1, 1)
    >>> averaged = AveragedModel(model)
    >>> averaged.update_parameters(model)
    >>> bool((averaged.module.weight == model.weight).all())
    True
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: ListAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        count = rushlight.tensor(0, dtype=rushlight.int64, device=device)
        self.register_buffer("n_averaged", count)
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def _values(self, model: Module) -> Iterator[Tensor]:
        """What is averaged, in a fixed order."""
        yield from (parameter.detach() for parameter in model.parameters())
        if self.use_buffers:
            yield from (buffer.detach() for buffer in model.buffers())

    def update_parameters(self, model: Module) -> None:
        """Mix the current weights of `model` into the average."""
        averaged = list(self._values(self.module))
        current = [
            value.to(target.device)
            for value, target in zip(self._values(model), averaged, strict=True)
        ]
        if int(self.n_averaged) == 0:
            for target, value in zip(averaged, current, strict=True):
                target.copy_(value)
        else:
            self._mix(averaged, current)
        if not self.use_buffers:
            for target, value in zip(self.module.buffers(), model.buffers(), strict=True):
                target.detach().copy_(value.detach().to(target.device))
        self.n_averaged.add_(1)

    def _mix(self, averaged: list[Tensor], current: list[Tensor]) -> None:
        """Average tensors of one device and dtype together, as `multi_avg_fn` may expect."""
        mix = self.multi_avg_fn or _over_lists(self.avg_fn or get_swa_avg_fn())
        groups: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
        for target, value in zip(averaged, current, strict=True):
            targets, values = groups.setdefault((target.device, target.dtype), ([], []))
            targets.append(target)
            values.append(value)
        for (device, _), (targets, values) in groups.items():
            mix(targets, values, self.n_averaged.to(device))


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Measure the running statistics of all batch norms anew, in one pass over `loader`.

    The average of weights has not seen any data; its batch norms need this once before use. Of a
    batch that is a list or tuple the first part is the input (`torch.optim.swa_utils.update_bn`).
    """
    from ..nn.normalization import _BatchNorm

    norms = {part: part.momentum for part in model.modules() if isinstance(part, _BatchNorm)}
    if not norms:
        return
    was_training = model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        # Without a momentum the statistics are the mean over all batches.
        norm.momentum = None
    with rushlight.no_grad():
        for batch in loader:
            value = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(value if device is None else value.to(device))
    for norm, momentum in norms.items():
        norm.momentum = momentum
    model.train(was_training)


def _linear_part(part: float) -> float:
    return part


def _cosine_part(part: float) -> float:
    return (1 - math.cos(math.pi * part)) / 2


_ANNEALING = {"cos": _cosine_part, "linear": _linear_part}


class SWALR(LRScheduler):
    """From the current rate to `swa_lr` in `anneal_epochs` steps, then constant (`SWALR` of
    PyTorch).

    Errors: ValueError for an unknown strategy or a negative number of steps.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        rates = one_per_group("swa_lr", optimizer, swa_lr)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in _ANNEALING:
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _part(self, step: int) -> float:
        """How much of the way to `swa_lr` is over after `step` steps."""
        over = max(0, min(1, step / max(1, self.anneal_epochs)))
        return _ANNEALING[self._anneal_strategy](over)

    def get_lr(self) -> list[Any]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._part(step - 1), self._part(step)
        rates = []
        for group in self.optimizer.param_groups:
            rate, goal = group["lr"], group["swa_lr"]
            start = goal if before == 1 else (rate - before * goal) / (1 - before)
            rates.append(goal * now + start * (1 - now))
        return rates
