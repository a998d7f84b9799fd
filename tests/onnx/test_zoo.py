"""Every model of the zoo, exported, gives in onnxruntime what it gives here.

One small variant of each family in every run; all the others, large ones included, nightly.
"""

import numpy
import pytest

import rushlight as rl
from rushlight import models

runtime = pytest.importorskip("onnxruntime")

TOLERANCE = 1e-4  # of the largest output
# name -> the side of the images, smaller than the model's own where it takes any
SAMPLE: dict[str, int | None] = {
    "convnext_atto": 64,
    "deit_tiny_distilled_patch16_224": None,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "efficientnet_lite0": 64,
    "lenet": None,
    "mixer_s32_224": None,
    "mlp": None,
    "mobilenetv2_050": 64,
    "mobilenetv3_small_050": 64,
    "regnetx_002": 64,
    "regnety_002": 64,
    "resnet18": 64,
    "swin_tiny_patch4_window7_224": None,
    "vit_tiny_patch16_224": None,
}
REST = [name for name in models.list_models() if name not in SAMPLE]


def compare(name, side, path):
    """Two images, and one, through the same file: the number of images is a dynamic axis."""
    rl.manual_seed(0)
    model = models.create_model(name).eval()
    channels, height, width = model.default_cfg["input_size"]
    images = rl.randn(2, channels, side or height, side or width)
    with rl.no_grad():
        wanted = model(images).numpy()
    options = {"input_names": ["image"], "output_names": ["scores"]}
    rl.onnx.export(model, (images,), path, dynamic_axes={"image": {0: "batch"}}, **options)
    del model
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (2, 1):
        (found,) = session.run(["scores"], {"image": images[:count].numpy()})
        assert found.shape == wanted[:count].shape
        assert numpy.abs(found - wanted[:count]).max() <= TOLERANCE * numpy.abs(wanted).max()


@pytest.mark.parametrize("name", SAMPLE)
def test_exported_models_agree_with_onnxruntime(name, tmp_path):
    """One small variant of each family."""
    compare(name, SAMPLE[name], tmp_path / "model.onnx")


@pytest.mark.nightly
@pytest.mark.parametrize("name", REST)
def test_all_other_exported_models_agree_with_onnxruntime(name, tmp_path):
    """At their own size."""
    compare(name, None, tmp_path / "model.onnx")
