"""safetensors files: the same tensors here, in torch, and back."""

import numpy
import pytest

import rushlight as rl
from rushlight.serialization import FileFormatError

pytest.importorskip("safetensors")
from rushlight.interop import safetensors

DTYPES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
]


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 2)])
def test_files_are_exchanged_with_torch(tmp_path, name, shape):
    """What one library saves the other loads, for every dtype and shape."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    numbers = numpy.arange(max(1, int(numpy.prod(shape)))) % 2
    numbers = numbers[: int(numpy.prod(shape))].reshape(shape)
    ours = rl.tensor(numbers).to(getattr(rl, name))
    theirs = torch.tensor(numbers).to(getattr(torch, name))
    safetensors.save_file({"x": ours}, tmp_path / "ours", {"format": "pt"})
    save_file({"x": theirs}, tmp_path / "theirs")
    received = load_file(tmp_path / "ours")["x"]
    assert received.dtype == theirs.dtype
    assert received.tolist() == theirs.tolist()
    copy = safetensors.load_file(tmp_path / "theirs")["x"]
    assert copy.dtype == ours.dtype
    assert copy.tolist() == ours.tolist()
    assert tuple(copy.shape) == shape


def test_views_are_saved_as_what_they_show():
    """Strided tensors come back contiguous."""
    base = rl.arange(6).reshape(2, 3)
    copy = safetensors.load(safetensors.save({"t": base.t()}))["t"]
    assert copy.tolist() == base.t().tolist()
    assert copy.is_contiguous()


def test_shared_memory_is_refused():
    """The format cannot say that two tensors share memory."""
    base = rl.zeros(4)
    with pytest.raises(RuntimeError, match="'a' and 'b' share memory"):
        safetensors.save({"a": base, "b": base[1:]})
    with pytest.raises(ValueError, match="'a' is a list"):
        safetensors.save({"a": [1]})


def test_damaged_files_are_refused(tmp_path):
    """Cut or changed anywhere in the header: FileFormatError with the file's name."""
    content = safetensors.save({"x": rl.ones(4), "y": rl.zeros(2, dtype=rl.int8)})
    for length in range(0, len(content) - 1, 5):
        with pytest.raises(FileFormatError):
            safetensors.load(content[:length])
    for position in range(len(content) - 18):
        damaged = bytearray(content)
        damaged[position] ^= 0x20
        try:
            copy = safetensors.load(bytes(damaged))
        except FileFormatError:
            continue
        assert len(copy) == 2
    path = tmp_path / "model.safetensors"
    path.write_bytes(content[:20])
    with pytest.raises(FileFormatError, match="model.safetensors"):
        safetensors.load_file(path)
