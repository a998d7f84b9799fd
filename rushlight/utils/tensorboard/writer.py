"""A writer of TensorBoard's event files: `torch.utils.tensorboard.SummaryWriter`.

In: tags, values, steps. Out: a file in a folder. Invariant: one writer has one file.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from . import summary

__all__ = ["SummaryWriter"]


class SummaryWriter:
    """Figures of a run for TensorBoard, as `torch.utils.tensorboard.SummaryWriter`.

    Without `log_dir` the folder is `runs/` and the time, the machine's name and `comment`.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        if not log_dir:
            now = time.strftime("%b%d_%H-%M-%S")
            log_dir = os.path.join("runs", f"{now}_{socket.gethostname()}{comment}")
        self.log_dir = os.fspath(log_dir)
        self._options = (max_queue, flush_secs, filename_suffix)
        self._writer = EventFileWriter(self.log_dir, *self._options)
        self._nested: dict[str, SummaryWriter] = {}

    def get_logdir(self) -> str:
        """The folder."""
        return self.log_dir

    def _add(self, made: Summary, step: int | None, walltime: float | None) -> None:
        event = Event(wall_time=time.time() if walltime is None else walltime, summary=made)
        if step is not None:
            event.step = int(step)
        self._writer.add_event(event)

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """A number."""
        self._add(summary.scalar(tag, scalar_value), global_step, walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Several numbers for one picture, each in a folder of its own."""
        for tag, value in tag_scalar_dict.items():
            folder = f"{self.log_dir}/{main_tag.replace('/', '_')}_{tag}"
            if folder not in self._nested:
                self._nested[folder] = SummaryWriter(folder)
            self._nested[folder].add_scalar(main_tag, value, global_step, walltime)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: Any = 64,
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """How values are spread."""
        count = bins if isinstance(bins, int) else 64
        self._add(summary.histogram(tag, values, count), global_step, walltime)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """A picture."""
        self._add(summary.image(tag, img_tensor, dataformats), global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """A batch of pictures, side by side."""
        array = summary.as_array(img_tensor)
        ordered = array.transpose([dataformats.index(letter) for letter in "CHNW"])
        channels, height = ordered.shape[:2]
        row = ordered.reshape(channels, height, -1)
        self.add_image(tag, row, global_step, walltime)

    def add_text(
        self,
        tag: str,
        text_string: str,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """A text, in Markdown."""
        self._add(summary.text(tag, text_string), global_step, walltime)

    def flush(self) -> None:
        """Write what is waiting."""
        for writer in (self, *self._nested.values()):
            writer._writer.flush()

    def close(self) -> None:
        """End the file."""
        for writer in (self, *self._nested.values()):
            writer._writer.close()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
