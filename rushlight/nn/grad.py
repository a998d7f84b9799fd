"""Gradients of convolutions, as functions of their own.

In: what a convolution was given and the gradient of its result. Out: the gradient of its input or
of its weight. Invariant: the same numbers as differentiating `functional.conv1d` and the like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn import functional as F

__all__ = [
    "conv1d_input",
    "conv1d_weight",
    "conv2d_input",
    "conv2d_weight",
    "conv3d_input",
    "conv3d_weight",
]


def _gradient(
    convolve: Callable[..., Tensor],
    operands: dict[str, Tensor],
    wanted: str,
    grad_output: Tensor,
    way: tuple[Any, ...],
) -> Tensor:
    """The gradient of a convolution for the operand `wanted`: it is linear in it, so that the
    operand's values do not matter.
    """
    with rushlight.enable_grad():
        variable = operands[wanted].requires_grad_()
        result = convolve(operands["input"], operands["weight"], None, *way)
        (found,) = rushlight.autograd.grad(
            result, variable, grad_output, create_graph=grad_output.requires_grad
        )
    return found


def _of_input(rank: int) -> Callable[..., Tensor]:
    convolve = getattr(F, f"conv{rank}d")

    def conv_input(
        input_size: Sequence[int],
        weight: Tensor,
        grad_output: Tensor,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        place = grad_output.new_empty(1).expand(tuple(input_size)).detach()
        operands = {"input": place, "weight": weight}
        way = (stride, padding, dilation, groups)
        return _gradient(convolve, operands, "input", grad_output, way)

    return _named(conv_input, rank, "input", "input_size: the shape of the input.")


def _of_weight(rank: int) -> Callable[..., Tensor]:
    convolve = getattr(F, f"conv{rank}d")

    def conv_weight(
        input: Tensor,
        weight_size: Sequence[int],
        grad_output: Tensor,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        place = grad_output.new_empty(1).expand(tuple(weight_size)).detach()
        operands = {"input": input, "weight": place}
        way = (stride, padding, dilation, groups)
        return _gradient(convolve, operands, "weight", grad_output, way)

    return _named(conv_weight, rank, "weight", "weight_size: the shape of the weight.")


def _named(function: Callable[..., Tensor], rank: int, operand: str, size: str) -> Callable:
    function.__name__ = function.__qualname__ = f"conv{rank}d_{operand}"
    function.__doc__ = (
        f"The gradient of `conv{rank}d` for its {operand}. {size}\n\n"
        f"    The other arguments are those of the convolution. Follows "
        f"`torch.nn.grad.conv{rank}d_{operand}`.\n    "
    )
    return function


conv1d_input, conv2d_input, conv3d_input = (_of_input(rank) for rank in (1, 2, 3))
conv1d_weight, conv2d_weight, conv3d_weight = (_of_weight(rank) for rank in (1, 2, 3))
