"""The pictures of a run: learning curves, a sheet of samples with predictions, a confusion matrix.

What comes in: the history and the test evaluation. What goes out: three PNG files. Colours are
Okabe and Ito's, told apart by every kind of colour vision, and never the only sign.
"""

from __future__ import annotations

import logging
import textwrap
from pathlib import Path
from typing import Any

import matplotlib
import numpy
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from .evaluation import Evaluation
from .files import replacing
from .fonts import families_for
from .inspection import open_sample
from .preprocessing import Preprocessing
from .samples import Sample

__all__ = ["draw_pictures"]

BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#007D5C", "#C44900", "#666666"
SHEET_COLUMNS, SHEET_ROWS = 8, 4
DOTS_PER_INCH = 150
MANY_CLASSES = 40
STYLE = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def draw_pictures(
    folder: Path,
    history: list[dict[str, Any]],
    best: dict[str, Any],
    classes: list[str],
    result: Evaluation,
    test: list[Sample],
    preprocessing: Preprocessing,
) -> list[str]:
    """Draw all three; return what the user should know about them, by rule nothing."""
    families, unknown = families_for(classes)
    names = [_drawable(name, index, unknown) for index, name in enumerate(classes)]
    notes = []
    if unknown:
        notes.append(
            f"no font on this machine holds the letters {''.join(sorted(unknown))}: pictures "
            "number those classes (a font of that script, such as Noto Sans CJK, mends it)"
        )
    # A font of one weight is drawn in that weight where bold was asked for; that needs no warning.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    style: Any = {**STYLE, "font.family": families}
    with matplotlib.rc_context(style):
        _save(_learning_curves(history, best), folder / "learning_curves.png")
        _save(_sample_sheet(names, result, test, preprocessing), folder / "samples.png")
        _save(_confusion_matrix(names, result), folder / "confusion_matrix.png")
    return notes


def _drawable(name: str, index: int, unknown: set[str]) -> str:
    """The class's name, or its number where a letter cannot be drawn; `$` starts no formula."""
    return f"class {index}" if unknown & set(name) else name.replace("$", r"\$")


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as partial:
        figure.savefig(partial, dpi=DOTS_PER_INCH, bbox_inches="tight", pad_inches=0.15)


def _figure(width: float, height: float, space: float = 0.02) -> Figure:
    """A figure that makes room for its labels; `space` is the share left between columns."""
    layout = ConstrainedLayoutEngine(wspace=space)
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _learning_curves(history: list[dict[str, Any]], best: dict[str, Any]) -> Figure:
    """Loss and accuracy over the epochs, training against validation, the best epoch marked."""
    figure = _figure(10, 4.2)
    epochs = [row["epoch"] for row in history]
    marker = "o" if len(epochs) < 40 else None
    for axes, kind, title in zip(
        figure.subplots(1, 2), ("loss", "accuracy"), ("Loss", "Accuracy"), strict=True
    ):
        for split, name, colour, line in (
            ("train", "training", BLUE, "-"),
            ("val", "validation", VERMILION, "--"),
        ):
            values = [row[f"{split}_{kind}"] for row in history]
            axes.plot(
                epochs, values, line, color=colour, label=name, lw=2, marker=marker, markersize=4
            )
        at = best[f"val_{kind}"]
        label = f"{at:.2%}" if kind == "accuracy" else f"{at:.3f}"
        axes.axvline(best["epoch"], color=GREY, lw=1, ls=":")
        axes.plot([best["epoch"]], [at], "*", color=VERMILION, markersize=15, mec="white")
        axes.set_title(f"{title} (best epoch {best['epoch']}: {label})")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(left=min(epochs) - 0.5, right=max(epochs) + 0.5)
        axes.legend(loc="best")
        if kind == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        elif _spans_decades(
            [row[f"{split}_loss"] for row in history for split in ("train", "val")]
        ):
            axes.set_yscale("log")
            axes.set_title(f"{axes.get_title(loc='left')}, log scale")
        else:
            axes.set_ylim(bottom=0)
    return figure


def _spans_decades(values: list[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > 30


def _chosen(result: Evaluation) -> tuple[numpy.ndarray, int]:
    """Which test samples the sheet shows: mistakes first, then right ones of every class.

    Mistakes fill at most the first half, the most confident ones before others; the rest are the
    right answers, class by class in turn, so that every class is seen.
    """
    room = SHEET_COLUMNS * SHEET_ROWS
    right = result.predictions == result.labels
    confidence = result.probabilities.max(1)
    wrong = numpy.flatnonzero(~right)
    wrong = wrong[numpy.argsort(-confidence[wrong], kind="stable")][: room // 2]
    turns: list[tuple[int, int, int]] = []
    seen: dict[int, int] = {}
    for index in numpy.flatnonzero(right):
        label = int(result.labels[index])
        seen[label] = seen.get(label, 0) + 1
        turns.append((seen[label], label, int(index)))
    good = [index for _, _, index in sorted(turns)][: room - len(wrong)]
    return numpy.array([*wrong, *good], dtype=int), len(wrong)


def _sample_sheet(
    names: list[str], result: Evaluation, test: list[Sample], preprocessing: Preprocessing
) -> Figure:
    """Test images with what the model says of each, wrong answers first."""
    chosen, mistakes = _chosen(result)
    columns = min(SHEET_COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = _figure(1.75 * columns, 2.15 * rows + 0.8, space=0.06)
    total_wrong = int((result.predictions != result.labels).sum())
    shown = {0: "", total_wrong: "; the mistakes come first"}.get(
        mistakes, f"; {mistakes} of the {total_wrong} mistakes come first"
    )
    figure.suptitle(
        f"Test images: {len(result.labels) - total_wrong} of {len(result.labels)} right "
        f"({result.accuracy:.2%}){shown}",
        fontsize=14,
        fontweight="bold",
    )
    fit = preprocessing.fit()
    for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set_axis_off()
        if place < len(chosen):
            index = int(chosen[place])
            image = fit(open_sample(test[index], preprocessing.channels, 2**62))
            _draw_sample(axes, numpy.asarray(image), names, result, index)
    return figure


def _draw_sample(
    axes: Any, image: numpy.ndarray, names: list[str], result: Evaluation, index: int
) -> None:
    """One image with a frame, and under it the answer, its probability, and the truth if other."""
    said, true = int(result.predictions[index]), int(result.labels[index])
    right = said == true
    colour = GREEN if right else VERMILION
    # A few pixels drawn as squares are hard to read as what they show.
    smooth = "bicubic" if image.shape[0] <= 64 else "antialiased"
    axes.imshow(
        image, cmap="gray" if image.ndim == 2 else None, vmin=0, vmax=255, interpolation=smooth
    )
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=2.5)
    answer = (
        f"{'✓' if right else '✗'} {_short(names[said])}  {result.probabilities[index, said]:.0%}"
    )
    below = answer if right else f"{answer}\ntrue: {_short(names[true])}"
    axes.set_xlabel(below, color=colour, fontsize=10.5, fontweight="bold" if not right else None)


def _short(name: str, width: int = 16) -> str:
    return (
        textwrap.shorten(name, width, placeholder="…")
        if " " in name
        else (name if len(name) <= width else name[: width - 1] + "…")
    )


def _confusion_matrix(names: list[str], result: Evaluation) -> Figure:
    """Rows are true classes, columns answers; colour is the share of the row, text the count."""
    matrix = result.confusion
    count = len(names)
    share = matrix / numpy.maximum(matrix.sum(1, keepdims=True), 1)
    side = min(max(0.55 * count + 2.6, 5.2), 16.0)
    figure = _figure(side + 0.9, side)
    axes = figure.subplots()
    # Small shares are the interesting ones: the root brings them out of the white.
    image = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    axes.grid(visible=False)
    axes.set_xticks(numpy.arange(1, count) - 0.5, minor=True)
    axes.set_yticks(numpy.arange(1, count) - 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=1.5 if count <= 20 else 0.5)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(f"Confusion matrix (test accuracy {result.accuracy:.2%})")
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    step = -(-count // MANY_CLASSES)
    ticks = range(0, count, step)
    labels = [_short(names[index]) for index in ticks]
    size = 11 if count <= 20 else 8
    slanted = max(len(label) for label in labels) > 3
    axes.set_xticks(
        ticks,
        labels,
        fontsize=size,
        rotation=45 if slanted else 0,
        ha="right" if slanted else "center",
        rotation_mode="anchor",
    )
    axes.set_yticks(ticks, labels, fontsize=size)
    if count <= MANY_CLASSES:
        for row, column in zip(*numpy.nonzero(matrix), strict=True):
            colour = "white" if share[row, column] > 0.35 else "black"
            axes.text(
                column,
                row,
                f"{matrix[row, column]}",
                ha="center",
                va="center",
                color=colour,
                fontsize=size,
            )
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, format=PercentFormatter(1.0))
    bar.set_ticks([0, 0.01, 0.05, 0.1, 0.25, 0.5, 1])
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    return figure
