"""Where samples come from: the digits, a folder of class folders, or a CSV list.

What comes in: the data settings. What goes out: a `Listing`: class names, one `Sample` per image,
and the problems that show without opening an image. Invariant: samples stand in an order that
depends on names alone, and a label is an index into the class names.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy

from rushlight.vision.images import EXTENSIONS

from .problems import RunError
from .settings import DataSettings

__all__ = ["DIGITS", "SPLITS", "Listing", "Problem", "Sample", "list_samples"]

DIGITS = "digits"
SPLITS = ("train", "val", "test")
_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


class Sample(NamedTuple):
    """One image: its name (a path, unless `pixels` holds it), its class, its split if given."""

    name: str
    label: int
    split: str | None = None
    pixels: numpy.ndarray | None = None


class Problem(NamedTuple):
    """A sample that cannot be used, and why, each in words."""

    name: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """All that a source names."""

    title: str
    classes: list[str]
    samples: list[Sample]
    problems: list[Problem] = field(default_factory=list)


def list_samples(settings: DataSettings) -> Listing:
    """List what `data.path` names; a `RunError` names a path that is none of the three kinds."""
    if settings.path == DIGITS:
        return _digits()
    path = Path(settings.path)
    if path.is_dir():
        return _folder(path)
    if path.is_file() and path.suffix.lower() == ".csv":
        return _csv_list(path, Path(settings.images) if settings.images else path.parent)
    if path.exists():
        raise RunError(f"data.path: {path} is neither a folder nor a .csv list")
    raise RunError(f"data.path: {path} does not exist")


def _digits() -> Listing:
    """The 1,797 handwritten digits of 8x8 pixels that scikit-learn ships (16 levels of grey)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise RunError(
            'data.path: the digits ship with scikit-learn: pip install "rushlight[train]"'
        ) from None
    data = load_digits()
    pixels = numpy.round(data.images * (255 / 16)).astype(numpy.uint8)
    samples = [
        Sample(f"digits:{index}", int(label), pixels=image)
        for index, (image, label) in enumerate(zip(pixels, data.target, strict=True))
    ]
    return Listing("digits", [str(digit) for digit in range(10)], samples)


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder that a person put there, in the order of their names."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise RunError(f"{folder}: cannot be read ({error.strerror})") from None
    hidden = ("thumbs.db", "desktop.ini", "__macosx")
    return [
        entry
        for entry in entries
        if not entry.name.startswith(".") and entry.name.lower() not in hidden
    ]


def _folder(root: Path) -> Listing:
    """`root/class/...` or `root/split/class/...`, where the split folders have well-known names."""
    folders = [entry.name for entry in _visible(root) if entry.is_dir()]
    if not folders:
        raise RunError(f"{root}: holds no class folders")
    problems = _without_label(root)
    if all(name.lower() in _SPLIT_NAMES for name in folders) and "train" in folders:
        parts = {name: root / name for name in folders}
        classes = sorted(
            {entry.name for part in parts.values() for entry in _visible(part) if entry.is_dir()}
        )
        samples: list[Sample] = []
        for name, part in parts.items():
            split = _SPLIT_NAMES[name.lower()]
            problems += _without_label(part)
            present = [entry.name for entry in _visible(part) if entry.is_dir()]
            for class_name in present:
                _collect(part / class_name, classes.index(class_name), split, samples, problems)
    else:
        classes, samples = folders, []
        for label, name in enumerate(classes):
            _collect(root / name, label, None, samples, problems)
    if not classes:
        raise RunError(f"{root}: holds no class folders")
    return Listing(root.resolve().name, classes, samples, problems)


def _without_label(folder: Path) -> list[Problem]:
    """Images that lie beside the class folders instead of inside one."""
    return [
        Problem(entry.path, "missing label: the image lies outside of any class folder")
        for entry in _visible(folder)
        if entry.is_file() and entry.name.lower().endswith(EXTENSIONS)
    ]


def _collect(
    folder: Path, label: int, split: str | None, samples: list[Sample], problems: list[Problem]
) -> None:
    """Add every file below one class folder to the samples, or to the problems."""
    before = len(samples) + len(problems)
    stack = [folder]
    while stack:
        inner: list[Path] = []
        for entry in _visible(stack.pop()):
            if entry.is_dir(follow_symlinks=False):
                inner.append(Path(entry.path))
            elif entry.name.lower().endswith(EXTENSIONS):
                samples.append(Sample(entry.path, label, split))
            else:
                problems.append(Problem(entry.path, "not an image file by its name"))
        stack += reversed(inner)
    if len(samples) + len(problems) == before:
        raise RunError(f"{folder}: the class folder is empty")


_COLUMNS = {
    "image": "image",
    "path": "image",
    "file": "image",
    "filename": "image",
    "label": "label",
    "class": "label",
    "split": "split",
}


def _read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows of a CSV file that are not blank, each with its line number."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except UnicodeDecodeError:
        raise RunError(f"{path}: not text in UTF-8; save the list as UTF-8") from None
    except (OSError, csv.Error) as error:
        raise RunError(f"{path}: cannot be read ({error})") from None


def _columns(path: Path, first: list[str]) -> tuple[dict[str, int], bool]:
    """Where image, label and split stand, and whether the first row is a header."""
    named = [_COLUMNS.get(cell.strip().lower()) for cell in first]
    found = {name: index for index, name in enumerate(named) if name is not None}
    if "image" in found and "label" in found:
        return found, True
    if len(first) in (2, 3) and first[0].strip().lower().endswith(EXTENSIONS):
        return {
            name: index for index, name in enumerate(("image", "label", "split")[: len(first)])
        }, False
    raise RunError(f"{path}: line 1 must name the columns image,label or image,label,split")


def _csv_list(path: Path, images: Path) -> Listing:
    """A list `image,label[,split]`; names of images are relative to the folder `images`."""
    rows = _read_rows(path)
    if not rows:
        raise RunError(f"{path}: the list is empty")
    columns, has_header = _columns(path, rows[0][1])
    if not images.is_dir():
        raise RunError(f"data.images: {images} is not a folder")
    problems: list[Problem] = []
    read: list[tuple[str, str, str | None]] = []
    for line, row in rows[1:] if has_header else rows:
        cells = {
            name: row[index].strip() if index < len(row) else "" for name, index in columns.items()
        }
        split = cells.get("split", "")
        where = f"{path} line {line}"
        if not cells["image"]:
            problems.append(Problem(where, "missing image name"))
        elif not cells["label"]:
            problems.append(Problem(str(images / cells["image"]), f"missing label ({where})"))
        elif split and split.lower() not in _SPLIT_NAMES:
            problems.append(
                Problem(
                    str(images / cells["image"]),
                    f"unknown split {split!r} ({where}); known: train, val, test",
                )
            )
        else:
            read.append(
                (str(images / cells["image"]), cells["label"], _SPLIT_NAMES.get(split.lower()))
            )
    classes = sorted({label for _, label, _ in read}, key=_natural)
    index_of = {label: index for index, label in enumerate(classes)}
    samples = [Sample(name, index_of[label], split) for name, label, split in read]
    return Listing(path.stem, classes, samples, problems)


def _natural(label: str) -> tuple[int, int, str]:
    """Whole numbers in the order of their values, before all other labels."""
    return (0, int(label), label) if label.isascii() and label.isdigit() else (1, 0, label)
