"""Type promotion against PyTorch's, exhaustively: every pair of dtypes, as tensors with dimensions,
zero-dimensional tensors and Python numbers, through every kind of binary operation.

Compared are the result's dtype and shape, or the type of the error. Known differences, which the
documentation states: there is no complex32 (float16 with a complex number gives complex64), and
arithmetic is defined for uint16, uint32 and uint64 too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

import rushlight as rl

torch = pytest.importorskip("torch")

DTYPES = (
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
)
NUMBERS = {"bool": True, "int": 2, "float": 1.5, "complex": 1 + 2j}
Operand = tuple[str, str]

TENSORS: list[Operand] = [("tensor", name) for name in DTYPES]
SCALARS: list[Operand] = [("zero-dim", name) for name in DTYPES]
OPERANDS: list[Operand] = [*TENSORS, *SCALARS, *(("number", name) for name in NUMBERS)]


def made(module: Any, operand: Operand) -> Any:
    """An operand of a module; its elements are ones, which nothing overflows."""
    kind, name = operand
    if kind == "number":
        return NUMBERS[name]
    return module.ones((3,) if kind == "tensor" else (), dtype=getattr(module, name))


def outcome(program: Callable[[Any], Any], module: Any) -> tuple:
    """(dtype, shape) of what a program gives, or the type of its error."""
    try:
        result = program(module)
    except Exception as error:
        return (type(error), str(error))
    return (str(result.dtype), tuple(result.shape))


def is_known_difference(theirs: tuple) -> bool:
    return theirs[0] == "torch.complex32" or "ComplexHalf" in str(theirs[1])


def differences(program: Callable[[Any, Any, Any], Any], pairs: Any) -> Iterator[str]:
    """The pairs of operands that a program treats differently on both sides."""
    for a, c in pairs:

        def run(module: Any, a: Operand = a, c: Operand = c) -> Any:
            return program(module, made(module, a), made(module, c))

        theirs = outcome(run, torch)
        ours = outcome(run, rl)
        if is_known_difference(theirs):
            continue
        if isinstance(theirs[0], type):
            same = isinstance(ours[0], type) and issubclass(ours[0], theirs[0])
        else:
            same = ours == theirs
        if not same:
            yield f"{a} with {c}: {ours}, and PyTorch {theirs}"


def pairs_with_a_tensor() -> Iterator[tuple[Operand, Operand]]:
    return ((a, c) for a, c in product(OPERANDS, OPERANDS) if a[0] != "number" or c[0] != "number")


FUNCTIONS = ("add", "div", "floor_divide", "pow", "maximum", "lt", "bitwise_and", "logical_or")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    found = differences(lambda m, x, y: getattr(m, name)(x, y), pairs_with_a_tensor())
    assert not list(found)


def test_result_type() -> None:
    for a, c in pairs_with_a_tensor():
        theirs = torch.result_type(made(torch, a), made(torch, c))
        if theirs != torch.complex32:
            assert str(rl.result_type(made(rl, a), made(rl, c))) == str(theirs), (a, c)


@pytest.mark.parametrize("name", ["sub", "mod"])
def test_operators(name: str) -> None:
    symbol = getattr(operator, name)
    assert not list(differences(lambda m, x, y: symbol(x, y), pairs_with_a_tensor()))


def test_where() -> None:
    def choose(module: Any, x: Any, y: Any) -> Any:
        return module.where(module.ones((), dtype=module.bool), x, y)

    assert not list(differences(choose, product(OPERANDS, OPERANDS)))


@pytest.mark.parametrize("name", ["add_", "div_", "pow_", "bitwise_or_", "copy_"])
def test_in_place(name: str) -> None:
    pairs = product(TENSORS, OPERANDS)
    assert not list(differences(lambda m, x, y: getattr(x, name)(y), pairs))


def test_wide_unsigned_integers_do_not_mix_with_other_integers() -> None:
    for other in ("bool", "int8", "int64", "uint32"):
        with pytest.raises(RuntimeError, match="Promotion for uint16"):
            rl.promote_types(rl.uint16, getattr(rl, other))
    with pytest.raises(RuntimeError, match="Promotion for uint16"):
        rl.ones(3, dtype=rl.bool) * rl.ones((), dtype=rl.uint16)
    assert (rl.ones(3, dtype=rl.uint16) + rl.ones(3)).dtype is rl.float32
