"""Resizing of signals, images and volumes.

In: (N, C, *spatial) and a new spatial size or scale factors. Out: (N, C, *new).
Invariant: every mode is separable: each dimension is resized on its own, by choosing or blending
input positions whose indices and weights depend on the sizes only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn.functional import pooling
from rushlight.nn.functional.memory_format import laid_out_as

Taps = list[tuple[Tensor, Any]]


def _scale(length: int, new: int, factor: float | None) -> float:
    """How far apart, in the input, neighbouring output positions lie."""
    return 1.0 / factor if factor is not None and factor > 0 else length / new


def _positions(new: int, dtype: Any) -> Tensor:
    return rushlight.arange(new).to(dtype)


def _nearest_taps(length: int, new: int, scale: float, align: bool, dtype: Any) -> Taps:
    """floor(i s): the choice of PyTorch's (and OpenCV's) "nearest"."""
    index = (_positions(new, dtype) * scale).to(rushlight.int64).clamp(max=length - 1)
    return [(index, None)]


def _nearest_exact_taps(length: int, new: int, scale: float, align: bool, dtype: Any) -> Taps:
    """floor((i + 1/2) s): the input position that really is nearest."""
    index = ((_positions(new, dtype) + 0.5) * scale).to(rushlight.int64)
    return [(index.clamp(max=length - 1), None)]


def _source(length: int, new: int, scale: float, align: bool, dtype: Any) -> Tensor:
    """Where each output position lies in the input, as a real number."""
    if align:
        return _positions(new, dtype) * ((length - 1) / (new - 1) if new > 1 else 0.0)
    return (_positions(new, dtype) + 0.5) * scale - 0.5


def _linear_taps(length: int, new: int, scale: float, align: bool, dtype: Any) -> Taps:
    """The two neighbours, weighted by closeness."""
    source = _source(length, new, scale, align, dtype).clamp(min=0)
    low = source.to(rushlight.int64).clamp(max=length - 1)
    weight = (source - low.to(dtype)).clamp(0, 1)
    return [(low, 1 - weight), ((low + 1).clamp(max=length - 1), weight)]


def cubic_weights(t: Tensor, sharpness: float = -0.75) -> list[Tensor]:
    """The weights of the four neighbours of a point t behind the second (Keys, 1981).

    >>> import rushlight as rl
    >>> from rushlight.nn.functional.upsampling import cubic_weights
    >>> rl.stack(cubic_weights(rl.tensor(0.5)))
    tensor([-0.0938,  0.5938,  0.5938, -0.0938])
    """
    a = sharpness

    def near(x: Tensor) -> Tensor:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Tensor) -> Tensor:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _cubic_taps(length: int, new: int, scale: float, align: bool, dtype: Any) -> Taps:
    """The four neighbours under Keys' cubic."""
    source = _source(length, new, scale, align, dtype)
    base = source.floor()
    index = base.to(rushlight.int64)
    weights = cubic_weights(source - base)
    return [
        ((index + offset).clamp(0, length - 1), weight)
        for offset, weight in zip(range(-1, 3), weights, strict=True)
    ]


def _blend(input: Tensor, dim: int, taps: Taps) -> Tensor:
    """Resize dimension `dim` by the given (positions, weights)."""
    shape = [1] * input.dim()
    shape[dim] = -1
    total: Any = None
    for index, weight in taps:
        chosen = input.index_select(dim, index.to(input.device))
        if weight is None:
            return chosen
        term = chosen * weight.to(input.device).reshape(shape)
        total = term if total is None else total + term
    return total


def _triangle(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


def _keys(x: Tensor) -> Tensor:
    a, x = -0.5, x.abs()
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return rushlight.where(x < 1, near, rushlight.where(x < 2, far, rushlight.zeros_like(x)))


def _lanczos(x: Tensor) -> Tensor:
    inside = x.abs() < 3
    return (rushlight.sinc(x) * rushlight.sinc(x / 3)).masked_fill(~inside, 0.0)


# mode -> (filter, its half width)
_FILTERS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_keys, 2.0),
    "lanczos": (_lanczos, 3.0),
}


def _antialias_matrix(mode: str, length: int, new: int, scale: float, align: bool) -> Tensor:
    """(new, length): the filter, widened to cover `scale` input positions, as Pillow does."""
    function, half = _FILTERS[mode]
    if align:
        scale = (length - 1) / (new - 1) if new > 1 else 0.0
    support = half * max(scale, 1.0)
    center = scale * (rushlight.arange(new, dtype=rushlight.float64) + 0.5)
    first = (center - support + 0.5).to(rushlight.int64).clamp(min=0).unsqueeze(1)
    last = (center + support + 0.5).to(rushlight.int64).clamp(max=length).unsqueeze(1)
    place = rushlight.arange(length)
    distance = (place + 0.5 - center.unsqueeze(1)) / max(scale, 1.0)
    weights = function(distance) * ((place >= first) & (place < last))
    return weights / weights.sum(1, keepdim=True)


def _antialiased(input: Tensor, mode: str, size: Sequence[int], scales: Any, align: bool) -> Tensor:
    height, width = (
        _antialias_matrix(mode, input.size(2 + axis), size[axis], scales[axis], align).to(
            device=input.device, dtype=input.dtype
        )
        for axis in range(2)
    )
    return rushlight.matmul(height, rushlight.matmul(input, width.t()))


# mode -> (number of spatial dimensions or None for 1 to 3, taps)
_MODES: dict[str, tuple[int | None, Callable[..., Taps] | None]] = {
    "nearest": (None, _nearest_taps),
    "nearest-exact": (None, _nearest_exact_taps),
    "linear": (1, _linear_taps),
    "bilinear": (2, _linear_taps),
    "trilinear": (3, _linear_taps),
    "bicubic": (2, _cubic_taps),
    "area": (None, None),
    "lanczos": (2, None),
}
_AREA = {
    1: pooling.adaptive_avg_pool1d,
    2: pooling.adaptive_avg_pool2d,
    3: pooling.adaptive_avg_pool3d,
}


def _per_dimension(value: Any, input: Tensor, name: str) -> list[Any]:
    dimensions = input.dim() - 2
    if not isinstance(value, (list, tuple)):
        return [value] * dimensions
    if len(value) != dimensions:
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with "
            f"spatial dimensions of {list(input.shape[2:])} and {name} of {value}. Please provide "
            "input tensor in (N, C, d1, d2, ...,dK) format and "
            f"{name} with one entry per spatial dimension."
        )
    return list(value)


def _check_mode(input: Tensor, mode: str, antialias: bool) -> None:
    wanted, _ = _MODES.get(mode, (0, None))
    if not 3 <= input.dim() <= 5 or mode not in _MODES:
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.dim()}D) for the "
            "modes: nearest | linear | bilinear | bicubic | trilinear | lanczos | area | "
            f"nearest-exact (got {mode})"
        )
    if antialias and (mode not in _FILTERS or input.dim() != 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            "a 4-D tensor as input"
        )
    if wanted is not None and input.dim() != wanted + 2:
        raise NotImplementedError(
            f"Got {input.dim()}D input, but {mode} mode needs {wanted + 2}D input"
        )
    if mode == "lanczos" and not antialias:
        raise ValueError("Lanczos mode requires antialias=True")


def _target_size(
    input: Tensor, size: Any, scale_factor: Any, recompute: bool
) -> tuple[list[int], list[float | None]]:
    """(new spatial size, scale factors to compute positions with or None)."""
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "either size or scale_factor should be defined"
            if size is None
            else "only one of size or scale_factor should be defined"
        )
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        sizes = [int(length) for length in _per_dimension(size, input, "output size")]
        factors: list[float | None] = [None] * len(sizes)
    else:
        given = _per_dimension(scale_factor, input, "scale_factor")
        sizes = [math.floor(input.size(2 + k) * factor) for k, factor in enumerate(given)]
        factors = [None if recompute else float(factor) for factor in given]
    if any(length <= 0 for length in [*sizes, *input.shape[2:]]):
        raise RuntimeError(
            "Input and output sizes should be greater than 0, but got input "
            f"{list(input.shape[2:])} and output {sizes}"
        )
    return sizes, factors


def _resized_by(
    made: Tensor,
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    *_: Any,
    antialias: bool = False,
    **__: Any,
) -> str:
    """What PyTorch calls the gradient of an `interpolate`."""
    rank = made.dim() - 2
    if mode == "area":
        return "SqueezeBackward1" if rank == 1 else type(made.grad_fn).__name__
    kind = {"nearest-exact": "NearestExact", "trilinear": "Trilinear"}.get(mode, mode.title())
    return f"Upsample{kind}{rank}D{'Aa' if antialias else ''}Backward0"


@rushlight._titled(_resized_by)
def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize the spatial dimensions of (N, C, *spatial) to `size` or by `scale_factor`.

    Args:
        mode: nearest, nearest-exact, area (1-d to 3-d); linear (1-d); bilinear, bicubic, lanczos
            (2-d); trilinear (3-d).
        align_corners: whether the centres of the corner pixels, or their outer edges, coincide.
        recompute_scale_factor: use the ratio of the integer sizes instead of `scale_factor`.
        antialias: widen the filter when shrinking, as Pillow does.

    Follows `torch.nn.functional.interpolate`.

    >>> import rushlight as rl
    >>> rl.nn.functional.interpolate(rl.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    if align_corners is not None and mode in ("nearest", "area", "nearest-exact"):
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: "
            "linear | bilinear | bicubic | trilinear"
        )
    sizes, factors = _target_size(
        input, size, scale_factor, bool(recompute_scale_factor) and mode != "area"
    )
    _check_mode(input, mode, antialias)
    align = bool(align_corners)
    if mode == "lanczos" and align:
        raise ValueError("Lanczos mode does not support align_corners=True")
    if mode == "area":
        return _AREA[len(sizes)](input, sizes)
    if mode.startswith("nearest"):
        return laid_out_as(_resize(input, mode, sizes, factors, align, rushlight.float32), input)
    exact = input.dtype in (rushlight.float32, rushlight.float64)
    wide = input if exact else input.float()
    if antialias:
        scales = [_scale(input.size(2 + k), sizes[k], factors[k]) for k in range(2)]
        result = _antialiased(wide, mode, sizes, scales, align)
    else:
        result = _resize(wide, mode, sizes, factors, align, wide.dtype)
    if input.dtype == rushlight.uint8:
        result = result.round().clamp(0, 255)
    return laid_out_as(result if exact else result.to(input.dtype), input)


def _resize(
    input: Tensor,
    mode: str,
    sizes: Sequence[int],
    factors: Sequence[float | None],
    align: bool,
    dtype: Any,
) -> Tensor:
    taps = _MODES[mode][1]
    assert taps is not None
    for axis, new in enumerate(sizes):
        length = input.size(2 + axis)
        if length != new or factors[axis] not in (None, 1.0):
            scale = _scale(length, new, factors[axis])
            input = _blend(input, 2 + axis, taps(length, new, scale, align, dtype))
    return input


def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The older name of `interpolate`."""
    import warnings

    warnings.warn(
        "`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "nearest".

    >>> import rushlight as rl
    >>> rl.nn.functional.upsample_nearest(rl.zeros(1, 1, 2, 2), scale_factor=3).shape
    torch.Size([1, 1, 6, 6])
    """
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "bilinear" and aligned corners.

    >>> import rushlight as rl
    >>> rl.nn.functional.upsample_bilinear(rl.zeros(1, 1, 2, 2), size=(3, 5)).shape
    torch.Size([1, 1, 3, 5])
    """
    return interpolate(input, size, scale_factor, "bilinear", True)
