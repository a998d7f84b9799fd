"""`torch.distributed.nn`: collectives that autograd goes through.

In: tensors on the tape. Out: new tensors on the tape. Invariant: in a group of one they are the
tensors themselves, and so are their gradients.
"""

from __future__ import annotations

from typing import Any

from rushlight import Tensor

from .process_group import ReduceOp, group_or_world

__all__ = ["all_gather", "all_reduce", "all_to_all", "broadcast", "gather", "reduce"]


def all_reduce(tensor: Tensor, op: ReduceOp = ReduceOp.SUM, group: Any = None) -> Tensor:
    """The tensor reduced over the processes."""
    group_or_world(group)
    return tensor


def broadcast(tensor: Tensor, src: int, group: Any = None) -> Tensor:
    """The tensor of one process, in every process."""
    return all_reduce(tensor, group=group)


def reduce(tensor: Tensor, dst: int, op: ReduceOp = ReduceOp.SUM, group: Any = None) -> Tensor:
    """The tensor reduced over the processes, in one of them."""
    return all_reduce(tensor, op, group)


def all_gather(tensor: Tensor, group: Any = None) -> tuple[Tensor, ...]:
    """The tensors of all processes."""
    return (all_reduce(tensor, group=group),)


def gather(tensor: Tensor, dst: int = 0, group: Any = None) -> tuple[Tensor, ...]:
    """The tensors of all processes, in one of them."""
    return all_gather(tensor, group)


def all_to_all(
    output_tensor_list: list[Tensor], input_tensor_list: list[Tensor], group: Any = None
) -> tuple[Tensor, ...]:
    """Each process sends one tensor to each."""
    group_or_world(group)
    return tuple(input_tensor_list)
