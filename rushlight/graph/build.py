"""The words in which op bodies are written: functions from nodes to nodes.

In: nodes and Python numbers. Out: nodes, with promotion and broadcasting made explicit. Invariant:
every function checks what it is given and raises PyTorch's type of error, since a body is first run
at the user's call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from ..base import dtype as dtypes
from ..base.dtype import dtype
from ..base.layout import broadcast_shapes, normalize_axes, normalize_axis
from ..base.promotion import KINDS, result_dtype
from .node import ContractionMap, Node

Number = bool | int | float | complex
Operand = Node | Number

COMPARISONS = frozenset(
    {
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "logical_and",
        "logical_or",
        "logical_not",
        "logical_xor",
        "isnan",
        "isinf",
        "isfinite",
        "signbit",
    }
)


# what Python numbers are held in until they meet a tensor: full precision, rounded once to what
# they meet
WIDEST = {bool: dtypes.bool_, int: dtypes.int64, float: dtypes.float64, complex: dtypes.complex128}
NARROW = frozenset({dtypes.float16, dtypes.bfloat16})
UNROUNDED = frozenset({"mul", "div", "floor_divide", "trunc_divide"})


def const(value: Number, type: dtype | None = None) -> Node:
    """A number that is part of the program; without a dtype it is weak, like a Python number."""
    return Node("const", (), (), type or WIDEST[value.__class__], (value,), weak=type is None)


def scalar(position: int, kind: type) -> Node:
    """A Python number of a kind (bool, int, float, complex) that may differ from run to run."""
    return Node("scalar", (), (), WIDEST[kind], (position,), weak=True)


def as_node(x: Operand) -> Node:
    return x if isinstance(x, Node) else const(x)


def _level(x: Node) -> int:
    return 0 if x.weak else 1 if not x.shape else 2


_KIND_DTYPE: dict[str, Callable[[], dtype]] = {
    "bool": lambda: dtypes.bool_,
    "int": lambda: dtypes.int64,
    "float": dtypes.get_default_dtype,
    "complex": lambda: dtypes.get_default_dtype().to_complex(),
}


def promoted_dtype(*operands: Operand) -> dtype:
    """The dtype that the operands have in common."""
    return result_dtype(
        [
            (_KIND_DTYPE[x.dtype.kind]() if x.weak else x.dtype, _level(x))
            for x in map(as_node, operands)
        ]
    )


def cast(x: Operand, type: dtype) -> Node:
    """x converted to a dtype (itself where it has it already; a weak number gets it for good)."""
    x = as_node(x)
    if x.dtype is type and not x.weak:
        return x
    if x.op == "const":
        return const(_convert(x.attributes[0], type), type)
    return Node("cast", (x,), x.shape, type)


def _convert(value: Number, type: dtype) -> Number:
    if type.kind == "bool":
        return bool(value)
    if type.kind == "float":
        return float(value.real)
    if type.kind == "complex":
        return complex(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return -(1 << (type.bits - 1)) if type.is_signed else 0
    whole = int(value.real) & ((1 << type.bits) - 1)
    return whole - (1 << type.bits) if type.is_signed and whole >> (type.bits - 1) else whole


def bitcast(x: Node, type: dtype) -> Node:
    """The same bits read as another dtype of equal size."""
    return x if x.dtype is type else Node("bitcast", (x,), x.shape, type)


def promote(*operands: Operand) -> list[Node]:
    """The operands cast to their common dtype."""
    type_ = promoted_dtype(*operands)
    return [cast(x, type_) for x in operands]


def to_float(x: Operand) -> Node:
    """Integers and bools become the default float; floats and complex stay (a weak number stays
    weak).
    """
    x = as_node(x)
    if x.dtype.kind in ("float", "complex"):
        return x
    node = cast(x, dtypes.float64 if x.weak else dtypes.get_default_dtype())
    node.weak = x.weak
    return node


def broadcast(*operands: Operand) -> list[Node]:
    """The operands expanded to their common shape."""
    nodes = [as_node(x) for x in operands]
    shape = broadcast_shapes(*[x.shape for x in nodes])
    return [expand(x, shape) for x in nodes]


def elementwise(op: str, *operands: Operand, type: dtype | None = None) -> Node:
    """A row of the primitive table over operands of one dtype.

    The result's is that dtype (bool for comparisons).
    """
    nodes = broadcast(*operands)
    if type is None:
        type = dtypes.bool_ if op in COMPARISONS else nodes[0].dtype
    return Node(op, tuple(nodes), nodes[0].shape, type, weak=all(x.weak for x in nodes))


def binary(op: str, a: Operand, b: Operand) -> Node:
    """Promotion, then the elementwise row.

    Numbers among themselves stay weak and in full precision. A number, or a 0-d factor or divisor
    of another dtype, is rounded to float16 or bfloat16 before it meets them, except in `UNROUNDED`
    operations (as PyTorch computes).
    """
    a, b = as_node(a), as_node(b)
    if a.weak and b.weak:
        wide = WIDEST[(bool, int, float, complex)[max(KINDS[a.dtype.kind], KINDS[b.dtype.kind])]]
        node = elementwise(op, cast(a, wide), cast(b, wide))
        node.weak = True
        return node
    common = promoted_dtype(a, b)
    if common in NARROW and op in UNROUNDED and (_is_factor(b, a) or (op == "mul" and a.weak)):
        node = elementwise(op, cast(a, dtypes.float32), cast(b, dtypes.float32))
        return cast(node, common)
    return elementwise(op, cast(a, common), cast(b, common))


def _is_factor(x: Node, other: Node) -> bool:
    """Whether an operand is a number for the other one: a Python number, or a 0-d tensor beside one
    with dimensions.
    """
    return x.weak or (not x.shape and bool(other.shape))


def where(condition: Operand, a: Operand, b: Operand) -> Node:
    """a where the condition holds, else b."""
    a, b = promote(a, b)
    condition, a, b = broadcast(cast(condition, dtypes.bool_), a, b)
    return Node("where", (condition, a, b), a.shape, a.dtype)


# --- movement -------------------------------------------------------------------------------------


def expand(x: Node, shape: Sequence[int]) -> Node:
    """x repeated along new leading dimensions and dimensions of length one."""
    shape = tuple(shape)
    if x.shape == shape:
        return x
    if len(shape) < x.ndim or any(
        n not in (1, m) for n, m in zip(reversed(x.shape), reversed(shape))
    ):
        raise RuntimeError(
            f"The expanded size {list(shape)} does not match the existing size {list(x.shape)}"
        )
    return Node("expand", (x,), shape, x.dtype, weak=x.weak)


def reshape(x: Node, shape: Sequence[int]) -> Node:
    """The same elements in row-major order under another shape; one extent may be -1."""
    shape = tuple(shape)
    if -1 in shape:
        known = prod(n for n in shape if n != -1)
        if shape.count(-1) > 1:
            raise RuntimeError("only one dimension can be inferred")
        if known == 0 or x.numel % known:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {x.numel}")
        shape = tuple(x.numel // known if n == -1 else n for n in shape)
    if prod(shape) != x.numel:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {x.numel}")
    return x if shape == x.shape else Node("reshape", (x,), shape, x.dtype, weak=x.weak)


def permute(x: Node, order: Sequence[int]) -> Node:
    """Dimension i of the result is dimension order[i] of x."""
    order = tuple(normalize_axis(a, x.ndim) for a in order)
    if order == tuple(range(x.ndim)):
        return x
    return Node("permute", (x,), [x.shape[a] for a in order], x.dtype, (order,))


def transpose(x: Node, a: int, b: int) -> Node:
    """x with two dimensions exchanged."""
    order = list(range(x.ndim))
    a, b = normalize_axis(a, x.ndim), normalize_axis(b, x.ndim)
    order[a], order[b] = order[b], order[a]
    return permute(x, order)


def slice_(
    x: Node, starts: Sequence[int], lengths: Sequence[int], steps: Sequence[int] | None = None
) -> Node:
    """Element i of dimension d is element starts[d] + steps[d] * i of x; steps may be negative (a
    flip).
    """
    steps = tuple(steps or (1,) * x.ndim)
    starts, lengths = tuple(starts), tuple(lengths)
    if (
        lengths == x.shape
        and all(s == 1 or n <= 1 for s, n in zip(steps, lengths))
        and not any(starts)
    ):
        return x
    return Node("slice", (x,), lengths, x.dtype, (starts, steps))


def narrow(x: Node, axis: int, start: int, length: int, step: int = 1) -> Node:
    """`length` elements of one dimension, from `start`, every `step`-th."""
    axis = normalize_axis(axis, x.ndim)
    starts, lengths, steps = [0] * x.ndim, list(x.shape), [1] * x.ndim
    starts[axis], lengths[axis], steps[axis] = start, length, step
    return slice_(x, starts, lengths, steps)


def flip(x: Node, axes: Sequence[int]) -> Node:
    """The order of the elements reversed along the axes."""
    turned = set(axes)
    starts = [n - 1 if d in turned else 0 for d, n in enumerate(x.shape)]
    return slice_(x, starts, x.shape, [-1 if d in turned else 1 for d in range(x.ndim)])


def pad(x: Node, before: Sequence[int], after: Sequence[int], value: Number = 0) -> Node:
    """x with constant borders; negative widths crop."""
    if any(n < 0 for n in (*before, *after)):
        starts = [max(-n, 0) for n in before]
        lengths = [n - s - max(-e, 0) for n, s, e in zip(x.shape, starts, after)]
        x = slice_(x, starts, lengths)
        before, after = [max(n, 0) for n in before], [max(n, 0) for n in after]
    if not any(before) and not any(after):
        return x
    shape = [b + n + a for b, n, a in zip(before, x.shape, after)]
    return Node(
        "pad", (x,), shape, x.dtype, (tuple(before), tuple(after), _convert(value, x.dtype))
    )


def concat(nodes: Sequence[Node], axis: int) -> Node:
    """Nodes of equal dtype one after the other along an axis."""
    nodes = [x for x in nodes if x.shape[axis]] or list(nodes[:1])
    if len(nodes) == 1:
        return nodes[0]
    shape = list(nodes[0].shape)
    shape[axis] = sum(x.shape[axis] for x in nodes)
    return Node("concat", tuple(nodes), shape, nodes[0].dtype, (axis,))


def strided(
    x: Node, own: Sequence[int], shape: Sequence[int], strides: Sequence[int], offset: int
) -> Node:
    """A view of the memory that x has when laid out with strides `own`."""
    if tuple(shape) == x.shape and tuple(strides) == tuple(own) and not offset:
        return x
    return Node("strided", (x,), shape, x.dtype, (tuple(own), tuple(strides), offset))


def write(flat: Node, value: Node, strides: Sequence[int], offset: int) -> Node:
    """Flat memory after `value` was stored through a view of it."""
    return Node("write", (flat, value), flat.shape, flat.dtype, (tuple(strides), offset))


# --- reductions, contractions, indices ------------------------------------------------------------


def reduce(
    kind: str, x: Node, axes: int | Sequence[int] | None = None, keepdim: bool = False
) -> Node:
    """x reduced over axes (all of them if None); argmax, argmin and any, all have their own result
    dtype.
    """
    axes = normalize_axes(axes, x.ndim)
    shape = [n for d, n in enumerate(x.shape) if d not in axes]
    type_ = (
        dtypes.int64
        if kind.startswith("arg")
        else dtypes.bool_
        if kind in ("any", "all")
        else x.dtype
    )
    node = (
        Node("reduce", (x,), shape, type_, (kind, tuple(sorted(axes)))) if axes else cast(x, type_)
    )
    if not axes and kind.startswith("arg"):
        node = expand(const(0, dtypes.int64), x.shape)
    if keepdim:
        return reshape(node, [1 if d in axes else n for d, n in enumerate(x.shape)])
    return node


def mean(x: Node, axes: int | Sequence[int] | None = None, keepdim: bool = False) -> Node:
    """The sum divided by the number of elements."""
    count = prod(x.shape[a] for a in normalize_axes(axes, x.ndim))
    return elementwise("div", reduce("sum", x, axes, keepdim), const(float(count), x.dtype))


def scan(kind: str, x: Node, axis: int) -> Node:
    """A cumulative sum, prod, max, min or logcumsumexp along an axis."""
    return (
        Node("scan", (x,), x.shape, x.dtype, (kind, normalize_axis(axis, x.ndim))) if x.ndim else x
    )


def contract(a: Node, b: Node, mapping: ContractionMap, type: dtype | None = None) -> Node:
    """The sum of products of two operands of one dtype over affine index maps."""
    return Node("contract", (a, b), mapping.loops[: mapping.rank], type or a.dtype, (mapping,))


def matmul_map(batch: Sequence[int], m: int, n: int, k: int) -> ContractionMap:
    """[batch..., m, k] times [batch..., k, n]."""
    rank = len(batch)
    lead = tuple((0, ((d, 1),)) for d in range(rank))
    row, column, inner = (0, ((rank, 1),)), (0, ((rank + 1, 1),)), (0, ((rank + 2, 1),))
    return ContractionMap((*batch, m, n, k), rank + 2, (*lead, row, inner), (*lead, inner, column))


def matmul(a: Node, b: Node) -> Node:
    """[batch..., m, k] @ [batch..., k, n] of equal batch shape and dtype."""
    return contract(a, b, matmul_map(a.shape[:-2], a.shape[-2], b.shape[-1], a.shape[-1]))


def iota(shape: Sequence[int], axis: int) -> Node:
    """The int64 index along an axis."""
    return Node("iota", (), shape, dtypes.int64, (axis,))


def gather(x: Node, index: Node) -> Node:
    """x seen flat (row-major), read at int64 indices; IndexError at run time outside [0, numel)."""
    return Node("gather", (x, index), index.shape, x.dtype)


def required(good: Node, message: str) -> Node:
    """1.0 (float32) where `good` holds; RuntimeError(message) at run time where it does not.

    It must be part of a result (times it, say): what nothing asks for is not computed.
    """
    index = where(good, const(0, dtypes.int64), const(1, dtypes.int64))
    one = expand(const(1.0, dtypes.float32), (1,))
    return Node("gather", (one, index), index.shape, one.dtype, (message,))


def scatter(
    base: Node,
    index: Node,
    source: Node,
    combine: str = "set",
    distinct: Sequence[int] = (),
) -> Node:
    """base seen flat, with source stored ("set") or combined ("sum", "prod", "max", "min") at int64
    indices, in order.

    `distinct`: dimensions of the index that two elements never differ in and share an index, and
    along which the index grows by whole steps: they may be walked in any order.
    """
    source = expand(source, index.shape)
    facts = (combine, tuple(distinct))
    return Node("scatter", (base, index, source), base.shape, base.dtype, facts)


def host(
    name: str,
    operands: Sequence[Node],
    outputs: Sequence[tuple[Sequence[int], dtype]],
    arguments: tuple[Any, ...] = (),
) -> list[Node]:
    """The results of a NumPy function registered in `graph/host.py`, of stated shapes and
    dtypes.
    """
    facts = tuple((tuple(shape), type_) for shape, type_ in outputs)
    node = Node("host", tuple(operands), (), dtypes.int64, (name, facts, arguments))
    return [Node("pick", (node,), shape, type_, (k,)) for k, (shape, type_) in enumerate(facts)]


# --- arithmetic on nodes, so that bodies read as formulas -----------------------------------------


def add(a: Operand, b: Operand) -> Node:
    return binary("logical_or" if promoted_dtype(a, b).kind == "bool" else "add", a, b)


def mul(a: Operand, b: Operand) -> Node:
    return binary("logical_and" if promoted_dtype(a, b).kind == "bool" else "mul", a, b)


def div(a: Operand, b: Operand) -> Node:
    """True division: integers become floats first."""
    if promoted_dtype(a, b).kind in ("bool", "int"):
        a, b = to_float(a), to_float(b)
    return binary("div", a, b)


def fma(a: Operand, b: Operand, c: Operand) -> Node:
    """a * b + c, rounded once where floats of 32 and 64 bits are multiplied (as PyTorch's vector
    code does).
    """
    x, y, z = promote(a, b, c)
    if x.dtype in (dtypes.float32, dtypes.float64):
        return elementwise("fma", x, y, z)
    return add(mul(x, y), z)


def negative(x: Node) -> Node:
    return elementwise("neg", x)


def logical_not(x: Node) -> Node:
    return elementwise("logical_not", cast(x, dtypes.bool_))


def _operator(
    function: Callable[[Any, Any], Node], swap: bool = False
) -> Callable[[Any, Any], Node]:
    if swap:
        return lambda a, b: function(b, a)
    return lambda a, b: function(a, b)


def _install_operators() -> None:
    functions: dict[str, Callable[[Any, Any], Node]] = {
        "add": add,
        "mul": mul,
        "truediv": div,
        "sub": lambda a, b: binary("sub", a, b),
        "and": lambda a, b: elementwise(
            "logical_and", cast(a, dtypes.bool_), cast(b, dtypes.bool_)
        ),
        "or": lambda a, b: elementwise("logical_or", cast(a, dtypes.bool_), cast(b, dtypes.bool_)),
    }
    for name, function in functions.items():
        setattr(Node, f"__{name}__", _operator(function))
        setattr(Node, f"__r{name}__", _operator(function, swap=True))
    for name in ("lt", "le", "gt", "ge"):
        setattr(Node, f"__{name}__", lambda a, b, op=name: binary(op, a, b))
    for name, unary in (("neg", negative), ("invert", logical_not)):
        setattr(Node, f"__{name}__", unary)


_install_operators()
