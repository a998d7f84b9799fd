"""Groups of processes: how one is started, and who is in it.

In: rank and world size, from arguments, the environment or an address. Out: the default group and
groups of some of its members. Invariant: there is at most one default group, of this process alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum
from typing import Any
from urllib.parse import parse_qs, urlparse

_NOT_INITIALIZED = (
    "Default process group has not been initialized, please make sure to call init_process_group."
)


class ReduceOp(Enum):
    """How the values of several processes become one."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7
    PREMUL_SUM = 8


class Backend(str):
    """The name of what carries messages, in lower case."""

    __slots__ = ()
    UNDEFINED = "undefined"
    GLOO = "gloo"
    NCCL = "nccl"
    UCC = "ucc"
    MPI = "mpi"
    XCCL = "xccl"

    def __new__(cls, name: str) -> Backend:
        if not isinstance(name, str):
            raise ValueError(f"Backend constructor parameter must be string-ish, got {name!r}")
        return super().__new__(cls, name.lower())


class Work:
    """An exchange that has been started; of one process, it is already done."""

    def __init__(self, result: Any = None) -> None:
        self._result = result

    def wait(self, timeout: Any = None) -> bool:
        """Wait until it is done."""
        return True

    def is_completed(self) -> bool:
        """Whether it is done."""
        return True

    def is_success(self) -> bool:
        """Whether it went well."""
        return True

    def result(self) -> Any:
        """The tensors that it wrote."""
        return self._result

    def get_future(self) -> Any:
        """A future of the tensors that it writes."""
        from rushlight.futures import Future

        future: Future[Any] = Future()
        future.set_result(self._result)
        return future


class ProcessGroup:
    """A group of processes: this one."""

    def __init__(self, backend: str, timeout: Any = None) -> None:
        self._backend, self._timeout = Backend(backend), timeout
        self.group_name = "0"

    def rank(self) -> int:
        """This process's number in the group."""
        return 0

    def size(self) -> int:
        """The number of processes."""
        return 1

    def name(self) -> str:
        """The name of what carries messages."""
        return str(self._backend)

    def __repr__(self) -> str:
        return f"<ProcessGroup({self._backend}) of 1 process>"


class GroupMember:
    """What stands for a group that this process is not in."""

    NON_GROUP_MEMBER = -100


class _WorldType(type):
    """`group.WORLD` is the default group as it is now."""

    _world: ProcessGroup | None = None

    @property
    def WORLD(cls) -> ProcessGroup | None:
        return _WorldType._world

    @WORLD.setter
    def WORLD(cls, value: ProcessGroup | None) -> None:
        _WorldType._world = value


class group(metaclass=_WorldType):
    """Where the default group is found: `group.WORLD`."""


def is_available() -> bool:
    """Whether groups can be made: True."""
    return True


def is_initialized() -> bool:
    """Whether there is a default group."""
    return group.WORLD is not None


def is_nccl_available() -> bool:
    """Whether NCCL can carry messages: False."""
    return False


def is_mpi_available() -> bool:
    """Whether MPI can carry messages: False."""
    return False


def is_gloo_available() -> bool:
    """Whether Gloo can carry messages: False. A group of one needs nothing that does."""
    return False


def is_backend_available(backend: str) -> bool:
    """Whether something can carry messages between processes: nothing can."""
    return False


def is_torchelastic_launched() -> bool:
    """Whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def _place(init_method: str | None, world_size: int, rank: int) -> tuple[int, int]:
    """(world size, rank), from the arguments, the address or the environment."""
    query = parse_qs(urlparse(init_method or "env://").query)
    if world_size < 0:
        world_size = int(query.get("world_size", [os.getenv("WORLD_SIZE", "-1")])[0])
    if rank < 0:
        rank = int(query.get("rank", [os.getenv("RANK", "-1")])[0])
    for name, value in (("WORLD_SIZE", world_size), ("RANK", rank)):
        if value < 0:
            raise ValueError(
                f"Error initializing torch.distributed using env:// rendezvous: environment "
                f"variable {name} expected, but not set"
            )
    return world_size, rank


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: Any = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    **ignored: Any,
) -> None:
    """Start the default group.

    World size and rank are given, or come from `init_method`, or from the environment (WORLD_SIZE,
    RANK).
    Errors: ValueError where there is a group already or they are not known; NotImplementedError for
    more than one process.
    """
    if is_initialized():
        raise ValueError("trying to initialize the default process group twice!")
    world_size, rank = _place(init_method, world_size, rank)
    if world_size != 1 or rank != 0:
        raise NotImplementedError(
            f"init_process_group: world size {world_size}, rank {rank}: rushlight's groups have "
            "one process so far (world_size=1, rank=0)"
        )
    group.WORLD = ProcessGroup(backend or "gloo", timeout)


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """End a group; without one, the default group."""
    if group is None and _WorldType._world is None:
        raise AssertionError(_NOT_INITIALIZED)
    world = group_or_world(group)
    if world is _WorldType._world:
        _WorldType._world = None


def new_group(
    ranks: Sequence[int] | None = None,
    timeout: Any = None,
    backend: str | None = None,
    **ignored: Any,
) -> ProcessGroup | int:
    """A group of some members of the default group, by their ranks.

    Errors: ValueError for ranks that the default group does not have.
    """
    world = group_or_world(None)
    members = list(ranks) if ranks is not None else [0]
    if any(rank not in range(world.size()) for rank in members):
        raise ValueError(
            f"the new group's rank should be within the world_size set by init_process_group: "
            f"got {members} in a group of {world.size()}"
        )
    if 0 not in members:
        return GroupMember.NON_GROUP_MEMBER
    return ProcessGroup(backend or world.name(), timeout)


def group_or_world(chosen: Any) -> Any:
    """The group that an argument means. Errors: ValueError where there is no default group."""
    found = chosen if chosen is not None else group.WORLD
    if found is None:
        raise ValueError(_NOT_INITIALIZED)
    return found


def get_rank(group: ProcessGroup | None = None) -> int:
    """This process's number in a group; -1 where it is not in it."""
    found = group_or_world(group)
    return -1 if found == GroupMember.NON_GROUP_MEMBER else found.rank()


def get_world_size(group: ProcessGroup | None = None) -> int:
    """The number of processes of a group; -1 where this one is not in it."""
    found = group_or_world(group)
    return -1 if found == GroupMember.NON_GROUP_MEMBER else found.size()


def get_backend(group: ProcessGroup | None = None) -> Backend:
    """The name of what carries a group's messages."""
    return Backend(group_or_world(group).name())


def get_process_group_ranks(group: ProcessGroup | None) -> list[int]:
    """The global ranks of a group's members."""
    return list(range(group_or_world(group).size()))


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The global rank of a member. Errors: ValueError for one that there is not."""
    ranks = get_process_group_ranks(group)
    if group_rank not in range(len(ranks)):
        raise ValueError(f"Group rank {group_rank} is not part of group {group}")
    return ranks[group_rank]


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """A member's number in a group, from its global rank."""
    ranks = get_process_group_ranks(group)
    if global_rank not in ranks:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return ranks.index(global_rank)
