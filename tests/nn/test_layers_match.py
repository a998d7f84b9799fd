"""Every layer against PyTorch: keys, initial values, printed form, outputs, gradients."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import rushlight as rl

torch = pytest.importorskip("torch")

from nn.oracle import array, assert_close, backward, integers, ours, rand, tensors  # noqa: E402

IMAGE = (2, 4, 7, 6)
LINE = (3, 4, 9)
VOLUME = (2, 4, 5, 4, 6)


def case(name: str, *args: Any, inputs: Any = IMAGE, **kwargs: Any) -> Any:
    """(class name, constructor arguments, inputs), labelled for the report."""
    shown = ",".join([*map(str, args), *(f"{k}={v}" for k, v in kwargs.items())])
    return pytest.param(name, args, kwargs, inputs, id=f"{name}({shown})"[:80].replace(" ", ""))


def made(inputs: Any) -> tuple[Any, ...]:
    """Oracle tensors for a shape, a tuple of shapes, or a function that makes them."""
    if callable(inputs):
        return inputs()
    shapes = [inputs] if not inputs or isinstance(inputs[0], int) else inputs
    return tuple(rand(*shape, seed=place) for place, shape in enumerate(shapes))


ACTIVATIONS = [
    case(name)
    for name in (
        "ReLU",
        "ReLU6",
        "Sigmoid",
        "Tanh",
        "SiLU",
        "Mish",
        "SELU",
        "Hardsigmoid",
        "Hardswish",
        "LogSigmoid",
        "Softsign",
        "Tanhshrink",
        "Hardtanh",
        "ELU",
        "CELU",
        "GLU",
        "GELU",
        "Hardshrink",
        "Softshrink",
        "LeakyReLU",
        "Softplus",
        "PReLU",
        "Softmax2d",
        "Identity",
        "RReLU",
    )
]
ACTIVATIONS += [
    case("Threshold", 0.1, 20.0),
    case("Hardtanh", -0.5, 0.25),
    case("ELU", 0.5),
    case("CELU", 0.7),
    case("GELU", "tanh"),
    case("LeakyReLU", 0.2),
    case("Softplus", 2.0, 1.0),
    case("Softmax", dim=1),
    case("Softmin", dim=-1),
    case("LogSoftmax", dim=2),
    case("PReLU", 4),
    case("GLU", 1),
]
LINEAR = [
    case("Linear", 5, 3, inputs=(4, 5)),
    case("Linear", 5, 3, bias=False, inputs=(2, 4, 5)),
    case("Linear", 5, 3, inputs=(5,)),
    case("Bilinear", 4, 5, 3, inputs=((6, 4), (6, 5))),
    case("CosineSimilarity", inputs=((6, 4), (6, 4))),
    case("PairwiseDistance", 1.0, inputs=((6, 4), (6, 4))),
    case("Flatten"),
    case("Unflatten", 1, (2, 2)),
    case("PixelShuffle", 2, inputs=(2, 8, 3, 2)),
    case("PixelUnshuffle", 2, inputs=(2, 3, 4, 6)),
    case("ChannelShuffle", 2),
    case("Fold", (5, 6), (2, 3), padding=1, inputs=(2, 12, 36)),
    case("Unfold", (2, 3), dilation=2, padding=1, stride=2),
]
CONVOLUTION = [
    case("Conv1d", 4, 6, 3, inputs=LINE),
    case("Conv1d", 4, 6, 2, stride=2, padding=3, dilation=2, groups=2, inputs=LINE),
    case("Conv1d", 4, 6, 4, padding="same", dilation=2, inputs=(4, 9)),
    case("Conv2d", 4, 6, 3),
    case("Conv2d", 4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), bias=False),
    case("Conv2d", 4, 8, 3, groups=4, padding="valid"),
    case("Conv2d", 4, 2, 3, padding=1, padding_mode="reflect"),
    case("Conv2d", 4, 2, 3, padding="same", padding_mode="replicate"),
    case("Conv2d", 4, 2, 3, padding=2, padding_mode="circular"),
    case("Conv3d", 4, 3, 2, stride=2, padding=1, inputs=VOLUME),
    case("ConvTranspose1d", 4, 3, 3, stride=2, output_padding=1, inputs=LINE),
    case("ConvTranspose2d", 4, 6, 3, stride=2, padding=1, groups=2),
    case("ConvTranspose2d", 4, 3, (2, 3), dilation=2, bias=False),
    case("ConvTranspose3d", 4, 2, 2, stride=2, inputs=VOLUME),
]
NORMALIZATION = [
    case("BatchNorm1d", 4, inputs=LINE),
    case("BatchNorm1d", 4, momentum=None, inputs=(5, 4)),
    case("BatchNorm2d", 4),
    case("BatchNorm2d", 4, affine=False, eps=1e-2, momentum=0.3),
    case("BatchNorm2d", 4, track_running_stats=False),
    case("BatchNorm3d", 4, bias=False, inputs=VOLUME),
    case("InstanceNorm1d", 4, inputs=LINE),
    case("InstanceNorm2d", 4, affine=True, track_running_stats=True),
    case("InstanceNorm2d", 4, inputs=(4, 7, 6)),
    case("InstanceNorm3d", 4, inputs=VOLUME),
    case("LayerNorm", 6),
    case("LayerNorm", (7, 6), bias=False),
    case("LayerNorm", 6, elementwise_affine=False),
    case("RMSNorm", 6),
    case("RMSNorm", (7, 6), eps=1e-3),
    case("GroupNorm", 2, 4),
    case("GroupNorm", 4, 4, affine=False),
    case("LocalResponseNorm", 3),
]
POOLING = [
    case("MaxPool1d", 3, 2, 1, inputs=LINE),
    case("MaxPool2d", 3, 2, 1),
    case("MaxPool2d", (2, 3), ceil_mode=True, dilation=(2, 1), return_indices=True),
    case("MaxPool3d", 2, inputs=VOLUME),
    case("AvgPool1d", 3, 2, 1, inputs=LINE),
    case("AvgPool2d", (2, 3), padding=1, count_include_pad=False),
    case("AvgPool2d", 2, ceil_mode=True, divisor_override=3),
    case("AvgPool3d", 2, inputs=VOLUME),
    case("AdaptiveAvgPool1d", 4, inputs=LINE),
    case("AdaptiveAvgPool2d", (3, None)),
    case("AdaptiveAvgPool3d", 2, inputs=VOLUME),
    case("AdaptiveMaxPool1d", 4, inputs=LINE),
    case("AdaptiveMaxPool2d", (3, 4), return_indices=True),
    case("AdaptiveMaxPool3d", 2, inputs=VOLUME),
    case("LPPool1d", 2, 3, inputs=lambda: (rand(*LINE, low=0.1),)),
    case("LPPool2d", 2, 2, inputs=lambda: (rand(*IMAGE, low=0.1),)),
    case("LPPool3d", 3, 2, inputs=lambda: (rand(*VOLUME, low=0.1),)),
    case("FractionalMaxPool2d", 2, output_size=(4, 3)),
    case("FractionalMaxPool3d", 2, output_ratio=0.5, inputs=VOLUME),
]
RESHAPING = [
    case("Upsample", scale_factor=2),
    case("Upsample", size=(5, 9), mode="bilinear"),
    case("UpsamplingNearest2d", scale_factor=3),
    case("UpsamplingBilinear2d", size=(4, 9)),
    case("ConstantPad1d", (1, 2), 3.5, inputs=LINE),
    case("ConstantPad2d", 1, -1.0),
    case("ConstantPad3d", (1, 0, 2, 1, 0, 1), 0.5, inputs=VOLUME),
    case("ZeroPad1d", 2, inputs=LINE),
    case("ZeroPad2d", (1, -1, 2, 0)),
    case("ZeroPad3d", 1, inputs=VOLUME),
    case("ReflectionPad1d", (3, 2), inputs=LINE),
    case("ReflectionPad2d", 2),
    case("ReflectionPad3d", 1, inputs=VOLUME),
    case("ReplicationPad1d", (3, 2), inputs=LINE),
    case("ReplicationPad2d", 2),
    case("ReplicationPad3d", 1, inputs=VOLUME),
    case("CircularPad1d", (3, 2), inputs=LINE),
    case("CircularPad2d", (1, 2, 3, 0)),
    case("CircularPad3d", 1, inputs=VOLUME),
    case("Dropout", 0.4),
    case("Dropout1d", 0.4, inputs=LINE),
    case("Dropout2d", 0.4),
    case("Dropout3d", 0.4, inputs=VOLUME),
    case("AlphaDropout", 0.4),
    case("FeatureAlphaDropout", 0.4),
]
LOOKUP = [
    case("Embedding", 10, 3, inputs=lambda: (integers(2, 5, high=10),)),
    case(
        "Embedding",
        10,
        3,
        padding_idx=-1,
        scale_grad_by_freq=True,
        inputs=lambda: (integers(9, high=10),),
    ),
    case("Embedding", 10, 3, max_norm=0.8, inputs=lambda: (integers(4, high=10),)),
    case("EmbeddingBag", 10, 3, inputs=lambda: (integers(4, 5, high=10),)),
    case(
        "EmbeddingBag",
        10,
        3,
        mode="sum",
        padding_idx=2,
        inputs=lambda: (integers(9, high=10), torch.tensor([0, 4, 4, 6])),
    ),
    case("EmbeddingBag", 10, 3, mode="max", inputs=lambda: (integers(4, 5, high=10),)),
]
RECURRENT = [
    case("RNN", 4, 5, inputs=(6, 3, 4)),
    case("RNN", 4, 5, 2, nonlinearity="relu", bidirectional=True, bias=False, inputs=(6, 3, 4)),
    case("LSTM", 4, 5, 2, batch_first=True, inputs=(3, 6, 4)),
    case("LSTM", 4, 5, 2, proj_size=2, bidirectional=True, inputs=(6, 3, 4)),
    case("LSTM", 4, 5, inputs=(6, 4)),
    case("GRU", 4, 5, 2, bidirectional=True, dropout=0.5, inputs=(6, 3, 4)),
    case("GRU", 4, 5, inputs=((6, 3, 4), (1, 3, 5))),
    case("RNNCell", 4, 5, inputs=(3, 4)),
    case("RNNCell", 4, 5, nonlinearity="relu", bias=False, inputs=((3, 4), (3, 5))),
    case("LSTMCell", 4, 5, inputs=(4,)),
    case("GRUCell", 4, 5, inputs=((3, 4), (3, 5))),
]
ATTENTION = [
    case("MultiheadAttention", 8, 2, inputs=((5, 3, 8), (4, 3, 8), (4, 3, 8))),
    case("MultiheadAttention", 8, 2, bias=False, add_bias_kv=True, inputs=((5, 3, 8),) * 3),
    case(
        "MultiheadAttention",
        8,
        4,
        kdim=3,
        vdim=5,
        add_zero_attn=True,
        batch_first=True,
        inputs=((3, 5, 8), (3, 4, 3), (3, 4, 5)),
    ),
    case("TransformerEncoderLayer", 8, 2, 16, 0.0, inputs=(5, 3, 8)),
    case("TransformerEncoderLayer", 8, 2, 16, 0.0, "gelu", norm_first=True, inputs=(5, 8)),
    case("TransformerDecoderLayer", 8, 2, 16, 0.0, bias=False, inputs=((4, 3, 8), (5, 3, 8))),
    case("Transformer", 8, 2, 1, 2, 16, 0.0, batch_first=True, inputs=((3, 4, 8), (3, 5, 8))),
]
ALL = (
    ACTIVATIONS
    + LINEAR
    + CONVOLUTION
    + NORMALIZATION
    + POOLING
    + RESHAPING
    + LOOKUP
    + RECURRENT
    + ATTENTION
)


def both(name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The oracle's and our module, made from the same seed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        theirs = getattr(torch.nn, name)(*args, **kwargs)
        rl.manual_seed(0)
        return theirs, getattr(rl.nn, name)(*args, **kwargs)


@pytest.mark.parametrize(("name", "args", "kwargs", "inputs"), ALL)
def test_initial_state_is_bit_equal(name: str, args: Any, kwargs: Any, inputs: Any) -> None:
    theirs, mine = both(name, args, kwargs)
    want, got = theirs.state_dict(), mine.state_dict()
    assert list(want) == list(got)
    for key in want:
        np.testing.assert_array_equal(array(got[key]), array(want[key]), err_msg=key)
    trained = [n for n, p in theirs.named_parameters() if p.requires_grad]
    assert [n for n, p in mine.named_parameters() if p.requires_grad] == trained


@pytest.mark.parametrize(("name", "args", "kwargs", "inputs"), ALL)
def test_printed_form(name: str, args: Any, kwargs: Any, inputs: Any) -> None:
    theirs, mine = both(name, args, kwargs)
    assert repr(mine) == repr(theirs)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("name", "args", "kwargs", "inputs"), ALL)
def test_outputs_and_gradients(
    name: str, args: Any, kwargs: Any, inputs: Any, training: bool
) -> None:
    theirs, mine = both(name, args, kwargs)
    theirs.train(training)
    mine.train(training)
    mine.load_state_dict({key: ours(value) for key, value in theirs.state_dict().items()})
    theirs_in = made(inputs)
    mine_in = ours(theirs_in)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(1)
        want = tensors(theirs(*theirs_in))
        rl.manual_seed(1)
        got = tensors(mine(*mine_in))
    assert len(want) == len(got)
    for place, (expected, actual) in enumerate(zip(want, got, strict=True)):
        assert_close(expected, actual, f"output {place}")
    backward(want)
    backward(got)
    for place, (expected, actual) in enumerate(zip(theirs_in, mine_in, strict=True)):
        if expected.grad is not None:
            assert_close(expected.grad, actual.grad, f"gradient of input {place}", 1e-4)
    for (key, expected), (_, actual) in zip(
        theirs.named_parameters(), mine.named_parameters(), strict=True
    ):
        assert (expected.grad is None) == (actual.grad is None), key
        if expected.grad is not None:
            assert_close(expected.grad, actual.grad, f"gradient of {key}", 1e-4)
    for (key, expected), (_, actual) in zip(
        theirs.named_buffers(), mine.named_buffers(), strict=True
    ):
        assert_close(expected, actual, f"buffer {key}")
