"""Linear algebra against PyTorch: factors, solutions, norms, gradients twice over, and errors.

Factors are unique up to signs or phases only, so what is compared is made invariant first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ops.oracle import agree, fails_alike, normal

Expression = Callable[..., Any]


def regular(*shape: int, seed: int = 0) -> np.ndarray:
    return normal(*shape, seed=seed) + 2 * np.eye(shape[-1])


def positive(lib: Any, x: Any) -> Any:
    return x @ x.transpose(-2, -1) + lib.eye(x.shape[-1], dtype=x.dtype)


SQUARE: dict[str, Expression] = {
    "inv": lambda lib, x: lib.linalg.inv(x),
    "inverse": lambda lib, x: lib.inverse(x),
    "det": lambda lib, x: lib.det(x),
    "slogdet": lambda lib, x: lib.slogdet(x)[1],
    "logdet": lambda lib, x: lib.logdet(positive(lib, x)),
    "cholesky": lambda lib, x: lib.linalg.cholesky(positive(lib, x)),
    "cholesky upper": lambda lib, x: lib.linalg.cholesky(positive(lib, x), upper=True),
    "eigvalsh": lambda lib, x: lib.linalg.eigvalsh(positive(lib, x)),
    "eigh": lambda lib, x: lib.linalg.eigh(positive(lib, x))[1] ** 2,
    "eigvals": lambda lib, x: lib.linalg.eigvals(positive(lib, x)).abs().sum(-1),
    "svdvals": lambda lib, x: lib.linalg.svdvals(x),
    "matrix_exp": lambda lib, x: lib.linalg.matrix_exp(x),
    "lu": lambda lib, x: tuple(lib.linalg.lu(x))[1:],
    "matrix_power": lambda lib, x: lib.linalg.matrix_power(x, -2),
    "cond": lambda lib, x: lib.linalg.cond(x),
    "cond 1": lambda lib, x: lib.linalg.cond(x, 1),
    "cholesky_solve": lambda lib, x: lib.cholesky_solve(x, lib.linalg.cholesky(positive(lib, x))),
    "cholesky_inverse": lambda lib, x: lib.cholesky_inverse(lib.linalg.cholesky(positive(lib, x))),
    "cholesky_solve upper": lambda lib, x: lib.cholesky_solve(x, x.triu(), upper=True),
    "cholesky_inverse whole": lambda lib, x: lib.cholesky_inverse(x),
    "eigh upper": lambda lib, x: lib.linalg.eigh(positive(lib, x), "U")[0],
    "inv_ex": lambda lib, x: lib.linalg.inv_ex(x)[0],
    "solve_ex": lambda lib, x: lib.linalg.solve_ex(x, x.transpose(-2, -1), left=False)[0],
    "pinv hermitian": lambda lib, x: lib.linalg.pinv(positive(lib, x), hermitian=True),
    "matrix_power 0": lambda lib, x: lib.linalg.matrix_power(x, 0) * x,
    "triangular_solve": lambda lib, x: lib.triangular_solve(x, x, transpose=True)[0],
}


# how often PyTorch 2.13 can differentiate: its cond overwrites what its own backward needs
DEPTHS = {"eigvals": 1, "lu": 1, "cond 1": 0}  # tests/ops/test_rows.py differentiates lu twice


@pytest.mark.filterwarnings("ignore:torch.triangular_solve")
@pytest.mark.parametrize("name", SQUARE)
def test_square(name: str) -> None:
    agree(
        SQUARE[name],
        regular(2, 3, 3),
        tolerance=1e-7,
        depth=DEPTHS.get(name, 2),
    )


ANY: dict[str, Expression] = {
    "pinv": lambda lib, x: lib.linalg.pinv(x),
    "nuclear": lambda lib, x: lib.linalg.matrix_norm(x, "nuc"),
    "frobenius": lambda lib, x: lib.linalg.matrix_norm(x),
    "spectral": lambda lib, x: lib.linalg.norm(x, 2, dim=(-2, -1), keepdim=True),
    "columns": lambda lib, x: lib.linalg.matrix_norm(x, 1),
    "rows": lambda lib, x: lib.linalg.matrix_norm(x, float("inf"), keepdim=True),
    "qr r": lambda lib, x: lib.linalg.qr(x)[1] ** 2,
    "qr q": lambda lib, x: lib.linalg.qr(x)[0] ** 2,
    "svd u": lambda lib, x: lib.linalg.svd(x, full_matrices=False)[0] ** 2,
    "svd v": lambda lib, x: lib.linalg.svd(x, full_matrices=False)[2] ** 2,
    "svd old": lambda lib, x: lib.svd(x)[2] ** 2,
    "vector": lambda lib, x: lib.linalg.norm(x),
}


@pytest.mark.parametrize("shape", [(2, 4, 3), (3, 5), (3, 3)])
@pytest.mark.parametrize("name", ANY)
def test_any_matrix(name: str, shape: tuple) -> None:
    agree(ANY[name], normal(*shape), tolerance=1e-7)


@pytest.mark.parametrize(
    "shapes",
    [
        [(3, 3), (3,)],
        [(3, 3), (3, 2)],
        [(2, 3, 3), (2, 3)],
        [(2, 3, 3), (2, 3, 4)],
        [(3, 3), (5, 3, 2)],
    ],
)
def test_solve(shapes: list) -> None:
    a, y = regular(*shapes[0]), normal(*shapes[1], seed=1)
    agree(lambda lib, a, y: lib.linalg.solve(a, y), a, y, tolerance=1e-8)
    if len(shapes[1]) > 1 and shapes[1] != (2, 3):
        agree(
            lambda lib, a, y: lib.linalg.solve(a, y.transpose(-2, -1), left=False),
            a,
            y,
            tolerance=1e-8,
        )
        for upper in (False, True):
            for unit in (False, True):
                agree(
                    lambda lib, a, y, u=upper, t=unit: lib.linalg.solve_triangular(
                        a, y, upper=u, unitriangular=t
                    ),
                    a,
                    y,
                    tolerance=1e-7,
                )


def test_singular_matrices_have_a_gradient_of_the_determinant() -> None:
    singular = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])
    agree(lambda lib, x: lib.det(x), singular + 0, depth=0, tolerance=1e-9)
    from rushlight import det, tensor

    x = tensor(singular.tolist(), requires_grad=True)
    det(x).backward()
    cofactors = [
        [
            np.linalg.det(np.delete(np.delete(singular, i, 0), j, 1)) * (-1) ** (i + j)
            for j in range(3)
        ]
        for i in range(3)
    ]
    np.testing.assert_allclose(x.grad.tolist(), cofactors, atol=1e-5)


COMPLEX: dict[str, Expression] = {
    "inv": lambda lib, x: lib.linalg.inv(x),
    "det": lambda lib, x: lib.det(x),
    "slogdet": lambda lib, x: tuple(lib.linalg.slogdet(x)),
    "cholesky": lambda lib, x: lib.linalg.cholesky(
        x @ lib.conj_physical(x.transpose(-2, -1)) + lib.eye(3, dtype=x.dtype)
    ),
    "eigvalsh": lambda lib, x: lib.linalg.eigvalsh(x @ lib.conj_physical(x.transpose(-2, -1))),
    "svdvals": lambda lib, x: lib.linalg.svdvals(x),
    "pinv": lambda lib, x: lib.linalg.pinv(x),
    "solve": lambda lib, x: lib.linalg.solve(x, x.transpose(-2, -1) + 0),
    "matrix_exp": lambda lib, x: lib.linalg.matrix_exp(x),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name: str) -> None:
    agree(COMPLEX[name], regular(3, 3) + 1j * normal(3, 3, seed=1), tolerance=1e-7, depth=1)


def test_factors_multiply_to_the_matrix() -> None:
    import rushlight as rl

    x = rl.tensor(normal(2, 4, 3).tolist(), dtype=rl.float64)
    q, r = rl.linalg.qr(x)
    u, s, vh = rl.linalg.svd(x, full_matrices=False)
    p, lower, upper = rl.linalg.lu(x)
    for made in (q @ r, (u * s.unsqueeze(-2)) @ vh, p @ lower @ upper):
        np.testing.assert_allclose(made.numpy(), x.numpy(), atol=1e-12)
    square = x.narrow(-2, 0, 3)
    values, vectors = rl.linalg.eig(square)
    wide = square.to(rl.complex128)
    np.testing.assert_allclose(
        (wide @ vectors).numpy(), (vectors * values.unsqueeze(-2)).numpy(), atol=1e-10
    )


OTHERS: dict[str, tuple[Expression, list]] = {
    "rank": (lambda lib, x: lib.linalg.matrix_rank(x), [np.outer([1.0, 2, 3], [1.0, 0, 1])]),
    "lstsq": (
        lambda lib, a, y: tuple(lib.linalg.lstsq(a, y))[:3],
        [normal(5, 3), normal(5, 2, seed=1)],
    ),
    "cross": (lambda lib, x, y: lib.linalg.cross(x, y), [normal(2, 3), normal(2, 3, seed=1)]),
    "vander": (lambda lib, x: lib.linalg.vander(x, N=4), [normal(3)]),
    "tensorinv": (lambda lib, x: lib.linalg.tensorinv(x, 1), [regular(4, 4).reshape(4, 2, 2)]),
    "tensorsolve": (
        lambda lib, a, y: lib.linalg.tensorsolve(a, y),
        [regular(4, 4).reshape(2, 2, 4), normal(2, 2)],
    ),
    "householder": (
        lambda lib, a, t: lib.linalg.householder_product(a, t),
        [normal(4, 3), normal(3)],
    ),
    "orgqr of nothing": (lambda lib, a, t: lib.orgqr(a, t), [normal(2, 4, 3), normal(2, 0)]),
    "ormqr": (
        lambda lib, a, t, c: lib.ormqr(a, t, c),
        [normal(4, 3), normal(3), normal(4, 5, seed=2)],
    ),
    "ormqr right": (
        lambda lib, a, t, c: lib.ormqr(a, t, c, left=False, transpose=True),
        [normal(2, 4, 3), normal(2, 3), normal(2, 5, 4, seed=2)],
    ),
    "lu wide": (lambda lib, x: tuple(lib.linalg.lu(x))[1:], [normal(2, 3, 5)]),
    "lu tall": (lambda lib, x: lib.linalg.lu_factor(x)[0], [normal(2, 5, 3)]),
    "lu_solve": (
        lambda lib, a, y: lib.linalg.lu_solve(*lib.linalg.lu_factor(a), y),
        [regular(2, 3, 3), normal(2, 3, 4)],
    ),
    "lu_solve adjoint right": (
        lambda lib, a, y: lib.linalg.lu_solve(
            *lib.linalg.lu_factor(a), y, left=False, adjoint=True
        ),
        [regular(3, 3), normal(2, 4, 3)],
    ),
    "geqrf": (lambda lib, x: tuple(t.abs() for t in lib.geqrf(x.detach())), [normal(2, 4, 3)]),
    "ldl": (
        lambda lib, x, y: lib.linalg.ldl_solve(*lib.linalg.ldl_factor((x + x.mT).detach()), y),
        [normal(2, 5, 5), normal(2, 5, 3)],
    ),
    "multi_dot": (
        lambda lib, a, b, c: lib.linalg.multi_dot([a, b, c]),
        [normal(2, 3), normal(3, 5), normal(5)],
    ),
    "vecdot": (lambda lib, a, b: lib.linalg.vecdot(a, b), [normal(2, 3), normal(2, 3, seed=1)]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_others(name: str) -> None:
    expression, arrays = OTHERS[name]
    agree(
        expression,
        *arrays,
        tolerance=1e-8,
        depth=0 if name in ("rank", "lstsq", "vander", "ldl") else 1,
    )


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (
            lambda lib: lib.linalg.inv(lib.zeros(2, 3)),
            "A must be batches of square matrices, but they are 2 by 3 matrices",
        ),
        (lambda lib: lib.linalg.inv(lib.zeros(3)), "must have at least 2 dimensions"),
        (lambda lib: lib.linalg.inv(lib.zeros(3, 3).int()), "Got Int"),
        (
            lambda lib: lib.linalg.inv(lib.zeros(3, 3).half()),
            "Low precision dtypes not supported. Got Half",
        ),
        (lambda lib: lib.linalg.solve(lib.eye(3), lib.zeros(4, 2)), "(3x3 and 4x2)"),
        (lambda lib: lib.linalg.solve(lib.eye(3), lib.zeros(3).double()), "same dtype"),
        (lambda lib: lib.linalg.qr(lib.zeros(3, 2), mode="foo"), "unrecognized mode 'foo'"),
        (lambda lib: lib.linalg.matrix_norm(lib.eye(2), "foo"), "Order foo not supported"),
        (lambda lib: lib.linalg.cross(lib.zeros(2, 3), lib.zeros(2, 4)), "Got 3 and 4"),
    ],
)
def test_errors(expression: Expression, words: str) -> None:
    fails_alike(expression, words)


def batch(lib: Any) -> Any:
    """The identity and a matrix that has no inverse."""
    return lib.stack([lib.eye(3), lib.zeros(3, 3)])


SINGULAR: dict[str, Expression] = {
    "inv": lambda lib: lib.linalg.inv(lib.zeros(3, 3)),
    "inv of a batch": lambda lib: lib.linalg.inv(batch(lib)),
    "inv_ex": lambda lib: lib.linalg.inv_ex(batch(lib), check_errors=True),
    "inverse": lambda lib: lib.inverse(lib.zeros(3, 3)),
    "matrix_power": lambda lib: lib.linalg.matrix_power(batch(lib), -1),
    "tensorinv": lambda lib: lib.linalg.tensorinv(lib.zeros(4, 2, 2), 1),
    "solve": lambda lib: lib.linalg.solve(batch(lib), lib.ones(2, 3)),
    "solve_ex": lambda lib: lib.linalg.solve_ex(lib.zeros(3, 3), lib.ones(3, 1), check_errors=True),
    "cholesky": lambda lib: lib.linalg.cholesky(-batch(lib)),
    "cholesky of zeros": lambda lib: lib.cholesky(lib.zeros(3, 3)),
    "cholesky_ex": lambda lib: lib.linalg.cholesky_ex(batch(lib), check_errors=True),
    "cholesky_inverse": lambda lib: lib.cholesky_inverse(lib.zeros(3, 3)),
    "lu_factor": lambda lib: lib.linalg.lu_factor(batch(lib)),
    "lu_factor_ex": lambda lib: lib.linalg.lu_factor_ex(batch(lib), check_errors=True),
}


@pytest.mark.filterwarnings("ignore:torch.cholesky")
@pytest.mark.parametrize("name", SINGULAR)
def test_singular_matrices(name: str) -> None:
    """At the call, in PyTorch's words, with the matrix of the batch that is to blame."""
    import rushlight as rl

    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as theirs:
        SINGULAR[name](torch)
    with pytest.raises(RuntimeError) as ours:
        SINGULAR[name](rl)
    assert str(ours.value) == str(theirs.value)
    is_linear = isinstance(theirs.value, torch.linalg.LinAlgError)
    assert isinstance(ours.value, rl.linalg.LinAlgError) == is_linear


@pytest.mark.filterwarnings("ignore:torch.lu")
def test_info_instead_of_an_error() -> None:
    agree(lambda lib: lib.linalg.inv_ex(batch(lib))[1], depth=0)
    agree(lambda lib: lib.linalg.cholesky_ex(batch(lib))[1], depth=0)
    agree(lambda lib: lib.linalg.solve_ex(batch(lib), lib.ones(2, 3))[1], depth=0)
    agree(lambda lib: tuple(lib.linalg.lu_factor_ex(batch(lib))), depth=0)
    agree(lambda lib: tuple(lib.linalg.ldl_factor_ex(lib.zeros(3, 3))), depth=0)
    agree(lambda lib: lib.lu(batch(lib), get_infos=True), depth=0)


@pytest.mark.parametrize("hermitian", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_indefinite_factors(seed: int, hermitian: bool) -> None:
    """The factors are unique: element for element PyTorch's."""
    x = normal(2, 6, 6, seed=seed) + 1j * normal(2, 6, 6, seed=seed + 9)
    x[0, 0, 0] = 0  # the first pivot is another one
    x = x + np.swapaxes(np.conj(x) if hermitian else x, -1, -2)
    agree(
        lambda lib, x: tuple(lib.linalg.ldl_factor(x, hermitian=hermitian)),
        x,
        depth=0,
        tolerance=1e-8,
    )


@pytest.mark.parametrize("name", ["geqrf", "ldl_factor", "ldl_solve"])
def test_what_refuses_to_be_differentiated(name: str) -> None:
    import rushlight as rl

    x = rl.eye(3).requires_grad_()
    made = {
        "geqrf": lambda: rl.geqrf(x)[0],
        "ldl_factor": lambda: rl.linalg.ldl_factor(x)[0],
        "ldl_solve": lambda: rl.linalg.ldl_solve(
            x, rl.tensor([1, 2, 3], dtype=rl.int32), rl.ones(3, 1)
        ),
    }[name]()
    with pytest.raises(RuntimeError, match="not implemented"):
        made.sum().backward()


def test_equal_values_have_gradients() -> None:
    """Singular values and eigenvalues of the identity: their vectors are not asked for."""
    eye = np.eye(3)
    for expression in (
        lambda lib, x: lib.linalg.svd(x)[1],
        lambda lib, x: lib.linalg.svdvals(x),
        lambda lib, x: lib.linalg.eigvalsh(x),
        lambda lib, x: lib.linalg.eigh(x)[0],
        lambda lib, x: lib.linalg.matrix_norm(x, "nuc"),
        lambda lib, x: lib.linalg.pinv(x),
    ):
        agree(expression, eye, depth=1, tolerance=1e-8)


@pytest.mark.parametrize("driver", ["gels", "gelsy", "gelsd", "gelss"])
@pytest.mark.parametrize("shapes", [[(5, 3), (5, 2)], [(2, 3, 5), (2, 3, 1)], [(4, 3), (4,)]])
def test_least_squares(shapes: list, driver: str) -> None:
    a, y = normal(*shapes[0]), normal(*shapes[1], seed=1)
    agree(
        lambda lib, a, y: tuple(lib.linalg.lstsq(a, y, driver=driver)),
        a,
        y,
        tolerance=1e-8,
        depth=1,
    )


STRIDES: dict[str, Expression] = {
    "inv": lambda lib, x: lib.linalg.inv(x),
    "solve": lambda lib, x: lib.linalg.solve(x, x),
    "solve right": lambda lib, x: lib.linalg.solve(x, x, left=False),
    "solve vectors": lambda lib, x: lib.linalg.solve(x, x[..., 0]),
    "solve_triangular": lambda lib, x: lib.linalg.solve_triangular(x, x, upper=True, left=False),
    "triangular_solve": lambda lib, x: lib.triangular_solve(x, x),
    "cholesky": lambda lib, x: lib.linalg.cholesky(positive(lib, x), upper=True),
    "cholesky_solve": lambda lib, x: lib.cholesky_solve(x, x),
    "qr": lambda lib, x: lib.linalg.qr(x),
    "svd": lambda lib, x: lib.linalg.svd(x),
    "svd old": lambda lib, x: lib.svd(x),
    "svd sizes": lambda lib, x: lib.svd(x, compute_uv=False),
    "eigh": lambda lib, x: lib.linalg.eigh(x),
    "eig": lambda lib, x: lib.linalg.eig(x),
    "lu": lambda lib, x: lib.linalg.lu(x),
    "lu_factor": lambda lib, x: lib.linalg.lu_factor(x),
    "lu_solve": lambda lib, x: lib.linalg.lu_solve(*lib.linalg.lu_factor(x), x, left=False),
    "ldl": lambda lib, x: lib.linalg.ldl_factor_ex(x),
    "geqrf": lambda lib, x: lib.geqrf(x),
    "householder": lambda lib, x: lib.linalg.householder_product(x, x[..., 0]),
    "lstsq": lambda lib, x: lib.linalg.lstsq(x, x[..., 0]).solution,
    "pinv": lambda lib, x: lib.linalg.pinv(x),
    "matrix_power": lambda lib, x: lib.linalg.matrix_power(x.mT, 0),
}


@pytest.mark.parametrize("name", STRIDES)
def test_strides(name: str) -> None:
    import rushlight as rl

    torch = pytest.importorskip("torch")
    x = regular(2, 4, 4)
    made = [STRIDES[name](lib, lib.from_numpy(x.copy())) for lib in (rl, torch)]
    ours, theirs = ([r] if hasattr(r, "stride") else list(r) for r in made)
    assert [r.stride() for r in ours] == [r.stride() for r in theirs]


NORMS = [1, -1, 2, -2, float("inf"), -float("inf"), "fro", "nuc"]


@pytest.mark.parametrize("order", NORMS)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 3)])
def test_norms_of_nothing(shape: tuple, order: Any) -> None:
    torch = pytest.importorskip("torch")

    def expression(lib: Any) -> Any:
        return lib.linalg.matrix_norm(lib.zeros(shape), order)

    try:
        expression(torch)
    except IndexError:
        fails_alike(expression, "amin()")
    else:
        agree(expression, depth=0)


def test_signatures() -> None:
    """Every public name of PyTorch's namespaces, with the names of its parameters."""
    import inspect

    import rushlight as rl

    torch = pytest.importorskip("torch")
    for space in ("linalg", "fft"):
        for name in dir(getattr(torch, space)):
            theirs = getattr(getattr(torch, space), name)
            if name.startswith("_") or not inspect.isbuiltin(theirs):
                continue
            ours = getattr(getattr(rl, space), name)
            known = torch._C._jit_get_schemas_for_operator(f"aten::{space}_{name}")
            own = set(inspect.signature(ours).parameters)
            if not known or "kwargs" in own or "options" in own:
                continue
            for schema in known:
                named = {a.name for a in schema.arguments if not a.is_out}
                assert {"input" if n == "self" else n for n in named} <= own, (space, name)
