"""Adam for sparse gradients, after `torch.optim.SparseAdam`.

In: parameters and gradients of one dtype.
Out: rewritten parameters; per parameter nothing: dense gradients are refused.
Invariant: options are checked as PyTorch checks them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rushlight

from .optimizer import (
    Group,
    Optimizer,
    check,
    check_betas,
    check_learning_rate,
)

if TYPE_CHECKING:
    from rushlight import Tensor


class SparseAdam(Optimizer):
    r"""Adam that would touch only the rows a sparse gradient names.

    Tensors here have a dense layout only, so `step` refuses every gradient that exists, exactly as
    PyTorch's `SparseAdam` refuses a dense one; the class lets a program check its options and say
    so.
    Errors: ValueError for a rate or eps that is not positive, a beta outside [0, 1) and complex
    parameters; RuntimeError from `step` when a gradient is dense.

    >>> import rushlight as rl
    >>> weight = rl.ones(2, requires_grad=True)
    >>> rl.optim.SparseAdam([weight]).step()
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check(lr > 0.0, f"Invalid learning rate: {lr}")
        check(eps > 0.0, f"Invalid epsilon value: {eps}")
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        complex_at = [
            [group_index, index]
            for group_index, group in enumerate(self.param_groups)
            for index, param in enumerate(group["params"])
            if rushlight.is_complex(param)
        ]
        check(
            not complex_at,
            f"Complex params at indices {complex_at}: "
            "SparseAdam does not support complex parameters",
        )

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        raise RuntimeError(
            "SparseAdam does not support dense gradients, please consider Adam instead"
        )
