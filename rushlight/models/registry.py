"""The registry of model architectures: names in, models out.

What comes in: entry functions marked with `register_model`, each with one frozen `ModelConfig`
row of facts, and tables of variants by `register_variants`. What goes out: `create_model(name,
...)`, `list_models(filter)`, `model_config(name)` and `default_cfg(name)`. Invariant: a name is
registered once, and an option that an architecture does
not know is refused here, by name, before anything is built.
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rushlight import nn

__all__ = [
    "ModelConfig",
    "create_model",
    "default_cfg",
    "entry_point",
    "is_model",
    "list_models",
    "model_config",
    "register_model",
    "register_variants",
]

EntryPoint = Callable[..., "nn.Module"]


@dataclass(frozen=True)
class ModelConfig:
    """Facts about one architecture that a training loop or a loader of weights wants to know.

    `input_size` is (channels, height, width); with `fixed_input_size` the number of parameters
    depends on it, and the entry function takes it as `image_size`. `mean` and `std` are the
    per-channel statistics that inputs are normalised with; `crop_pct` is the part of a resized
    image that is cut out, `interpolation` how it is resized. `first_conv` and `classifier` name the
    modules whose shapes depend on the number of channels and of classes (a tuple where there are
    two classifiers). `tag` names the published weights, in the repository `timm/NAME.TAG` of the
    Hugging Face hub; empty where there are none.
    """

    input_size: tuple[int, int, int] = (3, 224, 224)
    fixed_input_size: bool = False
    smallest_size: int = 1
    num_classes: int = 1000
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    crop_pct: float = 0.875
    interpolation: str = "bicubic"
    first_conv: str = "conv1"
    classifier: str | tuple[str, ...] = "fc"
    paper: str = ""
    tag: str = ""


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
        if held is not None and _module(held[0]) != entry.__module__:
            raise ValueError(f"model {name!r} is already registered by {_module(held[0])}")
        _entry_points[name] = (entry, config)
        return entry

    return register


def _module(entry: EntryPoint) -> str:
    """Where an entry was written."""
    function = entry.func if isinstance(entry, functools.partial) else entry
    return str(function.__module__)


def register_variants(
    build: EntryPoint,
    shared: ModelConfig,
    variants: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> None:
    """Register the variants of one family: name -> (options of `build`, facts besides `shared`)."""
    for name, (options, facts) in variants.items():
        entry = functools.partial(build, **options)
        _entry_points[name] = (entry, dataclasses.replace(shared, **facts))


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


def entry_point(name: str) -> EntryPoint:
    """The function that builds the architecture `name`; `RuntimeError` if it is unknown."""
    return _find(name)[0]


def list_models(filter: str = "*", pretrained: bool = False) -> list[str]:
    """Return the registered names that match the shell pattern `filter`, sorted.

    With `pretrained`, only those with published weights.

    >>> import rushlight as rl
    >>> rl.models.list_models("densenet*")
    ['densenet121', 'densenet161', 'densenet169', 'densenet201']
    """
    return [
        name
        for name in sorted(fnmatch.filter(_entry_points, filter))
        if _entry_points[name][1].tag or not pretrained
    ]


def model_config(name: str) -> ModelConfig:
    """Return the facts about the architecture `name`; `RuntimeError` if it is unknown."""
    return _find(name)[1]


def default_cfg(name: str) -> dict[str, Any]:
    """The facts about the architecture `name` as a dictionary with timm's keys.

    >>> import rushlight as rl
    >>> cfg = rl.models.default_cfg("resnet34")
    >>> cfg["input_size"], cfg["first_conv"], cfg["classifier"], cfg["hf_hub_id"]
    ((3, 224, 224), 'conv1', 'fc', 'timm/resnet34.a1_in1k')
    """
    config = model_config(name)
    facts = dataclasses.asdict(config)
    del facts["smallest_size"], facts["paper"]
    hub = f"timm/{name}.{config.tag}" if config.tag else None
    return {"architecture": name, "hf_hub_id": hub, **facts}


def create_model(
    name: str,
    pretrained: bool = False,
    num_classes: int | None = None,
    in_chans: int = 3,
    checkpoint_path: str | os.PathLike[str] = "",
    **options: Any,
) -> nn.Module:
    """Build the architecture `name`, with fresh, published or stored parameters.

    `num_classes=None` takes the architecture's own number. `pretrained` fetches the published
    weights from the Hugging Face hub (`huggingface_hub` must be installed; it caches them) and
    adapts them: a classifier for another number of classes stays fresh, the first convolution is
    made to fit `in_chans`. `checkpoint_path` loads a `.safetensors` or a `torch.save` file as it
    is. Further options go to the entry function by name; `model.default_cfg` is `default_cfg(name)`
    with the input as asked for. The calling convention follows timm's `create_model`.

    Errors: `RuntimeError` for an unknown name, an architecture without published weights, or
    weights that do not fit; `TypeError` for an option that the architecture does not have. Each
    names the nearest known one, or the tensor that does not fit.

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
    model = entry(num_classes=classes, in_chans=in_chans, **options)
    model.default_cfg = default_cfg(name)
    if pretrained or checkpoint_path:
        from . import pretrained as weights

        if pretrained:
            weights.load_pretrained(model, name)
        if checkpoint_path:
            weights.load_checkpoint(model, checkpoint_path)
    return model
