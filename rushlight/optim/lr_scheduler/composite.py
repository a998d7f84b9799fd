"""Schedules made of schedules.

In: schedules of one optimizer. Out: their joint effect on its rates.
Invariant: the parts keep their own state, which the whole saves and loads with its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, set_rate, values_of
from .plateau import ReduceLROnPlateau


class _Composite(LRScheduler):
    def _check_parts(self, optimizer: Optimizer | None, parts: Sequence[LRScheduler]) -> Optimizer:
        """All parts must be schedules of the same optimizer that step without arguments."""
        name = type(self).__name__
        if len(parts) < 1:
            raise ValueError(f"{name} expects at least one scheduler, but got no scheduler.")
        optimizer = optimizer or parts[0].optimizer
        for index, part in enumerate(parts):
            if not hasattr(part, "optimizer"):
                raise TypeError(
                    f"{name} at index {index} should have `optimizer` as its attribute."
                )
            if isinstance(part, ReduceLROnPlateau):
                raise ValueError(
                    f"{name} does not support `ReduceLROnPlateau` scheduler, whose `step` needs "
                    f"a metric, but got one at index {index} in the given schedulers sequence."
                )
            if part.optimizer is not optimizer:
                raise ValueError(
                    f"{name} expects all schedulers to belong to the same optimizer, but scheduler "
                    f"{type(part).__name__} at index {index} belongs to another one."
                )
        return optimizer

    def state_dict(self) -> dict[str, Any]:
        """The state of the whole and, under `_schedulers`, of the parts."""
        state = super().state_dict()
        return {**state, "_schedulers": [part.state_dict() for part in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state of the whole and of the parts."""
        parts = self._schedulers
        super().load_state_dict({**state_dict, "_schedulers": parts})
        for part, state in zip(parts, state_dict["_schedulers"], strict=True):
            part.load_state_dict(state)


class SequentialLR(_Composite):
    """One schedule after the other, changing at each of the steps in `milestones`.

    Each begins from the first rate (`torch.optim.lr_scheduler.SequentialLR`).
    Errors: ValueError unless there is one schedule more than milestones, all of the same optimizer.

    >>> import rushlight as rl
    >>> from rushlight.optim.lr_scheduler import ConstantLR, ExponentialLR, SequentialLR
    >>> optimizer = rl.optim.SGD([rl.ones(1, requires_grad=True)], lr=1.0)
    >>> parts = [ConstantLR(optimizer, factor=0.5), ExponentialLR(optimizer, gamma=0.5)]
    >>> SequentialLR(optimizer, parts, milestones=[2]).get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = self._check_parts(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than "
                f"the number of milestone points, but got {len(schedulers)} schedulers and "
                f"{len(milestones)} milestones"
            )
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        # Making the parts has already taken a first step of each: take it back, then do the right
        # one.
        for group in optimizer.param_groups:
            set_rate(group, group["initial_lr"])
        self.recursive_undo()
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def recursive_undo(self, sched: LRScheduler | None = None) -> None:
        """Take back one step of a schedule (this one if None) and of all its parts."""
        schedule = self if sched is None else sched
        if isinstance(schedule, _Composite):
            for part in schedule._schedulers:
                self.recursive_undo(part)
        else:
            schedule.last_epoch -= 1

    def step(self) -> None:  # type: ignore[override]
        """Let the schedule whose turn it is set the next rates."""
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        current = self._schedulers[turn]
        if turn > 0 and self._milestones[turn - 1] == self.last_epoch:
            current._update_lr(0)
        else:
            current.step()
        self._last_lr = current.get_last_lr()


class ChainedScheduler(_Composite):
    """All schedules at once, each acting on what the one before has set.

    `torch.optim.lr_scheduler.ChainedScheduler`.
    Errors: ValueError for no schedule, or schedules of several optimizers.
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        self.optimizer = self._check_parts(optimizer, schedulers)
        self._schedulers = schedulers
        self._last_lr = values_of(self.optimizer, "lr")

    def step(self) -> None:  # type: ignore[override]
        """Let all schedules step, in order."""
        for part in self._schedulers:
            part.step()
        self._last_lr = values_of(self.optimizer, "lr")
