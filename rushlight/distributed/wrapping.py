"""Modules around a module that do not show in its state.

In: a module. Out: one that is called instead. Invariants: `state_dict` and `load_state_dict` use
the inner module's own names; attributes that the wrapper lacks are the inner module's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from rushlight import nn

__all__ = ["TransparentWrapper"]


class TransparentWrapper(nn.Module):
    """A module around another, which is kept under the name `inner_name`."""

    inner_name: ClassVar[str]

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._modules[self.inner_name] = module
        self._register_state_dict_hook(_without_prefix)
        self.register_load_state_dict_pre_hook(_with_prefix)

    @property
    def inner(self) -> nn.Module:
        """The module inside."""
        return self._modules[self.inner_name]  # type: ignore[return-value]

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            inner = self.__dict__.get("_modules", {}).get(self.inner_name)
            if inner is None:  # not made yet
                raise
            return getattr(inner, name)

    def __getitem__(self, index: Any) -> Any:
        return self.inner[index]  # type: ignore[index]

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """The module's parameters by the names that it gives them."""
        for name, parameter in super().named_parameters(*args, **kwargs):
            yield name.replace(f"{self.inner_name}.", ""), parameter


def _without_prefix(
    module: TransparentWrapper, state: dict[str, Any], prefix: str, *rest: Any
) -> None:
    """After `state_dict`: the wrapper's part of the names goes."""
    inner = f"{prefix}{module.inner_name}."
    for key in [key for key in state if key.startswith(inner)]:
        state[prefix + key[len(inner) :]] = state.pop(key)


def _with_prefix(
    module: TransparentWrapper, state: dict[str, Any], prefix: str, *rest: Any
) -> None:
    """Before `load_state_dict`: the wrapper's part of the names comes back."""
    inner = f"{prefix}{module.inner_name}."
    for key in [key for key in state if key.startswith(prefix)]:
        if not key.startswith(inner):
            state[inner + key[len(prefix) :]] = state.pop(key)
