"""IR 1: a value of a program as an immutable node over other nodes.

In: made by `graph/build.py` (the vocabulary) from inside op bodies. Out: read by the scheduler, the
printer and the NumPy interpreter. Invariants: shapes are static; operands of an elementwise node
have its shape already (broadcasting is an explicit `expand`); a node's elements are named by
logical indices: where they lie in memory is decided later.

The vocabulary (`op`), beside the elementwise rows of `kernel/primitives.py`:

    input      (position, Layout | None)        a value from outside: storage, or a body's operand
    scalar     (position,)                      a Python number that may differ from run to run
    const      (number,)                        a number that is part of the program
    iota       (axis,)                          int64 index along an axis
    cast, bitcast
    expand, reshape, permute (order), slice (starts, steps), pad (before, after, value)
    concat     (axis,)
    strided    (own strides, strides, offset)   any view of the memory that the operand would have
                                                with its own strides
    write      (strides, offset)                flat memory (operand 0) after operand 1 was stored
                                                through a view
    reduce     (kind, axes)                     sum prod max min argmax argmin any all; reduced
                                                axes are dropped
    scan       (kind, axis)                     cumulative sum prod max min, logcumsumexp
    contract   (ContractionMap,)                sum of products of two operands over affine
                                                index maps
    gather     operand 0 seen flat, read at int64 flat indices (operand 1), checked; attributes:
               (), or (what a failed check says,)
    scatter    (combine,)                       operand 0 seen flat; operand 2 combined in at flat
                                                indices operand 1
    host       (function name, outputs,         a NumPy function over whole arrays; its results by
               arguments)                       `pick`
    pick       (position,)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from ..base.dtype import dtype

if TYPE_CHECKING:
    _Unary = Callable[["Node"], "Node"]
    _Binary = Callable[["Node", Any], "Node"]


@dataclass(frozen=True, slots=True)
class ContractionMap:
    """out[o...] = sum over r... of a[map(o, r)] * b[map(o, r)].

    `loops`: the extents of all output loops, then of all reduction loops; the first `rank` are the
    output's shape. `a`, `b`: for every dimension of the operand, (constant, ((loop, coefficient),
    ...)); all indices are in bounds. `orders`: the orders of dimensions in memory, outermost first,
    that would suit a, b and the output (None: any).
    """

    loops: tuple[int, ...]
    rank: int
    a: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
    b: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
    orders: tuple[tuple[int, ...] | None, tuple[int, ...] | None, tuple[int, ...] | None] = (
        None,
        None,
        None,
    )


class Node:
    """One value of a program.

    `weak` marks what stems from Python numbers alone (see base/promotion.py); `origin` is the place
    in the trace of the recorded operation that it belongs to, -1 while no program is being made.
    """

    __slots__ = ("attributes", "dtype", "inputs", "op", "origin", "shape", "weak")

    # Python's operators: graph/build.py sets them.
    __add__: ClassVar[_Binary]
    __radd__: ClassVar[_Binary]
    __sub__: ClassVar[_Binary]
    __rsub__: ClassVar[_Binary]
    __mul__: ClassVar[_Binary]
    __rmul__: ClassVar[_Binary]
    __truediv__: ClassVar[_Binary]
    __rtruediv__: ClassVar[_Binary]
    __and__: ClassVar[_Binary]
    __rand__: ClassVar[_Binary]
    __or__: ClassVar[_Binary]
    __ror__: ClassVar[_Binary]
    __lt__: ClassVar[_Binary]
    __le__: ClassVar[_Binary]
    __gt__: ClassVar[_Binary]
    __ge__: ClassVar[_Binary]
    __neg__: ClassVar[_Unary]
    __invert__: ClassVar[_Unary]

    def __init__(
        self,
        op: str,
        inputs: tuple[Node, ...],
        shape: Sequence[int],
        dtype: dtype,
        attributes: tuple[Any, ...] = (),
        weak: bool = False,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.shape = tuple(shape)
        self.dtype = dtype
        self.attributes = attributes
        self.weak = weak
        self.origin = -1

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def numel(self) -> int:
        return prod(self.shape)

    def __repr__(self) -> str:
        return f"<{self.op} {self.dtype.name}{list(self.shape)}>"

    def __bool__(self) -> bool:
        raise TypeError("a graph node has no value while a program is being recorded")


NUMBERED = frozenset({"const", "pad", "host"})  # operations with numbers among their attributes


def facts(op: str, attributes: tuple[Any, ...]) -> tuple[Any, ...]:
    """The attributes as part of a key: of numbers their texts, since 0.0 == -0.0 and 1 == True."""
    return tuple(map(repr, attributes)) if op in NUMBERED else attributes


def ordered(roots: Sequence[Node]) -> list[Node]:
    """All nodes that the roots need, operands before users; iterative, each once, in a
    deterministic order.
    """
    done: set[int] = set()
    result: list[Node] = []
    stack: list[tuple[Node, Iterator[Node]]] = []
    for root in roots:
        if id(root) in done:
            continue
        done.add(id(root))
        stack.append((root, iter(root.inputs)))
        while stack:
            node, pending = stack[-1]
            for operand in pending:
                if id(operand) not in done:
                    done.add(id(operand))
                    stack.append((operand, iter(operand.inputs)))
                    break
            else:
                stack.pop()
                result.append(node)
    return result
