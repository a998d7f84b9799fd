"""Checks that a kernel keeps the invariants of IR 2, before it is run or translated.

In: a kernel. Out: nothing, or KernelError that names the kernel, the statement and the broken rule.
Invariant: a kernel that passes is understood by the interpreter and the code generator alike; only
the bounds of dynamic addresses are left to `check_index` and to the interpreter.
"""

from __future__ import annotations

from collections.abc import Sequence

from rushlight.base.dtype import DTYPES
from rushlight.base.errors import InternalError

from .ir import Affine, Carried, Kernel, Let, Load, Loop, Statement, Store
from .primitives import COMBINES, EVERY, LIBM, PRIMITIVES

_STATED = {"const": 1, "scalar": 1, "index": 1, "check_index": 2, "libm": 1}


class KernelError(InternalError):
    """A kernel that breaks a rule of IR 2: a bug of the scheduler or of a template."""


def verify(kernel: Kernel) -> None:
    """Raise KernelError unless every rule stated in `kernel/ir.py` holds."""
    _Verifier(kernel).kernel_rules()


class _Verifier:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.parameters = {p.name: p for p in kernel.parameters}
        self.types: dict[str, str] = {}
        self.defined: set[str] = set()  # ever, in any scope: names are unique in the whole kernel
        self.extents: dict[str, int] = {}
        self.vector: str | None = None

    def require(self, holds: bool, rule: str) -> None:
        if not holds:
            raise KernelError(f"kernel {self.kernel.name!r}: {rule}")

    # ------------------------------------------------------------------------------------ structure

    def kernel_rules(self) -> None:
        kernel = self.kernel
        self.require(len(self.parameters) == len(kernel.parameters), "two parameters have one name")
        for p in kernel.parameters:
            self.require(
                p.dtype in EVERY,
                f"parameter {p.name!r} has dtype {p.dtype!r}, which kernels cannot hold",
            )
            self.require(
                p.mode in ("in", "out", "inout"), f"parameter {p.name!r} has mode {p.mode!r}"
            )
        self.require(
            kernel.block >= 1 and kernel.parallel >= 0, "block or parallel is out of range"
        )
        self.nest_rules()
        self.statements(kernel.body)

    def nest_rules(self) -> None:
        body: Sequence[Statement] = self.kernel.body
        loop: Loop | None = None
        for depth in range(self.kernel.parallel):
            last = body[-1] if body else None
            self.require(isinstance(last, Loop), f"parallel loop {depth} is missing")
            assert isinstance(last, Loop)
            loop = last
            self.require(
                all(isinstance(s, Let) for s in body[:-1]),
                "only Lets may stand before a parallel loop",
            )
            self.require(not loop.carried, f"parallel loop {loop.index!r} carries values")
            innermost = depth == self.kernel.parallel - 1
            self.require(
                innermost or not loop.vector,
                f"loop {loop.index!r}: only the innermost parallel loop is vector",
            )
            body = loop.body
        if loop is not None and loop.vector:
            self.require(
                self.kernel.block % 64 == 0, f"block {self.kernel.block} is no multiple of 64"
            )

    def statements(self, body: Sequence[Statement]) -> None:
        for statement in body:
            if isinstance(statement, Let):
                self.let(statement)
            elif isinstance(statement, Load):
                self.load(statement)
            elif isinstance(statement, Store):
                self.store(statement)
            else:
                self.loop(statement)

    def loop(self, loop: Loop) -> None:
        where = f"loop {loop.index!r}"
        self.require(loop.index not in self.extents, f"{where}: the index is in use")
        self.require(loop.extent >= 0, f"{where}: extent {loop.extent}")
        self.require(
            not (loop.vector and self.vector),
            f"{where}: a vector loop inside of vector loop {self.vector!r}",
        )
        for c in loop.carried:
            self.require(c.combine in COMBINES, f"{where}: combine {c.combine!r}")
            self.require(
                self.type(c.initial, where) == c.dtype, f"{where}: {c.initial!r} is not {c.dtype}"
            )
        outside = dict(self.types)
        for c in loop.carried:
            self.define(c.name, c.dtype)
        self.extents[loop.index] = loop.extent
        outer_vector, self.vector = self.vector, loop.index if loop.vector else self.vector
        self.statements(loop.body)
        self.carried_rules(loop.carried, where)
        self.vector = outer_vector
        del self.extents[loop.index]
        self.types = {**outside, **{c.name: c.dtype for c in loop.carried}}

    def carried_rules(self, carried: Sequence[Carried], where: str) -> None:
        for c in carried:
            self.require(
                self.type(c.next, where) == c.dtype, f"{where}: {c.next!r} is not {c.dtype}"
            )

    # --------------------------------------------------------------------------------------- values

    def define(self, name: str, dtype: str) -> None:
        self.require(name not in self.defined, f"value {name!r} is defined twice")
        self.require(
            dtype in EVERY, f"value {name!r} has dtype {dtype!r}, which kernels cannot compute"
        )
        self.defined.add(name)
        self.types[name] = dtype

    def type(self, name: str, where: str) -> str:
        self.require(name in self.types, f"{where} uses {name!r}, which is not defined there")
        return self.types[name]

    def let(self, let: Let) -> None:
        where = f"{let.name!r} = {let.op}"
        row = PRIMITIVES.get(let.op)
        self.require(row is not None, f"{where}: no such primitive")
        assert row is not None
        types = [self.type(a, where) for a in let.arguments]
        count_fits = len(types) == row.arity if row.arity >= 0 else len(types) > 0
        self.require(count_fits, f"{where} takes {row.arity} arguments, not {len(types)}")
        self.require(
            len(let.attributes) >= _STATED.get(let.op, 0), f"{where}: attributes are missing"
        )
        operands = types[1:] if let.op == "where" else types
        if let.op == "where":
            self.require(types[0] == "bool", f"{where}: the condition is {types[0]}")
        self.require(
            len(set(operands)) <= 1,
            f"{where}: the operands are of several dtypes: {', '.join(operands)}",
        )
        if types:
            self.require(types[-1] in row.dtypes, f"{where} does not take {types[-1]}")
        result = {"same": types[-1] if types else let.dtype, "bool": "bool", "stated": let.dtype}[
            row.result
        ]
        self.require(let.dtype == result, f"{where} gives {result}, not {let.dtype}")
        self.attribute_rules(let, types, where)
        self.define(let.name, let.dtype)

    def attribute_rules(self, let: Let, types: Sequence[str], where: str) -> None:
        if let.op == "index":
            self.require(let.dtype == "int64", f"{where} gives int64, not {let.dtype}")
            self.affine(let.attributes[0], where)
        elif let.op == "scalar":
            self.require(
                0 <= let.attributes[0] < len(self.kernel.scalars),
                f"{where}: no slot {let.attributes[0]}",
            )
        elif let.op == "libm":
            self.require(let.attributes[0] in LIBM, f"{where}: {let.attributes[0]!r} is not listed")
        elif let.op == "bitcast":
            sizes = {DTYPES[let.dtype].itemsize, DTYPES[types[0]].itemsize}
            self.require(len(sizes) == 1, f"{where}: {types[0]} and {let.dtype} differ in size")

    # --------------------------------------------------------------------------------------- memory

    def affine(self, affine: Affine, where: str) -> tuple[int, int]:
        """The smallest and the largest value; every index must belong to an enclosing loop."""
        low = high = affine.constant
        self.require(
            len({name for name, _ in affine.terms}) == len(affine.terms),
            f"{where}: an index occurs twice",
        )
        for name, coefficient in affine.terms:
            self.require(
                name in self.extents, f"{where}: {name!r} is no index of an enclosing loop"
            )
            reach = coefficient * max(0, self.extents[name] - 1)
            low, high = low + min(0, reach), high + max(0, reach)
        return low, high

    def access(self, access: Load | Store, where: str) -> None:
        self.require(access.parameter in self.parameters, f"{where}: no such parameter")
        low, high = self.affine(access.address, where)
        if access.dynamic is not None:
            dynamic = self.type(access.dynamic, where)
            self.require(dynamic == "int64", f"{where}: the dynamic address is {dynamic}")
        elif access.mask is None and 0 not in self.extents.values():
            size = self.parameters[access.parameter].size
            self.require(
                low >= 0 and high < size, f"{where}: addresses {low}..{high} of {size} elements"
            )
        if access.mask is not None:
            self.require(self.type(access.mask, where) == "bool", f"{where}: the mask is not bool")

    def load(self, load: Load) -> None:
        where = f"{load.name!r} = load {load.parameter!r}"
        self.access(load, where)
        parameter = self.parameters[load.parameter]
        self.require(
            load.dtype == parameter.dtype,
            f"{where}: {load.dtype} from a buffer of {parameter.dtype}",
        )
        self.require(parameter.mode != "out", f"{where}: an output is read")
        self.define(load.name, load.dtype)

    def store(self, store: Store) -> None:
        where = f"store {store.parameter!r}"
        self.access(store, where)
        parameter = self.parameters[store.parameter]
        value = self.type(store.value, where)
        self.require(
            value == parameter.dtype, f"{where}: {value} into a buffer of {parameter.dtype}"
        )
        self.require(parameter.mode != "in", f"{where}: an input is written")
        self.require(
            store.combine is None or store.combine in COMBINES,
            f"{where}: combine {store.combine!r}",
        )
        if self.vector is None:
            return
        moves = store.address.coefficient(self.vector) != 0
        self.require(moves or store.dynamic is not None, f"{where}: every lane writes one address")
        safe = store.combine is None or moves  # a computed part: whoever planned it knows why
        self.require(safe, f"{where}: lanes may combine into one address")
