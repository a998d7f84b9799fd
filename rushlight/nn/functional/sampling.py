"""Reading an image or a volume at arbitrary points (spatial transformers, arXiv 1506.02025).

In: (N, C, *spatial) and a grid of points with coordinates in [-1, 1]. Out: one value per point.
Invariant: differentiable with respect to the image and to the points.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn.functional.upsampling import cubic_weights

GRID_SAMPLE_INTERPOLATION_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
GRID_SAMPLE_PADDING_MODES = {"zeros": 0, "border": 1, "reflection": 2}


def _default_align(align_corners: bool | None, name: str) -> bool:
    if align_corners is None:
        import warnings

        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
            "1.3.0. Please specify align_corners=True if the old behavior is desired. "
            f"See the documentation of {name} for details.",
            stacklevel=3,
        )
    return bool(align_corners)


def _reflected(places: Tensor, low: float, span: float) -> Tensor:
    """Fold the line at `low` and at `low + span` until every point lies between."""
    if span == 0:
        return rushlight.zeros_like(places)
    distance = (places - low).abs()
    flips = (distance / span).floor()
    rest = distance - flips.detach() * span
    return rushlight.where(flips % 2 == 0, rest + low, span - rest + low)


def _padded_places(places: Tensor, length: int, padding: str, align: bool) -> Tensor:
    """Move points outside the image to where `padding` finds their value."""
    if padding == "zeros":
        return places
    if padding == "reflection":
        low, span = (0.0, length - 1.0) if align else (-0.5, float(length))
        places = _reflected(places, low, span)
    return places.clamp(0, length - 1)


def _read(input: Tensor, indices: Sequence[Tensor], weight: Any) -> Tensor:
    """weight * input at integer places; 0 outside. `indices` are (N, P), the result (N, C, P)."""
    flat: Any = 0
    inside: Any = True
    for index, length in zip(indices, input.shape[2:], strict=True):
        inside = (index >= 0) & (index < length) & inside
        flat = flat * length + index.clamp(0, length - 1)
    where = flat.unsqueeze(1).expand(-1, input.size(1), -1)
    values = input.flatten(2).gather(2, where)
    weight = inside.to(input.dtype) if weight is None else weight * inside
    return values * weight.unsqueeze(1)


def _sample_linear(input: Tensor, places: Sequence[Tensor]) -> Tensor:
    """Blend the 2^d corners around each point."""
    lows = [place.detach().floor() for place in places]
    parts = [(1 - (p - low), p - low) for p, low in zip(places, lows, strict=True)]
    total: Any = 0
    for corner in itertools.product((0, 1), repeat=len(places)):
        weight: Any = 1
        for axis, side in enumerate(corner):
            weight = weight * parts[axis][side]
        indices = [low.to(rushlight.int64) + s for low, s in zip(lows, corner, strict=True)]
        total = total + _read(input, indices, weight)
    return total


def _sample_cubic(input: Tensor, places: Sequence[Tensor], padding: str, align: bool) -> Tensor:
    """Blend the 4 x 4 neighbours; here the neighbours, not the point, are padded."""
    lows = [place.detach().floor() for place in places]
    weights = [cubic_weights(p - low) for p, low in zip(places, lows, strict=True)]
    total: Any = 0
    for row, column in itertools.product(range(4), repeat=2):
        indices = [
            _padded_places(low + (offset - 1), length, padding, align).to(rushlight.int64)
            for low, offset, length in zip(lows, (row, column), input.shape[2:], strict=True)
        ]
        total = total + _read(input, indices, weights[0][row] * weights[1][column])
    return total


@rushlight._titled(lambda made, *_, **__: f"GridSampler{made.dim() - 2}DBackward0", guarded=(0, 1))
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """The values of `input` at the points of `grid`.

    Args:
        input: (N, C, H, W) or (N, C, D, H, W).
        grid: (N, H', W', 2) or (N, D', H', W', 3), x first; -1 and 1 are the image's ends.
        mode: "bilinear", "nearest", or (2-d only) "bicubic".
        padding_mode: what lies outside: "zeros", "border" or "reflection".
        align_corners: whether -1 and 1 mean the centres or the outer edges of corner pixels.

    Follows `torch.nn.functional.grid_sample`.

    >>> import rushlight as rl
    >>> image = rl.arange(4.0).reshape(1, 1, 2, 2)
    >>> rl.nn.functional.grid_sample(image, rl.zeros(1, 1, 1, 2), align_corners=False)
    tensor([[[[1.5000]]]])
    """
    _check_grid(input, grid, mode, padding_mode)
    align = _default_align(align_corners, "grid_sample")
    spatial = input.shape[2:]
    points = grid.flatten(1, -2)
    places = []
    for axis, length in enumerate(spatial):
        coordinate = points[..., len(spatial) - 1 - axis]
        if align:
            places.append((coordinate + 1) / 2 * (length - 1))
        else:
            places.append(((coordinate + 1) * length - 1) / 2)
    if mode == "bicubic":
        values = _sample_cubic(input, places, padding_mode, align)
    else:
        places = [
            _padded_places(place, length, padding_mode, align)
            for place, length in zip(places, spatial, strict=True)
        ]
        if mode == "nearest":
            indices = [place.detach().round().to(rushlight.int64) for place in places]
            values = _read(input, indices, None)
        else:
            values = _sample_linear(input, places)
    return values.unflatten(2, grid.shape[1:-1])


def _check_grid(input: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    if mode not in GRID_SAMPLE_INTERPOLATION_MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in GRID_SAMPLE_PADDING_MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    if input.dim() not in (4, 5) or grid.dim() != input.dim():
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but "
            f"got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if input.size(0) != grid.size(0):
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with "
            f"sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.size(-1) != input.dim() - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {input.dim() - 2} in last dimension, but "
            f"got grid with sizes {list(grid.shape)}"
        )
    if any(length == 0 for length in input.shape[2:]):
        raise RuntimeError(
            "grid_sampler(): expected input to have non-empty spatial dimensions, but input has "
            f"sizes {list(input.shape)}"
        )
    if mode == "bicubic" and input.dim() != 4:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid that `grid_sample` needs to apply the affine maps `theta`.

    Shapes: theta (N, 2, 3) with size (N, C, H, W), result (N, H, W, 2); or theta (N, 3, 4) with
    size (N, C, D, H, W), result (N, D, H, W, 3). Follows `torch.nn.functional.affine_grid`.

    >>> import rushlight as rl
    >>> turn = rl.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]])
    >>> rl.nn.functional.affine_grid(turn, (1, 1, 2, 2), align_corners=True)[0, 0]
    tensor([[-1., -1.],
            [-1.,  1.]])
    """
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    dimensions = len(size) - 2
    if dimensions not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}."
        )
    if tuple(theta.shape[-2:]) != (dimensions, dimensions + 1) or theta.dim() != 3:
        raise ValueError(
            f"Expected a batch of {dimensions}D affine matrices of shape Nx{dimensions}x"
            f"{dimensions + 1} for size {size}. Got {theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    align = _default_align(align_corners, "affine_grid")
    lines = []
    for length in size[2:]:
        line = rushlight.linspace(-1, 1, length, dtype=theta.dtype, device=theta.device)
        if length == 1:
            line = rushlight.zeros_like(line)
        lines.append(line if align else line * ((length - 1) / length))
    axes = rushlight.meshgrid(*lines, indexing="ij")
    base = rushlight.stack([*axes[::-1], rushlight.ones_like(axes[0])], -1)
    points = rushlight.matmul(base.flatten(0, -2), theta.transpose(1, 2))
    return points.unflatten(1, tuple(size[2:]))
