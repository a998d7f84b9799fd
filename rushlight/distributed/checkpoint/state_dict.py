"""State dictionaries by the parameters' own names: `torch.distributed.checkpoint.state_dict`.

In: a model, an optimizer. Out: dictionaries that can be saved, and loaded into the same model
wrapped otherwise. Invariant: an optimizer's state stands under names, not numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rushlight import nn, optim

__all__ = [
    "StateDictOptions",
    "get_model_state_dict",
    "get_optimizer_state_dict",
    "get_state_dict",
    "set_model_state_dict",
    "set_optimizer_state_dict",
    "set_state_dict",
]

# what wrappers put into names
_WRAPPERS = ("_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_orig_mod")


@dataclass
class StateDictOptions:
    """What the dictionaries shall hold.

    `full_state_dict` and `cpu_offload` are how it is in a group of one on the CPU;
    `ignore_frozen_params` leaves out what needs no gradient; `strict` is `load_state_dict`'s.
    """

    full_state_dict: bool = False
    cpu_offload: bool = False
    ignore_frozen_params: bool = False
    keep_submodule_prefixes: bool = True
    strict: bool = True
    broadcast_from_rank0: bool = False
    flatten_optimizer_state_dict: bool = False


def _own_name(name: str, model: nn.Module) -> str:
    """A name without what wrappers have put into it."""
    from rushlight.nn.parallel import DataParallel, DistributedDataParallel

    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    if isinstance(model, (DataParallel, DistributedDataParallel)):
        parts.remove("module")
    return ".".join(parts)


def _names(model: nn.Module) -> dict[str, str]:
    """The model's names of its entries -> their own names."""
    return {name: _own_name(name, model) for name in model.state_dict()}


def get_model_state_dict(
    model: nn.Module, *, submodules: Any = None, options: StateDictOptions | None = None
) -> dict[str, Any]:
    """A model's parameters and buffers by their own names."""
    frozen = set()
    if options is not None and options.ignore_frozen_params:
        frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    names = _names(model)
    return {names[n]: value for n, value in model.state_dict().items() if n not in frozen}


def set_model_state_dict(
    model: nn.Module,
    model_state_dict: dict[str, Any],
    *,
    options: StateDictOptions | None = None,
) -> Any:
    """Load parameters and buffers by their own names; what `load_state_dict` returns."""
    theirs = {own: name for name, own in _names(model).items()}
    renamed = {theirs.get(name, name): value for name, value in model_state_dict.items()}
    return model.load_state_dict(renamed, strict=options is None or options.strict)


def _optimizers(optimizers: Any) -> list[optim.Optimizer]:
    return [optimizers] if isinstance(optimizers, optim.Optimizer) else list(optimizers)


def _parameter_names(model: nn.Module) -> dict[int, str]:
    return {id(p): _own_name(name, model) for name, p in model.named_parameters()}


def get_optimizer_state_dict(
    model: nn.Module,
    optimizers: optim.Optimizer | Iterable[optim.Optimizer],
    *,
    submodules: Any = None,
    options: StateDictOptions | None = None,
) -> dict[str, Any]:
    """Optimizers' states under the names of the model's parameters."""
    names = _parameter_names(model)
    state: dict[str, Any] = {}
    groups: list[dict[str, Any]] = []
    for optimizer in _optimizers(optimizers):
        held = optimizer.state_dict()
        named: list[str] = []
        for group, saved in zip(optimizer.param_groups, held["param_groups"]):
            here = [names[id(p)] for p in group["params"]]
            named.extend(here)
            groups.append({**saved, "params": here})
        state.update({named[number]: value for number, value in held["state"].items()})
    return {"state": state, "param_groups": groups}


def set_optimizer_state_dict(
    model: nn.Module,
    optimizers: optim.Optimizer | Iterable[optim.Optimizer],
    optim_state_dict: dict[str, Any],
    *,
    options: StateDictOptions | None = None,
) -> None:
    """Load optimizers' states from what `get_optimizer_state_dict` gave.

    Errors: KeyError naming a parameter that the dictionary lacks.
    """
    names = _parameter_names(model)
    saved = {name: g for g in optim_state_dict["param_groups"] for name in g["params"]}
    for optimizer in _optimizers(optimizers):
        state: dict[int, Any] = {}
        groups = []
        number = 0
        for group in optimizer.param_groups:
            here = [names[id(p)] for p in group["params"]]
            lacking = [name for name in here if name not in saved]
            if lacking:
                raise KeyError(f"set_optimizer_state_dict: nothing is saved for {lacking[0]}")
            numbers = range(number, number + len(here))
            options_of = saved[here[0]] if here else group
            groups.append({**options_of, "params": list(numbers)})
            for at, name in zip(numbers, here):
                if name in optim_state_dict["state"]:
                    state[at] = optim_state_dict["state"][name]
            number += len(here)
        optimizer.load_state_dict({"state": state, "param_groups": groups})


def get_state_dict(
    model: nn.Module, optimizers: Any, **kwargs: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both dictionaries."""
    return (
        get_model_state_dict(model, **kwargs),
        get_optimizer_state_dict(model, optimizers, **kwargs),
    )


def set_state_dict(
    model: nn.Module,
    optimizers: Any,
    *,
    model_state_dict: dict[str, Any],
    optim_state_dict: dict[str, Any],
    options: StateDictOptions | None = None,
) -> Any:
    """Load both."""
    set_optimizer_state_dict(model, optimizers, optim_state_dict, options=options)
    return set_model_state_dict(model, model_state_dict, options=options)
