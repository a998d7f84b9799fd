"""What all learning-rate schedules share.

In: an optimizer, whose groups have an `lr`. Out: after each `step()`, groups with the next rate.
Invariant: a schedule is one or two formulas. `next_rate` gives the rate from the one before it, so
that several schedules can act on one optimizer; `closed_form` gives it from the first rate, for
`step(epoch)`. What has to be remembered between steps is in the instance, and so in `state_dict()`.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import rushlight

from ..optimizer import Optimizer, as_number

_EPOCH_WARNING = (
    "The epoch parameter in `scheduler.step()` is deprecated: please use `scheduler.step()`. With "
    "an epoch the closed form of the schedule is used, where there is one."
)
_ORDER_WARNING = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`: the first value of the "
    "schedule is skipped. Call them in the opposite order."
)


def values_of(optimizer: Optimizer, key: str) -> list[Any]:
    """An option of every group; a tensor as a copy, since the group's own changes in place."""
    values = [group[key] for group in optimizer.param_groups]
    return [each.clone() if isinstance(each, rushlight.Tensor) else each for each in values]


def set_rate(group: dict[str, Any], rate: Any) -> None:
    """Give a group another learning rate; a rate kept in a tensor is changed in place."""
    if isinstance(group["lr"], rushlight.Tensor):
        group["lr"].fill_(as_number(rate))
    else:
        group["lr"] = rate


def one_per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """A value, or one for each group -> a list with one for each group."""
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. "
            f"{name} has {len(value)} values, param_groups has {count}."
        )
    return list(value)


def check_optimizer(optimizer: Any) -> Optimizer:
    """The optimizer itself. Errors: TypeError for anything else."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def warn_of_epoch() -> None:
    """Say that giving the epoch is a thing of the past."""
    warnings.warn(_EPOCH_WARNING, UserWarning, stacklevel=4)


def _note_step(optimizer: Any, args: Any, kwargs: Any) -> None:
    optimizer._opt_called = True


class LRScheduler:
    """Base of all schedules (`torch.optim.lr_scheduler.LRScheduler`).

    A schedule of one's own overrides `next_rate(rate, base)`, or `get_lr()`, which returns one rate
    per group. `last_epoch` counts the steps from 0; with `last_epoch` given, the schedule goes on
    from a loaded optimizer, whose groups must have `initial_lr`.
    Errors: TypeError for something that is not an optimizer, KeyError for a missing `initial_lr`.

    >>> import rushlight as rl
    >>> class Halving(LRScheduler):
    ...     def next_rate(self, rate, base):
    ...         return rate / 2 if self.last_epoch else rate
    >>> optimizer = rl.optim.SGD([rl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = Halving(optimizer)
    >>> optimizer.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = check_optimizer(optimizer)
        for index, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", values_of(optimizer, "lr")[index])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{index}] when resuming "
                    "scheduler with last_epoch >= 0: load the optimizer's state first"
                )
        self.base_lrs = values_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        if not hasattr(optimizer, "_opt_called"):
            optimizer._opt_called = False  # type: ignore[attr-defined]
            optimizer.register_step_post_hook(_note_step)
        self._initial_step()

    def _initial_step(self) -> None:
        """Set the first rates."""
        self._step_count = 0
        with self._flag("_is_initial"):
            self.step()

    @contextlib.contextmanager
    def _flag(self, name: str) -> Iterator[None]:
        setattr(self, name, True)
        try:
            yield
        finally:
            setattr(self, name, False)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict()` gave; load the optimizer's own state afterwards."""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> list[Any]:
        """The rates that the last step set."""
        return self._last_lr

    def next_rate(self, rate: Any, base: Any) -> Any:
        """The rate of one group after `rate`, at step `last_epoch`; `base` is its first rate."""
        raise NotImplementedError(f"{type(self).__name__} must define next_rate or get_lr")

    def get_lr(self) -> list[Any]:
        """The next rates, as `step` sets them; to see the current ones, use `get_last_lr`."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, "
                "please use `get_last_lr()`.",
                UserWarning,
                stacklevel=2,
            )
        rates = values_of(self.optimizer, "lr")
        return [self.next_rate(*pair) for pair in zip(rates, self.base_lrs, strict=True)]

    def _get_closed_form_lr(self) -> list[Any]:
        closed_form = getattr(self, "closed_form", None)
        return (
            self.get_lr() if closed_form is None else [closed_form(base) for base in self.base_lrs]
        )

    def step(self, epoch: int | None = None) -> None:
        """Set the next rates; call it after the optimizer's step. `epoch` jumps to that step."""
        if self._step_count == 1 and not getattr(self.optimizer, "_opt_called", True):
            warnings.warn(_ORDER_WARNING, UserWarning, stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warn_of_epoch()
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        with self._flag("_get_lr_called_within_step"):
            self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
            rates = self.get_lr() if epoch is None else self._get_closed_form_lr()
        self._set_rates(rates)

    def _set_rates(self, rates: list[Any]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_rate(group, rate)
        self._last_lr = values_of(self.optimizer, "lr")


def saved_function(function: Any) -> dict[str, Any] | None:
    """What of a user's function goes into a state: the fields of an object, else nothing."""
    return None if type(function).__name__ == "function" else function.__dict__.copy()
