"""Arguments of a wrong kind or size, found out when a function first uses them.

In: a call that failed with AttributeError, such as `torch.svd("text")`, whose first line asks for
`input.ndim`, or with NumPy's MemoryError. Out: the TypeError that PyTorch raises, which names the
argument, or OutOfMemoryError, which is a RuntimeError too. Invariant: a call that succeeds pays
nothing: functions do not look at the types of what they are given.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from ..base.errors import OutOfMemoryError
from ..base.names import parameter_names, renamed
from .overriding import ARMED, NOT_HANDED, Late, handed


def refused(
    function: Callable, args: tuple, kwargs: dict[str, Any], error: AttributeError | MemoryError
) -> Exception:
    """What to raise instead of a MemoryError, or of an AttributeError about one of the arguments
    or a part of one; where it is about anything else, that error.
    """
    if isinstance(error, OutOfMemoryError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemoryError(f"{function.__name__}(): not enough memory. {error}")
    for position, (name, value) in enumerate(_named(function, args, kwargs).items(), start=1):
        if value is error.obj:
            part = ""
        elif isinstance(value, (list, tuple)) and any(x is error.obj for x in value):
            part = "element of "
        else:
            continue
        return TypeError(
            f"{function.__name__}(): {part}argument '{name}' (position {position}) must be "
            f"{'Tensor' if part else _wanted(function, name)}, not {type(error.obj).__name__}"
        )
    return error


def refusing(function: Callable, into: Callable | None = None) -> Callable:
    """The function as it is offered to people: NumPy's names of its parameters are taken too,
    arguments of a wrong kind or size refused by name. `into(function, args, kwargs)` is called
    where `out` is among the keywords.
    """
    if not hasattr(function, "__code__"):
        return function
    names = parameter_names(function)

    @wraps(function)
    def careful(*args: Any, **kwargs: Any) -> Any:
        if ARMED:
            result = handed(careful, args, kwargs)
            if result is not NOT_HANDED:
                return result
        try:
            if kwargs:
                kwargs = renamed(names, kwargs)
                if into is not None and "out" in kwargs:
                    return into(function, args, kwargs)
                return function(*args, **kwargs)
            return function(*args)
        except Late:
            return handed(careful, args, kwargs)
        except (AttributeError, MemoryError) as error:
            # An object that is no tensor shows only here that its class takes calls.
            result = NOT_HANDED if ARMED else handed(careful, args, kwargs)
            if result is not NOT_HANDED:
                return result
            raise refused(function, args, kwargs, error) from None

    return careful


def _named(function: Callable, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by the names of the parameters."""
    found: dict[str, Any] = {}
    if "out" in kwargs and "out" not in parameter_names(function):
        kwargs = {name: value for name, value in kwargs.items() if name != "out"}
    for name, value in inspect.signature(function).bind(*args, **kwargs).arguments.items():
        if isinstance(value, tuple) and name in ("args", "operands", "tensors"):
            found.update({f"{name}[{k}]": part for k, part in enumerate(value)})
        else:
            found[name] = value
    return found


def _wanted(function: Callable, name: str) -> str:
    """What a parameter is annotated with, in words."""
    annotation = getattr(function, "__annotations__", {}).get(name, "Any")
    return str(annotation) if annotation not in ("Any", Any) else "Tensor"
