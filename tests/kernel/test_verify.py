"""Every rule of IR 2 can be broken, and the verifier says which one was."""

from __future__ import annotations

import pytest

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
from rushlight.kernel.verify import KernelError, verify

AT = Affine(0, (("i", 1),))
X, Y = Parameter("x", "float32", 8, "in"), Parameter("y", "float32", 8, "out")
LOAD, STORE = Load("a", "x", AT, "float32"), Store("y", AT, "a")


def kernel(*body: Statement, vector: bool = False, block: int = 1, extent: int = 8) -> Kernel:
    return Kernel("k", (X, Y), (), (Loop("i", extent, body, vector=vector),), 1, block)


def test_a_copy_is_accepted() -> None:
    verify(kernel(LOAD, STORE))
    verify(kernel(LOAD, STORE, vector=True, block=64))


def let(
    op: str, *arguments: str, dtype: str = "float32", attributes: tuple[object, ...] = ()
) -> Let:
    return Let("r", op, arguments, dtype, attributes)


BROKEN: dict[str, tuple[Kernel, str]] = {
    "no such op": (kernel(LOAD, let("frobnicate", "a")), "no such primitive"),
    "arity": (kernel(LOAD, let("add", "a")), "takes 2 arguments"),
    "use before definition": (kernel(let("neg", "a"), LOAD), "'a', which is not defined"),
    "defined twice": (kernel(LOAD, LOAD), "defined twice"),
    "mixed dtypes": (
        kernel(LOAD, Let("b", "cast", ("a",), "int32"), let("add", "a", "b")),
        "several dtypes: float32, int32",
    ),
    "wrong result": (kernel(LOAD, let("lt", "a", "a")), "gives bool, not float32"),
    "not for this dtype": (kernel(LOAD, let("bitwise_not", "a")), "does not take float32"),
    "too far": (kernel(LOAD, STORE, extent=9), "addresses 0..8 of 8 elements"),
    "below zero": (kernel(Load("a", "x", Affine(0, (("i", -1),)), "float32")), "addresses -7..0"),
    "unknown index": (kernel(Load("a", "x", Affine(0, (("j", 1),)), "float32")), "'j' is no index"),
    "store to input": (kernel(LOAD, Store("x", AT, "a")), "an input is written"),
    "load of output": (kernel(Load("a", "y", AT, "float32")), "an output is read"),
    "dtype of buffer": (kernel(Load("a", "x", AT, "int32")), "int32 from a buffer of float32"),
    "mask": (kernel(LOAD, Load("b", "x", AT, "float32", None, "a")), "the mask is not bool"),
    "dynamic": (kernel(LOAD, Load("b", "x", AT, "float32", "a")), "dynamic address is float32"),
    "block": (kernel(LOAD, STORE, vector=True, block=5), "no multiple of 64"),
    "one address for all lanes": (
        kernel(LOAD, Store("y", Affine(), "a"), vector=True, block=64),
        "every lane writes one address",
    ),
    "nested vectors": (
        kernel(Loop("j", 2, (), vector=True), vector=True, block=64),
        "inside of vector loop 'i'",
    ),
    "no slot": (kernel(let("scalar", attributes=(0,))), "no slot 0"),
    "unlisted libm": (kernel(LOAD, let("libm", "a", attributes=("system",))), "'system' is not"),
    "loop missing": (Kernel("k", (X, Y), (), (LOAD,), 1, 1), "parallel loop 0 is missing"),
    "carried parallel": (
        Kernel(
            "k",
            (X, Y),
            (),
            (
                Let("z", "const", (), "float32", (0.0,)),
                Loop("i", 8, (LOAD,), (Carried("t", "z", "a", "sum", "float32"),)),
            ),
        ),
        "carries values",
    ),
    "value of an inner scope": (
        kernel(Loop("j", 2, (Load("b", "x", AT, "float32"),)), Store("y", AT, "b")),
        "'b', which is not defined",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_kernels_are_refused(case: str) -> None:
    broken, message = BROKEN[case]
    with pytest.raises(KernelError, match="kernel 'k'") as caught:
        verify(broken)
    assert message in str(caught.value)
