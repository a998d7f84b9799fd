"""The wrapper `FullyShardedDataParallel`, and the settings it takes.

In: a module, settings. Out: the module, called in mixed precision where that is asked for.
Invariant: in a group of one every parameter is whole at all times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from rushlight import Tensor, distributed, nn, optim
from rushlight.distributed.checkpoint import state_dict as states
from rushlight.distributed.wrapping import TransparentWrapper

from .precision import call_in

__all__ = [
    "BackwardPrefetch",
    "CPUOffload",
    "FullOptimStateDictConfig",
    "FullStateDictConfig",
    "FullyShardedDataParallel",
    "MixedPrecision",
    "ShardingStrategy",
    "StateDictConfig",
    "StateDictType",
]


class ShardingStrategy(Enum):
    """What is split over the processes; in a group of one, nothing."""

    FULL_SHARD = auto()
    SHARD_GRAD_OP = auto()
    NO_SHARD = auto()
    HYBRID_SHARD = auto()
    _HYBRID_SHARD_ZERO2 = auto()


class BackwardPrefetch(Enum):
    """When parameters that another process holds are fetched; in a group of one, never."""

    BACKWARD_PRE = auto()
    BACKWARD_POST = auto()


class StateDictType(Enum):
    """How `state_dict` gives split parameters; in a group of one they are whole."""

    FULL_STATE_DICT = auto()
    LOCAL_STATE_DICT = auto()
    SHARDED_STATE_DICT = auto()


@dataclass
class MixedPrecision:
    """The dtypes of parameters and inputs while computing, of gradients on their way, of buffers.

    In a group of one gradients do not travel: `reduce_dtype` has nothing to apply to.
    """

    param_dtype: Any = None
    reduce_dtype: Any = None
    buffer_dtype: Any = None
    keep_low_precision_grads: bool = False
    cast_forward_inputs: bool = False
    cast_root_forward_inputs: bool = True


@dataclass
class CPUOffload:
    """Whether parameters wait in the CPU's memory: they always are there."""

    offload_params: bool = False


@dataclass
class StateDictConfig:
    """Whether a state dictionary's tensors are moved to the CPU: they are there."""

    offload_to_cpu: bool = False


@dataclass
class FullStateDictConfig(StateDictConfig):
    """How whole state dictionaries are gathered; `rank0_only` is this process."""

    rank0_only: bool = False


@dataclass
class FullOptimStateDictConfig(FullStateDictConfig):
    """How whole state dictionaries of optimizers are gathered."""


class FullyShardedDataParallel(TransparentWrapper):
    """A module whose parameters are split over the processes of a group; in a group of one, whole.

    Errors: ValueError without an initialised group, RuntimeError for a device other than the CPU.
    """

    inner_name = "_fsdp_wrapped_module"

    def __init__(
        self,
        module: nn.Module,
        process_group: Any = None,
        sharding_strategy: ShardingStrategy | None = None,
        cpu_offload: CPUOffload | None = None,
        auto_wrap_policy: Any = None,
        backward_prefetch: BackwardPrefetch | None = BackwardPrefetch.BACKWARD_PRE,
        mixed_precision: MixedPrecision | None = None,
        ignored_modules: Iterable[nn.Module] | None = None,
        param_init_fn: Any = None,
        device_id: Any = None,
        **ignored: Any,
    ) -> None:
        if distributed.group.WORLD is None:
            raise ValueError(
                "Default process group has not been initialized, please make sure to call "
                "init_process_group."
            )
        if device_id is not None and str(device_id) != "cpu":
            raise RuntimeError(f"FullyShardedDataParallel: no device {device_id} here; use the cpu")
        settings = {"mixed_precision": mixed_precision, "sharding_strategy": sharding_strategy}
        if auto_wrap_policy is not None:
            from .wrap import wrap_children

            wrap_children(module, auto_wrap_policy, set(ignored_modules or ()), settings)
        super().__init__(module)
        self.sharding_strategy = sharding_strategy or ShardingStrategy.FULL_SHARD
        self.mixed_precision = mixed_precision or MixedPrecision()
        self.process_group = process_group or distributed.group.WORLD

    @property
    def module(self) -> nn.Module:
        """The module inside."""
        return self.inner

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        precision = self.mixed_precision
        return call_in(self.inner, args, kwargs, precision.param_dtype, precision.buffer_dtype)

    def clip_grad_norm_(self, max_norm: float, norm_type: float = 2.0) -> Tensor:
        """Scale the gradients down to a norm; the norm that they had."""
        return nn.utils.clip_grad_norm_(self.parameters(), max_norm, norm_type)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Gradients inside are not exchanged: in a group of one they never are."""
        yield

    @staticmethod
    @contextmanager
    def summon_full_params(module: nn.Module, *args: Any, **kwargs: Any) -> Iterator[None]:
        """Parameters are whole inside, as they are outside."""
        yield

    @staticmethod
    @contextmanager
    def state_dict_type(
        module: nn.Module, state_dict_type: StateDictType, *configs: Any
    ) -> Iterator[None]:
        """How state dictionaries are given inside: whole, in a group of one."""
        yield

    @staticmethod
    def set_state_dict_type(
        module: nn.Module, state_dict_type: StateDictType, *configs: Any
    ) -> None:
        """How state dictionaries are given: whole, in a group of one."""

    @staticmethod
    def fsdp_modules(module: nn.Module, root_only: bool = False) -> list[FullyShardedDataParallel]:
        """The wrappers in a module; with `root_only` those that no other wrapper holds."""
        found = [m for m in module.modules() if isinstance(m, FullyShardedDataParallel)]
        held = {id(inner) for wrapper in found for inner in wrapper.inner.modules()}
        return [m for m in found if not root_only or id(m) not in held]

    @staticmethod
    def optim_state_dict(model: nn.Module, optim: optim.Optimizer, *args: Any) -> dict[str, Any]:
        """An optimizer's state under the names of the parameters."""
        return states.get_optimizer_state_dict(model, optim)
