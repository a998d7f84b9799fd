"""Our models beside timm's: names, shapes, facts, outputs and gradients."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
from models.timm_families import ZOO, Worker, compare_model

from rushlight import models

pytest.importorskip("torch")
if importlib.util.find_spec("timm") is None:
    pytest.skip("timm: could not import 'timm'", allow_module_level=True)

OURS_ONLY = {"convnet", "lenet", "mlp"}
SAMPLE = {"mobilenetv3_small_050", "vit_tiny_patch16_224"}


@pytest.fixture(scope="module")
def workers() -> Iterator[tuple[Worker, Worker]]:
    oracle, ours = Worker("torch"), Worker("rushlight")
    yield oracle, ours
    oracle.close()
    ours.close()


def test_names_shapes_and_facts_are_timms(workers):
    names = [name for name in models.list_models() if name not in OURS_ONLY]
    theirs = workers[0].ask({"describe": names})
    ours = workers[1].ask({"describe": names, "zoo": True})
    for name in names:
        assert list(ours[name][0].items()) == list(theirs[name][0].items()), name
        facts = ours[name][1]
        if not facts["tag"]:  # timm says so with a tag or an empty address
            del facts["tag"], facts["hf_hub_id"]
        assert facts == {key: theirs[name][1][key] for key in facts}, name


@pytest.mark.parametrize(
    "name",
    [n if n in SAMPLE else pytest.param(n, marks=pytest.mark.nightly) for n in ZOO],
)
def test_outputs_and_gradients_are_timms(name, workers):
    row = compare_model(name, *workers)
    assert row.agrees, row
