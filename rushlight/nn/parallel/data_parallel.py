"""`DataParallel` on a machine with at most one device for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rushlight
from rushlight.nn.module import Module

__all__ = ["DataParallel", "data_parallel"]


def _devices(device_ids: Sequence[Any] | None) -> list[Any]:
    """The devices to spread a batch over: none where there is no accelerator.

    NotImplementedError for more than one.
    """
    count = rushlight.cuda.device_count()
    if count == 0:
        return []
    chosen = list(range(count)) if device_ids is None else list(device_ids)
    if len(chosen) > 1:
        raise NotImplementedError(
            f"DataParallel over {len(chosen)} devices ({chosen}): one process drives one device "
            "here. Start one process for each with rushlight.distributed instead."
        )
    return chosen


class DataParallel(Module):
    """A module whose batches are spread over the devices of this process.

    Without an accelerator, and with a single one, it calls the inner module as it is: as PyTorch's
    does. Its state_dict has the prefix `module.`. Errors: NotImplementedError for several devices.
    Follows `torch.nn.DataParallel`.

    >>> import rushlight as rl
    >>> list(rl.nn.DataParallel(rl.nn.Linear(2, 3)).state_dict())
    ['module.weight', 'module.bias']
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        self.module = module
        self.device_ids = _devices(device_ids)
        if self.device_ids:
            self.dim = dim
            self.output_device = self.device_ids[0] if output_device is None else output_device
            self.module.to(rushlight.device("cuda", self.device_ids[0]))

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """One call of a module as `DataParallel` would make it. `inputs`: an argument, or a tuple."""
    arguments = inputs if isinstance(inputs, tuple) else (inputs,) if inputs is not None else ()
    _devices(device_ids)
    return module(*arguments, **(module_kwargs or {}))
