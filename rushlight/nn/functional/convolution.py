"""Convolutions and their rearranging relatives: fold, unfold, pixel and channel shuffles.

In: (N, C, *spatial) tensors. Out: (N, C', *spatial').
Invariant: `fold(unfold(x))` counts every pixel as often as windows cover it.
"""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn.functional.memory_format import laid_out_as
from rushlight.ops import namespace as _ops

conv1d = _ops.conv1d
conv2d = _ops.conv2d
conv3d = _ops.conv3d
conv_transpose1d = _ops.conv_transpose1d
conv_transpose2d = _ops.conv_transpose2d
conv_transpose3d = _ops.conv_transpose3d


def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """1-d convolution of a (time, batch, channel) sequence with a (kernel, in, out) weight.

    Follows `torch.nn.functional.conv_tbc`.

    >>> import rushlight as rl
    >>> rl.nn.functional.conv_tbc(rl.zeros(6, 2, 3), rl.zeros(3, 3, 4), rl.zeros(4)).shape
    torch.Size([4, 2, 4])
    """
    result = _ops.conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, 1, pad)
    return result.permute(2, 0, 1)


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return (value[0], value[0]) if len(value) == 1 else tuple(value)


def _window_index(
    size: tuple[int, int], kernel: Any, dilation: Any, padding: Any, stride: Any, device: Any
) -> tuple[Tensor, tuple[int, int], tuple[int, int]]:
    """Where each window element lies in the padded plane.

    Returns (flat index of shape (kh, kw, oh, ow), padded size, (oh, ow)).
    """
    lines, padded, counts = [], [], []
    for axis in range(2):
        length = size[axis] + 2 * padding[axis]
        count = (length - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
        if count < 1:
            raise RuntimeError(
                f"Given spatial size {tuple(size)}, kernel_size={tuple(kernel)}, "
                f"dilation={tuple(dilation)}, padding={tuple(padding)}, stride={tuple(stride)}: "
                f"dimension {axis} has no room for a sliding block"
            )
        inside = rushlight.arange(kernel[axis], device=device) * dilation[axis]
        starts = rushlight.arange(count, device=device) * stride[axis]
        lines.append(inside.unsqueeze(1) + starts)
        padded.append(length)
        counts.append(count)
    rows, columns = lines
    index = rows[:, None, :, None] * padded[1] + columns[None, :, None, :]
    return index, tuple(padded), tuple(counts)


@rushlight._titled("Im2ColBackward0")
def unfold(
    input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """All sliding windows of an image, one per column.

    Shapes: input (N, C, H, W) or (C, H, W), result (N, C kh kw, L), L the number of windows.
    Follows `torch.nn.functional.unfold`.

    >>> import rushlight as rl
    >>> rl.nn.functional.unfold(rl.zeros(1, 3, 4, 4), 2).shape
    torch.Size([1, 12, 9])
    """
    if input.dim() not in (3, 4):
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(input.shape)}"
        )
    if input.dim() == 3:
        return unfold(input.unsqueeze(0), kernel_size, dilation, padding, stride).squeeze(0)
    kernel, dilation, padding, stride = map(_pair, (kernel_size, dilation, padding, stride))
    batch, channels, height, width = input.shape
    index, _, counts = _window_index(
        (height, width), kernel, dilation, padding, stride, input.device
    )
    padded = _ops.constant_pad_nd(input, (padding[1], padding[1], padding[0], padding[0]))
    windows = padded.flatten(2).index_select(2, index.flatten())
    return windows.reshape(batch, channels * kernel[0] * kernel[1], counts[0] * counts[1])


@rushlight._titled("Col2ImBackward0")
def fold(
    input: Tensor,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Adds sliding windows into an image: the transpose of `unfold`.

    Shapes: input (N, C kh kw, L) or (C kh kw, L), result (N, C, H, W) or (C, H, W).
    Follows `torch.nn.functional.fold`.

    >>> import rushlight as rl
    >>> rl.nn.functional.fold(rl.ones(1, 4, 9), (4, 4), 2)[0, 0, 1]
    tensor([2., 4., 4., 2.])
    """
    if input.dim() not in (2, 3):
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {list(input.shape)}"
        )
    if input.dim() == 2:
        return fold(
            input.unsqueeze(0), output_size, kernel_size, dilation, padding, stride
        ).squeeze(0)
    size, kernel = _pair(output_size), _pair(kernel_size)
    dilation, padding, stride = map(_pair, (dilation, padding, stride))
    area = kernel[0] * kernel[1]
    batch, rows, blocks = input.shape
    if rows % area:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={rows} and kernel_size={kernel}."
        )
    index, padded, counts = _window_index(size, kernel, dilation, padding, stride, input.device)
    if counts[0] * counts[1] != blocks:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={kernel}, dilation={dilation}, "
            f"padding={padding}, stride={stride}, expected size of input's dimension 2 to match "
            f"the calculated number of sliding blocks {counts[0]} * {counts[1]} = "
            f"{counts[0] * counts[1]}, but got input.size(2)={blocks}."
        )
    plane = rushlight.zeros(
        (batch, rows // area, padded[0] * padded[1]), dtype=input.dtype, device=input.device
    )
    windows = input.reshape(batch, rows // area, area * blocks)
    image = plane.index_add(2, index.flatten(), windows).unflatten(2, padded)
    top, left = padding
    return image[:, :, top : top + size[0], left : left + size[1]]


@rushlight._titled("PixelShuffleBackward0")
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Moves channels into space: (*, C r r, H, W) -> (*, C, H r, W r) (arXiv 1609.05158).

    >>> import rushlight as rl
    >>> rl.nn.functional.pixel_shuffle(rl.zeros(1, 8, 2, 3), 2).shape
    torch.Size([1, 2, 4, 6])
    """
    if input.dim() < 3:
        raise RuntimeError(
            "pixel_shuffle expects input to have at least 3 dimensions, but got input with "
            f"{input.dim()} dimension(s)"
        )
    if upscale_factor <= 0:
        raise RuntimeError(
            f"pixel_shuffle expects a positive upscale_factor, but got {upscale_factor}"
        )
    *batch, channels, height, width = input.shape
    factor = upscale_factor
    if channels % factor**2:
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={channels} is not divisible by {factor**2}"
        )
    groups = input.reshape(*batch, channels // factor**2, factor, factor, height, width)
    lead = list(range(len(batch) + 1))
    row, column, y, x = (len(lead) + offset for offset in range(4))
    moved = groups.permute(*lead, y, row, x, column)
    result = moved.reshape(*batch, channels // factor**2, height * factor, width * factor)
    return laid_out_as(result, input)


@rushlight._titled("PixelUnshuffleBackward0")
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Moves space into channels: (*, C, H r, W r) -> (*, C r r, H, W).

    Follows `torch.nn.functional.pixel_unshuffle`.

    >>> import rushlight as rl
    >>> rl.nn.functional.pixel_unshuffle(rl.zeros(1, 2, 4, 6), 2).shape
    torch.Size([1, 8, 2, 3])
    """
    if input.dim() < 3:
        raise RuntimeError(
            "pixel_unshuffle expects input to have at least 3 dimensions, but got input with "
            f"{input.dim()} dimension(s)"
        )
    factor = downscale_factor
    if factor <= 0:
        raise RuntimeError(
            f"pixel_unshuffle expects a positive downscale_factor, but got {downscale_factor}"
        )
    *batch, channels, height, width = input.shape
    for name, axis, length in (("height", -2, height), ("width", -1, width)):
        if length % factor:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but "
                f"input.size({axis})={length} is not divisible by {factor}"
            )
    groups = input.reshape(*batch, channels, height // factor, factor, width // factor, factor)
    lead = list(range(len(batch) + 1))
    y, row, x, column = (len(lead) + offset for offset in range(4))
    moved = groups.permute(*lead, row, column, y, x)
    result = moved.reshape(*batch, channels * factor**2, height // factor, width // factor)
    return laid_out_as(result, input)


@rushlight._titled("ChannelShuffleBackward0")
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Interleaves the channels of `groups` groups (ShuffleNet, arXiv 1707.01083).

    Follows `torch.nn.functional.channel_shuffle`.

    >>> import rushlight as rl
    >>> rl.nn.functional.channel_shuffle(rl.arange(4.0).reshape(1, 4, 1), 2).flatten()
    tensor([0., 2., 1., 3.])
    """
    if input.dim() < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes "
            f"{list(input.shape)}"
        )
    channels = input.size(1)
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    if channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and "
            f"{groups} groups."
        )
    split = input.unflatten(1, (groups, channels // groups))
    return laid_out_as(split.transpose(1, 2).flatten(1, 2), input)


native_channel_shuffle = channel_shuffle
