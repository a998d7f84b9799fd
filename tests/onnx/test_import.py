"""Reading ONNX files: damaged and hostile ones end in our own error, soon."""

import random
import time

import pytest

import rushlight as rl
from rushlight.onnx.wire import Message, block, integer, varint
from rushlight.serialization import FileFormatError


def content():
    model = rl.nn.Sequential(rl.nn.Conv2d(1, 2, 3), rl.nn.ReLU(), rl.nn.Flatten())
    return rl.onnx.export(model, (rl.ones(1, 1, 4, 4),)).model_bytes


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**40, -1, -(2**63), 2**63 - 1])
def test_numbers_survive(value):
    """Positive and negative ones of any size."""
    assert Message(memoryview(integer(5, value))).integer(5) == value


def test_damaged_files():
    """Every kind of damage gives a model or FileFormatError, within two seconds."""
    good = content()
    generator = random.Random(3)
    refused = 0
    for _ in range(1500):
        changed = bytearray(good)
        for _ in range(generator.randint(1, 4)):
            changed[generator.randrange(len(changed))] = generator.randrange(256)
        changed = changed[: generator.choice([len(changed), generator.randrange(len(changed))])]
        begin = time.process_time()
        try:
            rl.onnx.load(bytes(changed))
        except FileFormatError as error:
            refused += 1
            assert str(error).startswith("<bytes>")
        assert time.process_time() - begin < 2
    assert refused > 500


def graph(*parts):
    return block(7, b"".join(parts)) + block(8, block(1, "") + integer(2, 18))


def node(kind, inputs, outputs, domain=""):
    names = b"".join(block(1, name) for name in inputs)
    names += b"".join(block(2, name) for name in outputs)
    return block(1, names + block(4, kind) + block(7, domain))


def value(field, name):
    return block(field, block(1, name))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([node("Evil", ["x"], ["y"])], "operator Evil is not known"),
        ([node("Relu", ["x"], ["y"], "com.evil")], "not ONNX's own"),
        ([node("Relu", ["z"], ["y"])], "nothing before it makes"),
        ([node("Relu", ["x"], ["x"])], "exists already"),
        ([block(5, block(8, "w") + integer(1, 2**39) + integer(2, 1))], "has 0 elements"),
        ([block(5, block(8, "w") + integer(1, -1) + integer(2, 1))], "no possible shape"),
        ([block(5, block(8, "w") + integer(2, 1) + integer(14, 1))], "in another file"),
        ([block(5, block(8, "w") + integer(2, 99))], "unknown dtype"),
    ],
)
def test_models_that_lie(parts, message):
    """Unknown operators, values from nowhere, tensors larger than the file, data outside of it."""
    made = graph(*parts, value(11, "x"), value(12, "y"))
    with pytest.raises(FileFormatError, match=message):
        rl.onnx.load(made)


def test_broken_messages():
    """Lengths beyond the end, endless numbers, old opsets, other files."""
    for wrong in (
        varint(7 << 3 | 2) + varint(1 << 60),
        b"\xff" * 11,
        varint(7 << 3 | 3),
        graph()[:-2] + integer(2, 5),
        b"PK\x03\x04",
        b"",
    ):
        with pytest.raises(FileFormatError):
            rl.onnx.load(wrong)
