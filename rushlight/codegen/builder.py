"""Writes LLVM text line by line: numbers with operators, and the module that collects what they
need.

In: the calls of an emitter, such as `x * 2.0 + y`. Out: lines of one LLVM function, the
declarations and the helper functions that these lines refer to. Invariant: a `Number` is one SSA
value, scalar (lanes == 0) or a vector; operators never mix lane counts or dtypes, Python numbers
become constants of the other operand's type; no instruction carries fast-math flags, and a
multiplication is fused with an addition only by `fma`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache

from .isa import Isa

_TYPES = {
    "bool": "i1", "uint8": "i8", "int8": "i8", "int16": "i16", "uint16": "i16",
    "int32": "i32", "uint32": "i32", "int64": "i64", "uint64": "i64",
    "float16": "half", "float32": "float", "float64": "double",
}  # fmt: skip
_FLOAT_BITS = {"half": 16, "float": 32, "double": 64}
BITS = {name: _FLOAT_BITS.get(t) or int(t[1:]) for name, t in _TYPES.items()}


def is_float(dtype: str) -> bool:
    """Whether registers of `dtype` hold floats (float16 and bfloat16 are computed as float32)."""
    return dtype == "float32" or dtype == "float64"


def is_signed(dtype: str) -> bool:
    """Whether an integer register type is signed."""
    return dtype.startswith("int")


@cache
def type_text(dtype: str, lanes: int) -> str:
    """LLVM's type of a register: `float`, `<16 x float>`."""
    return f"<{lanes} x {_TYPES[dtype]}>" if lanes else _TYPES[dtype]


@cache
def suffix(dtype: str, lanes: int) -> str:
    """The part of an intrinsic's name that tells the type: `f32`, `v16f32`."""
    text = _TYPES[dtype]
    scalar = f"f{_FLOAT_BITS[text]}" if text in _FLOAT_BITS else text
    return f"v{lanes}{scalar}" if lanes else scalar


def literal(value: float | int | bool, dtype: str) -> str:
    """A scalar constant as LLVM writes it.

    Floats are rounded to `dtype` and given by their bits.
    """
    if dtype == "bool":
        return "true" if value else "false"
    if is_float(dtype):
        number = float(value)
        if dtype == "float32":
            number = _single(number)
        return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
    return str(int(value))


def _single(number: float) -> float:
    """A float rounded to float32; what is too large becomes infinite."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


@cache
def constant_text(value: float | int | bool, dtype: str, lanes: int, _sign: str = "") -> str:
    """A constant of all lanes. (`_sign` keeps -0.0 and 0.0 apart in the cache.)"""
    scalar = literal(value, dtype)
    return f"splat ({_TYPES[dtype]} {scalar})" if lanes else scalar


class Module:
    """What the functions of one LLVM module share: declarations and helper functions, each once."""

    __slots__ = ("declarations", "functions", "helpers", "isa")

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        self.declarations: dict[str, str] = {}
        self.helpers: dict[str, str] = {}
        self.functions: list[str] = []

    def text(self) -> str:
        """The whole module."""
        parts = [*self.functions, *self.helpers.values(), *self.declarations.values()]
        return "\n".join(parts) + "\n"


class Number:
    """One SSA value with the operators of its dtype."""

    __slots__ = ("builder", "dtype", "lanes", "text")

    def __init__(self, builder: Builder, text: str, dtype: str, lanes: int) -> None:
        self.builder = builder
        self.text = text
        self.dtype = dtype
        self.lanes = lanes

    @property
    def type(self) -> str:
        return type_text(self.dtype, self.lanes)

    @property
    def typed(self) -> str:
        """Type and value, as an operand of a call is written."""
        return f"{type_text(self.dtype, self.lanes)} {self.text}"

    def constant(self, value: float | int | bool) -> Number:
        """A constant of this number's dtype and lanes."""
        return self.builder.constant(value, self.dtype, self.lanes)

    def _operate(self, instruction: str, other: Operand, dtype: str | None = None) -> Number:
        right = other.text if isinstance(other, Number) else self.constant(other).text
        name = self.builder.line(
            f"{instruction} {type_text(self.dtype, self.lanes)} {self.text}, {right}"
        )
        return Number(self.builder, name, dtype or self.dtype, self.lanes)

    def __add__(self, other: Operand) -> Number:
        return self._operate("fadd" if is_float(self.dtype) else "add", other)

    def __sub__(self, other: Operand) -> Number:
        return self._operate("fsub" if is_float(self.dtype) else "sub", other)

    def __mul__(self, other: Operand) -> Number:
        return self._operate("fmul" if is_float(self.dtype) else "mul", other)

    def __truediv__(self, other: Operand) -> Number:
        return self._operate("fdiv", other)

    def __radd__(self, other: float) -> Number:
        return self.constant(other) + self

    def __rsub__(self, other: float) -> Number:
        return self.constant(other) - self

    def __rmul__(self, other: float) -> Number:
        return self.constant(other) * self

    def __rtruediv__(self, other: float) -> Number:
        return self.constant(other) / self

    def __neg__(self) -> Number:
        if not is_float(self.dtype):
            return self.constant(0) - self
        return Number(self.builder, self.builder.line(f"fneg {self.typed}"), self.dtype, self.lanes)

    def __and__(self, other: Operand) -> Number:
        return self._operate("and", other)

    def __or__(self, other: Operand) -> Number:
        return self._operate("or", other)

    def __xor__(self, other: Operand) -> Number:
        return self._operate("xor", other)

    def __invert__(self) -> Number:
        return self._operate("xor", True if self.dtype == "bool" else -1)

    def __lshift__(self, other: Operand) -> Number:
        return self._operate("shl", other)

    def __rshift__(self, other: Operand) -> Number:
        return self._operate("ashr" if is_signed(self.dtype) else "lshr", other)

    def _compare(self, name: str, other: Operand) -> Number:
        """`name` is eq, ne, lt, ...: ordered for floats, except ne, as Python compares."""
        if is_float(self.dtype):
            return self._operate("fcmp " + ("une" if name == "ne" else "o" + name), other, "bool")
        sign = "" if name in ("eq", "ne") else ("s" if is_signed(self.dtype) else "u")
        return self._operate(f"icmp {sign}{name}", other, "bool")

    def equals(self, other: Operand) -> Number:
        return self._compare("eq", other)

    def differs(self, other: Operand) -> Number:
        return self._compare("ne", other)

    def __lt__(self, other: Operand) -> Number:
        return self._compare("lt", other)

    def __le__(self, other: Operand) -> Number:
        return self._compare("le", other)

    def __gt__(self, other: Operand) -> Number:
        return self._compare("gt", other)

    def __ge__(self, other: Operand) -> Number:
        return self._compare("ge", other)

    def is_nan(self) -> Number:
        return self._operate("fcmp uno", self, "bool")

    def signed_divide(self, other: Number) -> Number:
        """Integer quotient toward zero; the caller keeps zero divisors and overflow away."""
        return self._operate("sdiv" if is_signed(self.dtype) else "udiv", other)

    def signed_rest(self, other: Number) -> Number:
        """What `signed_divide` leaves."""
        return self._operate("srem" if is_signed(self.dtype) else "urem", other)

    def choose(self, yes: Operand, no: Operand) -> Number:
        """`yes` where this bool is true, else `no`; at least one of them is a Number."""
        pattern = yes if isinstance(yes, Number) else no
        assert isinstance(pattern, Number)
        yes = yes if isinstance(yes, Number) else pattern.constant(yes)
        no = no if isinstance(no, Number) else pattern.constant(no)
        return Number(
            self.builder,
            self.builder.line(f"select {self.typed}, {yes.typed}, {no.typed}"),
            yes.dtype,
            yes.lanes,
        )

    def convert(self, instruction: str, dtype: str) -> Number:
        """One of LLVM's conversions (fpext, sitofp, bitcast, ...) to `dtype`."""
        text = self.builder.line(f"{instruction} {self.typed} to {type_text(dtype, self.lanes)}")
        return Number(self.builder, text, dtype, self.lanes)

    def bits(self, dtype: str) -> Number:
        """The same bits as another dtype of the same size; no instruction between integer types."""
        if is_float(dtype) == is_float(self.dtype):
            return Number(self.builder, self.text, dtype, self.lanes)
        return self.convert("bitcast", dtype)

    def intrinsic(self, name: str, *others: Number) -> Number:
        """`llvm.name` of this number and others of its type."""
        return self.builder.intrinsic(name, self, *others)

    def with_sign_of(self, other: Number) -> Number:
        """|self| with the sign of another number, by its bits: LLVM folds its own copysign into
        conversions between float types that not every machine has.
        """
        width = int(self.dtype.removeprefix("float"))
        kind = f"int{width}"
        sign = -(1 << (width - 1))
        size = self.bits(kind) & ~sign
        return (size | (other.bits(kind) & sign)).bits(self.dtype)

    def fma(self, factor: Operand, addend: Operand) -> Number:
        """self * factor + addend: rounded once where the machine can, else twice."""
        factor = factor if isinstance(factor, Number) else self.constant(factor)
        addend = addend if isinstance(addend, Number) else self.constant(addend)
        if self.builder.module.isa.fma:
            return self.builder.intrinsic("fma", self, factor, addend)
        return self * factor + addend


Operand = Number | float | int | bool


class Builder:
    """The text of one function while it is being written."""

    __slots__ = ("_count", "_early", "block", "entry", "lines", "module")

    def __init__(self, module: Module) -> None:
        self.module = module
        self.lines: list[str] = []
        self.entry: list[str] = []  # at the function's start: stack slots, and what `early` wrote
        self._early: dict[str, str] = {}
        self.block = "entry"
        self._count = 0

    def name(self) -> str:
        """A fresh register."""
        self._count += 1
        return f"%v{self._count}"

    def line(self, text: str) -> str:
        """Append an instruction; its register."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"{name} = {text}")
        return name

    def early(self, text: str) -> str:
        """An instruction at the function's start, for what depends on nothing else; its register.

        The same instruction is written once.
        """
        if text not in self._early:
            self._early[text] = name = self.name()
            self.entry.append(f"{name} = {text}")
        return self._early[text]

    def effect(self, text: str) -> None:
        """Append an instruction without a result."""
        self.lines.append(text)

    def fresh_label(self, hint: str) -> str:
        self._count += 1
        return f"{hint}{self._count}"

    def start_block(self, label: str) -> None:
        """Begin a block: what follows stands under `label`."""
        self.lines.append(f"{label}:")
        self.block = label

    def slot(self, dtype: str, value: str) -> str:
        """A stack slot of one element, set at the function's start."""
        self._count += 1
        name = f"%v{self._count}"
        self.entry += [f"{name} = alloca {dtype}", f"store {dtype} {value}, ptr {name}"]
        return name

    def constant(self, value: float | int | bool, dtype: str, lanes: int = 0) -> Number:
        sign = "-" if isinstance(value, float) and str(value).startswith("-") else ""
        return Number(
            self, constant_text(value, dtype, lanes, sign + type(value).__name__), dtype, lanes
        )

    def number(self, text: str, dtype: str, lanes: int = 0) -> Number:
        return Number(self, text, dtype, lanes)

    def declare(self, name: str, result: str, arguments: Sequence[str]) -> None:
        """Have the module declare an external function or an intrinsic."""
        declarations = self.module.declarations
        if name not in declarations:
            declarations[name] = f"declare {result} @{name}({', '.join(arguments)})"

    def call(self, name: str, result: str, arguments: Sequence[str]) -> str:
        """Call with arguments written as type and value."""
        return self.line(f"call {result} @{name}({', '.join(arguments)})")

    def intrinsic(self, name: str, *arguments: Number) -> Number:
        """An intrinsic that is overloaded on its operands' and result's one type."""
        first = arguments[0]
        full = f"llvm.{name}.{suffix(first.dtype, first.lanes)}"
        self.declare(full, first.type, [a.type for a in arguments])
        return Number(
            self,
            self.call(full, first.type, [a.typed for a in arguments]),
            first.dtype,
            first.lanes,
        )

    def splat(self, number: Number, lanes: int) -> Number:
        """A scalar in every lane; constants need no instruction."""
        if number.lanes == lanes:
            return number
        if not number.text.startswith("%"):
            return Number(self, f"splat ({number.type} {number.text})", number.dtype, lanes)
        vector = type_text(number.dtype, lanes)
        one = self.line(f"insertelement {vector} poison, {number.typed}, i64 0")
        every = self.line(
            f"shufflevector {vector} {one}, {vector} poison, <{lanes} x i32> zeroinitializer"
        )
        return Number(self, every, number.dtype, lanes)

    def lane(self, vector: Number, index: str) -> Number:
        """One lane of a vector as a scalar."""
        return Number(
            self, self.line(f"extractelement {vector.typed}, i64 {index}"), vector.dtype, 0
        )

    def shuffle(self, vector: Number, order: Sequence[int]) -> Number:
        """The lanes of `vector` in another order or number."""
        mask = ", ".join(f"i32 {i}" for i in order)
        text = self.line(
            f"shufflevector {vector.typed}, {vector.type} poison, <{len(order)} x i32> <{mask}>"
        )
        return Number(self, text, vector.dtype, len(order))

    def merge(self, first: Number, second: Number, order: Sequence[int]) -> Number:
        """Lanes of two vectors, those of the second counted on behind those of the first."""
        mask = ", ".join(f"i32 {i}" for i in order)
        text = self.line(
            f"shufflevector {first.typed}, {second.typed}, <{len(order)} x i32> <{mask}>"
        )
        return Number(self, text, first.dtype, len(order))

    def rarely(self, condition: Number, usual: Number, compute: Callable[[], Number]) -> Number:
        """`usual`, or where a scalar condition holds what `compute` writes, in its own block."""
        seldom, after = self.fresh_label("rare"), self.fresh_label("after")
        before = self.block
        self.effect(f"br {condition.typed}, label %{seldom}, label %{after}")
        self.start_block(seldom)
        other = compute()
        end = self.block
        self.effect(f"br label %{after}")
        self.start_block(after)
        text = self.line(f"phi {usual.type} [ {usual.text}, %{before} ], [ {other.text}, %{end} ]")
        return Number(self, text, usual.dtype, usual.lanes)

    def any(self, condition: Number) -> Number:
        """Whether any lane of a bool is true."""
        if not condition.lanes:
            return condition
        bits = self.line(f"bitcast {condition.typed} to i{condition.lanes}")
        return Number(self, self.line(f"icmp ne i{condition.lanes} {bits}, 0"), "bool", 0)
