"""Padding: constants, reflections, copies of the edge, and wrapping around.

In: a tensor and two lengths (before, after) per padded dimension, the last dimension first.
Out: the longer (or, for negative lengths, shorter) tensor.
Invariant: each dimension is padded on its own; the order of the dimensions does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import rushlight
from rushlight import Tensor
from rushlight.nn.functional.memory_format import laid_out_as
from rushlight.ops import namespace as _ops


def _reflect(places: Tensor, length: int) -> Tensor:
    """... 2 1 | 0 1 2 3 | 2 1 ..."""
    return (length - 1) - ((length - 1) - places.abs()).abs()


def _replicate(places: Tensor, length: int) -> Tensor:
    """... 0 0 | 0 1 2 3 | 3 3 ..."""
    return places.clamp(0, length - 1)


def _circular(places: Tensor, length: int) -> Tensor:
    """... 2 3 | 0 1 2 3 | 0 1 ..."""
    return places % length


# mode -> (rule: where does position i of the padded line come from, largest padding allowed)
_RULES: dict[str, tuple[Callable[[Tensor, int], Tensor], Callable[[int], float]]] = {
    "reflect": (_reflect, lambda length: length - 1),
    "replicate": (_replicate, lambda length: float("inf")),
    "circular": (_circular, lambda length: length),
}


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Pads the last dimensions of `input`.

    Args:
        pad: (before, after) of the last dimension, then of the one before it, ...
        mode: "constant", "reflect", "replicate" or "circular".
        value: what "constant" fills in (default 0).

    Errors: RuntimeError for an odd number of lengths or more than the mode can pad; ValueError
    for a value given to a mode without one; NotImplementedError for an unknown mode.
    Follows `torch.nn.functional.pad`.

    >>> import rushlight as rl
    >>> rl.nn.functional.pad(rl.tensor([[1.0, 2.0, 3.0]]), (1, 2), "reflect")
    tensor([[2., 1., 2., 3., 2., 1.]])
    """
    lengths = tuple(int(length) for length in pad)
    if len(lengths) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(lengths) > 2 * input.dim():
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but "
            f"got padding length {len(lengths)} and input of dimension {input.dim()}"
        )
    if mode == "constant":
        return _ops.constant_pad_nd(input, lengths, 0 if value is None else value)
    if value is not None and value != 0:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in _RULES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    dimensions = len(lengths) // 2
    if not 1 <= dimensions <= 3 or input.dim() not in (dimensions + 1, dimensions + 2):
        raise NotImplementedError(
            "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now"
        )
    return _pad_lines_of(mode, dimensions)(input, lengths, mode)


@cache
def _pad_lines_of(mode: str, dimensions: int) -> Callable[..., Tensor]:
    """`_pad_lines` under the names that autocast and the tape know the mode and the rank by."""
    name = {"reflect": "reflection", "replicate": "replication"}.get(mode, mode)
    title = "CopySlices" if mode == "circular" else f"{name.title()}Pad{dimensions}DBackward0"
    guarded = () if mode == "circular" else (0,)
    titled = rushlight._titled(title, guarded)(_pad_lines)
    return rushlight._cast_as_one(f"{name}_pad{dimensions}d", titled)


def _pad_lines(input: Tensor, lengths: tuple[int, ...], mode: str) -> Tensor:
    result = input
    for place in range(len(lengths) // 2):
        result = _pad_line(result, -1 - place, lengths[2 * place], lengths[2 * place + 1], mode)
    return result if mode == "circular" else laid_out_as(result, input)


def _pad_line(input: Tensor, dim: int, before: int, after: int, mode: str) -> Tensor:
    """Pad one dimension by choosing, for each new position, the old one it copies."""
    length = input.size(dim)
    rule, limit = _RULES[mode]
    most = limit(length)
    if before > most or after > most:
        raise RuntimeError(
            f"Padding size should be less than {'or equal to ' if mode == 'circular' else ''}the "
            f"corresponding input dimension, but got: padding ({before}, {after}) at dimension "
            f"{dim % input.dim()} of input {list(input.shape)} (mode {mode})"
        )
    if length + before + after < 1 or length == 0:
        raise RuntimeError(
            f"Padding ({before}, {after}) leaves nothing of dimension {dim % input.dim()} of "
            f"input {list(input.shape)} (mode {mode})"
        )
    if mode == "circular" and (before < 0 or after < 0):
        # What is cropped at one end must not come back at the other.
        first, kept = max(-before, 0), length + min(before, 0) + min(after, 0)
        input, length = input.narrow(dim, first, kept), kept
        before, after = max(before, 0), max(after, 0)
    if before == 0 and after == 0:
        return input
    places = rushlight.arange(-before, length + after, device=input.device)
    return input.index_select(dim, rule(places, length))
