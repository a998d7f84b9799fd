"""Conditions that a program states: `torch._assert`, `torch._check` and their siblings.

In: a condition and a message. Out: nothing, or an error of the kind that the function names.
Invariant: a message given as a function is made only when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tensor import Tensor


def _make(name: str, kind: type[Exception]) -> Callable[..., None]:
    def check(cond: Any, message: Callable[[], Any] | None = None) -> None:
        if not isinstance(cond, bool):
            raise TypeError(f"cond must be a bool, but got {type(cond)}")
        if cond:
            return
        if message is None:
            raise kind("Expected cond to be True, but got False.")
        if not callable(message):
            raise TypeError("message must be a callable")
        raise kind(str(message()))

    check.__name__ = check.__qualname__ = name
    check.__doc__ = f"{kind.__name__}, with the text that `message()` gives, unless `cond`."
    return check


def _check_with(error_type: type[Exception], cond: bool, message: Callable[[], Any]) -> None:
    """An error of that type, with the text that `message()` gives, unless `cond`."""
    _make("_check_with", error_type)(cond, message)


def _check_is_size(i: int, message: Callable[[], Any] | None = None, **ignored: Any) -> None:
    """RuntimeError unless a number can be a size."""
    if i < 0:
        raise RuntimeError(str(message()) if message else f"expected a size, got {i}")


def _check_tensor_all(cond: Tensor, message: Callable[[], Any] | None = None) -> None:
    """RuntimeError unless every element of a boolean tensor is True."""
    if not bool(cond.all()):
        raise RuntimeError(str(message()) if message else "Expected all elements to be True.")


def _assert(condition: Any, message: str) -> None:
    """AssertionError with a message, unless the condition holds."""
    assert condition, message


def _assert_async(
    input: Tensor, assert_msg: str = "Expected Tensor with single nonzero value, but got zero"
) -> None:
    """RuntimeError unless the only element of a tensor is true, or not zero.

    It is raised at the call: the value is computed for it.
    """
    if not bool(input):
        raise RuntimeError(assert_msg)


FUNCTIONS = (
    _make("_check", RuntimeError),
    _make("_check_index", IndexError),
    _make("_check_value", ValueError),
    _make("_check_type", TypeError),
    _make("_check_not_implemented", NotImplementedError),
    _check_with,
    _check_is_size,
    _check_tensor_all,
    _assert,
    _assert_async,
)
