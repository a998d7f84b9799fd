"""`torch.jit`, where Python itself is what runs.

In: functions, classes and modules that PyTorch would compile. Out: the same. The engine records
what Python does and compiles that, so a scripted function and the function are one: `script`
returns it. Invariants: `is_scripting` and `is_tracing` are False, so code takes the branch written
for Python; nothing here serialises a program (`save` and `load` of TorchScript files are refused).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeVar

import rushlight.jit.annotations  # the attribute `annotations` is that module, not the feature
from rushlight import nn

__all__ = [
    "Attribute",
    "Final",
    "ScriptFunction",
    "ScriptModule",
    "annotate",
    "export",
    "fork",
    "freeze",
    "ignore",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "optimize_for_inference",
    "script",
    "script_method",
    "trace",
    "trace_module",
    "unused",
    "wait",
]

T = TypeVar("T")
_isinstance = isinstance
REFUSED = {
    "save": "rushlight writes no TorchScript; save model.state_dict() with torch.save",
    "load": "rushlight runs no TorchScript files; load a state_dict with torch.load",
}


def __getattr__(name: str) -> Any:
    if name == "annotations":
        from importlib import import_module

        return import_module(f"{__name__}.annotations")
    why = f": {REFUSED[name]}" if name in REFUSED else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{why}")


class ScriptModule(nn.Module):
    """The base of modules written for TorchScript, as `torch.jit.ScriptModule`: a plain Module.

    `script` makes no instance of it, so `isinstance(x, torch.jit.ScriptModule)` tells the truth.
    """


class ScriptFunction:
    """The type of functions that TorchScript compiled: there are none."""

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("torch.jit.ScriptFunction: rushlight compiles no TorchScript functions")


def is_scripting() -> bool:
    """Whether this code is being compiled as TorchScript: False, Python runs it."""
    return False


def is_tracing() -> bool:
    """Whether this code is being traced: False. Recording by the engine is not tracing."""
    return False


def script(
    obj: T,
    optimize: Any = None,
    _frames_up: int = 0,
    _rcb: Any = None,
    example_inputs: Any = None,
) -> T:
    """Return `obj`, a function, class or module: the engine compiles what Python records.

    >>> import rushlight as rl
    >>> rl.jit.script(lambda x: x * 2)(rl.ones(2))
    tensor([2., 2.])
    """
    return obj


def trace(func: T, example_inputs: Any = None, *args: Any, **kwargs: Any) -> T:
    """Return `func`, after calling it on the example inputs as tracing would.

    A trace freezes the path that the example took; here every call takes its own.
    """
    if example_inputs is not None:
        inputs = example_inputs if _isinstance(example_inputs, (tuple, list)) else [example_inputs]
        func(*inputs)  # type: ignore[operator]
    return func


def trace_module(mod: T, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> T:
    """Return `mod`, after calling the named methods on their example inputs."""
    for method, example in inputs.items():
        trace(getattr(mod, method), example)
    return mod


def script_method(fn: T) -> T:
    """Return the method: Python runs it."""
    return fn


def export(fn: T) -> T:
    """Mark a method that TorchScript shall compile although nothing calls it: returned as it is."""
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Mark a function that TorchScript shall leave to Python, with or without parentheses: returned
    as it is.
    """
    if callable(drop):
        return drop
    return lambda fn: fn


def unused(fn: T) -> T:
    """Mark a function that TorchScript shall replace by an error: returned as it is."""
    return fn


def annotate(the_type: Any, the_value: T) -> T:
    """Tell TorchScript the type of a value: returned as it is."""
    return the_value


def Attribute(value: T, type: Any) -> T:
    """A value with the type that TorchScript shall take it for: the value."""
    return value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Whether an object is of a type, containers of types among them: by their origin."""
    from typing import get_origin

    types = target_type if _isinstance(target_type, (tuple, list)) else (target_type,)
    return _isinstance(obj, tuple(get_origin(t) or t for t in types))


def freeze(mod: T, *args: Any, **kwargs: Any) -> T:
    """Return the module, which must be in eval mode: parameters are constants of no program here.

    Errors: RuntimeError for a module in training mode.
    """
    if getattr(mod, "training", False):
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. "
            "Please call .eval() on your module before freezing."
        )
    return mod


def optimize_for_inference(mod: T, *args: Any, **kwargs: Any) -> T:
    """Return the module: the engine fuses what it records."""
    return mod


def fork(func: Callable[..., T], *args: Any, **kwargs: Any) -> Any:
    """Call a function, and return a future that holds its result (`torch.jit.fork`).

    The engine's work is recorded, not done, by the call, so there is nothing to run beside.
    """
    from rushlight.futures import Future

    future: Future[T] = Future()
    future.set_result(func(*args, **kwargs))
    return future


def wait(future: Any) -> Any:
    """The result of a future (`torch.jit.wait`)."""
    return future.wait()


@contextmanager
def optimized_execution(should_optimize: bool) -> Any:
    """A context in which TorchScript's optimisations are on or off: it has none here."""
    yield


def _overload(func: T) -> T:
    """Mark one signature of an overloaded function: Python runs the last definition."""
    return func


def _overload_method(func: T) -> T:
    """Mark one signature of an overloaded method: Python runs the last definition."""
    return func


def _script_if_tracing(fn: T) -> T:
    """Compile when called while tracing: nothing is ever traced."""
    return fn


script_if_tracing = _script_if_tracing
