"""Adagrad, after `torch.optim.Adagrad`.

In: parameters and gradients of one dtype (complex ones are treated as pairs of reals).
Out: rewritten parameters; per parameter `step` and `sum`, both made at construction.
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
    check_fused,
    check_learning_rate,
)

if TYPE_CHECKING:
    from rushlight import Tensor


class Adagrad(Optimizer):
    r"""Gradients divided by the root of the sum of all their squares.

        g = (-g if maximize) + weight_decay * p
        s = s + g^2
        p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

    Errors: ValueError for a negative option.
    Duchi, Hazan and Singer, Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization (2011).

    >>> import rushlight as rl
    >>> weight = rl.tensor([1.0], requires_grad=True)
    >>> optimizer = rl.optim.Adagrad([weight], lr=0.5, eps=0.0)
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.5]
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_learning_rate(lr)
        check(lr_decay >= 0.0, f"Invalid lr_decay value: {lr_decay}")
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        check(
            initial_accumulator_value >= 0.0,
            f"Invalid initial_accumulator_value value: {initial_accumulator_value}",
        )
        check(eps >= 0.0, f"Invalid epsilon value: {eps}")
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_fused(defaults)
        for group in self.param_groups:
            for param in group["params"]:
                self.state_of(param, group)

    def init_state(self, param: Tensor, group: Group) -> State:
        start = group["initial_accumulator_value"]
        fill = complex(start, start) if param.is_complex() else start
        return {"step": self.new_number(0.0), "sum": rushlight.full_like(param, fill)}

    def share_memory(self) -> None:
        """Move the sums into memory that other processes can map
        (`torch.optim.Adagrad.share_memory`).
        """
        for state in self.state.values():
            state["sum"].share_memory_()

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        state = self.state_of(param, group)
        step = self.advance(state)
        rate = as_number(group["lr"]) / (1 + (step - 1) * group["lr_decay"])
        gradient = self.descent_direction(param, gradient, group)
        squares = self.read(state["sum"]).addcmul(gradient, gradient)
        self.write(state["sum"], squares)
        scale = squares.sqrt().add(group["eps"])
        self.write(param, self.read(param).addcdiv(gradient, scale, value=-rate))
