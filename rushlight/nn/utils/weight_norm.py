"""Weight normalisation through a hook before forward, the form before `parametrizations`.

In: a module. Out: the same, whose weight is computed from a magnitude `<name>_g` and a direction
`<name>_v` before every forward call. Invariant: `norm_except_dim` of the weight is the magnitude.
"""

from __future__ import annotations

import warnings
from typing import Any

from rushlight import Tensor
from rushlight.nn.functional.native import norm_except_dim
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter, is_lazy

__all__ = ["WeightNorm", "remove_weight_norm", "weight_norm"]


def normalized(direction: Tensor, magnitude: Tensor, dim: int) -> Tensor:
    """w = g v / |v| (Salimans and Kingma, arXiv 1602.07868)."""
    return direction * (magnitude / norm_except_dim(direction, 2, dim))


class WeightNorm:
    """The hook that computes a module's weight before each forward call."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Any:
        """The weight from the module's magnitude and direction."""
        magnitude = getattr(module, self.name + "_g")
        direction = getattr(module, self.name + "_v")
        return normalized(direction, magnitude, self.dim)

    @staticmethod
    def apply(module: Module, name: str, dim: int | None) -> WeightNorm:
        """Put the hook on a module; RuntimeError where that name has one."""
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm) and hook.name == name:
                raise RuntimeError(
                    f"Cannot register two weight_norm hooks on the same parameter {name}"
                )
        made = WeightNorm(name, dim)
        weight = getattr(module, name)
        if is_lazy(weight):
            raise ValueError(
                "The module passed to `WeightNorm` can't have uninitialized parameters. "
                "Make sure to run the dummy forward before applying weight normalization"
            )
        del module._parameters[name]
        module.register_parameter(
            name + "_g", Parameter(norm_except_dim(weight, 2, made.dim).detach())
        )
        module.register_parameter(name + "_v", Parameter(weight.detach()))
        setattr(module, name, made.compute_weight(module))
        module.register_forward_pre_hook(made)
        return made

    def remove(self, module: Module) -> None:
        """Make the weight a parameter of its own again."""
        weight = self.compute_weight(module)
        delattr(module, self.name)
        del module._parameters[self.name + "_g"]
        del module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight.detach()))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """Normalise a weight as w = g v / |v|; `<name>_g` and `<name>_v` are what is trained.

    dim: the norm is taken over all dimensions but this one, over all of them for None. Returns the
    module. Deprecated for `parametrizations.weight_norm`. Follows `torch.nn.utils.weight_norm`.

    >>> import rushlight as rl
    >>> layer = rl.nn.utils.weight_norm(rl.nn.Linear(20, 40))
    >>> layer.weight_g.shape, layer.weight_v.shape
    (torch.Size([40, 1]), torch.Size([40, 20]))
    """
    warnings.warn(
        "`torch.nn.utils.weight_norm` is deprecated in favor of "
        "`torch.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module: Any, name: str = "weight") -> Any:
    """Undo `weight_norm`, keeping the weight's value; ValueError where there is none."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
