"""Convolution layers and their transposes, 1-d to 3-d.

In: (N, C_in, *spatial) or (C_in, *spatial). Out: the same with C_out channels.
Invariant: one class holds what all six have in common; a subclass says how many spatial
dimensions it has and which function it calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.lazy import LazyModuleMixin
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter, UninitializedParameter

_PADDING_MODES = {"zeros", "reflect", "replicate", "circular"}


def repeated(value: Any, count: int) -> tuple[Any, ...]:
    """`value` once per spatial dimension; a sequence is taken as it is.

    >>> import rushlight as rl
    >>> from rushlight.nn.convolution import repeated
    >>> repeated(3, 2)
    (3, 3)
    """
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * count


class _ConvNd(Module):
    """Parameters, initial values and printed form of a convolution."""

    _dimensions: int
    _function: Callable[..., Tensor]

    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    dilation: tuple[int, ...]
    output_padding: tuple[int, ...]
    groups: int
    padding_mode: str
    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        padding: str | tuple[int, ...],
        dilation: tuple[int, ...],
        transposed: bool,
        output_padding: tuple[int, ...],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_arguments(in_channels, out_channels, groups, padding, stride, padding_mode)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = transposed
        self.output_padding = output_padding
        self.groups = groups
        self.padding_mode = padding_mode
        self._reversed_padding_repeated_twice = _edge_lengths(padding, dilation, kernel_size)
        outer = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        shape = (outer[0], outer[1] // groups, *kernel_size)
        self.weight = Parameter(rushlight.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(rushlight.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values from U(-1 / sqrt(fan_in), 1 / sqrt(fan_in))."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in != 0:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        zeros, ones = (0,) * len(self.kernel_size), (1,) * len(self.kernel_size)
        parts = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}, stride={self.stride}",
        ]
        optional = (
            ("padding", self.padding, zeros),
            ("dilation", self.dilation, ones),
            ("output_padding", self.output_padding, zeros),
            ("groups", self.groups, 1),
        )
        parts += [f"{name}={value}" for name, value, usual in optional if value != usual]
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


def _check_arguments(
    in_channels: int,
    out_channels: int,
    groups: int,
    padding: Any,
    stride: tuple[int, ...],
    padding_mode: str,
) -> None:
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    if in_channels % groups:
        raise ValueError("in_channels must be divisible by groups")
    if out_channels % groups:
        raise ValueError("out_channels must be divisible by groups")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(
                f"Invalid padding string {padding!r}, should be one of {{'same', 'valid'}}"
            )
        if padding == "same" and any(step != 1 for step in stride):
            raise ValueError("padding='same' is not supported for strided convolutions")
    if padding_mode not in _PADDING_MODES:
        raise ValueError(
            f"padding_mode must be one of {_PADDING_MODES}, but got padding_mode='{padding_mode}'"
        )


def _edge_lengths(
    padding: str | tuple[int, ...], dilation: tuple[int, ...], kernel: tuple[int, ...]
) -> list[int]:
    """(before, after) of each dimension, the last dimension first, as `F.pad` takes them."""
    if padding == "valid":
        padding = (0,) * len(kernel)
    lengths: list[int] = []
    for axis in reversed(range(len(kernel))):
        if isinstance(padding, str):  # "same"
            total = dilation[axis] * (kernel[axis] - 1)
            lengths += [total // 2, total - total // 2]
        else:
            lengths += [padding[axis], padding[axis]]
    return lengths


class _Conv(_ConvNd):
    """The three ordinary convolutions."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: str | int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        count = self._dimensions
        super().__init__(
            in_channels,
            out_channels,
            repeated(kernel_size, count),
            repeated(stride, count),
            padding if isinstance(padding, str) else repeated(padding, count),
            repeated(dilation, count),
            False,
            repeated(0, count),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolve = type(self)._function
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, self.padding_mode)
            return convolve(input, weight, bias, self.stride, 0, self.dilation, self.groups)
        return convolve(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)


class Conv1d(_Conv):
    """Cross-correlation of (N, C_in, L) with (C_out, C_in / groups, K), plus a bias.

    L_out = floor((L + 2 padding - dilation (K - 1) - 1) / stride + 1).
    Follows `torch.nn.Conv1d`.

    >>> import rushlight as rl
    >>> rl.nn.Conv1d(16, 33, 3, stride=2)(rl.zeros(20, 16, 50)).shape
    torch.Size([20, 33, 24])
    """

    _dimensions = 1
    _function = staticmethod(F.conv1d)


class Conv2d(_Conv):
    """Cross-correlation of (N, C_in, H, W) with (C_out, C_in / groups, KH, KW), plus a bias.

    Sizes as in `Conv1d`, per dimension. Follows `torch.nn.Conv2d`.

    >>> import rushlight as rl
    >>> rl.nn.Conv2d(3, 8, 3, padding="same")(rl.zeros(2, 3, 9, 9)).shape
    torch.Size([2, 8, 9, 9])
    """

    _dimensions = 2
    _function = staticmethod(F.conv2d)


class Conv3d(_Conv):
    """Cross-correlation of (N, C_in, D, H, W), plus a bias. Follows `torch.nn.Conv3d`.

    >>> import rushlight as rl
    >>> rl.nn.Conv3d(1, 2, 2)(rl.zeros(1, 1, 3, 3, 3)).shape
    torch.Size([1, 2, 2, 2, 2])
    """

    _dimensions = 3
    _function = staticmethod(F.conv3d)


class _ConvTranspose(_ConvNd):
    """The three transposed convolutions: gradients of the ordinary ones."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sequence[int] = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        count = self._dimensions
        super().__init__(
            in_channels,
            out_channels,
            repeated(kernel_size, count),
            repeated(stride, count),
            repeated(padding, count),
            repeated(dilation, count),
            True,
            repeated(output_padding, count),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _output_padding(self, input: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """The rows to add at the end so that `output_size` results."""
        if output_size is None:
            return self.output_padding
        count = self._dimensions
        batched = input.dim() == count + 2
        sizes = list(output_size)
        if len(sizes) == count + (2 if batched else 1):
            sizes = sizes[-count:]
        if len(sizes) != count:
            raise ValueError(
                f"{type(self).__name__}: for {input.dim()}D input, output_size must have {count} "
                f"or {input.dim()} elements (got {len(sizes)})"
            )
        added = []
        for axis, length in enumerate(input.shape[-count:]):
            reach = self.dilation[axis] * (self.kernel_size[axis] - 1)
            smallest = (length - 1) * self.stride[axis] - 2 * self.padding[axis] + reach + 1
            largest = smallest + self.stride[axis] - 1
            if not smallest <= sizes[axis] <= largest:
                raise ValueError(
                    f"requested an output size of {sizes}, but dimension {axis} must be between "
                    f"{smallest} and {largest} (for an input of {list(input.shape[-count:])})"
                )
            added.append(sizes[axis] - smallest)
        return tuple(added)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return type(self)._function(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self._output_padding(input, output_size),
            self.groups,
            self.dilation,
        )


class ConvTranspose1d(_ConvTranspose):
    """The gradient of `Conv1d` with respect to its input, as a layer.

    L_out = (L - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.
    Follows `torch.nn.ConvTranspose1d`.

    >>> import rushlight as rl
    >>> rl.nn.ConvTranspose1d(4, 2, 3, stride=2)(rl.zeros(1, 4, 5)).shape
    torch.Size([1, 2, 11])
    """

    _dimensions = 1
    _function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTranspose):
    """The gradient of `Conv2d` with respect to its input. Follows `torch.nn.ConvTranspose2d`.

    >>> import rushlight as rl
    >>> rl.nn.ConvTranspose2d(4, 2, 2, stride=2)(rl.zeros(1, 4, 5, 5)).shape
    torch.Size([1, 2, 10, 10])
    """

    _dimensions = 2
    _function = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_ConvTranspose):
    """The gradient of `Conv3d` with respect to its input. Follows `torch.nn.ConvTranspose3d`.

    >>> import rushlight as rl
    >>> rl.nn.ConvTranspose3d(4, 2, 2)(rl.zeros(1, 4, 2, 2, 2)).shape
    torch.Size([1, 2, 3, 3, 3])
    """

    _dimensions = 3
    _function = staticmethod(F.conv_transpose3d)


class _LazyConv(LazyModuleMixin):
    """A convolution that learns `in_channels` from its first input."""

    weight: Any  # without a shape until then
    bias: Any

    def __init__(
        self,
        out_channels: int,
        kernel_size: int | Sequence[int],
        *args: Any,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(0, 0, kernel_size, *args, bias=False, **kwargs)
        self.out_channels = out_channels
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Tensor, *rest: Any, **options: Any) -> None:
        if not self.has_uninitialized_params():
            return
        count = self._dimensions
        if input.dim() not in (count + 1, count + 2):
            raise RuntimeError(
                f"Expected {count + 1}D (unbatched) or {count + 2}D (batched) input to "
                f"{type(self).__name__}, but got input of size: {input.shape}"
            )
        self.in_channels = input.shape[-count - 1]
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        channels = (self.out_channels, self.in_channels)
        outer, inner = channels[::-1] if self.transposed else channels
        self.weight.materialize((outer, inner // self.groups, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


def _lazy_init(transposed: bool) -> Callable[..., None]:
    """The constructor of a lazy convolution: that of the ordinary one without `in_channels`."""

    def plain(
        self: Any,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        places = (stride, padding, dilation, groups)
        options = {"bias": bias, "device": device, "dtype": dtype, "padding_mode": padding_mode}
        _LazyConv.__init__(self, out_channels, kernel_size, *places, **options)

    def transpose(
        self: Any,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sequence[int] = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        places = (stride, padding, output_padding, groups)
        options = {"bias": bias, "device": device, "dtype": dtype, "padding_mode": padding_mode}
        _LazyConv.__init__(self, out_channels, kernel_size, *places, dilation=dilation, **options)

    return transpose if transposed else plain


class LazyConv1d(_LazyConv, Conv1d):
    """A `Conv1d` without `in_channels`. Follows `torch.nn.LazyConv1d`.

    >>> import rushlight as rl
    >>> rl.nn.LazyConv1d(4, 3)(rl.zeros(1, 3, 8)).shape
    torch.Size([1, 4, 6])
    """

    cls_to_become = Conv1d
    __init__ = _lazy_init(transposed=False)


class LazyConv2d(_LazyConv, Conv2d):
    """A `Conv2d` without `in_channels`. Follows `torch.nn.LazyConv2d`.

    >>> import rushlight as rl
    >>> rl.nn.LazyConv2d(4, 3)(rl.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 4, 6, 6])
    """

    cls_to_become = Conv2d
    __init__ = _lazy_init(transposed=False)


class LazyConv3d(_LazyConv, Conv3d):
    """A `Conv3d` without `in_channels`. Follows `torch.nn.LazyConv3d`.

    >>> import rushlight as rl
    >>> rl.nn.LazyConv3d(4, 3)(rl.zeros(1, 3, 8, 8, 8)).shape
    torch.Size([1, 4, 6, 6, 6])
    """

    cls_to_become = Conv3d
    __init__ = _lazy_init(transposed=False)


class LazyConvTranspose1d(_LazyConv, ConvTranspose1d):
    """A `ConvTranspose1d` without `in_channels`. Follows `torch.nn.LazyConvTranspose1d`.

    >>> import rushlight as rl
    >>> rl.nn.LazyConvTranspose1d(4, 3)(rl.zeros(1, 3, 8)).shape
    torch.Size([1, 4, 10])
    """

    cls_to_become = ConvTranspose1d
    __init__ = _lazy_init(transposed=True)


class LazyConvTranspose2d(_LazyConv, ConvTranspose2d):
    """A `ConvTranspose2d` without `in_channels`. Follows `torch.nn.LazyConvTranspose2d`.

    >>> import rushlight as rl
    >>> rl.nn.LazyConvTranspose2d(4, 3)(rl.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 4, 10, 10])
    """

    cls_to_become = ConvTranspose2d
    __init__ = _lazy_init(transposed=True)


class LazyConvTranspose3d(_LazyConv, ConvTranspose3d):
    """A `ConvTranspose3d` without `in_channels`. Follows `torch.nn.LazyConvTranspose3d`.

    >>> import rushlight as rl
    >>> rl.nn.LazyConvTranspose3d(4, 3)(rl.zeros(1, 3, 8, 8, 8)).shape
    torch.Size([1, 4, 10, 10, 10])
    """

    cls_to_become = ConvTranspose3d
    __init__ = _lazy_init(transposed=True)
