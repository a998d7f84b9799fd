"""`torch.overrides`: objects and modes that take calls of the library by `__torch_function__`.

In: classes with a `__torch_function__`, modes. Out: the calls, handed to them with the function as
the program named it. Invariants: `tensor/overriding.py` does the handing; here stands what PyTorch
calls its parts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any

from rushlight import Tensor
from rushlight.tensor import overriding

__all__ = [
    "TorchFunctionMode",
    "get_default_nowrap_functions",
    "handle_torch_function",
    "has_torch_function",
    "is_tensor_like",
    "is_tensor_method_or_property",
    "resolve_name",
    "wrap_torch_function",
]

disabled = overriding.disabled


def offer_functions(module: str) -> None:
    """Let the Python functions of a module be handed on, now or when the first class asks."""
    overriding.offer(sys.modules[module])


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether a function would hand these arguments to a `__torch_function__` or a mode.

    >>> import rushlight as rl
    >>> rl.overrides.has_torch_function((rl.ones(2),))
    False
    """
    state = overriding.STATE
    if state.modes and not state.closed_to_modes:
        return True
    return not state.closed and bool(overriding.taking(relevant_args))


def has_torch_function_unary(arg: Any) -> bool:
    """As `has_torch_function`, of one argument."""
    return has_torch_function((arg,))


def has_torch_function_variadic(*args: Any) -> bool:
    """As `has_torch_function`, of several."""
    return has_torch_function(args)


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """Hand a call of `public_api` to the first of `relevant_args`, or the mode, that takes it.

    Errors: TypeError where all decline.

    >>> import rushlight as rl
    >>> class Loud:
    ...     @classmethod
    ...     def __torch_function__(cls, func, types, args=(), kwargs=None):
    ...         return func.__name__ + "!"
    >>> def public(x):
    ...     return rl.overrides.handle_torch_function(public, (x,), x)
    >>> public(Loud())
    'public!'
    """
    return overriding.hand(public_api, tuple(relevant_args), args, kwargs)


def wrap_torch_function(
    dispatcher: Callable[..., Iterable[Any]],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that lets a function be taken by the arguments that `dispatcher` returns of
    each call.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def asked(*args: Any, **kwargs: Any) -> Any:
            relevant = tuple(dispatcher(*args, **kwargs))
            if has_torch_function(relevant):
                return handle_torch_function(asked, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return asked

    return decorate


class TorchFunctionMode:
    """A block in which every call is handed to `__torch_function__` of this object first.

    Inside that method the mode is off, so that `func(*args, **kwargs)` runs the function. Follows
    `torch.overrides.TorchFunctionMode`.

    >>> import rushlight as rl
    >>> class Names(rl.overrides.TorchFunctionMode):
    ...     def __torch_function__(self, func, types, args=(), kwargs=None):
    ...         print(func.__name__)
    ...         return func(*args, **(kwargs or {}))
    >>> x = rl.ones(2)
    >>> with Names():
    ...     y = x.sum()
    sum
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no __torch_function__")

    def __enter__(self) -> Any:
        overriding.arm()
        overriding.STATE.modes.append(self)
        return self

    def __exit__(self, *error: Any) -> None:
        overriding.STATE.modes.pop()


class BaseTorchFunctionMode(TorchFunctionMode):
    """A mode that changes nothing."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        return func(*args, **(kwargs or {}))


def DisableTorchFunctionSubclass() -> AbstractContextManager[None]:
    """Inside, no call is handed to a class; modes go on (`torch._C` has it by this name)."""
    return overriding.closed()


def DisableTorchFunction() -> AbstractContextManager[None]:
    """Inside, no call is handed on at all."""
    return overriding.closed(modes=True)


def get_default_nowrap_functions() -> set[Callable[..., Any]]:
    """Functions whose results the inherited `__torch_function__` leaves as they are: none, since
    attributes such as `grad` are not handed on.
    """
    return set()


def is_enabled() -> bool:
    """Whether calls are handed to the classes of their arguments here."""
    return not overriding.STATE.closed


def is_tensor_like(inp: Any) -> bool:
    """Whether an object is a tensor, or has a `__torch_function__` by which it acts as one."""
    return isinstance(inp, Tensor) or hasattr(type(inp), "__torch_function__")


def is_tensor_method_or_property(func: Callable[..., Any]) -> bool:
    """Whether a function is found in the class Tensor."""
    name = getattr(func, "__name__", "")
    return name == "__get__" or getattr(Tensor, name, None) is func


def resolve_name(f: Any) -> str | None:
    """The dotted name under which a function of torch is known; None for other functions."""
    import rushlight

    name = getattr(f, "__name__", "")
    places = (
        (rushlight, "torch"),
        (Tensor, "torch.Tensor"),
        (rushlight.nn.functional, "torch.nn.functional"),
    )
    for owner, prefix in places:
        if name and getattr(owner, name, None) is f:
            return f"{prefix}.{name}"
    return None
