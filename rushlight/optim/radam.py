"""RAdam, after `torch.optim.RAdam`.

In: parameters and gradients of one dtype (complex ones are treated as pairs of reals).
Out: rewritten parameters; per parameter `step`, `exp_avg` and `exp_avg_sq`.
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


class RAdam(Optimizer):
    r"""Adam that waits with its adaptive rate until the second moment can be trusted.

        g = (-g if maximize) + weight_decay * p
            (decoupled decay instead: p = p * (1 - lr * weight_decay))
        m = beta1 * m + (1 - beta1) * g;   v = beta2 * v + (1 - beta2) * g^2
        rho_inf = 2 / (1 - beta2) - 1;     rho = rho_inf - 2 * t * beta2^t / (1 - beta2^t)
        r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
        p = p - lr * m / (1 - beta1^t) * (r * sqrt(1 - beta2^t) / (sqrt(v) + eps)  if rho > 5 else
        1)

    Errors: ValueError for a negative rate, eps or decay, and for a beta outside [0, 1).
    Liu et al., On the Variance of the Adaptive Learning Rate and Beyond (2019).

    >>> import rushlight as rl
    >>> weight = rl.tensor([1.0], requires_grad=True)
    >>> optimizer = rl.optim.RAdam([weight], lr=0.5, betas=(0.0, 0.5))
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.5]
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
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
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def init_state(self, param: Tensor, group: Group) -> State:
        return {
            "step": self.new_number(0.0),
            "exp_avg": rushlight.zeros_like(param),
            "exp_avg_sq": rushlight.zeros_like(param),
        }

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        state = self.state_of(param, group)
        step, (beta1, beta2) = self.advance(state), group["betas"]
        start, gradient = self.decayed(param, gradient, group)
        exp_avg, exp_avg_sq = self.read(state["exp_avg"]), self.read(state["exp_avg_sq"])
        mean = exp_avg.lerp(gradient, 1 - beta1)
        squares = exp_avg_sq.mul(beta2).addcmul(gradient, gradient, value=1 - beta2)
        rate = as_number(group["lr"]) / (1 - beta1**step)
        factor = _adaptive_factor(step, beta2)
        if factor is None:
            moved = start.add(mean, alpha=-rate)
        else:
            scale = squares.sqrt().add(group["eps"])
            moved = start.addcdiv(mean, scale, value=-rate * factor)
        self.write(state["exp_avg"], mean)
        self.write(state["exp_avg_sq"], squares)
        self.write(param, moved)


def _adaptive_factor(step: float, beta2: float) -> float | None:
    """r * sqrt(1 - beta2^t), or None while the variance of the adaptive rate is not tractable
    (rho <= 5).
    """
    correction = 1 - beta2**step
    limit = 2 / (1 - beta2) - 1
    rho = limit - 2 * step * beta2**step / correction
    if rho <= 5.0:
        return None
    ratio = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
    return float((ratio * correction) ** 0.5)
