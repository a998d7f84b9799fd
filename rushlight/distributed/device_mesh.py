"""The processes of a group as a grid: `torch.distributed.device_mesh`.

In: a shape, names of its dimensions. Out: a mesh. Invariant: a mesh has as many places as the group
has processes: one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import rushlight
from rushlight import Tensor

from .process_group import ProcessGroup, group_or_world, init_process_group, is_initialized

__all__ = ["DeviceMesh", "init_device_mesh"]


class DeviceMesh:
    """A grid of process ranks, its dimensions named or not."""

    def __init__(
        self,
        device_type: str,
        mesh: Any,
        *,
        mesh_dim_names: Sequence[str] | None = None,
        **ignored: Any,
    ) -> None:
        self.device_type = device_type
        self.mesh: Tensor = rushlight.as_tensor(mesh, dtype=rushlight.int64)
        self.mesh_dim_names = tuple(mesh_dim_names) if mesh_dim_names is not None else None
        if self.mesh.numel() != 1 or int(self.mesh.flatten()[0]) != 0:
            raise RuntimeError(
                f"DeviceMesh: the mesh {self.mesh.tolist()} names other processes than rank 0; "
                "rushlight's groups have one process so far"
            )
        if self.mesh_dim_names is not None and len(self.mesh_dim_names) != self.mesh.ndim:
            raise RuntimeError(
                f"DeviceMesh: {len(self.mesh_dim_names)} names for {self.mesh.ndim} dimensions"
            )

    ndim = property(lambda self: self.mesh.ndim)
    shape = property(lambda self: tuple(self.mesh.shape))

    def size(self, mesh_dim: int | None = None) -> int:
        """The number of processes, in all or along a dimension."""
        return self.mesh.numel() if mesh_dim is None else self.mesh.size(mesh_dim)

    def get_rank(self) -> int:
        """This process's global rank."""
        return 0

    def get_coordinate(self) -> list[int]:
        """This process's place."""
        return [0] * self.mesh.ndim

    def _dimension(self, mesh_dim: int | str) -> int:
        if isinstance(mesh_dim, str):
            if self.mesh_dim_names is None or mesh_dim not in self.mesh_dim_names:
                raise KeyError(f"DeviceMesh: no dimension {mesh_dim!r} in {self.mesh_dim_names}")
            return self.mesh_dim_names.index(mesh_dim)
        return range(self.mesh.ndim)[mesh_dim]

    def get_local_rank(self, mesh_dim: int | str | None = None) -> int:
        """This process's index along a dimension."""
        if mesh_dim is not None:
            self._dimension(mesh_dim)
        return 0

    def get_group(self, mesh_dim: int | str | None = None) -> ProcessGroup:
        """The group of the processes along a dimension."""
        if mesh_dim is not None:
            self._dimension(mesh_dim)
        return group_or_world(None)

    def get_all_groups(self) -> list[ProcessGroup]:
        """The groups of all dimensions."""
        return [self.get_group(dim) for dim in range(self.mesh.ndim)]

    def __getitem__(self, names: str | tuple[str, ...]) -> DeviceMesh:
        chosen = (names,) if isinstance(names, str) else tuple(names)
        for name in chosen:
            self._dimension(name)
        return DeviceMesh(
            self.device_type, self.mesh.reshape([1] * len(chosen)), mesh_dim_names=chosen
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, DeviceMesh)
            and self.device_type == other.device_type
            and self.shape == other.shape
            and self.mesh_dim_names == other.mesh_dim_names
        )

    def __hash__(self) -> int:
        return hash((self.device_type, self.shape, self.mesh_dim_names))

    def __repr__(self) -> str:
        names = f", mesh_dim_names={self.mesh_dim_names}" if self.mesh_dim_names else ""
        return f"DeviceMesh('{self.device_type}', {self.mesh.tolist()}{names})"


def init_device_mesh(
    device_type: str,
    mesh_shape: Sequence[int],
    *,
    mesh_dim_names: Sequence[str] | None = None,
    **ignored: Any,
) -> DeviceMesh:
    """A mesh of all processes of the default group, which is started where there is none.

    Errors: RuntimeError for a shape of another size.
    """
    if math.prod(mesh_shape) != 1:
        raise RuntimeError(
            f"init_device_mesh: the mesh {tuple(mesh_shape)} has {math.prod(mesh_shape)} places; "
            "rushlight's groups have one process so far"
        )
    if not is_initialized():
        init_process_group(world_size=1, rank=0)
    mesh = rushlight.zeros(tuple(mesh_shape), dtype=rushlight.int64)
    return DeviceMesh(device_type, mesh, mesh_dim_names=mesh_dim_names)
