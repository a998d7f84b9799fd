"""Addresses, loads and stores of one kernel as LLVM text.

In: accesses of IR 2 with their dynamic parts and masks as registers. Out: lines. Invariants: an
address is a chain of getelementptr, one for each enclosing loop that moves it, written where the
loop's index is known and shared by all accesses that agree on it; a masked-off lane never touches
memory; only the alignment of an element is assumed. Where `SETTINGS.bounds` asks for it, a lane
that would leave its parameter's memory is masked off and reported.
"""

from __future__ import annotations

from collections.abc import Sequence

from rushlight.base.dtype import DTYPES
from rushlight.base.settings import SETTINGS
from rushlight.kernel.ir import Affine, Kernel, Load, Statement, Store
from rushlight.kernel.primitives import COMBINES

from . import analysis
from . import emit as rows
from .bounds import OUTSIDE
from .builder import Builder, Number, suffix, type_text
from .convert import from_storage, storage_dtype, to_storage
from .given import Given, is_given

_Terms = tuple[tuple[str, int], ...]


class Memory:
    """The pointers known so far.

    `vector_index`, `lanes` and `mask` describe the vector loop, if inside of it.
    """

    def __init__(self, builder: Builder, kernel: Kernel) -> None:
        self.builder = builder
        self.kernel = kernel
        self.dtypes = {p.name: p.dtype for p in kernel.parameters}
        self.elements = {p.name: type_text(storage_dtype(p.dtype), 0) for p in kernel.parameters}
        self.indices: dict[str, str] = {}  # entered loops, outermost first
        self.pointers: dict[tuple[str, _Terms], str] = {}
        self.splats: dict[str, Number] = {}
        self.vector_index: str | None = None
        self.lanes = 0
        self.mask: Number | None = None
        self._slots: dict[str, str] = {}
        # parameter -> its number and its first and last element, where accesses are checked
        self._limits: dict[str, tuple[int, str, str]] = {}

    # ------------------------------------------------------------------------------------ addresses

    def bases(self) -> None:
        """The parameters' pointers, at the start of the function."""
        for i, parameter in enumerate(self.kernel.parameters):
            place = self.builder.line(f"getelementptr ptr, ptr %buffers, i64 {i}")
            first = self.builder.line(f"load ptr, ptr {place}")
            self.pointers[parameter.name, ()] = first
            if SETTINGS.bounds:
                last = self._moved(parameter.name, first, parameter.size - 1)
                self._limits[parameter.name] = i, first, last

    def _moved(self, parameter: str, pointer: str, elements: int | str) -> str:
        return self.builder.line(
            f"getelementptr {self.elements[parameter]}, ptr {pointer}, i64 {elements}"
        )

    def enter(self, index: str, text: str, body: Sequence[Statement]) -> None:
        """Begin a loop's iteration: advance the pointers of the accesses below by its index."""
        self.indices[index] = text
        scaled: dict[int, str] = {1: text}
        for access in analysis.walk(body):
            if not isinstance(access, (Load, Store)):
                continue
            coefficient = access.address.coefficient(index)
            if not coefficient:
                continue
            outer, key = self._terms(access.address, index), self._terms(access.address)
            if (access.parameter, key) in self.pointers:
                continue
            if coefficient not in scaled:
                scaled[coefficient] = self.builder.line(f"mul i64 {text}, {coefficient}")
            base, element = self.pointers[access.parameter, outer], self.elements[access.parameter]
            pointer = self.builder.line(
                f"getelementptr {element}, ptr {base}, i64 {scaled[coefficient]}"
            )
            self.pointers[access.parameter, key] = pointer

    def leave(self, index: str) -> None:
        """End a loop: its pointers are of no use outside."""
        del self.indices[index]
        self.pointers = {
            k: v for k, v in self.pointers.items() if all(name != index for name, _ in k[1])
        }

    def _terms(self, address: Affine, without: str | None = None) -> _Terms:
        """The part of an address that entered loops decide, in the order of entering."""
        found = dict(address.terms)
        return tuple((n, c) for n in self.indices if n != without and (c := found.get(n, 0)))

    def entered(self, affine: Affine) -> bool:
        """Whether all its loops have been entered."""
        return all(name in self.indices or not c for name, c in affine.terms)

    def index(self, affine: Affine) -> Number:
        """The value of an affine, by lanes where it moves with them."""
        line = self.builder.line
        total = str(affine.constant)
        for name, coefficient in affine.terms:
            if coefficient and self.indices[name] != "0":
                product = line(f"mul i64 {self.indices[name]}, {coefficient}")
                total = line(f"add i64 {total}, {product}") if total != "0" else product
        scalar = self.builder.number(total, "int64")
        step = affine.coefficient(self.vector_index) if self.vector_index else 0
        return self.builder.splat(scalar, self.lanes) + self._steps(step) if step else scalar

    def _steps(self, step: int | Given) -> Number:
        """0, step, 2 * step, ... by lanes."""
        if is_given(step):
            return self._given_steps(step)
        steps = ", ".join(f"i64 {step * i}" for i in range(self.lanes))
        return self.builder.number(f"<{steps}>", "int64", self.lanes)

    def _given_steps(self, step: Given) -> Number:
        """Steps that are known at run time only, computed at the function's start."""
        kind, early = f"<{self.lanes} x i64>", self.builder.early
        one = early(f"insertelement {kind} poison, i64 {step}, i64 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        every = early(f"shufflevector {kind} {one}, {kind} poison, {zeros}")
        text = early(f"mul {kind} {every}, {self._steps(1).text}")
        return self.builder.number(text, "int64", self.lanes)

    def _place(self, access: Load | Store, dynamic: Number | None, first: int) -> Number | str:
        """The pointer of an access: one, or one for each lane. `first` elements are added."""
        builder, element = self.builder, self.elements[access.parameter]
        pointer = self.pointers[access.parameter, self._terms(access.address)]
        if dynamic is not None and not dynamic.lanes:
            pointer = builder.line(f"getelementptr {element}, ptr {pointer}, i64 {dynamic.text}")
            dynamic = None
        start = access.address.constant + first
        if is_given(start) or start:
            pointer = builder.line(f"getelementptr {element}, ptr {pointer}, i64 {start}")
        step = access.address.coefficient(self.vector_index) if self.vector_index else 0
        if dynamic is None and step in (-1, 0, 1):
            return pointer
        offsets = dynamic
        if step:
            offsets = self._steps(step) if dynamic is None else dynamic + self._steps(step)
        assert offsets is not None
        return builder.number(
            builder.line(f"getelementptr {element}, ptr {pointer}, {offsets.typed}"),
            "int64",
            self.lanes,
        )

    # ---------------------------------------------------------------------------------------- lanes

    def spread(self, name: str, value: Number) -> Number:
        """A value in every lane; the instructions of a scalar's are written once in a scope."""
        if value.lanes or not self.lanes:
            return value
        if name not in self.splats or self.splats[name].lanes != self.lanes:
            self.splats[name] = self.builder.splat(value, self.lanes)
        return self.splats[name]

    def _active(self, mask: Number | None) -> Number | None:
        """A statement's mask and the vector loop's, by lanes."""
        if mask is None:
            return self.mask
        spread = self.builder.splat(mask, self.lanes)
        return spread if self.mask is None else spread & self.mask

    def _pointer_type(self, place: Number | str) -> tuple[str, str]:
        """The type of one pointer or of one for each lane, and how intrinsics' names tell it."""
        if isinstance(place, str):
            return "ptr", "p0"
        return f"<{self.lanes} x ptr>", f"v{self.lanes}p0"

    def _whole(self) -> Number:
        return self.builder.constant(True, "bool", self.lanes)

    def _reversed(self, value: Number) -> Number:
        return self.builder.shuffle(value, range(self.lanes - 1, -1, -1))

    def _slot(self, kind: str) -> str:
        """A place on the stack for what must not reach memory.

        "zero" is only read, "waste" only written.
        """
        if kind not in self._slots:
            self._slots[kind] = self.builder.slot("i64", "0")
        return self._slots[kind]

    def report(self, bad: Number, code: int | Given) -> None:
        """Write `code` to the status word if `bad` holds, in any active lane: without a branch."""
        if bad.lanes and self.mask is not None:
            bad = bad & self.mask
        self._write_status(bad, code)

    def _write_status(self, bad: Number, code: int | Given) -> None:
        place = self.builder.line(
            f"select {self.builder.any(bad).typed}, ptr %status, ptr {self._slot('waste')}"
        )
        self.builder.effect(f"store i64 {code}, ptr {place}")

    def _within(
        self, parameter: str, place: Number | str, lanes: int, active: Number | None
    ) -> Number | None:
        """The lanes that may touch memory: where accesses are checked, those of the active ones
        that stay in the parameter's; others are reported.
        """
        if not self._limits:
            return active
        number, first, last = self._limits[parameter]
        kind, pointers = ("ptr", place) if isinstance(place, str) else ("", place.text)
        if lanes:
            kind = f"<{lanes} x ptr>"
            first, last = self._every(first, lanes), self._every(last, lanes)
        if lanes and isinstance(place, str):  # neighbours
            pointers = self.builder.line(
                f"getelementptr {self.elements[parameter]}, ptr {place}, {self._steps(1).typed}"
            )
        begins = self.builder.line(f"icmp uge {kind} {pointers}, {first}")
        ends = self.builder.line(f"icmp ule {kind} {pointers}, {last}")
        inside = self.builder.number(begins, "bool", lanes) & self.builder.number(
            ends, "bool", lanes
        )
        self._write_status(~inside if active is None else active & ~inside, OUTSIDE + number)
        return inside if active is None else active & inside

    def _every(self, pointer: str, lanes: int) -> str:
        """A pointer in every lane."""
        kind = f"<{lanes} x ptr>"
        one = self.builder.line(f"insertelement {kind} poison, ptr {pointer}, i64 0")
        return self.builder.line(
            f"shufflevector {kind} {one}, {kind} poison, <{lanes} x i32> zeroinitializer"
        )

    # -------------------------------------------------------------------------------- loads, stores

    def load(self, load: Load, dynamic: Number | None, mask: Number | None) -> Number:
        """A scalar, or by lanes where the address or the mask moves with them."""
        step = load.address.coefficient(self.vector_index) if self.vector_index else 0
        by_lanes = bool(step or (dynamic and dynamic.lanes) or (mask and mask.lanes))
        if not by_lanes:
            return from_storage(self._load_scalar(load, dynamic, mask), load.dtype)
        backward = step == -1 and not (dynamic and dynamic.lanes)
        place = self._place(load, dynamic, 1 - self.lanes if backward else 0)
        active = self._active(mask)
        # one address, but lanes that may be off: read if any is on
        if not step and isinstance(place, str):
            return self._load_broadcast(load, place, active)
        if backward:
            active = active and self._reversed(active)
        value = self._load_lanes(load, place, active)
        return from_storage(self._reversed(value) if backward else value, load.dtype)

    def line(self, load: Load, first: int) -> Number:
        """As many elements as there are lanes, side by side from the address on, moved by `first`;
        as they are stored.
        """
        element = self.elements[load.parameter]
        base = self.pointers[load.parameter, self._terms(load.address)]
        place = load.address.constant + first
        pointer = self.builder.line(f"getelementptr {element}, ptr {base}, i64 {place}")
        return self._load_lanes(load, pointer, None)

    def _load_scalar(self, load: Load, dynamic: Number | None, mask: Number | None) -> Number:
        place = self._place(load, dynamic, 0)
        mask = self._within(load.parameter, place, 0, mask)
        if mask is not None:
            place = self.builder.line(f"select {mask.typed}, ptr {place}, ptr {self._slot('zero')}")
        dtype = storage_dtype(load.dtype)
        return self.builder.number(
            self.builder.line(f"load {type_text(dtype, 0)}, ptr {place}, align {_align(dtype)}"),
            dtype,
        )

    def _load_broadcast(self, load: Load, place: str, active: Number | None) -> Number:
        assert active is not None
        dtype = storage_dtype(load.dtype)
        some = self._within(load.parameter, place, 0, self.builder.any(active))
        assert some is not None
        chosen = self.builder.line(f"select {some.typed}, ptr {place}, ptr {self._slot('zero')}")
        text = self.builder.line(f"load {type_text(dtype, 0)}, ptr {chosen}, align {_align(dtype)}")
        value = from_storage(
            self.builder.splat(self.builder.number(text, dtype), self.lanes), load.dtype
        )
        return active.choose(value, 0)

    def _load_lanes(self, load: Load, place: Number | str, active: Number | None) -> Number:
        builder, dtype = self.builder, storage_dtype(load.dtype)
        vector, align = type_text(dtype, self.lanes), _align(dtype)
        active = self._within(load.parameter, place, self.lanes, active)
        if isinstance(place, str) and active is None:
            return builder.number(
                builder.line(f"load {vector}, ptr {place}, align {align}"), dtype, self.lanes
            )
        kind = "load" if isinstance(place, str) else "gather"
        pointer, mangled = self._pointer_type(place)
        name = f"llvm.masked.{kind}.{suffix(dtype, self.lanes)}.{mangled}"
        active = active or self._whole()
        builder.declare(name, vector, [pointer, "i32", active.type, vector])
        where = place if isinstance(place, str) else place.text
        arguments = [
            f"{pointer} {where}",
            f"i32 {align}",
            active.typed,
            f"{vector} zeroinitializer",
        ]
        return builder.number(builder.call(name, vector, arguments), dtype, self.lanes)

    def store(
        self, store: Store, value: Number, dynamic: Number | None, mask: Number | None
    ) -> None:
        """Overwrite, or read, combine and write."""
        dtype = self.dtypes[store.parameter]
        if store.combine:
            load = Load("", store.parameter, store.address, dtype, store.dynamic, store.mask)
            old = self.load(load, dynamic, mask)
            value = rows.compute(COMBINES[store.combine].primitive, (old, value), dtype)
        stored = to_storage(value, dtype)
        if self.lanes:
            self._store_lanes(store, stored, dynamic, mask)
            return
        place = self._place(store, dynamic, 0)
        mask = self._within(store.parameter, place, 0, mask)
        if mask is not None:
            place = self.builder.line(
                f"select {mask.typed}, ptr {place}, ptr {self._slot('waste')}"
            )
        self.builder.effect(f"store {stored.typed}, ptr {place}, align {_align(stored.dtype)}")

    def _store_lanes(
        self, store: Store, value: Number, dynamic: Number | None, mask: Number | None
    ) -> None:
        builder = self.builder
        backward = store.address.coefficient(self.vector_index or "") == -1 and not (
            dynamic and dynamic.lanes
        )
        place = self._place(store, dynamic, 1 - self.lanes if backward else 0)
        active = self._active(mask)
        if backward:
            value, active = self._reversed(value), active and self._reversed(active)
        active = self._within(store.parameter, place, self.lanes, active)
        align = _align(value.dtype)
        if isinstance(place, str) and active is None:
            builder.effect(f"store {value.typed}, ptr {place}, align {align}")
            return
        kind = "store" if isinstance(place, str) else "scatter"
        pointer, mangled = self._pointer_type(place)
        name = f"llvm.masked.{kind}.{suffix(value.dtype, self.lanes)}.{mangled}"
        active = active or self._whole()
        builder.declare(name, "void", [value.type, pointer, "i32", active.type])
        where = place if isinstance(place, str) else place.text
        builder.effect(
            f"call void @{name}({value.typed}, {pointer} {where}, i32 {align}, {active.typed})"
        )

    def bitcast(self, value: Number, source: str, target: str) -> Number:
        """The storage bits of one dtype read as another."""
        stored, wanted = to_storage(value, source), storage_dtype(target)
        if stored.dtype == "float16" or wanted == "float16":
            read = stored if stored.dtype == wanted else stored.convert("bitcast", wanted)
        else:
            read = stored.bits(wanted)
        return from_storage(read, target)


def _align(dtype: str) -> int:
    return DTYPES[dtype].itemsize
