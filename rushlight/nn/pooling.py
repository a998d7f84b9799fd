"""Pooling layers, 1-d to 3-d.

In: (N, C, *spatial) or (C, *spatial). Out: smaller spatial dimensions (unpooling: larger).
Invariant: a layer without an explicit stride moves by its kernel size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rushlight import Tensor
from rushlight.nn import functional as F
from rushlight.nn.convolution import repeated
from rushlight.nn.module import Module


class _MaxPoolNd(Module):
    """The constants of a max pooling."""

    _function: Callable[..., Any]

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return type(self)._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPoolNd):
    """The largest value of each window of (N, C, L).

    L_out = floor((L + 2 padding - dilation (K - 1) - 1) / stride + 1), ceil with `ceil_mode`.
    Follows `torch.nn.MaxPool1d`.

    >>> import rushlight as rl
    >>> rl.nn.MaxPool1d(2)(rl.tensor([[1.0, 3.0, 2.0, 0.0]]))
    tensor([[3., 2.]])
    """

    _function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPoolNd):
    """The largest value of each window of (N, C, H, W). Follows `torch.nn.MaxPool2d`.

    >>> import rushlight as rl
    >>> rl.nn.MaxPool2d(3, stride=2)(rl.zeros(20, 16, 50, 32)).shape
    torch.Size([20, 16, 24, 15])
    """

    _function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPoolNd):
    """The largest value of each window of (N, C, D, H, W). Follows `torch.nn.MaxPool3d`.

    >>> import rushlight as rl
    >>> rl.nn.MaxPool3d(2)(rl.zeros(1, 2, 4, 4, 4)).shape
    torch.Size([1, 2, 2, 2, 2])
    """

    _function = staticmethod(F.max_pool3d)


class _MaxUnpoolNd(Module):
    """The constants of the inverse of a max pooling."""

    _dimensions: int
    _function: Callable[..., Tensor]

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
    ) -> None:
        super().__init__()
        count = self._dimensions
        self.kernel_size = repeated(kernel_size, count)
        self.stride = repeated(kernel_size if stride is None else stride, count)
        self.padding = repeated(padding, count)

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        return type(self)._function(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    """Puts maxima back to where they came from, zeros elsewhere. Follows `torch.nn.MaxUnpool1d`.

    >>> import rushlight as rl
    >>> pool = rl.nn.MaxPool1d(2, return_indices=True)
    >>> rl.nn.MaxUnpool1d(2)(*pool(rl.zeros(1, 2, 4))).shape
    torch.Size([1, 2, 4])
    """

    _dimensions = 1
    _function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpoolNd):
    """The 2-d form of `MaxUnpool1d`. Follows `torch.nn.MaxUnpool2d`.

    >>> import rushlight as rl
    >>> pool = rl.nn.MaxPool2d(2, return_indices=True)
    >>> rl.nn.MaxUnpool2d(2)(*pool(rl.zeros(1, 2, 4, 4))).shape
    torch.Size([1, 2, 4, 4])
    """

    _dimensions = 2
    _function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpoolNd):
    """The 3-d form of `MaxUnpool1d`. Follows `torch.nn.MaxUnpool3d`.

    >>> import rushlight as rl
    >>> pool = rl.nn.MaxPool3d(2, return_indices=True)
    >>> rl.nn.MaxUnpool3d(2)(*pool(rl.zeros(1, 2, 4, 4, 4))).shape
    torch.Size([1, 2, 4, 4, 4])
    """

    _dimensions = 3
    _function = staticmethod(F.max_unpool3d)


class AvgPool1d(Module):
    """The mean of each window of (N, C, L). Follows `torch.nn.AvgPool1d`.

    >>> import rushlight as rl
    >>> rl.nn.AvgPool1d(2)(rl.tensor([[1.0, 3.0, 2.0, 0.0]]))
    tensor([[2., 1.]])
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = repeated(kernel_size, 1)
        self.stride = repeated(kernel_size if stride is None else stride, 1)
        self.padding = repeated(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPoolNd(Module):
    """The constants of a 2-d or 3-d mean pooling."""

    _function: Callable[..., Tensor]

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return type(self)._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPoolNd):
    """The mean of each window of (N, C, H, W). Follows `torch.nn.AvgPool2d`.

    >>> import rushlight as rl
    >>> rl.nn.AvgPool2d(2)(rl.zeros(1, 2, 4, 4)).shape
    torch.Size([1, 2, 2, 2])
    """

    _function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPoolNd):
    """The mean of each window of (N, C, D, H, W). Follows `torch.nn.AvgPool3d`.

    >>> import rushlight as rl
    >>> rl.nn.AvgPool3d(2)(rl.zeros(1, 2, 4, 4, 4)).shape
    torch.Size([1, 2, 2, 2, 2])
    """

    _function = staticmethod(F.avg_pool3d)


class _LPPoolNd(Module):
    """The constants of a power-mean pooling."""

    _function: Callable[..., Tensor]

    def __init__(
        self,
        norm_type: float,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return type(self)._function(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPoolNd):
    """(sum of x^p over the window)^(1/p). Follows `torch.nn.LPPool1d`.

    >>> import rushlight as rl
    >>> rl.nn.LPPool1d(2, 2)(rl.ones(1, 2, 4)).shape
    torch.Size([1, 2, 2])
    """

    _function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPoolNd):
    """The 2-d form of `LPPool1d`. Follows `torch.nn.LPPool2d`.

    >>> import rushlight as rl
    >>> rl.nn.LPPool2d(2, 2)(rl.ones(1, 2, 4, 4)).shape
    torch.Size([1, 2, 2, 2])
    """

    _function = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPoolNd):
    """The 3-d form of `LPPool1d`. Follows `torch.nn.LPPool3d`.

    >>> import rushlight as rl
    >>> rl.nn.LPPool3d(2, 2)(rl.ones(1, 2, 4, 4, 4)).shape
    torch.Size([1, 2, 2, 2, 2])
    """

    _function = staticmethod(F.lp_pool3d)


class _AdaptiveAvgPoolNd(Module):
    """The size of an adaptive mean pooling."""

    _function: Callable[..., Tensor]

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return type(self)._function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """Means over windows so that length `output_size` results.

    Follows `torch.nn.AdaptiveAvgPool1d`.

    >>> import rushlight as rl
    >>> rl.nn.AdaptiveAvgPool1d(3)(rl.zeros(1, 2, 4)).shape
    torch.Size([1, 2, 3])
    """

    _function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """Means over windows so that (H, W) = `output_size` results; None keeps a dimension.

    Follows `torch.nn.AdaptiveAvgPool2d`.

    >>> import rushlight as rl
    >>> rl.nn.AdaptiveAvgPool2d((5, None))(rl.zeros(1, 64, 8, 9)).shape
    torch.Size([1, 64, 5, 9])
    """

    _function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """The 3-d form of `AdaptiveAvgPool2d`. Follows `torch.nn.AdaptiveAvgPool3d`.

    >>> import rushlight as rl
    >>> rl.nn.AdaptiveAvgPool3d(3)(rl.zeros(1, 2, 4, 4, 4)).shape
    torch.Size([1, 2, 3, 3, 3])
    """

    _function = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPoolNd(Module):
    """The size of an adaptive max pooling."""

    _function: Callable[..., Any]

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return type(self)._function(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """Maxima over windows so that length `output_size` results.

    Follows `torch.nn.AdaptiveMaxPool1d`.

    >>> import rushlight as rl
    >>> rl.nn.AdaptiveMaxPool1d(3)(rl.zeros(1, 2, 4)).shape
    torch.Size([1, 2, 3])
    """

    _function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """The 2-d form of `AdaptiveMaxPool1d`. Follows `torch.nn.AdaptiveMaxPool2d`.

    >>> import rushlight as rl
    >>> rl.nn.AdaptiveMaxPool2d(3)(rl.zeros(1, 2, 4, 4)).shape
    torch.Size([1, 2, 3, 3])
    """

    _function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """The 3-d form of `AdaptiveMaxPool1d`. Follows `torch.nn.AdaptiveMaxPool3d`.

    >>> import rushlight as rl
    >>> rl.nn.AdaptiveMaxPool3d(3)(rl.zeros(1, 2, 4, 4, 4)).shape
    torch.Size([1, 2, 3, 3, 3])
    """

    _function = staticmethod(F.adaptive_max_pool3d)


class _FractionalMaxPoolNd(Module):
    """The constants of a fractional max pooling."""

    _dimensions: int
    _function: Callable[..., Any]

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        output_size: int | Sequence[int] | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name, count = type(self).__name__, self._dimensions
        self.kernel_size = repeated(kernel_size, count)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else repeated(output_size, count)
        self.output_ratio = None if output_ratio is None else repeated(output_ratio, count)
        if output_size is None and output_ratio is None:
            raise ValueError(
                f"{name} requires specifying either an output size, or a pooling ratio"
            )
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        ratios = self.output_ratio or ()
        if not all(0 < ratio < 1 for ratio in ratios):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Any:
        return type(self)._function(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._random_samples,
        )


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """Maxima over windows at pseudo-random places (arXiv 1412.6071).

    Follows `torch.nn.FractionalMaxPool2d`.

    >>> import rushlight as rl
    >>> rl.nn.FractionalMaxPool2d(2, output_size=3)(rl.zeros(1, 2, 4, 4)).shape
    torch.Size([1, 2, 3, 3])
    """

    _dimensions = 2
    _function = staticmethod(F.fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """The 3-d form of `FractionalMaxPool2d`. Follows `torch.nn.FractionalMaxPool3d`.

    >>> import rushlight as rl
    >>> rl.nn.FractionalMaxPool3d(2, output_size=3)(rl.zeros(1, 2, 4, 4, 4)).shape
    torch.Size([1, 2, 3, 3, 3])
    """

    _dimensions = 3
    _function = staticmethod(F.fractional_max_pool3d)
