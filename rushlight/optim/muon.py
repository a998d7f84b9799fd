"""Muon, after `torch.optim.Muon`.

In: parameters and gradients of one dtype.
Out: rewritten parameters; per parameter `momentum_buffer`.
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


class Muon(Optimizer):
    r"""Momentum whose update is replaced by the nearest orthogonal matrix; for 2-d parameters of
    hidden layers.

        b = momentum * b + (1 - momentum) * g
        u = NewtonSchulz((1 - momentum) * g + momentum * b  if nesterov else  b)
        p = p * (1 - lr * weight_decay) - lr * ratio * u

    with ratio = sqrt(max(1, rows / columns)), or 0.2 * sqrt(max(rows, columns)) for
    `adjust_lr_fn="match_rms_adamw"`. The iteration runs in bfloat16.
    Errors: ValueError for an option out of its range and for parameters that are not matrices.
    Jordan et al., Muon: An optimizer for hidden layers in neural networks (2024); Liu et al., Muon
    is Scalable for LLM Training (2025).

    >>> import rushlight as rl
    >>> weight = rl.eye(2).requires_grad_()
    >>> optimizer = rl.optim.Muon([weight], lr=0.5)
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if isinstance(lr, rushlight.Tensor):
            check(lr.numel() == 1, "Tensor lr must be 1-element")
        check(lr >= 0.0, f"Learning rate should be >= 0 but is: {lr}")
        check(momentum >= 0.0, f"momentum should be >= 0 but is: {momentum}")
        check(weight_decay >= 0.0, f"weight decay should be >= 0 but is: {weight_decay}")
        check(
            adjust_lr_fn in (None, "original", "match_rms_adamw"),
            f"Adjust learning rate function {adjust_lr_fn} is not supported",
        )
        check(ns_steps < 100, "Number of steps must be less than 100 for computational efficiency")
        check(len(ns_coefficients) == 3, "Coefficients must be a tuple of exactly 3 values")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for param in group["params"]:
                check(
                    param.ndim == 2,
                    "Muon only supports 2D parameters whereas we found a parameter with size: "
                    f"{param.size()}",
                )

    def init_state(self, param: Tensor, group: Group) -> State:
        return {"momentum_buffer": rushlight.zeros_like(param)}

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        if param.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        buffer = self.state_of(param, group)["momentum_buffer"]
        rate, momentum = as_number(group["lr"]), group["momentum"]
        mean = buffer.lerp(gradient, 1 - momentum)
        self.write(buffer, mean)
        update = gradient.lerp(mean, momentum) if group["nesterov"] else mean
        update = _orthogonalize(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        ratio = _rate_ratio(group["adjust_lr_fn"], *param.shape)
        shrunk = param.mul(1 - rate * group["weight_decay"])
        self.write(param, shrunk.add(update.to(param.dtype), alpha=-rate * ratio))


def _orthogonalize(
    matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """The orthogonal factor of `matrix` by a quintic Newton-Schulz iteration, in bfloat16.

    X -> a X + (b G + c G^2) X with G = X X^T drives all singular values towards 1; it starts from a
    matrix of Frobenius norm 1 and runs on the wide orientation, where G is smallest.
    """
    a, b, c = coefficients
    tall = matrix.size(0) > matrix.size(1)
    x = matrix.bfloat16()
    x = x.T if tall else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        polynomial = rushlight.addmm(gram, gram, gram, beta=b, alpha=c)
        x = rushlight.addmm(x, polynomial, x, beta=a)
    return x.T if tall else x


def _rate_ratio(rule: str | None, rows: int, columns: int) -> float:
    if rule == "match_rms_adamw":
        return float(0.2 * max(rows, columns) ** 0.5)
    return float(max(1.0, rows / columns) ** 0.5)
