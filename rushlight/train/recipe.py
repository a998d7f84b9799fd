"""From names in the settings to the objects that train: model, loss, optimizer, schedule.

What comes in: settings. What goes out: objects of the public API. Invariant: every choice is a row
of a table, and what the settings leave open is filled in from that row, so that the stored config
says all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import rushlight
from rushlight import Tensor, models, nn, optim

from .preprocessing import Preprocessing
from .problems import RunError
from .samples import DIGITS
from .settings import DataSettings, LossSettings, OptimizerSettings, ScheduleSettings, Settings

__all__ = [
    "build_loss",
    "build_model",
    "build_optimizer",
    "complete",
    "learning_rate",
    "preprocessing_of",
]


USUAL_BATCH = 64


class OptimizerRow(NamedTuple):
    """An optimizer: how it is built, and good values for what the settings leave open.

    `lr` is for `USUAL_BATCH` samples a step. Where the size of an update follows that of the
    gradient (`scales`), it is taken in proportion to the batch, as Goyal et al. 2017
    (arXiv:1706.02677) do.
    """

    build: Callable[[Iterable[nn.Parameter], OptimizerSettings], optim.Optimizer]
    lr: float
    weight_decay: float
    scales: bool = False

    def lr_for(self, batch_size: int) -> float:
        """A good learning rate for batches of this size."""
        return self.lr * batch_size / USUAL_BATCH if self.scales else self.lr


def _sgd(parameters: Iterable[nn.Parameter], settings: OptimizerSettings) -> optim.Optimizer:
    return optim.SGD(
        parameters,
        **_common(settings),
        momentum=settings.momentum,
        nesterov=settings.momentum > 0,
    )


def _adam(parameters: Iterable[nn.Parameter], settings: OptimizerSettings) -> optim.Optimizer:
    return optim.Adam(parameters, **_common(settings))


def _adamw(parameters: Iterable[nn.Parameter], settings: OptimizerSettings) -> optim.Optimizer:
    return optim.AdamW(parameters, **_common(settings))


def _rmsprop(parameters: Iterable[nn.Parameter], settings: OptimizerSettings) -> optim.Optimizer:
    return optim.RMSprop(parameters, **_common(settings), momentum=settings.momentum)


def _adagrad(parameters: Iterable[nn.Parameter], settings: OptimizerSettings) -> optim.Optimizer:
    return optim.Adagrad(parameters, **_common(settings))


def _common(settings: OptimizerSettings) -> dict[str, Any]:
    return {"lr": settings.lr, "weight_decay": settings.weight_decay}


OPTIMIZERS = {
    "sgd": OptimizerRow(_sgd, lr=0.05, weight_decay=5e-4, scales=True),
    "adam": OptimizerRow(_adam, lr=3e-3, weight_decay=0.0),
    "adamw": OptimizerRow(_adamw, lr=3e-3, weight_decay=0.01),
    "rmsprop": OptimizerRow(_rmsprop, lr=3e-4, weight_decay=0.0),
    "adagrad": OptimizerRow(_adagrad, lr=0.02, weight_decay=0.0),
}


def complete(settings: Settings) -> Settings:
    """Fill in what was left open, and refuse what cannot work before any data is read."""
    name = settings.model.name
    if not models.is_model(name):
        try:
            models.model_config(name)
        except RuntimeError as error:
            raise RunError(f"model.name: {error}") from None
    if settings.loss.name != "cross_entropy" and settings.loss.label_smoothing > 0:
        raise RunError(f"loss.label_smoothing: the loss {settings.loss.name} has none")
    row = OPTIMIZERS[settings.optimizer.name]
    return dataclasses.replace(
        settings,
        data=_complete_data(settings.data, models.model_config(name), name),
        optimizer=dataclasses.replace(
            settings.optimizer,
            lr=row.lr_for(settings.batch_size)
            if settings.optimizer.lr is None
            else settings.optimizer.lr,
            weight_decay=row.weight_decay
            if settings.optimizer.weight_decay is None
            else settings.optimizer.weight_decay,
        ),
    )


def _complete_data(data: DataSettings, config: models.ModelConfig, model: str) -> DataSettings:
    digits = data.path == DIGITS
    size = data.image_size
    if size is None:
        size = 8 if digits and config.smallest_size <= 8 else config.input_size[-1]
    if size < config.smallest_size:
        raise RunError(
            f"data.image_size: {size} is too small for {model}, "
            f"which needs at least {config.smallest_size}"
        )
    augment = data.augment
    if augment == "auto":
        augment = "affine" if digits else "crop"
    channels = data.channels or (1 if digits else 3)
    return dataclasses.replace(data, image_size=size, channels=channels, augment=augment)


def preprocessing_of(settings: Settings) -> Preprocessing:
    """The preprocessing of a run with complete settings."""
    config = models.model_config(settings.model.name)
    data = settings.data
    assert data.image_size is not None and data.channels is not None
    fits = len(config.mean) == data.channels
    mean = config.mean if fits else (0.5,) * data.channels
    std = config.std if fits else (0.5,) * data.channels
    return Preprocessing(data.image_size, data.channels, mean, std)


def build_model(
    name: str, options: dict[str, Any], shape: Preprocessing, classes: int
) -> nn.Module:
    """Build the architecture for these images; a `RunError` names an option that it refuses."""
    extra = {"image_size": shape.image_size} if models.model_config(name).fixed_input_size else {}
    reserved = {"num_classes", "in_chans", *extra}
    for option in options:
        if option in reserved:
            raise RunError(f"model.options.{option}: follows from the data and cannot be set")
    try:
        return models.create_model(
            name,
            num_classes=classes,
            in_chans=shape.channels,
            **options,
            **extra,  # type: ignore[arg-type]
        )
    except (TypeError, ValueError) as error:
        raise RunError(f"model.options: {error}") from None


def build_loss(settings: LossSettings, counts: list[int]) -> nn.Module:
    """Build the loss; `counts` are the training samples of each class."""
    weight: Tensor | None = None
    if settings.class_weights == "balanced":
        # sum(count * weight) stays the number of samples, so the loss keeps its scale.
        total = sum(counts)
        weight = rushlight.tensor([total / (len(counts) * max(count, 1)) for count in counts])
    if settings.name == "multi_margin":
        return nn.MultiMarginLoss(weight=weight)
    return nn.CrossEntropyLoss(weight=weight, label_smoothing=settings.label_smoothing)


def build_optimizer(model: nn.Module, settings: OptimizerSettings) -> optim.Optimizer:
    """Build the optimizer over all parameters of the model."""
    return OPTIMIZERS[settings.name].build(model.parameters(), settings)


def _cosine(settings: ScheduleSettings, epoch: float, share: float) -> float:
    return settings.floor + (1 - settings.floor) * 0.5 * (1 + math.cos(math.pi * share))


def _step(settings: ScheduleSettings, epoch: float, share: float) -> float:
    return settings.gamma ** math.floor(epoch / settings.step_epochs)


def _constant(settings: ScheduleSettings, epoch: float, share: float) -> float:
    return 1.0


SHAPES = {"cosine": _cosine, "step": _step, "constant": _constant}


def learning_rate(
    peak: float, settings: ScheduleSettings, step: int, steps_per_epoch: int, epochs: int
) -> float:
    """The learning rate of one step, counted from 0 over the whole run.

    A pure function of the step: a resumed run needs no state of the schedule but its place.
    Warm-up multiplies the shape by (step + 1) / warm-up steps until it reaches 1. The cosine
    follows Loshchilov and Hutter, "SGDR" (2016).
    """
    shape = SHAPES[settings.name](
        settings, step / steps_per_epoch, step / max(steps_per_epoch * epochs, 1)
    )
    warmup_steps = settings.warmup_epochs * steps_per_epoch
    warmup = min(1.0, (step + 1) / warmup_steps) if warmup_steps > 0 else 1.0
    return peak * shape * warmup
