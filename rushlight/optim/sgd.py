"""Stochastic gradient descent, with momentum, after `torch.optim.SGD`.

In: parameters and gradients of one dtype. Out: rewritten parameters, and `momentum_buffer` per
parameter.
Invariant: one op row per parameter; without momentum no state is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rushlight

from ..ops import namespace as _ops
from .optimizer import Group, Optimizer, as_number, check, check_fused, check_learning_rate

if TYPE_CHECKING:
    from rushlight import Tensor


class SGD(Optimizer):
    r"""Gradient descent with optional (Nesterov) momentum.

        g = (-g if maximize) + weight_decay * p
        b = g on the first step, momentum * b + (1 - dampening) * g afterwards
        p = p - lr * (g + momentum * b  if nesterov else  b)

    `foreach` and `fused` are accepted: every step is compiled as one program either way.
    Errors: ValueError for a negative rate, momentum or decay, and for Nesterov without momentum or
    with dampening. Sutskever et al., On the importance of initialization and momentum in deep
    learning (2013).

    >>> import rushlight as rl
    >>> weight = rl.tensor([1.0], requires_grad=True)
    >>> optimizer = rl.optim.SGD([weight], lr=0.5)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.0]
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_learning_rate(lr)
        check(momentum >= 0.0, f"Invalid momentum value: {momentum}")
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        check(
            not nesterov or (momentum > 0 and dampening == 0),
            "Nesterov momentum requires a momentum and zero dampening",
        )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_fused(defaults)

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        rate, decay = as_number(group["lr"]), as_number(group["weight_decay"])
        flags = {"decay": decay != 0, "maximize": group["maximize"]}
        if group["momentum"] == 0:
            self.write(param, _ops.sgd_step(param, gradient, rate, decay, **flags))
            return
        state = self.state[param]
        buffer, dampening = state.get("momentum_buffer"), group["dampening"]
        if buffer is None:
            # 0 * momentum + 1 * g: the first step needs no program of its own.
            buffer, dampening = rushlight.zeros_like(param), 0.0
            state["momentum_buffer"] = buffer
        new_param, new_buffer = _ops.sgd_momentum_step(
            param,
            gradient,
            buffer,
            rate,
            group["momentum"],
            dampening,
            decay,
            nesterov=group["nesterov"],
            **flags,
        )
        self.write(param, new_param)
        self.write(buffer, new_buffer)
