"""Packages written for PyTorch, unmodified: the same program under PyTorch and under the alias.

In: a program that leaves named results in `results`. Out: nothing, or an assertion that names the
first that differs. A program whose package is not installed is skipped.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HEAD = """
import pickle, sys, warnings
import numpy as np
import torch
from torch import nn

warnings.simplefilter("ignore")
torch.manual_seed(0)
results = {}

def keep(name, *values):
    results[name] = [np.asarray(getattr(v, "detach", lambda v=v: v)()) for v in values]

{body}
with open(sys.argv[1], "wb") as file:
    pickle.dump(results, file)
"""

EINOPS = """
from einops import pack, rearrange, reduce, repeat
from einops.layers.torch import EinMix, Rearrange
x = torch.randn(2, 3, 4, 5, requires_grad=True)
y, z = rearrange(x, "b c (h a) w -> b (c a) h w", a=2), reduce(x, "b c h w -> b c", "max")
r = repeat(x, "b c h w -> b c h (w 2)")
(y.sum() + (z**2).sum() + r.mean()).backward()
model = nn.Sequential(Rearrange("b c h w -> b (c h w)"), nn.Linear(60, 7))
mix = EinMix("b c h w -> b h w d", weight_shape="c d", bias_shape="d", c=3, d=6)
keep("einops", y, z, r, x.grad, model(x), mix(x), pack([x, torch.ones(2, 3)], "b *")[0])
"""

TORCHINFO = """
from torchinfo import summary
model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
                      nn.Linear(8 * 36, 5))
keep("summary", str(summary(model, input_size=(2, 3, 8, 8), verbose=0)))
keep("lstm", str(summary(nn.LSTM(4, 6, batch_first=True), input_size=(2, 3, 4), verbose=0)))
"""

SAFETENSORS = """
from safetensors import safe_open
from safetensors.torch import load, load_file, load_model, save, save_file, save_model
tensors = {"a": torch.randn(2, 3), "b": torch.arange(4), "c": torch.ones(3).bfloat16(),
           "d": torch.ones(2).half(), "e": torch.tensor([True])}
path = sys.argv[1] + ".safetensors"
save_file(tensors, path, metadata={"k": "v"})
loaded, filed = load(save(tensors)), load_file(path)
with safe_open(path, framework="pt") as file:
    keep("slice", file.get_slice("a")[:, 1:], str(file.metadata()))
keep("tensors", loaded["a"], loaded["b"], loaded["c"].float(), filed["d"].float(), filed["e"])
keep("bytes", np.frombuffer(save(tensors), "u1"))
first, second = nn.Linear(2, 3), nn.Linear(2, 3)
save_model(first, path)
load_model(second, path)
keep("model", second.weight - first.weight)
"""

ROTARY = """
from rotary_embedding_torch import RotaryEmbedding, apply_rotary_emb
q = torch.randn(1, 2, 5, 16)
keep("rotated", RotaryEmbedding(dim=8).rotate_queries_or_keys(q))
axial = RotaryEmbedding(dim=4, freqs_for="pixel", max_freq=10).get_axial_freqs(3, 4)
keep("axial", axial, apply_rotary_emb(axial, torch.randn(1, 3, 4, 8)))
keep("xpos", *RotaryEmbedding(dim=8, use_xpos=True).rotate_queries_and_keys(q, q))
"""

VECTOR_QUANTIZE = """
from vector_quantize_pytorch import FSQ, LFQ, ResidualVQ, SimVQ, VectorQuantize
x = torch.randn(1, 32, 16)
quantizer = VectorQuantize(dim=16, codebook_size=8, decay=0.8)
keep("training", *quantizer(x))
quantizer.eval()
keep("eval", *quantizer(x))
keep("kmeans", *VectorQuantize(dim=16, codebook_size=8, kmeans_init=True, use_cosine_sim=True)(x))
keep("residual", *ResidualVQ(dim=16, num_quantizers=3, codebook_size=8)(x))
keep("fsq", *FSQ(levels=[8, 5, 5])(torch.randn(1, 8, 3)))
keep("simvq", *SimVQ(dim=16, codebook_size=8)(x))
z = torch.randn(1, 4, 4, 4, requires_grad=True)
out = LFQ(codebook_size=16, dim=4, entropy_loss_weight=0.02)(z)
out.entropy_aux_loss.backward()
keep("lfq", *out, z.grad)
"""

TORCHDIFFEQ = """
from torchdiffeq import odeint, odeint_adjoint

class Field(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, t, y):
        return torch.tanh(self.linear(y))

field, start, times = Field(), torch.randn(3, 2), torch.linspace(0, 1, 4)
keep("dopri5", odeint(field, start, times))
keep("rk4", odeint(field, start, times, method="rk4"))
path = odeint_adjoint(field, start, times)
path.sum().backward()
keep("adjoint", path, field.linear.weight.grad)
"""

TORCHMETRICS = """
import copy
import torchmetrics as tm
scores, labels = torch.randn(20, 5).softmax(1), torch.randint(0, 5, (20,))
of = dict(task="multiclass", num_classes=5)
group = tm.MetricCollection([tm.Accuracy(**of), tm.F1Score(average="macro", **of), tm.AUROC(**of),
    tm.ConfusionMatrix(**of), tm.CohenKappa(**of), tm.AveragePrecision(**of)])
group.update(scores[:10], labels[:10])
group.update(scores[10:], labels[10:])
found = group.compute()
keep("classes", *[found[name] for name in sorted(found)])
a, b = torch.randn(30), torch.randn(30)
for name in ("MeanSquaredError", "R2Score", "PearsonCorrCoef", "SpearmanCorrCoef",
             "ExplainedVariance", "KendallRankCorrCoef"):
    metric = getattr(tm, name)()
    metric.update(a, b)
    keep(name, metric.compute())
    again = pickle.loads(pickle.dumps(copy.deepcopy(metric)))
    keep(name + " again", again.compute())
perplexity = tm.text.Perplexity()
keep("text", tm.text.WordErrorRate()(["a b c"], ["a b d"]),
     perplexity(torch.randn(2, 8, 5), torch.randint(5, (2, 8))))
"""

VIT = """
from vit_pytorch import SimpleViT, ViT
sizes = dict(image_size=32, patch_size=8, num_classes=10, dim=32, depth=2, heads=4, mlp_dim=64)
x = torch.randn(2, 3, 32, 32)
model = ViT(dropout=0.1, emb_dropout=0.1, **sizes)
loss = nn.functional.cross_entropy(model(x), torch.tensor([1, 2]))
loss.backward()
keep("training", loss, *[p.grad for p in model.parameters()])
keep("eval", model.eval()(x), SimpleViT(**sizes)(x))
"""

TIMM = """
import timm
import timm.optim
keep("names", str(timm.list_models("*densenet*")))
model = timm.create_model("resnet18", num_classes=10)
keep("config", str(model.default_cfg["mean"]), str([n for n, _ in model.named_children()]))
x = torch.randn(2, 3, 64, 64)
keep("eval", model.eval()(x), model.forward_features(x))
optimizer = timm.optim.create_optimizer_v2(model, opt="lamb", lr=1e-3)
for _ in range(2):
    loss = nn.functional.cross_entropy(model.train()(x), torch.tensor([1, 2]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    keep(f"loss {_}", loss)
again = timm.create_model("resnet18", num_classes=10)
again.load_state_dict(model.state_dict())
keep("trained", again.fc.weight)
"""

# vit_pytorch asks for torchvision when it is imported; the models of the program do without.
STAND_IN = """
import sys, types
if not importlib.util.find_spec("torchvision"):
    sys.modules["torchvision"] = types.ModuleType("torchvision")
    sys.modules["torchvision"].transforms = types.ModuleType("torchvision.transforms")
"""

PROGRAMS = {
    "einops": (EINOPS, ""),
    "torchinfo": (TORCHINFO, ""),
    "safetensors": (SAFETENSORS, ""),
    "rotary_embedding_torch": (ROTARY, ""),
    "vector_quantize_pytorch": (VECTOR_QUANTIZE, ""),
    "torchdiffeq": (TORCHDIFFEQ, ""),
    "torchmetrics": (TORCHMETRICS, ""),
    "vit_pytorch": ("import importlib.util" + STAND_IN + VIT, ""),
    "timm": (TIMM, "torchvision"),  # PyTorch's side needs the real torchvision as well
}


def results(command: list[str], script: Path, target: Path) -> dict[str, list[np.ndarray]]:
    done = subprocess.run(
        [*command, str(script), str(target)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return pickle.loads(target.read_bytes())


def same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    if theirs.dtype.kind in "fc":
        scale = np.abs(theirs).max() if theirs.size else 0.0
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * scale + 1e-7)
    else:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.nightly
@pytest.mark.parametrize("package", PROGRAMS)
def test_same_results(package: str, tmp_path: Path) -> None:
    body, also = PROGRAMS[package]
    for needed in ("torch", package, also):
        if needed and importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    script = tmp_path / "program.py"
    script.write_text(HEAD.replace("{body}", body), encoding="utf-8")
    theirs = results([sys.executable], script, tmp_path / "theirs")
    ours = results([sys.executable, "-m", "rushlight", "run"], script, tmp_path / "ours")
    assert list(ours) == list(theirs)
    for name, values in theirs.items():
        assert len(ours[name]) == len(values), name
        for mine, expected in zip(ours[name], values, strict=True):
            same(mine, expected)
