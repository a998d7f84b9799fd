"""Gradients of gradients, and tangents, of every operator of PyTorch's operator records.

In: the records that tests/conformance compares, of each a few small float64 samples. Compared with
PyTorch are the gradients of sum(gradient * direction), in the inputs and in the cotangent, where it
supports them; and the tangents of the outputs. Nightly: it runs for minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest

import rushlight as rl
from rushlight.base.settings import SETTINGS

torch = pytest.importorskip("torch")
bridges = pytest.importorskip("conformance.bridge")
operators = pytest.importorskip("conformance.operators")

pytestmark = pytest.mark.nightly

SAMPLES = 8  # of each record at most, and of no more elements than this
ELEMENTS = 250
# results that are only defined up to a phase, compared through their products elsewhere
UP_TO_A_PHASE = ("linalg.eig", "linalg.eigh", "linalg.svd", "svd")
# functions of symmetric or triangular matrices: along other directions PyTorch's tangents are no
# transposes of its gradients
OF_SUCH_MATRICES = (
    "cholesky", "cholesky_inverse", "triangular_solve", "linalg.cholesky", "linalg.cholesky_ex",
)  # fmt: skip
# places written twice have no gradient; PyTorch's rules for it and for the tangent differ
WRITTEN_TWICE = ("max_unpool", "as_strided_scatter")
# second derivatives that PyTorch leaves undefined (NaN at zero), or loses in a chunked loop
NOT_IN_PYTORCH = (
    "linalg.norm/subgradients_at_zero",
    "masked.logaddexp",
    "nn.functional.linear_cross_entropy/chunked",
)
RECORDS = [
    record
    for record in map(operators.op_db.__getitem__, operators.records())
    if record.supports_autograd
    and torch.float64 in record.supported_backward_dtypes("cpu")
    and record.name not in operators.RANDOM
    and record.name not in UP_TO_A_PHASE
]


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meaning, not code: nothing is compiled."""
    monkeypatch.setattr(SETTINGS, "interpret", True)


def ours(record: Any) -> Any:
    """Our function of a record's name."""
    if record.name in operators.REORDERED:
        return lambda *args, **kwargs: operators.REORDERED[record.name](rl, *args, **kwargs)
    try:
        return bridges.find(record.name)
    except LookupError:
        pytest.skip("no such function")


def samples(record: Any) -> Iterator[Any]:
    """The small samples of a record."""
    for sample in record.sample_inputs("cpu", torch.float64, requires_grad=True):
        given = [
            x for x in bridges.flat([sample.input, sample.args]) if isinstance(x, torch.Tensor)
        ]
        if all(x.layout == torch.strided for x in given) and (
            sum(x.numel() for x in given) <= ELEMENTS
        ):
            yield sample


def waves(lib: Any, shape: Any, phase: float) -> Any:
    """The same numbers without a pattern in either library."""
    count = int(np.prod(shape))
    return lib.tensor(np.sin(np.arange(count) * 1.7 + phase).reshape(tuple(shape)))


def doubles(lib: Any, value: Any) -> list:
    return [
        x
        for x in bridges.flat(value)
        if isinstance(x, lib.Tensor) and str(x.dtype) == "torch.float64"
    ]


def called(function: Any, sample: Any, given: list) -> Any:
    """The outputs that the record compares."""
    made = function(given[0], *given[1], **given[2])
    return sample.output_process_fn_grad(made) if sample.output_process_fn_grad else made


def second(lib: Any, outputs: list, leaves: list) -> list:
    """The gradients of sum(gradient * direction) in the leaves and in the cotangents."""
    weights = [waves(lib, x.shape, 0.3).requires_grad_() for x in outputs]
    first = lib.autograd.grad(outputs, leaves, weights, create_graph=True, allow_unused=True)
    terms = [(g * waves(lib, g.shape, 0.9)).sum() for g in first if g is not None]
    terms = [term for term in terms if term.requires_grad]
    if not terms:
        return [None] * (len(leaves) + len(weights))
    return list(lib.autograd.grad(terms, [*leaves, *weights], allow_unused=True))


def agree(found: list, wanted: list, what: str) -> None:
    """None counts as zero."""
    assert len(found) == len(wanted)
    for k, pair in enumerate(zip(found, wanted)):
        arrays = [None if x is None else bridges.array(x) for x in pair]
        like = next((a for a in arrays if a is not None), np.zeros(()))
        a, b = (np.zeros_like(like) if each is None else each for each in arrays)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7, err_msg=f"{what} {k}")


@pytest.mark.parametrize("record", RECORDS, ids=operators.title)
def test_gradients_of_gradients(record: Any) -> None:
    function = ours(record)
    if not record.supports_gradgrad or operators.title(record) in NOT_IN_PYTORCH:
        pytest.skip("PyTorch has no second derivative of it")
    for sample in islice(samples(record), SAMPLES):
        bridge = bridges.Bridge()
        try:
            given = bridge.cross([sample.input, list(sample.args), dict(sample.kwargs)])
            theirs = called(record, sample, [sample.input, sample.args, sample.kwargs])
            outputs = [x for x in doubles(torch, theirs) if x.requires_grad]
            wanted = second(torch, outputs, [x for x, _ in bridge.leaves])
        except (RuntimeError, NotImplementedError, bridges.Unsupported):
            continue
        made = [x for x in doubles(rl, called(function, sample, given)) if x.requires_grad]
        agree(second(rl, made, [x for _, x in bridge.leaves]), wanted, "second gradient")


class Duals(bridges.Bridge):  # type: ignore[misc]
    """The way to either library, differentiable tensors becoming dual ones."""

    def __init__(self, lib: Any) -> None:
        super().__init__()
        self.lib = lib
        self.count = 0

    def cross(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.requires_grad:
            self.count += 1
            tangent = waves(self.lib, value.shape, 0.5 + self.count)
            own = value.detach() if self.lib is torch else bridges.carry(value)
            if str(own.dtype) != "torch.float64":
                raise bridges.Unsupported(str(own.dtype))
            return self.lib.autograd.forward_ad.make_dual(own, tangent)
        if self.lib is torch and not isinstance(value, (list, tuple, dict)):
            return value
        return super().cross(value)


def tangents(lib: Any, function: Any, sample: Any) -> list:
    forward = lib.autograd.forward_ad
    with forward.dual_level():
        given = Duals(lib).cross([sample.input, list(sample.args), dict(sample.kwargs)])
        made = called(function, sample, given)
        return [forward.unpack_dual(x).tangent for x in doubles(lib, made)]


@pytest.mark.parametrize("record", RECORDS, ids=operators.title)
def test_tangents(record: Any) -> None:
    function = ours(record)
    alike = not any(word in record.name for word in WRITTEN_TWICE)
    if not record.supports_forward_ad or not alike or record.name in OF_SUCH_MATRICES:
        pytest.skip("PyTorch has no tangent of it")
    for sample in islice(samples(record), SAMPLES):
        try:
            wanted = tangents(torch, record, sample)
        except (RuntimeError, NotImplementedError, TypeError, bridges.Unsupported):
            continue
        try:
            found = tangents(rl, function, sample)
        except bridges.Unsupported:
            continue
        agree(found, wanted, "tangent")
