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


def test_bytes_are_the_library_s():
    """The same header, the same order, the same padding."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save

    names = ["z", "b", "a é"]
    for dtypes in (DTYPES[:3], DTYPES[5:8], DTYPES[8:]):
        ours = {n: rl.ones(3, dtype=getattr(rl, d)) for n, d in zip(names, dtypes, strict=True)}
        theirs = {
            n: torch.ones(3, dtype=getattr(torch, d)) for n, d in zip(names, dtypes, strict=True)
        }
        assert safetensors.save(ours, {"format": "pt"}) == save(theirs, {"format": "pt"})


def test_parts_of_a_file(tmp_path):
    """Names, words and slices, without reading the rest."""
    path = tmp_path / "x.safetensors"
    value = rl.arange(24.0).reshape(2, 3, 4)
    safetensors.save_file({"x": value, "b": rl.ones(2, dtype=rl.bfloat16)}, path, {"a": "ü"})
    with safetensors.safe_open(path, framework="pt") as file:
        assert file.keys() == ["b", "x"]
        assert file.offset_keys() == ["x", "b"]
        assert file.metadata() == {"a": "ü"}
        part = file.get_slice("x")
        assert (part.get_shape(), part.get_dtype()) == ([2, 3, 4], "F32")
        for index in ((0,), (slice(None), 1), (..., slice(1, None, 2)), (-1, slice(0, 2), 3)):
            assert part[index].tolist() == value[index].tolist()
        assert file.get_slice("b")[1:].tolist() == [1]
        with pytest.raises(FileFormatError, match="does not contain tensor y"):
            file.get_tensor("y")
        with pytest.raises(IndexError):
            part[5]
    with safetensors.safe_open(path, "np") as file:
        assert file.get_tensor("x").shape == (2, 3, 4)
        with pytest.raises(TypeError, match="bfloat16"):
            file.get_tensor("b")
    with pytest.raises(ValueError, match="closed"):
        file.get_tensor("x")


def test_models_with_tied_weights(tmp_path):
    """One of the parameters that share memory is written, and all come back."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_model, save_model

    def tied(nn):
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        model[1].weight = model[0].weight
        return model

    path = tmp_path / "m.safetensors"
    ours, theirs = tied(rl.nn), tied(torch.nn)
    safetensors.save_model(ours, path)
    assert load_model(theirs, str(path)) == (set(), [])
    assert theirs[1].weight.tolist() == ours[0].weight.tolist()
    save_model(theirs, str(path))
    fresh = tied(rl.nn)
    assert safetensors.load_model(fresh, path) == ([], [])
    assert fresh[1].weight.tolist() == ours[0].weight.tolist()
    with pytest.raises(RuntimeError, match="Missing key"):
        safetensors.load_model(rl.nn.Sequential(*[rl.nn.Linear(3, 3) for _ in range(3)]), path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', "needs 8 bytes"),
        (b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', "leaves a gap"),
        (b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', "the file has 8"),
        (b'{"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}', "natural numbers"),
        (b'{"x":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}', "not supported"),
        (b'{"x":{"dtype":"F32","shape":[1099511627776,1099511627776,4],"data_offsets":[0,8]}}',
         "needs"),
        (b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
         b'"y":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "overlaps"),
        (b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
         b'"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "twice"),
        (b'{"x":1}', "not described"),
        (b"[" * 100_000, "JSON"),
        (b'{"x":' + b"[" * 100_000, None),
        (b'{"__metadata__":{"a":1}}', "text to text"),
        (b'{"x":NaN}', "NaN"),
    ],
)  # fmt: skip
def test_headers_that_lie(header, message):
    """The header must describe every byte once."""
    content = len(header).to_bytes(8, "little") + header + bytes(8)
    with pytest.raises(FileFormatError, match=message):
        safetensors.load(content)
    with pytest.raises(FileFormatError, match="longer than"):
        safetensors.load((1 << 62).to_bytes(8, "little") + header)
