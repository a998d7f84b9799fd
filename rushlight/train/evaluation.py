"""Measuring a model on a split.

What comes in: a model, a loss, batches. What goes out: an `Evaluation`: mean loss, the confusion
matrix and every sample's probabilities; all other figures are derived from these. Invariant: means
are over samples, not over batches, so the batch size changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

import rushlight
from rushlight import nn

from .batches import Batches
from .preprocessing import Preprocessing

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """`probabilities` is (samples, classes), `labels` the true class of each sample."""

    loss: float
    probabilities: numpy.ndarray
    labels: numpy.ndarray

    @property
    def predictions(self) -> numpy.ndarray:
        """The likeliest class of each sample."""
        predictions: numpy.ndarray = self.probabilities.argmax(1)
        return predictions

    @property
    def accuracy(self) -> float:
        """The share of samples whose likeliest class is the true one."""
        return float((self.predictions == self.labels).mean())

    @property
    def confusion(self) -> numpy.ndarray:
        """(true class, predicted class) -> number of samples."""
        classes = self.probabilities.shape[1]
        flat = numpy.bincount(self.labels * classes + self.predictions, minlength=classes**2)
        return flat.reshape(classes, classes)

    def per_class(self, names: list[str]) -> list[dict[str, Any]]:
        """Precision, recall, F1 and number of samples of each class; 0 where undefined."""
        matrix = self.confusion
        right = matrix.diagonal()
        predicted, true = matrix.sum(0), matrix.sum(1)
        rows = []
        for label, name in enumerate(names):
            precision = right[label] / predicted[label] if predicted[label] else 0.0
            recall = right[label] / true[label] if true[label] else 0.0
            both = precision + recall
            rows.append(
                {
                    "class": name,
                    "precision": float(precision),
                    "recall": float(recall),
                    "f1": float(2 * precision * recall / both) if both else 0.0,
                    "support": int(true[label]),
                }
            )
        return rows


def evaluate(
    model: nn.Module,
    loss: nn.Module,
    batches: Batches,
    preprocessing: Preprocessing,
    device: Any,
    after_batch: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Run the model over every batch in evaluation mode, without gradients.

    `after_batch` is called between batches and may raise, to end a long evaluation early.
    """
    model.eval()
    total = 0.0
    probabilities, labels = [], []
    with rushlight.no_grad():
        for images, targets in batches.of_epoch():
            scores = model(preprocessing.normalise(images.to(device)))
            total += loss(scores, targets.to(device)).item() * targets.shape[0]
            probabilities.append(scores.softmax(1).cpu().numpy())
            labels.append(targets.numpy())
            after_batch()
    stacked = numpy.concatenate(labels)
    return Evaluation(total / len(stacked), numpy.concatenate(probabilities), stacked)
