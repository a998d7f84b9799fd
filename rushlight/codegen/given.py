"""Numbers of a kernel that are given when it runs: extents, strides and constants of a skeleton.

In: a kernel whose numbers are `Symbol`s (kernel/generic.py). Out: the same kernel with a `Given` in
the place of each, which writes itself as a register and computes with other numbers at the
function's start. Invariant: nothing is decided about a number that is not known of every number of
its kind; asking for more is a TypeError while the text is written.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from rushlight.kernel.generic import Symbol, is_skeleton, rebuilt
from rushlight.kernel.ir import Kernel

from .builder import Builder, Number, is_float, type_text


class Given:
    """A number in a register. `typical` as in `Symbol`; `apart`: it is none of -1, 0 and 1."""

    __slots__ = ("apart", "builder", "text", "typical")

    def __init__(self, builder: Builder, text: str, apart: bool, typical: int = 0) -> None:
        self.builder = builder
        self.text = text
        self.apart = apart
        self.typical = typical

    def __str__(self) -> str:
        return self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Given):
            return self.text == other.text
        if self.apart and other in (-1, 0, 1):
            return False
        raise TypeError(f"whether a number given at run time is {other} is not known")

    def __bool__(self) -> bool:
        return self != 0

    def __gt__(self, other: int) -> bool:
        if self.typical and other in (0, 1):
            return True
        raise TypeError(f"whether a number given at run time exceeds {other} is not known")

    def __mul__(self, other: Given | int) -> Given | int:
        if isinstance(other, int) and other in (0, 1):
            return self if other else 0
        apart = self.apart and (isinstance(other, int) or other.apart)
        return Given(self.builder, self.builder.early(f"mul i64 {self}, {other}"), apart)

    __rmul__ = __mul__

    def __add__(self, other: Given | int) -> Given:
        if isinstance(other, int) and not other:
            return self
        return Given(self.builder, self.builder.early(f"add i64 {self}, {other}"), False)

    __radd__ = __add__

    def __sub__(self, other: int) -> Given:
        return self + -other

    def __neg__(self) -> Given:
        return Given(self.builder, self.builder.early(f"sub i64 0, {self}"), self.apart)


def is_given(number: Any) -> TypeGuard[Given]:
    """Whether a number is known at run time only."""
    return isinstance(number, Given)


def given_constant(value: Given, dtype: str) -> Number:
    """A constant in a register of `dtype`: an integer, or a float by the bits of a float64."""
    early, kind, text = value.builder.early, type_text(dtype, 0), value.text
    if is_float(dtype):
        text = early(f"bitcast i64 {text} to double")
        text = text if kind == "double" else early(f"fptrunc double {text} to {kind}")
    elif kind != "i64":
        text = early(f"trunc i64 {text} to {kind}")
    return value.builder.number(text, dtype)


def bound(kernel: Kernel, builder: Builder) -> Kernel:
    """The kernel with registers in the place of its symbols.

    They are read from the buffer behind those of the parameters.
    """
    if not is_skeleton(kernel):
        return kernel
    place = builder.early(f"getelementptr ptr, ptr %buffers, i64 {len(kernel.parameters)}")
    numbers = builder.early(f"load ptr, ptr {place}")

    def change(kind: str, where: Any, value: Any) -> Any:
        if not isinstance(value, Symbol):
            return value
        at = builder.early(f"getelementptr i64, ptr {numbers}, i64 {value.number}")
        apart = kind in ("extent", "step")
        return Given(builder, builder.early(f"load i64, ptr {at}"), apart, value.typical)

    return rebuilt(kernel, change)
