"""Bounding gradients before an optimizer's step.

In: parameters with gradients. Out: the total norm; the gradients are changed in place.
Invariant: a gradient is never made larger.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import rushlight
from rushlight import Tensor


def _as_list(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The `norm_type` norm of all `tensors` taken as one long vector.

    Follows `torch.nn.utils.get_total_norm`.

    >>> import rushlight as rl
    >>> rl.nn.utils.get_total_norm([rl.tensor([3.0]), rl.tensor([4.0])])
    tensor(5.)
    """
    norm_type = float(norm_type)
    norms = [tensor.norm(norm_type) for tensor in _as_list(tensors)]
    if not norms:
        return rushlight.tensor(0.0)
    device = norms[0].device
    stacked = rushlight.stack([norm.to(device) for norm in norms])
    total = stacked.norm(norm_type)
    if error_if_nonfinite and not bool(total.isfinite()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To disable this error and scale the gradients by the "
            "non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Scale all gradients by min(1, max_norm / (total_norm + 1e-6)), in place.

    >>> import rushlight as rl
    >>> weight = rl.nn.Parameter(rl.zeros(2))
    >>> weight.grad = rl.tensor([3.0, 4.0])
    >>> rl.nn.utils.clip_grads_with_norm_([weight], 10.0, rl.tensor(5.0))
    >>> weight.grad
    tensor([3., 4.])
    """
    factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    with rushlight.no_grad():
        for parameter in _as_list(parameters):
            if parameter.grad is not None:
                parameter.grad.mul_(factor.to(parameter.grad.device))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients together so that their total norm is at most `max_norm`.

    Returns: the norm before scaling. Follows `torch.nn.utils.clip_grad_norm_` (Pascanu et al.,
    arXiv 1211.5063).

    >>> import rushlight as rl
    >>> weight = rl.nn.Parameter(rl.zeros(2))
    >>> weight.grad = rl.tensor([3.0, 4.0])
    >>> rl.nn.utils.clip_grad_norm_([weight], 1.0)
    tensor(5.)
    """
    parameters = _as_list(parameters)
    with rushlight.no_grad():
        gradients = [p.grad for p in parameters if p.grad is not None]
        total = get_total_norm(gradients, norm_type, error_if_nonfinite)
        clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The older name of `clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of "
        "`torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Clamp every gradient element to [-clip_value, clip_value], in place.

    Follows `torch.nn.utils.clip_grad_value_`.

    >>> import rushlight as rl
    >>> weight = rl.nn.Parameter(rl.zeros(2))
    >>> weight.grad = rl.tensor([3.0, 4.0])
    >>> rl.nn.utils.clip_grad_value_([weight], 3.5)
    >>> weight.grad
    tensor([3.0000, 3.5000])
    """
    bound = float(clip_value)
    with rushlight.no_grad():
        for parameter in _as_list(parameters):
            if parameter.grad is not None:
                parameter.grad.clamp_(min=-bound, max=bound)
