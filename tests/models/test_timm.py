"""The real timm over rushlight: what programs do with it, and its families beside PyTorch's.

timm needs torch, which our extras never install: without it (or without timm) these tests skip.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator

import pytest
from models.timm_families import VARIANTS, Worker, compare

if importlib.util.find_spec("timm") is None:
    pytest.skip("timm: could not import 'timm'", allow_module_level=True)

# Small ones of different kinds: convolutions, squeezes, attention, standardised weights.
SAMPLE = ("convnext", "efficientnet", "resnet", "vision_transformer")

PROGRAM = """
import rushlight
rushlight.install_as_torch()
import io
import torch
import timm

assert "densenet121" in timm.list_models("*densenet*")
model = timm.create_model("resnet34", num_classes=10)
assert type(model).__module__ == "timm.models.resnet" and isinstance(model, rushlight.nn.Module)
assert model.default_cfg["classifier"] == "fc"
assert [name for name, _ in model.named_children()][:3] == ["conv1", "bn1", "act1"]

model = timm.create_model("test_resnet", num_classes=10)
x, y = torch.randn(4, 3, 32, 32), torch.tensor([1, 2, 3, 4])
assert model.forward_features(x).shape[:1] == (4,)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
losses = []
for _ in range(3):
    loss = torch.nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[2] < losses[0], losses

file = io.BytesIO()
torch.save(model.state_dict(), file)
file.seek(0)
again = timm.create_model("test_resnet", num_classes=10)
again.load_state_dict(torch.load(file))
with torch.no_grad():
    assert torch.equal(again.eval()(x), model.eval()(x))
"""


def test_what_programs_do_with_timm():
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=600
    )
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="module")
def workers() -> Iterator[tuple[Worker, Worker]]:
    pytest.importorskip("torch")
    oracle, ours = Worker("torch"), Worker("rushlight")
    yield oracle, ours
    oracle.close()
    ours.close()


@pytest.mark.parametrize(
    "family",
    [
        family if family in SAMPLE else pytest.param(family, marks=pytest.mark.nightly)
        for family in VARIANTS
    ],
)
def test_a_family_gives_pytorchs_outputs_and_gradients(family, workers):
    row = compare(family, VARIANTS[family], *workers)
    assert row.agrees, row


def test_every_family_of_the_registry_has_its_variant(workers):
    """`python timm_families.py --variants` has been run for this release of timm."""
    answer = workers[0].ask({"modules": True})
    assert sorted(answer["modules"]) == sorted(VARIANTS)
