"""Modules that keep their inputs only: `checkpoint_wrapper`.

In: a module, or a model and a rule for which of its modules. Out: the same, wrapped. Invariants:
results and gradients are the module's; its parameters keep their names in `state_dict`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from rushlight import nn
from rushlight.distributed.wrapping import TransparentWrapper
from rushlight.utils.checkpoint import checkpoint

__all__ = [
    "CheckpointImpl",
    "CheckpointWrapper",
    "apply_activation_checkpointing",
    "checkpoint_wrapper",
]


class CheckpointImpl(Enum):
    """PyTorch's two ways to compute again; see `torch.utils.checkpoint`."""

    REENTRANT = auto()
    NO_REENTRANT = auto()


class CheckpointWrapper(TransparentWrapper):
    """A module that is computed again in the backward pass."""

    inner_name = "_checkpoint_wrapped_module"

    def __init__(
        self,
        mod: nn.Module,
        checkpoint_impl: CheckpointImpl = CheckpointImpl.NO_REENTRANT,
        checkpoint_fn: Callable[..., Any] | None = None,
        **checkpoint_fn_kwargs: Any,
    ) -> None:
        super().__init__(mod)
        self.checkpoint_impl = checkpoint_impl
        self._run = checkpoint_fn or checkpoint
        self._options = checkpoint_fn_kwargs
        if checkpoint_fn is None:
            self._options["use_reentrant"] = checkpoint_impl is CheckpointImpl.REENTRANT

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(self.inner, *args, **self._options, **kwargs)


def checkpoint_wrapper(
    module: nn.Module,
    checkpoint_impl: CheckpointImpl = CheckpointImpl.NO_REENTRANT,
    checkpoint_fn: Callable[..., Any] | None = None,
    **checkpoint_fn_kwargs: Any,
) -> CheckpointWrapper:
    """A module that keeps its inputs only and is computed again in the backward pass."""
    return CheckpointWrapper(module, checkpoint_impl, checkpoint_fn, **checkpoint_fn_kwargs)


def apply_activation_checkpointing(
    model: nn.Module,
    checkpoint_wrapper_fn: Callable[[nn.Module], nn.Module] = checkpoint_wrapper,
    check_fn: Callable[[nn.Module], bool] = lambda module: True,
    auto_wrap_policy: Any = None,
) -> None:
    """Wrap the modules of a model for which `check_fn` holds, the innermost first, in place."""
    if auto_wrap_policy is not None:
        raise NotImplementedError("apply_activation_checkpointing: give check_fn, not a policy")
    for name, child in list(model.named_children()):
        apply_activation_checkpointing(child, checkpoint_wrapper_fn, check_fn)
        if check_fn(child):
            setattr(model, name, checkpoint_wrapper_fn(child))
