"""Rows against the functions of PyTorch that they follow: values and dtypes for every input dtype,
errors, kinks.

In: the rows' own samples, and tables of calls. Each comparison runs the same call in both
libraries.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import rushlight as rl
from rushlight.ops.registry import TABLE, Op

torch = pytest.importorskip("torch")
functional = torch.nn.functional
FAMILIES = frozenset(
    [
        "activation",
        "arithmetic",
        "comparison",
        "elementary",
        "extremes",
        "pairs",
        "reduction",
        "softmax",
        "special",
    ]
)
for family in sorted(FAMILIES):
    import_module(f"rushlight.ops.{family}")

DTYPES = ("float64", "float32", "bfloat16", "float16", "int64", "bool")
# what rushlight computes where PyTorch has no kernel: (row, dtypes)
MORE = {
    **dict.fromkeys(("erfcx", "log_ndtr", "ndtri"), ("bfloat16", "float16")),
    **dict.fromkeys(("gammainc", "gammaincc"), ("int64", "bool")),
    # of a tensor and a number
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor"), DTYPES),
}
# rows that are public under another name, or only in PyTorch's functional namespace
IN_FUNCTIONAL = {
    name: getattr(functional, name)
    for name in (
        "leaky_relu",
        "hardtanh",
        "hardsigmoid",
        "hardswish",
        "softshrink",
        "silu",
        "mish",
        "softplus",
        "gelu",
    )
} | {"log_sigmoid": functional.logsigmoid}
# public rows whose samples PyTorch's function does not take as they stand
OTHER_FORMS = frozenset(
    {"zeta", "polygamma", "vector_norm", "complex", "mode", "kthvalue", "embedding"}
)
TOLERANCE = {"float64": 1e-12, "float32": 3e-6, "bfloat16": 2.0**-7, "float16": 2.0**-10}


def torch_function(row: Op) -> Callable | None:
    name = row.__name__
    if name in IN_FUNCTIONAL:
        return IN_FUNCTIONAL[name]
    surface = row.surface.split()
    if "torch" in surface:
        return getattr(torch, name, None)
    return getattr(torch.special, name, None) if "special" in surface else None


COMPARED = [
    row
    for name, row in sorted(TABLE.items())
    if row.samples is not None
    and name not in OTHER_FORMS
    and row.body.__module__.rsplit(".", 1)[-1] in FAMILIES
    and torch_function(row) is not None
]


def make(*shape: int, dtype: Any = "float64", low: float = -2.0, high: float = 2.0) -> np.ndarray:
    generator = np.random.default_rng(zlib.crc32(repr((shape, low, high)).encode()))
    if np.dtype(dtype).kind == "b":
        return np.asarray(generator.random(shape) < 0.5)
    if np.dtype(dtype).kind in "iu":
        return np.asarray(generator.integers(int(low), int(high), shape)).astype(dtype)
    return np.asarray(generator.uniform(low, high, shape))


def both(value: Any, dtype: str) -> tuple[Any, Any]:
    """A sample's argument in both libraries; floating arrays become `dtype`."""
    if isinstance(value, np.ndarray):
        name = dtype if value.dtype.kind == "f" else value.dtype.name
        theirs = torch.tensor(value).to(getattr(torch, name))
        return rl.tensor(
            value.tolist(), dtype=rl.float64 if value.dtype.kind == "f" else None
        ).reshape(value.shape).to(getattr(rl, name)), theirs
    return value, value


def as_lists(result: Any) -> list[tuple[str, np.ndarray]]:
    """(dtype, values) of each tensor of a result."""
    results = result if isinstance(result, (tuple, list)) else (result,)
    return [(str(r.dtype), np.asarray(r.tolist())) for r in results]


def call(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """(dtype, values) of the results of a call, or the error that it raised."""
    try:
        return as_lists(function(*args, **kwargs))
    except (
        RuntimeError,
        ValueError,
        IndexError,
        TypeError,
    ) as error:  # NotImplementedError is a RuntimeError
        return error


def assert_same(ours: Any, theirs: Any, tolerance: float, label: str) -> None:
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), (
            f"{label}: PyTorch raises {type(theirs).__name__}: {theirs}"
        )
        assert isinstance(ours, type(theirs)) or isinstance(theirs, type(ours)), (
            f"{label}: {ours!r} for {theirs!r}"
        )
        return
    if isinstance(ours, Exception):
        raise AssertionError(f"{label}: PyTorch gives {theirs}") from ours
    for (our_dtype, our_values), (their_dtype, their_values) in zip(ours, theirs, strict=False):
        assert our_dtype == their_dtype, label
        np.testing.assert_allclose(
            our_values, their_values, rtol=tolerance, atol=tolerance, err_msg=label
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", COMPARED, ids=lambda row: row.__name__)
@pytest.mark.filterwarnings("ignore")
def test_values_and_dtypes(row: Op, dtype: str) -> None:
    function = torch_function(row)
    assert function is not None and row.samples is not None
    for args, kwargs in row.samples(make):
        pairs = [both(value, dtype) for value in args]
        ours = call(row, *(p[0] for p in pairs), **kwargs)
        theirs = call(function, *(p[1] for p in pairs), **kwargs)
        tolerance = TOLERANCE.get(dtype, 3e-6)
        if isinstance(theirs, Exception) and dtype in MORE.get(row.__name__, ()):
            continue
        assert_same(
            ours,
            theirs,
            tolerance,
            f"{row.__name__} of {dtype} {[getattr(a, 'shape', a) for a in args]}",
        )


INF, NAN = math.inf, math.nan

# calls at kinks, ties, zeros and infinities: (expression over t and f, inputs); gradients of all
# inputs are compared
KINKS: list[tuple[str, list[list[float]]]] = [
    ("t.abs(x)", [[-1.0, 0.0, 2.0]]),
    ("t.relu(x)", [[-1.0, 0.0, 2.0, NAN]]),
    ("t.maximum(x, y)", [[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]]),
    ("t.minimum(x, y)", [[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]]),
    ("t.fmax(x, y)", [[1.0, NAN, 3.0], [1.0, 3.0, NAN]]),
    ("t.fmin(x, y)", [[1.0, NAN, 3.0], [1.0, 3.0, NAN]]),
    ("t.copysign(z, t.fmax(x, y))", [[-0.0, 0.0], [0.0, -0.0], [1.0, 1.0]]),
    ("t.copysign(z, t.fmin(x, y))", [[-0.0, 0.0], [0.0, -0.0], [1.0, 1.0]]),
    ("t.clamp(x, 0.0, 1.0)", [[-1.0, 0.0, 0.5, 1.0, 2.0]]),
    ("t.clamp(x, y, z)", [[-1.0, 0.5, 2.0, 2.0], [0.0, 0.0, 0.0, 3.0], [1.0, 1.0, 1.0, 1.0]]),
    ("f.hardtanh(x)", [[-1.0, 0.0, 1.0]]),
    ("f.hardsigmoid(x)", [[-3.0, 0.0, 3.0]]),
    ("f.hardswish(x)", [[-3.0, 0.0, 3.0, 4.0, -4.0]]),
    ("f.hardshrink(x)", [[-0.5, 0.0, 0.5, 1.0]]),
    ("f.softshrink(x)", [[-0.5, 0.0, 0.5, 1.0]]),
    ("f.leaky_relu(x)", [[-1.0, 0.0, 1.0]]),
    ("f.threshold(x, 0.5, 7.0)", [[0.0, 0.5, 1.0]]),
    ("f.elu(x)", [[-1.0, 0.0, 1.0]]),
    ("f.softplus(x)", [[-50.0, 0.0, 19.0, 21.0]]),
    ("f.logsigmoid(x)", [[-200.0, 0.0, 200.0]]),
    ("f.gelu(x)", [[-30.0, 0.0, 30.0]]),
    ("f.mish(x)", [[-50.0, 0.0, 50.0]]),
    ("t.pow(x, 0)", [[0.0, 1.0, -2.0]]),
    ("t.pow(x, 2)", [[0.0, 1.0, -2.0]]),
    ("t.pow(x, 1.5)", [[0.0, 1.0, 2.0]]),
    ("t.pow(x, y)", [[0.0, 0.0, 2.0, 0.0], [0.0, 2.0, 0.0, 1.0]]),
    ("t.pow(0.0, x)", [[1.0, 2.0, 0.5]]),
    ("t.pow(2.0, x)", [[1.0, 2.0, 0.5]]),
    ("t.xlogy(x, y)", [[0.0, 0.0, 1.0], [0.0, 2.0, 3.0]]),
    ("t.sinc(x)", [[0.0, 0.1, 1.0]]),
    ("t.copysign(x, y)", [[0.0, 1.0, -2.0], [-1.0, -0.0, 3.0]]),
    ("t.logaddexp(x, y)", [[-1000.0, 0.0, 1000.0], [-1000.0, 1.0, 0.0]]),
    ("t.remainder(x, y)", [[5.0, -5.0, 0.5], [3.0, 3.0, -0.3]]),
    ("t.fmod(x, y)", [[5.0, -5.0, 0.5], [3.0, 3.0, -0.3]]),
    ("t.frac(x)", [[1.5, -1.5, 0.0]]),
    ("t.floor(x)", [[1.5, -1.5, 0.0]]),
    ("t.logit(x, eps=0.1)", [[0.0, 0.1, 0.5, 0.95]]),
    ("t.nan_to_num(x)", [[NAN, INF, -INF, 1.0]]),
    ("t.lerp(x, y, 0.7)", [[1.0, 2.0], [3.0, -1.0]]),
    ("t.addcmul(x, y, z, value=0.5)", [[1.0, 2.0], [3.0, -1.0], [2.0, 2.0]]),
    ("t.addcdiv(x, y, z, value=0.5)", [[1.0, 2.0], [3.0, -1.0], [2.0, 4.0]]),
    ("t.div(x, y, rounding_mode='floor')", [[5.0, -5.0], [3.0, 3.0]]),
    ("t.amax(x)", [[1.0, 3.0, 3.0]]),
    ("t.max(x)", [[1.0, 3.0, 3.0]]),
    ("t.max(x, 0).values", [[1.0, 3.0, 3.0]]),
    ("t.min(x, y)", [[1.0, 3.0, 3.0], [2.0, 3.0, 1.0]]),
    ("t.aminmax(x).min", [[1.0, 3.0, 1.0]]),
    ("t.prod(x)", [[2.0, 0.0, 3.0]]),
    ("t.prod(x)", [[0.0, 0.0, 3.0]]),
    ("t.cumprod(x, 0)", [[2.0, 0.0, 3.0, 0.0, 4.0]]),
    ("t.cumsum(x, 0)", [[2.0, 0.0, 3.0]]),
    ("t.cummax(x, 0).values", [[1.0, 3.0, 2.0, 3.0, 4.0]]),
    ("t.logcumsumexp(x, 0)", [[-1000.0, 3.0, 1000.0]]),
    ("t.logsumexp(x, 0)", [[-INF, 3.0, 1.0]]),
    ("t.softmax(x, 0)", [[-INF, 3.0, 1.0]]),
    ("t.log_softmax(x, 0)", [[1000.0, 3.0, -1000.0]]),
    ("t.std(x)", [[2.0, 2.0, 2.0]]),
    ("t.var(x, unbiased=False)", [[2.0, 5.0, 2.0]]),
    ("t.norm(x)", [[0.0, 0.0]]),
    ("t.norm(x, p=1)", [[0.0, -3.0]]),
    ("t.norm(x, p=3)", [[0.0, -3.0]]),
    ("t.norm(x, p=float('inf'))", [[-3.0, 3.0, 1.0]]),
    ("t.norm(x, p=0)", [[0.0, -3.0]]),
    ("t.median(x)", [[3.0, 1.0, 2.0, 4.0]]),
    ("t.mode(x).values", [[3.0, 1.0, 3.0]]),
    ("t.nansum(x)", [[3.0, NAN, 3.0]]),
    ("t.nanmean(x)", [[3.0, NAN, 3.0]]),
    ("t.quantile(x, 0.3)", [[3.0, 1.0, 2.0, 4.0]]),
    ("t.hypot(x, y)", [[3.0, 1.0], [4.0, 0.0]]),
    ("t.atan2(x, y)", [[3.0, 1.0], [4.0, 0.0]]),
    ("f.mse_loss(x, y)", [[3.0, 1.0], [4.0, 0.0]]),
    ("f.l1_loss(x, y)", [[3.0, 1.0], [4.0, 1.0]]),
    ("f.smooth_l1_loss(x, y, beta=1.0)", [[3.0, 1.0], [4.0, 0.5]]),
    ("f.huber_loss(x, y, delta=1.0)", [[3.0, 1.0], [4.0, 0.5]]),
    ("f.binary_cross_entropy(x, y)", [[0.0, 0.3, 1.0], [0.0, 0.5, 1.0]]),
    ("f.binary_cross_entropy_with_logits(x, y)", [[-200.0, 0.3, 200.0], [0.0, 0.5, 1.0]]),
    ("f.kl_div(x, y, reduction='sum')", [[-1.0, -2.0], [0.2, 0.5]]),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("expression", "inputs"), KINKS, ids=[f"{k}-{e}" for k, (e, _) in enumerate(KINKS)]
)
@pytest.mark.filterwarnings("ignore")
def test_gradients_at_kinks(expression: str, inputs: list[list[float]], dtype: str) -> None:
    """Value and gradients where a call is not smooth, or where a careless formula gives NaN."""
    found = []
    for library in (rl, torch):
        leaves = [
            library.tensor(v, dtype=getattr(library, dtype), requires_grad=True) for v in inputs
        ]
        names = {"t": library, "f": library.nn.functional, **dict(zip("xyz", leaves, strict=False))}
        out = eval(expression, names)
        weights = library.tensor([1.0, 2.0, -3.0, 0.5, 1.5], dtype=getattr(library, dtype))
        (out * (weights[: out.shape[0]] if out.ndim else 1)).sum().backward()
        found.append([out.detach(), *(leaf.grad for leaf in leaves)])
    for ours, theirs in zip(*found, strict=False):
        if theirs is None:
            continue
        assert ours is not None, expression
        tolerance = 1e-7 if dtype == "float64" else 1e-5
        np.testing.assert_allclose(
            ours.tolist(), theirs.tolist(), rtol=tolerance, atol=tolerance, err_msg=expression
        )


# calls of complex tensors x, y (and z): values and gradients in PyTorch's convention
HOLOMORPHIC = (
    "exp expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh "
    "sqrt rsqrt reciprocal sigmoid square abs angle sgn sinc positive neg"
)
COMPLEX = [f"t.{name}(x)" for name in HOLOMORPHIC.split()] + [
    *("x + y", "x - y", "x * y", "x / y", "x * 2.5", "x * (1 + 2j)", "x / 2j", "x ** 2", "x ** 3"),
    *("x ** -1", "x ** 1.5", "x ** y", "t.add(x, y, alpha=2j)", "t.lerp(x, y, 0.3)"),
    *("t.addcmul(x, y, z, value=0.5)", "t.addcdiv(x, y, z, value=0.5)", "x.sum()", "x.mean()"),
    *("x.prod()", "t.cumsum(x, 0)", "t.cumprod(x, 0)", "t.var(x)", "t.std(x)", "t.norm(x)"),
    *("t.norm(x, p=1)", "t.norm(x, p=3)", "x.real * 2", "x.imag * 2", "x.conj() * y"),
    "t.where(x.real > 0, x, y)",
]


@pytest.mark.parametrize("expression", COMPLEX)
@pytest.mark.filterwarnings("ignore")
def test_complex_values_and_gradients(expression: str) -> None:
    inputs = [
        [0.5 + 0.3j, -1.2 + 0.7j, 0.4 - 1.1j],
        [1.5 - 0.3j, 0.2 + 0.9j, -0.7 + 0.1j],
        [0.9 + 0.8j, 1.2 - 0.7j, 0.5 + 0.5j],
    ]
    found = []
    for library in (rl, torch):
        leaves = [library.tensor(v, dtype=library.complex128, requires_grad=True) for v in inputs]
        out = eval(
            expression,
            {"t": library, "f": library.nn.functional, **dict(zip("xyz", leaves, strict=False))},
        )
        weights = library.tensor([1.0 + 0.5j, 2.0 - 1j, -3.0 + 0.2j], dtype=library.complex128)
        weighed = out * (weights if out.ndim else weights[0])
        weighed.real.sum().backward()
        found.append([out.detach(), *(leaf.grad for leaf in leaves)])
    for ours, theirs in zip(*found, strict=False):
        if theirs is not None:
            assert ours is not None, expression
            assert str(ours.dtype) == str(theirs.dtype)
            np.testing.assert_allclose(ours.tolist(), theirs.tolist(), rtol=1e-9, atol=1e-9)


# calls that raise: the type of the error, and a word that says what is wrong
ERRORS = [
    "t.sub(t.tensor([True]), t.tensor([True]))",
    "t.neg(t.tensor([True]))",
    "t.floor(t.tensor([1j]))",
    "t.sign(t.tensor([1j]))",
    "t.clamp(t.ones(2))",
    "t.pow(t.tensor([2]), -1)",
    "t.div(t.ones(2), 2, rounding_mode='up')",
    "t.lerp(t.ones(2), t.ones(2, dtype=t.float64), 0.5)",
    "t.addcdiv(t.tensor([1]), t.tensor([1]), t.tensor([1]))",
    "t.heaviside(t.tensor([1]), t.tensor([1.0]))",
    "t.isclose(t.tensor([1]), t.tensor([1.0]))",
    "t.isclose(t.ones(1), t.ones(1), rtol=-1)",
    "t.bitwise_and(t.ones(2), t.ones(2))",
    "t.lt(t.tensor([1j]), 0)",
    "t.maximum(t.tensor([1j]), t.ones(1))",
    "t.mean(t.tensor([1]))",
    "t.var(t.tensor([1]))",
    "t.norm(t.tensor([1]))",
    "t.max(t.zeros(0))",
    "t.amax(t.zeros(0))",
    "t.argmax(t.zeros(0))",
    "t.amax(t.zeros(0, 2), 0)",
    "t.argmax(t.zeros(0, 2), 0)",
    "t.max(t.zeros(0, 2), 0)",
    "t.kthvalue(t.zeros(3), 5)",
    "t.quantile(t.zeros(3), 1.5)",
    "t.sum(t.zeros(3), 2)",
    "t.sum(t.zeros(3, 2), (0, 0))",
    "t.softmax(t.tensor([1]), 0)",
    "t.softmax(t.zeros(2), 1)",
    "t.polygamma(-1, t.ones(1))",
    "t.add(t.ones(2), t.ones(3))",
    "t.tensor([1]) // 0",
    "t.prelu(t.ones(2, 3), t.ones(2))",
    "f.gelu(t.tensor([1]))",
    "f.gelu(t.ones(1), approximate='some')",
    "f.softshrink(t.ones(1), -1.0)",
    "f.cross_entropy(t.ones(3, 2), t.tensor([0, 1, 2]))",
    "f.cross_entropy(t.ones(3, 2), t.tensor([0, 1, -1]))",
    "f.cross_entropy(t.ones(3, 2), t.tensor([0, 1]))",
    "f.cross_entropy(t.ones(3, 2), t.tensor([0, 1, 1], dtype=t.int32))",
    "f.cross_entropy(t.ones(3, 2), t.ones(3, 3))",
    "f.cross_entropy(t.ones(3, 2), t.tensor([0, 1, 1]), weight=t.ones(3))",
    "f.cross_entropy(t.ones(3, 2, 4), t.zeros(3, 5, dtype=t.int64))",
    "f.nll_loss(t.ones(3, 2), t.zeros(3))",
    "f.mse_loss(t.ones(2), t.zeros(2), reduction='some')",
    "f.huber_loss(t.ones(2), t.zeros(2), delta=0.0)",
    "f.smooth_l1_loss(t.ones(2), t.zeros(2), beta=-1.0)",
    "f.layer_norm(t.ones(3, 2), (3,))",
    "f.layer_norm(t.ones(3, 2), (2,), t.ones(3))",
    "f.group_norm(t.ones(3, 4), 3)",
    "f.batch_norm(t.ones(3, 4), t.ones(3), t.ones(4))",
    "f.batch_norm(t.ones(3, 4), None, None)",
]


@pytest.mark.parametrize("expression", ERRORS)
@pytest.mark.filterwarnings("ignore")
def test_errors_have_the_same_type(expression: str) -> None:
    raised = []
    for library in (torch, rl):
        try:
            str(eval(expression, {"t": library, "f": library.nn.functional}))
            raised.append(None)
        except Exception as error:  # the type is what is compared
            raised.append(error)
    assert raised[0] is not None, f"PyTorch does not raise for {expression}"
    assert raised[1] is not None, f"{expression} must raise {raised[0]!r}"
    assert isinstance(raised[1], type(raised[0])) or isinstance(raised[0], type(raised[1])), raised
