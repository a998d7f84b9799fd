"""Random kernels for hypothesis: nests, layouts, masks, gathers and reductions, in all dtypes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from rushlight.kernel.convert import to_storage
from rushlight.kernel.ir import (
    Affine,
    Carried,
    Kernel,
    Let,
    Load,
    Loop,
    Parameter,
    Statement,
    Store,
)
from rushlight.kernel.primitives import EVERY, INTEGERS, PRIMITIVES

EXTENTS = st.one_of(
    st.integers(1, 9), st.sampled_from([15, 16, 17, 31, 33, 63, 64, 65, 100, 130, 200])
)
UNARY = ["neg", "abs", "sign", "floor", "ceil", "round", "trunc", "sqrt", "reciprocal"]
UNARY += ["bitwise_not", "logical_not", "isnan"]
BINARY = ["add", "sub", "mul", "div", "maximum", "minimum", "fmax", "fmin", "lt", "ge", "eq", "ne"]
BINARY += ["bitwise_and", "bitwise_xor", "logical_or", "shift_left", "shift_right"]
BINARY += ["remainder", "trunc_divide"]


def values(random: np.random.Generator, dtype: str, count: int) -> np.ndarray:
    """Random elements in storage form.

    Floats are small multiples of 1/4, so that short sums are exact.
    """
    if dtype == "bool":
        return random.integers(0, 2, count).astype(bool)
    if dtype in INTEGERS:
        low = -20 if np.iinfo(dtype).min else 0
        return random.integers(low, 30, count).astype(dtype)
    return to_storage(random.integers(-20, 20, count).astype(np.float32) / np.float32(4), dtype)


@dataclass
class Draft:
    """A kernel in the making."""

    draw: st.DrawFn
    random: np.random.Generator
    parameters: list[Parameter] = field(default_factory=list)
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    names: int = 0

    def name(self) -> str:
        self.names += 1
        return f"v{self.names}"

    def affine(self, extents: dict[str, int]) -> tuple[Affine, int]:
        """Strides of any sign and order over the loops, some of them 0.

        The address and the elements it needs.
        """
        order = self.draw(st.permutations(list(extents)))
        stride, constant, terms = self.draw(st.sampled_from([1, 1, 1, 2])), 0, []
        for index in order:
            sign = self.draw(st.sampled_from([1, 1, 1, 0, -1]))
            if sign:
                terms.append((index, sign * stride))
                constant += stride * (extents[index] - 1) if sign < 0 else 0
                stride *= extents[index]
        return Affine(constant, tuple(terms)), stride + constant

    def load(
        self, extents: dict[str, int], dtype: str, mask: str | None, dynamic: str | None, reach: int
    ) -> Load:
        address, size = self.affine(extents)
        size += reach
        parameter = Parameter(f"p{len(self.parameters)}", dtype, size, "in")
        self.parameters.append(parameter)
        self.inputs[parameter.name] = values(self.random, dtype, size)
        return Load(self.name(), parameter.name, address, dtype, dynamic, mask)

    def output(self, extents: dict[str, int], dtype: str) -> tuple[str, Affine]:
        """A buffer in which every iteration has an element of its own."""
        order = self.draw(st.permutations(list(extents)))
        stride, constant, terms = self.draw(st.sampled_from([1, 1, 2])), 0, []
        for index in order:
            sign = self.draw(st.sampled_from([1, 1, -1]))
            terms.append((index, sign * stride))
            constant += stride * (extents[index] - 1) if sign < 0 else 0
            stride *= extents[index]
        parameter = Parameter(f"p{len(self.parameters)}", dtype, stride + constant, "inout")
        self.parameters.append(parameter)
        self.inputs[parameter.name] = values(self.random, dtype, parameter.size)
        return parameter.name, Affine(constant, tuple(terms))

    def expression(
        self, body: list[Statement], known: list[tuple[str, str]], extents: dict[str, int]
    ) -> None:
        """Append one random statement; `known` are the values so far with their dtypes."""
        kind = self.draw(
            st.sampled_from(
                ["load", "load", "op", "op", "op", "op", "cast", "index", "const", "gather"]
            )
        )
        dtype = self.draw(st.sampled_from(EVERY))
        bools = [n for n, t in known if t == "bool"]
        mask = self.draw(st.sampled_from([None, *bools]))
        if kind == "load":
            made = self.load(extents, dtype, mask, None, 0)
        elif kind == "index":
            made = Let(self.name(), "index", (), "int64", (self.affine(extents)[0],))
        elif kind == "const":
            made = Let(self.name(), "const", (), dtype, (self.draw(st.integers(0, 5)),))
        elif kind == "gather":
            made = self.gather(body, known, extents, dtype, mask)
        elif kind == "cast" and known:
            source = self.draw(st.sampled_from(known))[0]
            made = Let(self.name(), "cast", (source,), dtype)
        else:
            made = self.op(known)
        if made is not None:
            body.append(made)
            known.append((made.name, made.dtype))

    def gather(self, body, known, extents, dtype, mask) -> Load | None:  # type: ignore[no-untyped-def]
        whole = [n for n, t in known if t == "int64"]
        if not whole:
            return None
        size = self.draw(st.sampled_from([20, 60]))
        checked = Let(
            self.name(), "check_index", (self.draw(st.sampled_from(whole)),), "int64", (size, 4)
        )
        body.append(checked)
        return self.load(extents, dtype, mask, checked.name, size)

    def op(self, known: list[tuple[str, str]]) -> Let | None:
        if not known:
            return None
        name, dtype = self.draw(st.sampled_from(known))
        fitting = [op for op in UNARY + BINARY if dtype in PRIMITIVES[op].dtypes] + ["where"]
        op = self.draw(st.sampled_from(fitting))
        same = [n for n, t in known if t == dtype]
        others = tuple(self.draw(st.sampled_from(same)) for _ in range(PRIMITIVES[op].arity - 1))
        if op == "where":
            bools = [n for n, t in known if t == "bool"]
            if not bools:
                return None
            return Let(
                self.name(), "where", (self.draw(st.sampled_from(bools)), name, others[0]), dtype
            )
        result = "bool" if PRIMITIVES[op].result == "bool" else dtype
        return Let(self.name(), op, (name, *others), result)


@st.composite
def elementwise(draw: st.DrawFn) -> tuple[Kernel, dict[str, np.ndarray]]:
    """One to three parallel loops, the last perhaps the vector loop, and a random expression."""
    draft = Draft(draw, np.random.default_rng(draw(st.integers(0, 1 << 30))))
    depth = draw(st.integers(1, 3))
    extents = {
        f"i{d}": draw(EXTENTS if d == depth - 1 else st.integers(1, 7)) for d in range(depth)
    }
    vector = draw(st.booleans())
    body: list[Statement] = []
    known: list[tuple[str, str]] = []
    for _ in range(draw(st.integers(2, 12))):
        draft.expression(body, known, extents)
    for name, dtype in (
        draw(st.lists(st.sampled_from(known), max_size=2)) + known[-1:] if known else []
    ):
        parameter, address = draft.output(extents, dtype)
        combine = draw(st.sampled_from([None, None, "max"]))
        bools = [n for n, t in known if t == "bool"]
        body.append(
            Store(parameter, address, name, None, draw(st.sampled_from([None, *bools])), combine)
        )
    statement: Statement
    nest: tuple[Statement, ...] = tuple(body)
    for index in reversed(extents):
        statement = Loop(index, extents[index], nest, vector=vector and index == f"i{depth - 1}")
        nest = (statement,)
    block = draw(st.sampled_from([64, 128, 640])) if vector else draw(st.integers(1, 70))
    return Kernel("k", tuple(draft.parameters), (), nest, depth, block), draft.inputs


COMBINABLE = {
    "sum": [t for t in EVERY if t not in ("bool", "float16", "bfloat16")],
    "max": list(EVERY), "min": list(EVERY), "prod": list(INTEGERS),
    "and": ["bool", *INTEGERS], "or": ["bool", *INTEGERS],
}  # fmt: skip
STEP = {
    "sum": "add",
    "max": "maximum",
    "min": "minimum",
    "prod": "mul",
    "and": "bitwise_and",
    "or": "bitwise_or",
}


@st.composite
def reductions(draw: st.DrawFn) -> tuple[Kernel, dict[str, np.ndarray]]:
    """A parallel loop and two inner ones that carry a value.

    Any of the three may be the vector loop.
    """
    draft = Draft(draw, np.random.default_rng(draw(st.integers(0, 1 << 30))))
    combine = draw(st.sampled_from(list(STEP)))
    dtype = draw(st.sampled_from(COMBINABLE[combine]))
    extents = {"i": draw(EXTENTS), "j": draw(EXTENTS), "k": draw(st.integers(1, 5))}
    vector = draw(st.sampled_from(["i", "j", "k", None]))
    inner: list[Statement] = []
    mask = None
    if draw(st.booleans()):
        flag = draft.load(extents, "bool", None, None, 0)
        inner.append(flag)
        mask = flag.name
    load = draft.load(extents, dtype, mask, None, 0)
    inner += [load, Let("n", STEP[combine], ("t2", load.name), dtype)]
    loop_k = Loop(
        "k", extents["k"], tuple(inner), (Carried("t2", "t1", "n", combine, dtype),), vector == "k"
    )
    loop_j = Loop(
        "j", extents["j"], (loop_k,), (Carried("t1", "t0", "t2", combine, dtype),), vector == "j"
    )
    start = Let("t0", "const", (), dtype, (draw(st.integers(0, 3)),))
    parameter, address = draft.output({"i": extents["i"]}, dtype)
    after = (
        Let("r", "add", ("t1", "t1"), dtype)
        if dtype != "bool"
        else Let("r", "logical_not", ("t1",), dtype)
    )
    body = (start, loop_j, after, Store(parameter, address, "r"))
    block = 64 if vector == "i" else draw(st.integers(1, 9))
    return Kernel(
        "k",
        tuple(draft.parameters),
        (),
        (Loop("i", extents["i"], body, vector=vector == "i"),),
        1,
        block,
    ), draft.inputs
