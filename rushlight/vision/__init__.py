"""Images for training: folders of them, transforms, and grids to look at.

`datasets.ImageFolder` reads a folder of class folders, `transforms` holds the usual pipelines,
`utils.make_grid` and `utils.save_image` show a batch, `images.read_image` opens one file safely.
The names and the meaning of the arguments are torchvision's; for a given seed the random
transforms draw the numbers that torchvision's draw. Needs Pillow: `pip install "rushlight[train]"`.
"""

from __future__ import annotations

from typing import Any

from . import datasets, images, transforms, utils
from .datasets import DatasetFolder, ImageFolder
from .images import ImageProblem, read_image
from .utils import make_grid, save_image

__all__ = [
    "DatasetFolder",
    "ImageFolder",
    "ImageProblem",
    "datasets",
    "images",
    "make_grid",
    "read_image",
    "save_image",
    "transforms",
    "utils",
]


def __getattr__(name: str) -> Any:
    """Rooms that few programs need, imported when they are first named."""
    if name in ("models", "ops", "tv_tensors"):
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
