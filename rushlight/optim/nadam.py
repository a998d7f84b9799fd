"""NAdam, after `torch.optim.NAdam`.

In: parameters and gradients of one dtype (complex ones are treated as pairs of reals).
Out: rewritten parameters; per parameter `step`, `mu_product`, `exp_avg` and `exp_avg_sq`.
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


class NAdam(Optimizer):
    r"""Adam with Nesterov momentum, whose weight follows a schedule.

        g = (-g if maximize) + weight_decay * p
            (decoupled decay instead: p = p * (1 - lr * weight_decay))
        mu_t = beta1 * (1 - 0.5 * 0.96^(t * momentum_decay))
        m = beta1 * m + (1 - beta1) * g;   v = beta2 * v + (1 - beta2) * g^2
        d = sqrt(v / (1 - beta2^t)) + eps
        p = p - lr * (1 - mu_t) / (1 - mu_1...mu_t) * g / d
              - lr * mu_(t+1) / (1 - mu_1...mu_(t+1)) * m / d

    Errors: ValueError for a negative rate, eps, decay or momentum_decay, and for a beta outside [0,
    1). Dozat, Incorporating Nesterov Momentum into Adam (2016).

    >>> import rushlight as rl
    >>> weight = rl.tensor([1.0], requires_grad=True)
    >>> optimizer = rl.optim.NAdam([weight], lr=0.5, betas=(0.0, 0.0), eps=0.0)
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
        momentum_decay: float = 4e-3,
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
        check(momentum_decay >= 0.0, f"Invalid momentum_decay value: {momentum_decay}")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def init_state(self, param: Tensor, group: Group) -> State:
        return {
            "step": self.new_number(0.0),
            "mu_product": self.new_number(1.0),
            "exp_avg": rushlight.zeros_like(param),
            "exp_avg_sq": rushlight.zeros_like(param),
        }

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        state = self.state_of(param, group)
        step, (beta1, beta2) = self.advance(state), group["betas"]
        rate = as_number(group["lr"])
        start, gradient = self.decayed(param, gradient, group)
        mu, mu_next = (
            beta1 * (1.0 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1)
        )
        product = self.read_number(state["mu_product"]) * mu
        product = self.write_number(state["mu_product"], product)
        exp_avg, exp_avg_sq = self.read(state["exp_avg"]), self.read(state["exp_avg_sq"])
        mean = exp_avg.lerp(gradient, 1 - beta1)
        squares = exp_avg_sq.mul(beta2).addcmul(gradient, gradient, value=1 - beta2)
        scale = squares.div(1 - beta2**step).sqrt().add(group["eps"])
        moved = start.addcdiv(gradient, scale, value=-rate * (1.0 - mu) / (1.0 - product))
        moved = moved.addcdiv(mean, scale, value=-rate * mu_next / (1.0 - product * mu_next))
        self.write(state["exp_avg"], mean)
        self.write(state["exp_avg_sq"], squares)
        self.write(param, moved)
