"""Schedules given by a formula in the number of steps.

In: constants of the formula. Out: the rate at step `last_epoch`.
Invariant: where both forms exist, `next_rate` applied step by step gives what `closed_form` gives,
up to rounding.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, saved_function

Rule = Callable[[int], float]


class _Functions(LRScheduler):
    """A schedule by functions of the step, one per group; functions themselves are not saved."""

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Rule | list[Rule], last_epoch: int = -1
    ) -> None:
        count = len(optimizer.param_groups)
        given = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * count
        if len(given) != count:
            raise ValueError(f"Expected {count} lr_lambdas, but got {len(given)}")
        for rule in given:
            if not callable(rule):
                raise TypeError(f"lr_lambda should be a function, but got {type(rule).__name__}")
        self.lr_lambdas = given
        super().__init__(optimizer, last_epoch)

    def factors(self) -> list[float]:
        return [rule(self.last_epoch) for rule in self.lr_lambdas]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of the functions only the fields of callable objects."""
        return {
            **super().state_dict(),
            "lr_lambdas": [saved_function(rule) for rule in self.lr_lambdas],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state; the functions stay, objects get their fields back."""
        rules, saved = self.lr_lambdas, state_dict["lr_lambdas"]
        super().load_state_dict({**state_dict, "lr_lambdas": rules})
        for rule, fields in zip(rules, saved, strict=True):
            if fields is not None:
                rule.__dict__.update(fields)


class LambdaLR(_Functions):
    """The first rate times a function of the step (`torch.optim.lr_scheduler.LambdaLR`).

    >>> import rushlight as rl
    >>> optimizer = rl.optim.SGD([rl.ones(1, requires_grad=True)], lr=2.0)
    >>> LambdaLR(optimizer, lambda epoch: 1 / (epoch + 1)).get_last_lr()
    [2.0]
    """

    def get_lr(self) -> list[Any]:
        return [base * factor for base, factor in zip(self.base_lrs, self.factors(), strict=True)]


class MultiplicativeLR(_Functions):
    """Each step multiplies the rate by a function of the step (`MultiplicativeLR` of PyTorch)."""

    def get_lr(self) -> list[Any]:
        rates = [group["lr"] for group in self.optimizer.param_groups]
        if self._is_initial:
            return rates
        return [rate * factor for rate, factor in zip(rates, self.factors(), strict=True)]


class StepLR(LRScheduler):
    """rate * gamma every `step_size` steps (`torch.optim.lr_scheduler.StepLR`).

    >>> import rushlight as rl
    >>> optimizer = rl.optim.SGD([rl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += schedule.get_last_lr()
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [1.0, 1.0, 0.5, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def next_rate(self, rate: Any, base: Any) -> Any:
        due = self.last_epoch != 0 and self.last_epoch % self.step_size == 0
        return rate * self.gamma if due else rate

    def closed_form(self, base: Any) -> Any:
        return base * self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """rate * gamma at each of the steps in `milestones` (`MultiStepLR` of PyTorch)."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def next_rate(self, rate: Any, base: Any) -> Any:
        times = self.milestones.get(self.last_epoch)
        return rate * self.gamma**times if times else rate

    def closed_form(self, base: Any) -> Any:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return base * self.gamma**passed


class ConstantLR(LRScheduler):
    """base * factor for the first `total_iters` steps, then base (`ConstantLR` of PyTorch).

    Errors: ValueError for a factor outside [0, 1].
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 <= factor <= 1.0:
            raise ValueError("Constant multiplicative factor expected to be between 0 and 1.")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def next_rate(self, rate: Any, base: Any) -> Any:
        if self.last_epoch == 0:
            return rate * self.factor
        return rate * (1.0 / self.factor) if self.last_epoch == self.total_iters else rate

    def closed_form(self, base: Any) -> Any:
        return base * (self.factor + (self.last_epoch >= self.total_iters) * (1 - self.factor))


class LinearLR(LRScheduler):
    """base * factor, the factor going evenly from `start_factor` to `end_factor` in `total_iters`
    steps.

    `torch.optim.lr_scheduler.LinearLR`, the usual warm-up.
    Errors: ValueError for a start outside (0, 1] or an end outside [0, 1].
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1.0:
            raise ValueError(
                "Starting multiplicative factor expected to be greater than 0 "
                "and less or equal to 1."
            )
        if not 0 <= end_factor <= 1.0:
            raise ValueError("Ending multiplicative factor expected to be between 0 and 1.")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def next_rate(self, rate: Any, base: Any) -> Any:
        if self.last_epoch == 0:
            return rate * self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return rate
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return rate * (1.0 + rise / before)

    def closed_form(self, base: Any) -> Any:
        rise = self.end_factor - self.start_factor
        done = min(self.total_iters, self.last_epoch)
        return base * (self.start_factor + rise * done / self.total_iters)


class ExponentialLR(LRScheduler):
    """rate * gamma at every step (`torch.optim.lr_scheduler.ExponentialLR`)."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def next_rate(self, rate: Any, base: Any) -> Any:
        return rate if self._is_initial else rate * self.gamma

    def closed_form(self, base: Any) -> Any:
        return base * self.gamma**self.last_epoch


class PolynomialLR(LRScheduler):
    """base * (1 - t / total_iters)^power, then 0 (`torch.optim.lr_scheduler.PolynomialLR`)."""

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _left(self, step: int) -> float:
        return 1.0 - step / self.total_iters

    def next_rate(self, rate: Any, base: Any) -> Any:
        if self._is_initial or self.last_epoch > self.total_iters:
            return rate
        return rate * (self._left(self.last_epoch) / self._left(self.last_epoch - 1)) ** self.power

    def closed_form(self, base: Any) -> Any:
        return base * self._left(min(self.total_iters, self.last_epoch)) ** self.power


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from base to `eta_min` in `T_max` steps, and back in as many.

        eta_min + (base - eta_min) * (1 + cos(pi * t / T_max)) / 2

    `torch.optim.lr_scheduler.CosineAnnealingLR`; Loshchilov and Hutter, SGDR (2016), without
    restarts.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def next_rate(self, rate: Any, base: Any) -> Any:
        t, period, low = self.last_epoch, self.T_max, self.eta_min
        if self._is_initial:
            return rate
        if self._step_count == 1 and t > 0:
            return low + (base - low) * (1 + math.cos(t * math.pi / period)) / 2
        if (t - 1 - period) % (2 * period) == 0:
            # The ratio below would divide by zero: the rate was at its lowest.
            return rate + (base - low) * (1 - math.cos(math.pi / period)) / 2
        here, before = (1 + math.cos(math.pi * each / period) for each in (t, t - 1))
        return here / before * (rate - low) + low

    def closed_form(self, base: Any) -> Any:
        wave = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        return self.eta_min + (base - self.eta_min) * wave / 2
