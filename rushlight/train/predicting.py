"""Classifying images with a checkpoint.

What comes in: a checkpoint (or a run folder, for its best one) and image paths. What goes out: the
likeliest classes of each image. Invariant: an image meets exactly the preprocessing and the class
names that the run stored, so the answer is the one that evaluation would have given.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy

import rushlight
from rushlight.vision.images import ImageProblem, read_image

from .checkpoint import load_checkpoint, load_weights
from .recipe import build_model
from .run_folder import RunFolder
from .settings import resolve

__all__ = ["Classifier"]

BATCH = 32


class Classifier:
    """A trained model with its preprocessing and class names.

    >>> import rushlight as rl
    >>> classify = rl.train.Classifier("runs/first")  # doctest: +SKIP
    >>> classify(["photo.jpg"])[0]["predictions"][0]["class"]  # doctest: +SKIP
    'cat'
    """

    def __init__(self, checkpoint: str | PathLike[str]) -> None:
        path = Path(checkpoint)
        file = RunFolder(path).best if path.is_dir() else path
        stored = load_checkpoint(file)
        self.classes = stored.classes
        self.preprocessing = stored.preprocessing
        self.settings = resolve([stored.settings], [])
        model = self.settings.model
        self.model = build_model(
            model.name, model.options, stored.preprocessing, len(stored.classes)
        )
        load_weights(self.model, stored, file)
        self.model.eval()

    def __call__(self, images: Sequence[str | PathLike[str]], top: int = 5) -> list[dict[str, Any]]:
        """Classify image files, in order.

        Each answer holds `image` and either `predictions`, the `top` likeliest classes as
        `{"class", "probability"}`, or `error`, one line saying why the file cannot be used.
        """
        answers: list[dict[str, Any]] = []
        for begin in range(0, len(images), BATCH):
            answers += self._classify(images[begin : begin + BATCH], top)
        return answers

    def _classify(self, images: Sequence[str | PathLike[str]], top: int) -> list[dict[str, Any]]:
        shape = self.preprocessing
        mode = {1: "L", 3: "RGB"}[shape.channels]
        fit, limit = shape.fit(), self.settings.data.max_pixels
        arrays: list[numpy.ndarray] = []
        answers: list[dict[str, Any]] = []
        for name in images:
            answer: dict[str, Any] = {"image": str(name)}
            try:
                arrays.append(shape.to_array(fit(read_image(name, mode, limit))))
                answer["predictions"] = []
            except ImageProblem as problem:
                answer["error"] = problem.reason
            answers.append(answer)
        if not arrays:
            return answers
        with rushlight.no_grad():
            batch = shape.normalise(rushlight.from_numpy(numpy.stack(arrays)))
            probabilities = self.model(batch).softmax(1).numpy()
        readable = (answer for answer in answers if "error" not in answer)
        for answer, row in zip(readable, probabilities, strict=True):
            best = numpy.argsort(-row, kind="stable")[:top]
            answer["predictions"] = [
                {"class": self.classes[index], "probability": float(row[index])} for index in best
            ]
        return answers
