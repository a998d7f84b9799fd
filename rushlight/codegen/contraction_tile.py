"""The register tile of a contraction as LLVM text: one function, all sums kept in registers.

In: a `Plan`, the tile's rows and columns. Out: the text of

    define internal void @name(ptr %a, ptr %b, ptr %c, <ptr extras>, ptr %scalars,
                               i64 %steps, i1 %first, i1 %last)

which adds `%steps` steps of the cut sum loop (and everything inside it) into rows x columns of C.
`%first` starts from zero (or from C, where the contraction accumulates), otherwise the tile goes on
from what C holds; `%last` applies the epilogue.
Invariant: only addresses named by the contraction are touched; lanes past the edge are masked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rushlight.codegen.bounds import checked, limits_argument
from rushlight.codegen.contraction_plan import ITEM_BYTES, Plan, count
from rushlight.codegen.isa import Isa
from rushlight.kernel.contraction import STEPS, Step, extra_buffers

# How a dtype lies in memory, and what it is called once loaded for arithmetic.
STORED = {
    "float16": "half",
    "bfloat16": "i16",
    "float32": "float",
    "float64": "double",
    "int8": "i8",
    "uint8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
}
# A fully unrolled body stays below this many multiply-adds, to keep compilation short.
MOST_UNROLLED = 32


class Writer:
    """Lines of one LLVM function, fresh names, and the block being written."""

    def __init__(self, declarations: set[str]) -> None:
        self.lines: list[str] = []
        self.declarations = declarations
        self.block = "entry"
        self._count = 0

    def fresh(self, stem: str = "v") -> str:
        """A name that was not used before."""
        self._count += 1
        return f"{stem}{self._count}"

    def line(self, text: str) -> None:
        """One instruction without a value."""
        self.lines.append("  " + text)

    def value(self, text: str) -> str:
        """One instruction and the name of its value."""
        name = "%" + self.fresh()
        self.lines.append(f"  {name} = {text}")
        return name

    def label(self, name: str) -> None:
        """Start a block."""
        self.lines.append(f"{name}:")
        self.block = name

    def call(self, kind: str, function: str, signature: str, arguments: str) -> str:
        """Call an LLVM function, declared once in the module."""
        self.declarations.add(f"declare {kind} @{function}({signature})")
        return self.value(f"call {kind} @{function}({arguments})")

    def move(self, pointer: str, offset: str | int) -> str:
        """A pointer some bytes further."""
        if offset == 0:
            return pointer
        return self.value(f"getelementptr i8, ptr {pointer}, i64 {offset}")

    def loop(
        self,
        limit: str | int,
        step: int,
        carried: Sequence[tuple[str, str]],
        body: Callable[[str, list[str]], list[str]],
    ) -> list[str]:
        """Run `body` for 0, step, 2 step... < limit, at least once; carried = (type, start) each.

        The body takes the index and the carried values and returns the next ones; the loop
        returns the last.
        """
        before, head, after = self.block, self.fresh("loop"), self.fresh("done")
        index, following = "%" + self.fresh(), "%" + self.fresh()
        names = ["%" + self.fresh() for _ in carried]
        self.line(f"br label %{head}")
        self.label(head)
        place = len(self.lines)
        results = body(index, names)
        end = self.block
        phis = [f"  {index} = phi i64 [ 0, %{before} ], [ {following}, %{end} ]"]
        for name, (kind, start), result in zip(names, carried, results, strict=True):
            phis.append(f"  {name} = phi {kind} [ {start}, %{before} ], [ {result}, %{end} ]")
        self.lines[place:place] = phis
        self.line(f"{following} = add i64 {index}, {step}")
        more = self.value(f"icmp ult i64 {following}, {limit}")
        self.line(f"br i1 {more}, label %{head}, label %{after}")
        self.label(after)
        return results

    def choose(
        self, condition: str, kinds: Sequence[str], body: Callable[[], list[str]], other: list[str]
    ) -> list[str]:
        """`body()` where the condition holds, the values `other` elsewhere."""
        before, inside, after = self.block, self.fresh("then"), self.fresh("join")
        self.line(f"br i1 {condition}, label %{inside}, label %{after}")
        self.label(inside)
        results = body()
        end = self.block
        self.line(f"br label %{after}")
        self.label(after)
        return [
            self.value(f"phi {kind} [ {result}, %{end} ], [ {absent}, %{before} ]")
            for kind, result, absent in zip(kinds, results, other, strict=True)
        ]


@dataclass(frozen=True)
class TileShape:
    """Rows and columns of one tile function; `columns` may end inside a vector."""

    rows: int
    columns: int
    lanes: int

    @property
    def vectors(self) -> int:
        return -(-self.columns // self.lanes)

    def width(self, vector: int) -> int:
        """How many lanes of a vector count."""
        return min(self.lanes, self.columns - vector * self.lanes)

    def mask(self, vector: int) -> str | None:
        """The lane mask of a vector, or None where all its lanes count."""
        left = self.width(vector)
        if left == self.lanes:
            return None
        lanes = ", ".join(f"i1 {'true' if lane < left else 'false'}" for lane in range(self.lanes))
        return f"<{self.lanes} x i1> <{lanes}>"


class TileEmitter:
    """Writes one tile function."""

    def __init__(self, plan: Plan, shape: TileShape, isa: Isa, declarations: set[str]) -> None:
        self.plan, self.shape, self.isa = plan, shape, isa
        self.spec = plan.spec
        self.writer = Writer(declarations)
        self.kind = STORED[self.spec.accumulator]
        self.vector = f"<{shape.lanes} x {self.kind}>"
        self.floating = self.spec.accumulator.startswith("float")
        self.extras = extra_buffers(self.spec)
        dtypes = (self.spec.dtype_a, self.spec.dtype_b, self.spec.dtype_c)
        self.dtypes = dtypes + tuple(step.dtype for step in self.extras)
        self.steps = "%steps"

    def emit(self, name: str) -> str:
        """The whole function."""
        writer = self.writer
        total = self._start()
        if self.plan.paired and self.plan.cut == len(self.plan.sums) - 1:
            self.steps = self.writer.value("lshr i64 %steps, 1")
        if count(self.plan.sums):
            total = self._sum(0, self.plan.cut, ["%a", "%b"], total)
        self._finish(total)
        pointers = ["%a", "%b", "%c", *(f"%e{index}" for index in range(len(self.extras)))]
        signature = ", ".join(f"ptr {pointer}" for pointer in pointers)
        head = (
            f"define internal void @{name}({signature}, ptr %scalars, {TILE_FLAGS}"
            f"{limits_argument()}) noinline nounwind {{"
        )
        return "\n".join([head, "entry:", *writer.lines, "  ret void", "}"])

    # Addresses and values.

    def _checked(self, pointer: str, operand: int, size: int) -> str:
        """Where an access goes; see bounds.py."""
        packed = operand == 1 and self.plan.packed
        return checked(self.writer, pointer, len(self.dtypes) if packed else operand, size)

    def _bytes(self, operand: int, row: int, vector: int = 0) -> int:
        """Byte offset of a row and vector of the tile in an operand."""
        elements = self.plan.tile.offsets[row][operand]
        elements += vector * self.shape.lanes * self.plan.vector_strides[operand]
        return elements * ITEM_BYTES[self.dtypes[operand]]

    def _load_vector(self, pointer: str, operand: int, vector: int) -> str:
        """One vector of an operand that runs along the vector axis, in the accumulator's dtype."""
        dtype = self.dtypes[operand]
        value = self._raw_vector(pointer, operand, vector)
        return widen(self.writer, value, self.shape.lanes, dtype, self.spec.accumulator)

    def _raw_vector(self, pointer: str, operand: int, vector: int) -> str:
        """One vector as it is stored; lanes past the edge are zero and not read."""
        dtype = self.dtypes[operand]
        lanes, align = self.shape.lanes, ITEM_BYTES[dtype]
        pointer = self._checked(pointer, operand, self.shape.width(vector) * align)
        stored = f"<{lanes} x {STORED[dtype]}>"
        mask = self.shape.mask(vector)
        if mask is None:
            return self.writer.value(f"load {stored}, ptr {pointer}, align {align}")
        return self.writer.call(
            stored,
            f"llvm.masked.load.{suffix(lanes, STORED[dtype])}.p0",
            f"ptr, i32, <{lanes} x i1>, {stored}",
            f"ptr {pointer}, i32 {align}, {mask}, {stored} zeroinitializer",
        )

    def _load_scalar(self, pointer: str, operand: int) -> str:
        """One element of an operand in every lane."""
        dtype = self.dtypes[operand]
        align = ITEM_BYTES[dtype]
        pointer = self._checked(pointer, operand, align)
        value = self.writer.value(f"load {STORED[dtype]}, ptr {pointer}, align {align}")
        return self._splat(widen(self.writer, value, 0, dtype, self.spec.accumulator))

    def _splat(self, scalar: str, kind: str = "") -> str:
        lanes, kind = self.shape.lanes, kind or self.kind
        vector = f"<{lanes} x {kind}>"
        one = self.writer.value(f"insertelement {vector} poison, {kind} {scalar}, i64 0")
        return self.writer.value(
            f"shufflevector {vector} {one}, {vector} poison, <{lanes} x i32> zeroinitializer"
        )

    def _operand(self, pointer: str, operand: int, row: int, vector: int, ahead: int) -> str:
        """Row and vector of an operand, loaded or broadcast as its strides say."""
        address = self.writer.move(pointer, self._bytes(operand, row, vector) + ahead)
        if self.plan.paired and operand < 2:
            return self._load_pairs(address, operand)
        if self.plan.vector_strides[operand] == 0:
            return self._load_scalar(address, operand)
        return self._load_vector(address, operand, vector)

    def _load_pairs(self, address: str, operand: int) -> str:
        """Two neighbours of the sum in every lane: one pair of A broadcast, `lanes` pairs of B."""
        lanes = self.shape.lanes
        kind = f"<{lanes} x i32>"
        address = self._checked(address, operand, 4 * lanes if operand == 1 else 4)
        if operand == 1:
            value = self.writer.value(f"load {kind}, ptr {address}, align 2")
        else:
            pair = self.writer.value(f"load i32, ptr {address}, align 2")
            value = self._splat(pair, "i32")
        return self.writer.value(f"bitcast {kind} {value} to <{2 * lanes} x bfloat>")

    # The sum.

    def _product(self, a: str, b: str, ahead: tuple[int, int], total: list[str]) -> list[str]:
        """One step of the sum: every row times every vector, each operand loaded once."""
        loaded: dict[tuple[int, int, str | None], str] = {}

        def fetch(operand: int, pointer: str, row: int, vector: int) -> str:
            # The same address may be wanted whole by one vector and masked by another.
            key = operand, self._bytes(operand, row, vector), self.shape.mask(vector)
            if key not in loaded:
                loaded[key] = self._operand(pointer, operand, row, vector, ahead[operand])
            return loaded[key]

        total = list(total)
        for row in range(self.shape.rows):
            for vector in range(self.shape.vectors):
                place = row * self.shape.vectors + vector
                right = fetch(1, b, row, vector)
                left = fetch(0, a, row, vector)
                total[place] = self._multiply_add(left, right, total[place])
        return total

    def _multiply_add(self, left: str, right: str, total: str) -> str:
        vector, lanes = self.vector, self.shape.lanes
        if self.plan.paired:
            pairs = f"<{2 * lanes} x bfloat>"
            return self.writer.call(
                vector,
                f"llvm.x86.avx512bf16.dpbf16ps.{32 * lanes}",
                f"{vector}, {pairs}, {pairs}",
                f"{vector} {total}, {pairs} {left}, {pairs} {right}",
            )
        if self.floating and self.isa.fma:
            return self.writer.call(
                vector,
                f"llvm.fma.{suffix(lanes, self.kind)}",
                f"{vector}, {vector}, {vector}",
                f"{vector} {left}, {vector} {right}, {vector} {total}",
            )
        multiply, add = ("fmul", "fadd") if self.floating else ("mul", "add")
        product = self.writer.value(f"{multiply} {vector} {left}, {right}")
        return self.writer.value(f"{add} {vector} {product}, {total}")

    def _steps(self, level: int) -> tuple[int, int]:
        """Bytes that one step of a sum loop moves in A and B."""
        strides = self.plan.sums[level].strides
        return strides[0] * ITEM_BYTES[self.dtypes[0]], strides[1] * ITEM_BYTES[self.dtypes[1]]

    def _sum(self, depth: int, level: int, pointers: list[str], total: list[str]) -> list[str]:
        """The nest of sum loops from `level` inwards; depth 0 is the cut loop."""
        cut = depth == 0 and self.plan.counted
        limit: str | int = self.steps if cut else self.plan.sums[level].extent
        if level < len(self.plan.sums) - 1:
            return self._run(level, limit, 1, pointers, total)[2:]
        unroll = self._unroll(self.plan.sums[level].extent, cut)
        if not cut:
            whole = self.plan.sums[level].extent // unroll * unroll
            state = self._run(level, whole, unroll, pointers, total)
            return self._rest(level, self.plan.sums[level].extent - whole, state)
        if (not self.plan.blocked or self.plan.block % unroll == 0) and self.plan.sums[
            level
        ].extent % unroll == 0:
            return self._run(level, limit, unroll, pointers, total)[2:]
        return self._guarded(level, unroll, pointers, total)

    def _unroll(self, extent: int, cut: bool) -> int:
        """Steps of the innermost loop written out: a divisor if there is a good one."""
        most = max(1, min(8, MOST_UNROLLED // (self.shape.rows * self.shape.vectors), extent))
        if cut:
            return 1 << (most.bit_length() - 1)
        divisors = [size for size in range(1, most + 1) if extent % size == 0]
        return divisors[-1] if divisors[-1] * 2 > most else most

    def _run(
        self, level: int, limit: str | int, unroll: int, pointers: list[str], total: list[str]
    ) -> list[str]:
        """One sum loop; returns the pointers behind it and the sums."""
        strides = self._steps(level)
        innermost = level == len(self.plan.sums) - 1

        def body(_: str, state: list[str]) -> list[str]:
            here, sums = state[:2], state[2:]
            if innermost:
                for step in range(unroll):
                    ahead = (step * strides[0], step * strides[1])
                    sums = self._product(here[0], here[1], ahead, sums)
            else:
                sums = self._sum(1, level + 1, here, sums)
            moved = [
                self.writer.move(pointer, stride * unroll)
                for pointer, stride in zip(here, strides, strict=True)
            ]
            return moved + sums

        carried = [("ptr", pointer) for pointer in pointers]
        carried += [(self.vector, each) for each in total]
        if limit == unroll:
            return body("0", [start for _, start in carried])
        return self.writer.loop(limit, unroll, carried, body)

    def _rest(self, level: int, steps: int, state: list[str]) -> list[str]:
        """The last `steps` steps, fewer than the unrolled loop takes, written out."""
        strides = self._steps(level)
        total = state[2:]
        for step in range(steps):
            ahead = (step * strides[0], step * strides[1])
            total = self._product(state[0], state[1], ahead, total)
        return total

    def _guarded(self, level: int, unroll: int, pointers: list[str], total: list[str]) -> list[str]:
        """A number of steps known at run time only: whole unrolled turns, then one by one."""
        writer = self.writer
        kinds = ["ptr", "ptr"] + [self.vector] * len(total)
        state = pointers + total
        whole = writer.value(f"and i64 {self.steps}, {-unroll}")
        rest = writer.value(f"and i64 {self.steps}, {unroll - 1}")
        for limit, turn in ((whole, unroll), (rest, 1)):
            present = writer.value(f"icmp ne i64 {limit}, 0")

            def turns(limit: str = limit, turn: int = turn, state: list[str] = state) -> list[str]:
                return self._run(level, limit, turn, state[:2], state[2:])

            state = writer.choose(present, kinds, turns, state)
        return state[2:]

    # The way in and out.

    def _places(self) -> list[tuple[int, int]]:
        return [(row, v) for row in range(self.shape.rows) for v in range(self.shape.vectors)]

    def _load_result(self) -> list[str]:
        return [
            self._load_vector(self.writer.move("%c", self._bytes(2, row, vector)), 2, vector)
            for row, vector in self._places()
        ]

    def _start(self) -> list[str]:
        """Sums to begin with: zero, or what C holds."""
        zero = ["zeroinitializer"] * len(self._places())
        if self.spec.accumulate:
            # The first visit adds to C, later ones go on from it: the same load.
            return self._load_result()
        if not self.plan.blocked:
            return zero
        again = self.writer.value("xor i1 %first, true")
        return self.writer.choose(again, [self.vector] * len(zero), self._load_result, zero)

    def _finish(self, total: list[str]) -> None:
        """Round, apply the epilogue on the last visit, store."""
        writer = self.writer
        total = [self._rounded(each) for each in total]
        if self.spec.epilogue:
            kinds = [self.vector] * len(total)
            if self.plan.blocked:
                start = total
                total = writer.choose("%last", kinds, lambda: self._epilogue(start), start)
            else:
                total = self._epilogue(total)
        for value, (row, vector) in zip(total, self._places(), strict=True):
            self._store(value, row, vector)

    def _rounded(self, value: str) -> str:
        """The value as C's dtype holds it, still in the accumulator's dtype."""
        dtype, wide = self.spec.dtype_c, self.spec.accumulator
        if dtype == wide:
            return value
        lanes = self.shape.lanes
        stored = narrow(self.writer, value, lanes, wide, dtype)
        return widen(self.writer, stored, lanes, dtype, wide)

    def _epilogue(self, total: list[str]) -> list[str]:
        extra = 0
        for step in self.spec.epilogue:
            total = self._apply(step, extra, total)
            extra += step.buffer is not None
        return total

    def _apply(self, step: Step, extra: int, total: list[str]) -> list[str]:
        """One epilogue step on every vector of the tile."""
        results = []
        scalar = self._scalar(step.scalar) if step.scalar is not None else ""
        for value, (row, vector) in zip(total, self._places(), strict=True):
            second = scalar
            if step.buffer is not None:
                second = self._operand(f"%e{extra}", 3 + extra, row, vector, 0)
            assert STEPS[step.op][0] == 1 or second
            results.append(self._rounded(self._step(step.op, value, second)))
        return results

    def _scalar(self, slot: int) -> str:
        """A runtime parameter, held as float64 or int64 in its slot, in every lane."""
        writer = self.writer
        wide = "double" if self.floating else "i64"
        address = writer.move("%scalars", 8 * slot)
        value = writer.value(f"load {wide}, ptr {address}, align 8")
        if self.kind != wide:
            action = "fptrunc" if self.floating else "trunc"
            value = writer.value(f"{action} {wide} {value} to {self.kind}")
        return self._rounded(self._splat(value))

    def _step(self, op: str, left: str, right: str) -> str:
        vector = self.vector
        if op == "negate":
            action = "fneg {} {}" if self.floating else "sub {} zeroinitializer, {}"
            return self.writer.value(action.format(vector, left))
        if op in ("add", "subtract", "multiply"):
            name = {"add": "add", "subtract": "sub", "multiply": "mul"}[op]
            return self.writer.value(f"{'f' * self.floating}{name} {vector} {left}, {right}")
        return self._extreme(op, left, right or "zeroinitializer")

    def _extreme(self, op: str, left: str, right: str) -> str:
        """maximum, minimum or relu: a NaN on either side comes out as NaN."""
        vector, lanes = self.vector, self.shape.lanes
        order = "lt" if op == "minimum" else "gt"
        mask = f"<{lanes} x i1>"
        if not self.floating:
            sign = "u" if self.spec.accumulator == "uint8" else "s"
            kept = self.writer.value(f"icmp {sign}{order} {vector} {left}, {right}")
        else:
            # "Not (left beyond right)" is also true for a NaN in `left`: keep it.
            ahead = self.writer.value(f"fcmp o{order} {vector} {left}, {right}")
            missing = self.writer.value(f"fcmp uno {vector} {left}, {left}")
            kept = self.writer.value(f"or {mask} {ahead}, {missing}")
        return self.writer.value(f"select {mask} {kept}, {vector} {left}, {vector} {right}")

    def _store(self, value: str, row: int, vector: int) -> None:
        writer, lanes, dtype = self.writer, self.shape.lanes, self.spec.dtype_c
        value = narrow(writer, value, lanes, self.spec.accumulator, dtype)
        stored = f"<{lanes} x {STORED[dtype]}>"
        address = writer.move("%c", self._bytes(2, row, vector))
        align = ITEM_BYTES[dtype]
        address = self._checked(address, 2, self.shape.width(vector) * align)
        mask = self.shape.mask(vector)
        if mask is None:
            writer.line(f"store {stored} {value}, ptr {address}, align {align}")
            return
        if self.shape.width(vector) == 1:
            # LLVM 22 stores four bytes for one masked lane of a narrowed vector: say it plainly.
            one = writer.value(f"extractelement {stored} {value}, i64 0")
            writer.line(f"store {STORED[dtype]} {one}, ptr {address}, align {align}")
            return
        function = f"llvm.masked.store.{suffix(lanes, STORED[dtype])}.p0"
        writer.declarations.add(f"declare void @{function}({stored}, ptr, i32, <{lanes} x i1>)")
        writer.line(f"call void @{function}({stored} {value}, ptr {address}, i32 {align}, {mask})")


TILE_FLAGS = "i64 %steps, i1 %first, i1 %last"


def suffix(lanes: int, kind: str) -> str:
    """How an intrinsic's name spells a vector type."""
    return f"v{lanes}" + {"half": "f16", "float": "f32", "double": "f64"}.get(kind, kind)


def _typed(kind: str, lanes: int) -> str:
    return f"<{lanes} x {kind}>" if lanes else kind


def widen(writer: Writer, value: str, lanes: int, dtype: str, wide: str) -> str:
    """A loaded scalar (lanes 0) or vector of `dtype` in the accumulator's dtype `wide`."""
    if dtype == wide:
        return value
    source, target = _typed(STORED[dtype], lanes), _typed(STORED[wide], lanes)
    if dtype == "bfloat16":
        bits = _typed("i32", lanes)
        value = writer.value(f"zext {source} {value} to {bits}")
        value = writer.value(f"shl {bits} {value}, {_constant(16, lanes)}")
        return writer.value(f"bitcast {bits} {value} to {target}")
    action = "fpext" if dtype == "float16" else "zext" if dtype == "uint8" else "sext"
    return writer.value(f"{action} {source} {value} to {target}")


def narrow(writer: Writer, value: str, lanes: int, wide: str, dtype: str) -> str:
    """A value of the accumulator's dtype as `dtype` is stored, rounded to nearest, ties to even."""
    if dtype == wide:
        return value
    source, target = _typed(STORED[wide], lanes), _typed(STORED[dtype], lanes)
    if dtype != "bfloat16":
        action = "fptrunc" if wide.startswith("float") else "trunc"
        return writer.value(f"{action} {source} {value} to {target}")
    bits = _typed("i32", lanes)
    raw = writer.value(f"bitcast {source} {value} to {bits}")
    high = writer.value(f"lshr {bits} {raw}, {_constant(16, lanes)}")
    odd = writer.value(f"and {bits} {high}, {_constant(1, lanes)}")
    half = writer.value(f"add {bits} {odd}, {_constant(0x7FFF, lanes)}")
    rounded = writer.value(f"add {bits} {raw}, {half}")
    rounded = writer.value(f"lshr {bits} {rounded}, {_constant(16, lanes)}")
    quiet = writer.value(f"or {bits} {high}, {_constant(0x40, lanes)}")
    missing = writer.value(f"fcmp uno {source} {value}, {value}")
    kept = writer.value(f"select {_typed('i1', lanes)} {missing}, {bits} {quiet}, {bits} {rounded}")
    return writer.value(f"trunc {bits} {kept} to {target}")


def _constant(number: int, lanes: int) -> str:
    return f"<{', '.join([f'i32 {number}'] * lanes)}>" if lanes else str(number)
