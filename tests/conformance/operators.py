"""PyTorch's operator database (OpInfo) against rushlight: what one record gives.

In: an index into the database and the dtypes to try. Out: a `Row`: for each column how many samples
agreed, of how many, and the first reasons why not. The columns:

    forward.<dtype>   values, shapes and dtypes of the results
    gradient          gradients of all inputs for one fixed cotangent (float32)
    strides           strides of the results, of dimensions longer than one (float32)
    errors            the record's bad inputs raise the oracle's type of error
    seeded            random operators give the same numbers after manual_seed (instead of float32)

A record passes a column when all its samples agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import rushlight

from .bridge import Bridge, Unsupported, array, carry, find, flat

RELATIVE = {
    "float16": 2e-3,
    "bfloat16": 2e-2,
    "float32": 2e-4,
    "float64": 1e-6,
    "complex64": 2e-4,
    "complex128": 1e-6,
}
# Records of what has no meaning outside of PyTorch: its own entry points, its JIT, sparse layouts.
NOT_OURS = {
    "_batch_norm_with_update",
    "_native_batch_norm_legit",
    "_segment_reduce_lengths",
    "_segment_reduce_offsets",
    "_upsample_bilinear2d_aa",
    "chalf",
    "max_pool2d_with_indices_backward",
    "native_dropout_backward",
    "slice",
    "sparse.mm",
    "sparse.sampled_addmm",
    "to_sparse",
}
# Their results are factors of random projections, or whatever memory held.
VALUES_UNDEFINED = {"empty", "empty_like", "new_empty", "new_empty_strided", "empty_strided"} | {
    "empty_permuted"
}
UNCOMPARABLE = {
    ("svd_lowrank", ""),
    ("pca_lowrank", ""),
    ("linalg.pinv", "singular"),
    ("linalg.lstsq", "grad_oriented"),
    ("zero_", ""),
}
RANDOM = {
    *("bernoulli", "cauchy", "exponential", "geometric", "log_normal", "multinomial", "normal"),
    *("rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "uniform"),
    *(
        f"nn.functional.{name}"
        for name in (
            *("dropout", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"),
            *("rrelu", "fractional_max_pool2d", "fractional_max_pool3d"),
            "multi_head_attention_forward",
        )
    ),
}
# Records whose callable takes its arguments in an order of its own.
REORDERED: dict[str, Callable[..., Any]] = {
    "einsum": lambda module, operands, equation: module.einsum(equation, *operands),
    "where": lambda module, self, condition, other, **rest: module.where(
        condition, self, other, **rest
    ),
    "nn.functional.embedding": lambda module, weight, index, **rest: module.nn.functional.embedding(
        index, weight, **rest
    ),
    "polygamma": lambda module, x, n, **rest: module.polygamma(n, x, **rest),
    "special.polygamma": lambda module, x, n, **rest: module.special.polygamma(n, x, **rest),
}


@dataclass
class Row:
    """What one record gave: column -> (samples that agreed, samples), and reasons of failures."""

    name: str
    columns: dict[str, tuple[int, int]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def count(self, column: str, reason: str | None) -> None:
        """One more sample: agreed where there is no reason."""
        good, total = self.columns.get(column, (0, 0))
        self.columns[column] = (good + (reason is None), total + 1)
        if reason is not None:
            self.reasons.setdefault(column, reason[:300])

    @property
    def failed(self) -> set[str]:
        """The columns in which not every sample agreed."""
        return {column for column, (good, total) in self.columns.items() if good < total}


def title(record: Any) -> str:
    """A record's name and variant."""
    return f"{record.name}/{record.variant_test_name}" if record.variant_test_name else record.name


def records() -> list[int]:
    """The indices of the records that are compared."""
    return [
        index
        for index, record in enumerate(op_db)
        if record.name not in NOT_OURS
        and not record.name.startswith("jiterator")
        and record.variant_test_name != "partial_views"
        and (record.name, record.variant_test_name) not in UNCOMPARABLE
    ]


def check(index: int, dtypes: tuple[str, ...], whole: bool) -> Row:
    """Compare a record in some dtypes; `whole` adds gradient, strides and errors."""
    record = op_db[index]
    row = Row(title(record))
    function: Callable[..., Any] | None = None
    try:
        function = _callable(record.name)
    except LookupError:
        row.reasons["missing"] = "there is no such name"
    for name in dtypes:
        dtype = getattr(torch, name)
        if dtype in record.dtypes:
            full = whole and name == "float32"
            for sample in _samples(record, dtype, full):
                _Comparison(record, row, function, name, full).run(sample)
    if whole and record.error_inputs_func is not None:
        for bad in _quietly(lambda: list(record.error_inputs("cpu")), []):
            _check_error(record, row, function, bad.sample_input)
    return row


def _callable(name: str) -> Callable[..., Any]:
    if name in REORDERED:
        return lambda *args, **kwargs: REORDERED[name](rushlight, *args, **kwargs)
    return find(name)


def _quietly(work: Callable[[], Any], otherwise: Any) -> Any:
    """What `work` gives; `otherwise` where the oracle itself fails."""
    try:
        return work()
    except Exception:
        return otherwise


def _samples(record: Any, dtype: Any, gradients: bool) -> list[Any]:
    wanted = (
        gradients
        and record.supports_autograd
        and record.name not in RANDOM
        and dtype in record.supported_backward_dtypes("cpu")
    )
    return _quietly(lambda: list(record.sample_inputs("cpu", dtype, requires_grad=wanted)), [])


class _Comparison:
    """One sample on both sides."""

    def __init__(self, record: Any, row: Row, function: Any, dtype: str, whole: bool) -> None:
        self.record, self.row, self.function, self.whole = record, row, function, whole
        self.random = record.name in RANDOM
        self.oracle = find(record.name, torch) if self.random else record.op
        seeded = self.random and dtype == "float32"
        self.forward = "seeded" if seeded else f"forward.{dtype}"

    def run(self, sample: Any) -> None:
        torch.manual_seed(42)
        comparable = sample.output_process_fn_grad or (lambda result: result)
        call = [sample.input, list(sample.args), dict(sample.kwargs)]
        wanted = _quietly(
            lambda: comparable(self.oracle(call[0], *call[1], **call[2])), NotImplemented
        )
        if wanted is NotImplemented or any(_exotic(part) for part in flat(wanted)):
            return
        if self.function is None:
            self.row.count(self.forward, "missing")
            return
        bridge = Bridge()
        try:
            first, positional, named = bridge.cross(call)
            rushlight.manual_seed(42)
            found = comparable(self.function(first, *positional, **named))
            reason = difference(wanted, found, self.record.name not in VALUES_UNDEFINED)
        except Unsupported:
            return
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        self.row.count(self.forward, reason)
        if reason is None and self.whole and not self.random:
            self._strides(wanted, found)
            self._gradient(wanted, found, bridge.leaves)

    def _strides(self, wanted: Any, found: Any) -> None:
        pairs = [
            (_moving(w), _moving(f))
            for w, f in zip(flat(wanted), flat(found))
            if isinstance(w, torch.Tensor) and w.numel()
        ]
        if pairs:
            wrong = next((p for p in pairs if p[0] != p[1]), None)
            self.row.count("strides", wrong and f"{wrong[1]} instead of {wrong[0]}")

    def _gradient(self, wanted: Any, found: Any, leaves: list[tuple[Any, Any]]) -> None:
        pairs = [
            (w, f)
            for w, f in zip(flat(wanted), flat(found))
            if isinstance(w, torch.Tensor) and w.requires_grad
        ]
        if not leaves or not pairs:
            return
        theirs = [w for w, _ in pairs]
        cotangents = [_cotangent(w) for w in theirs]
        inputs = [leaf for leaf, _ in leaves]
        expected = _quietly(
            lambda: torch.autograd.grad(theirs, inputs, cotangents, allow_unused=True), None
        )
        if expected is None:
            return
        try:
            own = rushlight.autograd.grad(
                [f for _, f in pairs],
                [leaf for _, leaf in leaves],
                [carry(c) for c in cotangents],
                allow_unused=True,
            )
            reason = next(filter(None, map(_gradient_difference, expected, own)), None)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        self.row.count("gradient", reason)


def _exotic(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and (
        value.layout != torch.strided or value.dtype == torch.complex32
    )


def _moving(tensor: Any) -> list[int]:
    return [s for n, s in zip(tensor.shape, tensor.stride()) if n > 1]


def _cotangent(result: Any) -> Any:
    count = result.numel()
    line = torch.linspace(0.5, 1.5, max(count, 1), dtype=torch.float64)[:count]
    return line.reshape(result.shape).to(result.dtype)


def _gradient_difference(expected: Any, own: Any) -> str | None:
    """A gradient that is absent on one side must be zero on the other."""
    if expected is None or own is None:
        there = expected if own is None else own
        if there is None or not np.abs(array(there)).sum():
            return None
        return "missing" if own is None else "unexpected"
    return difference(expected, own, scale=5.0)


def _leaf_difference(wanted: Any, found: Any, values: bool, scale: float) -> str | None:
    if isinstance(wanted, torch.Tensor):
        if not isinstance(found, rushlight.Tensor):
            return f"a {type(found).__name__} instead of a tensor"
        if tuple(wanted.shape) != tuple(found.shape):
            return f"shape {tuple(found.shape)} instead of {tuple(wanted.shape)}"
        if str(wanted.dtype) != str(found.dtype):
            return f"{found.dtype} instead of {wanted.dtype}"
        bound = scale * RELATIVE.get(str(wanted.dtype).split(".")[1], 0.0)
        left, right = array(wanted), array(found)
        if not values or np.allclose(left, right, rtol=bound, atol=bound, equal_nan=True):
            return None
        with np.errstate(all="ignore"):
            worst = np.nanmax(np.abs(left.astype(complex) - right.astype(complex)))
        return f"values differ by up to {worst:.3g}"
    if values and isinstance(wanted, (bool, int, float, complex)) and not _same(wanted, found):
        return f"{found!r} instead of {wanted!r}"
    return None


def _same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, float) and isinstance(found, float):
        close = math.isclose(wanted, found, rel_tol=1e-4, abs_tol=1e-5)
        return close or (math.isnan(wanted) and math.isnan(found))
    return bool(wanted == found)


def difference(wanted: Any, found: Any, values: bool = True, scale: float = 1.0) -> str | None:
    """None, or how two results differ."""
    left, right = flat(wanted), flat(found)
    if len(left) != len(right):
        return f"{len(right)} results instead of {len(left)}"
    return next(_differences(left, right, values, scale), None)


def _differences(left: list, right: list, values: bool, scale: float) -> Iterator[str]:
    for wanted, found in zip(left, right):
        reason = _leaf_difference(wanted, found, values, scale)
        if reason is not None:
            yield reason


def _apart(value: Any) -> Any:
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
        return value
    return value.detach().clone().requires_grad_(value.requires_grad)


def _check_error(record: Any, row: Row, function: Any, sample: Any) -> None:
    """A bad input raises what the oracle raises; a bad record that it accepts says nothing."""
    call = [sample.input, list(sample.args), dict(sample.kwargs)]
    oracle = find(record.name, torch) if record.name in RANDOM else record.op
    try:
        # Each tensor in memory of its own on both sides: what overlaps does not survive the bridge.
        first, positional, named = torch.utils._pytree.tree_map(_apart, call)
        oracle(first, *positional, **named)
        return
    except Exception as error:
        kind = type(error).__name__
    try:
        first, positional, named = Bridge().cross(call)
    except Exception:
        return
    if function is None:
        row.count("errors", "missing")
        return
    try:
        for part in flat(function(first, *positional, **named)):
            if isinstance(part, rushlight.Tensor):
                array(part)
        row.count("errors", f"accepted where PyTorch raises {kind}")
    except Exception as error:
        matches = kind in {ancestor.__name__ for ancestor in type(error).__mro__[:-3]}
        row.count("errors", None if matches else f"{type(error).__name__} ({error}), not {kind}")
