"""Which modules of a model are wrapped one by one: policies.

In: a model, a policy. Out: the model, some of its modules wrapped in place. Invariant: a policy
sees a module after its children, with the number of elements that no wrapper inside holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rushlight import nn

__all__ = [
    "ModuleWrapPolicy",
    "always_wrap_policy",
    "enable_wrap",
    "lambda_auto_wrap_policy",
    "size_based_auto_wrap_policy",
    "transformer_auto_wrap_policy",
    "wrap",
]


def always_wrap_policy(*args: Any, **kwargs: Any) -> bool:
    """Wrap every module."""
    return True


def lambda_auto_wrap_policy(
    module: nn.Module, recurse: bool, nonwrapped_numel: int, lambda_fn: Callable[[nn.Module], bool]
) -> bool:
    """Wrap modules for which a function holds."""
    return recurse or lambda_fn(module)


def transformer_auto_wrap_policy(
    module: nn.Module,
    recurse: bool,
    nonwrapped_numel: int,
    transformer_layer_cls: Iterable[type[nn.Module]],
) -> bool:
    """Wrap modules of some classes: a transformer's layers."""
    return recurse or isinstance(module, tuple(transformer_layer_cls))


def size_based_auto_wrap_policy(
    module: nn.Module,
    recurse: bool,
    nonwrapped_numel: int,
    min_num_params: int = int(1e8),
    force_leaf_modules: set[type[nn.Module]] | None = None,
    exclude_wrap_modules: set[type[nn.Module]] | None = None,
) -> bool:
    """Wrap modules that hold at least so many elements outside other wrappers."""
    whole = {nn.MultiheadAttention} if force_leaf_modules is None else force_leaf_modules
    never = {nn.ModuleList, nn.ModuleDict} if exclude_wrap_modules is None else exclude_wrap_modules
    large = nonwrapped_numel >= min_num_params
    if recurse:
        return large and not isinstance(module, tuple(whole))
    return large and not isinstance(module, tuple(never))


class ModuleWrapPolicy:
    """Wrap modules of some classes."""

    def __init__(self, module_classes: Iterable[type[nn.Module]]) -> None:
        self._classes = tuple(module_classes)

    def __call__(
        self, module: nn.Module, recurse: bool, nonwrapped_numel: int = 0, **ignored: Any
    ) -> bool:
        return recurse or isinstance(module, self._classes)


def wrap_children(
    module: nn.Module, policy: Any, ignored: set[nn.Module], settings: dict[str, Any]
) -> int:
    """Wrap a module's descendants as a policy says; the number of elements that they then hold."""
    from .fully_sharded_data_parallel import FullyShardedDataParallel

    total = sum(p.numel() for p in module.parameters())
    if not policy(module=module, recurse=True, nonwrapped_numel=total):
        return 0
    wrapped = 0
    for name, child in list(module.named_children()):
        if child in ignored or isinstance(child, FullyShardedDataParallel):
            continue
        inside = wrap_children(child, policy, ignored, settings)
        own = sum(p.numel() for p in child.parameters()) - inside
        if policy(module=child, recurse=False, nonwrapped_numel=own):
            setattr(module, name, FullyShardedDataParallel(child, **settings))
            inside += own
        wrapped += inside
    return wrapped


_ENABLED: list[dict[str, Any]] = []


@contextmanager
def enable_wrap(*, wrapper_cls: Any, **wrapper_kwargs: Any) -> Iterator[None]:
    """Inside, `wrap(module)` wraps with that class and those arguments."""
    _ENABLED.append({"wrapper_cls": wrapper_cls, **wrapper_kwargs})
    try:
        yield
    finally:
        _ENABLED.pop()


def wrap(module: nn.Module, **overrides: Any) -> nn.Module:
    """The module wrapped as the `enable_wrap` around says; outside of any, the module."""
    if not _ENABLED:
        return module
    options = {**_ENABLED[-1], **overrides}
    made: nn.Module = options.pop("wrapper_cls")(module, **options)
    return made
