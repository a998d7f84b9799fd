"""Masks: which elements of a tensor count.

In: a tensor and a mask that broadcasts to it (true where an element counts), or none. Out: tensors
in which the elements that do not count hold a number that leaves the result alone. Invariant: the
number is the identity of the operation (0 of a sum, -inf of a maximum), so that everything after it
is the ordinary operation.
"""

from __future__ import annotations

import math
from typing import Any

import rushlight
from rushlight import Tensor

Dims = int | tuple[int, ...] | None


def validity(input: Tensor, mask: Tensor) -> Tensor:
    """The mask as bool, in the shape of the input; IndexError where it has more dimensions."""
    if mask.ndim > input.ndim:
        raise IndexError(
            "expected a broadcastable mask, got mask dimensionality higher than of the input: "
            f"{list(mask.shape)} for {list(input.shape)}"
        )
    return mask.to(rushlight.bool).expand(input.shape)


def filled(input: Tensor, mask: Tensor | None, number: float) -> Tensor:
    """The input with a number where the mask is false."""
    if mask is None:
        return input
    if input.dtype == rushlight.bool:
        number = bool(number)
    return rushlight.where(validity(input, mask), input, number)


def counted(input: Tensor, mask: Tensor | None, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    """How many elements count, in int64."""
    if mask is None:
        return rushlight.ones_like(input, dtype=rushlight.int64).sum(dims, keepdim)
    return validity(input, mask).sum(dims, keepdim)


def lowered(input: Tensor, mask: Tensor | None, name: str) -> Tensor:
    """Filled with the identity of a maximum, the lowest number of the dtype.

    NotImplementedError for bools and complex numbers.
    """
    if mask is None:
        return input
    lowest = -math.inf if input.dtype.is_floating_point else _limits(input, name).min
    return filled(input, mask, lowest)


def lifted(input: Tensor, mask: Tensor | None, name: str) -> Tensor:
    """Filled with the identity of a minimum, the highest number of the dtype.

    NotImplementedError for bools and complex numbers.
    """
    if mask is None:
        return input
    highest = math.inf if input.dtype.is_floating_point else _limits(input, name).max
    return filled(input, mask, highest)


def _limits(input: Tensor, name: str) -> Any:
    if input.dtype == rushlight.bool or input.dtype.is_complex:
        raise NotImplementedError(f"identity of {name} on {input.dtype} input")
    return rushlight.iinfo(input.dtype)


def dimensions(dim: Dims, rank: int) -> tuple[int, ...]:
    """The dimensions that are meant, counted from the front: all of them for None and ().

    RuntimeError where one is named twice, IndexError where there is no such.
    """
    if dim is None or dim == ():
        return tuple(range(rank))
    limit = max(rank, 1)
    found: list[int] = []
    for d in (dim,) if isinstance(dim, int) else dim:
        if not -limit <= d < limit:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but "
                f"got {d})"
            )
        if d % limit in found:
            raise RuntimeError(f"dim={d} appears multiple times in the list of dims")
        found.append(d % limit)
    return tuple(sorted(found)) if rank else ()


def one_dimension(dim: Any) -> int:
    """A dimension given as an int or a sequence of one."""
    return dim[0] if isinstance(dim, (tuple, list)) and len(dim) == 1 else dim
