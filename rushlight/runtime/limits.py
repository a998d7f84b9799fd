"""What this machine grants to this process: processors and memory, containers included.

Comes in: the system's own files. Goes out: numbers of processors and bytes.
Invariant: an unreadable or unknown system is never an error, only an unlimited one.
"""

from __future__ import annotations

import os
from math import ceil

CGROUP_MEMBERSHIP = "/proc/self/cgroup"
CGROUP_MOUNT = "/sys/fs/cgroup"


def available_processors() -> int:
    """Processors in this process's affinity mask, limited by its cgroup's share of time.

    A limit of 1.5 processors counts as 2: the limit is on time, not on threads.
    """
    if hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    limit = processor_limit()
    return processors if limit is None else max(1, min(processors, ceil(limit)))


def processor_limit(membership: str = CGROUP_MEMBERSHIP, mount: str = CGROUP_MOUNT) -> float | None:
    """Processors' worth of time that cgroups (versions 1 and 2) allow, None if unlimited."""
    limits = [_processor_limit(group) for group in cgroup_folders("cpu", membership, mount)]
    return min((limit for limit in limits if limit is not None), default=None)


def _processor_limit(group: str) -> float | None:
    """Limit set in one group's folder: `cpu.max` (version 2) or the two files of version 1."""
    words = _read(f"{group}/cpu.max").split()
    if not words:
        words = _read(f"{group}/cpu.cfs_quota_us").split()
        words += _read(f"{group}/cpu.cfs_period_us").split()
    try:
        quota, period = (int(word) for word in words)
    except ValueError:
        # No such files, or the quota is the word `max`.
        return None
    return quota / period if quota > 0 and period > 0 else None


def available_memory(
    membership: str = CGROUP_MEMBERSHIP,
    mount: str = CGROUP_MOUNT,
    meminfo: str = "/proc/meminfo",
) -> int | None:
    """Bytes that could be had without swapping or being killed; None where nobody says."""
    rooms = [_memory_room(group) for group in cgroup_folders("memory", membership, mount)]
    for line in _read(meminfo).splitlines():
        if line.startswith("MemAvailable:"):
            rooms.append(int(line.split()[1]) * 1024)
    return min((room for room in rooms if room is not None), default=None)


def _memory_room(group: str) -> int | None:
    """Bytes left in one group; cached file pages do not count as used, the kernel gives them up."""
    for maximum, used, cached in (
        ("memory.max", "memory.current", ("active_file", "inactive_file")),
        (
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            ("total_active_file", "total_inactive_file"),
        ),
    ):
        limit, usage = _read(f"{group}/{maximum}").strip(), _read(f"{group}/{used}").strip()
        if limit.isdecimal() and usage.isdecimal():
            pages = dict(line.split()[:2] for line in _read(f"{group}/memory.stat").splitlines())
            given_up = sum(int(pages.get(name, 0)) for name in cached)
            return max(0, int(limit) - int(usage) + given_up)
    return None


def cgroup_folders(
    controller: str, membership: str = CGROUP_MEMBERSHIP, mount: str = CGROUP_MOUNT
) -> list[str]:
    """Folders of the groups that bind this process, from the root to its own.

    Each of them can set a limit and the tightest holds. In a container the path often does not
    exist below the mount, and the mount itself is the group.
    """
    folders = []
    for line in _read(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        root = f"{mount}/{controllers}" if controllers else mount
        if controllers and not os.path.isdir(root):
            root = f"{mount}/{controller}"
        folders.append(root)
        for part in path.split("/"):
            if part not in ("", ".."):
                root = f"{root}/{part}"
                folders.append(root)
    return folders


def _read(path: str) -> str:
    """Content of a small system file, empty if it cannot be read."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
