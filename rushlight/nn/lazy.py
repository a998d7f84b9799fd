"""Modules that find out the sizes of their parameters at the first forward call.

In: a module whose parameters are `UninitializedParameter`s. Out: after the first call, the
ordinary module of class `cls_to_become`.
Invariant: once initialised, nothing of the laziness is left: neither class nor hooks.
"""

from __future__ import annotations

import itertools
from typing import Any

from rushlight.nn.parameter import is_lazy


class LazyModuleMixin:
    """Mixed in before the ordinary module class; see `LazyLinear`.

    A subclass sets `cls_to_become` and defines `initialize_parameters(*args, **kwargs)`, which
    gets the arguments of the first forward call.
    """

    cls_to_become: type | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(
            _initialize_before_forward, with_kwargs=True
        )
        import warnings

        warnings.warn(
            "Lazy modules are a new feature under heavy development so changes to the API or "
            "functionality can happen at any moment.",
            stacklevel=3,
        )

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give every parameter its shape, seeing the first input."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer still lacks its shape."""
        tensors = itertools.chain(self._parameters.values(), self._buffers.values())
        return any(is_lazy(tensor) for tensor in tensors)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        # What has no shape cannot be detached; it is saved as it is.
        for name, tensor in self._own_state().items():
            keep = is_lazy(tensor) or keep_vars
            destination[prefix + name] = tensor if keep else tensor.detach()

    def _lazy_load_hook(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take the shapes from a state_dict that has them."""
        for name, tensor in self._own_state().items():
            given = state_dict.get(prefix + name)
            if is_lazy(tensor) and given is not None and not is_lazy(given):
                tensor.materialize(tuple(given.shape))

    def _infer_parameters(
        self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None
    ) -> None:
        """Initialise from the arguments of the first call, and become the ordinary class."""
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {module._get_name()} has not been fully initialized")
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook, module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become


def _initialize_before_forward(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    module._infer_parameters(module, args, kwargs)
