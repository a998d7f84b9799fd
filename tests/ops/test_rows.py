"""Every row of the op table against an independent NumPy meaning, finite differences and, where
installed, PyTorch.

In: the rows of TABLE with their samples and references. The checks are driven by the table: a new
row is checked by being registered, and fails here if it lacks a reference, or both a gradient rule
and the statement that it has none.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rushlight as rl
from rushlight.autograd import grad
from rushlight.ops import load_families
from rushlight.ops.registry import STATIC, TABLE, VALUES, Op

load_families()
ROWS = [row for name, row in sorted(TABLE.items()) if not name.startswith("restride_")]
SAMPLED = [row for row in ROWS if row.samples is not None]
REFERENCED = [row for row in SAMPLED if row.reference is not None]
# rows whose rule is a refusal, as in PyTorch
REFUSING = frozenset({"gamma_slope", "dirichlet_slope", "floor_divide", "heaviside"})
# rows whose gradient goes through one of those: it has none of its own
ONCE = frozenset({"gammainc", "gammaincc"})
SMOOTH = [
    row
    for row in SAMPLED
    if row.rules and not row.nondifferentiable and row.__name__ not in REFUSING
]

# what only the meaning of another row covers; a row not named here must have samples and a
# reference of its own
COVERED_ELSEWHERE: dict[str, str] = {
    "slice_backward": "the gradient of a view: tests/tensor",
    "strided_backward": "the gradient of a view: tests/tensor",
    "write_slice": "writing through a view: tests/tensor",
    "write_window": "its gradient is PyTorch's, not the slope: tests/tensor",
    "reshape_copy": "reshape of what is not contiguous: tests/tensor",
    "real_part": "the gradient of complex tensors: tests/tensor",
    "imag_part": "the gradient of complex tensors: tests/tensor",
    "conj_physical": "the gradient of complex tensors: tests/tensor",
    "complex": "the gradient of complex tensors: tests/tensor",
    "arange_row": "creation functions: tests/tensor",
}


# functions of Hermitian matrices: the slope is taken along Hermitian directions only
HERMITIAN = frozenset({"cholesky_ex", "eigh_factors", "hermitian_values"})

# functions of one triangle whose gradient is that of the whole matrix (as PyTorch's): the slope is
# taken along what is not zero
TRIANGULAR = frozenset({"cholesky_solve", "cholesky_inverse"})

# what refuses to be differentiated, as PyTorch does: tests/ops/test_linalg.py
REFUSED = {"raw_qr": "A", "ldl_packed": "A", "ldl_solution": "LD"}

# outputs that are buffers: the number of leading outputs that are differentiated
DIFFERENTIABLE_OUTPUTS = {"batch_norm_training": 3, "least_squares": 2}


def maker(name: str) -> Callable[..., np.ndarray]:
    """Seeded random arrays: floats and integers in [low, high), fair bools."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))

    def make(
        *shape: int, dtype: Any = "float64", low: float = -2.0, high: float = 2.0
    ) -> np.ndarray:
        kind = np.dtype(dtype)
        if kind.kind == "b":
            return np.asarray(generator.random(shape) < 0.5)
        if kind.kind in "iu":
            return np.asarray(generator.integers(int(low), int(high), shape)).astype(kind)
        return np.asarray(generator.uniform(low, high, shape)).astype(kind)

    return make


def samples_of(row: Op) -> list[tuple[tuple, dict]]:
    assert row.samples is not None
    return list(row.samples(maker(row.__name__)))


def is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def as_tensor(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return rl.tensor(value.tolist(), dtype=getattr(rl, value.dtype.name)).reshape(value.shape)
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return [as_tensor(v) for v in value]
    return value


def as_outputs(result: Any) -> tuple:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def identifier(row: Op) -> str:
    return row.__name__


@pytest.mark.parametrize("row", ROWS, ids=identifier)
def test_row_is_complete(row: Op) -> None:
    """A reference with samples; and a gradient rule for every tensor parameter, or the word that
    there is none.
    """
    if row.__name__ not in COVERED_ELSEWHERE:
        assert row.samples is not None, f"{row.__name__} has no samples"
        assert row.reference is not None, f"{row.__name__} has no NumPy reference"
        assert samples_of(row), f"{row.__name__} yields no sample"
    # tensor/views.py puts it on the tape itself
    if not row.nondifferentiable and row.__name__ != "write_slice":
        assert row.rules, f"{row.__name__} has neither a gradient rule nor differentiable=False"
    assert row.__doc__, f"{row.__name__} has no docstring"
    if "torch" in row.surface.split():
        assert ">>> import rushlight as rl" in row.__doc__ or row.__name__ in COVERED_ELSEWHERE, (
            f"{row.__name__} is public and shows no example"
        )


@pytest.mark.parametrize("row", REFERENCED, ids=identifier)
def test_forward_is_the_reference(row: Op) -> None:
    for args, kwargs in samples_of(row):
        with np.errstate(all="ignore"):
            expected = as_outputs(row.reference(*args, **kwargs))
        made = as_outputs(
            row(*map(as_tensor, args), **{k: as_tensor(v) for k, v in kwargs.items()})
        )
        assert len(made) >= len(expected)
        for out, wanted in zip(made, expected, strict=False):
            wanted = np.asarray(wanted)
            assert tuple(out.shape) == wanted.shape
            np.testing.assert_allclose(out.numpy(), wanted, rtol=1e-9, atol=1e-11)


class Slopes:
    """A row as a function of its floating arguments, flattened into one point, and its derivatives
    along directions.
    """

    def __init__(self, row: Op, args: tuple, kwargs: dict) -> None:
        self.row, self.kwargs = row, kwargs
        bound = list(row.bind(args, kwargs))
        targets = {name for rule in row.rules for name in rule.targets}
        targets.discard(REFUSED.get(row.__name__, ""))
        self.bound = bound
        self.places: list[tuple[int, int | None]] = []
        for place, (name, kind, value) in enumerate(zip(row.names, row.kinds, bound, strict=False)):
            if kind == STATIC or name not in targets:
                continue
            if kind == VALUES:
                self.places += [(place, k) for k, v in enumerate(value) if is_float(v)]
            elif is_float(value):
                self.places.append((place, None))
        self.point = [np.asarray(bound[p] if k is None else bound[p][k]) for p, k in self.places]

    def outputs(self, tensors: list) -> list:
        """The floating outputs at a point of tensors."""
        call = [list(v) if isinstance(v, list) else v for v in self.bound]
        call = [as_tensor(v) if kind else v for v, kind in zip(call, self.row.kinds, strict=False)]
        for (place, k), tensor in zip(self.places, tensors, strict=False):
            if k is None:
                call[place] = tensor
            else:
                call[place][k] = tensor
        outs = as_outputs(self.row(*call))[: DIFFERENTIABLE_OUTPUTS.get(self.row.__name__)]
        return [out for out in outs if out.dtype.is_floating_point]


def directions(arrays: list[np.ndarray], generator: np.random.Generator) -> list[np.ndarray]:
    return [np.asarray(generator.standard_normal(a.shape)) for a in arrays]


def inner(tensors: list, weights: list) -> Any:
    """The inner product of tensors with constant arrays, as a tensor."""
    total = rl.zeros((), dtype=rl.float64)
    for tensor, weight in zip(tensors, weights, strict=False):
        if tensor is not None and tensor.numel():
            total = total + (tensor * as_tensor(weight)).sum()
    return total


def check_slope(
    function: Callable[[list], Any],
    point: list[np.ndarray],
    generator: np.random.Generator,
    label: str,
) -> None:
    """The tape's derivative of a scalar function along a random direction is that of central
    differences.
    """
    step = 1e-5
    along = directions(point, generator)
    if label.partition(",")[0] in HERMITIAN:
        along = [d + np.swapaxes(d, -1, -2) for d in along]
    if label.partition(",")[0] in TRIANGULAR:
        along = [np.where(p == 0, 0, d) for p, d in zip(point, along, strict=True)]

    def at(offset: float) -> float:
        return float(
            function(
                [as_tensor(np.asarray(p + offset * d)) for p, d in zip(point, along, strict=False)]
            ).item()
        )

    leaves = [as_tensor(p).requires_grad_() for p in point]
    value = function(leaves)
    measured = (at(step) - at(-step)) / (2 * step)
    taped = 0.0
    if value.requires_grad:
        found = grad(value, leaves, allow_unused=True)
        taped = sum(
            float((g.detach().numpy() * d).sum())
            for g, d in zip(found, along, strict=False)
            if g is not None
        )
    assert taped == pytest.approx(measured, rel=2e-5, abs=2e-6), label


def weighted(slopes: Slopes, weights: list) -> Callable[[list], Any]:
    """The inner product of a row's outputs with constants."""
    return lambda tensors: inner(slopes.outputs(tensors), weights)


def weighted_gradient(value: Callable[[list], Any], weights: list) -> Callable[[list], Any]:
    """The inner product of the gradient of a scalar function with constants."""

    def slope(tensors: list) -> Any:
        leaves = [t if t.requires_grad else t.requires_grad_() for t in tensors]
        total = value(leaves)
        if not total.requires_grad:
            return total * 0
        return inner(list(grad(total, leaves, create_graph=True, allow_unused=True)), weights)

    return slope


@pytest.mark.parametrize("row", SMOOTH, ids=identifier)
@pytest.mark.parametrize("order", [1, 2])
def test_gradient_is_the_slope(row: Op, order: int) -> None:
    """First derivatives of the row, and of its gradient (along random directions)."""
    if order == 2 and row.__name__ in ONCE:
        pytest.skip("has no second derivative by its first parameter")
    generator = np.random.default_rng(7)
    for number, (args, kwargs) in enumerate(samples_of(row)):
        slopes = Slopes(row, args, kwargs)
        if not slopes.point or any(not np.isfinite(p).all() for p in slopes.point):
            continue
        outs = slopes.outputs([as_tensor(p) for p in slopes.point])
        function = weighted(slopes, directions([o.detach().numpy() for o in outs], generator))
        if order == 2:
            function = weighted_gradient(function, directions(slopes.point, generator))
        check_slope(function, slopes.point, generator, f"{row.__name__}, sample {number}")
