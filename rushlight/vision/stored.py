"""Data sets of small images in the files that their authors publish: MNIST's kin and CIFAR.

In: a root folder with the files where torchvision keeps them. Out: (image, label) pairs.
Invariants: a file's numbers are checked against its size before they are used; nothing in a file is
executed. The files are not fetched: what is missing is named, with the folder that it belongs in.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ClassVar, cast

import numpy
from PIL import Image

import rushlight
from rushlight import Tensor
from rushlight.serialization import FileFormatError
from rushlight.serialization.rebuild import Buildable, Constructor
from rushlight.serialization.unpickler import Interpreter
from rushlight.utils.data import Dataset

__all__ = ["CIFAR10", "CIFAR100", "KMNIST", "MNIST", "QMNIST", "FashionMNIST", "read_idx"]

Transform = Callable[[Any], Any]
# the type byte of MNIST's format -> NumPy's dtype, big-endian as in the file
_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


# More elements than any of these data sets has; a file of a few bytes could unpack to all memory.
_MOST_BYTES = 1 << 30
_MOST_DIMENSIONS = 8


def read_idx(path: str | Path) -> numpy.ndarray:
    """The array in a file of MNIST's format, packed with gzip or not.

    Two zero bytes, a byte for the type, one for the number of dimensions, their sizes as big-endian
    32 bit numbers, then the elements.
    Errors: FileFormatError naming the file where it is something else, holds more than 2^30 bytes,
    or its size is not what it says.
    """
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            if not packed:
                return _read_idx(file)
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _read_idx(cast(IO[bytes], unpacked))
        except (ValueError, EOFError, OSError, zlib.error) as error:
            raise FileFormatError(f"{path}: {error}") from error


def _read_idx(file: IO[bytes]) -> numpy.ndarray:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES:
        raise ValueError(f"not a file of MNIST's format (it begins {head!r})")
    if head[3] > _MOST_DIMENSIONS:
        raise ValueError(f"says it holds {head[3]} dimensions")
    sizes = file.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise ValueError("ends within its header")
    shape = struct.unpack(f">{head[3]}I", sizes)
    kind = numpy.dtype(_IDX_TYPES[head[2]])
    wanted = math.prod(shape) * kind.itemsize
    if wanted > _MOST_BYTES:
        raise ValueError(f"says it holds {wanted} bytes, more than {_MOST_BYTES}")
    data = file.read(wanted + 1)
    if len(data) != wanted:
        raise ValueError(
            f"says it holds {shape} elements of {kind.itemsize} bytes, and has "
            f"{'more' if len(data) > wanted else len(data)} bytes of them"
        )
    return numpy.frombuffer(data, kind).reshape(shape).astype(kind.newbyteorder("="))


class _Stored(Dataset[tuple[Any, Any]]):
    """Images and labels in memory."""

    data: Any
    targets: Any

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        self.root, self.train = str(root), train
        self.transform, self.target_transform = transform, target_transform
        self._read()

    def _read(self) -> None:
        raise NotImplementedError

    def _image(self, index: int) -> Image.Image:
        raise NotImplementedError

    def _found(self, folder: Path, name: str) -> Path:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
        raise RuntimeError(
            f"Dataset not found: {type(self).__name__} needs {folder / name} (or the same with "
            ".gz); rushlight does not fetch data sets"
        )

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = self._image(index), int(self.targets[index])
        if self.transform is not None:
            image = self.transform(image)
        return image, target if self.target_transform is None else self.target_transform(target)

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        lines = [
            f"Dataset {type(self).__name__}",
            f"    Number of datapoints: {len(self)}",
            f"    Root location: {self.root}",
            f"    Split: {'Train' if self.train else 'Test'}",
        ]
        return "\n".join(lines)


class MNIST(_Stored):
    """Handwritten digits, 28x28 grey: `root/MNIST/raw/train-images-idx3-ubyte` and its siblings.

    `data` is a uint8 tensor (N, 28, 28), `targets` an int64 tensor (N,). An item is a Pillow image
    and a number, each after its transform.
    """

    classes: ClassVar[list[str]] = [
        f"{number} - {word}"
        for number, word in enumerate(
            ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        )
    ]
    _files = "{part}-images-idx3-ubyte", "{part}-labels-idx1-ubyte"

    @property
    def raw_folder(self) -> str:
        """Where the files are."""
        return str(Path(self.root, type(self).__name__, "raw"))

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class."""
        return {name: number for number, name in enumerate(self.classes)}

    def _read(self) -> None:
        part = "train" if self.train else "t10k"
        paths = [self._found(Path(self.raw_folder), name.format(part=part)) for name in self._files]
        images, labels = (read_idx(path) for path in paths)
        if images.ndim != 3 or len(labels) != len(images):
            raise FileFormatError(
                f"{paths[0]} holds {images.shape}, {paths[1]} {labels.shape}: expected as many "
                "labels as images"
            )
        self.data: Tensor = rushlight.from_numpy(images.astype("u1"))
        self.targets: Tensor = rushlight.from_numpy(self._labels(labels).astype("i8"))

    @staticmethod
    def _labels(stored: numpy.ndarray) -> numpy.ndarray:
        """The labels proper of what the file holds."""
        return stored

    def _image(self, index: int) -> Image.Image:
        return Image.fromarray(self.data[index].numpy(), mode="L")


class FashionMNIST(MNIST):
    """Zalando's pictures of clothes, in MNIST's format."""

    classes: ClassVar[list[str]] = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ]  # fmt: skip


class KMNIST(MNIST):
    """Handwritten Kuzushiji characters, in MNIST's format."""

    classes: ClassVar[list[str]] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


class QMNIST(MNIST):
    """MNIST's digits with what is known of their writers, from the QMNIST files.

    The first of the eight numbers of a label is the digit.
    """

    _files = "qmnist-{part}-images-idx3-ubyte", "qmnist-{part}-labels-idx2-int"

    def _read(self) -> None:
        part = "train" if self.train else "test"
        self._files = tuple(name.replace("{part}", part) for name in type(self)._files)  # type: ignore[assignment]
        super()._read()

    @staticmethod
    def _labels(stored: numpy.ndarray) -> numpy.ndarray:
        return stored[:, 0]


class _Kind(Buildable):
    """The dtype of an array in a pickle: bytes only."""

    def __init__(self, code: Any, *rest: Any) -> None:
        if code not in (b"u1", "u1", b"|u1", "|u1"):
            raise ValueError("its arrays do not hold bytes")

    def build(self, state: Any) -> None:
        """The rest says nothing new about bytes."""


class _Array(Buildable):
    """An array in a pickle: made empty, then told its shape and bytes."""

    def __init__(self, *ignored: Any) -> None:
        self.array: numpy.ndarray[Any, Any] = numpy.empty(0, "u1")

    def build(self, state: Any) -> None:
        """(version, shape, dtype, whether in Fortran's order, bytes)."""
        _, shape, kind, fortran, content = state
        sizes = type(shape) is tuple and all(type(n) is int and 0 <= n < 2**40 for n in shape)
        if not sizes or type(kind) is not _Kind or fortran not in (False, 0):
            raise ValueError("an array of another kind")
        if type(content) is not bytes or math.prod(shape) != len(content):
            raise ValueError(f"an array of shape {shape} does not have as many bytes")
        self.array = numpy.frombuffer(content, "u1").reshape(shape)


def _encoded(text: Any, how: Any) -> bytes:
    if type(text) is not str or how not in ("latin1", b"latin1"):
        raise ValueError("bytes are written as latin1 text")
    return text.encode("latin1")


# All that the pickles of CIFAR refer to, whichever NumPy wrote them.
_CIFAR_NAMES = {
    ("numpy", "ndarray"): Constructor(_Array),
    ("numpy", "dtype"): Constructor(_Kind),
    ("_codecs", "encode"): Constructor(_encoded),
    **{
        (place, "_reconstruct"): Constructor(_Array)
        for place in ("numpy.core.multiarray", "numpy._core.multiarray")
    },
}


def _read_arrays(content: bytes) -> Any:
    """A pickle of bytes, numbers and arrays; nothing in it is executed."""

    def no_storage(reference: Any) -> Any:
        raise ValueError("it refers to storages, which no CIFAR file does")

    return Interpreter(content, no_storage, names=_CIFAR_NAMES, binary=True).run()


class CIFAR10(_Stored):
    """Colour photographs, 32x32, of ten kinds: `root/cifar-10-batches-py/data_batch_1` and on.

    `data` is a uint8 array (N, 32, 32, 3), `targets` a list of numbers.
    """

    base_folder = "cifar-10-batches-py"
    _parts: ClassVar[dict[bool, list[str]]] = {
        True: [f"data_batch_{number}" for number in range(1, 6)],
        False: ["test_batch"],
    }
    _meta = ("batches.meta", b"label_names")
    _labels = b"labels"

    def _load(self, name: str) -> dict[bytes, Any]:
        path = self._found(Path(self.root, self.base_folder), name)
        try:
            loaded = _read_arrays(path.read_bytes())
        except Exception as error:
            raise FileFormatError(f"{path}: not a batch of CIFAR: {error}") from error
        if type(loaded) is not dict:
            raise FileFormatError(
                f"{path}: not a batch of CIFAR: it holds a {type(loaded).__name__}"
            )
        return loaded

    def _batch(self, name: str) -> tuple[numpy.ndarray, list[int]]:
        """The images and labels of one file, checked."""
        batch = self._load(name)
        rows, labels = batch.get(b"data"), batch.get(self._labels)
        pixels = rows.array if isinstance(rows, _Array) else numpy.empty((0, 0), "u1")
        if not isinstance(labels, list) or pixels.ndim != 2 or pixels.shape[1] != 3072:
            raise FileFormatError(f"{self.base_folder}/{name}: expected rows of 3072 bytes, labels")
        if len(labels) != len(pixels) or not all(type(label) is int for label in labels):
            raise FileFormatError(
                f"{self.base_folder}/{name}: expected as many labels as the {len(pixels)} "
                f"images, got {len(labels)}"
            )
        return pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels

    def _read(self) -> None:
        images, self.targets = [], []
        for name in self._parts[self.train]:
            rows, labels = self._batch(name)
            images.append(rows)
            self.targets.extend(labels)
        self.data: numpy.ndarray = numpy.concatenate(images)
        name, key = self._meta
        words = self._load(name).get(key)
        if type(words) is not list or not all(type(word) is bytes for word in words):
            raise FileFormatError(f"{self.base_folder}/{name}: expected the names of the classes")
        self.classes = [word.decode(errors="replace") for word in words]
        self.class_to_idx = {word: number for number, word in enumerate(self.classes)}

    def _image(self, index: int) -> Image.Image:
        return Image.fromarray(self.data[index])


class CIFAR100(CIFAR10):
    """Colour photographs, 32x32, of a hundred kinds: `root/cifar-100-python/train`."""

    base_folder = "cifar-100-python"
    _parts: ClassVar[dict[bool, list[str]]] = {True: ["train"], False: ["test"]}
    _meta = ("meta", b"fine_label_names")
    _labels = b"fine_labels"
