"""`torch._utils`: helpers of PyTorch's own that checkpoints and packages name.

In: tensors. Out: tensors. Invariant: these do what their names say, on rushlight's tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rushlight
from rushlight import Tensor

__all__ = ["_flatten_dense_tensors", "_unflatten_dense_tensors"]


def _flatten_dense_tensors(tensors: Sequence[Tensor]) -> Tensor:
    """All elements as one vector."""
    if len(tensors) == 1:
        return tensors[0].contiguous().view(-1)
    return rushlight.cat([t.contiguous().view(-1) for t in tensors])


def _unflatten_dense_tensors(flat: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """A vector cut into the shapes of `tensors`."""
    pieces, start = [], 0
    for like in tensors:
        pieces.append(flat.narrow(0, start, like.numel()).view(like.shape))
        start += like.numel()
    return tuple(pieces)


def _get_device_index(device: Any, optional: bool = False, allow_cpu: bool = False) -> int:
    """The index of a device; -1 for the processor, where that is allowed."""
    device = rushlight.device(device)
    if device.type == "cpu" and allow_cpu:
        return -1
    if device.index is None:
        raise ValueError(f"expected a device with an index, got {device}")
    return device.index
