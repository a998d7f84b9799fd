"""One run from settings to report.

What comes in: a config file, dicts, texts. What goes out: a run folder and its summary. Invariant:
everything that can be known to be wrong is found before the run folder is made: settings, data,
model, device, permissions.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import rushlight
from rushlight import nn

from .batches import Batches
from .checkpoint import Checkpoint, load_checkpoint, load_weights
from .config_file import dump_yaml, read_config
from .evaluation import Evaluation, evaluate
from .files import write_atomically
from .inspection import inspect, report_of_problems
from .interrupt import StopFlag
from .pictures import draw_pictures
from .preprocessing import Preprocessing
from .problems import RunError
from .progress import Reporter, make_reporter
from .recipe import build_loss, build_model, complete, preprocessing_of
from .records import EventWriter
from .run_folder import RunFolder, choose_folder, settings_to_store
from .samples import Listing, Problem, list_samples
from .settings import Settings, resolve
from .splits import Splits, divide
from .summary import peak_memory, show_summary, summarise
from .trainer import Trainer, best_epoch

__all__ = ["fit"]


def fit(
    config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    overrides: list[tuple[str, str]] | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train, evaluate and report an image classifier; return what `summary.json` holds.

    `config` is a dict of settings (nested, or with dotted keys) or the path of a YAML or JSON
    file; without it the handwritten digits of scikit-learn are learnt. `overrides` are texts
    `(key, value)` as on the command line. The run folder is named in the result under
    `run_folder`.

    Raises `rushlight.train.RunError`, one line naming the key or the file, for whatever the user
    can mend, and `rushlight.train.Interrupted` after Ctrl-C or SIGTERM, when the state is saved.

    >>> import rushlight as rl
    >>> result = rl.train.fit({"epochs": 20, "output": "runs/first"})  # doctest: +SKIP
    >>> result["test"]["accuracy"] > 0.97  # doctest: +SKIP
    True
    """
    layers: list[dict[str, Any]] = []
    if isinstance(config, Mapping):
        layers.append(dict(config))
    elif config is not None:
        layers.append(read_config(Path(config)))
    settings = complete(resolve(layers, overrides or []))
    reporter = make_reporter(quiet)
    try:
        with StopFlag() as stop:
            return _run(settings, reporter, stop)
    except OSError as error:
        name = error.filename or settings.output or "runs"
        raise RunError(f"{name}: {error.strerror or error}") from error
    finally:
        reporter.close()


@dataclasses.dataclass(frozen=True)
class _Prepared:
    """All that is known before the first step."""

    settings: Settings
    listing: Listing
    splits: Splits
    problems: list[Problem]
    preprocessing: Preprocessing
    model: nn.Module
    folder: RunFolder
    checkpoint: Checkpoint | None


def _run(settings: Settings, reporter: Reporter, stop: StopFlag) -> dict[str, Any]:
    began = time.monotonic()
    prepared = _prepare(settings, reporter)
    _begin_folder(prepared)
    _tell(prepared, reporter)
    loaders = _loaders(prepared)
    counts = [0] * len(prepared.listing.classes)
    for sample in prepared.splits.train:
        counts[sample.label] += 1
    plain = build_loss(dataclasses.replace(settings.loss, class_weights="none"), counts)
    device = rushlight.device(settings.device)
    trainer = Trainer(
        prepared.settings,
        prepared.folder,
        prepared.listing.classes,
        prepared.preprocessing,
        prepared.model,
        (build_loss(settings.loss, counts).to(device), plain.to(device)),
        (loaders["train"], loaders["val"]),
        reporter,
    )
    if prepared.checkpoint is not None:
        trainer.restore(prepared.checkpoint)
    events = EventWriter(prepared.folder.path / "events", trainer.epoch)
    try:
        trainer.run(events, stop)
    finally:
        events.close()
    return _report(prepared, trainer, loaders["test"], plain, reporter, began)


def _prepare(settings: Settings, reporter: Reporter) -> _Prepared:
    """Check settings, machine, data and model, writing nothing."""
    _set_up_machine(settings)
    listing = list_samples(settings.data)
    folder, checkpoint = choose_folder(settings, listing.title)
    preprocessing = preprocessing_of(settings)
    samples, problems = inspect(
        listing, settings.data, preprocessing.channels, lambda items, n: reporter.watch(items, n)
    )
    reporter.close()
    data = settings.data
    splits = divide(
        samples, len(listing.classes), data.val_fraction, data.test_fraction, data.split_seed
    )
    rushlight.manual_seed(settings.seed)
    model = build_model(
        settings.model.name, settings.model.options, preprocessing, len(listing.classes)
    )
    model.to(rushlight.device(settings.device))
    return _Prepared(settings, listing, splits, problems, preprocessing, model, folder, checkpoint)


def _set_up_machine(settings: Settings) -> None:
    if settings.threads:
        rushlight.set_num_threads(settings.threads)
    try:
        rushlight.zeros(1, device=rushlight.device(settings.device))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"device: {settings.device!r} cannot be used ({reason})") from None


def _begin_folder(prepared: _Prepared) -> None:
    """Make the run folder and write what is known at the start."""
    folder = prepared.folder
    folder.make()
    write_atomically(folder.config, dump_yaml(settings_to_store(prepared.settings, folder)))
    if prepared.problems:
        write_atomically(folder.set_aside, report_of_problems(prepared.problems))


def _tell(prepared: _Prepared, reporter: Reporter) -> None:
    """Say what will be done, and with what."""
    splits, settings = prepared.splits, prepared.settings
    parameters = sum(parameter.numel() for parameter in prepared.model.parameters())
    shape = prepared.preprocessing
    reporter.note(
        f"{prepared.listing.title}: {len(prepared.listing.classes)} classes; "
        f"{len(splits.train)} training, {len(splits.val)} validation, "
        f"{len(splits.test)} test images"
    )
    reporter.note(
        f"{settings.model.name}: {parameters:,} parameters; images of "
        f"{shape.channels}x{shape.image_size}x{shape.image_size}; run folder {prepared.folder.path}"
    )
    if prepared.problems:
        reporter.note(f"{len(prepared.problems)} samples set aside: {prepared.folder.set_aside}")
    if prepared.checkpoint is not None:
        place = f"epoch {prepared.checkpoint.epoch + 1}, step {prepared.checkpoint.step + 1}"
        reporter.note(f"resuming at {place}")


def _loaders(prepared: _Prepared) -> dict[str, Batches]:
    settings = prepared.settings
    make: Callable[..., Batches] = lambda samples, **more: Batches(  # noqa: E731
        samples,
        prepared.preprocessing,
        settings.batch_size,
        workers=settings.data.workers,
        max_pixels=settings.data.max_pixels,
        **more,
    )
    return {
        "train": make(prepared.splits.train, seed=settings.seed, augment=settings.data.augment),
        "val": make(prepared.splits.val),
        "test": make(prepared.splits.test),
    }


def _report(
    prepared: _Prepared,
    trainer: Trainer,
    test_batches: Batches,
    loss: nn.Module,
    reporter: Reporter,
    began: float,
) -> dict[str, Any]:
    """Measure the best epoch's weights on the test split; draw, write and show the results."""
    folder = prepared.folder
    load_weights(trainer.model, load_checkpoint(folder.best), folder.best)
    result: Evaluation = evaluate(
        trainer.model, loss, test_batches, prepared.preprocessing, trainer.device
    )
    notes = draw_pictures(
        folder.path,
        trainer.history,
        best_epoch(trainer.history),
        prepared.listing.classes,
        result,
        prepared.splits.test,
        prepared.preprocessing,
    )
    summary = summarise(
        prepared.listing,
        prepared.splits,
        prepared.settings,
        trainer.history,
        best_epoch(trainer.history),
        result,
    )
    summary["set_aside"] = len(prepared.problems)
    summary["seconds"] = time.monotonic() - began
    summary["peak_memory_bytes"] = peak_memory()
    summary["run_folder"] = str(folder.path)
    write_atomically(folder.summary, json.dumps(summary, ensure_ascii=False, indent=2) + "\n")
    reporter.close()
    for note in notes:
        reporter.note(note)
    show_summary(summary, reporter)
    return summary
