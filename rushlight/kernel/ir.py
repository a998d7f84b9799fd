"""IR 2: one kernel as a tree of loops over vectors-to-be, with static addresses.

In: made by `schedule/` from a group of graph nodes. Out: read by `codegen/` (LLVM text) and by
`kernel/interpret.py` (NumPy). Invariants, checked by `kernel/verify.py`: every value is defined
once and before it is used; the top of the body is one perfect nest of `parallel` loops; at most one
loop on any path is `vector`; addresses are affine in the indices of enclosing loops, plus at most
one computed int64 value.

A kernel in words:

    for i in range(64):                       # parallel: its iterations are the kernel's tasks
        total = 0.0                           # carried by the inner loop
        for j in range(1000) vector:
            x = load input[1000*i + j] total = next (total + x)          # a vector loop joins its
            lanes with `combine` at the end
        store output[i] = total
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Value = str


@dataclass(frozen=True, slots=True)
class Affine:
    """constant + sum of coefficient * loop index, in elements."""

    constant: int = 0
    terms: tuple[tuple[str, int], ...] = ()

    def coefficient(self, index: str) -> int:
        """The coefficient of a loop index, 0 where it does not occur."""
        return next((c for name, c in self.terms if name == index), 0)

    def __str__(self) -> str:
        parts = [f"{c}*{name}" if c != 1 else name for name, c in self.terms]
        return " + ".join(parts + ([str(self.constant)] if self.constant or not parts else []))


@dataclass(frozen=True, slots=True)
class Parameter:
    """A buffer the kernel is given: `size` elements of `dtype` (a dtype's name)."""

    name: str
    dtype: str
    size: int
    mode: str  # "in", "out" or "inout"


@dataclass(frozen=True, slots=True)
class Let:
    """name = op(arguments), of dtype; `op` is a row of kernel/primitives.py.

    Besides the arithmetic rows: "const" (attributes = (python value,)), "scalar" (attributes =
    (slot,): a runtime parameter, stored as float64 or int64 in its 8-byte slot), "index"
    (attributes = (Affine,): an int64), "cast" (from the argument's dtype to dtype), "bitcast".
    "check_index" (attributes = (size, site)): the int64 argument itself where -size <= it < size,
    negative ones moved up by size; else 0, and `site + 1` is written to the status word (the run
    then raises IndexError). floor_divide, trunc_divide, remainder and fmod of integers may have
    attributes = (site,): a zero divisor gives 0 and writes `-(site + 1)` (site 0 where absent; the
    run then raises RuntimeError "ZeroDivisionError"). "libm" (attributes = (C function,)): any
    other function of primitives.LIBM.
    """

    name: Value
    op: str
    arguments: tuple[Value, ...]
    dtype: str
    attributes: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """name = parameter[address + dynamic], or zero where `mask` (a bool value) is false.

    Then memory is not touched.
    """

    name: Value
    parameter: str
    address: Affine
    dtype: str
    dynamic: Value | None = None
    mask: Value | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """parameter[address + dynamic] = value where `mask` is true or absent.

    `combine` None overwrites; "sum", "max", "min", "prod" read, combine and write back (scatter).
    Such a store never stands under a vector loop unless its addresses differ lane by lane:
    `address` moves with the loop, and what `dynamic` adds makes no two of them equal.
    """

    parameter: str
    address: Affine
    value: Value
    dynamic: Value | None = None
    mask: Value | None = None
    combine: str | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """A value that goes around a loop: inside, `name` is the value at the start of the iteration,
    after the loop the final one.

    `initial` and `next` name values (next is defined in the body). `combine` ("sum", "prod", "max",
    "min", "and", "or") joins the lanes when the loop is the vector loop; every lane then starts
    from the combine's neutral element and the initial value is joined once.
    """

    name: Value
    initial: Value
    next: Value
    combine: str
    dtype: str


@dataclass(frozen=True, slots=True)
class Loop:
    """for index in range(extent): body.

    `vector` loops are run in vectors with a masked tail by the code generator.
    """

    index: str
    extent: int
    body: tuple[Statement, ...]
    carried: tuple[Carried, ...] = ()
    vector: bool = False


Statement = Let | Load | Store | Loop


@dataclass(frozen=True, slots=True)
class Kernel:
    """A whole kernel. The `parallel` outermost loops form a perfect nest without carried values.

    Lets of constants, scalars and what is computed from them may stand before a loop of the nest:
    they are evaluated once per call. `scalars` are the slots' dtypes: "float64" or "int64". The
    product of their extents is the number of iterations that tasks are made of; `block` of them, in
    row-major order, make one task (the last may be short). If the innermost parallel loop is the
    vector loop, `block` is a multiple of 64. parallel == 0: the kernel is one task.
    """

    name: str
    parameters: tuple[Parameter, ...]
    scalars: tuple[str, ...]
    body: tuple[Statement, ...]
    parallel: int = 1
    block: int = 1
