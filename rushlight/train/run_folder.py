"""The folder of a run: where it lies, what it is called, and which state it goes on from.

What comes in: complete settings. What goes out: a `RunFolder`, and the checkpoint to resume from,
if any. Invariant: a folder is made only when everything else about the run has been checked, and
never holds two different runs.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checkpoint import Checkpoint, load_checkpoint
from .problems import RunError
from .settings import Settings, flatten, resolve, to_dict

__all__ = ["RunFolder", "choose_folder", "settings_to_store"]

# Keys that change where and how fast a run goes, but not which numbers it computes.
_FREE = {"output", "resume", "threads", "device", "data.workers", "checkpoint.every_seconds"}


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved settings."""
        return self.path / "config.yaml"

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch so far."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """The latest checkpoint."""
        return self.path / "last.safetensors"

    @property
    def summary(self) -> Path:
        """The final figures; a run without them is unfinished."""
        return self.path / "summary.json"

    @property
    def set_aside(self) -> Path:
        """The samples that were not used, and why."""
        return self.path / "set_aside.csv"

    def resume_command(self) -> str:
        """What to type to go on."""
        return f"rushlight train {self.config} resume=auto"

    def make(self) -> None:
        """Make the folder; a `RunError` names one that cannot be made."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"output: {self.path} cannot be made ({error.strerror})") from None


def choose_folder(settings: Settings, title: str) -> tuple[RunFolder, Checkpoint | None]:
    """Find the folder that `output` and `resume` mean, and the state to go on from."""
    if settings.resume not in ("none", "auto"):
        return _from_path(settings, Path(settings.resume))
    if settings.output is not None:
        folder = RunFolder(Path(settings.output))
        return folder, _state_in(folder, settings)
    name = re.sub(r"[^\w.-]+", "-", f"{title}-{settings.model.name}")
    runs = Path("runs")
    _check_writable(runs)
    numbers = _numbered(runs, name)
    if settings.resume == "auto":
        for number in sorted(numbers, reverse=True):
            folder = RunFolder(runs / f"{name}-{number:03d}")
            if folder.last.is_file() and not folder.summary.exists():
                checkpoint = load_checkpoint(folder.last)
                if not _differences(checkpoint, settings):
                    return folder, checkpoint
    return RunFolder(runs / f"{name}-{max(numbers, default=0) + 1:03d}"), None


def _numbered(runs: Path, name: str) -> list[int]:
    """The numbers of the folders `name-NNN` in `runs`."""
    if not runs.is_dir():
        return []
    pattern = re.compile(re.escape(name) + r"-(\d{3,})")
    found = (pattern.fullmatch(entry) for entry in os.listdir(runs))
    return [int(match[1]) for match in found if match]


def _state_in(folder: RunFolder, settings: Settings) -> Checkpoint | None:
    _check_writable(folder.path)
    if settings.resume == "none":
        if folder.config.exists() or folder.last.exists():
            raise RunError(
                f"output: {folder.path} already holds a run; resume=auto goes on with it, "
                "another output starts anew"
            )
        return None
    return _checked(folder.last, settings) if folder.last.exists() else None


def _from_path(settings: Settings, path: Path) -> tuple[RunFolder, Checkpoint]:
    file = RunFolder(path).last if path.is_dir() else path
    checkpoint = _checked(file, settings)
    folder = RunFolder(Path(settings.output) if settings.output else file.parent)
    _check_writable(folder.path)
    return folder, checkpoint


def _checked(path: Path, settings: Settings) -> Checkpoint:
    """Load a checkpoint of a run with these very settings."""
    checkpoint = load_checkpoint(path)
    different = _differences(checkpoint, settings)
    if different:
        raise RunError(f"resume: {path} belongs to a run with {'; '.join(different)}")
    return checkpoint


def _differences(checkpoint: Checkpoint, settings: Settings) -> list[str]:
    """The settings that decide the numbers and differ, in words."""
    stored, now = flatten(resolve([checkpoint.settings], [])), flatten(settings)
    return [
        f"{name}={stored[name]}, not {now[name]}"
        for name in now
        if name not in _FREE and stored[name] != now[name]
    ]


def _check_writable(folder: Path) -> None:
    """Find out early, without writing, that a folder could not be made or written to."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise RunError(f"output: {folder} cannot be made: {nearest} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise RunError(f"output: {folder} cannot be written: no permission in {nearest}")


def settings_to_store(settings: Settings, folder: RunFolder) -> dict[str, Any]:
    """The settings as the run's own config file holds them: running it again means this run."""
    return {**to_dict(settings), "output": str(folder.path), "resume": "none"}
