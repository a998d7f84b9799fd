"""One model in several processes: `torch.nn.parallel.DistributedDataParallel`.

In: a module, in a process of an initialised group. Out: the module, its gradients averaged over the
group. Invariant: gradients are averaged before `backward` returns; in a group of one they are
already the mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rushlight import distributed
from rushlight.nn.module import Module

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module):
    """A module whose gradients are averaged over the processes of a group.

    Errors: ValueError without an initialised group, RuntimeError for a module that has nothing to
    train or for GPUs.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool = True,
        process_group: Any = None,
        **ignored: Any,
    ) -> None:
        super().__init__()
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter "
                "that requires a gradient."
            )
        if device_ids:
            raise RuntimeError(
                f"DistributedDataParallel: device_ids {list(device_ids)} ask for GPUs, and "
                "rushlight has none here; leave them out"
            )
        self.process_group = process_group or distributed.group.WORLD
        if self.process_group is None:
            raise ValueError(
                "Default process group has not been initialized, please make sure to call "
                "init_process_group."
            )
        self.module = module
        self.dim, self.broadcast_buffers = dim, broadcast_buffers
        self.device_ids, self.output_device = None, output_device
        self.require_backward_grad_sync = True

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Gradients of backward passes inside are not averaged, but summed up for the next."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    def register_comm_hook(self, state: Any, hook: Any) -> None:
        """How gradients travel: in a group of one they do not."""
        if not callable(hook):
            raise TypeError("Communication hook must be callable.")
