"""Exported models: onnxruntime and our own reader give what the model gives."""

import io

import numpy
import pytest

import rushlight as rl
from rushlight import nn
from rushlight.nn import functional

CLOSE = {"rtol": 1e-3, "atol": 1e-4}


def as_tuple(value):
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def check(model, arguments, *others, **options):
    """Export with the first arguments; compare for all of them."""
    program = rl.onnx.export(model, arguments, **options)
    if isinstance(model, nn.Module):
        model.eval()
    reread = rl.onnx.load(program.model_bytes)
    for given in (arguments, *others):
        wanted = [x.detach().numpy() for x in as_tuple(model(*given))]
        for ours, theirs in zip(as_tuple(reread(*given)), wanted, strict=True):
            numpy.testing.assert_allclose(ours.detach().numpy(), theirs, **CLOSE)
        for got, theirs in zip(by_runtime(program, given), wanted, strict=True):
            assert got.dtype == theirs.dtype
            numpy.testing.assert_allclose(got, theirs, **CLOSE)
    return program


def by_runtime(program, arguments):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(program.model_bytes, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return session.run(None, {n: x.numpy() for n, x in zip(names, arguments, strict=True)})


class Movements(nn.Module):
    """Views of every kind, and writes through them."""

    def forward(self, x):
        first, second = x.chunk(2, -1)
        written = x.clone()
        written[:, 0] = 5.0
        written.add_(1)
        return (
            rl.cat([first * 2, second.flip(-1)], -1),
            x.transpose(1, 2)[:, 1:, :],
            x[:, ::2],
            x[:, 1::3],
            x.unfold(2, 3, 1).sum(-1),
            functional.pad(x, (1, 2)),
            x.roll(1, 2),
            written,
            x.expand(3, -1, 6, 8).sum(0),
            rl.stack([x, x], 1),
            x.tril(),
            x.permute(2, 0, 1).reshape(8, -1),
            functional.interpolate(x, scale_factor=2),
        )


class Arithmetic(nn.Module):
    """Reductions, comparisons, dtypes."""

    def forward(self, x):
        return (
            rl.einsum("bij,bkj->bik", x, x),
            x.cumsum(1),
            x.argmax(-1),
            x.masked_fill(x > 0, -1.0),
            x.clamp(-1, 1).pow(2).mean((1, 2)),
            x.var(-1),
            rl.where(x > 0, x, rl.zeros_like(x)),
            functional.group_norm(x, 3),
            functional.softplus(x),
            rl.arange(8) + x,
            (x > 1).any(-1),
            (x * 3).round().long() // 2,
            rl.remainder(x, 0.7),
            rl.log1p(x.abs()),
        )


def test_movements_and_arithmetic():
    """Every kind of primitive."""
    rl.manual_seed(0)
    for model in (Movements(), Arithmetic()):
        check(model, (rl.randn(2, 6, 8),), (rl.randn(2, 6, 8),))


def layers():
    return {
        "convolutions": (
            nn.Sequential(
                nn.Conv2d(3, 4, 3, padding=1, stride=2),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(4, 4, 3, groups=2, padding="same"),
                nn.SiLU(),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(4, 5),
                nn.LayerNorm(5),
                nn.GELU(),
                nn.Softmax(-1),
            ),
            rl.randn(2, 3, 12, 12),
        ),
        "transposed": (
            nn.Sequential(
                nn.ConvTranspose2d(3, 4, 4, 2, 1),
                nn.InstanceNorm2d(4),
                nn.Upsample(scale_factor=2, mode="bilinear"),
                nn.AvgPool2d(2),
                nn.Hardswish(),
                nn.PReLU(),
                nn.Mish(),
                nn.Dropout(),
            ),
            rl.randn(2, 3, 5, 5),
        ),
        "encoder": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), rl.randn(2, 5, 8)),
        "one dimension": (nn.Sequential(nn.Conv1d(2, 3, 3), nn.MaxPool1d(2)), rl.randn(2, 2, 9)),
    }


@pytest.mark.parametrize("name", layers())
def test_layers(name):
    """What models are made of."""
    model, example = layers()[name]
    check(model, (example,))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.recurrent = nn.LSTM(4, 5, batch_first=True)

    def forward(self, tokens):
        return self.recurrent(self.embedding(tokens))[0]


def test_recurrent():
    """Unrolled over the steps of the example."""
    check(Recurrent(), (rl.randint(0, 10, (2, 3)),), (rl.randint(0, 10, (2, 3)),))


@pytest.mark.parametrize("opset", [17, 18, 20, 21])
def test_opsets(opset):
    """The reductions changed their form with 18."""
    check(Arithmetic(), (rl.randn(2, 6, 8),), opset_version=opset)


# ---- dynamic axes


def test_dynamic_batch_of_a_convolution_network():
    """Any number of images, also one."""
    model, example = layers()["convolutions"]
    others = [(rl.randn(n, 3, 12, 12),) for n in (1, 5)]
    program = check(
        model, (example,), *others, input_names=["image"], dynamic_axes={"image": {0: "batch"}}
    )
    runtime = pytest.importorskip("onnxruntime")
    described = runtime.InferenceSession(program.model_bytes).get_inputs()[0]
    assert described.name == "image"
    assert described.shape == ["batch", 3, 12, 12]


def test_two_dynamic_axes_of_an_encoder():
    """Batch and length, changed apart and together."""
    model, example = layers()["encoder"]
    others = [(rl.randn(1, 3, 8),), (rl.randn(3, 7, 8),)]
    check(model, (example,), *others, dynamic_axes={"src": {0: "batch", 1: "time"}})


def test_numbers_that_follow_a_dynamic_axis():
    """Means over it, indices along it."""

    def model(x):
        return x.mean(1), x + rl.arange(x.shape[1]), x.new_zeros(x.shape[1]).expand(2, -1)

    check(model, (rl.randn(2, 4),), (rl.randn(2, 7),), dynamic_axes={"x": [1]})


def test_dynamic_axes_that_cannot_be_written_are_refused():
    """By the operator's name."""

    class Windows(nn.Module):
        def forward(self, x):
            return x.unfold(1, 3, 1).sum(-1)

    with pytest.raises(rl.onnx.OnnxExporterError, match="Gather changes with the dynamic axes"):
        rl.onnx.export(Windows(), (rl.randn(2, 6),), dynamic_axes={"x": [1]})
    with pytest.raises(ValueError, match="names 'y', and the inputs are x"):
        rl.onnx.export(Windows(), (rl.randn(2, 6),), dynamic_axes={"y": [1]})


# ---- what is refused, and what is left alone


def test_what_onnx_cannot_say():
    """Named, not written wrongly."""
    with pytest.raises(rl.onnx.OnnxExporterError, match="sort"):
        rl.onnx.export(lambda x: x.sort()[0], (rl.ones(3),))
    with pytest.raises(RuntimeError, match="cannot depend on values"):
        rl.onnx.export(lambda x: x if x.sum() > 0 else -x, (rl.ones(3),))
    with pytest.raises(ValueError, match="opset 9"):
        rl.onnx.export(lambda x: x, (rl.ones(3),), opset_version=9)


def test_an_export_leaves_everything_usable():
    """The model's mode, pending values, and the tensors of a failed export."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    pending = rl.ones(2) * 3
    rl.onnx.export(model, (rl.ones(1, 2),))
    assert model.training
    kept = []

    def failing(x):
        kept.append(x + 1)
        return x.item()

    with pytest.raises(RuntimeError):
        rl.onnx.export(failing, (rl.ones(1),))
    assert kept[0].tolist() == [2]
    assert pending.tolist() == [3, 3]
    assert not rl.onnx.is_in_onnx_export()


def test_files_and_names(tmp_path):
    """Paths, open files, names of inputs and outputs, keyword arguments."""

    def model(x, *, scale):
        return x * scale

    buffer = io.BytesIO()
    for target in (tmp_path / "m.onnx", str(tmp_path / "n.onnx"), buffer):
        rl.onnx.export(
            model,
            (rl.ones(2),),
            target,
            kwargs={"scale": rl.full((2,), 3.0)},
            input_names=["a", "b"],
            output_names=["c"],
        )
    assert (tmp_path / "m.onnx").read_bytes() == buffer.getvalue()
    loaded = rl.onnx.load(tmp_path / "m.onnx")
    assert loaded(rl.ones(2), b=rl.ones(2)).tolist() == [1, 1]
    with pytest.raises(TypeError, match="takes a, b"):
        loaded(rl.ones(2))


def test_weights_keep_their_names():
    """Parameters and buffers are stored under their own names."""
    program = rl.onnx.export(nn.Linear(2, 3), (rl.ones(1, 2),))
    assert rl.onnx.load(program.model_bytes).weight_names[:2] == ["weight", "bias"]


def test_an_imported_model_can_be_trained():
    """Its weights are parameters."""
    program = rl.onnx.export(nn.Linear(2, 1), (rl.ones(4, 2),))
    model = rl.onnx.load(program.model_bytes)
    model(rl.ones(4, 2)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert len(list(model.parameters())) == 2
