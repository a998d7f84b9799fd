"""Adamax, after `torch.optim.Adamax`.

In: parameters and gradients of one dtype (complex ones are treated as pairs of reals).
Out: rewritten parameters; per parameter `step`, `exp_avg` and `exp_inf`.
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
    check_betas,
    check_learning_rate,
)

if TYPE_CHECKING:
    from rushlight import Tensor


class Adamax(Optimizer):
    r"""Adam with the infinity norm in place of the second moment.

        g = (-g if maximize) + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        u = max(beta2 * u, |g| + eps)
        p = p - lr / (1 - beta1^t) * m / u

    Errors: ValueError for a negative rate, eps or decay, and for a beta outside [0, 1).
    Kingma and Ba, Adam: A Method for Stochastic Optimization (2014), section 7.1.

    >>> import rushlight as rl
    >>> weight = rl.tensor([1.0], requires_grad=True)
    >>> optimizer = rl.optim.Adamax([weight], lr=0.5, betas=(0.0, 0.0), eps=0.0)
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.5]
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check(eps >= 0.0, f"Invalid epsilon value: {eps}")
        check_betas(betas)
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
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
            "exp_avg": rushlight.zeros_like(param),
            "exp_inf": rushlight.zeros_like(param),
        }

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        state = self.state_of(param, group)
        step, (beta1, beta2) = self.advance(state), group["betas"]
        gradient = self.descent_direction(param, gradient, group)
        exp_avg, exp_inf = self.read(state["exp_avg"]), self.read(state["exp_inf"])
        mean = exp_avg.lerp(gradient, 1 - beta1)
        norm = rushlight.maximum(exp_inf.mul(beta2), gradient.abs().add(group["eps"]))
        rate = as_number(group["lr"]) / (1 - beta1**step)
        self.write(state["exp_avg"], mean)
        self.write(state["exp_inf"], norm)
        self.write(param, self.read(param).addcdiv(mean, norm, value=-rate))
