"""`.npy` and `.npz` files: the same arrays in NumPy and here."""

import io
import random
import time

import numpy
import pytest

import rushlight as rl
from rushlight.interop import numpy as npy
from rushlight.serialization import FileFormatError

DTYPES = ["bool", "uint8", "int32", "float16", "float32", "float64", "complex64"]


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 2), (2, 3)])
def test_arrays_are_exchanged(tmp_path, name, shape):
    """Both ways, for every dtype and shape."""
    array = numpy.ones(shape, name)
    numpy.save(tmp_path / "a.npy", array)
    copy = npy.load(tmp_path / "a.npy")
    assert copy.dtype == getattr(rl, name)
    assert copy.tolist() == array.tolist()
    npy.save(tmp_path / "b.npy", copy)
    assert numpy.load(tmp_path / "b.npy").dtype == array.dtype
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_orders_and_archives(tmp_path):
    """Columns first, big-endian, packed archives, mapped files."""
    array = numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)).astype(">f4")
    numpy.save(tmp_path / "a.npy", array)
    assert npy.load(tmp_path / "a.npy").tolist() == array.tolist()
    for save in (numpy.savez, numpy.savez_compressed):
        save(tmp_path / "a.npz", x=numpy.arange(3), y=array)
        copy = npy.load(tmp_path / "a.npz")
        assert {name: value.tolist() for name, value in copy.items()} == {
            "x": [0, 1, 2],
            "y": array.tolist(),
        }
    npy.savez(tmp_path / "b.npz", {"x": rl.ones(2)})
    assert numpy.load(tmp_path / "b.npz")["x"].tolist() == [1, 1]
    npy.save(tmp_path / "c.npy", rl.arange(4))
    before = (tmp_path / "c.npy").read_bytes()
    mapped = npy.load(tmp_path / "c.npy", mmap=True)
    mapped += 1
    assert mapped.tolist() == [1, 2, 3, 4]
    assert (tmp_path / "c.npy").read_bytes() == before


def test_hostile_files():
    """Pickles, sizes beyond the file, damage anywhere."""
    file = io.BytesIO()
    numpy.save(file, numpy.array([object()]), allow_pickle=True)
    with pytest.raises(FileFormatError, match="which no tensor has"):
        npy.load(io.BytesIO(file.getvalue()))
    file = io.BytesIO()
    numpy.save(file, numpy.arange(50.0))
    good = file.getvalue()
    with pytest.raises(FileFormatError, match="fewer than"):
        npy.load(io.BytesIO(good.replace(b"(50,), }      ", b"(50000000000,)}")[: len(good)]))
    generator = random.Random(1)
    for _ in range(300):
        changed = bytearray(good)
        changed[generator.randrange(len(changed))] = generator.randrange(256)
        changed = changed[: generator.randrange(len(changed))]
        begin = time.process_time()
        with pytest.raises(FileFormatError, match="BytesIO"):
            npy.load(io.BytesIO(bytes(changed)))
        assert time.process_time() - begin < 2


def test_bfloat16_is_refused():
    """NumPy has none."""
    with pytest.raises(TypeError, match="BFloat16"):
        npy.save(io.BytesIO(), rl.ones(2, dtype=rl.bfloat16))
