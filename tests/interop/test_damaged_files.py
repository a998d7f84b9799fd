"""Thousands of damaged files of every other format that is read: a value, or the format's error.

`pytest -s` prints the seeds; `--seed-base N` tries others.
"""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import time
import zipfile
from pathlib import Path

import numpy
import pytest
from damage import SECONDS, refusals

import rushlight as rl
from rushlight.interop import numpy as npy
from rushlight.interop import safetensors
from rushlight.serialization import FileFormatError
from rushlight.vision.datasets import CIFAR10
from rushlight.vision.images import ImageProblem, read_image
from rushlight.vision.stored import read_idx

ROUNDS = 500


def as_npy() -> bytes:
    file = io.BytesIO()
    npy.save(file, rl.arange(24.0).reshape(2, 3, 4))
    return file.getvalue()


def as_npz() -> bytes:
    file = io.BytesIO()
    numpy.savez_compressed(file, a=numpy.arange(6), b=numpy.ones((2, 2)), c=numpy.zeros(500))
    return file.getvalue()


def as_onnx() -> bytes:
    model = rl.nn.Sequential(rl.nn.Conv2d(1, 2, 3), rl.nn.ReLU(), rl.nn.Flatten())
    return rl.onnx.export(model, (rl.ones(1, 1, 4, 4),)).model_bytes


def as_safetensors() -> bytes:
    tensors = {"a": rl.ones(3, 4), "b": rl.arange(5), "h": rl.ones(2, dtype=rl.bfloat16)}
    return safetensors.save(tensors, {"format": "pt"})


def as_idx() -> bytes:
    return struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 28, 28) + bytes(range(256)) * 6 + bytes(32)


def as_image(ending: str) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    pixels = numpy.arange(32 * 24 * 3, dtype=numpy.uint8).reshape(32, 24, 3)
    Image.fromarray(pixels).save(file, ending)
    return file.getvalue()


def as_batch() -> bytes:
    batch = {b"data": numpy.zeros((3, 3072), numpy.uint8), b"labels": [0, 1, 2]}
    return pickle.dumps(batch, 2)


# what is in memory: name -> (a good file, its reader)
IN_MEMORY = {
    "npy": (as_npy, lambda content: npy.load(io.BytesIO(content))),
    "npz": (as_npz, lambda content: npy.load(io.BytesIO(content))),
    "onnx": (as_onnx, rl.onnx.load),
    "safetensors": (as_safetensors, safetensors.load),
}


@pytest.mark.parametrize("kind", IN_MEMORY)
def test_damaged_bytes(kind, seed_base):
    """Cuts, changed bytes, huge numbers, repeated and missing stretches."""
    make, read = IN_MEMORY[kind]
    assert refusals(read, make(), FileFormatError, ROUNDS, seed_base + 1) > ROUNDS // 5


def cifar(path: Path) -> None:
    data = CIFAR10.__new__(CIFAR10)
    data.root, data.base_folder = str(path.parent), ""
    data._batch(path.name)


# what is read from paths: name -> (a good file, its reader, its error)
BY_PATH = {
    "idx": (as_idx, read_idx, FileFormatError),
    "idx.gz": (lambda: gzip.compress(as_idx()), read_idx, FileFormatError),
    "batch": (as_batch, cifar, FileFormatError),
    "png": (lambda: as_image("png"), read_image, ImageProblem),
    "jpg": (lambda: as_image("jpeg"), read_image, ImageProblem),
    "gif": (lambda: as_image("gif"), read_image, ImageProblem),
    "bmp": (lambda: as_image("bmp"), read_image, ImageProblem),
    "tiff": (lambda: as_image("tiff"), read_image, ImageProblem),
    "webp": (lambda: as_image("webp"), read_image, ImageProblem),
    "safetensors": (as_safetensors, safetensors.load_file, FileFormatError),
    "npy": (as_npy, lambda path: npy.load(path, mmap=True), FileFormatError),
}


@pytest.mark.parametrize("kind", BY_PATH)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files(kind, seed_base, tmp_path):
    """The same for files, whose paths the errors begin with."""
    make, read, refusal = BY_PATH[kind]
    path = tmp_path / f"sample.{kind}"

    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        read(path)

    rounds = ROUNDS // 2
    refused = refusals(attempt, make(), refusal, rounds, seed_base + 2, f"sample.{kind}")
    assert refused > rounds // 20


# ---- made to harm


def refused_soon(read, content, match):
    """Within the time, naming the file."""
    begin = time.process_time()
    with pytest.raises(FileFormatError, match=match):
        read(content)
    assert time.process_time() - begin < SECONDS


def test_archives_of_arrays_that_unpack_to_all_memory():
    """Thousands of bytes that say they are gigabytes; a name twice."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        array = io.BytesIO()
        numpy.save(array, numpy.zeros(1))
        head = array.getvalue()[:128].replace(b"(1,), }", b"(9999999999,), }")[:128]
        archive.writestr("a.npy", head + bytes(50_000_000))
    refused_soon(lambda content: npy.load(io.BytesIO(content)), file.getvalue(), "fewer|far more")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.npy", as_npy())
        archive.writestr("a.npy", as_npy())
    refused_soon(lambda content: npy.load(io.BytesIO(content)), file.getvalue(), "twice")


def test_arrays_that_pack_well_are_read():
    """Zeros, a thousand to one."""
    file = io.BytesIO()
    numpy.savez_compressed(file, a=numpy.zeros(1 << 20))
    assert npy.load(io.BytesIO(file.getvalue()))["a"].shape == (1 << 20,)


def test_packed_digits_that_unpack_to_all_memory(tmp_path):
    """What the header does not promise is never unpacked; what it promises is bounded."""
    path = tmp_path / "train-images-idx3-ubyte.gz"

    def read(content):
        path.write_bytes(gzip.compress(content))
        read_idx(path)

    small = struct.pack(">BBBBI", 0, 0, 8, 1, 4)
    refused_soon(read, small + bytes(50_000_000), "more bytes")
    refused_soon(read, struct.pack(">BBBBI", 0, 0, 8, 1, 1 << 31), "train-images.*2147483648 bytes")


def test_arrays_of_objects_are_refused(tmp_path):
    """They are pickles."""
    path = tmp_path / "x.npy"
    numpy.save(path, numpy.array([{}]), allow_pickle=True)
    for mmap in (False, True):
        with pytest.raises(FileFormatError, match=r"x\.npy"):
            npy.load(path, mmap=mmap)
