"""vmap over every operator of PyTorch's operator records, against a loop of our own.

In: the records that tests/conformance compares, of each a few small float64 samples, the first
tensor mapped. What reads values at the call (masks, data-dependent shapes) must say so. Nightly: it
runs for minutes.
"""

from __future__ import annotations

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

SAMPLES = 6
ELEMENTS = 250
EXAMPLES = 3
# what memory held, and factors that are only defined up to a phase
LEFT_OUT = operators.RANDOM | operators.VALUES_UNDEFINED
RECORDS = [
    record
    for record in map(operators.op_db.__getitem__, operators.records())
    if torch.float64 in record.dtypes and record.name not in LEFT_OUT
]


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meaning, not code: nothing is compiled."""
    monkeypatch.setattr(SETTINGS, "interpret", True)


def tensors(made: Any) -> list:
    return [x for x in bridges.flat(made) if isinstance(x, rl.Tensor)]


@pytest.mark.parametrize("record", RECORDS, ids=operators.title)
def test_vmap_is_a_loop(record: Any) -> None:
    try:
        function = operators._callable(record.name)
    except LookupError:
        pytest.skip("no such function")
    for sample in islice(record.sample_inputs("cpu", torch.float64), SAMPLES):
        x = sample.input
        if not isinstance(x, torch.Tensor) or x.numel() > ELEMENTS:
            continue
        try:
            given = bridges.Bridge().cross([x, list(sample.args), dict(sample.kwargs)])
            process = sample.output_process_fn_grad or (lambda made: made)

            def call(x: Any, given: list = given, process: Any = process) -> Any:
                return tensors(process(function(x.clone(), *given[1], **given[2])))

            many = rl.stack([given[0] * (1 - 0.125 * k) for k in range(EXAMPLES)])
            loop = [call(each) for each in many]
        except Exception:
            continue  # not a question of vmap
        if not loop[0] or any(a.shape != b.shape for a, b in zip(loop[0], loop[-1])):
            continue
        try:
            found = rl.vmap(call)(many)
        except RuntimeError as error:
            assert "vmap" in str(error), error
            continue
        for k, (got, each) in enumerate(zip(found, zip(*loop))):
            np.testing.assert_allclose(
                bridges.array(got),
                bridges.array(rl.stack(list(each))),
                rtol=1e-6,
                atol=1e-8,
                err_msg=f"output {k}",
            )
