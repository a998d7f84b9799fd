"""Weights from a hub on loopback by the real client, from files, and made to fit."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import rushlight as rl
from rushlight import models
from rushlight.interop import safetensors
from rushlight.models.pretrained import adapt_input, load_weights
from rushlight.models.vision_transformer import resized_positions

NAME = "mobilenetv3_small_050"
REPOSITORY = "timm/mobilenetv3_small_050.lamb_in1k"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves one file of one repository as the hub serves large files; counts what was fetched."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.fetched = content, 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        if self.path != f"/{REPOSITORY}/resolve/main/model.safetensors" and COMMIT not in self.path:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = self.server.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.server.fetched += 1
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    pytest.importorskip("safetensors")
    rl.manual_seed(3)
    server = Hub(safetensors.save(models.create_model(NAME).state_dict()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def run(program: str, hub: Hub, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: the client reads its variables when it is imported."""
    settings = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), **environment}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


LOAD = f"""
import rushlight as rl
rl.manual_seed(3)
original = rl.models.create_model({NAME!r})
x = rl.randn(1, 3, 32, 32)
rl.manual_seed(4)
model = rl.models.create_model({NAME!r}, pretrained=True)
for name, value in model.state_dict().items():
    assert rl.equal(value, original.state_dict()[name]), name
grey = rl.models.create_model({NAME!r}, pretrained=True, in_chans=1, num_classes=5)
assert grey.conv_stem.weight.shape == (16, 1, 3, 3) and grey.classifier.weight.shape == (5, 1024)
wanted = original.conv_stem.weight.sum(1, keepdim=True)
assert rl.equal(grey.conv_stem.weight, wanted)
assert rl.equal(grey.conv_head.weight, original.conv_head.weight)
"""


def test_pretrained_weights_are_fetched_once_cached_and_verified(hub, tmp_path):
    ran = run(LOAD, hub, tmp_path, TQDM_POSITION="-1")  # shows the bar without a terminal
    assert ran.returncode == 0, ran.stderr
    assert hub.fetched == 1
    assert "model.safetensors" in ran.stderr  # the client's progress bar
    ran = run(LOAD, hub, tmp_path, HF_HUB_OFFLINE="1")
    assert ran.returncode == 0, ran.stderr
    assert hub.fetched == 1

    (blob,) = [path for path in tmp_path.rglob("blobs/*") if path.is_file()]
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    ran = run(LOAD, hub, tmp_path, HF_HUB_OFFLINE="1")
    assert "is damaged: its SHA-256 is not" in ran.stderr
    assert not blob.exists()


def test_models_without_published_weights_say_so():
    with pytest.raises(RuntimeError, match=r"no published weights for 'mixer_s32_224'"):
        models.create_model("mixer_s32_224", pretrained=True)
    listed = models.list_models("mixer*", pretrained=True)
    assert listed == ["mixer_b16_224", "mixer_l16_224"]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_checkpoint_file_loads_as_it_is(tmp_path, suffix):
    model = models.create_model(NAME, num_classes=3)
    path = tmp_path / f"model{suffix}"
    if suffix == ".pth":
        wrapped = {f"module.{name}": value for name, value in model.state_dict().items()}
        rl.save({"state_dict": wrapped, "epoch": 3}, path)
    else:
        pytest.importorskip("safetensors")
        safetensors.save_file(model.state_dict(), path)
    again = models.create_model(NAME, num_classes=3, checkpoint_path=path)
    for name, value in model.state_dict().items():
        assert rl.equal(value, again.state_dict()[name]), name


def test_weights_that_do_not_fit_are_named_and_nothing_is_loaded():
    model = models.create_model(NAME, num_classes=3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    del state["bn1.weight"]
    state["conv_head.bias"] = rl.zeros(7)
    state["extra"] = rl.zeros(1)
    with pytest.raises(
        RuntimeError, match=r"bn1.weight is missing; extra is not the model's; "
    ) as e:
        load_weights(model, state)
    assert "conv_head.bias is (7,), the model's is (1024,)" in str(e.value)
    for name, value in before.items():
        assert rl.equal(value, model.state_dict()[name])


def test_a_classifier_for_other_classes_stays_fresh():
    state = models.create_model(NAME).state_dict()
    model = models.create_model(NAME, num_classes=7)
    fresh = load_weights(model, state, "conv_stem", ("classifier",))
    assert fresh == ["classifier.weight", "classifier.bias"]
    with pytest.raises(RuntimeError, match="classifier.weight is"):
        load_weights(models.create_model(NAME, num_classes=7), state)


def test_efficientnets_take_the_names_of_the_authors_code():
    names = {
        "_conv_stem.weight": "conv_stem.weight",
        "_bn0.running_var": "bn1.running_var",
        "_blocks.0._depthwise_conv.weight": "blocks.0.0.conv_dw.weight",
        "_blocks.0._project_conv.weight": "blocks.0.0.conv_pw.weight",
        "_blocks.4._expand_conv.weight": "blocks.2.1.conv_pw.weight",
        "_blocks.4._bn0.num_batches_tracked": "blocks.2.1.bn1.num_batches_tracked",
        "_blocks.15._se_reduce.bias": "blocks.6.0.se.conv_reduce.bias",
        "_blocks.15._bn2.weight": "blocks.6.0.bn3.weight",
        "_fc.bias": "classifier.bias",
    }
    with rl.device("meta"):
        model = models.create_model("tf_efficientnet_b0")
    adapted = model.adapted_weights({name: rl.zeros(1) for name in names})
    assert list(adapted) == list(names.values())
    assert set(adapted) <= set(model.state_dict())
    assert set(model.adapted_weights(model.state_dict())) == set(model.state_dict())


def test_a_first_convolution_keeps_its_response_to_grey_images():
    weight = rl.randn(4, 3, 3, 3)
    grey = rl.randn(2, 1, 8, 8)
    colour = rl.nn.functional.conv2d(grey.repeat(1, 3, 1, 1), weight)
    for channels in (1, 2, 4, 7):
        adapted = adapt_input(weight, channels)
        assert tuple(adapted.shape) == (4, channels, 3, 3)
    made = rl.nn.functional.conv2d(grey, adapt_input(weight, 1))
    assert rl.allclose(made, colour, atol=1e-5)
    six = rl.nn.functional.conv2d(grey.repeat(1, 6, 1, 1), adapt_input(weight, 6))
    assert rl.allclose(six, colour, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "sizes"),
    [
        ("vit_tiny_patch16_224", {"depth": 1}, [{"image_size": 64}, {"image_size": 96}]),
        ("deit3_small_patch16_224", {"depth": 1}, [{"image_size": 64}, {"image_size": 32}]),
        (
            "swin_tiny_patch4_window7_224",
            {"depths": (2, 2), "heads": (3, 6)},
            [{"image_size": 64, "window": 4}, {"image_size": 128, "window": 8}],
        ),
    ],
)
def test_transformers_take_weights_of_another_image_size(name, options, sizes):
    first, second = (models.create_model(name, num_classes=3, **options, **size) for size in sizes)
    state = first.state_dict()
    assert load_weights(second, state) == []
    assert rl.equal(second.norm.weight, state["norm.weight"])
    size = sizes[1]["image_size"]
    assert second(rl.randn(1, 3, size, size)).isfinite().all()


def test_resampled_positions_are_those_of_the_same_size_where_it_is_the_same():
    model = models.create_model("vit_tiny_patch16_224", depth=1, image_size=64)
    table = model.pos_embed.detach()
    assert rl.allclose(resized_positions(table, table.shape[1], 1), table, atol=1e-6)
    constant = rl.cat([table[:, :1], rl.ones(1, 16, 192)], 1)
    assert rl.allclose(resized_positions(constant, 1 + 49, 1)[:, 1:], rl.ones(1), atol=1e-6)
