"""Grad modes: whether operations are put on the tape. Per thread, as PyTorch's."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any


class _Mode(threading.local):
    """The modes of this thread; the class attributes are what a new thread starts with."""

    grad = True
    inference = False
    saved_hooks: tuple = ()
    hooks_refused: str | None = None  # why saved-tensor hooks cannot be set now
    walk: Any = None  # the backward walk that is going on
    levels: tuple = ()  # the vmaps that are being run, outermost first (tensor/batching.py)
    forward = 0  # how many forward-mode derivatives are being taken (autograd/forward.py)


MODE = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations are being put on the tape, as `torch.is_grad_enabled`."""
    return MODE.grad


def is_inference_mode_enabled() -> bool:
    """Whether inference mode is on, as `torch.is_inference_mode_enabled`."""
    return MODE.inference


class _ModeContext:
    """A context manager that is also a decorator (for functions, generators and classes'
    methods).
    """

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return wrapped

    def clone(self) -> _ModeContext:
        return self.__class__()

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(self, *exception: object) -> None:
        raise NotImplementedError


class _GradContext(_ModeContext):
    value = True

    def __init__(self) -> None:
        self.before: list[bool] = []

    def __new__(cls, function: Callable | None = None) -> Any:
        if function is not None and callable(function):  # @no_grad without parentheses
            return cls()(function)
        return super().__new__(cls)

    def __enter__(self) -> None:
        self.before.append(MODE.grad)
        MODE.grad = self.value

    def __exit__(self, *exception: object) -> None:
        MODE.grad = self.before.pop()


class no_grad(_GradContext):
    """Nothing recorded inside is put on the tape, as `torch.no_grad`.

    >>> import rushlight as rl
    >>> x = rl.ones(2, requires_grad=True)
    >>> with rl.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    value = False


class enable_grad(_GradContext):
    """The tape is on inside, whatever it was outside, as `torch.enable_grad`."""

    value = True


class set_grad_enabled(_ModeContext):
    """Set the grad mode, at once and for a `with` block, as `torch.set_grad_enabled`."""

    def __init__(self, mode: bool) -> None:
        self.before = MODE.grad
        self.mode = bool(mode)
        MODE.grad = self.mode

    def __call__(self, function: Callable) -> Callable:
        MODE.grad = self.before
        return super().__call__(function)

    def clone(self) -> set_grad_enabled:
        return set_grad_enabled(self.mode)

    def __enter__(self) -> None:
        MODE.grad = self.mode

    def __exit__(self, *exception: object) -> None:
        MODE.grad = self.before


class inference_mode(_ModeContext):
    """No tape, and results that can never be put on one, as `torch.inference_mode`."""

    def __new__(cls, mode: Any = True) -> Any:
        if callable(mode):
            return cls()(mode)
        return super().__new__(cls)

    def __init__(self, mode: bool = True) -> None:
        self.mode = bool(mode)
        self.before: list[tuple[bool, bool]] = []

    def clone(self) -> inference_mode:
        return inference_mode(self.mode)

    def __enter__(self) -> None:
        self.before.append((MODE.grad, MODE.inference))
        MODE.inference = self.mode
        if self.mode:
            MODE.grad = False

    def __exit__(self, *exception: object) -> None:
        MODE.grad, MODE.inference = self.before.pop()
