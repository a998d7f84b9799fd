"""The settings of a run: a typed schema, and the one way in for all that users write.

What comes in: a YAML or JSON file, a dict, `a.b=c` texts. What goes out: a frozen `Settings`.
Invariant: every key is known, every value has the type and the range that its field declares; a
mistake is a `RunError` that names the key, the value and what was expected.
"""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from rushlight.models.registry import nearest

from .config_file import parse_yaml
from .problems import RunError

__all__ = ["Settings", "describe", "flatten", "resolve", "to_dict"]


def key(default: Any, meaning: str, low: float | None = None, high: float | None = None) -> Any:
    """A field with its default, a line of help, and the range of allowed numbers."""
    facts = {"meaning": meaning, "low": low, "high": high}
    return field(default=default, metadata=facts)


# A section may be written as one plain value, which then means its LEADING key: `model=resnet18`
# is `model.name=resnet18`.


@dataclass(frozen=True)
class DataSettings:
    """Where the images come from and how they reach the model."""

    LEADING: ClassVar[str] = "path"
    path: str = key("digits", "digits, a folder of class folders, or a CSV list of images")
    images: str | None = key(None, "folder that a CSV list's names are relative to (its own)")
    image_size: int | None = key(None, "side of the square the model sees (the model's own)", 1)
    channels: Literal[1, 3] | None = key(None, "1 for grey, 3 for colour (digits 1, files 3)")
    on_error: Literal["stop", "skip"] = key("stop", "bad samples: stop and name, or set aside")
    max_pixels: int = key(89_478_485, "images of more pixels are refused undecoded", 1)
    val_fraction: float = key(0.1, "share of the samples for validation", 0.0, 0.9)
    test_fraction: float = key(0.2, "share of the samples for the final test", 0.0, 0.9)
    split_seed: int = key(0, "seed of the split, so that runs share their test samples", 0)
    augment: Literal["auto", "none", "affine", "flip", "crop"] = key(
        "auto", "changes of training images (digits affine, files crop)"
    )
    workers: int = key(0, "processes that read images; 0 reads in this one", 0)


@dataclass(frozen=True)
class ModelSettings:
    """Which architecture is trained."""

    LEADING: ClassVar[str] = "name"
    name: str = key("convnet", "a registered architecture")
    options: dict[str, Any] = field(
        default_factory=dict, metadata={"meaning": "further named arguments of the architecture"}
    )


@dataclass(frozen=True)
class LossSettings:
    """What is minimised."""

    LEADING: ClassVar[str] = "name"
    name: Literal["cross_entropy", "multi_margin"] = key("cross_entropy", "the loss")
    label_smoothing: float = key(0.0, "share of the target spread over all classes", 0.0, 1.0)
    class_weights: Literal["none", "balanced"] = key("none", "balanced: rare classes weigh more")


@dataclass(frozen=True)
class OptimizerSettings:
    """How the parameters move."""

    LEADING: ClassVar[str] = "name"
    name: Literal["sgd", "adam", "adamw", "rmsprop", "adagrad"] = key("sgd", "the optimizer")
    lr: float | None = key(
        None, "learning rate at its peak (one that suits optimizer and batch)", 0.0
    )
    momentum: float = key(0.9, "momentum of sgd and rmsprop", 0.0, 1.0)
    weight_decay: float | None = key(
        None, "pull of the weights to zero (one that suits the optimizer)", 0.0
    )


@dataclass(frozen=True)
class ScheduleSettings:
    """How the learning rate changes over the run."""

    LEADING: ClassVar[str] = "name"
    name: Literal["cosine", "step", "constant"] = key("cosine", "the shape after the warm-up")
    warmup_epochs: float = key(1.0, "epochs of linear growth from zero", 0.0)
    floor: float = key(0.0, "share of the peak that cosine ends at", 0.0, 1.0)
    step_epochs: float = key(10.0, "epochs between the drops of step", 0.001)
    gamma: float = key(0.1, "factor of each drop of step", 0.0, 1.0)


@dataclass(frozen=True)
class EarlyStopSettings:
    """When to stop before the last epoch."""

    LEADING: ClassVar[str] = "patience"
    patience: int = key(0, "epochs without better validation loss or accuracy; 0 never stops", 0)


@dataclass(frozen=True)
class CheckpointSettings:
    """How often the state is saved besides at the end of each epoch."""

    LEADING: ClassVar[str] = "every_seconds"
    every_seconds: float = key(60.0, "seconds between saves within an epoch; 0 saves each step", 0)


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run."""

    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    early_stop: EarlyStopSettings = field(default_factory=EarlyStopSettings)
    checkpoint: CheckpointSettings = field(default_factory=CheckpointSettings)
    batch_size: int = key(64, "samples a step", 2)
    epochs: int = key(30, "times that every training sample is seen", 1)
    seed: int = key(0, "seed of weights, shuffles, augmentation and dropout", 0)
    device: str = key("cpu", "where the model runs")
    threads: int = key(0, "threads that compute; 0 takes what the machine allows", 0)
    output: str | None = key(None, "run folder (a new one below runs/)")
    resume: str = key("none", "none, auto (the last unfinished run) or a checkpoint's path")


def resolve(layers: list[dict[str, Any]], texts: list[tuple[str, str]]) -> Settings:
    """Lay dicts over the defaults, the later the stronger, then `key=value` texts over them all."""
    merged: dict[str, Any] = {}
    for layer in layers:
        _merge(merged, layer)
    for name, text in texts:
        _merge(merged, _nested(name, _Text(text)))
    settings: Settings = _build(Settings, merged, "")
    return settings


class _Text(str):
    """A value from the command line: it is read as the type that its key wants."""


def _nested(name: str, value: Any) -> dict[str, Any]:
    """`("a.b", v)` -> `{"a": {"b": v}}`."""
    for part in reversed(name.split(".")):
        value = {part: value}
    nested: dict[str, Any] = value
    return nested


def _merge(target: dict[str, Any], layer: dict[str, Any], path: str = "") -> None:
    """Lay `layer` over `target`, spelling out dotted keys and sections that are one value."""
    for name, value in layer.items():
        if not isinstance(name, str):
            raise RunError(f"{path}{name!r}: a key must be text, got {type(name).__name__}")
        head, _, rest = name.partition(".")
        if rest:
            value = _nested(rest, value)
        section = _section(head) if not path else None
        if section is not None and not isinstance(value, dict):
            value = {} if value is None else {section.LEADING: value}
        if isinstance(value, dict):
            inner = target.setdefault(head, {})
            if not isinstance(inner, dict):
                inner = target[head] = {}
            _merge(inner, value, f"{path}{head}.")
        else:
            target[head] = value


def _section(name: str) -> Any:
    """The section's class, if a key of the top level is a section."""
    kind = typing.get_type_hints(Settings).get(name)
    return kind if dataclasses.is_dataclass(kind) else None


def _build(cls: Any, values: dict[str, Any], path: str) -> Any:
    """Make one section of checked values."""
    fields = {item.name: item for item in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    made = {}
    for name, value in values.items():
        if name not in fields:
            known = [f"{path}{item}" for item in fields]
            raise RunError(
                f"unknown key {path + name!r}{_suggest(path + name, name, known)} "
                f"(known here: {', '.join(fields)})"
            )
        kind = hints[name]
        if dataclasses.is_dataclass(kind):
            made[name] = _build(kind, value, f"{path}{name}.")
        else:
            made[name] = _checked(f"{path}{name}", value, kind, fields[name].metadata)
    return cls(**made)


def _suggest(written: str, name: str, known: list[str]) -> str:
    """The nearest key of the same section, else the nearest one anywhere."""
    everywhere = list(flatten(Settings()))
    by_last = [item for item in everywhere if item.rpartition(".")[2] == name]
    if by_last:
        return f"; did you mean {by_last[0]!r}?"
    return nearest(written, known) or nearest(written, everywhere)


def _checked(name: str, value: Any, kind: Any, facts: Any) -> Any:
    """The value as `kind`, or a `RunError` that names key, value and expectation."""
    options = typing.get_args(kind) if _is_union(kind) else (kind,)
    for option in options:
        accepted, result = _accept(value, option)
        if accepted:
            _check_range(name, value, result, facts)
            return result
    expected = " or ".join(_in_words(option) for option in options)
    raise RunError(f"{name}: got {_shown(value)}, expected {expected}")


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _shown(value: Any) -> str:
    return repr(str(value)) if isinstance(value, str) else f"{value!r} ({type(value).__name__})"


def _accept(value: Any, kind: Any) -> tuple[bool, Any]:
    """Whether `value` is of `kind`, and the value as it."""
    if isinstance(value, _Text):
        return _accept_text(str(value), kind)
    if kind is type(None):
        return value is None, None
    if typing.get_origin(kind) is Literal:
        wanted = [choice for choice in typing.get_args(kind) if type(choice) is type(value)]
        return value in wanted, value
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number, float(value) if number else None
    if typing.get_origin(kind) is dict:
        if not isinstance(value, dict):
            return False, None
        return True, {name: _free_value(item) for name, item in value.items()}
    if kind is str and isinstance(value, os.PathLike):
        return True, os.fspath(value)
    return type(value) is kind, value


def _free_value(value: Any) -> Any:
    """A value whose type nobody declares: text from the command line means what YAML says."""
    return parse_yaml(str(value)) if isinstance(value, _Text) else value


def _accept_text(text: str, kind: Any) -> tuple[bool, Any]:
    """Read a command line's text as `kind`."""
    if kind is type(None):
        return text.lower() in ("null", "~"), None
    if typing.get_origin(kind) is Literal:
        for choice in typing.get_args(kind):
            if text == str(choice):
                return True, choice
        return False, None
    if kind is str:
        return text != "", text
    if kind in (int, float):
        try:
            return True, kind(text)
        except ValueError:
            return False, None
    return False, None


def _check_range(name: str, written: Any, value: Any, facts: Any) -> None:
    low, high = facts.get("low"), facts.get("high")
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return
    if value != value or value in (float("inf"), float("-inf")):
        raise RunError(f"{name}: got {_shown(written)}, expected a finite number")
    if low is not None and value < low:
        raise RunError(f"{name}: got {_shown(written)}, expected a number of at least {low:g}")
    if high is not None and value > high:
        raise RunError(f"{name}: got {_shown(written)}, expected a number of at most {high:g}")


_WORDS = {int: "a whole number", float: "a number", str: "text", type(None): "nothing (null)"}


def _in_words(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(kind))
    if typing.get_origin(kind) is dict:
        return "a mapping"
    return _WORDS[kind]


def to_dict(settings: Settings) -> dict[str, Any]:
    """The settings as nested plain dicts, ready for YAML or JSON."""
    return dataclasses.asdict(settings)


def flatten(settings: Settings) -> dict[str, Any]:
    """The settings as one dict of dotted keys; the options of a model are one value."""
    flat: dict[str, Any] = {}
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if dataclasses.is_dataclass(value):
            for inner in dataclasses.fields(value):
                flat[f"{item.name}.{inner.name}"] = getattr(value, inner.name)
        else:
            flat[item.name] = value
    return flat


def describe() -> str:
    """One line for each key: its name, its default, its meaning."""
    lines = []
    for name, default in flatten(Settings()).items():
        head, _, rest = name.partition(".")
        owner = _section(head) if rest else Settings
        fields = {item.name: item for item in dataclasses.fields(owner)}
        meaning = fields[rest or head].metadata["meaning"]
        kind = typing.get_type_hints(owner)[rest or head]
        options = typing.get_args(kind) if _is_union(kind) else (kind,)
        choices = [_in_words(option) for option in options if typing.get_origin(option) is Literal]
        shown = "" if default is None else f" [{default}]"
        lines.append(f"  {name:<24} {meaning}{shown}{' - ' + choices[0] if choices else ''}")
    return "\n".join(lines)
