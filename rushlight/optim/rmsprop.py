"""RMSprop, after `torch.optim.RMSprop`.

In: parameters and gradients of one dtype (complex ones are treated as pairs of reals).
Out: rewritten parameters; per parameter `step`, `square_avg`, and where asked for `momentum_buffer`
and `grad_avg`.
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


class RMSprop(Optimizer):
    r"""Gradients divided by the root of a running mean of their squares.

        g = (-g if maximize) + weight_decay * p
        v = alpha * v + (1 - alpha) * g^2
        d = sqrt(v - mean(g)^2 if centered else v) + eps
        p = p - lr * g / d,   or with momentum   b = momentum * b + g / d;  p = p - lr * b

    Errors: ValueError for a negative rate, eps, momentum, decay or alpha.
    Tieleman and Hinton, Lecture 6.5 of Neural Networks for Machine Learning (2012); Graves,
    Generating Sequences With Recurrent Neural Networks (2013) for the centered form.

    >>> import rushlight as rl
    >>> weight = rl.tensor([1.0], requires_grad=True)
    >>> optimizer = rl.optim.RMSprop([weight], lr=0.5, alpha=0.0, eps=0.0)
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.5]
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check(eps >= 0.0, f"Invalid epsilon value: {eps}")
        check(momentum >= 0.0, f"Invalid momentum value: {momentum}")
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        check(alpha >= 0.0, f"Invalid alpha value: {alpha}")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def init_state(self, param: Tensor, group: Group) -> State:
        state = {"step": self.new_number(0.0), "square_avg": rushlight.zeros_like(param)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = rushlight.zeros_like(param)
        if group["centered"]:
            state["grad_avg"] = rushlight.zeros_like(param)
        return state

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        state = self.state_of(param, group)
        self.advance(state)
        alpha, rate = group["alpha"], as_number(group["lr"])
        gradient = self.descent_direction(param, gradient, group)
        squares = (
            self.read(state["square_avg"]).mul(alpha).addcmul(gradient, gradient, value=1 - alpha)
        )
        self.write(state["square_avg"], squares)
        if group["centered"]:
            mean = self.read(state["grad_avg"]).lerp(gradient, 1 - alpha)
            self.write(state["grad_avg"], mean)
            squares = squares.addcmul(mean, mean, value=-1)
        scale = squares.sqrt().add(group["eps"])
        if group["momentum"] > 0:
            buffer = self.read(state["momentum_buffer"])
            moved = buffer.mul(group["momentum"]).addcdiv(gradient, scale)
            self.write(state["momentum_buffer"], moved)
            self.write(param, self.read(param).add(moved, alpha=-rate))
        else:
            self.write(param, self.read(param).addcdiv(gradient, scale, value=-rate))
