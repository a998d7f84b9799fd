"""Adafactor, after `torch.optim.Adafactor`.

In: parameters and gradients of one dtype.
Out: rewritten parameters; per parameter `step`, and `row_var` with `col_var` for matrices or
`variance` for vectors.
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
)

if TYPE_CHECKING:
    from rushlight import Tensor


class Adafactor(Optimizer):
    r"""Adam's second moment kept as row and column means only, with relative step sizes.

        rho = min(lr, 1 / sqrt(t));   alpha = max(eps2, rms(p)) * rho;   w = t^beta2_decay
        p = p * (1 - lr * weight_decay)
        r, c: running means of g^2 over the last and the last but one axis, new values weighing w
        v = r c / max(mean(r), eps1)         (a vector keeps its own running mean v of g^2)
        u = g / sqrt(max(v, eps1^2))
        p = p - alpha * u / max(1, rms(u) / d)

    `eps` is (eps1, eps2); an eps1 of None means the resolution of the parameter's dtype.
    Errors: ValueError for an option out of its range, RuntimeError for complex parameters.
    Shazeer and Stern, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost (2018).

    >>> import rushlight as rl
    >>> weight = rl.ones(2, 2, requires_grad=True)
    >>> optimizer = rl.optim.Adafactor([weight], lr=0.5)
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, rushlight.Tensor):
            check(lr.numel() == 1, "Tensor lr must be 1-element")
        check(lr >= 0.0, f"Learning rate should be >= 0 but is: {lr}")
        check(beta2_decay <= 0.0, f"beta2_decay should be <= 0 but is: {beta2_decay}")
        check(eps[0] is None or eps[0] >= 0.0, f"epsilon1 should be >= 0 but is: {eps[0]}")
        check(eps[1] >= 0.0, f"epsilon2 should be >= 0 but is: {eps[1]}")
        check(d >= 1.0, f"Clipping threshold d should be >= 1 but is: {d}")
        check(weight_decay >= 0.0, f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def init_state(self, param: Tensor, group: Group) -> State:
        state = {"step": self.new_number(0.0)}
        if param.dim() > 1:
            rows, columns = list(param.shape), list(param.shape)
            rows[-1] = columns[-2] = 1
            state["row_var"], state["col_var"] = param.new_zeros(rows), param.new_zeros(columns)
        else:
            state["variance"] = rushlight.zeros_like(param)
        return state

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        if param.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        state = self.state_of(param, group)
        step, rate = self.advance(state), as_number(group["lr"])
        eps1, eps2 = group["eps"]
        if eps1 is None:
            eps1 = rushlight.finfo(param.dtype).eps
        gradient = -gradient if group["maximize"] else gradient
        # The norms stay tensors: asking for their values would stop the recording once per
        # parameter.
        size = param.numel() ** 0.5
        alpha = (param.norm(2) / size).clamp(min=eps2) * min(rate, step**-0.5)
        weight = step ** group["beta2_decay"]
        squares = self._second_moment(state, gradient, weight, eps1)
        update = squares.clamp(min=eps1 * eps1).rsqrt().mul(gradient)
        clipped = (update.norm(2) / (size * group["d"])).clamp(min=1.0)
        start = param
        if group["weight_decay"] != 0:
            start = param.mul(1 - rate * group["weight_decay"])
        self.write(param, start.sub(update * (alpha / clipped)))

    def _second_moment(self, state: State, gradient: Tensor, weight: float, floor: float) -> Tensor:
        """Mix g^2 into the state with `weight`; return the estimate of E[g^2] it stands for."""
        squares = gradient * gradient
        if gradient.dim() <= 1:
            estimate = state["variance"].lerp(squares, weight)
            self.write(state["variance"], estimate)
            return estimate
        rows = state["row_var"].lerp(squares.mean(dim=-1, keepdim=True), weight)
        columns = state["col_var"].lerp(squares.mean(dim=-2, keepdim=True), weight)
        self.write(state["row_var"], rows)
        self.write(state["col_var"], columns)
        return (rows * columns) / rows.mean(dim=-2, keepdim=True).clamp(min=floor)
