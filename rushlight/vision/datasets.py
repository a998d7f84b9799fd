"""Data sets that live in folders: `root/class/file`, one folder per class. (Those that have file
formats of their own are in `stored.py`.)

What comes in: a root folder. What goes out: `(sample, class index)` pairs, classes in sorted order
of their folder names, samples in sorted order of their paths. Invariant: the order depends on the
names alone, never on the file system.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

import rushlight
from rushlight.utils.data import Dataset

from .images import EXTENSIONS, read_image
from .stored import CIFAR10, CIFAR100, KMNIST, MNIST, QMNIST, FashionMNIST
from .transforms.functional import to_pil_image

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "IMG_EXTENSIONS",
    "KMNIST",
    "MNIST",
    "QMNIST",
    "DatasetFolder",
    "FakeData",
    "FashionMNIST",
    "ImageFolder",
    "default_loader",
    "find_classes",
    "has_file_allowed_extension",
    "is_image_file",
    "make_dataset",
    "pil_loader",
]

IMG_EXTENSIONS = EXTENSIONS

Transform = Callable[[Any], Any]


def has_file_allowed_extension(filename: str, extensions: str | tuple[str, ...]) -> bool:
    """Say whether the name ends with one of `extensions`, in either case."""
    return filename.lower().endswith(extensions)


def is_image_file(filename: str) -> bool:
    """Say whether the name ends like an image file's."""
    return has_file_allowed_extension(filename, IMG_EXTENSIONS)


def pil_loader(path: str) -> Image.Image:
    """Open one image file as RGB; `ImageProblem` names a file that cannot be used."""
    return read_image(path, "RGB")


default_loader = pil_loader


def find_classes(directory: str | Path) -> tuple[list[str], dict[str, int]]:
    """Return the sorted names of the folders in `directory`, and the index of each.

    Raises `FileNotFoundError` if there is none.
    """
    classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    if not classes:
        raise FileNotFoundError(f"Couldn't find any class folder in {directory}.")
    return classes, {name: index for index, name in enumerate(classes)}


def make_dataset(
    directory: str | Path,
    class_to_idx: dict[str, int] | None = None,
    extensions: str | tuple[str, ...] | None = None,
    is_valid_file: Callable[[str], bool] | None = None,
    allow_empty: bool = False,
) -> list[tuple[str, int]]:
    """List `(path, class index)` for each accepted file below each class folder.

    Exactly one of `extensions` and `is_valid_file` says what is accepted. Raises
    `FileNotFoundError` naming the classes without any such file, unless `allow_empty`.
    """
    if (extensions is None) == (is_valid_file is None):
        raise ValueError("Both extensions and is_valid_file cannot be None or not None")
    accepts = is_valid_file or (lambda path: has_file_allowed_extension(path, extensions or ()))
    if class_to_idx is None:
        class_to_idx = find_classes(directory)[1]
    elif not class_to_idx:
        raise ValueError("'class_to_index' must have at least one entry to collect any samples.")
    samples: list[tuple[str, int]] = []
    empty: list[str] = []
    for name in sorted(class_to_idx):
        found = [path for path in _files_below(Path(directory) / name) if accepts(path)]
        samples += [(path, class_to_idx[name]) for path in found]
        if not found:
            empty.append(name)
    if empty and not allow_empty:
        supported = "" if extensions is None else f" Supported extensions are: {extensions}"
        raise FileNotFoundError(
            f"Found no valid file for the classes {', '.join(empty)} in {directory}.{supported}"
        )
    return samples


def _files_below(folder: Path) -> list[str]:
    """Every file below `folder`, links followed, sorted folder by folder."""
    found: list[str] = []
    for root, _, names in sorted(os.walk(folder, followlinks=True)):
        found += [os.path.join(root, name) for name in sorted(names)]
    return found


class DatasetFolder(Dataset[tuple[Any, Any]]):
    """Samples of any kind in one folder per class, opened by `loader`.

    `extensions` or `is_valid_file` chooses the files; `transform` is applied to what `loader`
    returns, `target_transform` to the class index. The attributes `classes`, `class_to_idx`,
    `samples` and `targets` are torchvision's.
    """

    def __init__(
        self,
        root: str | Path,
        loader: Callable[[str], Any],
        extensions: tuple[str, ...] | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        self.root = str(root)
        self.loader = loader
        self.extensions = extensions
        self.transform = transform
        self.target_transform = target_transform
        self.classes, self.class_to_idx = self.find_classes(self.root)
        self.samples = self.make_dataset(
            self.root, self.class_to_idx, extensions, is_valid_file, allow_empty
        )
        self.targets = [target for _, target in self.samples]

    @staticmethod
    def make_dataset(
        directory: str | Path,
        class_to_idx: dict[str, int],
        extensions: tuple[str, ...] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> list[tuple[str, int]]:
        """List the samples; a subclass may find them its own way."""
        return make_dataset(directory, class_to_idx, extensions, is_valid_file, allow_empty)

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """Name the classes; a subclass may keep only some, or order them differently."""
        return find_classes(directory)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        sample = self.loader(path)
        if self.transform is not None:
            sample = self.transform(sample)
        return sample, target if self.target_transform is None else self.target_transform(target)

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        lines = [
            f"Dataset {type(self).__name__}",
            f"    Number of datapoints: {len(self)}",
            f"    Root location: {self.root}",
        ]
        if self.transform is not None:
            shown = repr(self.transform).replace("\n", "\n" + " " * 11)
            lines += ["    StandardTransform", f"Transform: {shown}"]
        return "\n".join(lines)


class ImageFolder(DatasetFolder):
    """Images in one folder per class: `root/dog/xxx.png`, `root/cat/123.jpg`.

    >>> import os, tempfile
    >>> from PIL import Image
    >>> import rushlight as rl
    >>> root = tempfile.mkdtemp()
    >>> for name in ("cat", "dog"):
    ...     os.mkdir(os.path.join(root, name))
    ...     Image.new("RGB", (4, 3), "teal").save(os.path.join(root, name, "1.png"))
    >>> data = rl.vision.ImageFolder(root, transform=rl.vision.transforms.ToTensor())
    >>> data.classes, data[1][0].shape, data[1][1]
    (['cat', 'dog'], torch.Size([3, 3, 4]), 1)
    """

    def __init__(
        self,
        root: str | Path,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        extensions = IMG_EXTENSIONS if is_valid_file is None else None
        super().__init__(
            root, loader, extensions, transform, target_transform, is_valid_file, allow_empty
        )
        self.imgs = self.samples


class FakeData(Dataset[tuple[Any, Any]]):
    """Images of noise with random labels: for trying a program without any files.

    An item is a Pillow image and a number, each after its transform; the same index gives the same
    item, whatever else draws numbers.

    >>> import rushlight as rl
    >>> data = rl.vision.datasets.FakeData(size=10, image_size=(3, 8, 8), num_classes=4)
    >>> len(data), data[3][0].size
    (10, (8, 8))
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        random_offset: int = 0,
    ) -> None:
        self.size, self.image_size, self.num_classes = size, image_size, num_classes
        self.transform, self.target_transform = transform, target_transform
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index >= len(self):
            raise IndexError(f"{type(self).__name__} index out of range")
        state = rushlight.get_rng_state()
        rushlight.manual_seed(index + self.random_offset)
        pixels = rushlight.randn(*self.image_size)
        label = rushlight.randint(0, self.num_classes, size=(1,), dtype=rushlight.long)
        rushlight.set_rng_state(state)
        image, target = to_pil_image(pixels), int(label.item())
        if self.transform is not None:
            image = self.transform(image)
        return image, target if self.target_transform is None else self.target_transform(target)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"Dataset FakeData\n    Number of datapoints: {self.size}"
