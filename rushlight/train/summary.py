"""The final figures of a run: as values for `summary.json`, and as lines for the terminal."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from rich.cells import cell_len

from .evaluation import Evaluation
from .progress import Reporter
from .samples import Listing
from .settings import Settings
from .splits import Splits

__all__ = ["peak_memory", "show_summary", "summarise"]

WORST_SHOWN = 10


def peak_memory() -> int | None:
    """The most memory that this process has held resident, in bytes; None where none can tell."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:  # not on Windows
        return None
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def summarise(
    listing: Listing,
    splits: Splits,
    settings: Settings,
    history: list[dict[str, Any]],
    best: dict[str, Any],
    result: Evaluation,
) -> dict[str, Any]:
    """Collect the figures; accuracy and shares are between 0 and 1, times in seconds."""
    return {
        "data": listing.title,
        "classes": listing.classes,
        "samples": {name: len(part) for name, part in splits._asdict().items()},
        "model": settings.model.name,
        "seed": settings.seed,
        "epochs": len(history),
        "best_epoch": best["epoch"],
        "train": {"loss": best["train_loss"], "accuracy": best["train_accuracy"]},
        "validation": {"loss": best["val_loss"], "accuracy": best["val_accuracy"]},
        "test": {
            "loss": result.loss,
            "accuracy": result.accuracy,
            "correct": int(result.confusion.diagonal().sum()),
            "samples": len(result.labels),
        },
        "per_class": result.per_class(listing.classes),
        "confusion_matrix": result.confusion.tolist(),
        "training_seconds": sum(row["seconds"] for row in history),
    }


def show_summary(summary: dict[str, Any], reporter: Reporter) -> None:
    """Say the result: accuracy, the weakest classes, time, memory, and where everything lies."""
    test = summary["test"]
    reporter.note("")
    reporter.note(
        f"test accuracy {test['accuracy']:.2%} ({test['correct']} of {test['samples']} images), "
        f"weights of epoch {summary['best_epoch']}"
    )
    rows = sorted(summary["per_class"], key=lambda row: (row["f1"], row["class"]))
    shown = rows[:WORST_SHOWN]
    if len(rows) > len(shown):
        reporter.note(f"the {len(shown)} weakest of {len(rows)} classes:")
    # Chinese letters take two cells of a terminal.
    width = max(5, *(cell_len(row["class"]) for row in shown))
    reporter.note(f"  {'class':<{width}}  precision  recall      f1  images")
    for row in shown:
        name = row["class"] + " " * (width - cell_len(row["class"]))
        reporter.note(
            f"  {name}  {row['precision']:9.2%} {row['recall']:7.2%} "
            f"{row['f1']:7.2%} {row['support']:7d}"
        )
    peak = summary["peak_memory_bytes"]
    reporter.note(
        f"{summary['training_seconds']:.1f} s of training, {summary['seconds']:.1f} s in all, "
        f"peak memory {'unknown' if peak is None else f'{peak / 2**20:.0f} MiB'}"
    )
    folder = summary["run_folder"]
    reporter.note(f"run folder: {folder}")
    reporter.note(f"to classify images: rushlight predict {folder} IMAGE...")
