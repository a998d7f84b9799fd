"""What the processes of a group do together, done for a group of one.

In: this process's tensors and objects. Out: what it would receive. Invariants: arguments are
checked as for many processes; a message to or from another process is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from rushlight import Tensor, no_grad

from .process_group import ReduceOp, Work, group_or_world


def _finished(async_op: bool, result: Any) -> Work | None:
    return Work(result) if async_op else None


def _check(name: str, tensor: Any) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected a Tensor, got {type(tensor).__name__}")


def _one(name: str, items: Sequence[Any] | None) -> Any:
    """The only item of a list that has one for each process."""
    if items is None or len(items) != 1:
        count = "none" if items is None else str(len(items))
        raise ValueError(f"{name}: expected one item for each of the 1 processes, got {count}")
    return items[0]


def _only_rank(name: str, rank: int | None) -> None:
    if rank not in (0, None):
        raise ValueError(f"{name}: rank {rank} is not part of a group of 1 process")


def all_reduce(
    tensor: Tensor, op: ReduceOp = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """Reduce a tensor over the processes, in place, in each of them."""
    group_or_world(group)
    _check("all_reduce", tensor)
    return _finished(async_op, [tensor])


def reduce(
    tensor: Tensor,
    dst: int | None = None,
    op: ReduceOp = ReduceOp.SUM,
    group: Any = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Reduce a tensor over the processes, in place, in one of them."""
    _only_rank("reduce", dst)
    return all_reduce(tensor, op, group, async_op)


def broadcast(
    tensor: Tensor,
    src: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Give every process the tensor of one of them, in place."""
    group_or_world(group)
    _only_rank("broadcast", src)
    _check("broadcast", tensor)
    return _finished(async_op, [tensor])


@no_grad()
def _into(target: Tensor, source: Tensor) -> None:
    target.copy_(source.reshape(target.shape))


def all_gather(
    tensor_list: list[Tensor], tensor: Tensor, group: Any = None, async_op: bool = False
) -> Work | None:
    """Put each process's tensor into a list."""
    group_or_world(group)
    _into(_one("all_gather", tensor_list), tensor)
    return _finished(async_op, tensor_list)


def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: Any = None, async_op: bool = False
) -> Work | None:
    """Put the processes' tensors into one, one after another."""
    group_or_world(group)
    if output_tensor.numel() != input_tensor.numel():
        raise ValueError(
            f"output tensor size must be equal to world_size times input tensor size: got "
            f"{tuple(output_tensor.shape)} for 1 times {tuple(input_tensor.shape)}"
        )
    _into(output_tensor, input_tensor)
    return _finished(async_op, [output_tensor])


def gather(
    tensor: Tensor,
    gather_list: list[Tensor] | None = None,
    dst: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Put each process's tensor into a list, in one process."""
    _only_rank("gather", dst)
    return all_gather(_listed("gather", gather_list), tensor, group, async_op)


def _listed(name: str, items: list[Tensor] | None) -> list[Tensor]:
    if items is None:
        raise ValueError(f"{name}: the list must be given on the process that uses it")
    return items


def scatter(
    tensor: Tensor,
    scatter_list: list[Tensor] | None = None,
    src: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Give each process one tensor of a list that one of them has."""
    group_or_world(group)
    _only_rank("scatter", src)
    _into(tensor, _one("scatter", scatter_list))
    return _finished(async_op, [tensor])


def reduce_scatter(
    output: Tensor,
    input_list: list[Tensor],
    op: ReduceOp = ReduceOp.SUM,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Reduce each tensor of a list over the processes; each gets one."""
    group_or_world(group)
    _into(output, _one("reduce_scatter", input_list))
    return _finished(async_op, [output])


def reduce_scatter_tensor(
    output: Tensor,
    input: Tensor,
    op: ReduceOp = ReduceOp.SUM,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Reduce a tensor over the processes; each gets a part."""
    return all_gather_into_tensor(output, input, group, async_op)


def all_to_all(
    output_tensor_list: list[Tensor],
    input_tensor_list: list[Tensor],
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Each process sends one tensor to each."""
    group_or_world(group)
    _into(_one("all_to_all", output_tensor_list), _one("all_to_all", input_tensor_list))
    return _finished(async_op, output_tensor_list)


def all_to_all_single(
    output: Tensor,
    input: Tensor,
    output_split_sizes: list[int] | None = None,
    input_split_sizes: list[int] | None = None,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Each process sends a part of its tensor to each."""
    return all_gather_into_tensor(output, input, group, async_op)


def barrier(group: Any = None, async_op: bool = False, device_ids: Any = None) -> Work | None:
    """Wait until every process is here."""
    group_or_world(group)
    return _finished(async_op, [])


def monitored_barrier(group: Any = None, timeout: Any = None, wait_all_ranks: bool = False) -> None:
    """Wait until every process is here, or say which is not."""
    group_or_world(group)


def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    """Put each process's object into a list."""
    group_or_world(group)
    _one("all_gather_object", object_list)
    object_list[0] = obj


def gather_object(
    obj: Any,
    object_gather_list: list[Any] | None = None,
    dst: int | None = None,
    group: Any = None,
    group_dst: int | None = None,
) -> None:
    """Put each process's object into a list, in one process."""
    _only_rank("gather_object", dst)
    all_gather_object(_listed("gather_object", object_gather_list), obj, group)


def broadcast_object_list(
    object_list: list[Any],
    src: int | None = None,
    group: Any = None,
    device: Any = None,
    group_src: int | None = None,
) -> None:
    """Give every process the objects of one of them."""
    group_or_world(group)
    _only_rank("broadcast_object_list", src)


def scatter_object_list(
    scatter_object_output_list: list[Any],
    scatter_object_input_list: list[Any] | None = None,
    src: int | None = None,
    group: Any = None,
    group_src: int | None = None,
) -> None:
    """Give each process one object of a list that one of them has."""
    group_or_world(group)
    _only_rank("scatter_object_list", src)
    if not scatter_object_output_list:
        raise ValueError("Expected argument scatter_object_output_list to be a list of size >= 1.")
    scatter_object_output_list[0] = _one("scatter_object_list", scatter_object_input_list)


def _no_other(*args: Any, **kwargs: Any) -> NoReturn:
    """Send to or receive from another process: refused, the group has one."""
    group_or_world(kwargs.get("group"))
    raise ValueError("send/recv: the group has 1 process, and it cannot send to itself")


send = recv = isend = irecv = _no_other
