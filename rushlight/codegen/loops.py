"""Kernel -> LLVM text: loops, lanes and addresses; the vectorisation is ours, LLVM only selects
instructions.

In: kernels of IR 2 that `kernel/verify.py` accepts. Out: functions

    define void @name(ptr %buffers, ptr %scalars, ptr %status, i64 %begin, i64 %end)

that perform tasks begin..end-1 (a task is `block` iterations of the collapsed parallel loops);
%buffers points to the parameters' addresses, %scalars to 8-byte slots, %status to one int64.
Invariants: results do not depend on how tasks are divided among calls; a masked lane computes what
an unmasked one does and never touches memory; lanes of a reduction are joined in one fixed order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rushlight.kernel.convert import round_to
from rushlight.kernel.ir import Carried, Kernel, Let, Load, Loop, Statement, Store
from rushlight.kernel.primitives import PRIMITIVES, neutral

from . import analysis
from . import emit as rows
from .builder import Builder, Module, Number, is_float
from .convert import cast, from_storage, register_dtype, round_narrow
from .given import Given, bound, given_constant, is_given
from .isa import Isa
from .lanes import LoopHead, either, first_lanes, join_lanes
from .memory import Memory
from .outline import libm as outline_libm
from .turn import later, transpose, turned_loads


def emit(kernel: Kernel, isa: Isa) -> str:
    """LLVM text of a module with one kernel."""
    return emit_module([kernel], isa)


def emit_module(kernels: Sequence[Kernel], isa: Isa) -> str:
    """LLVM text of a module with several kernels; declarations and helper functions are shared."""
    module = Module(isa)
    for kernel in kernels:
        module.functions.append(_Emitter(kernel, module).function())
    return module.text()


class _Emitter:
    """Writes one kernel. `values` maps names to registers.

    Inside the vector loop `lanes` and `mask` are set.
    """

    def __init__(self, kernel: Kernel, module: Module) -> None:
        self.builder = Builder(module)
        self.kernel = kernel = bound(kernel, self.builder)
        self.memory = Memory(self.builder, kernel)
        self.values: dict[str, Number] = {}
        self.types: dict[str, str] = {}
        self.modes = {p.name: p.mode for p in kernel.parameters}
        self.lanes = 0
        self.varying: set[str] = set()

    def function(self) -> str:
        """The whole definition."""
        self.memory.bases()
        self.parallel_loops()
        self.builder.effect("br label %return")
        self.builder.start_block("return")
        given = "ptr %buffers, ptr %scalars, ptr %status, i64 %begin, i64 %end"
        head = f"define void @{self.kernel.name}({given}) {{"
        return "\n".join(
            [head, "entry:", *self.builder.entry, *self.builder.lines, "ret void", "}"]
        )

    # ---------------------------------------------------------------------------------------- tasks

    def parallel_loops(self) -> None:
        """begin..end -> a range of the collapsed parallel index, and the loops over it."""
        loops, body = [], self.kernel.body
        for _ in range(self.kernel.parallel):
            self.statements(body[:-1])
            loop = body[-1]
            assert isinstance(loop, Loop)
            loops.append(loop)
            body = loop.body
        total = 1
        for loop in loops:
            total *= loop.extent
        if total == 0:
            return
        self.hoist(body)
        line = self.builder.line
        first = line(f"mul i64 %begin, {self.kernel.block}")
        wanted = line(f"mul i64 %end, {self.kernel.block}")
        short = line(f"icmp ult i64 {wanted}, {total}")
        last = line(f"select i1 {short}, i64 {wanted}, i64 {total}")
        some = line(f"icmp ult i64 {first}, {last}")
        start = self.builder.fresh_label("start")
        self.builder.effect(f"br i1 {some}, label %{start}, label %return")
        self.builder.start_block(start)
        self.collapsed(loops, body, first, last)

    def collapsed(
        self, loops: list[Loop], body: Sequence[Statement], first: str, last: str
    ) -> None:
        """Iterations first..last-1 of the nest, in row-major order.

        A vector loop takes the rest of its row at a time, every other nest one iteration at a time.
        """
        row = loops[-1] if loops and loops[-1].vector and loops[-1].extent > 1 else None
        outer = loops[:-1] if row else loops
        for loop in outer:
            if loop.extent == 1:
                self.memory.enter(loop.index, "0", loop.body)
        live = [loop for loop in outer if loop.extent > 1]
        if row and not live:
            self.vector_range(row, first, last)
            return
        if not live:
            self.statements(body)
            return
        self.flat_loop(live, row, body, first, last)

    def flat_loop(
        self, live: list[Loop], row: Loop | None, body: Sequence[Statement], first: str, last: str
    ) -> None:
        line, builder = self.builder.line, self.builder
        width = row.extent if row else 1
        flat = [first, *self.decompose(live, first, width)]
        if row:
            flat.append(line(f"urem i64 {first}, {width}"))
        head = LoopHead(builder, ["i64"] * len(flat), flat)
        here, indices = head.names[0], head.names[1 : 1 + len(live)]
        for loop, index in zip(live, indices, strict=True):
            self.memory.enter(loop.index, index, loop.body)
        rows = "1"
        if row is None:
            count = "1"
            self.scoped(body)
        elif turned := self.turned(row, live[-1]):
            rows = self.turned_rows(row, live[-1], turned, line(f"sub i64 {last}, {here}"))
            count = line(f"mul i64 {rows}, {width}")
        else:
            column = head.names[-1]
            left = line(f"sub i64 {last}, {here}")
            room = line(f"sub i64 {width}, {column}")
            fits = line(f"icmp ult i64 {left}, {room}")
            count = line(f"select i1 {fits}, i64 {left}, i64 {room}")
            self.vector_range(row, column, line(f"add i64 {column}, {count}"))
        following = [
            line(f"add i64 {here}, {count}"),
            *self.advance(live, indices, rows),
            *(["0"] if row else []),
        ]
        more = line(f"icmp ult i64 {following[0]}, {last}")
        head.close(following, more)

    def turned(self, row: Loop, outer: Loop) -> list[Load]:
        """The loads of a row to transpose with those of the rows that follow, where tasks begin
        with rows.
        """
        lanes, block = analysis.lane_count(row, self.builder.module.isa), self.kernel.block
        if is_given(row.extent) or (64 if is_given(block) else block) % row.extent:
            return []
        return turned_loads(row, outer, lanes)

    def turned_rows(self, row: Loop, outer: Loop, turned: list[Load], left: str) -> str:
        """As many rows as a vector has lanes where they are left in the task and in the outer loop,
        else one row. How many they were.
        """
        builder, line = self.builder, self.builder.line
        lanes = analysis.lane_count(row, builder.module.isa)
        here = self.memory.indices[outer.index]
        many = line(f"icmp uge i64 {left}, {lanes * row.extent}")
        reached = line(f"add i64 {here}, {lanes}")
        room = line(f"icmp ule i64 {reached}, {outer.extent}")
        both = line(f"and i1 {many}, {room}")
        tile, single, join = (builder.fresh_label(n) for n in ("tile", "single", "join"))
        builder.effect(f"br i1 {both}, label %{tile}, label %{single}")
        builder.start_block(tile)
        self.open_lanes(row)
        for position in range(0, row.extent, self.lanes):
            self.tile(row, outer, turned, position)
        self.close_lanes()
        end = builder.block
        builder.effect(f"br label %{join}")
        builder.start_block(single)
        self.vector_range(row, "0", str(row.extent))
        other = builder.block
        builder.effect(f"br label %{join}")
        builder.start_block(join)
        return line(f"phi i64 [ {lanes}, %{end} ], [ 1, %{other} ]")

    def tile(self, row: Loop, outer: Loop, turned: list[Load], position: int) -> None:
        """One vector of a row and of each of the rows that follow it."""
        columns = {}
        for load in turned:
            step = load.address.coefficient(row.index)
            lines = [self.memory.line(load, step * (position + k)) for k in range(self.lanes)]
            columns[load.name] = transpose(self.builder, lines)
        kept = self.values
        for k in range(self.lanes):
            self.values = dict(kept)
            for load in turned:
                self.values[load.name] = from_storage(columns[load.name][k], load.dtype)
                self.types[load.name] = load.dtype
            body = later(row.body, outer.index, k)
            self.iteration(replace(row, body=body), str(position), ())
        self.values = kept

    def decompose(self, live: list[Loop], first: str, width: int) -> list[str]:
        """The loop indices of a collapsed index; `width` is the extent of the row below them."""
        indices: list[str] = []
        rest = self.builder.line(f"udiv i64 {first}, {width}") if width > 1 else first
        for loop in reversed(live[1:]):
            indices.append(self.builder.line(f"urem i64 {rest}, {loop.extent}"))
            rest = self.builder.line(f"udiv i64 {rest}, {loop.extent}")
        return [rest, *reversed(indices)]

    def advance(self, live: list[Loop], indices: Sequence[str], carry: str) -> list[str]:
        """The indices of the next iteration: the innermost plus `carry`, which stays within its
        extent or ends on it.
        """
        line = self.builder.line
        following: list[str] = []
        for depth in range(len(live) - 1, -1, -1):
            stepped = line(f"add i64 {indices[depth]}, {carry}")
            if depth:
                wrapped = line(f"icmp eq i64 {stepped}, {live[depth].extent}")
                carry = line(f"zext i1 {wrapped} to i64")
                stepped = line(f"select i1 {wrapped}, i64 0, i64 {stepped}")
            following.append(stepped)
        return following[::-1]

    # ---------------------------------------------------------------------------------------- loops

    def scoped(self, body: Sequence[Statement]) -> None:
        """Statements whose values end with them."""
        values, splats = self.values, self.memory.splats
        self.values, self.memory.splats = dict(values), dict(splats)
        self.statements(body)
        self.values, self.memory.splats = values, splats

    def statements(self, body: Sequence[Statement]) -> None:
        for statement in body:
            if isinstance(statement, Loop):
                self.loop(statement)
            elif isinstance(statement, Store):
                self.store(statement)
            elif statement.name not in self.values:
                self.define(statement)

    def loop(self, loop: Loop) -> None:
        if loop.extent > 0:
            self.hoist(loop.body)
        if loop.extent == 0:
            for c in loop.carried:
                self.keep(c, self.values[c.initial])
        elif loop.vector and loop.extent > 1:
            self.vector_loop(loop)
        else:
            self.serial_loop(loop)

    def keep(self, c: Carried, value: Number) -> None:
        self.values[c.name] = value
        self.types[c.name] = c.dtype

    def hoist(self, body: Sequence[Statement]) -> None:
        """Compute before a loop what does not change in it.

        Memory only where nothing in the kernel writes it.
        """
        for statement in analysis.walk(body):
            if isinstance(statement, Let) and statement.name not in self.values:
                known = all(a in self.values for a in statement.arguments)
                entered = statement.op != "index" or self.memory.entered(statement.attributes[0])
                if known and entered:
                    self.define(statement)
            elif isinstance(statement, Load) and statement.name not in self.values:
                plain = statement.dynamic is None and statement.mask is None
                read_only = self.modes[statement.parameter] == "in"
                if plain and read_only and self.memory.entered(statement.address):
                    self.define(statement)

    def spread(self, body: Sequence[Statement]) -> None:
        """Before a loop, put the scalars that its lanes will read into every lane."""
        for name in sorted(analysis.used_by_lanes(body, self.varying)):
            if name in self.values and not self.values[name].lanes:
                self.vector(name)

    def serial_loop(self, loop: Loop) -> None:
        """One iteration after another; inside of the vector loop, carried values may be vectors."""
        if self.lanes:
            self.spread((loop,))
        starts = [
            self.vector(c.initial) if c.name in self.varying else self.values[c.initial]
            for c in loop.carried
        ]
        if loop.extent == 1:
            ends = self.iteration(loop, "0", starts)
        else:
            types = ["i64", *(s.type for s in starts)]
            head = LoopHead(self.builder, types, ["0", *(s.text for s in starts)])
            here = [
                Number(self.builder, n, s.dtype, s.lanes)
                for n, s in zip(head.names[1:], starts, strict=True)
            ]
            ends = self.iteration(loop, head.names[0], here)
            index = self.builder.line(f"add i64 {head.names[0]}, 1")
            more = self.builder.line(f"icmp ult i64 {index}, {loop.extent}")
            head.close([index, *(e.text for e in ends)], more)
        for c, end in zip(loop.carried, ends, strict=True):
            self.keep(c, end)

    def iteration(self, loop: Loop, index: str, carried: Sequence[Number]) -> list[Number]:
        """The body once, from the carried values at its start to those at its end."""
        values, splats = self.values, self.memory.splats
        self.values, self.memory.splats = dict(values), dict(splats)
        self.memory.enter(loop.index, index, loop.body)
        for c, value in zip(loop.carried, carried, strict=True):
            self.keep(c, value)
        self.statements(loop.body)
        ends = [
            self.vector(c.next) if c.name in self.varying else self.values[c.next]
            for c in loop.carried
        ]
        self.values, self.memory.splats = values, splats
        self.memory.leave(loop.index)
        return ends

    # ---------------------------------------------------------------------------------- vector loop

    def vector_loop(self, loop: Loop) -> None:
        """Whole vectors, then the rest under a mask, then the join of carried lanes."""
        self.open_lanes(loop)
        lanes, builder = self.lanes, self.builder
        carried = [
            builder.constant(neutral(c.combine, c.dtype), register_dtype(c.dtype), lanes)
            for c in loop.carried
        ]
        if is_given(loop.extent):
            carried = self.given_vectors(loop, carried)
        else:
            carried = self.known_vectors(loop, carried)
        self.close_lanes()
        for c, value in zip(loop.carried, carried, strict=True):
            self.keep(c, join_lanes(c, value, self.values[c.initial]))

    def known_vectors(self, loop: Loop, carried: list[Number]) -> list[Number]:
        """Whole vectors and the rest, or all of them under a mask, for a constant extent."""
        lanes, builder = self.lanes, self.builder
        whole = loop.extent // lanes * lanes
        if 0 < whole < loop.extent and analysis.runs_masked(loop, builder.module.isa):
            whole = loop.extent
            carried = self.vectors(loop, "0", str(whole), carried, masked=True)
        elif whole == lanes:
            carried = self.iteration(loop, "0", carried)
        elif whole:
            carried = self.vectors(loop, "0", str(whole), carried, masked=False)
        if whole < loop.extent:
            flags = ", ".join(f"i1 {str(i < loop.extent - whole).lower()}" for i in range(lanes))
            self.memory.mask = mask = builder.number(f"<{flags}>", "bool", lanes)
            ends = self.iteration(loop, str(whole), carried)
            carried = [mask.choose(end, start) for end, start in zip(ends, carried, strict=True)]
        return carried

    def vectors(
        self, loop: Loop, start: str, stop: str, carried: Sequence[Number], masked: bool
    ) -> list[Number]:
        """Vector after vector while the index is below `stop`; `masked`.

        The last one may reach over it.
        """
        builder, line = self.builder, self.builder.line
        head = LoopHead(
            builder, ["i64", *(c.type for c in carried)], [start, *(c.text for c in carried)]
        )
        here = [
            Number(builder, n, c.dtype, self.lanes)
            for n, c in zip(head.names[1:], carried, strict=True)
        ]
        if masked:
            self.memory.mask = first_lanes(
                builder, line(f"sub i64 {stop}, {head.names[0]}"), self.lanes
            )
        ends = self.iteration(loop, head.names[0], here)
        if self.memory.mask is not None:
            ends = [
                self.memory.mask.choose(end, start) for end, start in zip(ends, here, strict=True)
            ]
        index = line(f"add i64 {head.names[0]}, {self.lanes}")
        head.close([index, *(end.text for end in ends)], line(f"icmp slt i64 {index}, {stop}"))
        return ends

    def given_vectors(self, loop: Loop, carried: Sequence[Number]) -> list[Number]:
        """What `vector_loop` does, for an extent given at run time: the same vectors in order."""
        builder, line, extent = self.builder, self.builder.line, str(loop.extent)
        if analysis.runs_masked(loop, builder.module.isa):
            return self.vectors(loop, "0", extent, carried, masked=True)
        whole = builder.early(f"and i64 {extent}, {-self.lanes}")
        enter, after = builder.fresh_label("whole"), builder.fresh_label("after")
        some, before = line(f"icmp ne i64 {whole}, 0"), builder.block
        builder.effect(f"br i1 {some}, label %{enter}, label %{after}")
        builder.start_block(enter)
        ends = self.vectors(loop, "0", whole, carried, masked=False)
        carried = either(builder, carried, before, ends, after)
        tail, done = builder.fresh_label("tail"), builder.fresh_label("done")
        rest, before = builder.early(f"sub i64 {extent}, {whole}"), builder.block
        builder.effect(f"br i1 {line(f'icmp ne i64 {rest}, 0')}, label %{tail}, label %{done}")
        builder.start_block(tail)
        self.memory.mask = mask = first_lanes(builder, rest, self.lanes, builder.early)
        ends = self.iteration(loop, whole, carried)
        chosen = [mask.choose(end, start) for end, start in zip(ends, carried, strict=True)]
        return either(builder, carried, before, chosen, done)

    def open_lanes(self, loop: Loop) -> None:
        self.lanes = self.memory.lanes = analysis.lane_count(loop, self.builder.module.isa)
        self.memory.vector_index = loop.index
        self.varying = analysis.varying(loop)
        self.outer_splats = self.memory.splats
        self.memory.splats = dict(self.outer_splats)
        self.spread(loop.body)

    def close_lanes(self) -> None:
        self.lanes = self.memory.lanes = 0
        self.memory.vector_index, self.memory.mask = None, None
        self.varying = set()
        self.memory.splats = self.outer_splats

    def vector_range(self, loop: Loop, start: str, stop: str) -> None:
        """Iterations start..stop-1 of a parallel vector loop, which carries nothing."""
        builder, line = self.builder, self.builder.line
        self.open_lanes(loop)
        tail, done = builder.fresh_label("tail"), builder.fresh_label("done")
        position = start
        open_end = is_given(loop.extent)
        if (
            open_end or (loop.extent > self.lanes and loop.extent % self.lanes)
        ) and analysis.runs_masked(loop, builder.module.isa):
            self.vectors(loop, start, stop, (), masked=True)
            self.close_lanes()
            return
        if open_end or loop.extent >= self.lanes:
            position = self.whole_vectors(loop, start, stop)
        if open_end or loop.extent % self.lanes:
            rest = line(f"sub i64 {stop}, {position}")
            some = line(f"icmp ne i64 {rest}, 0")
            builder.effect(f"br i1 {some}, label %{tail}, label %{done}")
            builder.start_block(tail)
            self.memory.mask = first_lanes(builder, rest, self.lanes)
            self.iteration(loop, position, ())
            builder.effect(f"br label %{done}")
            builder.start_block(done)
        self.close_lanes()

    def whole_vectors(self, loop: Loop, start: str, stop: str) -> str:
        """As many whole vectors as there are between start and stop; where they end."""
        builder, line = self.builder, self.builder.line
        limit = line(f"sub i64 {stop}, {self.lanes - 1}")
        some = line(f"icmp slt i64 {start}, {limit}")
        before, enter, after = (
            builder.block,
            builder.fresh_label("whole"),
            builder.fresh_label("after"),
        )
        builder.effect(f"br i1 {some}, label %{enter}, label %{after}")
        builder.start_block(enter)
        self.vectors(loop, start, limit, (), masked=False)
        # where they end: the first place of this alignment from which a whole vector does not fit
        count = line(f"sub i64 {stop}, {start}")
        whole = line(f"and i64 {count}, {-self.lanes}")
        following = line(f"add i64 {start}, {whole}")
        end = builder.block
        builder.effect(f"br label %{after}")
        builder.start_block(after)
        return line(f"phi i64 [ {start}, %{before} ], [ {following}, %{end} ]")

    # ----------------------------------------------------------------------------------- statements

    def vector(self, name: str) -> Number:
        """The value in every lane."""
        return self.memory.spread(name, self.values[name])

    def define(self, statement: Let | Load) -> None:
        if isinstance(statement, Load):
            dynamic = self.values[statement.dynamic] if statement.dynamic else None
            mask = self.values[statement.mask] if statement.mask else None
            value = self.memory.load(statement, dynamic, mask)
        else:
            value = self.let(statement)
        self.values[statement.name] = value
        self.types[statement.name] = statement.dtype

    def store(self, store: Store) -> None:
        dynamic = self.values[store.dynamic] if store.dynamic else None
        mask = self.values[store.mask] if store.mask else None
        value = self.vector(store.value) if self.lanes else self.values[store.value]
        self.memory.store(store, value, dynamic, mask)

    def let(self, let: Let) -> Number:
        special = _SPECIAL.get(let.op)
        if special is not None:
            return special(self, let)
        scalar = all(not self.values[a].lanes for a in let.arguments)
        arguments = [self.values[a] if scalar else self.vector(a) for a in let.arguments]
        source = self.types[let.arguments[-1]]
        if PRIMITIVES[let.op].divides and not is_float(arguments[0].dtype):
            self.report_zero(arguments[1], let.attributes[0] if let.attributes else 0)
        return rows.compute(let.op, arguments, source)

    def report_zero(self, divisor: Number, site: int | Given) -> None:
        if not rows.integer_constant(divisor):
            self.memory.report(divisor.equals(0), -(site + 1))

    def constant(self, let: Let) -> Number:
        value = let.attributes[0]
        dtype = register_dtype(let.dtype)
        if is_given(value):
            return given_constant(value, dtype)
        if dtype != let.dtype:
            value = float(round_to(np.asarray(value, np.float32), let.dtype))
        return self.builder.constant(value, dtype)

    def scalar(self, let: Let) -> Number:
        (slot,) = let.attributes
        dtype = "float64" if self.kernel.scalars[slot].startswith("float") else "int64"
        place = self.builder.line(f"getelementptr i64, ptr %scalars, i64 {slot}")
        stored = self.builder.number("", dtype)
        stored.text = self.builder.line(f"load {stored.type}, ptr {place}")
        return cast(stored, dtype, let.dtype)

    def index(self, let: Let) -> Number:
        return self.memory.index(let.attributes[0])

    def cast(self, let: Let) -> Number:
        (name,) = let.arguments
        return cast(self.values[name], self.types[name], let.dtype)

    def bitcast(self, let: Let) -> Number:
        (name,) = let.arguments
        return self.memory.bitcast(self.values[name], self.types[name], let.dtype)

    def check_index(self, let: Let) -> Number:
        limit, site = let.attributes
        value = self.values[let.arguments[0]]
        size = self.builder.splat(self.builder.number(str(limit), "int64"), value.lanes)
        moved = (value < 0).choose(value + size, value)
        good = moved.bits("uint64") < size.bits("uint64")
        self.memory.report(~good, site + 1)
        return good.choose(moved, 0)

    def libm(self, let: Let) -> Number:
        arguments = [self.values[a] for a in let.arguments]
        if any(a.lanes for a in arguments):
            arguments = [self.vector(a) for a in let.arguments]
        result = outline_libm(let.attributes[0], *arguments)
        return round_narrow(result, let.dtype) if register_dtype(let.dtype) != let.dtype else result


_SPECIAL: dict[str, Callable[[_Emitter, Let], Number]] = {
    "const": _Emitter.constant,
    "scalar": _Emitter.scalar,
    "index": _Emitter.index,
    "cast": _Emitter.cast,
    "bitcast": _Emitter.bitcast,
    "check_index": _Emitter.check_index,
    "libm": _Emitter.libm,
}
