"""Real photographs for the tests of the command line: crops of the two that scikit-learn ships."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

PhotoMaker = Callable[..., Path]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder as the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def make_photos(here) -> PhotoMaker:
    """Make a folder of class folders `china` and `flower`: `count` JPEG and PNG files in each."""

    def make(count: int = 10, root: str = "photos", side: int = 24) -> Path:
        generator = numpy.random.default_rng(0)
        for name in ("china", "flower"):
            whole = Image.fromarray(load_sample_image(f"{name}.jpg"))
            folder = here / root / name
            folder.mkdir(parents=True)
            for number in range(count):
                left = int(generator.integers(0, whole.width - 200))
                top = int(generator.integers(0, whole.height - 200))
                crop = whole.crop((left, top, left + 200, top + 150)).resize((side + 8, side))
                crop.save(folder / f"{number:02d}.{'png' if number % 2 else 'jpg'}")
        return here / root

    return make
