"""Plain values of Python's and NumPy's libraries that checkpoints carry beside tensors.

In: for reading, what a pickle gives to a name; for writing, a value. Out: the value; or the name
and the arguments with which pickles make it. Invariant: every reader checks the type of everything
it is given, and only builds. PyTorch reads these with `weights_only=False`.
"""

from __future__ import annotations

import argparse
import datetime
import pathlib
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy

__all__ = ["READERS", "WORDS", "Call", "Factory", "Word", "call_of", "set_state_of"]

# NumPy's dtypes without objects or fields: numbers, truth values, text and bytes.
_PLAIN_KINDS = "biufcSU"
_NATIVE = "<"


class Call(NamedTuple):
    """How a value is written: a name called with arguments, and what is then set as its state."""

    module: str
    name: str
    arguments: tuple[Any, ...]
    state: Any = None


class Factory(NamedTuple):
    """What makes the missing items of a defaultdict; only its name is ever read or written."""

    make: Any


_FACTORIES: tuple[type, ...] = (list, dict, int, float, str, bool, tuple)
# In the other direction `set` joins them: as a name it is read as what makes sets.
_FACTORY_NAMES = {None, set, *_FACTORIES}


def _typed(values: tuple[Any, ...], kinds: tuple[Any, ...], what: str) -> None:
    if len(values) > len(kinds) or not all(
        type(value) in (kind if isinstance(kind, tuple) else (kind,))
        for value, kind in zip(values, kinds)
    ):
        shown = ", ".join(type(value).__name__ for value in values[:8])
        raise TypeError(f"{what} made from ({shown})")


# ---- Python's


_BOUND = (int, type(None), float, str)


def _slice(*bounds: Any) -> slice:
    _typed(bounds, (_BOUND,) * 3, "a slice")
    return slice(*bounds)


def _range(*bounds: Any) -> range:
    _typed(bounds, (int,) * 3, "a range")
    return range(*bounds)


def _path(*parts: Any) -> pathlib.Path:
    _typed(parts, (str,) * len(parts), "a path")
    return pathlib.Path(*parts)


def _date(*fields: Any) -> datetime.date:
    _typed(fields, (bytes,), "a date")
    return datetime.date(*fields)


def _datetime(*fields: Any) -> datetime.datetime:
    _typed(fields, (bytes,), "a datetime")
    return datetime.datetime(*fields)


def _timedelta(*fields: Any) -> datetime.timedelta:
    _typed(fields, (int,) * 3, "a timedelta")
    return datetime.timedelta(*fields)


# ---- NumPy's


class Word:
    """`numpy.ndarray` in a pickle, which only says what to make."""


ARRAY = Word()


def _is_plain(kind: Any) -> bool:
    """Whether arrays of this dtype are plain bytes in the machine's order."""
    return (
        isinstance(kind, numpy.dtype)
        and kind.kind in _PLAIN_KINDS
        and kind.itemsize > 0
        and kind.isnative
    )


def _dtype(code: Any, align: Any = False, copy: Any = True) -> numpy.dtype[Any]:
    _typed((code, align, copy), (str, (bool, int), (bool, int)), "a NumPy dtype")
    if not 2 <= len(code) <= 8 or code[0] not in _PLAIN_KINDS or not code[1:].isdigit():
        raise ValueError(f"the NumPy dtype {code[:20]!r} is not of plain numbers or text")
    return numpy.dtype(code)


def _scalar(kind: Any, content: Any) -> Any:
    if not _is_plain(kind) or type(content) is not bytes or len(content) != kind.itemsize:
        raise TypeError("a NumPy scalar is made from a plain dtype and its bytes")
    return numpy.frombuffer(content, kind)[0]


def _array(kind: Any, shape: Any, content: Any) -> numpy.ndarray[Any, Any]:
    if kind is not ARRAY or shape != (0,) or content != b"b":
        raise TypeError("a NumPy array is made empty, and given its state afterwards")
    return numpy.empty(0, numpy.int8)


def _set_array_state(target: numpy.ndarray[Any, Any], state: Any) -> None:
    """Give an array that `_array` made its dtype, shape and bytes; all three must agree."""
    if type(state) is not tuple or len(state) != 5:
        raise TypeError("the state of a NumPy array is a tuple of five")
    version, shape, kind, fortran, content = state
    _typed((version, shape, fortran, content), (int, tuple, (bool, int), bytes), "a NumPy array")
    _check_array(kind, shape, content)
    target.__setstate__((version, shape, kind, bool(fortran), content))  # type: ignore[arg-type]


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> numpy.ndarray[Any, Any]:
    """How pickles of protocol 5 make arrays."""
    _typed((content, shape, order), ((bytes, bytearray), tuple, str), "a NumPy array")
    if order not in ("C", "F"):
        raise ValueError("a NumPy array in an unknown order")
    _check_array(kind, shape, content)
    return numpy.frombuffer(content, kind).reshape(shape, order=order).copy(order)


def _check_array(kind: Any, shape: tuple[Any, ...], content: bytes | bytearray) -> None:
    if not _is_plain(kind) or len(shape) > 32:
        raise TypeError("a NumPy array of a dtype or rank that no plain array has")
    count = 1
    for extent in shape:
        if type(extent) is not int or not 0 <= extent < 1 << 62:
            raise ValueError("the shape of a NumPy array is a tuple of natural numbers")
        count *= extent
    if count * kind.itemsize != len(content):
        raise ValueError(f"a NumPy array of {count} elements has {len(content)} bytes")


def _check_dtype_state(state: Any) -> None:
    """What NumPy notes on a dtype must be what it is: the machine's order of bytes, no fields."""
    if type(state) is not tuple or len(state) < 5 or state[1] not in (_NATIVE, "|"):
        raise ValueError("a NumPy dtype of the other byte order, or with fields")
    if any(part is not None for part in state[2:5]):
        raise ValueError("a NumPy dtype with fields")


def set_state_of(target: Any, state: Any) -> bool:
    """Give an array or a NumPy dtype its state; False for anything else."""
    if type(target) is numpy.ndarray:
        _set_array_state(target, state)
    elif isinstance(target, numpy.dtype):
        _check_dtype_state(state)
    else:
        return False
    return True


_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_PATH_MODULES = ("pathlib", "pathlib._local")

# What a name in a pickle does, by module and name.
READERS: dict[tuple[str, str], Callable[..., Any]] = {
    ("builtins", "slice"): _slice,
    ("builtins", "xrange"): _range,
    ("builtins", "range"): _range,
    ("datetime", "date"): _date,
    ("datetime", "datetime"): _datetime,
    ("datetime", "timedelta"): _timedelta,
    ("numpy", "dtype"): _dtype,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    **{(module, "scalar"): _scalar for module in _ARRAY_MODULES},
    **{(module, "_reconstruct"): _array for module in _ARRAY_MODULES},
    **{
        (module, name): _path
        for module in _PATH_MODULES
        for name in ("Path", "PosixPath", "WindowsPath")
    },
}
# What a name stands for that is given to one of them.
WORDS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): ARRAY,
    **{("builtins", made.__name__): Factory(made) for made in _FACTORIES},
}


# ---- writing


def _write_dtype(kind: numpy.dtype[Any]) -> Call:
    if not _is_plain(kind):
        raise TypeError(f"save: arrays of the NumPy dtype {kind} cannot be saved")
    _, arguments, state = cast(tuple[Any, Any, Any], kind.__reduce__())
    return Call("numpy", "dtype", arguments, state)


def _write_array(array: numpy.ndarray[Any, Any]) -> Call:
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    content = array.tobytes("F" if fortran else "C")
    state = (1, array.shape, array.dtype, bool(fortran), content)
    return Call("numpy._core.multiarray", "_reconstruct", (ARRAY, (0,), b"b"), state)


def _write_scalar(value: Any) -> Call:
    """A NumPy scalar, of whatever number type."""
    return Call("numpy._core.multiarray", "scalar", (value.dtype, value.tobytes()))


def _write_datetime(value: datetime.datetime) -> Call:
    if value.tzinfo is not None:
        raise TypeError("save: a datetime with a time zone cannot be saved; save its isoformat()")
    return Call("datetime", "datetime", cast(tuple[Any, ...], value.__reduce_ex__(2))[1])


def _write_namespace(value: argparse.Namespace) -> Call:
    return Call("argparse", "Namespace", (), vars(value))


def _write_default_dict(value: defaultdict[Any, Any]) -> Call:
    if value.default_factory not in _FACTORY_NAMES:
        raise TypeError(
            f"save: a defaultdict of {value.default_factory} cannot be saved; save dict(value)"
        )
    return Call("collections", "defaultdict", (value.default_factory,))


def call_of(value: Any) -> Call | None:
    """How to write a value; None for one that is not of this module's kinds."""
    if isinstance(value, numpy.generic):
        return _write_scalar(value)
    if isinstance(value, numpy.dtype):
        return _write_dtype(value)
    write = _CALLS.get(type(value))
    return None if write is None else write(value)


# How values are written, by their exact type.
_CALLS: dict[type, Callable[[Any], Call]] = {
    slice: lambda value: Call("__builtin__", "slice", (value.start, value.stop, value.step)),
    range: lambda value: Call("__builtin__", "xrange", (value.start, value.stop, value.step)),
    datetime.date: lambda value: Call("datetime", "date", value.__reduce_ex__(2)[1]),
    datetime.datetime: _write_datetime,
    datetime.timedelta: lambda value: Call("datetime", "timedelta", value.__reduce__()[1]),
    type(pathlib.Path()): lambda value: Call("pathlib", type(value).__name__, value.parts),
    numpy.ndarray: _write_array,
    argparse.Namespace: _write_namespace,
    defaultdict: _write_default_dict,
}
