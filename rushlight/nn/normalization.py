"""Normalisation layers: batch, instance, layer, group, root mean square, local response.

In: activations with channels in dimension 1 (or normalised trailing dimensions). Out: the same
shape.
Invariant: scale starts at one, shift at zero; running statistics are buffers, never parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.lazy import LazyModuleMixin
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter, UninitializedBuffer, UninitializedParameter


class _NormBase(Module):
    """Parameters and running statistics of batch and instance normalisation."""

    _version = 2
    _allowed_dimensions: tuple[int, ...] = ()

    num_features: int
    eps: float
    momentum: float | None
    affine: bool
    track_running_stats: bool
    weight: Any
    bias: Any
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name, present in (("weight", affine), ("bias", affine and bias)):
            values = rushlight.empty(num_features, device=device, dtype=dtype) if present else None
            self.register_parameter(name, None if values is None else Parameter(values))
        tracked: tuple[Any, ...] = (None, None, None)
        if track_running_stats:
            tracked = (
                rushlight.zeros(num_features, device=device, dtype=dtype),
                rushlight.ones(num_features, device=device, dtype=dtype),
                rushlight.tensor(0, dtype=rushlight.int64, device=device),
            )
        for name, buffer in zip(_STATISTICS, tracked, strict=True):
            self.register_buffer(name, buffer)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget all batches seen so far."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, no batches seen."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def _check_input_dim(self, input: Tensor) -> None:
        if self._allowed_dimensions and input.dim() not in self._allowed_dimensions:
            expected = " or ".join(f"{count}D" for count in self._allowed_dimensions)
            raise ValueError(f"expected {expected} input (got {input.dim()}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, *rest: Any
    ) -> None:
        version = local_metadata.get("version")
        key = prefix + "num_batches_tracked"
        if (version is None or version < 2) and self.track_running_stats and key not in state_dict:
            # Files from before this buffer existed.
            state_dict[key] = self.num_batches_tracked
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class _BatchNorm(_NormBase):
    """The three batch normalisations."""

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        training, momentum = self.training, self.momentum
        if training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if momentum is None:  # the average over all batches
                momentum = 1.0 / float(self.num_batches_tracked)
        # Statistics are handed over where they are read (evaluation) or updated (training).
        mean = var = None
        if not training or self.track_running_stats:
            mean, var = self.running_mean, self.running_var
        use_batch = training or (mean is None and var is None)
        factor = 0.0 if momentum is None else momentum
        return F.batch_norm(input, mean, var, self.weight, self.bias, use_batch, factor, self.eps)


class BatchNorm1d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel of (N, C) or (N, C, L).

    Mean and (biased) variance are the batch's while training; the running ones, which move by
    `momentum` with the unbiased variance, are used in evaluation (Ioffe and Szegedy,
    arXiv 1502.03167). Follows `torch.nn.BatchNorm1d`.

    >>> import rushlight as rl
    >>> rl.nn.BatchNorm1d(3)(rl.ones(4, 3)).detach().abs().max()
    tensor(0.)
    """

    _allowed_dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of (N, C, H, W). Follows `torch.nn.BatchNorm2d`.

    >>> import rushlight as rl
    >>> rl.nn.BatchNorm2d(3)(rl.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    _allowed_dimensions = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of (N, C, D, H, W). Follows `torch.nn.BatchNorm3d`.

    >>> import rushlight as rl
    >>> rl.nn.BatchNorm3d(3)(rl.ones(2, 3, 2, 2, 2)).shape
    torch.Size([2, 3, 2, 2, 2])
    """

    _allowed_dimensions = (5,)


class _InstanceNorm(_NormBase):
    """The three instance normalisations."""

    _without_batch: int

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        channel_dim = input.dim() - self._without_batch
        if input.size(channel_dim) != self.num_features:
            self._complain(channel_dim, input.size(channel_dim))
        if channel_dim == 0:
            return self._normalized(input.unsqueeze(0)).squeeze(0)
        return self._normalized(input)

    def _complain(self, dim: int, size: int) -> None:
        if self.affine:
            raise ValueError(
                f"expected input's size at dim={dim} to match num_features ({self.num_features}), "
                f"but got: {size}."
            )
        import warnings

        warnings.warn(
            f"input's size at dim={dim} does not match num_features. You can silence this warning "
            "by not passing in num_features, which is not used because affine=False",
            stacklevel=3,
        )

    def _normalized(self, input: Tensor) -> Tensor:
        use_input = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        mean, var = self.running_mean, self.running_var
        return F.instance_norm(
            input, mean, var, self.weight, self.bias, use_input, momentum, self.eps
        )


class InstanceNorm1d(_InstanceNorm):
    """Normalises each channel of each sample, (N, C, L) or (C, L) (arXiv 1607.08022).

    Follows `torch.nn.InstanceNorm1d`.

    >>> import rushlight as rl
    >>> rl.nn.InstanceNorm1d(3)(rl.zeros(2, 3, 5)).shape
    torch.Size([2, 3, 5])
    """

    _allowed_dimensions = (2, 3)
    _without_batch = 2


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of (N, C, H, W) or (C, H, W). Follows `torch.nn.InstanceNorm2d`.

    >>> import rushlight as rl
    >>> rl.nn.InstanceNorm2d(3)(rl.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    _allowed_dimensions = (3, 4)
    _without_batch = 3


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of (N, C, D, H, W) or (C, D, H, W).

    Follows `torch.nn.InstanceNorm3d`.

    >>> import rushlight as rl
    >>> rl.nn.InstanceNorm3d(3)(rl.zeros(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    _allowed_dimensions = (4, 5)
    _without_batch = 4


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation over all processes of a group; in one process, over its batch.

    Accepts inputs of at least two dimensions. Follows `torch.nn.SyncBatchNorm`.

    >>> import rushlight as rl
    >>> rl.nn.SyncBatchNorm(3)(rl.zeros(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        self.process_group = process_group

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected at least 2D input (got {input.dim()}D input)")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """Every batch normalisation in a tree of modules as one over all processes."""
        made = module
        if isinstance(module, _BatchNorm):
            made = cls(
                module.num_features,
                module.eps,
                module.momentum,
                module.affine,
                module.track_running_stats,
                process_group,
            )
            made.__dict__["_parameters"].update(module._parameters)  # shared, not copied
            made.__dict__["_buffers"].update(module._buffers)
            made.training = module.training
        for name, child in module.named_children():
            made.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return made


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions (arXiv 1607.06450).

    Args:
        normalized_shape: the trailing dimensions that are normalised together.
        elementwise_affine: whether there is a scale and (with `bias`) a shift per element.

    Follows `torch.nn.LayerNorm`.

    >>> import rushlight as rl
    >>> rl.nn.LayerNorm(10)(rl.zeros(20, 5, 10)).shape
    torch.Size([20, 5, 10])
    """

    normalized_shape: tuple[int, ...]

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        shape = self.normalized_shape
        for name, present in (
            ("weight", elementwise_affine),
            ("bias", elementwise_affine and bias),
        ):
            values = rushlight.empty(shape, device=device, dtype=dtype) if present else None
            self.register_parameter(name, None if values is None else Parameter(values))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0."""
        if self.elementwise_affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


def _as_shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions (arXiv 1910.07467).

    `eps=None` means the dtype's machine epsilon. Follows `torch.nn.RMSNorm`.

    >>> import rushlight as rl
    >>> rl.nn.RMSNorm(4)(rl.ones(2, 4)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        if elementwise_affine:
            values = rushlight.empty(self.normalized_shape, device=device, dtype=dtype)
            self.weight = Parameter(values)
        else:
            self.register_parameter("weight", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1."""
        if self.elementwise_affine:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(Module):
    """Normalises each of `num_groups` groups of channels of each sample (arXiv 1803.08494).

    Shapes: (N, C, *) with C divisible by `num_groups`. Follows `torch.nn.GroupNorm`.

    >>> import rushlight as rl
    >>> rl.nn.GroupNorm(3, 6)(rl.zeros(20, 6, 10, 10)).shape
    torch.Size([20, 6, 10, 10])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(
                f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        for name, present in (("weight", affine), ("bias", affine and bias)):
            values = rushlight.empty(num_channels, device=device, dtype=dtype) if present else None
            self.register_parameter(name, None if values is None else Parameter(values))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0."""
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta.

    Follows `torch.nn.LocalResponseNorm`.

    >>> import rushlight as rl
    >>> rl.nn.LocalResponseNorm(2)(rl.zeros(1, 4, 3)).shape
    torch.Size([1, 4, 3])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class _LazyNorm(LazyModuleMixin):
    """A batch or instance normalisation that learns `num_features` from its first input."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self.affine = affine
        self.track_running_stats = track_running_stats
        if affine:
            self.weight = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                self.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = rushlight.tensor(0, dtype=rushlight.int64, device=device)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Tensor) -> None:
        if not self.has_uninitialized_params():
            return
        channel_dim = 1
        if isinstance(self, _InstanceNorm):
            channel_dim = input.dim() - self._without_batch
        self.num_features = input.shape[channel_dim]
        tensors = (self.weight, self.bias, self.running_mean, self.running_var)
        for tensor in tensors:
            if tensor is not None:
                tensor.materialize((self.num_features,))
        self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """A `BatchNorm1d` without `num_features`. Follows `torch.nn.LazyBatchNorm1d`.

    >>> import rushlight as rl
    >>> rl.nn.LazyBatchNorm1d()(rl.zeros(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """A `BatchNorm2d` without `num_features`. Follows `torch.nn.LazyBatchNorm2d`.

    >>> import rushlight as rl
    >>> rl.nn.LazyBatchNorm2d()(rl.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """A `BatchNorm3d` without `num_features`. Follows `torch.nn.LazyBatchNorm3d`.

    >>> import rushlight as rl
    >>> rl.nn.LazyBatchNorm3d()(rl.zeros(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """An `InstanceNorm1d` without `num_features`. Follows `torch.nn.LazyInstanceNorm1d`.

    >>> import rushlight as rl
    >>> rl.nn.LazyInstanceNorm1d()(rl.zeros(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """An `InstanceNorm2d` without `num_features`. Follows `torch.nn.LazyInstanceNorm2d`.

    >>> import rushlight as rl
    >>> rl.nn.LazyInstanceNorm2d()(rl.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """An `InstanceNorm3d` without `num_features`. Follows `torch.nn.LazyInstanceNorm3d`.

    >>> import rushlight as rl
    >>> rl.nn.LazyInstanceNorm3d()(rl.zeros(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    cls_to_become = InstanceNorm3d
