"""The Python array API standard on rushlight, run in a process where `torch` is rushlight.

In: nothing. Out: one JSON object on stdout: `missing` (names of the standard that
`array_api_compat.torch` lacks here), `plain` (those that the top level lacks without it), `wrong`
(calls whose result is not the one of `array_api_strict`, an implementation over NumPy).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import array_api_strict as strict
import numpy as np

from rushlight.alias import install_as_torch

install_as_torch()

import array_api_compat  # noqa: E402 - it looks for torch when it is imported
import array_api_compat.torch as own  # noqa: E402

import rushlight  # noqa: E402

NUMBERS = np.array([[1.5, -2.25, 0.5], [3.0, 0.75, -1.0]], np.float32)
POSITIVE = np.abs(NUMBERS) + np.float32(0.1)
UNIT = NUMBERS / np.float32(4)
WHOLE = np.array([[7, -3, 2], [5, 4, -6]], np.int64)
BITS = np.array([[True, False, True], [False, False, True]])
SQUARE = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.25], [0.5, 0.25, 2.0]], np.float64)
REPEATS = np.array([3, 1, 3, 2, 1], np.int64)

_TABLES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    (
        """abs ceil cos cosh exp expm1 floor isfinite isinf isnan negative positive round sign
        signbit sin sinh square tan tanh trunc asinh atan""",
        (NUMBERS,),
    ),
    ("log log1p log2 log10 sqrt reciprocal", (POSITIVE,)),
    ("acos asin atanh", (UNIT,)),
    ("acosh", (POSITIVE + np.float32(1),)),
    (
        """add subtract multiply divide pow atan2 copysign hypot logaddexp maximum minimum equal
        not_equal less less_equal greater greater_equal floor_divide remainder nextafter""",
        (POSITIVE, POSITIVE[::-1].copy()),
    ),
    (
        """add subtract multiply floor_divide remainder bitwise_and bitwise_or bitwise_xor equal
        less maximum minimum""",
        (WHOLE, WHOLE[::-1].copy()),
    ),
    ("logical_and logical_or logical_xor", (BITS, BITS[::-1].copy())),
    ("logical_not bitwise_invert any all count_nonzero nonzero", (BITS,)),
    (
        """sum prod mean max min std var argmax argmin cumulative_sum sort argsort flip expand_dims
        matrix_transpose diff zeros_like ones_like squeeze""",
        (NUMBERS,),
    ),
    ("sum prod max min", (WHOLE,)),
    ("unique_values unique_counts unique_inverse unique_all", (REPEATS,)),
    ("matmul tensordot", (SQUARE, SQUARE)),
    ("vecdot", (NUMBERS, NUMBERS)),
    ("tril triu linalg.det linalg.inv linalg.cholesky linalg.eigvalsh linalg.slogdet", (SQUARE,)),
    ("linalg.matrix_norm linalg.vector_norm linalg.trace linalg.pinv linalg.svdvals", (SQUARE,)),
    ("linalg.matrix_rank", (SQUARE,)),
    ("linalg.solve linalg.outer", (SQUARE, SQUARE[0].copy())),
    ("fft.rfft fft.fftshift fft.ifftshift", (SQUARE,)),
    ("isin searchsorted", (np.sort(REPEATS), np.array([1, 3], np.int64))),
)
_DEFAULTS: dict[str, dict[str, Any]] = {
    "cumulative_sum": {"axis": 1},
    "expand_dims": {"axis": 1},
    "tensordot": {"axes": 1},
    "std": {"correction": 1.0},
    "linalg.outer": {},
}


def called() -> Iterator[tuple[str, Callable[[Any, Callable], Any]]]:
    """(what is called, call(namespace, array maker)) of every comparison."""
    for names, operands in _TABLES:
        for name in names.split():
            if name == "squeeze":
                yield name, lambda xp, make: xp.squeeze(make(NUMBERS[:1]), axis=0)
                continue
            given = operands if name != "linalg.outer" else (operands[1], operands[1])
            yield f"{name} {given[0].dtype}", _calling(name, given)
    yield from _FURTHER.items()


def _calling(name: str, operands: tuple[Any, ...]) -> Callable[[Any, Callable], Any]:
    def call(xp: Any, make: Callable) -> Any:
        function = xp
        for part in name.split("."):
            function = getattr(function, part)
        return function(*map(make, operands), **_DEFAULTS.get(name, {}))

    return call


_FURTHER: dict[str, Callable[[Any, Callable], Any]] = {
    "arange": lambda xp, make: xp.arange(1, 9, 2),
    "linspace": lambda xp, make: xp.linspace(0.0, 1.0, 5, endpoint=False),
    "eye": lambda xp, make: xp.eye(3, 4, k=1),
    "full": lambda xp, make: xp.full((2, 3), 7),
    "meshgrid": lambda xp, make: xp.meshgrid(xp.arange(2), xp.arange(3), indexing="ij"),
    "concat": lambda xp, make: xp.concat((make(WHOLE), make(WHOLE)), axis=1),
    "concat flat": lambda xp, make: xp.concat((make(WHOLE), make(WHOLE)), axis=None),
    "stack": lambda xp, make: xp.stack((make(WHOLE), make(WHOLE)), axis=-1),
    "permute_dims": lambda xp, make: xp.permute_dims(make(WHOLE), (1, 0)),
    "moveaxis": lambda xp, make: xp.moveaxis(make(WHOLE), 0, 1),
    "reshape": lambda xp, make: xp.reshape(make(WHOLE), (3, -1)),
    "roll": lambda xp, make: xp.roll(make(WHOLE), 1, axis=1),
    "roll flat": lambda xp, make: xp.roll(make(WHOLE), 2),
    "tile": lambda xp, make: xp.tile(make(WHOLE), (2, 1)),
    "repeat": lambda xp, make: xp.repeat(make(WHOLE), 2, axis=1),
    "take": lambda xp, make: xp.take(make(WHOLE), make(np.array([2, 0])), axis=1),
    "take_along_axis": lambda xp, make: xp.take_along_axis(
        make(WHOLE), make(np.array([[0], [2]])), axis=1
    ),
    "where": lambda xp, make: xp.where(make(BITS), make(NUMBERS), make(POSITIVE)),
    "clip": lambda xp, make: xp.clip(make(NUMBERS), -1.0, 1.0),
    "astype": lambda xp, make: xp.astype(make(NUMBERS), xp.int64),
    "broadcast_to": lambda xp, make: xp.broadcast_to(make(WHOLE), (4, 2, 3)),
    "unstack": lambda xp, make: xp.unstack(make(WHOLE), axis=1),
    "sum of axes": lambda xp, make: xp.sum(make(NUMBERS), axis=(0, 1), keepdims=True),
    "mean of axes": lambda xp, make: xp.mean(make(NUMBERS), axis=(0, 1)),
    "prod of axes": lambda xp, make: xp.prod(make(NUMBERS), axis=1, keepdims=True),
    "any of axes": lambda xp, make: xp.any(make(BITS), axis=(0, 1)),
    "sort descending": lambda xp, make: xp.sort(make(WHOLE), axis=0, descending=True),
    "cumulative_sum initial": lambda xp, make: xp.cumulative_sum(
        make(WHOLE), axis=0, include_initial=True
    ),
    "shifts": lambda xp, make: xp.bitwise_left_shift(make(np.abs(WHOLE)), make(np.abs(WHOLE))),
    "complex": lambda xp, make: xp.real(xp.fft.fft(xp.astype(make(SQUARE), xp.complex128))),
    "fftfreq": lambda xp, make: xp.fft.fftfreq(5, d=0.5),
    "rfftfreq": lambda xp, make: xp.fft.rfftfreq(6, d=0.5),
    "result_type": lambda xp, make: xp.zeros(2, dtype=xp.result_type(xp.int8, xp.int32)),
    "mask": lambda xp, make: make(NUMBERS)[make(BITS)],
    "matrix_power": lambda xp, make: xp.linalg.matrix_power(make(SQUARE), 3),
    "cross": lambda xp, make: xp.linalg.cross(make(NUMBERS), make(POSITIVE), axis=-1),
    "diagonal": lambda xp, make: xp.linalg.diagonal(make(SQUARE), offset=1),
}


def arrays(value: Any) -> list[np.ndarray]:
    """The arrays of a result, as NumPy's."""
    if isinstance(value, (tuple, list)):
        return [array for part in value for array in arrays(part)]
    return [value.numpy() if hasattr(value, "numpy") else np.asarray(value)]


def difference(call: Callable[[Any, Callable], Any]) -> str | None:
    """None, or how rushlight's result differs."""
    wanted = arrays(call(strict, strict.asarray))
    try:
        found = arrays(call(own, own.asarray))
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    if [a.dtype for a in wanted] != [a.dtype for a in found]:
        return f"{[str(a.dtype) for a in found]} instead of {[str(a.dtype) for a in wanted]}"
    for a, b in zip(wanted, found, strict=True):
        if a.shape != b.shape:
            return f"shape {b.shape} instead of {a.shape}"
        if not np.allclose(a, b, rtol=1e-5, atol=1e-6, equal_nan=True):
            return "values differ"
    return None


def standard() -> list[str]:
    """The functions of the standard, by their names in its namespace."""
    private = ("Device", "ModuleType", "array_api_strict_flags")
    top = [n for n in strict.__all__ if not n.startswith("_") and not n.endswith(private)]
    inner = [
        f"{part}.{name}" for part in ("linalg", "fft") for name in getattr(strict, part).__all__
    ]
    return sorted({*top, *inner} - {"ArrayAPIStrictFlags"})


def lacks(owner: Any, name: str) -> bool:
    for part in name.split("."):
        if not hasattr(owner, part):
            return True
        owner = getattr(owner, part)
    return False


def main() -> None:
    """See the module head."""
    x = rushlight.ones(2)
    wrong = {name: why for name, call in called() if (why := difference(call)) is not None}
    answer = {
        "recognised": array_api_compat.is_torch_array(x)
        and array_api_compat.array_namespace(x) is own,
        "method": hasattr(x, "__array_namespace__"),
        "missing": [name for name in standard() if lacks(own, name)],
        "plain": [name for name in standard() if lacks(rushlight, name)],
        "wrong": wrong,
        "compared": sum(1 for _ in called()),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
