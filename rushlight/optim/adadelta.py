"""Adadelta, after `torch.optim.Adadelta`.

In: parameters and gradients of one dtype (complex ones are treated as pairs of reals).
Out: rewritten parameters; per parameter `step`, `square_avg` and `acc_delta`.
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


class Adadelta(Optimizer):
    r"""Steps in the units of the parameter: a ratio of two running root mean squares.

        g = (-g if maximize) + weight_decay * p
        v = rho * v + (1 - rho) * g^2
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d^2
        p = p - lr * d

    Errors: ValueError for a negative option and for rho outside [0, 1].
    Zeiler, ADADELTA: An Adaptive Learning Rate Method (2012).

    >>> import rushlight as rl
    >>> weight = rl.tensor([1.0], requires_grad=True)
    >>> optimizer = rl.optim.Adadelta([weight], lr=0.5, rho=0.0, eps=0.0)
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [1.0]
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check(0.0 <= rho <= 1.0, f"Invalid rho value: {rho}")
        check(eps >= 0.0, f"Invalid epsilon value: {eps}")
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def init_state(self, param: Tensor, group: Group) -> State:
        return {
            "step": self.new_number(0.0),
            "square_avg": rushlight.zeros_like(param),
            "acc_delta": rushlight.zeros_like(param),
        }

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        state = self.state_of(param, group)
        self.advance(state)
        rho, eps, rate = group["rho"], group["eps"], as_number(group["lr"])
        gradient = self.descent_direction(param, gradient, group)
        square_avg, acc_delta = self.read(state["square_avg"]), self.read(state["acc_delta"])
        squares = square_avg.mul(rho).addcmul(gradient, gradient, value=1 - rho)
        delta = acc_delta.add(eps).sqrt().div(squares.add(eps).sqrt()).mul(gradient)
        self.write(state["square_avg"], squares)
        mean = acc_delta.mul(rho).addcmul(delta, delta, value=1 - rho)
        self.write(state["acc_delta"], mean)
        self.write(param, self.read(param).add(delta, alpha=-rate))
