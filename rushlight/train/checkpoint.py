"""Checkpoints: everything that a run needs to go on, in one safetensors file.

What comes in: tensors by name and plain values. What goes out: a file, and from the file the same
tensors and values, or a `RunError` that names it. Invariant: a file is whole or absent (see
`files`); a checksum over every tensor and value guards the content; reading a file executes
nothing that stands in it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy

import rushlight
from rushlight import Tensor, nn, optim

from .files import replacing
from .preprocessing import Preprocessing
from .problems import RunError

__all__ = [
    "Checkpoint",
    "load_checkpoint",
    "load_weights",
    "pack_optimizer",
    "pack_tensors",
    "save_checkpoint",
    "unpack_optimizer",
    "unpack_tensors",
]

FORMAT = 1
_KEY = "rushlight"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run between two steps.

    `arrays` holds the tensors under `model.*`, `optimizer.*` and `rng`; `epoch` and `step` say
    which batch comes next; `progress` holds the running sums of the unfinished epoch; `history`
    one dict for each finished one.
    """

    arrays: dict[str, numpy.ndarray]
    settings: dict[str, Any]
    classes: list[str]
    preprocessing: Preprocessing
    epoch: int = 0
    step: int = 0
    progress: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    optimizer_values: dict[str, Any] = field(default_factory=dict)

    def part(self, prefix: str) -> dict[str, numpy.ndarray]:
        """The arrays whose names begin with `prefix` and a dot, without it."""
        start = f"{prefix}."
        return {k.removeprefix(start): v for k, v in self.arrays.items() if k.startswith(start)}


def pack_tensors(tensors: dict[str, Tensor], prefix: str) -> dict[str, numpy.ndarray]:
    """Tensors as arrays of their own under prefixed names."""
    return {
        f"{prefix}.{name}": numpy.array(tensor.detach().cpu().numpy())
        for name, tensor in tensors.items()
    }


def unpack_tensors(arrays: dict[str, numpy.ndarray]) -> dict[str, Tensor]:
    """Arrays as tensors of their own."""
    return {name: rushlight.from_numpy(array.copy()) for name, array in arrays.items()}


def pack_optimizer(
    optimizer: optim.Optimizer,
) -> tuple[dict[str, numpy.ndarray], dict[str, Any]]:
    """An optimizer's state as arrays, and the part of it that is plain numbers.

    The groups' hyperparameters are not stored: the settings decide them.
    """
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            into: dict[str, Any] = tensors if isinstance(value, Tensor) else values
            into[f"{index}.{name}"] = value
    return pack_tensors(tensors, "optimizer"), values


def unpack_optimizer(optimizer: optim.Optimizer, checkpoint: Checkpoint) -> None:
    """Put the stored state into a freshly built optimizer."""
    state: dict[int, dict[str, Any]] = {}
    stored = {**unpack_tensors(checkpoint.part("optimizer")), **checkpoint.optimizer_values}
    for key, value in stored.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )


def _checksum(arrays: dict[str, numpy.ndarray], text: str) -> str:
    content = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        content.update(f"{name} {array.dtype.str} {array.shape}".encode())
        content.update(numpy.ascontiguousarray(array).data)
    return content.hexdigest()


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint; afterwards `path` holds it whole, or still what it held before."""
    from safetensors.numpy import save_file

    values = {
        item.name: getattr(checkpoint, item.name)
        for item in dataclasses.fields(checkpoint)
        if item.name not in ("arrays", "preprocessing")
    }
    values["preprocessing"] = dataclasses.asdict(checkpoint.preprocessing)
    values["format"] = FORMAT
    text = json.dumps(values, ensure_ascii=False)
    metadata = {_KEY: text, "sha256": _checksum(checkpoint.arrays, text)}
    with replacing(path) as partial:
        save_file(checkpoint.arrays, partial, metadata=metadata)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read and verify a checkpoint; a `RunError` names a file that is missing, cut or altered."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise RunError(f"{path}: no such checkpoint")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"{path}: truncated or damaged checkpoint ({reason})") from None
    text = metadata.get(_KEY)
    if text is None:
        raise RunError(f"{path}: a safetensors file, but not a checkpoint of rushlight train")
    if metadata.get("sha256") != _checksum(arrays, text):
        raise RunError(f"{path}: damaged checkpoint (its checksum does not match)")
    return _from_values(path, arrays, text)


def _from_values(path: Path, arrays: dict[str, numpy.ndarray], text: str) -> Checkpoint:
    try:
        values = json.loads(text)
        if values.pop("format") != FORMAT:
            raise RunError(f"{path}: written by another version of rushlight")
        shape = values.pop("preprocessing")
        preprocessing = Preprocessing(
            shape["image_size"], shape["channels"], tuple(shape["mean"]), tuple(shape["std"])
        )
        return Checkpoint(arrays=arrays, preprocessing=preprocessing, **values)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise RunError(f"{path}: damaged checkpoint ({error})") from None


def load_weights(model: nn.Module, checkpoint: Checkpoint, path: Path) -> None:
    """Put the stored weights into a model of the same architecture."""
    try:
        model.load_state_dict(unpack_tensors(checkpoint.part("model")))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{path}: does not fit the model ({reason})") from None
