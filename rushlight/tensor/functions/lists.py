"""Functions on lists of tensors, as `torch._foreach_add`: one call for many tensors.

In: a list of tensors; for each further argument one value, one tensor, or a list of as many. Out: a
tuple of results, or with an underscore at the end the list, changed in place. Invariant: each
result is what the function gives for that tensor alone; the engine runs them as one program anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tensor import Tensor

# Functions by their names in torch; _RESULTS have no form in place, the last no other.
_BOTH = [
    "abs",
    "acos",
    "add",
    "addcdiv",
    "addcmul",
    "asin",
    "atan",
    "ceil",
    "clamp_max",
    "clamp_min",
    "cos",
    "cosh",
    "div",
    "erf",
    "erfc",
    "exp",
    "expm1",
    "floor",
    "frac",
    "lerp",
    "lgamma",
    "log",
    "log10",
    "log1p",
    "log2",
    "maximum",
    "minimum",
    "mul",
    "neg",
    "pow",
    "reciprocal",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "sub",
    "tan",
    "tanh",
    "trunc",
]
_RESULTS = ("clone", "max", "mm")
_ONLY_IN_PLACE = ("copy_", "zero_")


def _columns(name: str, tensors: Any, args: tuple) -> list[list[Any]]:
    """For each argument its value for every tensor."""
    columns = []
    for argument in args:
        if not isinstance(argument, (list, tuple)):
            columns.append([argument] * len(tensors))
            continue
        if len(argument) != len(tensors):
            if argument and not isinstance(argument[0], Tensor):
                raise RuntimeError(
                    f"{name}: Tensor list must have same number of elements as scalar list: got "
                    f"{len(tensors)} and {len(argument)}."
                )
            raise RuntimeError(
                f"{name}: Tensor lists must have the same number of tensors, got {len(tensors)} "
                f"and {len(argument)}"
            )
        columns.append(list(argument))
    return columns


def _apply(base: str, first: Tensor, rest: list[Any], options: dict[str, Any]) -> Tensor:
    """A method of one tensor; where it has no form in place, its result is copied in."""
    if base.endswith("_") and not hasattr(Tensor, base):
        return first.copy_(getattr(first, base[:-1])(*rest, **options))
    return getattr(first, base)(*rest, **options)


def _make(base: str) -> Callable[..., Any]:
    """The function `_foreach_<base>`; with an underscore at the end it changes the list."""
    name = f"_foreach_{base}"
    in_place = base.endswith("_")

    def foreach(self: Any, *args: Any, **options: Any) -> Any:
        if not isinstance(self, (list, tuple)):  # numbers to the power of each tensor
            return tuple(self**exponent for exponent in args[0])
        rows = list(zip(self, *_columns(name, self, args)))
        results = [_apply(base, first, rest, options) for first, *rest in rows]
        return self if in_place else tuple(results)

    foreach.__name__ = foreach.__qualname__ = name
    foreach.__doc__ = f"`Tensor.{base}` of each tensor of a list."
    return foreach


def _foreach_norm(self: Any, ord: Any = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """The norm of each tensor of a list, taken as a vector."""
    from ...ops.reduction import vector_norm

    return tuple(vector_norm(tensor, ord, dtype=dtype) for tensor in self)


FUNCTIONS = (
    _foreach_norm,
    *(_make(base) for base in (*_BOTH, *(f"{base}_" for base in _BOTH))),
    *(_make(base) for base in (*_RESULTS, *_ONLY_IN_PLACE)),
)
