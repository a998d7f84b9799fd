"""PyTorch's switches for the whole process: deterministic algorithms, precision of products.

In: what a program asks for. Out: what it has asked for. The engine's results are the same bits in
every run and for any number of threads, and it computes float32 in float32, so each of these is
fulfilled however it is set. Invariant: what was set is what is read.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "are_deterministic_algorithms_enabled",
    "get_deterministic_debug_mode",
    "get_float32_matmul_precision",
    "is_deterministic_algorithms_warn_only_enabled",
    "set_deterministic_debug_mode",
    "set_float32_matmul_precision",
    "use_deterministic_algorithms",
]

_DEBUG_MODES = ("default", "warn", "error")
_PRECISIONS = ("highest", "high", "medium")


class _State:
    """What has been asked for."""

    deterministic = False
    warn_only = False
    precision = "highest"


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for algorithms that give the same bits in every run: the engine has no others."""
    _State.deterministic, _State.warn_only = bool(mode), bool(warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """Whether deterministic algorithms have been asked for."""
    return _State.deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether a warning was asked for, rather than an error, where there is no such algorithm."""
    return _State.warn_only


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """The same request as a number or word: 0 `default`, 1 `warn`, 2 `error`.

    Errors: TypeError for another type, RuntimeError for another value.
    """
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    known: dict[Any, int] = {word: number for number, word in enumerate(_DEBUG_MODES)}
    number = debug_mode if isinstance(debug_mode, int) else known.get(debug_mode, -1)
    if number not in known.values():
        raise RuntimeError(
            f"invalid value of debug_mode, expected 0, 1 or 2 (one of {_DEBUG_MODES}), "
            f"but got {debug_mode!r}"
        )
    use_deterministic_algorithms(number > 0, warn_only=number == 1)


def get_deterministic_debug_mode() -> int:
    """The request as a number."""
    return 0 if not _State.deterministic else 1 if _State.warn_only else 2


def set_float32_matmul_precision(precision: str) -> None:
    """How exact products of float32 matrices must be at least: `highest`, `high` or `medium`.

    They are computed in float32, the highest, whatever is asked for.
    Errors: RuntimeError for another word.
    """
    if precision not in _PRECISIONS:
        raise RuntimeError(
            f"{precision!r} is not one of the float32 precisions {', '.join(_PRECISIONS)}"
        )
    _State.precision = precision


def get_float32_matmul_precision() -> str:
    """The precision that has been asked for."""
    return _State.precision
