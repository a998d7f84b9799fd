"""Values carried between the oracle and rushlight.

In: whatever a record of PyTorch's databases holds: tensors with any strides, dtypes, devices,
generators, nested containers. Out: the same on the other side, or NumPy arrays of either side for
comparison. Invariant: strides and storage offsets survive, so that a strided input stays strided.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import rushlight


class Unsupported(Exception):
    """The value has no counterpart (sparse tensors, half-precision complex numbers, modules)."""


class Bridge:
    """The way to rushlight; `leaves` collects (oracle's tensor, ours) of those with gradients."""

    def __init__(self) -> None:
        self.leaves: list[tuple[Any, Any]] = []

    def cross(self, value: Any) -> Any:
        """The value on our side."""
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, torch.Size):
            return tuple(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(self.cross, value))
        if isinstance(value, (list, tuple)):
            return type(value)(map(self.cross, value))
        if isinstance(value, dict):
            return {key: self.cross(item) for key, item in value.items()}
        for kind, translate in _PLAIN:
            if isinstance(value, kind):
                return translate(value)
        home = getattr(value, "__module__", None) or ""
        if callable(value) and hasattr(value, "__name__") and home.split(".")[0] == "torch":
            return find(f"{home}.{value.__name__}".removeprefix("torch."))
        return value

    def _tensor(self, tensor: Any) -> Any:
        if tensor.layout != torch.strided or tensor.dtype == torch.complex32:
            raise Unsupported(f"{tensor.layout} {tensor.dtype}")
        there = carry(tensor)
        if tensor.requires_grad:
            there.requires_grad_(True)
            self.leaves.append((tensor, there))
        return there


def _refuse(value: Any) -> Any:
    raise Unsupported(type(value).__name__)


def _named(value: Any) -> Any:
    """What prints as torch.something: a dtype, a memory format, a layout."""
    return getattr(rushlight, str(value).split(".")[1])


_PLAIN = (
    ((torch.dtype, torch.memory_format, torch.layout), _named),
    (torch.device, lambda device: rushlight.device(str(device))),
    (torch.Generator, lambda generator: rushlight.Generator()),
    (torch.nn.Module, _refuse),
)


def carry(tensor: Any) -> Any:
    """Our tensor with the values, strides and offset of the oracle's, off the tape."""
    plain = tensor.detach().resolve_conj().resolve_neg()
    if plain._is_zerotensor():
        plain = plain.clone()
    view = None
    if plain.numel() and not plain.is_contiguous():
        view = (tuple(plain.shape), plain.stride(), plain.storage_offset())
        plain = torch.empty(0, dtype=plain.dtype).set_(plain.untyped_storage())
    ours = rushlight.from_numpy(array(plain).copy()).to(_named(plain.dtype))
    return ours.as_strided(*view) if view else ours


def array(tensor: Any) -> np.ndarray:
    """The values of a tensor of either side; bfloat16 widened."""
    tensor = tensor.detach()
    if str(tensor.dtype) == "torch.bfloat16":
        tensor = tensor.float()
    if isinstance(tensor, torch.Tensor) and tensor._is_zerotensor():
        tensor = tensor.clone()
    return tensor.resolve_conj().resolve_neg().numpy()


def flat(value: Any) -> list[Any]:
    """The leaves of nested lists, tuples and dicts."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [leaf for part in value for leaf in flat(part)]
    return [value]


def find(name: str, module: Any = rushlight) -> Any:
    """The callable that a record's name speaks of: a function, a method, an in-place method, an
    attribute.
    """
    if name in ("H", "T", "mH", "mT"):
        return lambda x: getattr(x, name)
    if name.startswith("__"):
        return getattr(module.Tensor, name)
    node = module
    try:
        for part in name.removeprefix("torch.").split("."):
            node = getattr(node, part)
        if callable(node):
            return node
    except (AttributeError, ImportError):
        pass
    for method in (name, name + "_"):
        if hasattr(module.Tensor, method):
            return getattr(module.Tensor, method)
    raise LookupError(name)
