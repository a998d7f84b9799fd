"""`fully_shard`: the same without a wrapper; the module stays what it is.

In: a module. Out: the module, of a class that is also an FSDPModule. Invariant: in a group of one
its parameters are whole at all times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rushlight import nn

from .precision import cast_floats

__all__ = [
    "CPUOffloadPolicy",
    "FSDPModule",
    "MixedPrecisionPolicy",
    "OffloadPolicy",
    "fully_shard",
]


@dataclass(frozen=True)
class MixedPrecisionPolicy:
    """The dtypes while computing: of parameters and inputs, and of the outputs."""

    param_dtype: Any = None
    reduce_dtype: Any = None
    output_dtype: Any = None
    cast_forward_inputs: bool = True


@dataclass
class OffloadPolicy:
    """Where parameters wait: where they are."""


@dataclass
class CPUOffloadPolicy(OffloadPolicy):
    """Parameters wait in the CPU's memory: they are there."""

    pin_memory: bool = True


class FSDPModule:
    """What `fully_shard` makes a module also."""

    _mp_policy: MixedPrecisionPolicy

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's own forward, in the dtypes of its policy."""
        policy = self._mp_policy
        own: Any = super()
        if policy.param_dtype is None:
            result = own.forward(*args, **kwargs)
        else:
            result = _in_dtype(self, own.forward, args, kwargs, policy)
        return cast_floats(result, policy.output_dtype)

    def unshard(self, async_op: bool = False) -> None:
        """Gather the parameters: they are whole."""

    def reshard(self) -> None:
        """Split the parameters: in a group of one they stay whole."""

    def set_requires_gradient_sync(self, requires_gradient_sync: bool, **ignored: Any) -> None:
        """Whether gradients are exchanged: in a group of one they never are."""


def _in_dtype(
    module: Any, forward: Any, args: Any, kwargs: Any, policy: MixedPrecisionPolicy
) -> Any:
    """Call `forward` while the module's parameters stand in another dtype."""
    owners = [
        (owner, name, parameter)
        for owner in module.modules()
        for name, parameter in owner._parameters.items()
        if parameter is not None
    ]
    if policy.cast_forward_inputs:
        args, kwargs = cast_floats((args, kwargs), policy.param_dtype)
    try:
        for owner, name, parameter in owners:
            owner._parameters[name] = cast_floats(parameter, policy.param_dtype)
        return forward(*args, **kwargs)
    finally:
        for owner, name, parameter in owners:
            owner._parameters[name] = parameter


def fully_shard(
    module: Any,
    *,
    mesh: Any = None,
    reshard_after_forward: bool | int | None = None,
    mp_policy: MixedPrecisionPolicy | None = None,
    offload_policy: OffloadPolicy | None = None,
    **ignored: Any,
) -> Any:
    """Split a module's parameters over the processes of a mesh: in a group of one, none.

    Errors: ValueError for a list of modules without parameters of their own to group.
    """
    if isinstance(module, (list, tuple)):
        for each in module:
            fully_shard(each, mesh=mesh, mp_policy=mp_policy)
        return module
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        raise ValueError(
            f"fully_shard does not support containers that do not implement forward: {module}"
        )
    kind = type(module)
    if not isinstance(module, FSDPModule):
        module.__class__ = type(f"FSDP{kind.__name__}", (FSDPModule, kind), {})
    module._mp_policy = mp_policy or MixedPrecisionPolicy()
    return module
