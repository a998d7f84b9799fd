"""Fine-tuning: which parameters rest, and how fast the others learn.

In: a model. Out: the same model with parameters at rest, or groups of parameters for an optimizer.
Invariant: every parameter that learns is in exactly one group.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from rushlight import Tensor, nn

from .registry import nearest

__all__ = ["freeze", "layers_of", "parameter_groups", "unfreeze"]

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def freeze(model: nn.Module, *patterns: str) -> list[str]:
    """Put parameters to rest: they get no gradient, and batch norms among them keep the statistics
    they have, also in training mode. Return the names of the parameters at rest.

    `patterns` are module or parameter names, or shell patterns of such ("layer1", "blocks.[0-5]");
    none means all but the classifier.
    Errors: ValueError for a pattern that fits nothing.

    >>> import rushlight as rl
    >>> model = rl.models.create_model("resnet18", num_classes=3)
    >>> len(rl.models.freeze(model))
    60
    >>> [name for name, p in model.named_parameters() if p.requires_grad]
    ['fc.weight', 'fc.bias']
    """
    chosen = _chosen(model, patterns)
    for name, parameter in model.named_parameters():
        if name in chosen:
            parameter.requires_grad_(False)
    for name, module in model.named_modules():
        if isinstance(module, _BATCH_NORMS) and f"{name}.weight" in chosen:
            # `model.train()` would wake it: it goes back to sleep before each call.
            module._frozen_by = module.register_forward_pre_hook(_asleep)
    return sorted(chosen)


def unfreeze(model: nn.Module, *patterns: str) -> list[str]:
    """Undo `freeze` for the named parts, or for all; return the names of their parameters."""
    chosen = _chosen(model, patterns or ("*",))
    for name, parameter in model.named_parameters():
        if name in chosen:
            parameter.requires_grad_(True)
    for name, module in model.named_modules():
        handle = getattr(module, "_frozen_by", None)
        if handle is not None and f"{name}.weight" in chosen:
            handle.remove()
            del module._frozen_by
            module.train(model.training)
    return sorted(chosen)


def _asleep(module: nn.Module, _: Any) -> None:
    """A batch norm that uses its running statistics and leaves them."""
    module.eval()


def _chosen(model: nn.Module, patterns: tuple[str, ...]) -> set[str]:
    """The names of the parameters that patterns mean."""
    names = [name for name, _ in model.named_parameters()]
    if not patterns:
        heads = tuple(f"{name}." for name in getattr(model, "classifier_names", ()))
        if not heads:
            raise ValueError("freeze: the model names no classifier; say what shall rest")
        return {name for name in names if not name.startswith(heads)}
    chosen: set[str] = set()
    for pattern in patterns:
        found = {n for n in names if fnmatchcase(n, pattern) or fnmatchcase(n, f"{pattern}.*")}
        if not found:
            parts = {n.rpartition(".")[0] for n in names} | {n.split(".")[0] for n in names}
            raise ValueError(f"no parameter fits {pattern!r}{nearest(pattern, sorted(parts))}")
        chosen |= found
    return chosen


def layers_of(model: nn.Module) -> list[list[str]]:
    """The names of the parameters by layer, from the input to the output.

    A layer is a block of a stage, or a module with a matrix of its own outside all blocks; what
    holds vectors only (a norm) belongs to the layer before it.

    >>> import rushlight as rl
    >>> model = rl.models.create_model("resnet18")
    >>> [layer[0] for layer in layers_of(model)][:3]
    ['conv1.weight', 'layer1.0.conv1.weight', 'layer1.1.conv1.weight']
    """
    layers: list[list[str]] = []
    for prefix, module in _units(model, ""):
        named = [
            (f"{prefix}.{name}".strip("."), p)
            for name, p in module.named_parameters(recurse=prefix != "")
        ]
        names = [name for name, _ in named]
        if names and (not layers or any(parameter.ndim > 1 for _, parameter in named)):
            layers.append(names)
        elif names:
            layers[-1] += names
    return layers


def _units(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """Modules that are layers, and the modules whose own parameters stand beside them."""
    if prefix and not _is_stage(module):
        yield prefix, module
        return
    if not prefix:
        yield "", module  # tokens and positions
    for name, child in module.named_children():
        yield from _units(child, f"{prefix}.{name}".strip("."))


def _is_stage(module: nn.Module) -> bool:
    """Whether a module is a row of layers, or holds a row of blocks."""
    if isinstance(module, (nn.Sequential, nn.ModuleList)):
        return True
    return any(
        isinstance(child, (nn.Sequential, nn.ModuleList))
        and any(len(list(part.children())) > 0 for part in child)
        for child in module.children()
    )


def parameter_groups(
    model: nn.Module, lr: float, weight_decay: float = 0.0, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Groups for an optimizer: the learning rate falls from the output to the input by
    `layer_decay` a layer, and vectors (biases, norms) and tokens are not decayed.

    Layer k of K learns at `lr * layer_decay ** (K - 1 - k)`, as Bao et al. 2021 (arXiv:2106.08254)
    fine-tune transformers. Parameters at rest are left out. Each group holds `names` beside what
    optimizers read.

    >>> import rushlight as rl
    >>> model = rl.models.create_model("resnet18", num_classes=3)
    >>> groups = rl.models.parameter_groups(model, 0.1, weight_decay=0.01, layer_decay=0.5)
    >>> groups[-1]["names"], groups[-1]["lr"]
    (['fc.bias'], 0.1)
    >>> groups[0]["names"], groups[0]["lr"] < 1e-3
    (['conv1.weight'], True)
    """
    if not 0.0 < layer_decay <= 1.0:
        raise ValueError(f"layer_decay must lie in (0, 1], got {layer_decay}")
    parameters = dict(model.named_parameters())
    layers = layers_of(model)
    groups: list[dict[str, Any]] = []
    for depth, names in enumerate(layers):
        rate = lr * layer_decay ** (len(layers) - 1 - depth)
        learning = [name for name in names if parameters[name].requires_grad]
        for decayed in (True, False):
            chosen = [n for n in learning if _decays(n, parameters[n]) is decayed]
            if chosen:
                groups.append(
                    {
                        "params": [parameters[name] for name in chosen],
                        "names": chosen,
                        "lr": rate,
                        "weight_decay": weight_decay if decayed else 0.0,
                    }
                )
    return groups


def _decays(name: str, parameter: Tensor) -> bool:
    """Whether weight decay is meant for a parameter: matrices, but no tokens and positions."""
    return parameter.ndim > 1 and name.endswith("weight")
