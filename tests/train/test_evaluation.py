"""Figures of an evaluation, by hand."""

import numpy
import pytest

from rushlight.train.evaluation import Evaluation


@pytest.fixture
def result():
    predictions = numpy.array([0, 0, 1, 1, 1, 2])
    labels = numpy.array([0, 1, 1, 1, 0, 2])
    return Evaluation(0.5, numpy.eye(4)[predictions], labels)


def test_accuracy_and_confusion(result):
    assert result.accuracy == pytest.approx(4 / 6)
    assert result.confusion.tolist() == [[1, 1, 0, 0], [1, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_figures_of_each_class(result):
    rows = result.per_class(["a", "b", "c", "d"])
    assert [row["support"] for row in rows] == [2, 3, 1, 0]
    assert [row["precision"] for row in rows] == pytest.approx([1 / 2, 2 / 3, 1, 0])
    assert [row["recall"] for row in rows] == pytest.approx([1 / 2, 2 / 3, 1, 0])
    assert [row["f1"] for row in rows] == pytest.approx([1 / 2, 2 / 3, 1, 0])
