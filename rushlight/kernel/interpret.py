"""Runs a kernel in NumPy: the living definition of IR 2, and the reference for the code generator.

In: a kernel, its buffers (flat NumPy arrays in storage form) and its runtime scalars. Out: the
buffers, changed in place, and the status word. Invariant: nothing here knows how code is generated.
Parallel loops and vector loops are evaluated as arrays, [iterations, lanes], since their iterations
may run in any order; other loops run one by one. A vector loop that carries values has as many
lanes as iterations, so float sums may differ in rounding from other lane counts. An address outside
its buffer raises IndexError: the kernel is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rushlight.base.dtype import named

from .convert import bitcast, cast, from_storage, register_type, round_to, to_storage
from .ir import Affine, Carried, Kernel, Let, Load, Loop, Statement, Store
from .primitives import COMBINES, FLOATS, LIBM, PRIMITIVES, neutral

# so many [iterations, lanes] elements are evaluated at a time
_CHUNK = 1 << 20


def interpret(
    kernel: Kernel, buffers: Sequence[np.ndarray], scalars: Sequence[float | int] = ()
) -> int:
    """Run the whole kernel on `buffers` (in the order of its parameters); returns the status word.

    The status is 0, or `site + 1` of a failed check_index, or `-(site + 1)` of an integer division
    by zero.
    """
    run = _Run(kernel, buffers, scalars)
    with np.errstate(all="ignore"):
        run.parallel()
    return run.status


class _Run:
    """The state of one interpretation.

    The values and loop indices that are known, as [iterations, lanes] arrays.
    """

    def __init__(
        self, kernel: Kernel, buffers: Sequence[np.ndarray], scalars: Sequence[float | int]
    ) -> None:
        self.kernel = kernel
        self.buffers = {p.name: b for p, b in zip(kernel.parameters, buffers, strict=True)}
        self.dtypes = {p.name: p.dtype for p in kernel.parameters}
        self.scalars = scalars
        self.status = 0
        self.values: dict[str, np.ndarray] = {}
        self.types: dict[str, str] = {}
        self.indices: dict[str, np.ndarray] = {}

    def parallel(self) -> None:
        """Evaluate the parallel nest in chunks of its collapsed index."""
        body = self.kernel.body
        loops: list[Loop] = []
        while len(loops) < self.kernel.parallel:
            self.statements(body[:-1])
            loop = body[-1]
            assert isinstance(loop, Loop)
            loops.append(loop)
            body = loop.body
        total = int(np.prod([loop.extent for loop in loops], dtype=np.int64))
        step = max(1, _CHUNK // _lanes(body))
        for begin in range(0, total, step):
            rest = np.arange(begin, min(begin + step, total), dtype=np.int64)[:, None]
            for loop in reversed(loops):
                rest, self.indices[loop.index] = np.divmod(rest, loop.extent)
            self.statements(body)

    def statements(self, body: Sequence[Statement]) -> None:
        for statement in body:
            if isinstance(statement, Let):
                self.define(statement.name, self.let(statement), statement.dtype)
            elif isinstance(statement, Load):
                self.define(statement.name, self.load(statement), statement.dtype)
            elif isinstance(statement, Store):
                self.store(statement)
            elif statement.vector:
                self.vector_loop(statement)
            else:
                self.serial_loop(statement)

    def define(self, name: str, value: np.ndarray, dtype: str) -> None:
        self.values[name] = np.atleast_2d(value)
        self.types[name] = dtype

    # ---------------------------------------------------------------------------------------- loops

    def serial_loop(self, loop: Loop) -> None:
        for c in loop.carried:
            self.define(c.name, self.values[c.initial], c.dtype)
        for i in range(loop.extent):
            self.indices[loop.index] = np.full((1, 1), i, np.int64)
            self.statements(loop.body)
            following = [self.values[c.next] for c in loop.carried]
            for c, value in zip(loop.carried, following, strict=True):
                self.define(c.name, value, c.dtype)

    def vector_loop(self, loop: Loop) -> None:
        """All iterations at once, each a lane of its own.

        Carried values start neutral and are joined at the end.
        """
        self.indices[loop.index] = np.arange(loop.extent, dtype=np.int64)[None, :]
        for c in loop.carried:
            start = np.full((1, 1), neutral(c.combine, c.dtype)).astype(register_type(c.dtype))
            self.define(c.name, start, c.dtype)
        self.statements(loop.body)
        for c in loop.carried:
            self.define(c.name, self.join(c, loop.extent), c.dtype)

    def join(self, c: Carried, lanes: int) -> np.ndarray:
        """Lanes -> one value, halving pairwise, then with the initial value."""
        primitive = COMBINES[c.combine].primitive
        partial = self.values[c.next]
        if lanes == 0:
            return self.values[c.initial]
        partial = np.broadcast_to(partial, (partial.shape[0], lanes))
        while partial.shape[1] > 1:
            half = partial.shape[1] // 2
            joined = round_to(
                self.meaning(primitive, partial[:, :half], partial[:, half : 2 * half]), c.dtype
            )
            partial = np.concatenate([joined, partial[:, 2 * half :]], axis=1)
        return round_to(self.meaning(primitive, self.values[c.initial], partial), c.dtype)

    # --------------------------------------------------------------------------------------- values

    def meaning(self, op: str, *arguments: np.ndarray) -> np.ndarray:
        meaning = PRIMITIVES[op].meaning
        assert meaning is not None, op
        return np.asarray(meaning(*arguments))

    def let(self, let: Let) -> np.ndarray:
        arguments = [self.values[a] for a in let.arguments]
        special = getattr(self, f"let_{let.op}", None)
        if special is not None:
            return np.asarray(special(let, *arguments))
        row = PRIMITIVES[let.op]
        if row.divides and let.dtype not in FLOATS and np.any(arguments[1] == 0):
            self.status = -((let.attributes[0] if let.attributes else 0) + 1)
        return round_to(self.meaning(let.op, *arguments), let.dtype)

    def let_const(self, let: Let) -> np.ndarray:
        (value,) = let.attributes
        if let.dtype in FLOATS:
            wide = np.float64(value) if let.dtype == "float64" else np.float32(value)
            return round_to(np.asarray(wide), let.dtype)
        return np.asarray(value).astype(register_type(let.dtype))

    def let_scalar(self, let: Let) -> np.ndarray:
        (slot,) = let.attributes
        stored = "float64" if named(self.kernel.scalars[slot]).is_floating_point else "int64"
        return cast(np.asarray(self.scalars[slot], stored), stored, let.dtype)

    def let_index(self, let: Let) -> np.ndarray:
        return self.address(let.attributes[0], None)

    def let_cast(self, let: Let, value: np.ndarray) -> np.ndarray:
        return cast(value, self.types[let.arguments[0]], let.dtype)

    def let_bitcast(self, let: Let, value: np.ndarray) -> np.ndarray:
        return bitcast(value, self.types[let.arguments[0]], let.dtype)

    def let_check_index(self, let: Let, value: np.ndarray) -> np.ndarray:
        size, site = let.attributes
        good = (value >= -size) & (value < size)
        if not np.all(good):
            self.status = site + 1
        return np.where(good, np.where(value < 0, value + size, value), 0)

    def let_libm(self, let: Let, *arguments: np.ndarray) -> np.ndarray:
        meaning = LIBM[let.attributes[0]]
        return round_to(meaning(*(a.astype(np.float64) for a in arguments)), let.dtype)

    # --------------------------------------------------------------------------------------- memory

    def address(self, affine: Affine, dynamic: str | None) -> np.ndarray:
        """The element number as an int64 array that broadcasts against [iterations, lanes]."""
        total = np.full((1, 1), affine.constant, np.int64)
        for index, coefficient in affine.terms:
            total = total + coefficient * self.indices[index]
        return total if dynamic is None else total + self.values[dynamic]

    def active(
        self, parameter: str, address: np.ndarray, mask: str | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Address and mask at one shape, addresses 0 where masked.

        IndexError for one outside of the buffer.
        """
        active = self.values[mask] if mask is not None else np.ones((1, 1), bool)
        address, active = np.broadcast_arrays(address, active)
        address = np.where(active, address, 0)
        size = self.buffers[parameter].size
        if np.any(active & ((address < 0) | (address >= size))):
            raise IndexError(
                f"{self.kernel.name}: addresses {address.min()}..{address.max()} of {parameter!r} "
                f"reach outside of its {size} elements"
            )
        return address, active

    def load(self, load: Load) -> np.ndarray:
        address, active = self.active(
            load.parameter, self.address(load.address, load.dynamic), load.mask
        )
        values = np.zeros(address.shape, register_type(load.dtype))
        values[active] = from_storage(self.buffers[load.parameter][address[active]], load.dtype)
        return values

    def store(self, store: Store) -> None:
        wanted = self.address(store.address, store.dynamic)
        value = self.values[store.value]
        shape = np.broadcast_shapes(wanted.shape, value.shape)
        address, active = self.active(store.parameter, np.broadcast_to(wanted, shape), store.mask)
        value = np.broadcast_to(value, address.shape)[active]
        address = address[active]
        buffer, dtype = self.buffers[store.parameter], self.dtypes[store.parameter]
        if store.combine is None:
            buffer[address] = to_storage(value, dtype)
            return
        primitive = COMBINES[store.combine].primitive
        if np.unique(address).size == address.size:
            old = from_storage(buffer[address], dtype)
            buffer[address] = to_storage(
                round_to(self.meaning(primitive, old, value), dtype), dtype
            )
            return
        for place, one in zip(address, value, strict=True):
            old = from_storage(buffer[place : place + 1], dtype)
            joined = self.meaning(primitive, old, np.asarray([one], register_type(dtype)))
            buffer[place : place + 1] = to_storage(round_to(joined, dtype), dtype)


def _lanes(body: Sequence[Statement]) -> int:
    """The largest extent of a vector loop in `body`."""
    lanes = 1
    for statement in body:
        if isinstance(statement, Loop):
            lanes = max(lanes, statement.extent if statement.vector else 1, _lanes(statement.body))
    return lanes
