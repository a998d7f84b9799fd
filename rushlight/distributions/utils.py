"""What distributions share: parameters brought to one shape, probabilities and their logits.

In: numbers and tensors. Out: tensors. Invariant: numbers take the dtype of the tensors they stand
beside, else the default dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Number
from typing import Any

import rushlight
from rushlight import Tensor

LOG_TWO_PI = math.log(2 * math.pi)
EULER = 0.57721566490153286060


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Tensors and numbers in their common shape, as `torch.distributions.utils.broadcast_all`.

    ValueError for what is neither.

    >>> import rushlight as rl
    >>> [x.shape for x in rl.distributions.utils.broadcast_all(rl.zeros(3), 1.0)]
    [torch.Size([3]), torch.Size([3])]
    """
    if not all(isinstance(v, (Tensor, Number)) for v in values):
        kinds = ", ".join(type(v).__name__ for v in values)
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
            f"__torch_function__. Got {kinds}"
        )
    model = next((v for v in values if isinstance(v, Tensor)), None)
    options: dict[str, Any] = {"dtype": rushlight.get_default_dtype()}
    if model is not None:
        options = {"dtype": model.dtype, "device": model.device}
    tensors = (v if isinstance(v, Tensor) else rushlight.tensor(v, **options) for v in values)
    return tuple(rushlight.broadcast_tensors(*tensors))


def as_parameter(value: Any) -> Tensor:
    """One parameter as a tensor: a number becomes one of the default dtype."""
    return broadcast_all(value)[0]


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities from logits: sigmoid of log odds, or softmax over the last dimension."""
    return rushlight.sigmoid(logits) if is_binary else rushlight.softmax(logits, -1)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Logits from probabilities, which are first brought away from 0 and 1."""
    inside = clamp_probs(probs)
    return rushlight.log(inside) - rushlight.log1p(-inside) if is_binary else rushlight.log(inside)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities brought into [eps, 1 - eps]."""
    eps = rushlight.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def sum_rightmost(value: Tensor, count: int) -> Tensor:
    """The sum over the last `count` dimensions."""
    if count == 0:
        return value
    return value.reshape(*value.shape[: value.dim() - count], -1).sum(-1)


class lazy_property:
    """A method that is called once, when the attribute of its name is first read."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        self.__name__ = wrapped.__name__
        self.__doc__ = wrapped.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        with rushlight.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.__name__, value)
        return value
