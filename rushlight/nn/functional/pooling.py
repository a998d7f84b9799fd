"""Pooling: maximum, mean and power mean over windows, and the inverse of max pooling.

In: (N, C, *spatial) or (C, *spatial). Out: the same with smaller spatial dimensions.
Invariant: indices returned by max pooling count within one (flattened) spatial plane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.ops import namespace as _ops

avg_pool1d = _ops.avg_pool1d
avg_pool2d = _ops.avg_pool2d
avg_pool3d = _ops.avg_pool3d
adaptive_avg_pool1d = _ops.adaptive_avg_pool1d


def as_tuple(value: Any, dimensions: int) -> tuple[Any, ...]:
    """`value` once per spatial dimension.

    >>> import rushlight as rl
    >>> from rushlight.nn.functional.pooling import as_tuple
    >>> as_tuple(3, 2)
    (3, 3)
    """
    if isinstance(value, (int, float)) or value is None:
        return (value,) * dimensions
    return tuple(value) * dimensions if len(value) == 1 else tuple(value)


def _max_pool(plain: Callable[..., Tensor], indexed: Callable[..., Any], dimensions: int) -> Any:
    """`max_pool<dimensions>d` out of its two rows, without and with indices."""

    def max_pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        stride = stride if stride not in ([], ()) else None
        row = indexed if return_indices else plain
        return row(input, kernel_size, stride, padding, dilation, ceil_mode)

    max_pool.__name__ = max_pool.__qualname__ = f"max_pool{dimensions}d"
    max_pool.__doc__ = f"""The largest value of each {dimensions}-d window.

    Padding counts as minus infinity. With `return_indices` also the place of each maximum in its
    plane. Follows `torch.nn.functional.max_pool{dimensions}d`.
    """
    return max_pool


max_pool1d = _max_pool(_ops.max_pool1d, _ops.max_pool1d_with_indices, 1)
max_pool2d = _max_pool(_ops.max_pool2d, _ops.max_pool2d_with_indices, 2)
max_pool3d = _max_pool(_ops.max_pool3d, _ops.max_pool3d_with_indices, 3)


def _with_indices(pool: Callable[..., Any]) -> Callable[..., tuple[Tensor, Tensor]]:
    """`pool` that always returns (values, indices)."""

    def pool_with_indices(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        return pool(*args, **{**kwargs, "return_indices": True})

    pool_with_indices.__name__ = pool_with_indices.__qualname__ = pool.__name__ + "_with_indices"
    pool_with_indices.__doc__ = f"`{pool.__name__}` that returns (values, indices)."
    return pool_with_indices


max_pool1d_with_indices = _with_indices(max_pool1d)
max_pool2d_with_indices = _with_indices(max_pool2d)
max_pool3d_with_indices = _with_indices(max_pool3d)


def _adaptive_size(input: Tensor, output_size: Any, dimensions: int) -> tuple[int, ...]:
    """`output_size` with None replaced by the input's own length."""
    sizes = as_tuple(output_size, dimensions)
    if len(sizes) != dimensions:
        raise RuntimeError(
            f"adaptive pooling over {dimensions} dimensions: output_size must have {dimensions} "
            f"entries, but got {output_size}"
        )
    if input.dim() <= dimensions:
        raise ValueError(
            f"Input dimension should be at least {dimensions + 1}, but got an input of "
            f"{input.dim()} dimensions"
        )
    own = input.shape[-dimensions:]
    return tuple(own[k] if size is None else size for k, size in enumerate(sizes))


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means over windows chosen so that the result has the spatial size `output_size`.

    Window i of n over length L covers floor(i L / n) .. ceil((i + 1) L / n).
    Follows `torch.nn.functional.adaptive_avg_pool2d`.

    >>> import rushlight as rl
    >>> rl.nn.functional.adaptive_avg_pool2d(rl.ones(1, 3, 7, 5), (2, None)).shape
    torch.Size([1, 3, 2, 5])
    """
    return _ops.adaptive_avg_pool2d(input, _adaptive_size(input, output_size, 2))


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """The 3-d form of `adaptive_avg_pool2d`.

    Follows `torch.nn.functional.adaptive_avg_pool3d`.

    >>> import rushlight as rl
    >>> rl.nn.functional.adaptive_avg_pool3d(rl.ones(1, 3, 4, 5, 6), 2).shape
    torch.Size([1, 3, 2, 2, 2])
    """
    return _ops.adaptive_avg_pool3d(input, _adaptive_size(input, output_size, 3))


def _adaptive_max_pool(row: Callable[..., Any], dimensions: int) -> Any:
    def adaptive_max_pool(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        size = _adaptive_size(input, output_size, dimensions)
        values, indices = row(input, size)
        return (values, indices) if return_indices else values

    adaptive_max_pool.__name__ = adaptive_max_pool.__qualname__ = f"adaptive_max_pool{dimensions}d"
    adaptive_max_pool.__doc__ = f"""Maxima over windows chosen so that `output_size` results.

    Follows `torch.nn.functional.adaptive_max_pool{dimensions}d`.
    """
    return adaptive_max_pool


adaptive_max_pool1d = _adaptive_max_pool(_ops.adaptive_max_pool1d, 1)
adaptive_max_pool2d = _adaptive_max_pool(_ops.adaptive_max_pool2d, 2)
adaptive_max_pool3d = _adaptive_max_pool(_ops.adaptive_max_pool3d, 3)
adaptive_max_pool1d_with_indices = _with_indices(adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = _with_indices(adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = _with_indices(adaptive_max_pool3d)


def _lp_pool(
    average: Callable[..., Tensor],
    dimensions: int,
    input: Tensor,
    norm_type: float,
    kernel_size: Any,
    stride: Any,
    ceil_mode: bool,
) -> Tensor:
    """(sum of x^p over the window)^(1/p), with the sign and zero rules of PyTorch."""
    kernel = as_tuple(kernel_size, dimensions)
    area = 1
    for length in kernel:
        area *= length
    stride = kernel if stride is None else stride
    mean = average(input.pow(norm_type), kernel, stride, 0, ceil_mode)
    return (mean.sign() * mean.abs().relu()).mul(area).pow(1.0 / norm_type)


def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(sum of x^p over the window)^(1/p). Follows `torch.nn.functional.lp_pool1d`.

    >>> import rushlight as rl
    >>> rl.nn.functional.lp_pool1d(rl.tensor([[[3.0, 4.0]]]), 2, 2)
    tensor([[[5.]]])
    """
    return _lp_pool(_ops.avg_pool1d, 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The 2-d form of `lp_pool1d`.

    Follows `torch.nn.functional.lp_pool2d`.

    >>> import rushlight as rl
    >>> rl.nn.functional.lp_pool2d(rl.ones(1, 1, 2, 2), 2, 2)
    tensor([[[[2.]]]])
    """
    return _lp_pool(_ops.avg_pool2d, 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The 3-d form of `lp_pool1d`.

    Follows `torch.nn.functional.lp_pool3d`.

    >>> import rushlight as rl
    >>> rl.nn.functional.lp_pool3d(rl.ones(1, 1, 2, 2, 2), 3, 2)
    tensor([[[[[2.]]]]])
    """
    return _lp_pool(_ops.avg_pool3d, 3, input, norm_type, kernel_size, stride, ceil_mode)


def _unpool_size(
    input: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    output_size: Sequence[int] | None,
) -> list[int]:
    """The spatial size before pooling; several are possible, the default is the smallest."""
    dimensions = len(kernel)
    own = input.shape[-dimensions:]
    default = [(own[k] - 1) * stride[k] + kernel[k] - 2 * padding[k] for k in range(dimensions)]
    if output_size is None:
        return default
    given = list(output_size)[-dimensions:] if len(output_size) != dimensions else list(output_size)
    if len(output_size) not in (dimensions, dimensions + 1, dimensions + 2):
        raise ValueError(
            "output_size should be a sequence containing "
            f"{dimensions} or {dimensions + 2} elements, but it has a length of "
            f"'{len(output_size)}'"
        )
    for axis in range(dimensions):
        low, high = default[axis] - stride[axis], default[axis] + stride[axis]
        if not low < given[axis] < high:
            raise ValueError(
                f'invalid output_size "{tuple(given)}" '
                f"(dim {axis} must be between {low} and {high})"
            )
    return given


def _max_unpool(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Sequence[int] | None,
    dimensions: int,
) -> Tensor:
    if input.shape != indices.shape:
        raise RuntimeError(
            "Expected shape of indices to be same as that of the input tensor "
            f"({list(input.shape)}) but got indices tensor with shape: {list(indices.shape)}"
        )
    kernel = as_tuple(kernel_size, dimensions)
    steps = kernel if stride is None else as_tuple(stride, dimensions)
    size = _unpool_size(input, kernel, steps, as_tuple(padding, dimensions), output_size)
    plane = 1
    for length in size:
        plane *= length
    if indices.numel() and not (int(indices.min()) >= 0 and int(indices.max()) < plane):
        raise RuntimeError(
            f"Found an invalid max index: {int(indices.max())} (output volumes are of size "
            + "x".join(str(length) for length in size)
            + ")"
        )
    first = input.dim() - dimensions
    empty = rushlight.zeros((*input.shape[:first], plane), dtype=input.dtype, device=input.device)
    filled = empty.scatter(first, indices.flatten(first), input.flatten(first))
    made = filled.unflatten(first, size)
    if input.dim() == 4 and not input.is_contiguous():
        return made.contiguous(memory_format=_dense_format(input))
    return made


def _dense_format(input: Tensor) -> Any:
    """channels_last where the input lies in that order, else row-major."""
    last = input.is_contiguous(memory_format=rushlight.channels_last)
    return rushlight.channels_last if last else rushlight.contiguous_format


@rushlight._titled("SqueezeBackward1")
def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Puts the maxima back to where they came from, zeros elsewhere.

    Follows `torch.nn.functional.max_unpool1d`.

    >>> import rushlight as rl
    >>> values, places = rl.tensor([[[5.0]]]), rl.tensor([[[1]]])
    >>> rl.nn.functional.max_unpool1d(values, places, 2)
    tensor([[[0., 5.]]])
    """
    return _max_unpool(input, indices, kernel_size, stride, padding, output_size, 1)


@rushlight._titled("MaxUnpool2DBackward0")
def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """The 2-d form of `max_unpool1d`.

    Follows `torch.nn.functional.max_unpool2d`.

    >>> import rushlight as rl
    >>> values, places = rl.tensor([[[[5.0]]]]), rl.tensor([[[[3]]]])
    >>> rl.nn.functional.max_unpool2d(values, places, 2)
    tensor([[[[0., 0.],
              [0., 5.]]]])
    """
    return _max_unpool(input, indices, kernel_size, stride, padding, output_size, 2)


@rushlight._titled("MaxUnpool3DBackward0")
def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """The 3-d form of `max_unpool1d`.

    Follows `torch.nn.functional.max_unpool3d`.

    >>> import rushlight as rl
    >>> values, places = rl.ones(1, 1, 1, 1, 1), rl.zeros(1, 1, 1, 1, 1, dtype=rl.int64)
    >>> rl.nn.functional.max_unpool3d(values, places, 2).shape
    torch.Size([1, 1, 2, 2, 2])
    """
    return _max_unpool(input, indices, kernel_size, stride, padding, output_size, 3)


def _fractional_starts(samples: Tensor, length: int, count: int, kernel: int) -> Tensor:
    """Where the `count` windows begin, for every random sample: (*samples, count).

    start_i = floor((i + u) a) - floor(u a), a = (length - kernel) / (count - 1); the last window
    ends at the end (Graham, arXiv 1412.6071).
    """
    place = rushlight.arange(count, dtype=samples.dtype, device=samples.device)
    alpha = (length - kernel) / (count - 1) if count > 1 else 0.0
    offset = (samples * alpha).to(rushlight.int64).unsqueeze(-1)
    starts = ((place + samples.unsqueeze(-1)) * alpha).to(rushlight.int64) - offset
    last = rushlight.arange(count, device=samples.device) == count - 1
    return rushlight.where(last, length - kernel, starts)


def _fractional_max_pool(
    input: Tensor,
    kernel_size: Any,
    output_size: Any,
    output_ratio: Any,
    samples: Tensor | None,
    dimensions: int,
) -> tuple[Tensor, Tensor]:
    """(values, indices): the windows of every plane begin at its own random places."""
    if input.dim() == dimensions + 1:
        values, indices = _fractional_max_pool(
            input.unsqueeze(0), kernel_size, output_size, output_ratio, samples, dimensions
        )
        return values.squeeze(0), indices.squeeze(0)
    own = input.shape[2:]
    kernel = as_tuple(kernel_size, dimensions)
    if output_size is None:
        if output_ratio is None:
            raise ValueError(
                f"fractional_max_pool{dimensions}d requires specifying either an output_size or "
                "an output_ratio"
            )
        ratio = as_tuple(output_ratio, dimensions)
        output_size = [int(own[k] * ratio[k]) for k in range(dimensions)]
    size = as_tuple(output_size, dimensions)
    for k in range(dimensions):
        if size[k] + kernel[k] - 1 > own[k]:
            raise RuntimeError(
                f"fractional_max_pool{dimensions}d(): pool size {kernel[k]} too large relative to "
                f"input length {own[k]} of dimension {k}"
            )
    if samples is None:
        samples = rushlight.rand(
            *input.shape[:2], dimensions, dtype=input.dtype, device=input.device
        )
    flat = _fractional_index(samples, own, size, kernel)
    windows = input.flatten(2).gather(2, flat.flatten(2)).reshape(*flat.shape)
    values, place = windows.max(-1)
    return values, flat.gather(-1, place.unsqueeze(-1)).squeeze(-1)


def _fractional_index(
    samples: Tensor, own: Sequence[int], size: Sequence[int], kernel: Sequence[int]
) -> Tensor:
    """The flat input place of every window element: (N, C, *size, elements of a window)."""
    dimensions = len(own)
    total: Any = 0
    for axis in range(dimensions):
        # The samples are drawn for the innermost dimension first, except in 3-d.
        sample = samples[:, :, axis if dimensions == 3 else dimensions - 1 - axis]
        starts = _fractional_starts(sample, own[axis], size[axis], kernel[axis])
        line = starts.unsqueeze(-1) + rushlight.arange(kernel[axis], device=samples.device)
        shape = [*samples.shape[:2], *[1] * (2 * dimensions)]
        shape[2 + axis], shape[2 + dimensions + axis] = size[axis], kernel[axis]
        total = total * own[axis] + line.reshape(shape)
    return total.flatten(2 + dimensions)


def _fractional(dimensions: int) -> Any:
    @rushlight._titled(f"FractionalMaxPool{dimensions}DBackward0")
    def fractional_max_pool(
        input: Tensor,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:
        values, indices = _fractional_max_pool(
            input, kernel_size, output_size, output_ratio, _random_samples, dimensions
        )
        return (values, indices) if return_indices else values

    name = f"fractional_max_pool{dimensions}d"
    fractional_max_pool.__name__ = fractional_max_pool.__qualname__ = name
    fractional_max_pool.__doc__ = f"""Maxima over windows at pseudo-random places.

    Follows `torch.nn.functional.{name}` and Graham, arXiv 1412.6071.
    """
    return fractional_max_pool


fractional_max_pool2d = _fractional(2)
fractional_max_pool3d = _fractional(3)
fractional_max_pool2d_with_indices = _with_indices(fractional_max_pool2d)
fractional_max_pool3d_with_indices = _with_indices(fractional_max_pool3d)
