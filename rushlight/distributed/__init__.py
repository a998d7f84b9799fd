"""`torch.distributed`: groups of processes, as far as one process goes.

In: tensors and objects of the processes of a group. Out: the same, exchanged. A group has one
process so far; every collective does for it what it does for many, and a larger group is refused
when it is asked for. Invariant: no exchange is pretended: what would need another process is an
error.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .collectives import (
    all_gather,
    all_gather_into_tensor,
    all_gather_object,
    all_reduce,
    all_to_all,
    all_to_all_single,
    barrier,
    broadcast,
    broadcast_object_list,
    gather,
    gather_object,
    irecv,
    isend,
    monitored_barrier,
    recv,
    reduce,
    reduce_scatter,
    reduce_scatter_tensor,
    scatter,
    scatter_object_list,
    send,
)
from .process_group import (
    Backend,
    GroupMember,
    ProcessGroup,
    ReduceOp,
    Work,
    destroy_process_group,
    get_backend,
    get_global_rank,
    get_group_rank,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    group,
    init_process_group,
    is_available,
    is_backend_available,
    is_gloo_available,
    is_initialized,
    is_mpi_available,
    is_nccl_available,
    is_torchelastic_launched,
    new_group,
)

_MODULES = ("algorithms", "checkpoint", "constants", "device_mesh", "fsdp", "nn")

__all__ = [
    "Backend",
    "GroupMember",
    "ProcessGroup",
    "ReduceOp",
    "Work",
    "all_gather",
    "all_gather_into_tensor",
    "all_gather_object",
    "all_reduce",
    "all_to_all",
    "all_to_all_single",
    "barrier",
    "broadcast",
    "broadcast_object_list",
    "destroy_process_group",
    "gather",
    "gather_object",
    "get_backend",
    "get_global_rank",
    "get_group_rank",
    "get_process_group_ranks",
    "get_rank",
    "get_world_size",
    "group",
    "init_process_group",
    "irecv",
    "is_available",
    "is_backend_available",
    "is_gloo_available",
    "is_initialized",
    "is_mpi_available",
    "is_nccl_available",
    "is_torchelastic_launched",
    "isend",
    "monitored_barrier",
    "new_group",
    "recv",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "scatter",
    "scatter_object_list",
    "send",
]


REFUSED = {
    **dict.fromkeys(
        ("tensor", "_tensor", "_functional_collectives", "pipelining"),
        "tensors that lie in parts on several processes are not there; DistributedDataParallel "
        "and fsdp.fully_shard train a module that each process holds whole",
    ),
    **dict.fromkeys(
        ("rpc", "autograd"),
        "functions are not called in other processes; all_gather_object and "
        "broadcast_object_list exchange Python values",
    ),
    "optim": "optimizers over several processes are not there; those of torch.optim step each "
    "process's own parameters",
    **dict.fromkeys(
        ("launcher", "run", "elastic"),
        "processes are not launched here; torch.multiprocessing.spawn starts some",
    ),
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in ("DeviceMesh", "init_device_mesh"):
        return getattr(import_module(f"{__name__}.device_mesh"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
