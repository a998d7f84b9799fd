"""Adam and AdamW, after `torch.optim.Adam` and `torch.optim.AdamW`.

In: parameters and gradients of one dtype (complex ones are treated as pairs of reals).
Out: rewritten parameters; per parameter `step`, `exp_avg`, `exp_avg_sq` and, for AMSGrad,
`max_exp_avg_sq`.
Invariant: one op row per parameter; everything that depends on the step count reaches it as a
Python number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rushlight

from ..ops import namespace as _ops
from .optimizer import (
    Group,
    Optimizer,
    State,
    as_number,
    check,
    check_betas,
    check_fused,
    check_learning_rate,
    real_view,
)

if TYPE_CHECKING:
    from rushlight import Tensor


class Adam(Optimizer):
    r"""Adaptive moments.

        g = (-g if maximize) + weight_decay * p
            (decoupled decay instead: p = p * (1 - lr * weight_decay))
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g^2      (AMSGrad: the largest v so far is used below)
        p = p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    `foreach` and `fused` are accepted: every step is compiled as one program either way;
    `capturable` needs a GPU.
    Errors: ValueError for a negative rate, eps or decay, and for a beta outside [0, 1).
    Kingma and Ba, Adam: A Method for Stochastic Optimization (2014); Reddi et al., On the
    Convergence of Adam and Beyond (2018).

    >>> import rushlight as rl
    >>> weight = rl.tensor([1.0], requires_grad=True)
    >>> optimizer = rl.optim.Adam([weight], lr=0.25)
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.75]
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        rates = (as_number(betas[0]), as_number(betas[1]))
        check_learning_rate(lr)
        check(eps >= 0.0, f"Invalid epsilon value: {eps}")
        check_betas(rates)
        check(weight_decay >= 0.0, f"Invalid weight_decay value: {weight_decay}")
        defaults = {
            "lr": lr,
            "betas": rates,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)
        check_fused(defaults)

    def init_state(self, param: Tensor, group: Group) -> State:
        state = {
            "step": self.new_number(0.0),
            "exp_avg": rushlight.zeros_like(param),
            "exp_avg_sq": rushlight.zeros_like(param),
        }
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = rushlight.zeros_like(param)
        return state

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        state = self.state_of(param, group)
        step, rate = self.advance(state), as_number(group["lr"])
        (beta1, beta2), weight_decay = group["betas"], group["weight_decay"]
        decay, decay_by = "none", 0.0
        if weight_decay != 0 and group["decoupled_weight_decay"]:
            decay, decay_by = "decoupled", 1 - rate * weight_decay
        elif weight_decay != 0:
            decay, decay_by = "coupled", weight_decay
        names = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * group["amsgrad"]
        row = _ops.adam_amsgrad_step if group["amsgrad"] else _ops.adam_step
        targets = [param, *(state[name] for name in names)]
        values = list(map(self.read, targets))
        results = row(
            values[0],
            real_view(gradient),
            *values[1:],
            rate / (1 - beta1**step),
            beta1,
            beta2,
            (1 - beta2**step) ** 0.5,
            group["eps"],
            decay_by,
            decay=decay,
            maximize=group["maximize"],
        )
        for target, value in zip(targets, results, strict=True):
            self.write(target, value)


class AdamW(Adam):
    r"""Adam whose weight decay shrinks the parameter directly instead of entering the moments.

        p = p * (1 - lr * weight_decay), then Adam's update without decay

    Options and errors are Adam's; `weight_decay` is 0.01 by default.
    Loshchilov and Hutter, Decoupled Weight Decay Regularization (2017).

    >>> import rushlight as rl
    >>> weight = rl.tensor([1.0], requires_grad=True)
    >>> optimizer = rl.optim.AdamW([weight], lr=0.25, weight_decay=0)
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.75]
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            # A state saved by Adam must not turn AdamW into Adam.
            group["decoupled_weight_decay"] = True
