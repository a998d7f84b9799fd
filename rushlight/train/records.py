"""What is written down while a run goes on: metrics as CSV, and as TensorBoard events.

What comes in: one dict of figures per epoch. What goes out: `metrics.csv` and an events file.
Invariant: after a resume, both tell of each epoch once.
"""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

from .files import write_atomically

__all__ = ["COLUMNS", "EventWriter", "write_metrics"]

COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "lr",
    "images_per_second",
    "seconds",
)


def write_metrics(path: Path, history: list[dict[str, Any]]) -> None:
    """Write the whole history; it is small, and a rewrite cannot leave half a row."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
        for row in history
    )
    write_atomically(path, stream.getvalue())


class EventWriter:
    """Scalars as TensorBoard events, through the tensorboard package alone."""

    def __init__(self, folder: Path, first_epoch: int) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event = event_pb2.Event
        self._summary = summary_pb2.Summary
        self._writer = EventFileWriter(str(folder))
        # Tells TensorBoard to forget what an interrupted run wrote after its last checkpoint.
        session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        start = self._event(wall_time=time.time(), step=first_epoch + 1, session_log=session)
        self._writer.add_event(start)

    def add(self, row: dict[str, Any]) -> None:
        """Write one epoch's figures; `train_loss` becomes the tag `loss/train`."""
        values = []
        for name in COLUMNS[1:]:
            split, _, kind = name.partition("_")
            tag = f"{kind}/{split}" if split in ("train", "val") else name
            values.append(self._summary.Value(tag=tag, simple_value=float(row[name])))
        summary = self._summary(value=values)
        event = self._event(wall_time=time.time(), step=row["epoch"], summary=summary)
        self._writer.add_event(event)
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()
