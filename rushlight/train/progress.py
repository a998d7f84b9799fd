"""What the terminal shows while a run goes on.

What comes in: events of the run. What goes out: a live bar on a terminal, plain lines elsewhere.
Invariant: nothing here changes the run; a bar is a view of numbers that others own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

__all__ = ["BarReporter", "LineReporter", "Meter", "QuietReporter", "Reporter", "make_reporter"]

Item = TypeVar("Item")


@dataclass
class Meter:
    """Where a run stands: the current epoch's running figures, and how much is left."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float = 0.0
    accuracy: float = 0.0
    images_per_second: float = 0.0
    seconds_left: float | None = None


class Reporter(Protocol):
    """What a run tells its audience."""

    def note(self, text: str) -> None:
        """Say one line."""

    def watch(self, items: Iterable[Item], total: int) -> Iterator[Item]:
        """Pass the items through, showing how many have gone by."""

    def step(self, meter: Meter) -> None:
        """Show a finished step."""

    def epoch(self, row: dict[str, Any], epochs: int, best: bool) -> None:
        """Show a finished epoch."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _rate(images_per_second: float) -> str:
    return f"{images_per_second:,.{0 if images_per_second >= 10 else 1}f}"


def _in_words(meter: Meter) -> str:
    return (
        f"loss {meter.loss:.4f}  accuracy {meter.accuracy:.1%}  "
        f"{_rate(meter.images_per_second)} img/s  {_clock(meter.seconds_left)} left"
    )


def _epoch_line(row: dict[str, Any], epochs: int, best: bool) -> str:
    return (
        f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}  "
        f"loss {row['train_loss']:.4f}  accuracy {row['train_accuracy']:6.2%}  "
        f"validation loss {row['val_loss']:.4f}  accuracy {row['val_accuracy']:6.2%}  "
        f"{_rate(row['images_per_second'])} images/s{'  best' if best else ''}"
    )


class QuietReporter:
    """Says nothing."""

    def note(self, text: str) -> None:
        """See `Reporter`."""

    def watch(self, items: Iterable[Item], total: int) -> Iterator[Item]:
        """See `Reporter`."""
        return iter(items)

    def step(self, meter: Meter) -> None:
        """See `Reporter`."""

    def epoch(self, row: dict[str, Any], epochs: int, best: bool) -> None:
        """See `Reporter`."""

    def close(self) -> None:
        """See `Reporter`."""


class LineReporter(QuietReporter):
    """Plain lines for a log file: one an epoch, and one at times within a long epoch."""

    SECONDS = 15.0

    def __init__(self) -> None:
        self._said = time.monotonic()

    def note(self, text: str) -> None:
        """See `Reporter`."""
        print(text, flush=True)
        self._said = time.monotonic()

    def watch(self, items: Iterable[Item], total: int) -> Iterator[Item]:
        """See `Reporter`."""
        for count, item in enumerate(items, 1):
            if time.monotonic() - self._said > self.SECONDS:
                self.note(f"checked {count} of {total} images")
            yield item

    def step(self, meter: Meter) -> None:
        """See `Reporter`."""
        if time.monotonic() - self._said > self.SECONDS:
            place = f"epoch {meter.epoch + 1}/{meter.epochs}  step {meter.step}/{meter.steps}"
            self.note(f"{place}  {_in_words(meter)}")

    def epoch(self, row: dict[str, Any], epochs: int, best: bool) -> None:
        """See `Reporter`."""
        self.note(_epoch_line(row, epochs, best))


class BarReporter(QuietReporter):
    """A live bar below the lines of the finished epochs."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            TextColumn("{task.percentage:3.0f}%"),
            TextColumn("{task.fields[words]}"),
            console=self._console,
            transient=True,
        )
        self._task: Any = None

    def note(self, text: str) -> None:
        """See `Reporter`."""
        self._console.print(text, markup=False, soft_wrap=True)

    def _show(self, description: str, completed: int, total: int, words: str) -> None:
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task(description, total=total, words=words)
        self._progress.update(
            self._task, description=description, completed=completed, total=total, words=words
        )

    def watch(self, items: Iterable[Item], total: int) -> Iterator[Item]:
        """See `Reporter`."""
        for count, item in enumerate(items, 1):
            self._show("checking images", count, total, "")
            yield item

    def step(self, meter: Meter) -> None:
        """See `Reporter`."""
        place = f"epoch {meter.epoch + 1}/{meter.epochs}"
        self._show(place, meter.step, meter.steps, _in_words(meter))

    def epoch(self, row: dict[str, Any], epochs: int, best: bool) -> None:
        """See `Reporter`."""
        self.note(_epoch_line(row, epochs, best))

    def close(self) -> None:
        """See `Reporter`."""
        if self._task is not None:
            self._progress.stop()
            self._progress.remove_task(self._task)
            self._task = None


def make_reporter(quiet: bool = False) -> Reporter:
    """A bar on a terminal, lines elsewhere, or silence."""
    if quiet:
        return QuietReporter()
    return BarReporter() if sys.stdout.isatty() else LineReporter()
