"""The training loop: epochs and steps, and the state between two steps.

What comes in: settings, batches, a model. What goes out: checkpoints and a history of epochs.
Invariant: after any step the whole state is (weights, optimizer, generator, epoch, step, running
sums); `save` stores it and `restore` brings it back, so that an interrupted run computes the same
weights as one that was never interrupted.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import rushlight
from rushlight import Tensor, nn

from .batches import Batches
from .checkpoint import (
    Checkpoint,
    load_weights,
    pack_optimizer,
    pack_tensors,
    save_checkpoint,
    unpack_optimizer,
    unpack_tensors,
)
from .evaluation import evaluate
from .interrupt import StopFlag
from .preprocessing import Preprocessing
from .problems import Interrupted, RunError
from .progress import Meter, Reporter
from .recipe import build_optimizer, learning_rate
from .records import EventWriter, write_metrics
from .run_folder import RunFolder, settings_to_store
from .settings import Settings

__all__ = ["Trainer", "best_epoch"]


def best_epoch(history: list[dict[str, Any]]) -> dict[str, Any]:
    """The epoch of the highest validation accuracy; among equals the last, which saw the most.

    Many epochs are equal where the validation split is small or the task easy. Their losses then
    differ by a few odd samples, while a later epoch has had more steps at a lower rate.
    """
    return max(history, key=lambda row: (row["val_accuracy"], row["epoch"]))


def last_progress(history: list[dict[str, Any]]) -> int:
    """The last epoch that lowered the validation loss or raised the validation accuracy."""
    highest = max(history, key=lambda row: row["val_accuracy"])
    lowest = min(history, key=lambda row: row["val_loss"])
    return max(int(highest["epoch"]), int(lowest["epoch"]))


@dataclass
class _Sums:
    """The unfinished epoch's running figures; `seconds` is time spent in training steps."""

    loss: float = 0.0
    correct: int = 0
    seen: int = 0
    seconds: float = 0.0


class Trainer:
    """One run from its first step, or a stored one, to its last."""

    def __init__(
        self,
        settings: Settings,
        folder: RunFolder,
        classes: list[str],
        preprocessing: Preprocessing,
        model: nn.Module,
        losses: tuple[nn.Module, nn.Module],
        batches: tuple[Batches, Batches],
        reporter: Reporter,
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.classes = classes
        self.preprocessing = preprocessing
        self.model = model
        self.device = rushlight.device(settings.device)
        self.loss, self.val_loss = losses
        self.train_batches, self.val_batches = batches
        self.reporter = reporter
        self.optimizer = build_optimizer(model, settings.optimizer)
        self.history: list[dict[str, Any]] = []
        self.epoch = 0
        self.step = 0
        self.sums = _Sums()
        self._saved_at = time.monotonic()
        self._began = time.monotonic()
        self._steps_done = 0

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take the state of a checkpoint."""
        if checkpoint.classes != self.classes:
            raise RunError(f"resume: {self.folder.last} knows the classes {checkpoint.classes}")
        load_weights(self.model, checkpoint, self.folder.last)
        unpack_optimizer(self.optimizer, checkpoint)
        rushlight.set_rng_state(unpack_tensors({"rng": checkpoint.arrays["rng"]})["rng"])
        self.history = list(checkpoint.history)
        self.epoch, self.step = checkpoint.epoch, checkpoint.step
        self.sums = _Sums(**checkpoint.progress)
        if self.history and not self.folder.best.exists():
            # The run moved to a new folder, and its best weights stayed behind: these are the best
            # there are until an epoch does better.
            self.save(best=True)

    def state(self) -> Checkpoint:
        """The whole state between two steps."""
        arrays, values = pack_optimizer(self.optimizer)
        arrays |= pack_tensors(self.model.state_dict(), "model")
        arrays["rng"] = rushlight.get_rng_state().numpy().copy()
        return Checkpoint(
            arrays=arrays,
            settings=settings_to_store(self.settings, self.folder),
            classes=self.classes,
            preprocessing=self.preprocessing,
            epoch=self.epoch,
            step=self.step,
            progress=vars(self.sums).copy(),
            history=self.history,
            optimizer_values=values,
        )

    def save(self, best: bool = False) -> None:
        """Store the state as the last one, and as the best one if it is."""
        state = self.state()
        if best:
            save_checkpoint(self.folder.best, state)
        save_checkpoint(self.folder.last, state)
        self._saved_at = time.monotonic()

    def run(self, events: EventWriter, stop: StopFlag) -> None:
        """Train until the last epoch, until patience ends, or until asked to stop."""
        self._stop_if_asked(stop)
        self._settle()
        while self.epoch < self.settings.epochs and not self._out_of_patience():
            self._train_epoch(stop)
            self._finish_epoch(events, stop)
            self._stop_if_asked(stop)

    def _settle(self) -> None:
        """Have every pending value computed, so that the first step is a step like any other.

        Reading one value computes all that anybody holds. Without it the first step would be
        computed together with drawing, or with loading, the weights.
        """
        next(iter(self.model.parameters())).detach().sum().item()

    def _out_of_patience(self) -> bool:
        patience = self.settings.early_stop.patience
        if not patience or not self.history:
            return False
        return len(self.history) - last_progress(self.history) >= patience

    def _train_epoch(self, stop: StopFlag) -> None:
        self.model.train()
        begin = time.monotonic()
        for images, labels in self.train_batches.of_epoch(self.epoch, self.step):
            self._train_step(images, labels)
            self.step += 1
            self._steps_done += 1
            now = time.monotonic()
            self.sums.seconds += now - begin
            begin = now
            self.reporter.step(self._meter())
            if now - self._saved_at >= self.settings.checkpoint.every_seconds:
                self.save()
            self._stop_if_asked(stop)

    def _train_step(self, images: Tensor, labels: Tensor) -> None:
        """One forward pass, one backward pass, one update; the loss must stay finite."""
        steps = len(self.train_batches)
        settings = self.settings
        assert settings.optimizer.lr is not None
        rate = learning_rate(
            settings.optimizer.lr,
            settings.schedule,
            self.epoch * steps + self.step,
            steps,
            settings.epochs,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        images, labels = images.to(self.device), labels.to(self.device)
        self.optimizer.zero_grad()
        scores = self.model(self.preprocessing.normalise(images))
        loss = self.loss(scores, labels)
        loss.backward()
        correct = (scores.detach().argmax(1) == labels).sum()
        self.optimizer.step()
        value = loss.item()
        if not math.isfinite(value):
            self._refuse(f"the loss is {value} at epoch {self.epoch + 1}, step {self.step + 1}")
        self.sums.loss += value * labels.shape[0]
        self.sums.correct += int(correct.item())
        self.sums.seen += labels.shape[0]

    def _refuse(self, reason: str) -> None:
        rate = self.settings.optimizer.lr
        raise RunError(f"{reason}: lower optimizer.lr (now {rate:g}) or check the data")

    def _meter(self) -> Meter:
        sums, steps = self.sums, len(self.train_batches)
        ahead = (self.settings.epochs - self.epoch) * steps - self.step
        spent = time.monotonic() - self._began
        return Meter(
            epoch=self.epoch,
            epochs=self.settings.epochs,
            step=self.step,
            steps=steps,
            loss=sums.loss / sums.seen,
            accuracy=sums.correct / sums.seen,
            images_per_second=sums.seen / max(sums.seconds, 1e-9),
            seconds_left=ahead * spent / self._steps_done if self._steps_done else None,
        )

    def _finish_epoch(self, events: EventWriter, stop: StopFlag) -> None:
        """Validate, write the figures down and save.

        Asked to stop while validating, the run saves its place behind the epoch's last step: it
        resumes with the validation.
        """
        begin = time.monotonic()
        result = evaluate(
            self.model,
            self.val_loss,
            self.val_batches,
            self.preprocessing,
            self.device,
            lambda: self._stop_if_asked(stop),
        )
        if not math.isfinite(result.loss):
            self._refuse(f"the validation loss is {result.loss} after epoch {self.epoch + 1}")
        meter, sums = self._meter(), self.sums
        row = {
            "epoch": self.epoch + 1,
            "train_loss": meter.loss,
            "train_accuracy": meter.accuracy,
            "val_loss": result.loss,
            "val_accuracy": result.accuracy,
            "lr": self.optimizer.param_groups[0]["lr"],
            "images_per_second": meter.images_per_second,
            "seconds": sums.seconds + time.monotonic() - begin,
        }
        self.history.append(row)
        self.epoch, self.step, self.sums = self.epoch + 1, 0, _Sums()
        best = best_epoch(self.history) is row
        self.save(best)
        write_metrics(self.folder.path / "metrics.csv", self.history)
        events.add(row)
        self.reporter.epoch(row, self.settings.epochs, best)

    def _stop_if_asked(self, stop: StopFlag) -> None:
        if stop.number is not None:
            self.save()
            raise Interrupted(stop.number, self.folder.resume_command())
