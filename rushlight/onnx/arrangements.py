"""What ONNX's operators on places mean: sizes, sorting, picking and putting, norms, sampling.

In: an operator's inputs (None where left out) and attributes. Out: its result, or a tuple of them.
Invariant: what an attribute asks for and is not done here is refused by its name.
"""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn import functional

from .operators import Attributes, Operation, numbers, reduction

__all__ = ["ARRANGEMENTS"]


def _resize(
    a: Attributes,
    x: Tensor,
    region: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
) -> Tensor:
    """By the ways in which PyTorch's `interpolate` finds values between pixels."""
    given = numbers(sizes)
    if not given:
        assert scales is not None
        given = [int(n * s) for n, s in zip(x.shape, scales.tolist())]
    if a.get("axes") or given[:2] != list(x.shape[:2]):
        raise NotImplementedError("Resize of the first two dimensions, or of some axes")
    mode = a.get("mode", "nearest")
    place = a.get("coordinate_transformation_mode", "half_pixel")
    names = {
        ("nearest", "asymmetric", "floor"): "nearest",
        ("nearest", "half_pixel", "round_prefer_ceil"): "nearest-exact",
        ("nearest", "half_pixel", "round_prefer_floor"): "nearest-exact",
    }
    if mode == "nearest":
        rounding = a.get("nearest_mode", "round_prefer_floor")
        if (mode, place, rounding) not in names:
            raise NotImplementedError(f"Resize by nearest, {place}, {rounding}")
        return functional.interpolate(x, size=given[2:], mode=names[mode, place, rounding])
    if place not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise NotImplementedError(f"Resize by {mode}, {place}")
    if mode == "cubic" and abs(a.get("cubic_coeff_a", -0.75) + 0.75) > 1e-6:
        raise NotImplementedError("Resize by cubic with another coefficient than -0.75")
    by_rank = {3: "linear", 4: "bilinear", 5: "trilinear"}
    name = by_rank[x.dim()] if mode == "linear" else "bicubic"
    return functional.interpolate(
        x, size=given[2:], mode=name, align_corners=place == "align_corners"
    )


def _depth_to_space(a: Attributes, x: Tensor) -> Tensor:
    block = a["blocksize"]
    count, channels, height, width = x.shape
    if a.get("mode", "DCR") == "CRD":
        return functional.pixel_shuffle(x, block)
    parts = x.reshape(count, block, block, channels // block**2, height, width)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(count, -1, height * block, width * block)


def _space_to_depth(a: Attributes, x: Tensor) -> Tensor:
    block = a["blocksize"]
    count, channels, height, width = x.shape
    parts = x.reshape(count, channels, height // block, block, width // block, block)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(count, -1, height // block, width // block)


def _top(a: Attributes, x: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    values, places = x.topk(
        numbers(count)[0], a.get("axis", -1), bool(a.get("largest", 1)), bool(a.get("sorted", 1))
    )
    return values, places


def _triangle(a: Attributes, x: Tensor, diagonal: Tensor | None = None) -> Tensor:
    shift = numbers(diagonal)[0] if diagonal is not None else 0
    return x.triu(shift) if a.get("upper", 1) else x.tril(shift)


def _gather_nd(a: Attributes, x: Tensor, index: Tensor) -> Tensor:
    if a.get("batch_dims", 0):
        raise NotImplementedError("GatherND with batch_dims")
    return x[tuple(index.long().unbind(-1))]


def _scatter_nd(a: Attributes, x: Tensor, index: Tensor, values: Tensor) -> Tensor:
    how = a.get("reduction", "none")
    if how not in ("none", "add"):
        raise NotImplementedError(f"ScatterND with reduction {how}")
    return x.index_put(tuple(index.long().unbind(-1)), values, accumulate=how == "add")


def _one_hot(a: Attributes, index: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    count, axis = numbers(depth)[0], a.get("axis", -1)
    places = index.long().remainder(count)
    off, on = values.unbind(0)
    axis = axis if axis >= 0 else axis + index.dim() + 1
    wanted = rushlight.arange(count).reshape(count, *[1] * (index.dim() - axis))
    return rushlight.where(places.unsqueeze(axis) == wanted, on, off)


def _instance_norm(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.instance_norm(x, None, None, weight, bias, eps=a.get("epsilon", 1e-5))


def _group_norm(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if weight.shape[0] != x.shape[1]:
        raise NotImplementedError("GroupNormalization with a weight for each group")
    return functional.group_norm(x, a["num_groups"], weight, bias, a.get("epsilon", 1e-5))


def _unit_norm(a: Attributes, x: Tensor) -> Tensor:
    return x / x.norm(a.get("p", 2), a.get("axis", -1), keepdim=True)


def _sampled(a: Attributes, x: Tensor, grid: Tensor) -> Tensor:
    names = {"linear": "bilinear", "cubic": "bicubic"}
    mode = a.get("mode", "linear")
    return functional.grid_sample(
        x,
        grid,
        names.get(mode, mode),
        a.get("padding_mode", "zeros"),
        bool(a.get("align_corners", 0)),
    )


def _identity_like(a: Attributes, x: Tensor) -> Tensor:
    rows, columns = x.shape
    made = rushlight.ones(rows, columns, dtype=x.dtype)
    shift = a.get("k", 0)
    return made.triu(shift).tril(shift)


def _squares(x: Tensor, axes: Any, keep: bool) -> Tensor:
    return (x * x).sum(axes, keepdim=keep)


def _shrink(a: Attributes, x: Tensor) -> Tensor:
    limit, bias = a.get("lambd", 0.5), a.get("bias", 0.0)
    below = rushlight.where(x < -limit, x + bias, x.new_zeros(()))
    return rushlight.where(x > limit, x - bias, below)


def _selu(a: Attributes, x: Tensor) -> Tensor:
    alpha, gamma = a.get("alpha", 1.6732632423543772), a.get("gamma", 1.0507009873554805)
    return gamma * (x.clamp(min=0) + alpha * (x.clamp(max=0).exp() - 1))


ARRANGEMENTS: dict[str, Operation] = {
    "CastLike": lambda a, x, like: x.to(like.dtype),
    "Celu": lambda a, x: functional.celu(x, a.get("alpha", 1.0)),
    "DepthToSpace": _depth_to_space,
    "EyeLike": _identity_like,
    "GatherND": _gather_nd,
    "GridSample": _sampled,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LpNormalization": _unit_norm,
    "Mish": lambda a, x: functional.mish(x),
    "NonZero": lambda a, x: x.nonzero().t(),
    "OneHot": _one_hot,
    "ReduceL1": reduction(lambda x, axes, keep: x.abs().sum(axes, keepdim=keep)),
    "ReduceL2": reduction(lambda x, axes, keep: _squares(x, axes, keep).sqrt()),
    "ReduceLogSum": reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep).log()),
    "ReduceLogSumExp": reduction(lambda x, axes, keep: x.logsumexp(axes, keepdim=keep)),
    "ReduceSumSquare": reduction(_squares),
    "Resize": _resize,
    "ScatterND": _scatter_nd,
    "Selu": _selu,
    "Shrink": _shrink,
    "Size": lambda a, x: rushlight.tensor(x.numel()),
    "Softsign": lambda a, x: functional.softsign(x),
    "SpaceToDepth": _space_to_depth,
    "ThresholdedRelu": lambda a, x: x * (x > a.get("alpha", 1.0)),
    "TopK": _top,
    "Trilu": _triangle,
}
