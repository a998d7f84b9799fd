"""Single operators, as other exporters write them, give what onnxruntime gives."""

import numpy
import pytest

import rushlight as rl
from rushlight.onnx.document import Described, document
from rushlight.onnx.graph import Operator

runtime = pytest.importorskip("onnxruntime")

DRAWS = numpy.random.default_rng(0)
IMAGE = DRAWS.standard_normal((2, 8, 4, 6)).astype(numpy.float32)
STEPS = DRAWS.standard_normal((5, 2, 3)).astype(numpy.float32)
MATRIX = DRAWS.standard_normal((4, 5)).astype(numpy.float32)
NO = numpy.zeros(0, numpy.float32)


def real(*shape):
    return DRAWS.standard_normal(shape).astype(numpy.float32)


def whole(*values):
    return numpy.array(values, numpy.int64)


def recurrent(gates, directions, **attributes):
    """Sequences of 2 with 3 features, 4 hidden numbers, with biases and first states."""
    many = directions * 1
    weights = [real(many, gates * 4, 3), real(many, gates * 4, 4), real(many, gates * 8)]
    states = [real(many, 2, 4)] * (2 if gates == 4 else 1)
    names = {1: "forward", 2: "bidirectional"}
    attributes = {"direction": names[directions], "hidden_size": 4, **attributes}
    return attributes, (STEPS, *weights, None, *states)


def resize(mode, place, rounding="round_prefer_floor", size=(7, 9)):
    attributes = {"mode": mode, "coordinate_transformation_mode": place, "nearest_mode": rounding}
    if mode == "cubic":
        attributes["cubic_coeff_a"] = -0.75
    return attributes, (IMAGE, None, None, whole(2, 8, *size))


# name -> (operator, attributes and inputs, how many outputs)
CASES = {
    "LSTM": ("LSTM", recurrent(4, 1), 3),
    "LSTM both ways": ("LSTM", recurrent(4, 2), 3),
    "LSTM backwards": ("LSTM", recurrent(4, 1, direction="reverse"), 3),
    "GRU": ("GRU", recurrent(3, 1, linear_before_reset=1), 2),
    "GRU both ways": ("GRU", recurrent(3, 2, linear_before_reset=1), 2),
    "RNN": ("RNN", recurrent(1, 1), 2),
    "RNN of relu": ("RNN", recurrent(1, 2, activations=["Relu", "Relu"]), 2),
    "nearest": ("Resize", resize("nearest", "asymmetric", "floor"), 1),
    "nearest by scales": (
        "Resize",
        (
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric",
             "nearest_mode": "floor"},
            (IMAGE, None, numpy.array([1, 1, 2, 3], numpy.float32)),
        ),
        1,
    ),
    "nearest of middles": ("Resize", resize("nearest", "half_pixel", size=(8, 12)), 1),
    "linear": ("Resize", resize("linear", "half_pixel"), 1),
    "linear by PyTorch": ("Resize", resize("linear", "pytorch_half_pixel"), 1),
    "linear by corners": ("Resize", resize("linear", "align_corners"), 1),
    "cubic": ("Resize", resize("cubic", "half_pixel"), 1),
    "DCR": ("DepthToSpace", ({"blocksize": 2}, (IMAGE,)), 1),
    "CRD": ("DepthToSpace", ({"blocksize": 2, "mode": "CRD"}, (IMAGE,)), 1),
    "SpaceToDepth": ("SpaceToDepth", ({"blocksize": 2}, (IMAGE,)), 1),
    "TopK": ("TopK", ({}, (IMAGE, whole(3))), 2),
    "least": ("TopK", ({"axis": 1, "largest": 0}, (IMAGE, whole(2))), 2),
    "triu": ("Trilu", ({"upper": 1}, (IMAGE, numpy.array(1, numpy.int64))), 1),
    "tril": ("Trilu", ({"upper": 0}, (IMAGE,)), 1),
    "GatherND": ("GatherND", ({}, (IMAGE, whole(0, 1, 1, 3).reshape(2, 2))), 1),
    "ScatterND": ("ScatterND", ({}, (MATRIX, whole(0, 2).reshape(2, 1), real(2, 5))), 1),
    "ScatterND adding": (
        "ScatterND",
        ({"reduction": "add"}, (MATRIX, whole(1, 1).reshape(2, 1), real(2, 5))),
        1,
    ),
    "OneHot": ("OneHot", ({}, (whole(1, -1, 0), whole(4), real(2))), 1),
    "OneHot in front": ("OneHot", ({"axis": 0}, (whole(1, 2), whole(4), real(2))), 1),
    "InstanceNormalization": ("InstanceNormalization", ({}, (IMAGE, real(8), real(8))), 1),
    "LpNormalization": ("LpNormalization", ({"axis": 1, "p": 1}, (IMAGE,)), 1),
    "NonZero": ("NonZero", ({}, (numpy.maximum(MATRIX, 0),)), 1),
    "ReduceL1": ("ReduceL1", ({"keepdims": 0}, (IMAGE, whole(1))), 1),
    "ReduceL2": ("ReduceL2", ({}, (IMAGE, whole(2, 3))), 1),
    "ReduceLogSum": ("ReduceLogSum", ({}, (numpy.abs(IMAGE), whole(1))), 1),
    "ReduceLogSumExp": ("ReduceLogSumExp", ({}, (IMAGE, whole(1))), 1),
    "ReduceSumSquare": ("ReduceSumSquare", ({}, (IMAGE,)), 1),
    "Selu": ("Selu", ({}, (MATRIX,)), 1),
    "Celu": ("Celu", ({"alpha": 2.0}, (MATRIX,)), 1),
    "Mish": ("Mish", ({}, (MATRIX,)), 1),
    "Shrink": ("Shrink", ({"lambd": 0.3, "bias": 0.1}, (MATRIX,)), 1),
    "Softsign": ("Softsign", ({}, (MATRIX,)), 1),
    "ThresholdedRelu": ("ThresholdedRelu", ({"alpha": 0.5}, (MATRIX,)), 1),
    "EyeLike": ("EyeLike", ({"k": 1}, (MATRIX,)), 1),
    "CastLike": ("CastLike", ({}, (MATRIX, whole(1))), 1),
    "Size": ("Size", ({}, (MATRIX,)), 1),
    "GridSample": (
        "GridSample",
        ({"padding_mode": "border", "mode": "linear"}, (IMAGE, real(2, 3, 3, 2))),
        1,
    ),
}  # fmt: skip


def model(kind, attributes, arrays, outputs, rank):
    """A file of one operator, of whose first output only the rank is said."""
    names = [None if array is None else f"in{k}" for k, array in enumerate(arrays)]
    inputs = [
        Described(name, str(array.dtype), array.shape)
        for name, array in zip(names, arrays, strict=True)
        if name
    ]
    results = []
    for k in range(outputs):
        dtype = "int64" if (kind, k) in WHOLE else "float32"
        own = rank if k == 0 or kind == "TopK" else 3
        results.append(Described(f"out{k}", dtype, tuple(f"d{k}{j}" for j in range(own))))
    made = [Operator(kind, names, [result.name for result in results], attributes)]
    return document(made, {}, inputs, results, 20, rl.__version__)


WHOLE = {("TopK", 1), ("NonZero", 0), ("Size", 0), ("CastLike", 0)}


def session_of(kind, attributes, arrays, outputs):
    """A file and onnxruntime's session of it; the rank is the one that it does not refuse."""
    for rank in range(5):
        content = model(kind, attributes, arrays, outputs, rank)
        try:
            return content, runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        except Exception as error:
            if rank == 4 or "rank" not in str(error).lower():
                raise
    raise AssertionError("no rank fits")


@pytest.mark.parametrize("name", CASES)
def test_operators_agree_with_onnxruntime(name):
    """Values, shapes and dtypes."""
    kind, (attributes, arrays), count = CASES[name]
    given = {f"in{k}": array for k, array in enumerate(arrays) if array is not None}
    content, session = session_of(kind, attributes, arrays, count)
    wanted = session.run(None, given)
    found = rl.onnx.load(content)(*[rl.from_numpy(array) for array in given.values()])
    found = found if isinstance(found, tuple) else (found,)
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert tuple(ours.shape) == theirs.shape
        assert ours.numpy().dtype == theirs.dtype
        numpy.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-4, atol=1e-5)
