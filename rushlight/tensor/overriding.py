"""`__torch_function__`: handing a call to the class of one of its arguments, or to a mode.

In: calls of public functions, methods of Tensor and functions of nn.functional. Out: what the
first class among the arguments that takes the call gives, or the function's own result. Invariants:
until somebody defines a class of tensors of their own, enters a mode, or passes an object that is
no tensor, nothing is looked at and nothing costs; inside a call that was handed on, calls of the
library to itself are not handed on again.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper, wraps
from types import FunctionType
from typing import Any

from ..ops.registry import Op
from .tensor import Tensor

NOT_HANDED = object()  # the call is the function's own affair
# Whether arguments are looked at: set for good by `arm`. A list, so that all see one cell.
ARMED: list[bool] = []
# Results that stay as they are: what asks about a tensor, and what leaves the library.
_KEPT = frozenset({"as_subclass", "__hash__", "__reduce_ex__", "__deepcopy__", "__setstate__"})
_OPERATORS = """
    __bool__ __float__ __int__ __complex__ __index__ __len__ __iter__ __contains__ __getitem__
    __setitem__ __repr__ __format__ __invert__ __pos__ __neg__ __abs__
""".split()  # noqa: SIM905
_PROPERTIES = ("T", "mT", "H", "mH", "real", "imag")


class _State(threading.local):
    """Of this thread: blocks that hand nothing to classes, and the modes that are entered."""

    closed = 0
    closed_to_modes = 0

    def __init__(self) -> None:
        self.modes: list[Any] = []


STATE = _State()
_HANDLERS: dict[type, bool] = {}
_OFFERED: list[Any] = []


def disabled(func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
    """A `__torch_function__` that takes no call: the class is handled as a Tensor."""
    with closed():
        return func(*args, **(kwargs or {}))


@contextmanager
def closed(modes: bool = False) -> Iterator[None]:
    """Inside, no call is handed to a class, with `modes` none to a mode either."""
    STATE.closed += 1
    STATE.closed_to_modes += modes
    try:
        yield
    finally:
        STATE.closed -= 1
        STATE.closed_to_modes -= modes


def _takes_calls(kind: type) -> bool:
    """Whether a class has a `__torch_function__` of its own."""
    found = _HANDLERS.get(kind)
    if found is None:
        handler = getattr(kind, "__torch_function__", None)
        found = kind is not Tensor and handler is not None and handler is not disabled
        _HANDLERS[kind] = found
    return found


def taking(values: Any) -> list[Any]:
    """The arguments whose classes take calls, one of each class, subclasses before their bases."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, (list, tuple)):
            for inner in taking(value):
                _insert(found, inner)
        elif _takes_calls(value.__class__):
            _insert(found, value)
    return found


def _insert(found: list[Any], value: Any) -> None:
    kind = type(value)
    if any(type(other) is kind for other in found):
        return
    place = next((k for k, x in enumerate(found) if issubclass(kind, type(x))), len(found))
    found.insert(place, value)


def handed(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What a mode or a class makes of a call; NOT_HANDED where none is asked.

    TypeError: all that were asked declined.
    """
    if STATE.modes and not STATE.closed_to_modes:
        return _to_mode(function, args, kwargs)
    if STATE.closed:
        return NOT_HANDED
    found = taking((*args, *kwargs.values()))
    if not found:
        return NOT_HANDED
    arm()
    return _to_classes(function, found, args, kwargs)


class Late(Exception):
    """An object that takes calls was met by a row inside a public function: ask it from there."""


def met(row: Op, args: tuple) -> Any:
    """A row has met an argument that is no tensor: as `handed`, with the name that the program
    called if that is a function around the row.
    """
    if ARMED or not taking(args):
        return NOT_HANDED
    arm()
    frame, outermost = sys._getframe(1), ""
    while frame is not None and frame.f_globals.get("__name__", "").startswith("rushlight."):
        outermost, frame = frame.f_code.co_name, frame.f_back  # type: ignore[assignment]
    if outermost == "careful":
        raise Late
    return handed(row, row.given(args), {})


def hand(function: Callable, relevant: tuple, args: tuple, kwargs: dict[str, Any]) -> Any:
    """As `handed`, asking the classes of `relevant` only; TypeError where none takes the call."""
    if STATE.modes and not STATE.closed_to_modes:
        return _to_mode(function, args, kwargs)
    return _to_classes(function, taking(relevant), args, kwargs)


def _to_mode(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    mode = STATE.modes.pop()
    try:
        types = tuple(type(value) for value in taking((*args, *kwargs.values())))
        result = mode.__torch_function__(function, types, args, kwargs)
    finally:
        STATE.modes.append(mode)
    if result is NotImplemented:
        raise TypeError(f"{_named(function)}: the mode {mode!r} declined the call")
    return result


def _to_classes(function: Callable, found: list[Any], args: tuple, kwargs: dict) -> Any:
    types = tuple(type(value) for value in found)
    for value in found:
        result = value.__torch_function__(function, types, args, kwargs)
        if result is not NotImplemented:
            return result
    raise TypeError(
        f"Multiple dispatch failed for '{_named(function)}', no implementation found: all "
        f"__torch_function__ handlers returned NotImplemented: {list(types)}"
    )


def _named(function: Callable) -> str:
    return f"torch.{getattr(function, '__name__', function)}"


def converted(value: Any, cls: type) -> Any:
    """The tensors of a result as tensors of a class."""
    if isinstance(value, Tensor):
        return value if isinstance(value, cls) else value.as_subclass(cls)
    if isinstance(value, (tuple, list)) and any(isinstance(each, Tensor) for each in value):
        return type(value)([converted(each, cls) for each in value])
    return value


def _by_default(
    cls: type, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
) -> Any:
    """The `__torch_function__` that subclasses inherit: the function's result, its tensors as
    tensors of the subclass.
    """
    if not all(issubclass(cls, kind) for kind in types):
        return NotImplemented
    with closed():
        result = func(*args, **(kwargs or {}))
    return converted(result, cls)


def _new_subclass(cls: type, arms: bool = True) -> None:
    """Called for each new subclass of Tensor; with `arms=False` its objects are to call `arm`."""
    if _takes_calls(cls) and arms:
        arm()


def arm() -> None:
    """From now on calls look at their arguments' classes and at the modes."""
    if ARMED:
        return
    from . import catalog, install

    install.settle()
    _wrap_rows()
    named = install.named_operators()
    for name in (*vars(Tensor), *catalog.METHODS):
        _wrap_method(name, named)
    for name in _PROPERTIES:
        getter = handing(vars(Tensor)[name].fget, "__get__")
        setattr(Tensor, name, property(getter))
    ARMED.append(True)
    for module in _OFFERED:
        offer(module)


def offer(module: Any) -> None:
    """Let the Python functions that a module offers look at their arguments once that is armed."""
    if not ARMED:
        _OFFERED.append(module)
        return
    own = module.__name__
    for name, function in list(vars(module).items()):
        if isinstance(function, FunctionType) and function.__module__.startswith(own):
            setattr(module, name, Asked(function))


def _wrap_rows() -> None:
    plain = Op.__call__

    def call(self: Op, *args: Any, **kwargs: Any) -> Any:
        result = handed(self, args, kwargs)
        return plain(self, *args, **kwargs) if result is NOT_HANDED else result

    Op.__call__ = call  # type: ignore[method-assign]


def _wrap_method(name: str, named: dict[str, str]) -> None:
    public = not name.startswith("_") or name in _OPERATORS or name in named
    if not public or name in _KEPT:
        return
    function = getattr(Tensor, name)
    if isinstance(function, FunctionType):
        setattr(Tensor, name, handing(function, name, named.get(name, name)))


class Asked:
    """A function of a module that looks at its arguments first.

    It equals the function, so that a table of functions made before `arm` finds it.
    """

    def __init__(self, function: Callable) -> None:
        update_wrapper(self, function)
        self.__wrapped__ = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = handed(self, args, kwargs)
        return self.__wrapped__(*args, **kwargs) if result is NOT_HANDED else result

    def __eq__(self, other: object) -> bool:
        return self.__wrapped__ is getattr(other, "__wrapped__", other) or self is other

    def __hash__(self) -> int:
        return hash(self.__wrapped__)


def handing(function: Callable, name: str, method: str = "") -> Callable:
    """A function that looks at its arguments first; it is handed on as itself, or as the method
    of Tensor that an operator stands for.
    """

    @wraps(function)
    def asked(*args: Any, **kwargs: Any) -> Any:
        result = handed(getattr(Tensor, method) if method else asked, args, kwargs)
        return function(*args, **kwargs) if result is NOT_HANDED else result

    asked.__name__ = name
    return asked


Tensor.__torch_function__ = classmethod(_by_default)  # type: ignore[attr-defined]
Tensor.__init_subclass__ = classmethod(_new_subclass)  # type: ignore[assignment]
