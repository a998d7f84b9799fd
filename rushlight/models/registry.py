"""The registry of model architectures: names in, models out.

What comes in: entry functions marked with `register_model`, each with one frozen `ModelConfig`
row of facts. What goes out: `create_model(name, ...)`, `list_models(filter)` and
`model_config(name)`. Invariant: a name is registered once, and an option that an architecture does
not know is refused here, by name, before anything is built.
"""

from __future__ import annotations

import difflib
import fnmatch
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rushlight import nn

__all__ = [
    "ModelConfig",
    "create_model",
    "is_model",
    "list_models",
    "model_config",
    "register_model",
]

EntryPoint = Callable[..., "nn.Module"]


@dataclass(frozen=True)
class ModelConfig:
    """Facts about one architecture that a training loop or a loader of weights wants to know.

    `input_size` is (channels, height, width); with `fixed_input_size` the number of parameters
    depends on it, and the entry function takes it as `image_size`. `mean` and `std` are the
    per-channel statistics that inputs are normalised with. `first_conv` and `classifier` name the
    modules whose shapes depend on the number of channels and of classes.
    """

    input_size: tuple[int, int, int] = (3, 224, 224)
    fixed_input_size: bool = False
    smallest_size: int = 1
    num_classes: int = 1000
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    first_conv: str = "conv1"
    classifier: str = "fc"
    paper: str = ""


_entry_points: dict[str, tuple[EntryPoint, ModelConfig]] = {}


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint like `; did you mean 'resnet18'?`, or nothing where no name is near."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def register_model(config: ModelConfig) -> Callable[[EntryPoint], EntryPoint]:
    """Register the decorated function under its own name, with its row of facts.

    The function takes `num_classes` and `in_chans` and any further options as named arguments;
    there is no `**kwargs`, so that a wrong option is refused where it is written.

    >>> import rushlight as rl
    >>> @rl.models.register_model(rl.models.ModelConfig(input_size=(3, 32, 32)))
    ... def tiny(num_classes=10, in_chans=3):
    ...     return rl.nn.Sequential(rl.nn.Flatten(), rl.nn.Linear(in_chans * 1024, num_classes))
    >>> "tiny" in rl.models.list_models()
    True

    Raises `ValueError` if another function already holds the name.
    """

    def register(entry: EntryPoint) -> EntryPoint:
        name = entry.__name__
        held = _entry_points.get(name)
        if held is not None and held[0].__module__ != entry.__module__:
            raise ValueError(f"model {name!r} is already registered by {held[0].__module__}")
        _entry_points[name] = (entry, config)
        return entry

    return register


def _find(name: str) -> tuple[EntryPoint, ModelConfig]:
    found = _entry_points.get(name)
    if found is None:
        raise RuntimeError(
            f"unknown model {name!r}{nearest(name, _entry_points)} "
            f"(known: {', '.join(sorted(_entry_points))})"
        )
    return found


def is_model(name: str) -> bool:
    """Say whether `name` is registered."""
    return name in _entry_points


def list_models(filter: str = "*") -> list[str]:
    """Return the registered names that match the shell pattern `filter`, sorted.

    >>> import rushlight as rl
    >>> rl.models.list_models("resnet*")
    ['resnet18', 'resnet34', 'resnet50']
    """
    return sorted(fnmatch.filter(_entry_points, filter))


def model_config(name: str) -> ModelConfig:
    """Return the facts about the architecture `name`; `RuntimeError` if it is unknown."""
    return _find(name)[1]


def create_model(
    name: str, num_classes: int | None = None, in_chans: int = 3, **options: Any
) -> nn.Module:
    """Build the architecture `name` with fresh parameters.

    `num_classes=None` takes the architecture's own number. Further options go to the entry
    function by name. Raises `RuntimeError` for an unknown name and `TypeError` for an option that
    the architecture does not have, each naming the nearest known one. The calling convention
    follows timm's `create_model`.

    >>> import rushlight as rl
    >>> model = rl.models.create_model("resnet18", num_classes=10)
    >>> model.fc.out_features
    10
    """
    entry, config = _find(name)
    known = inspect.signature(entry).parameters
    for option in options:
        if option not in known:
            raise TypeError(
                f"model {name!r} has no option {option!r}{nearest(option, known)} "
                f"(known: {', '.join(known)})"
            )
    classes = config.num_classes if num_classes is None else num_classes
    return entry(num_classes=classes, in_chans=in_chans, **options)
