"""Averaged SGD, after `torch.optim.ASGD`.

In: parameters and gradients of one dtype (complex ones are treated as pairs of reals).
Out: rewritten parameters; per parameter `step`, `eta`, `mu` and the average `ax`.
Invariant: plain tensor arithmetic, fused by the engine; numbers that change stay Python numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rushlight

from .optimizer import (
    Group,
    Optimizer,
    State,
    as_number,
    check,
    check_learning_rate,
)

if TYPE_CHECKING:
    from rushlight import Tensor


class ASGD(Optimizer):
    r"""Gradient descent with a decaying rate that also keeps the average of the iterates.

        g = (-g if maximize) + weight_decay * p
        p = (1 - lambd * eta) * p - eta * g
        a = a + mu * (p - a)
        eta = lr / (1 + lambd * lr * t)^alpha;   mu = 1 / max(1, t - t0)

    The average is `state[parameter]["ax"]`.
    Errors: ValueError for a negative rate or decay.
    Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging (1992).

    >>> import rushlight as rl
    >>> weight = rl.tensor([1.0], requires_grad=True)
    >>> optimizer = rl.optim.ASGD([weight], lr=0.5, lambd=0.0)
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.5]
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def init_state(self, param: Tensor, group: Group) -> State:
        return {
            "step": self.new_number(0.0),
            "eta": self.new_number(as_number(group["lr"])),
            "mu": self.new_number(1.0),
            "ax": rushlight.zeros_like(param),
        }

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        state = self.state_of(param, group)
        step, rate, lambd = self.advance(state), as_number(group["lr"]), group["lambd"]
        gradient = self.descent_direction(param, gradient, group)
        average = self.read(state["ax"])
        eta, mu = self.read_number(state["eta"]), self.read_number(state["mu"])
        moved = self.read(param).mul(1 - lambd * eta).add(gradient, alpha=-eta)
        self.write(param, moved)
        self.write(state["ax"], moved if mu == 1 else average.add(moved.sub(average), alpha=mu))
        self.write_number(state["eta"], rate / (1 + lambd * rate * step) ** group["alpha"])
        self.write_number(state["mu"], 1 / max(1, step - group["t0"]))
