"""Capture: what a function records, looked at before it runs.

In: a function of no arguments that returns tensors. Out: the recorded steps, the memory they begin
from, and where in them the results are. Invariants: nothing is computed while the function runs;
afterwards the trace is pending as after any call, and its tensors are as usable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from ..base.layout import Layout
from ..graph.trace import CURRENT, LOCK
from ..ops.registry import Signature
from .flush import flush


@dataclass(frozen=True)
class Step:
    """One recorded row: its signature, where its operands are, and its Python numbers.

    A place k >= 0 is the k-th value made by the steps, -1 - k the k-th leaf.
    """

    signature: Signature
    places: tuple[int, ...]
    scalars: tuple[Any, ...]


@dataclass(frozen=True)
class Captured:
    """`leaves` are flat arrays (bfloat16 as uint16), `owners` the storages that they belong to;
    `results` the place and layout of every result.
    """

    steps: list[Step]
    leaves: list[numpy.ndarray]
    owners: list[Any]
    results: list[tuple[int, Layout]]


def capture(function: Callable[[], Sequence[Any]]) -> Captured:
    """Run a function and describe what it recorded.

    Errors: RuntimeError where the function reads the value of a tensor.
    """
    with LOCK:
        flush()
        trace = CURRENT.trace
        trace.held = True
        try:
            results = function()
            places = []
            for tensor in results:
                storage = tensor._storage
                if storage.epoch != trace.epoch:
                    trace.adopt(storage)
                places.append((storage.index, tensor._layout))
            owners = [owner() for owner in trace.leaf_owners]
            kinds = _leaf_types(trace.entries)
            leaves = [
                buffer.numpy(kinds[k].numpy) if k in kinds else buffer.numpy(owners[k].dtype.numpy)  # type: ignore[union-attr]
                for k, buffer in enumerate(trace.leaves)
            ]
            steps = list(_steps(trace.entries, trace.scalars))
        finally:
            trace.held = False
    return Captured(steps, leaves, owners, places)


def _steps(entries: list[Any], scalars: list[Any]) -> Any:
    at = used = 0
    while at < len(entries):
        signature: Signature = entries[at]
        end = at + 1 + signature.arity
        count = len(signature.scalars)
        yield Step(signature, tuple(entries[at + 1 : end]), tuple(scalars[used : used + count]))
        at, used = end, used + count


def _leaf_types(entries: list[Any]) -> dict[int, Any]:
    """The dtype in which each leaf is first read."""
    found: dict[int, Any] = {}
    at = 0
    while at < len(entries):
        signature: Signature = entries[at]
        for placeholder, place in zip(signature.inputs, entries[at + 1 :]):
            if place < 0:
                found.setdefault(-1 - place, placeholder.dtype)
        at += 1 + signature.arity
    return found
