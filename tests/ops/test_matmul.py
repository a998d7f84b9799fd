"""Matrix products against PyTorch: every rank, broadcasting, gradients twice over, and the
errors.
"""

from __future__ import annotations

import numpy as np
import pytest
from ops.oracle import agree, fails_alike, functional, normal

import rushlight

SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 2)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((4, 1, 2, 3), (5, 3, 2)),
    ((1, 2, 3), (4, 3, 1)),
    ((2, 0), (0, 3)),
    ((0, 3), (3, 2)),
    ((2, 1), (1, 3)),
]


@pytest.mark.parametrize("shapes", SHAPES)
def test_matmul(shapes: tuple) -> None:
    agree(lambda lib, a, c: lib.matmul(a, c), *(normal(*s, seed=k) for k, s in enumerate(shapes)))


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("mm", [(2, 3), (3, 4)]),
        ("bmm", [(2, 2, 3), (2, 3, 4)]),
        ("mv", [(2, 3), (3,)]),
        ("dot", [(4,), (4,)]),
        ("vdot", [(4,), (4,)]),
        ("outer", [(2,), (3,)]),
        ("inner", [(2, 3), (4, 2, 3)]),
        ("inner", [(), (3,)]),
        ("kron", [(2, 3), (4,)]),
        ("kron", [(2,), (3, 2, 2)]),
        ("chain_matmul", [(2, 3), (3, 4), (4, 1)]),
        ("addmm", [(4,), (2, 3), (3, 4)]),
        ("addmv", [(2,), (2, 3), (3,)]),
        ("baddbmm", [(1, 4), (2, 2, 3), (2, 3, 4)]),
        ("addbmm", [(2, 4), (5, 2, 3), (5, 3, 4)]),
        ("addr", [(2, 3), (2,), (3,)]),
    ],
)
def test_products(name: str, shapes: list) -> None:
    agree(
        lambda lib, *xs: getattr(lib, name)(*xs),
        *(normal(*s, seed=k) for k, s in enumerate(shapes)),
    )


def test_accumulating_products_scale_their_operands() -> None:
    arrays = normal(2, 4), normal(2, 3), normal(3, 4)
    agree(lambda lib, x, a, c: lib.addmm(x, a, c, beta=0.5, alpha=-2), *arrays)
    agree(lambda lib, x, a, c: x.clone().addmm_(a, c, alpha=3), *arrays)
    nothing = np.full((2, 4), np.nan)
    agree(lambda lib, x, a, c: lib.addmm(x, a, c, beta=0), nothing, *arrays[1:], depth=0)


@pytest.mark.parametrize(
    "shapes",
    [
        [(4, 3), (5, 3), (5,)],
        [(2, 2, 3), (5, 3), (5,)],
        [(3,), (5, 3), (5,)],
        [(2, 3), (3,)],
        [(2, 3), (4, 3)],
    ],
)
def test_linear(shapes: list) -> None:
    agree(
        lambda lib, *xs: functional(lib).linear(*xs),
        *(normal(*s, seed=k) for k, s in enumerate(shapes)),
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_narrow_sums_are_taken_in_float32(dtype: str) -> None:
    tolerance = {"float16": 2e-3, "bfloat16": 1e-2, "float32": 1e-5}[dtype]
    agree(
        lambda lib, *xs: functional(lib).linear(*xs),
        normal(4, 64),
        normal(5, 64),
        normal(5),
        dtype=dtype,
        depth=1,
        tolerance=tolerance,
    )
    agree(
        lambda lib, a, c: lib.matmul(a, c),
        np.ones((1, 5000)),
        np.ones((5000, 1)),
        dtype=dtype,
        depth=0,
        tolerance=tolerance,
    )


def test_integers_and_complex_numbers() -> None:
    a, c = np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4)
    agree(lambda lib, x, y: lib.matmul(x, y), a, c)
    z = normal(2, 3) + 1j * normal(2, 3, seed=1)
    w = normal(3, 2) + 1j * normal(3, 2, seed=1)
    agree(lambda lib, x, y: lib.matmul(x, y), z, w, depth=1)
    agree(lambda lib, x, y: lib.vdot(x.reshape(-1), y.reshape(-1)), z, w, depth=1)


EQUATIONS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ba,ca", [(2, 3), (4, 3)]),
    ("ii", [(3, 3)]),
    ("ii->i", [(3, 3)]),
    ("ij->ji", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("iij,jk->ik", [(2, 2, 3), (3, 4)]),
    ("...i,...i->...", [(2, 3, 4), (3, 4)]),
    ("...ij,...jk->...ik", [(5, 2, 3), (1, 3, 4)]),
    ("b...,b...->...b", [(2, 3), (2, 4, 3)]),
    ("i,j,k->kji", [(2,), (3,), (4,)]),
    ("bhid,bhjd->bhij", [(2, 2, 3, 4), (2, 2, 5, 4)]),
    ("ij,kl->", [(2, 3), (4, 5)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ("ijk,ijk->j", [(2, 3, 4), (2, 3, 4)]),
    ("ij,ij->ij", [(1, 3), (2, 1)]),
    ("...->...", [(2, 3)]),
    (",i->i", [(), (3,)]),
    ("aZ, Zb -> ab", [(2, 3), (3, 4)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_einsum(equation: str, shapes: list) -> None:
    agree(
        lambda lib, *xs: lib.einsum(equation, *xs),
        *(normal(*s, seed=k) for k, s in enumerate(shapes)),
    )


def test_einsum_takes_lists_of_dimensions() -> None:
    agree(lambda lib, x, y: lib.einsum(x, [0, 1], y, [1, 2], [2, 0]), normal(2, 3), normal(3, 4))
    agree(lambda lib, x, y: lib.einsum(x, [..., 1], y, [1, 2]), normal(2, 3), normal(3, 4))


@pytest.mark.parametrize("dims", [0, 1, 2, ([1], [1]), ([2, 0], [0, 1]), ([-1], [0])])
def test_tensordot(dims: object) -> None:
    shapes = {0: [(2,), (3,)], 1: [(2, 3), (3, 4)], 2: [(2, 3, 4), (3, 4)]}.get(
        dims if isinstance(dims, int) else -1
    )
    if shapes is None:
        shapes = {1: [(2, 3), (4, 3)], 2: [(2, 5, 3), (3, 2)], -1: [(2, 3), (3, 4)]}[dims[0][0]]  # type: ignore[index]
    agree(
        lambda lib, x, y: lib.tensordot(x, y, dims),
        *(normal(*s, seed=k) for k, s in enumerate(shapes)),
    )


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_matrix_power(n: int) -> None:
    agree(lambda lib, x: lib.matrix_power(x, n), normal(2, 3, 3), depth=2 if n else 0)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (
            lambda lib: lib.mm(lib.zeros(2, 3), lib.zeros(4, 5)),
            "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)",
        ),
        (lambda lib: lib.mm(lib.zeros(3), lib.zeros(4, 5)), "self must be a matrix"),
        (
            lambda lib: lib.matmul(lib.zeros(()), lib.zeros(3, 2)),
            "at least 1D, but they are 0D and 2D",
        ),
        (lambda lib: lib.matmul(lib.zeros(3), lib.zeros(4)), "expected tensor [3] and src [4]"),
        (
            lambda lib: lib.matmul(lib.zeros(2, 3), lib.zeros(4)),
            "size mismatch, got input (2), mat (2x3), vec (4)",
        ),
        (
            lambda lib: lib.matmul(lib.zeros(2, 2, 3), lib.zeros(3, 3, 5)),
            "must match the size of tensor b (3)",
        ),
        (lambda lib: lib.matmul(lib.zeros(2, 3), lib.zeros(3, 4).double()), "float != double"),
        (
            lambda lib: lib.matmul(lib.zeros(2, 3).bool(), lib.zeros(3, 4).bool()),
            "not implemented for 'Bool'",
        ),
        (lambda lib: lib.bmm(lib.zeros(2, 2, 3), lib.zeros(2, 4, 5)), "[2, 3] but got: [2, 4]"),
        (
            lambda lib: lib.mv(lib.zeros(2, 3), lib.zeros(2, 4)),
            "vector + matrix @ vector expected, got 1, 2, 2",
        ),
        (
            lambda lib: lib.dot(lib.zeros(2), lib.zeros(2, 2)),
            "1D tensors expected, but got 1D and 2D",
        ),
        (lambda lib: functional(lib).linear(lib.zeros(2, 2, 3), lib.zeros(5, 4)), "(4x3 and 4x5)"),
        (
            lambda lib: functional(lib).linear(lib.zeros(2, 3), lib.zeros(5, 3), lib.zeros(4)),
            "expanded size",
        ),
        (lambda lib: lib.addmm(lib.zeros(3), lib.zeros(2, 3), lib.zeros(3, 5)), "expanded size"),
        (
            lambda lib: lib.einsum("ij,jk->il", lib.zeros(2, 3), lib.zeros(3, 4)),
            "output subscript l does not appear",
        ),
        (lambda lib: lib.einsum("ij,jk", lib.zeros(2, 3), lib.zeros(4, 4)), "size 4 for operand 1"),
        (lambda lib: lib.einsum("ij,jk", lib.zeros(2, 3)), "fewer operands were provided"),
        (
            lambda lib: lib.einsum("ijk", lib.zeros(2, 3)),
            "does not match the number of dimensions (2) for operand 0",
        ),
        (lambda lib: lib.einsum("ii", lib.zeros(2, 3)), "3 != 2"),
        (lambda lib: lib.tensordot(lib.zeros(2, 3), lib.zeros(4, 3), dims=1), "size 3 in dim"),
    ],
)
def test_errors(expression, words: str) -> None:  # type: ignore[no-untyped-def]
    fails_alike(expression, words)


def test_operator() -> None:
    x = rushlight.ones(2, 3)
    assert (x @ x.t()).tolist() == [[3.0, 3.0], [3.0, 3.0]]
