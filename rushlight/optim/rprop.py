"""Resilient backpropagation, after `torch.optim.Rprop`.

In: parameters and gradients of one dtype (complex ones are treated as pairs of reals).
Out: rewritten parameters; per parameter `step`, the previous gradient `prev`, and `step_size` per
element.
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
    real_view,
)

if TYPE_CHECKING:
    from rushlight import Tensor


class Rprop(Optimizer):
    r"""Steps that depend on the sign of the gradient only; meant for full batches.

        s = clamp(s * (eta_plus if g * g_prev > 0,  eta_minus if < 0,  else 1), step_sizes)
        g = 0 where the sign has changed
        p = p - sign(g) * s

    `etas` is (eta_minus, eta_plus), `step_sizes` the smallest and largest step.
    Errors: ValueError for a negative rate, and unless 0 < eta_minus < 1 < eta_plus.
    Riedmiller and Braun, A Direct Adaptive Method for Faster Backpropagation Learning (1993).

    >>> import rushlight as rl
    >>> weight = rl.tensor([1.0], requires_grad=True)
    >>> optimizer = rl.optim.Rprop([weight], lr=0.5)
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.5]
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check(0.0 < etas[0] < 1.0 < etas[1], f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def init_state(self, param: Tensor, group: Group) -> State:
        rate = as_number(group["lr"])
        first = complex(rate, rate) if param.is_complex() else rate
        return {
            "step": self.new_number(0.0),
            "prev": rushlight.zeros_like(param),
            "step_size": rushlight.full_like(param, first),
        }

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        state = self.state_of(param, group)
        self.advance(state)
        gradient = real_view(-gradient if group["maximize"] else gradient)
        previous, step_size = self.read(state["prev"]), self.read(state["step_size"])
        shrink, grow = group["etas"]
        agreement = gradient.mul(previous)
        turned = agreement < 0
        size = rushlight.where(turned, step_size.mul(shrink), step_size)
        size = rushlight.where(agreement > 0, step_size.mul(grow), size)
        size = size.clamp(*group["step_sizes"])
        kept = gradient.masked_fill(turned, 0)
        self.write(state["step_size"], size)
        self.write(state["prev"], kept)
        self.write(param, self.read(param).addcmul(kept.sign(), size, value=-1))
