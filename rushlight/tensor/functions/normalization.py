"""Normalisation as PyTorch's functions: shape checks, views of the input, and the update of running
statistics.

In: activations, scale, shift and perhaps running statistics. Out: activations of the same shape and
dtype. Invariant: running statistics are overwritten in place, off the tape, and only while
training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...autograd.names import titled
from ...base.dtype import dtype, finfo
from ...ops import core, reduction
from ...ops import normalization as rows
from ...ops.common import opmath_dtype
from ..inplace import assign
from ..tensor import Tensor


def _check_lengths(channels: int, **tensors: Tensor | None) -> None:
    """RuntimeError unless every per-channel tensor has one value for each channel."""
    for name, tensor in tensors.items():
        if tensor is not None and tensor.numel() != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {tensor.numel()}")


def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel (dimension 1) of (N, C, ...).

    While training, mean and variance are the batch's, and the running ones (the variance unbiased)
    move towards them by `momentum`; otherwise the running ones are used. RuntimeError where a
    tensor has not C elements. Ioffe and Szegedy, arXiv 1502.03167; follows `torch.batch_norm`.

    >>> import rushlight as rl
    >>> rl.batch_norm(rl.tensor([[1.], [3.]]), None, None, None, None, True, 0.1, 0.0)
    tensor([[-1.],
            [ 1.]])
    """
    if not input.numel():
        return _affine_of_nothing(input, weight, bias)
    if input.ndim < 2:
        raise RuntimeError(
            f"batch_norm: expected at least 2 dimensions (N, C), but got shape {list(input.shape)}"
        )
    return _batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)[0]


def _affine_of_nothing(input: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """batch_norm of no elements: no statistics, but weight and bias are on the tape."""
    made = core.clone(input)
    made = made if weight is None else core.mul(made, weight[0])
    return made if bias is None else core.add(made, bias[0])


def _batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, ...]:
    """The normalised tensor and, while training, mean and 1 / deviation of the batch (the running
    statistics being moved).
    """
    _check_lengths(
        input.shape[1], running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if not training:
        if running_mean is None or running_var is None:
            missing = "running_mean" if running_mean is None else "running_var"
            raise RuntimeError(f"{missing} must be defined in evaluation mode")
        return (rows.batch_norm_evaluation(input, weight, bias, running_mean, running_var, eps),)
    made = rows.batch_norm_training(input, weight, bias, running_mean, running_var, momentum, eps)
    for running, moved in zip(
        (r for r in (running_mean, running_var) if r is not None), made[3:], strict=False
    ):
        assign(running, moved)
    return made[:3]


def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each sample and channel of (N, C, ...).

    With `use_input_stats` the statistics are the sample's, and the running ones move towards their
    mean over the samples; otherwise the running ones are used. Ulyanov et al., arXiv 1607.08022;
    follows `torch.instance_norm`.

    >>> import rushlight as rl
    >>> rl.instance_norm(rl.tensor([[[1., 3.]]]), None, None, None, None, True, 0.1, 0.0)
    tensor([[[-1.,  1.]]])
    """
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "Expected running_mean and running_var to be defined when use_input_stats is false"
            )
        return batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps)
    if input.ndim < 2:
        raise RuntimeError(
            "instance_norm: expected at least 2 dimensions (N, C), but got shape "
            f"{list(input.shape)}"
        )
    _check_lengths(
        input.shape[1], running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    axes = tuple(range(2, input.ndim))
    affine = rows.channel_shape(input.ndim, input.shape[1])
    made = rows.normalize_instance(input, weight, bias, eps, tuple(input.shape), axes, affine)[0]
    fresh = input.detach()
    if running_mean is not None:
        mean = reduction.mean(reduction.mean(fresh, axes), 0)
        assign(
            running_mean, (running_mean * (1 - momentum) + mean * momentum).to(running_mean.dtype)
        )
    if running_var is not None:
        var = reduction.mean(reduction.var(fresh, axes, 1), 0)
        assign(running_var, (running_var * (1 - momentum) + var * momentum).to(running_var.dtype))
    return made


def _trailing(
    name: str, input: Tensor, normalized_shape: Sequence[int], **parameters: Tensor | None
) -> tuple[int, int]:
    """How many rows of how many elements are normalised; PyTorch's errors for shapes that do not
    fit.
    """
    wanted = [normalized_shape] if isinstance(normalized_shape, int) else list(normalized_shape)
    if not wanted:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least "
            "one element, but got "
            f"normalized_shape = {wanted}"
        )
    for role, tensor in parameters.items():
        if tensor is not None and list(tensor.shape) != wanted:
            raise RuntimeError(
                f"Expected {role} to be of same shape as normalized_shape, but got {role} of "
                f"shape {list(tensor.shape)} "
                f"and normalized_shape = {wanted}"
            )
    if list(input.shape[-len(wanted) :]) != wanted:
        raise RuntimeError(
            f"Given normalized_shape={wanted}, expected input with shape [*, "
            f"{', '.join(map(str, wanted))}], but got "
            f"input of size{list(input.shape)}"
        )
    size = math.prod(wanted)
    return math.prod(input.shape[: input.ndim - len(wanted)]), size


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the trailing dimensions of
    `normalized_shape`.

    RuntimeError where the input does not end in that shape, or weight or bias have not that shape.
    Ba et al., arXiv 1607.06450; follows `torch.nn.functional.layer_norm`.

    >>> import rushlight as rl
    >>> rl.layer_norm(rl.tensor([1., 3.]), (2,), eps=0.0)
    tensor([-1.,  1.])
    """
    return _layer_norm(input, normalized_shape, weight, bias, eps)[0]


def _layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """layer_norm, the means and 1 / deviations of the rows."""
    count, size = _trailing("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return rows.normalize_layer(input, weight, bias, eps, (count, size), (1,), (1, size))


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the trailing dimensions of `normalized_shape`.

    eps None is the machine epsilon of the precision computed in. Zhang and Sennrich, arXiv
    1910.07467; follows `torch.nn.functional.rms_norm`.

    >>> import rushlight as rl
    >>> rl.rms_norm(rl.tensor([3., 4.]), (2,))
    tensor([0.8485, 1.1314])
    """
    count, size = _trailing("rms_norm", input, normalized_shape, weight=weight)
    if eps is None:
        eps = finfo(opmath_dtype(input.dtype)).eps
    if input.dtype.is_complex:  # the mean of x * x, as PyTorch has it: no length, so a formula
        rank = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
        axes = tuple(range(-rank, 0))
        scaled = input * ((input * input).mean(axes, keepdim=True) + eps).rsqrt()
        return scaled if weight is None else scaled * weight
    return rows.normalize_root(input, weight, None, eps, (count, size), (1,), (1, size), False)[0]


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each sample and group of channels of (N, C,
    ...).

    RuntimeError where the groups do not divide the channels, or weight or bias have not one value a
    channel. Wu and He, arXiv 1803.08494; follows `torch.nn.functional.group_norm`.

    >>> import rushlight as rl
    >>> rl.group_norm(rl.tensor([[1., 3., 2., 6.]]), 2, eps=0.0)
    tensor([[-1.,  1., -1.,  1.]])
    """
    if input.ndim < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {input.ndim}"
        )
    batch, channels = input.shape[:2]
    if num_groups <= 0 or channels % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            "shape "
            f"{list(input.shape)} and num_groups={num_groups}"
        )
    for role, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tuple(tensor.shape) != (channels,):
            raise RuntimeError(
                f"Expected {role} to be a vector of size equal to the number of channels in "
                f"input, but got {role} of "
                f"shape {list(tensor.shape)} and input of shape {list(input.shape)}"
            )
    shape = (batch, num_groups, channels // num_groups, math.prod(input.shape[2:]))
    return _group_norm(input, weight, bias, eps, shape)[0]


def _group_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    shape: tuple[int, int, int, int],
) -> tuple[Tensor, Tensor, Tensor]:
    """group_norm of (batch, groups, channels of a group, positions), means and 1 / deviations."""
    return rows.normalize_group(input, weight, bias, eps, shape, (2, 3), (1, *shape[1:3], 1))


# --- with the statistics --------------------------------------------------------------------------


def _statistics_dtype(input: Tensor, *parameters: Tensor | None) -> dtype:
    """float32 where a narrow input meets wider weights, else the dtype of the input."""
    mixed = any(p is not None and p.dtype is not input.dtype for p in parameters)
    return opmath_dtype(input.dtype) if mixed else input.dtype


def native_layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """layer_norm, and the mean and 1 / sqrt(var + eps) of each row (with dimensions of length one),
    as `torch.native_layer_norm`. The statistics are off the tape.

    >>> import rushlight as rl
    >>> rl.native_layer_norm(rl.tensor([1., 3.]), (2,), None, None, 0.0)[1]
    tensor([2.])
    """
    made, mean, scale = _layer_norm(input, normalized_shape, weight, bias, eps)
    trailing = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    kept = (*input.shape[: input.ndim - trailing], *(1,) * trailing)
    kind = _statistics_dtype(input, weight, bias)
    return made, mean.detach().reshape(kept).to(kind), scale.detach().reshape(kept).to(kind)


@titled("NativeGroupNormBackward0")
def native_group_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    N: int,
    C: int,
    HxW: int,
    group: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """group_norm of N samples of C channels and HxW positions, and the mean and 1 / sqrt(var + eps)
    of each group, (N, group), as `torch.native_group_norm`.

    RuntimeError where the sizes do not fit the input.

    >>> import rushlight as rl
    >>> rl.native_group_norm(rl.tensor([[1., 3.]]), None, None, 1, 2, 1, 1, 0.0)[1]
    tensor([[2.]])
    """
    if group <= 0 or C % group:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got C = "
            f"{C} and num_groups={group}"
        )
    if input.numel() != N * C * HxW:
        raise RuntimeError(
            f"native_group_norm: expected input.numel() == N * C * HxW, but got "
            f"{list(input.shape)} and {N} * {C} * {HxW}"
        )
    _check_lengths(C, weight=weight, bias=bias)
    made, mean, scale = _group_norm(input, weight, bias, eps, (N, group, C // group, HxW))
    kind = _statistics_dtype(input, weight, bias)
    return made, mean.reshape(N, group).to(kind), scale.reshape(N, group).to(kind)


def native_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """batch_norm, and the mean and 1 / sqrt(var + eps) of each channel while training (else empty
    tensors), as `torch.native_batch_norm`. The statistics are off the tape.

    >>> import rushlight as rl
    >>> x = rl.tensor([[1.], [3.]])
    >>> rl.native_batch_norm(x, None, None, None, None, True, 0.1, 0.0)[1]
    tensor([2.])
    """
    if input.ndim < 2:
        raise RuntimeError(
            "native_batch_norm: expected at least 2 dimensions (N, C), but got shape "
            f"{list(input.shape)}"
        )
    made, *statistics = _batch_norm(
        input, weight, bias, running_mean, running_var, training, momentum, eps
    )
    kind = _statistics_dtype(input, weight, running_mean)
    if not training:
        return made, input.new_empty(0), input.new_empty(0)
    mean, scale = (each.detach().reshape(-1).to(kind) for each in statistics)
    return made, mean, scale


FUNCTIONS = (
    batch_norm,
    instance_norm,
    layer_norm,
    rms_norm,
    group_norm,
    native_layer_norm,
    native_group_norm,
    native_batch_norm,
)
METHODS = ()
