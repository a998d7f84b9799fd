"""Normalisation over batches, channels, groups and neighbouring channels.

In: (N, C, *) activations and optional scale, shift and running statistics. Out: the same shape.
Invariant: while training, running statistics are updated in place and take no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import rushlight
from rushlight import Tensor
from rushlight.ops import namespace as _ops


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions (arXiv 1607.06450).

    Follows `torch.nn.functional.layer_norm`.

    >>> import rushlight as rl
    >>> rl.nn.functional.layer_norm(rl.tensor([1.0, 3.0]), (2,), eps=0.0)
    tensor([-1.,  1.])
    """
    return rushlight.layer_norm(input, normalized_shape, weight, bias, eps)


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions (arXiv 1910.07467).

    Follows `torch.nn.functional.rms_norm`.

    >>> import rushlight as rl
    >>> rl.nn.functional.rms_norm(rl.tensor([3.0, 4.0]), (2,))
    tensor([0.8485, 1.1314])
    """
    return rushlight.rms_norm(input, normalized_shape, weight, eps)


def _verify_batch_size(size: Sequence[int]) -> None:
    values = size[0]
    for length in size[2:]:
        values *= length
    if values == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {size}"
        )


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel (arXiv 1502.03167).

    While training the mean and variance are the batch's, and the running ones move towards them
    by `momentum` (with the unbiased variance); otherwise the running ones are used.
    Follows `torch.nn.functional.batch_norm`.

    >>> import rushlight as rl
    >>> rl.nn.functional.batch_norm(rl.ones(4, 2), rl.zeros(2), rl.ones(2)).shape
    torch.Size([4, 2])
    """
    if training:
        _verify_batch_size(input.shape)
    return rushlight.batch_norm(
        input, weight, bias, running_mean, running_var, training, momentum, eps
    )


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, per sample and channel (arXiv 1607.08022).

    Follows `torch.nn.functional.instance_norm`.

    >>> import rushlight as rl
    >>> rl.nn.functional.instance_norm(rl.tensor([[[1.0, 3.0]]]), eps=0.0)
    tensor([[[-1.,  1.]]])
    """
    if use_input_stats:
        positions = 1
        for length in input.shape[2:]:
            positions *= length
        if positions == 1:
            raise ValueError(
                f"Expected more than 1 spatial element when training, got input size {input.shape}"
            )
    return rushlight.instance_norm(
        input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps
    )


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, per sample and group (arXiv 1803.08494).

    Follows `torch.nn.functional.group_norm`.

    >>> import rushlight as rl
    >>> rl.nn.functional.group_norm(rl.tensor([[1.0, 3.0]]), 1, eps=0.0)
    tensor([[-1.,  1.]])
    """
    if input.dim() < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {input.dim()}"
        )
    _verify_batch_size([input.size(0) * input.size(1) // num_groups, num_groups, *input.shape[2:]])
    return rushlight.group_norm(input, num_groups, weight, bias, eps)


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta (AlexNet, 2012).

    Follows `torch.nn.functional.local_response_norm`.

    >>> import rushlight as rl
    >>> rl.nn.functional.local_response_norm(rl.ones(1, 2, 1), 2, alpha=1.0).flatten()
    tensor([0.7378, 0.5946])
    """
    if input.dim() < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality input (got {input.dim()} dimensions)"
        )
    if input.numel() == 0:
        return input
    squares = (input * input).transpose(1, -1)
    rows = _ops.constant_pad_nd(squares, (size // 2, (size - 1) // 2))
    mean = _ops.avg_pool1d(rows.flatten(1, -2), size, 1).reshape(squares.shape).transpose(1, -1)
    return input / (mean * alpha + k) ** beta
