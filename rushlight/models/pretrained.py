"""Weights for models: from the Hugging Face hub or from a file, checked and made to fit.

In: a model and where its weights are. Out: the model with those weights. Invariants: a model gets
all the weights of a checkpoint or none; every tensor of the model is accounted for, either loaded
or named as fresh; nothing in a file is executed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rushlight
from rushlight import Tensor, nn

from .registry import list_models, model_config, nearest

__all__ = ["adapt_input", "download", "load_checkpoint", "load_pretrained", "load_weights"]

FILE_NAME = "model.safetensors"
_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def load_pretrained(model: nn.Module, name: str) -> list[str]:
    """Load the published weights of the architecture `name` into `model`; return the names of
    parameters that stay fresh, which are the classifier's where the number of classes differs.

    The weights are those of timm's repository on the Hugging Face hub. The first convolution is
    adapted where the model takes another number of channels (`adapt_input`).
    Errors: RuntimeError for an architecture without published weights, without the package
    `huggingface_hub`, or where the weights do not fit; what the client raises when it cannot reach
    the hub and the cache does not have the file.
    """
    config = model_config(name)
    if not config.tag:
        hint = nearest(name, list_models(pretrained=True))
        raise RuntimeError(f"there are no published weights for {name!r}{hint}")
    state = read_weights(download(f"timm/{name}.{config.tag}"))
    classifiers = config.classifier
    names = (classifiers,) if isinstance(classifiers, str) else classifiers
    return load_weights(model, state, config.first_conv, names)


def download(repository: str, file_name: str = FILE_NAME, revision: str | None = None) -> Path:
    """The path of a file of a repository on the hub, fetched unless the client's cache has it.

    The client shows a progress bar, resumes, and obeys its own variables (`HF_HOME`,
    `HF_ENDPOINT`, `HF_HUB_OFFLINE`). The hub names large files by their SHA-256, and the cache
    keeps that name: what was fetched must have it. A file that has not is removed from the cache.
    Errors: RuntimeError without the package `huggingface_hub` or for another digest.
    """
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise RuntimeError(
            "pretrained weights come from the Hugging Face hub: pip install huggingface_hub, "
            f"or pass checkpoint_path= ({error})"
        ) from error
    path = Path(hf_hub_download(repository, file_name, revision=revision))
    stored = path.resolve()
    if _SHA256.fullmatch(stored.name) and _digest(stored) != stored.name:
        stored.unlink()
        raise RuntimeError(
            f"{file_name} of {repository} is damaged: its SHA-256 is not {stored.name}. "
            "It was removed from the cache; ask again to fetch it anew"
        )
    return path


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def load_checkpoint(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Load a file into a model; every name and shape must be the model's.

    Takes `.safetensors` and what `torch.save` writes, a `state_dict` or a dictionary that holds one
    under `state_dict` or `model`; a `module.` in front of every name, as `DataParallel` leaves it,
    is dropped.
    Errors: RuntimeError naming the tensors that do not fit, FileFormatError for a damaged file.
    """
    load_weights(model, read_weights(Path(path)))


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file by name."""
    if path.suffix == ".safetensors":
        from rushlight.interop.safetensors import load_file

        return load_file(path)
    found: Any = rushlight.load(path)
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    if not isinstance(found, Mapping) or not all(isinstance(k, str) for k in found):
        raise RuntimeError(f"{path} holds no state_dict but {type(found).__name__}")
    if found and all(name.startswith("module.") for name in found):
        return {name.removeprefix("module."): value for name, value in found.items()}
    return dict(found)


def load_weights(
    model: nn.Module,
    state: Mapping[str, Tensor],
    first_conv: str = "",
    classifiers: Sequence[str] = (),
) -> list[str]:
    """Copy `state` into `model`; return the names that stay fresh.

    Classifiers of another shape stay fresh, and a first convolution for other channels is adapted;
    anything else that is missing, left over, or of another shape is an error, and the model is as
    it was. Counters of batch norm may be missing.
    Errors: RuntimeError naming up to five tensors.
    """
    adapt = getattr(model, "adapted_weights", dict)
    state = adapt(state)
    own = model.state_dict()
    fresh = []
    for classifier in classifiers:
        names = [f"{classifier}.weight", f"{classifier}.bias"]
        if any(n not in own or n not in state or own[n].shape != state[n].shape for n in names):
            fresh += [name for name in names if name in own]
            state = {name: value for name, value in state.items() if name not in names}
    weight = f"{first_conv}.weight"
    if weight in own and weight in state and own[weight].shape != state[weight].shape:
        state = {**state, weight: adapt_input(state[weight], own[weight].shape[1])}
    _check_fit(own, state, {*fresh})
    model.load_state_dict(dict(state), strict=False)
    return fresh


def _check_fit(own: Mapping[str, Tensor], state: Mapping[str, Tensor], fresh: set[str]) -> None:
    needed = {n for n in own if n not in fresh and not n.endswith("num_batches_tracked")}
    complaints = [f"{name} is missing" for name in sorted(needed - set(state))]
    complaints += [f"{name} is not the model's" for name in sorted(set(state) - set(own))]
    complaints += [
        f"{name} is {tuple(state[name].shape)}, the model's is {tuple(own[name].shape)}"
        for name in own
        if name in state and own[name].shape != state[name].shape
    ]
    if complaints:
        more = f" (and {len(complaints) - 5} more)" if len(complaints) > 5 else ""
        raise RuntimeError(f"the weights do not fit: {'; '.join(complaints[:5])}{more}")


def adapt_input(weight: Tensor, in_chans: int) -> Tensor:
    """A first convolution's weight for another number of channels, (O, C, H, W) -> (O, in_chans,
    H, W): one channel gets the sum, so that a grey image scores as its colour copy does; otherwise
    the channels repeat, scaled by C / in_chans, so that sums keep their size.

    >>> import rushlight as rl
    >>> adapt_input(rl.ones(1, 3, 1, 1), 1).flatten().tolist()
    [3.0]
    >>> adapt_input(rl.ones(1, 3, 1, 1), 4).flatten().tolist()
    [0.75, 0.75, 0.75, 0.75]
    """
    channels = weight.shape[1]
    if in_chans == channels:
        return weight
    if in_chans == 1:
        return weight.sum(1, keepdim=True)
    repeats = -(in_chans // -channels)
    return weight.repeat(1, repeats, 1, 1)[:, :in_chans] * (channels / in_chans)
