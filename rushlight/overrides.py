"""`torch.overrides`: what can be asked about objects that stand in for tensors.

In: objects. Out: answers. rushlight's functions do not look for `__torch_function__` in what they
are given. Invariant: the answers say so: no argument is ever handed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rushlight import Tensor

__all__ = ["has_torch_function", "is_tensor_like", "is_tensor_method_or_property"]

REFUSED = dict.fromkeys(
    ("TorchFunctionMode", "handle_torch_function", "wrap_torch_function"),
    "rushlight's functions do not hand calls to __torch_function__",
)


def __getattr__(name: str) -> Any:
    why = f": {REFUSED[name]}" if name in REFUSED else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{why}")


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether a function would hand these arguments to `__torch_function__`: False."""
    return False


def has_torch_function_unary(arg: Any) -> bool:
    """As `has_torch_function`, of one argument."""
    return False


def has_torch_function_variadic(*args: Any) -> bool:
    """As `has_torch_function`, of several."""
    return False


def is_tensor_like(inp: Any) -> bool:
    """Whether an object is a tensor, or has a `__torch_function__` by which it acts as one."""
    return isinstance(inp, Tensor) or hasattr(inp, "__torch_function__")


def is_tensor_method_or_property(func: Callable[..., Any]) -> bool:
    """Whether a function is found in the class Tensor."""
    name = getattr(func, "__name__", "")
    return getattr(Tensor, name, None) is func


def resolve_name(f: Any) -> str | None:
    """The dotted name under which a function of torch is known; None for other functions."""
    import rushlight

    name = getattr(f, "__name__", "")
    for owner, prefix in ((rushlight, "torch"), (Tensor, "torch.Tensor")):
        if name and getattr(owner, name, None) is f:
            return f"{prefix}.{name}"
    return None
